#include "apps/waybill/hub_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "apps/waybill/output.h"
#include "base/utf8.h"

namespace wb::cli {

namespace {

using world::HttpResponse;
using world::Peer;
using world::ServerCall;

constexpr size_t kJsonBytesMax = 64U << 10;
constexpr size_t kRefusedNodesMax = 10'000;
constexpr size_t kEntropyBytes = 32;
constexpr const char* kRetryAfter = "2";
constexpr std::string_view kExchangePath = "/v1/exchange";

Moment now_moment() {
  const auto mono = std::chrono::steady_clock::now().time_since_epoch();
  return Moment{Instant{std::chrono::duration_cast<std::chrono::nanoseconds>(mono).count()}, unix_ms_now()};
}

hub::Caller caller_of(const Peer& peer) {
  hub::Caller caller;
  if (peer.kind == Peer::Kind::kNode) caller.kind = hub::Caller::Kind::kNode;
  if (peer.kind == Peer::Kind::kAdmin) caller.kind = hub::Caller::Kind::kAdmin;
  caller.id = peer.id;
  caller.serial = peer.serial;
  return caller;
}

hub::Request request_of(world::HttpRequest& from) {
  hub::Request request;
  request.method = from.method;
  request.body = std::move(from.body);
  if (from.target == kExchangePath) {  // nearly all calls: of its headers and of entropy it needs nothing
    request.path = from.target;
    return request;
  }
  const size_t question = from.target.find('?');
  request.path = from.target.substr(0, question);
  if (question != std::string::npos) request.query = from.target.substr(question + 1);
  for (const auto& [name, value] : from.headers) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    request.headers.emplace(std::move(lower), value);
  }
  request.entropy = world::random_bytes(kEntropyBytes);
  return request;
}

HttpResponse http_of(hub::Response from) {
  HttpResponse response{from.status, std::move(from.headers), std::move(from.body)};
  response.headers.emplace_back("Content-Type", from.content_type);
  if (from.status == 503 && world::find_header(response.headers, "Retry-After").empty())
    response.headers.emplace_back("Retry-After", kRetryAfter);
  return response;
}

hub::Response unavailable() {
  return hub::error_response(503, "unavailable", "the hub could not write to its database",
                             "nothing was changed; try again");
}

}  // namespace

world::RoutePolicy HubService::policy(std::string_view method, std::string_view path) const {
  if (path == "/ping" || path == "/ready") return {.anonymous = true};
  if (path == "/metrics") return {};
  if (path == "/v1/enrol") return {.anonymous = true, .body_bytes_max = limits::kEnrolRequestBytesMax};
  if (path == "/v1/renew") return {.body_bytes_max = limits::kEnrolRequestBytesMax};
  if (path == kExchangePath) return {.body_bytes_max = limits::kExchangeRequestBytesMax};
  if (path == "/v1/releases" && method == "POST") return {.body_bytes_max = limits::kReleaseBytesMax};
  if (path.starts_with("/v1/")) return {.body_bytes_max = kJsonBytesMax};
  return {.anonymous = true, .known = false};
}

Admission::Class HubService::class_of(const ServerCall& call) const {
  const std::string& target = call.request.target;
  if (target == kExchangePath)
    return wire::brings_records(call.request.body) ? Admission::Class::kRecords : Admission::Class::kControl;
  if (target == "/v1/enrol" || target == "/v1/renew") return Admission::Class::kEnrolment;
  return Admission::Class::kControl;
}

// A damaged or full disk would fill the log at every call: the first fault is told, then every thousandth.
void HubService::note_fault(const Error& error) {
  if (faults_count_++ % 1'000 == 0) spdlog::error("{} (failed transactions so far: {})", error.text, faults_count_);
}

bool HubService::begin() {
  const Status begun = rows_->begin();
  if (!begun.ok()) note_fault(begun.error());
  return begun.ok();
}

bool HubService::commit() {
  const Status done = rows_->commit();
  if (done.ok()) return true;
  note_fault(done.error());
  hub_.forget_wakes();
  return false;
}

hub::Response HubService::enrol(Moment now, const hub::IssueCertificate& issue) {
  const auto certificate = authority_.issue_node(issue.csr_der, issue.node_id, now.unix_ms / 1'000);
  if (!certificate.ok())
    return hub::error_response(400, "invalid", certificate.error().text,
                               "enrol with waybill-agent enroll, which makes a P-256 key");
  const auto facts = world::read_certificate(*certificate);
  if (!facts.ok()) return hub::error_response(500, "internal", facts.error().text, "report this");
  reached(probe_, HubPoint::kCertificateSigned);
  spdlog::info("node {} {}", issue.node_id, issue.token_key.empty() ? "renewed its certificate" : "enrolled");
  return hub::finish_enrol(hub_, *rows_, now, issue, facts->serial, *certificate, authority_.certificate_pem());
}

// A revoked or unknown node calls for ever: once in the log, and again only after it was let in between.
void HubService::note_refusal(const hub::Caller& caller, const hub::Response& response) {
  if (caller.kind != hub::Caller::Kind::kNode) return;
  if (response.status < 300 && !refused_nodes_.empty()) refused_nodes_.erase(caller.id);
  if (response.status != 403 || refused_nodes_.contains(caller.id)) return;
  if (refused_nodes_.size() >= kRefusedNodesMax) refused_nodes_.clear();
  refused_nodes_.insert(caller.id);
  spdlog::warn("refused a call of {}: {}", valid_text(caller.id, 80), valid_text(response.body, 300));
}

hub::Response HubService::answer(Moment now, ServerCall& call) {
  const hub::Caller caller = caller_of(call.peer);
  if (call.resumed) return hub::resume(hub_, *rows_, now, caller);
  hub::Response response = hub::handle(hub_, *rows_, now, caller, request_of(call.request));
  note_refusal(caller, response);
  if (response.issue.has_value()) return enrol(now, *response.issue);
  return response;
}

std::vector<std::string> HubService::serve(const std::vector<ServerCall*>& calls, world::ServerLoad load) {
  hub_.set_load(load.permille, load.connected);
  const Moment now = now_moment();
  probe_all(HubPoint::kTaken, calls);
  bool stored = begin();
  if (stored) {
    for (ServerCall* call : calls) {
      hub::Response response = answer(now, *call);
      call->park_ms = call->resumed ? 0 : response.hold_ms;
      if (call->park_ms > 0) call->park_key = call->peer.id;
      call->response = http_of(std::move(response));
      reached(probe_, HubPoint::kDecided, call);
    }
    stored = commit();
    if (stored) probe_all(HubPoint::kCommitted, calls);
  }
  if (stored) return hub_.take_wakes();
  for (ServerCall* call : calls) {
    call->park_ms = 0;
    call->response = http_of(unavailable());
  }
  return {};
}

void HubService::answered(const ServerCall& call) const { reached(probe_, HubPoint::kAnswered, &call); }

void HubService::probe_all(HubPoint point, const std::vector<ServerCall*>& calls) const {
  if (probe_ == nullptr) return;
  for (const ServerCall* call : calls) probe_->at(point, call);
}

std::vector<std::string> HubService::tick() {
  if (!begin()) return {};
  hub_.tick(*rows_, now_moment());
  reached(probe_, HubPoint::kTickDecided);
  if (!commit()) return {};
  reached(probe_, HubPoint::kTicked);
  return hub_.take_wakes();
}

}  // namespace wb::cli
