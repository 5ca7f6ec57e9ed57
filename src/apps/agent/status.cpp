#include "apps/agent/status.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "world/files.h"

namespace wb::agentapp {
namespace {

using Json = nlohmann::ordered_json;

const char* phase_name(wire::DeployPhase phase) {
  switch (phase) {
    case wire::DEPLOY_FETCHING: return "fetching";
    case wire::DEPLOY_VERIFYING: return "verifying";
    case wire::DEPLOY_PROBATION: return "probation";
    case wire::DEPLOY_COMMITTED: return "committed";
    case wire::DEPLOY_ROLLED_BACK: return "rolled_back";
    case wire::DEPLOY_REJECTED: return "rejected";
    case wire::DEPLOY_SAFE_MODE: return "safe_mode";
    default: return "idle";
  }
}

int64_t age_ms(Instant then, Instant now) { return then.ns < 0 ? -1 : (now.ns - then.ns) / kNsPerMs; }

}  // namespace

std::string status_json(const AgentView& view, Moment now, const world::NodeStore::Stats& store) {
  Json out;
  out["node"] = view.node_id;
  out["as_of_unix_ms"] = now.unix_ms;
  out["pipeline"] = view.pipeline;
  Json& deploy = out["deploy"];
  deploy["phase"] = phase_name(view.deploy.phase);
  deploy["running"] = view.deploy.running_name;
  deploy["running_digest"] = view.deploy.running_digest;
  deploy["candidate"] = view.deploy.candidate_name;
  deploy["desired_generation"] = view.deploy.desired_generation;
  deploy["fetched_bytes"] = view.deploy.fetched_bytes;
  deploy["waiting_for"] = view.deploy.waiting_for;
  deploy["last_refusal"] = view.deploy.last_refusal;
  deploy["quarantined"] = Json::array();
  for (const wire::Quarantined& bad : view.deploy.quarantined)
    deploy["quarantined"].push_back({{"digest", bad.digest()}, {"code", bad.error_code()}, {"reason", bad.reason()}});
  const wire::Counters& counters = view.counters;
  Json& records = out["records"];
  records["in"] = counters.records_in();
  records["rejected"] = counters.records_rejected();
  records["filtered"] = counters.records_filtered();
  records["scored"] = counters.records_scored();
  records["decided_here"] = counters.records_not_sent();
  records["lost"] = counters.lost();
  records["dead_letters"] = counters.dead_letters();
  records["bytes_up"] = counters.bytes_up();
  records["bytes_seen"] = counters.bytes_seen();
  for (const wire::RuleCount& rule : counters.rules())
    records["by_rule"][std::string(rule_name(static_cast<Rule>(rule.rule())))] = {
        {"selected", rule.selected()}, {"uploaded", rule.uploaded()}, {"evicted", rule.evicted()}};
  Json& outbox = out["outbox"];
  outbox["waiting"] = view.outbox.waiting_count;
  outbox["bytes"] = view.outbox.stored_bytes;
  outbox["capacity_bytes"] = view.outbox.capacity_bytes;
  outbox["oldest_ms"] = view.outbox.oldest_taken_unix_ms > 0 ? now.unix_ms - view.outbox.oldest_taken_unix_ms : 0;
  outbox["budget_left_bytes"] = view.outbox.budget_left_bytes;
  for (size_t i = 0; i < view.outbox.lanes.size(); ++i) {
    const auto& lane = view.outbox.lanes[i];
    outbox["lanes"][std::string(lane_name(static_cast<Lane>(i + 1)))] = {{"produced", lane.produced},
                                                                         {"effected", lane.effected},
                                                                         {"waiting", lane.waiting},
                                                                         {"evicted", lane.evicted},
                                                                         {"lost", lane.lost}};
  }
  Json& hub = out["hub"];
  hub["connected"] = view.sync.connected;
  hub["last_contact_ms_ago"] = age_ms(view.sync.last_answer_at, now.mono);
  hub["failures_in_row"] = view.sync.failures_in_row;
  hub["offline_ms"] = counters.offline_ms();
  Json& disk = out["store"];
  disk["commits"] = store.commits;
  disk["failures"] = store.failures;
  disk["fsync_seconds"] = store.commit_seconds;
  disk["error"] = view.store_error;
  disk["busy_refused"] = view.busy_refused;
  out["boots"] = counters.boots();
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string metrics_text(const AgentView& view, Moment now, const world::NodeStore::Stats& store) {
  std::string out;
  const auto add = [&](const std::string& name, const char* type, const std::string& value) {
    out += "# TYPE waybill_" + name.substr(0, name.find('{')) + " " + type + "\nwaybill_" + name + " " + value + "\n";
  };
  const wire::Counters& counters = view.counters;
  add("records_received_total", "counter", std::to_string(counters.records_in()));
  add("records_rejected_total", "counter", std::to_string(counters.records_rejected()));
  add("records_filtered_total", "counter", std::to_string(counters.records_filtered()));
  add("records_inferred_total", "counter", std::to_string(counters.records_scored()));
  add("records_decided_here_total", "counter", std::to_string(counters.records_not_sent()));
  add("records_lost_total", "counter", std::to_string(counters.lost()));
  uint64_t stored = 0;
  uint64_t acked = 0;
  uint64_t evicted = 0;
  for (const auto& lane : view.outbox.lanes) {
    stored += lane.produced;
    acked += lane.effected;
    evicted += lane.evicted;
  }
  add("records_stored_total", "counter", std::to_string(stored));
  add("records_acked_total", "counter", std::to_string(acked));
  add("records_evicted_total", "counter", std::to_string(evicted));
  add("outbox_bytes", "gauge", std::to_string(view.outbox.stored_bytes));
  add("outbox_records", "gauge", std::to_string(view.outbox.waiting_count));
  const int64_t oldest_ms = view.outbox.oldest_taken_unix_ms > 0 ? now.unix_ms - view.outbox.oldest_taken_unix_ms : 0;
  add("oldest_undelivered_seconds", "gauge", shortest(static_cast<double>(oldest_ms) / 1000));
  add("bytes_up_total", "counter", std::to_string(counters.bytes_up()));
  add("fsync_seconds_total", "counter", shortest(store.commit_seconds));
  add("commits_total", "counter", std::to_string(store.commits));
  add("hub_connected", "gauge", view.sync.connected ? "1" : "0");
  return out;
}

namespace {
Result<std::string> get_local(const std::string& data_dir, const std::string& target) {
  namespace asio = boost::asio;
  namespace beast = boost::beast;
  namespace http = beast::http;
  WB_TRY(const std::string url, world::read_file(data_dir + "/local_url", 4'096));
  WB_TRY(const std::string token, world::read_file(data_dir + "/local_token", 4'096));
  const std::string_view authority = trim(std::string_view(url).substr(std::string_view("http://").size()));
  const size_t colon = authority.rfind(':');
  try {
    asio::io_context io;
    beast::tcp_stream stream(io);
    asio::ip::tcp::resolver resolver(io);
    stream.connect(resolver.resolve(std::string(authority.substr(0, colon)), std::string(authority.substr(colon + 1))));
    http::request<http::empty_body> request(http::verb::get, target, 11);
    request.set(http::field::host, authority);
    request.set(http::field::authorization, "Bearer " + std::string(trim(token)));
    http::write(stream, request);
    beast::flat_buffer buffer;
    http::response<http::string_body> response;
    http::read(stream, buffer, response);
    if (response.result_int() != 200)
      return fail(Code::kDenied, "the agent answered HTTP ", std::to_string(response.result_int()));
    return std::string(response.body());
  } catch (const std::exception& error) {
    return fail(Code::kUnavailable, "no agent answers at ", std::string(authority), " (", error.what(),
                "): start it with waybill-agent run --data-dir ", data_dir);
  }
}
}  // namespace

int print_status(const std::string& data_dir, const std::string& output) {
  const auto body = get_local(data_dir, "/v1/status");
  if (!body.ok()) {
    std::fprintf(stderr, "waybill-agent: %s\n", body.error().text.c_str());
    return 1;
  }
  if (output == "json") {
    std::fputs(body->c_str(), stdout);
    return 0;
  }
  const Json status = Json::parse(*body, nullptr, false);
  if (status.is_discarded()) return 1;
  const auto& deploy = status["deploy"];
  const std::string running = deploy["running"].get<std::string>();
  const int64_t contact = status["hub"]["last_contact_ms_ago"].get<int64_t>();
  std::printf("node      %s\n", status["node"].get<std::string>().c_str());
  std::printf("runs      %s (%s)%s\n",
              running.empty() ? (status["pipeline"].get<std::string>() + " (local)").c_str() : running.c_str(),
              deploy["phase"].get<std::string>().c_str(),
              deploy["waiting_for"].get<std::string>().empty()
                  ? ""
                  : (", waits: " + deploy["waiting_for"].get<std::string>()).c_str());
  std::printf("hub       %s, last contact %s\n", status["hub"]["connected"].get<bool>() ? "connected" : "not connected",
              contact < 0 ? "never since start" : (format_duration_ms(contact) + " ago").c_str());
  std::printf("records   %llu in, %llu scored, %llu decided here, %llu rejected, %llu lost\n",
              status["records"]["in"].get<unsigned long long>(), status["records"]["scored"].get<unsigned long long>(),
              status["records"]["decided_here"].get<unsigned long long>(),
              status["records"]["rejected"].get<unsigned long long>(),
              status["records"]["lost"].get<unsigned long long>());
  std::printf("outbox    %llu waiting, oldest %s, %s of %s\n", status["outbox"]["waiting"].get<unsigned long long>(),
              format_duration_ms(status["outbox"]["oldest_ms"].get<int64_t>()).c_str(),
              format_size_bytes(status["outbox"]["bytes"].get<int64_t>()).c_str(),
              format_size_bytes(status["outbox"]["capacity_bytes"].get<int64_t>()).c_str());
  return 0;
}

}  // namespace wb::agentapp
