// mqtt: subscribes to a topic of a broker; each message is one body of records.
#include "base/bytes.h"
#include "edge/source/components.h"

namespace wb::source {

namespace {
const Spec& spec() {
  static const Spec kSpec{
      .name = "mqtt",
      .summary = "Subscribes to a topic of an MQTT broker; each message holds one or more records.",
      .fields =
          {{.name = "url", .summary = "mqtt://host[:1883] or mqtts://host[:8883]", .required = true},
           {.name = "topic", .summary = "topic filter; + and # are allowed", .required = true},
           {.name = "qos",
            .type = FieldType::kInteger,
            .summary = "0 at most once, 1 at least once, 2 exactly once to the agent",
            .fallback = "1",
            .min = 0,
            .max = 2},
           format_field({"json", "ndjson", "csv"}, "json"),
           {.name = "client_id",
            .summary =
                "session name at the broker; with it the broker keeps messages while the agent is away (qos 1 and 2)"},
           {.name = "username", .summary = "user name at the broker"},
           {.name = "password_file", .summary = "file that holds the password; only with username"},
           {.name = "ca_file",
            .summary = "PEM file with the CA that signed the broker's certificate (default: the CAs that the "
                       "system trusts); only with mqtts"},
           {.name = "version",
            .summary = "MQTT protocol version; a session that outlives the connection needs 3.1.1",
            .fallback = "3.1.1",
            .choices = {"3.1.1", "5"}},
           {.name = "keep_alive",
            .type = FieldType::kDuration,
            .summary = "silence after which the connection is probed",
            .fallback = "30s",
            .min = 5'000,
            .max = 3'600'000}},
      .example = "source:\n  - mqtt: {url: 'mqtt://127.0.0.1:1883', topic: 'sensors/#', qos: 1, format: json}\n",
      .costs =
          "Without client_id, and with version 5 (no session expiry is asked for yet), messages published while the "
          "agent is away are lost. With qos 1 the broker may deliver a "
          "message twice after a lost connection; both become records. A message that cannot be read goes to the "
          "dead-letter lane, since a broker cannot be told to correct it. mqtt:// is not encrypted: use mqtts:// off "
          "this machine.",
  };
  return kSpec;
}

void read_url(const Values& values, SourceConfig& out, Problems& problems) {
  const Position at = values.at("url");
  std::string_view rest = values.text("url");
  if (rest.substr(0, 7) == "mqtt://") {
    rest.remove_prefix(7);
    out.port = 1883;
  } else if (rest.substr(0, 8) == "mqtts://") {
    rest.remove_prefix(8);
    out.port = 8883;
    out.tls = true;
  } else {
    problems.add(at, "mqtt.url: must begin with mqtt:// or mqtts://");
    return;
  }
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  const bool bracketed = !rest.empty() && rest.front() == '[';  // [::1]:1883
  const size_t colon = bracketed ? rest.find(':', rest.find(']')) : rest.find(':');
  out.host = rest.substr(0, colon);
  if (bracketed) out.host = out.host.back() == ']' ? out.host.substr(1, out.host.size() - 2) : "";
  if (out.host.empty() || out.host.find_first_of("/@ ") != std::string::npos) {
    problems.add(at, "mqtt.url: expected mqtt://host or mqtt://host:port; a user name has its own field");
    return;
  }
  if (colon == std::string_view::npos) return;
  const auto port = parse_int(rest.substr(colon + 1));
  if (!port || *port < 1 || *port > 65'535)
    problems.add(at, "mqtt.url: the port must be 1 to 65535");
  else
    out.port = static_cast<int>(*port);
}

void read_topic(const Values& values, SourceConfig& out, Problems& problems) {
  out.topic = values.text("topic");
  bool good = !out.topic.empty() && out.topic.size() <= 1024;
  const auto levels = split(out.topic, '/');
  for (size_t i = 0; i < levels.size(); ++i) {
    if (levels[i].find('#') != std::string_view::npos) good = good && levels[i] == "#" && i + 1 == levels.size();
    if (levels[i].find('+') != std::string_view::npos) good = good && levels[i] == "+";
  }
  if (!good)
    problems.add(values.at("topic"),
                 "mqtt.topic: '+' must be a whole level and '#' the whole last level, as in plant/+/pump/#");
}

void read(const Values& values, SourceConfig& out, Problems& problems) {
  out.kind = SourceConfig::Kind::kMqtt;
  read_url(values, out, problems);
  read_topic(values, out, problems);
  out.qos = static_cast<int>(values.integer("qos"));
  out.format = *format_by_name(values.text("format"));
  out.mqtt_version = values.text("version") == "5" ? 5 : 4;
  out.keep_alive_ms = values.integer("keep_alive");
  if (values.has("client_id")) out.client_id = values.text("client_id");
  if (values.has("username")) out.username = values.text("username");
  if (values.has("password_file")) out.password_file = values.text("password_file");
  if (values.has("ca_file")) out.ca_file = values.text("ca_file");
  if (!out.password_file.empty() && out.username.empty())
    problems.add(values.at("password_file"), "mqtt.password_file: needs username");
  if (!out.ca_file.empty() && !out.tls) problems.add(values.at("ca_file"), "mqtt.ca_file: needs an mqtts:// url");
}
}  // namespace

const Component& mqtt_component() {
  static const Component kComponent{spec, read};
  return kComponent;
}

}  // namespace wb::source
