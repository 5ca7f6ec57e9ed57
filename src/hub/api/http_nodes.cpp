// Tokens, nodes, the fleet, and what happened to them. Every number says how old it is and how much of the fleet it
// covers.
#include <algorithm>
#include <set>

#include "base/age.h"
#include "base/bytes.h"
#include "base/typed_rows.h"
#include "hub/api/audit.h"
#include "hub/api/dataset.h"
#include "hub/api/http_internal.h"
#include "hub/ingest/ingest.h"
#include "hub/registry/registry.h"
#include "record/record.h"

namespace wb::hub::internal {
namespace {

Json age_json(int64_t time_ms, int64_t now_ms) {
  if (time_ms == 0) return nullptr;
  return std::max<int64_t>(0, age_ms(now_ms, time_ms));
}

Json desired_json(const pb::Assignment& desired) {
  return {{"generation", desired.generation()},
          {"digest", desired.digest()},
          {"name", desired.name()},
          {"rollout", desired.rollout()},
          {"since_ms", desired.since_ms()}};
}

Json reported_json(const wire::Reported& reported) {
  Json quarantined = Json::array();
  for (const wire::Quarantined& bad : reported.quarantined())
    quarantined.push_back({{"digest", bad.digest()},
                           {"error_code", bad.error_code()},
                           {"reason", bad.reason()},
                           {"generation", bad.generation()}});
  return {{"running_digest", reported.running_digest()},
          {"running_name", reported.running_name()},
          {"running_generation", reported.running_generation()},
          {"phase", phase_name(reported.phase())},
          {"candidate_digest", reported.candidate_digest()},
          {"desired_generation", reported.desired_generation()},
          {"waiting_for", reported.waiting_for()},
          {"fetched_bytes", reported.fetched_bytes()},
          {"quarantined", quarantined}};
}

bool heard_now(const Context& context, const pb::Node& node) {
  return node.last_contact_ms() != 0 &&
         age_ms(context.now.unix_ms, node.last_contact_ms()) <= context.hub.config().dark_after_ms;
}

// The line of `node list`.
Json node_line(const Context& context, const pb::Node& node) {
  const int64_t now_ms = context.now.unix_ms;
  const auto report = last_report(context.rows, node.id());
  Json out = {{"id", node.id()},
              {"labels", labels_json(labels_of(node))},
              {"revoked", node.revoked()},
              {"created_ms", node.created_ms()},
              {"last_contact_ms", node.last_contact_ms()},
              {"last_contact_age_ms", age_json(node.last_contact_ms(), now_ms)},
              {"agent_version", node.agent_version()},
              {"running", {{"digest", node.running_digest()}, {"name", node.running_name()}}},
              {"desired", desired_json(node.desired())},
              {"phase", nullptr},
              {"counters", nullptr},
              {"report_age_ms", nullptr}};
  out["heard"] = node.last_contact_ms() == 0 ? "never" : heard_now(context, node) ? "now" : "earlier";
  if (report) {
    out["phase"] = phase_name(report->reported().phase());
    out["waiting_for"] = report->reported().waiting_for();
    out["counters"] = counters_json(report->counters());
    out["report_age_ms"] = age_json(report->received_ms(), now_ms);
  }
  return out;
}

Json node_page(const Context& context, const pb::Node& node) {
  Json out = node_line(context, node);
  Json own = Json::object();
  for (const pb::Label& label : node.own_labels()) own[label.key()] = label.value();
  Json operators = Json::object();
  for (const pb::Label& label : node.operator_labels()) operators[label.key()] = label.value();
  out["own_labels"] = own;
  out["operator_labels"] = operators;
  out["certificate_serial"] = node.certificate_serial();
  out["boot"] = node.boot();
  out["incarnation"] = hex_encode(node.incarnation());
  out["reported"] = nullptr;
  if (const auto report = last_report(context.rows, node.id())) {
    out["reported"] = reported_json(report->reported());
    out["running_sketch"] = sketch_json(report->reported().running_sketch());
    out["candidate_sketch"] = sketch_json(report->reported().candidate_sketch());
    out["node_clock_ms"] = report->node_unix_ms();
  }
  Json streams = Json::array();
  for (const StreamRow& stream : streams_of(context.rows, node.id()))
    streams.push_back({{"incarnation", hex_encode(stream.incarnation)},
                       {"lane", lane_name(static_cast<Lane>(stream.lane))},
                       {"through_seq", stream.state.high_seq()},
                       {"effected", stream.state.effected()},
                       {"evicted", stream.state.evicted()},
                       {"lost", stream.state.lost()},
                       {"hub_gap", stream.state.hub_gap()},
                       {"changed_ms", stream.state.changed_ms()}});
  out["streams"] = streams;
  out["as_of_ms"] = context.now.unix_ms;
  return out;
}

// An unknown label is refused with the nearest one, as `rollout start` does; a fleet of nobody has no labels to
// compare.
Status check_labels(const Context& context, const Selector& selector) {
  constexpr size_t kNamesMax = 4'096;
  std::set<std::string, std::less<>> names;
  each_node(context.rows, "", [&](const pb::Node& node) {
    for (const auto& [key, value] : labels_of(node)) names.insert(key);
    return names.size() < kNamesMax;
  });
  if (names.empty()) return ok_status();
  return selector.check_labels(std::vector<std::string>(names.begin(), names.end()));
}

Response list_nodes(const Context& context) {
  constexpr std::string_view kKeys[] = {"selector", "cursor", "limit"};
  WB_HTTP_CHECK(check_query(context, kKeys));
  WB_HTTP_TRY(const int64_t limit, query_number(context, "limit", 1'000, 1, 1'000));
  const auto given = context.query.find("selector");
  WB_HTTP_TRY(const Selector selector, Selector::parse(given == context.query.end() ? "all" : given->second));
  const auto cursor = context.query.find("cursor");
  if (cursor == context.query.end()) WB_HTTP_CHECK(check_labels(context, selector));
  Json list = Json::array();
  std::string next;
  std::string last;
  each_node(context.rows, cursor == context.query.end() ? "" : cursor->second + '\0', [&](const pb::Node& node) {
    if (list.size() >= static_cast<size_t>(limit)) {
      next = last;
      return false;
    }
    if (selector.matches(labels_of(node))) list.push_back(node_line(context, node));
    last = node.id();
    return true;
  });
  return json_response(200, {{"nodes", list}, {"next_cursor", next}, {"as_of_ms", context.now.unix_ms}});
}

// As it now is. Not there if reading failed: then nothing of this transaction will have happened.
Response node_response(const Context& context, const std::string& id) {
  const auto node = find_node(context.rows, id);
  if (!node) return error_of(fail(Code::kUnavailable, "node ", id, " cannot be read; try again"));
  return json_response(200, node_page(context, *node));
}

Response patch_labels(const Context& context, const std::string& id) {
  const Json body = Json::parse(context.request.body, nullptr, false);
  if (body.is_discarded() || !body.is_object())
    return error_of(fail(Code::kInvalid, "the body is not a JSON object; write {\"site\": \"lyon\", \"old\": null}"));
  std::vector<std::pair<std::string, std::optional<std::string>>> changes;
  for (const auto& [key, value] : body.items()) {
    if (!value.is_string() && !value.is_null())
      return error_of(fail(Code::kInvalid, "label '", key.substr(0, 60), "' must be a text, or null to remove it"));
    changes.emplace_back(key, value.is_null() ? std::nullopt : std::optional(*value.get_ptr<const std::string*>()));
  }
  WB_HTTP_CHECK(context.hub.set_labels(context.rows, context.now, id, changes, context.actor()));
  return node_response(context, id);
}

Json events_json(const Context& context, const std::string& subject) {
  Json out = Json::array();
  for (const pb::Event& event : events_of(context.rows, subject)) out.push_back(event_json(event, context.now.unix_ms));
  return out;
}

// node:lane:seq, of the newest incarnation that has it; or node:lane:seq:incarnation.
Response track_record(const Context& context, const std::string& name) {
  const auto parts = split(name, ':');
  const auto lane = std::find_if(std::begin(kLanes), std::end(kLanes),
                                 [&](Lane known) { return parts.size() > 1 && lane_name(known) == parts[1]; });
  const auto seq = parts.size() > 2 ? parse_int(parts[2]) : std::nullopt;
  if ((parts.size() != 3 && parts.size() != 4) || lane == std::end(kLanes) || !seq || *seq < 1)
    return error_of(fail(Code::kInvalid, "'", name.substr(0, 80),
                         "' names no record; write node:lane:seq, such as pump-7:live:42"));
  std::optional<std::string> value;
  std::string incarnation;
  int64_t newest_ms = -1;
  for (const StreamRow& stream : streams_of(context.rows, parts[0])) {
    if (stream.lane != static_cast<uint32_t>(*lane) ||
        (parts.size() == 4 && hex_encode(stream.incarnation) != parts[3]))
      continue;
    auto found = context.rows.get(Table::kRecords,
                                  record_key(parts[0], stream.incarnation, stream.lane, static_cast<uint64_t>(*seq)));
    if (!found || stream.state.changed_ms() < newest_ms) continue;
    value = std::move(found);
    incarnation = stream.incarnation;
    newest_ms = stream.state.changed_ms();
  }
  wire::RecordUp record;
  pb::RecordMark mark;
  if (!value || !parse_row(*value, record) || !parse_row(*value, mark))
    return error_of(fail(Code::kNotFound, "there is no record ", name.substr(0, 80),
                         " here: it was evicted, lost, or has not arrived; `waybill node show ", parts[0],
                         "` counts them"));
  const std::string_view rule = rule_name(static_cast<Rule>(record.rule()));
  Json stops = Json::array();
  const auto stop = [&](std::string_view what, int64_t time_ms, std::string_view clock, std::string text) {
    if (time_ms != 0)
      stops.push_back({{"stop", what}, {"time_ms", time_ms}, {"clock", clock}, {"text", std::move(text)}});
  };
  stop("event", record.event_time_ms(), "source", "");
  stop("taken", record.taken_unix_ms(), "node", "by pipeline " + record.pipeline());
  stop("routed", record.taken_unix_ms(), "node",
       "rule " + std::string(rule) + ", lane " + std::string(lane_name(*lane)));
  stop("ingested", mark.accepted_unix_ms(), "hub", "durable here");
  const auto release = find_release(context.rows, record.release());
  return json_response(200,
                       {{"node", parts[0]},
                        {"incarnation", hex_encode(incarnation)},
                        {"lane", lane_name(*lane)},
                        {"seq", *seq},
                        {"pipeline", record.pipeline()},
                        {"release", record.release()},
                        {"release_name", release ? Json(release->name() + "@" + release->version()) : Json(nullptr)},
                        {"schema", record.schema()},
                        {"rule", rule},
                        {"inclusion_probability", record.inclusion_probability()},
                        {"label", record.verdict().label()},
                        {"confidence", record.verdict().confidence()},
                        {"stops", stops},
                        {"as_of_ms", context.now.unix_ms}});
}

}  // namespace

Response tokens(const Context& context) {
  if (context.path.size() != 2) return not_found(context);
  if (!context.is("POST")) return method_not_allowed("POST");
  constexpr std::string_view kKeys[] = {"lifetime", "labels"};
  WB_HTTP_TRY(const Json body, body_object(context, kKeys));
  Hub::TokenRequest request;
  WB_HTTP_TRY(request.lifetime_ms, duration_of(body, "lifetime", 3'600'000));
  if (const auto labels = body.find("labels"); labels != body.end()) {
    if (!labels->is_object()) return error_of(fail(Code::kInvalid, "'labels' must be an object of texts"));
    for (const auto& [key, value] : labels->items()) {
      if (!value.is_string()) return error_of(fail(Code::kInvalid, "label '", key.substr(0, 60), "' must be a text"));
      request.labels.emplace_back(key, *value.get_ptr<const std::string*>());
    }
  }
  if (context.request.entropy.size() < 32)
    return error_of(fail(Code::kInternal, "no entropy was given with this request"));
  request.secret = hex_encode(context.request.entropy.substr(0, 16));
  request.actor = context.actor();
  WB_HTTP_CHECK(context.hub.create_token(context.rows, context.now, request));
  const std::string& pin = context.hub.config().ca_pin;
  return json_response(201, {{"secret", request.secret},
                             {"token", pin.empty() ? Json(nullptr) : Json("wb1-" + request.secret + "-" + pin)},
                             {"expires_ms", context.now.unix_ms + request.lifetime_ms}});
}

Response nodes(const Context& context) {
  if (context.path.size() == 2) return context.is("GET") ? list_nodes(context) : method_not_allowed("GET");
  const std::string& id = context.path[2];
  const auto node = find_node(context.rows, id);
  if (!node)
    return error_of(fail(Code::kNotFound, "there is no node '", id.substr(0, 80), "'; `waybill node list` shows them"));
  if (context.path.size() == 3)
    return context.is("GET") ? json_response(200, node_page(context, *node)) : method_not_allowed("GET");
  if (context.path.size() != 4) return not_found(context);
  if (context.path[3] == "labels") return context.is("PATCH") ? patch_labels(context, id) : method_not_allowed("PATCH");
  if (context.path[3] == "revoke") {
    if (!context.is("POST")) return method_not_allowed("POST");
    WB_HTTP_CHECK(context.hub.revoke_node(context.rows, context.now, id, context.actor()));
    return node_response(context, id);
  }
  return not_found(context);
}

FleetSummary fleet_summary(Hub& hub, Rows& rows, Moment now) {
  return summarise(rows, now, hub.config().dark_after_ms, [&](const std::function<void(const FleetMember&)>& visit) {
    each_node(rows, "", [&](const pb::Node& node) {
      if (!node.revoked()) visit({node.id(), node.last_contact_ms()});
      return true;
    });
  });
}

Response fleet(const Context& context) {
  if (context.path.size() != 2) return not_found(context);
  if (!context.is("GET")) return method_not_allowed("GET");
  const FleetSummary fleet = fleet_summary(context.hub, context.rows, context.now);
  Json releases = Json::array();
  for (const auto& [digest, health] : fleet.releases)
    releases.push_back(
        {{"digest", digest}, {"name", health.name}, {"nodes", health.nodes}, {"sketch", sketch_json(health.sketch)}});
  Json phases = Json::object();
  for (const auto& [phase, count] : fleet.phases) phases[phase] = count;
  return json_response(200, {{"as_of_ms", fleet.as_of_ms},
                             {"nodes", fleet.nodes},
                             {"heard", {{"now", fleet.now}, {"earlier", fleet.earlier}, {"never", fleet.unknown}}},
                             {"oldest_report_age_ms", fleet.oldest_ms},
                             {"counters", counters_json(fleet.counters)},
                             {"releases", releases},
                             {"phases", phases}});
}

Response track(const Context& context) {
  if (context.path.size() != 4) return not_found(context);
  if (!context.is("GET")) return method_not_allowed("GET");
  const std::string& what = context.path[2];
  const std::string& name = context.path[3];
  if (what == "record") return track_record(context, name);
  if (what == "node") {
    const auto node = find_node(context.rows, name);
    if (!node)
      return error_of(
          fail(Code::kNotFound, "there is no node '", name.substr(0, 80), "'; `waybill node list` shows them"));
    return json_response(200, {{"node", node_line(context, *node)},
                               {"events", events_json(context, EventSubject::node(name))},
                               {"as_of_ms", context.now.unix_ms}});
  }
  if (what == "release") {
    const auto release = find_release(context.rows, name);
    if (!release)
      return error_of(
          fail(Code::kNotFound, "there is no release '", name.substr(0, 80), "'; `waybill release list` shows them"));
    Json list = Json::array();
    for (const pb::Rollout& rollout : list_rollouts(context.rows))
      if (rollout.digest() == release->digest()) list.push_back(rollout_json(rollout, context.now.unix_ms));
    uint32_t nodes = 0;
    uint32_t running = 0;
    uint32_t running_now = 0;
    uint32_t refusing = 0;
    each_node(context.rows, "", [&](const pb::Node& node) {
      if (node.revoked()) return true;
      ++nodes;
      running_now += node.running_digest() == release->digest() && heard_now(context, node) ? 1 : 0;
      running += node.running_digest() == release->digest() ? 1 : 0;
      refusing += std::count(node.quarantined().begin(), node.quarantined().end(), release->digest()) > 0 ? 1 : 0;
      return true;
    });
    return json_response(200, {{"digest", release->digest()},
                               {"name", release->name() + "@" + release->version()},
                               {"nodes", nodes},
                               {"nodes_running", running},
                               {"nodes_running_now", running_now},
                               {"nodes_refusing", refusing},
                               {"rollouts", list},
                               {"events", events_json(context, EventSubject::release(release->digest()))},
                               {"as_of_ms", context.now.unix_ms}});
  }
  return not_found(context);
}

Response audit_log(const Context& context) {
  if (context.path.size() != 2) return not_found(context);
  if (!context.is("GET")) return method_not_allowed("GET");
  constexpr std::string_view kKeys[] = {"after", "limit"};
  WB_HTTP_CHECK(check_query(context, kKeys));
  WB_HTTP_TRY(const int64_t after, query_number(context, "after", 0, 0, INT64_MAX - 1));
  WB_HTTP_TRY(const int64_t limit, query_number(context, "limit", 1'000, 1, 10'000));
  Json list = Json::array();
  for (const pb::AuditEntry& entry :
       audit_after(context.rows, static_cast<uint64_t>(after), static_cast<size_t>(limit)))
    list.push_back({{"number", entry.number()},
                    {"time_ms", entry.time_ms()},
                    {"actor", entry.actor()},
                    {"action", entry.action()},
                    {"subject", entry.subject()},
                    {"detail", entry.detail()},
                    {"hash", hex_encode(entry.hash())},
                    {"previous", hex_encode(entry.previous())}});
  return json_response(200, {{"entries", list}, {"as_of_ms", context.now.unix_ms}});
}

}  // namespace wb::hub::internal
