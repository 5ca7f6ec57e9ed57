#include "apps/agent/identity.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "apps/agent/token.h"
#include "base/bytes.h"
#include "base/signature.h"
#include "base/utf8.h"
#include "wire/wire.h"
#include "world/files.h"
#include "world/pki.h"

namespace wb::agentapp {
namespace {

constexpr size_t kFileBytesMax = 64U << 10;
constexpr uint32_t kEnrolDeadlineMs = 30'000;

std::string folder(const std::string& data_dir) { return data_dir + "/identity"; }

std::string identity_path(const std::string& data_dir) { return folder(data_dir) + "/identity"; }

std::string host_name() {
  char buffer[256] = {};
  return gethostname(buffer, sizeof buffer - 1) == 0 ? buffer : "node";
}

// What a hub answers is {"error":{"code","message","next"}}; what a proxy answers is anything.
std::string refusal_text(const world::HttpResponse& response) {
  const auto status = " (HTTP " + std::to_string(response.status) + ")";
  const auto body = nlohmann::json::parse(response.body, nullptr, false);
  if (!body.is_object() || !body.contains("error") || !body["error"].is_object())
    return "no hub's answer, " + valid_text(response.body, 200) + status;
  const auto field = [&](const char* name) {
    const auto found = body["error"].find(name);
    return found != body["error"].end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return field("message") + (field("next").empty() ? "" : "; " + field("next")) + status;
}

// One file says everything but the key, so that an identity is old or new and never half.
std::string encode_identity(const Identity& identity) {
  std::string out = "node_id " + identity.node_id + "\nhub " + identity.hub_url + "\n";
  for (const std::string& key : identity.release_keys) out += "release_key " + hex_encode(key) + "\n";
  for (const auto& [key, value] : identity.labels) out += "label " + hex_encode(key) + " " + hex_encode(value) + "\n";
  return out + "certificate\n" + identity.tls.certificate_pem + "authority\n" + identity.tls.ca_pem;
}

Status save_identity(const std::string& data_dir, const Identity& identity) {
  return world::replace_file(identity_path(data_dir), encode_identity(identity), world::kSecretMode);
}

}  // namespace

Result<Identity> load_identity(const std::string& data_dir) {
  const std::string again = ": stop the agent, remove that folder and enrol this node again with a new token";
  auto read = world::read_file(identity_path(data_dir), kFileBytesMax);
  if (!read.ok()) {
    if (read.error().code == Code::kNotFound)
      return fail(Code::kNotFound,
                  "this node is not enrolled: run waybill-agent enroll --hub URL --token TOKEN --data-dir ", data_dir);
    return read.error();
  }
  const std::string& text = *read;
  Identity out;
  const size_t certificate = text.find("certificate\n");
  const size_t authority = text.find("authority\n");
  if (certificate == std::string::npos || authority == std::string::npos || authority < certificate)
    return fail(Code::kCorrupt, folder(data_dir), "/identity is damaged", again);
  for (const std::string_view line : split(std::string_view(text).substr(0, certificate), '\n')) {
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, space);
    const std::string value(line.substr(space + 1));
    if (key == "node_id") out.node_id = value;
    if (key == "hub") out.hub_url = value;
    if (key == "release_key") {
      WB_TRY(std::string raw, hex_decode(value));
      out.release_keys.push_back(std::move(raw));
    }
    if (key == "label") {  // in hex: a label may hold any text
      const size_t between = value.find(' ');
      WB_TRY(std::string name, hex_decode(value.substr(0, between)));
      WB_TRY(out.labels[name], hex_decode(between == std::string::npos ? "" : value.substr(between + 1)));
    }
  }
  out.tls.certificate_pem = text.substr(certificate + 12, authority - certificate - 12);
  out.tls.ca_pem = text.substr(authority + 10);
  auto key_pem = world::read_file(folder(data_dir) + "/key.pem", kFileBytesMax);
  if (!key_pem.ok())  // never kNotFound: half an identity is not the same as none
    return fail(Code::kCorrupt, folder(data_dir), " has no usable private key (", key_pem.error().text, ")", again);
  out.tls.key_pem = std::move(key_pem).value();
  if (out.node_id.empty() || out.hub_url.empty())
    return fail(Code::kCorrupt, folder(data_dir), "/identity names no node or hub", again);
  const Status pair = world::check_pair(out.tls.certificate_pem, out.tls.key_pem);
  const auto authority_facts = world::read_certificate(out.tls.ca_pem);
  if (!pair.ok() || !authority_facts.ok())
    return fail(Code::kCorrupt, folder(data_dir), "/identity is damaged (",
                pair.ok() ? authority_facts.error().text : pair.error().text, ")", again);
  return out;
}

Result<Identity> enrol(const EnrolOptions& options) {
  if (load_identity(options.data_dir).ok())
    return fail(Code::kExists, "this data folder is enrolled already (", options.data_dir,
                "/identity): to enrol it anew, stop the agent and remove that folder");
  WB_TRY(const Token token, parse_token(options.token));
  WB_TRY(const world::Endpoint endpoint, world::parse_endpoint(options.hub_url));
  WB_CHECK(world::make_folders(folder(options.data_dir)));

  // The same key is used again after a crash, so that the hub recognises the retry and the single-use token still
  // serves.
  const std::string key_path = folder(options.data_dir) + "/key.pem";
  auto key = world::read_file(key_path, kFileBytesMax);
  if (!key.ok()) {
    key = world::make_p256_key_pem();
    if (!key.ok()) return key.error();
    WB_CHECK(world::write_file_atomic(key_path, *key, world::kSecretMode));
    reached(options.probe, AgentStep::kKeyKept);
  }
  const std::string name = options.name.empty() ? host_name() : options.name;
  const std::string csr_path = folder(options.data_dir) + "/csr.der";
  auto csr = world::read_file(csr_path, kFileBytesMax);
  if (!csr.ok()) {
    csr = world::make_csr_der(*key, name);
    if (!csr.ok()) return csr.error();
    WB_CHECK(world::write_file_atomic(csr_path, *csr, world::kSecretMode));
    reached(options.probe, AgentStep::kRequestKept);
  }

  WB_TRY(const std::string ca_pem, world::fetch_pinned_ca(endpoint, token.pin, kEnrolDeadlineMs));
  wire::EnrolRequest message;
  message.set_token(token.secret);
  message.set_csr_der(*csr);
  message.set_node_name(name);
  for (const auto& [label, value] : options.labels) (*message.mutable_labels())[label] = value;
  world::HttpRequest request{"POST", "/v1/enrol", {{"content-type", "application/x-protobuf"}}, wire::encode(message)};
  WB_TRY(const world::HttpResponse response, world::https_call(endpoint, {ca_pem, "", ""}, std::move(request),
                                                               {kEnrolDeadlineMs, limits::kExchangeResponseBytesMax}));
  if (response.status != 200)
    return fail(Code::kDenied, "the hub refused to enrol this node: ", refusal_text(response));
  WB_TRY(const wire::EnrolResponse answer, wire::decode_enrol_response(response.body));
  reached(options.probe, AgentStep::kEnrolAnswered);
  Identity identity;
  identity.node_id = answer.node_id();
  identity.hub_url = endpoint.url();
  identity.tls = {answer.ca_pem(), answer.certificate_pem(), *key};
  identity.labels = options.labels;
  identity.release_keys.assign(answer.release_keys().begin(), answer.release_keys().end());
  WB_CHECK(save_identity(options.data_dir, identity));
  reached(options.probe, AgentStep::kIdentityKept);
  ::unlink(csr_path.c_str());
  return load_identity(options.data_dir);
}

Status keep_room_for_renewal(const std::string& data_dir) { return world::keep_spare(identity_path(data_dir)); }

bool renewal_due(const Identity& identity, int64_t now_s) {
  const auto facts = world::read_certificate(identity.tls.certificate_pem);
  return !facts.ok() || now_s > facts->not_after - (facts->not_after - facts->not_before) / 3;
}

Result<world::HttpRequest> renewal_request(const Identity& identity) {
  wire::EnrolRequest message;
  WB_TRY(*message.mutable_csr_der(), world::make_csr_der(identity.tls.key_pem, identity.node_id));
  return world::HttpRequest{"POST", "/v1/renew", {{"content-type", "application/x-protobuf"}}, wire::encode(message)};
}

Result<Identity> take_renewal(const std::string& data_dir, const Identity& identity, std::string_view answer) {
  WB_TRY(const wire::EnrolResponse response, wire::decode_enrol_response(answer));
  WB_TRY(const world::CertificateFacts facts, world::read_certificate(response.certificate_pem()));
  if (facts.common_name != identity.node_id || facts.unit != "node")
    return fail(Code::kDenied, "the renewed certificate is for '", facts.common_name,
                "', not for this node; the old one stays");
  Identity renewed = identity;  // release keys, hub and CA stay as they were pinned (K2)
  renewed.tls.certificate_pem = response.certificate_pem();
  WB_CHECK(save_identity(data_dir, renewed));
  return renewed;
}

}  // namespace wb::agentapp
