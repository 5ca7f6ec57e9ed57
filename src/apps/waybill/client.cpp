#include "apps/waybill/client.h"

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "apps/waybill/commands.h"
#include "apps/waybill/output.h"
#include "base/bytes.h"
#include "world/files.h"
#include "world/pki.h"

namespace wb::cli {

namespace {

using Json = nlohmann::ordered_json;
using world::HttpRequest;
using world::HttpResponse;

constexpr size_t kCredentialBytesMax = 64U << 10;
constexpr size_t kJsonBytesMax = 32U << 20;

std::string read_credential(const std::string& folder, const char* name) {
  const auto bytes = world::read_file(folder + "/" + name, kCredentialBytesMax);
  if (bytes.ok()) return *bytes;
  throw Exit{kBadConfiguration, bytes.error().text +
                                    "; the credentials folder is DATA_DIR/admin of the hub: copy it, and give it with "
                                    "--credentials or WAYBILL_CREDENTIALS"};
}

void check_validity(const std::string& folder, const std::string& certificate_pem) {
  const auto facts = world::read_certificate(certificate_pem);
  if (!facts.ok()) throw Exit{kBadConfiguration, folder + "/cert.pem: " + facts.error().text};
  const int64_t now_ms = unix_ms_now();
  if (facts->not_after * 1'000 < now_ms)
    throw Exit{kBadConfiguration, "the admin credential in " + folder + " expired " +
                                      age(facts->not_after * 1'000, now_ms) +
                                      "; start the hub again: it renews DATA_DIR/admin, then copy that folder here"};
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// What the flags leave open. A data folder given as a flag names hub and credential: then the environment has no say.
HubOptions with_environment(HubOptions options) {
  if (!options.data_dir.empty()) return options;
  if (options.hub.empty()) options.hub = environment("WAYBILL_HUB");
  if (options.credentials.empty()) options.credentials = environment("WAYBILL_CREDENTIALS");
  if (options.credentials.empty()) options.data_dir = environment("WAYBILL_DATA_DIR");
  return options;
}

std::string failure_text(const HttpRequest& request, const HttpResponse& response) {
  const Json body = Json::parse(response.body, nullptr, false);
  const std::string where = " (" + request.method + " " + request.target + ": " + std::to_string(response.status) + ")";
  if (!body.is_object() || !body.contains("error") || !body["error"].is_object()) return "the hub refused" + where;
  const Json& error = body["error"];
  std::string text = error.value("message", std::string("the hub refused"));
  const std::string next = error.value("next", std::string());
  if (!next.empty()) text += "; " + next;
  return text + where;
}

}  // namespace

void add_hub_options(CLI::App& app, HubOptions& options) {
  auto* hub = app.add_option("--hub", options.hub, "address of the hub, https://host:port (or WAYBILL_HUB)");
  auto* credentials =
      app.add_option("--credentials", options.credentials, "folder with the admin credential (or WAYBILL_CREDENTIALS)");
  auto* data_dir =
      app.add_option("--data-dir", options.data_dir, "on the hub's own machine: its data folder (or WAYBILL_DATA_DIR)");
  hub->group("Hub");
  credentials->group("Hub");
  data_dir->group("Hub")->excludes(hub)->excludes(credentials);
}

std::string hub_to_fill_in() {
  const bool named = !environment("WAYBILL_DATA_DIR").empty() || !environment("WAYBILL_CREDENTIALS").empty();
  return named ? "" : " --data-dir HUB_FOLDER";
}

std::string HubOptions::given() const {
  std::string out;
  if (!hub.empty()) out += " --hub " + hub;
  if (!credentials.empty()) out += " --credentials " + credentials;
  if (!data_dir.empty()) out += " --data-dir " + data_dir;
  return out;
}

AdminClient::AdminClient(const HubOptions& flags) {
  const HubOptions options = with_environment(flags);
  std::string folder = options.credentials;
  if (folder.empty() && !options.data_dir.empty()) folder = options.data_dir + "/admin";
  if (folder.empty() && !options.hub.empty())
    throw Exit{kBadConfiguration, "no credentials given for " + options.hub +
                                      "; copy DATA_DIR/admin from the hub's machine, and give that folder with "
                                      "--credentials DIR or WAYBILL_CREDENTIALS"};
  if (folder.empty())
    throw Exit{kBadConfiguration,
               "no hub given; on the hub's own machine add --data-dir DIR, elsewhere --credentials DIR (a copy of "
               "DIR/admin) and --hub URL, "
               "or set WAYBILL_CREDENTIALS and WAYBILL_HUB"};
  identity_.ca_pem = read_credential(folder, "ca.pem");
  identity_.certificate_pem = read_credential(folder, "cert.pem");
  identity_.key_pem = read_credential(folder, "key.pem");
  check_validity(folder, identity_.certificate_pem);
  std::string url = options.hub;
  if (url.empty()) url = std::string(trim(read_credential(folder, "hub_url")));
  const auto endpoint = world::parse_endpoint(url);
  if (!endpoint.ok()) throw Exit{kBadConfiguration, endpoint.error().text};
  endpoint_ = *endpoint;
}

HttpResponse AdminClient::call(const HttpRequest& request, world::CallLimits limits) {
  const auto response = world::https_call(endpoint_, identity_, request, limits);
  if (!response.ok() && response.error().code == Code::kUnavailable)
    throw Unreachable{{kFailed, response.error().text}};
  if (!response.ok()) throw Exit{kFailed, response.error().text};
  if (response->status == 503) throw Unreachable{{kFailed, failure_text(request, *response)}};
  if (response->status >= 400) throw Exit{kFailed, failure_text(request, *response)};
  return *response;
}

Json AdminClient::json_call(const std::string& method, const std::string& target, std::string body) {
  HttpRequest request{method, target, {{"Accept", "application/json"}}, std::move(body)};
  if (!request.body.empty()) request.headers.emplace_back("Content-Type", "application/json");
  const HttpResponse response = call(request, {.deadline_ms = 60'000, .response_bytes_max = kJsonBytesMax});
  Json value = Json::parse(response.body, nullptr, false);
  if (value.is_discarded())
    throw Exit{kFailed, "the hub's answer to " + method + " " + target + " is not JSON; is " + endpoint_.url() +
                            " a Waybill hub of this version?"};
  return value;
}

Json AdminClient::get(const std::string& target) { return json_call("GET", target, ""); }
Json AdminClient::post(const std::string& target, const Json& body) {
  return json_call("POST", target, json_body(body));
}
Json AdminClient::patch(const std::string& target, const Json& body) {
  return json_call("PATCH", target, json_body(body));
}

std::string url_encode(std::string_view text) {
  static constexpr std::string_view kBare = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (kBare.find(c) != std::string_view::npos) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

}  // namespace wb::cli
