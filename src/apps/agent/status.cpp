#include "apps/agent/status.h"

#include <boost/asio/io_context.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "world/files.h"
#include "world/plain_http.h"

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

std::string status_json(const AgentView& view, Moment now, const Measured& measured) {
  Json out;
  out["node"] = view.node_id;
  out["as_of_unix_ms"] = now.unix_ms;
  out["pipeline"] = view.pipeline;
  out["local_pipeline"] = view.local;
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
  records["refused_by_hub"] = counters.refused_by_hub();
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
  out["actions"] = {{"done", measured.actions.done}, {"dropped", measured.actions.dropped}};
  Json& hub = out["hub"];
  hub["enrolled"] = view.has_hub;
  hub["connected"] = view.sync.connected;
  hub["error"] = view.hub_error;
  hub["last_contact_ms_ago"] = age_ms(view.sync.last_answer_at, now.mono);
  hub["failures_in_row"] = view.sync.failures_in_row;
  hub["offline_ms"] = counters.offline_ms();
  Json& disk = out["store"];
  disk["commits"] = measured.store.commits;
  disk["failures"] = measured.store.failures;
  disk["fsync_seconds"] = measured.store.commit_seconds;
  disk["error"] = view.store_error;
  disk["busy_refused"] = view.busy_refused;
  out["boots"] = counters.boots();
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string metrics_text(const AgentView& view, Moment now, const Measured& measured) {
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
  add("records_refused_by_hub_total", "counter", std::to_string(counters.refused_by_hub()));
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
  add("actions_done_total", "counter", std::to_string(measured.actions.done));
  add("actions_dropped_total", "counter", std::to_string(measured.actions.dropped));
  add("bytes_up_total", "counter", std::to_string(counters.bytes_up()));
  add("fsync_seconds_total", "counter", shortest(measured.store.commit_seconds));
  add("commits_total", "counter", std::to_string(measured.store.commits));
  add("hub_connected", "gauge", view.sync.connected ? "1" : "0");
  return out;
}

namespace {

constexpr uint32_t kAnswerMs = 10'000;
constexpr size_t kStatusBytesMax = 1U << 20;

Result<std::string> get_local(const std::string& data_dir, const std::string& target) {
  const auto url = world::read_file(data_dir + "/local_url", 4'096);
  const auto token = world::read_file(data_dir + "/local_token", 4'096);
  if (!url.ok() || !token.ok())
    return fail(
        Code::kNotFound, url.ok() ? token.error().text : url.error().text,
        ": no agent has run on this folder (or it is another user's): give the folder that it was started with, "
        "waybill-agent status --data-dir DIR");
  std::string_view authority = trim(*url);
  constexpr std::string_view kScheme = "http://";
  if (authority.starts_with(kScheme)) authority.remove_prefix(kScheme.size());
  const size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos)
    return fail(Code::kInvalid, data_dir, "/local_url holds no address: start waybill-agent run --data-dir ", data_dir,
                ", which writes it anew");
  boost::asio::io_context io;
  Result<world::HttpResponse> answer = fail(Code::kUnavailable, "no answer");
  world::plain_http(io,
                    {.host = std::string(authority.substr(0, colon)),
                     .port = std::string(authority.substr(colon + 1)),
                     .request = {"GET", target, {{"Authorization", "Bearer " + std::string(trim(*token))}}, ""},
                     .deadline_ms = kAnswerMs,
                     .response_bytes_max = kStatusBytesMax},
                    [&](Result<world::HttpResponse> got) { answer = std::move(got); });
  io.run();
  if (!answer.ok())
    return fail(Code::kUnavailable, "no agent answers at ", authority, " (", answer.error().text,
                "): start it with waybill-agent run --data-dir ", data_dir);
  if (answer->status != 200)
    return fail(Code::kDenied, "what listens at ", authority, " answered HTTP ", std::to_string(answer->status));
  return std::move(answer->body);
}

// What another version's agent, or another program at its old port, does not say is "?" or 0.
const Json& member(const Json& object, const char* name) {
  static const Json kNothing;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found == object.end() ? kNothing : *found;
}
std::string text_of(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_string() ? value.get<std::string>() : "?";
}
bool is(const Json& object, const char* name) { return member(object, name) == true; }
int64_t number_of(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_number_integer() ? value.get<int64_t>() : 0;
}
std::string count_of(const Json& object, const char* name) {
  return std::to_string(static_cast<uint64_t>(number_of(object, name)));
}

std::string runs_line(const Json& status) {
  const Json& deploy = member(status, "deploy");
  const std::string pipeline = text_of(status, "pipeline");
  std::string out = is(status, "local_pipeline")          ? pipeline + " (the pipeline it was started with)"
                    : !text_of(deploy, "running").empty() ? text_of(deploy, "running")
                    : pipeline.empty()                    ? "nothing yet"
                                                          : pipeline + " (a first release, not committed yet)";
  if (!is(status, "local_pipeline")) out += " · " + text_of(deploy, "phase");
  if (!text_of(deploy, "candidate").empty()) out += " of " + text_of(deploy, "candidate");
  if (!text_of(deploy, "waiting_for").empty()) out += " · waits: " + text_of(deploy, "waiting_for");
  return out;
}

std::string hub_line(const Json& hub) {
  if (!is(hub, "enrolled")) return "none: this node is not enrolled";
  const int64_t contact = number_of(hub, "last_contact_ms_ago");
  std::string out = is(hub, "connected") ? "connected" : "not connected";
  out += contact < 0 ? ", no contact since the start" : ", last contact " + format_duration_ms(contact) + " ago";
  if (!text_of(hub, "error").empty()) out += " · " + std::string(trim(text_of(hub, "error")));
  return out;
}

std::string outbox_line(const Json& outbox) {
  const auto bytes = [&](const char* name) { return format_size_bytes(number_of(outbox, name)); };
  std::string out = count_of(outbox, "waiting") + " waiting, oldest " +
                    format_duration_ms(number_of(outbox, "oldest_ms")) + ", " + bytes("bytes") + " of " +
                    bytes("capacity_bytes");
  uint64_t evicted = 0;
  for (const Json& lane : member(outbox, "lanes")) evicted += static_cast<uint64_t>(number_of(lane, "evicted"));
  if (evicted > 0) out += ", " + std::to_string(evicted) + " evicted";
  // Less than a record is as good as nothing.
  if (number_of(outbox, "waiting") > 0 && number_of(outbox, "budget_left_bytes") < 256)
    out += " · the day's upload budget is spent: what waits goes up when the next day begins";
  return out;
}

}  // namespace

std::string status_text(const Json& status) {
  const Json& records = member(status, "records");
  std::string out = "node      " + text_of(status, "node") + "\nruns      " + runs_line(status) + "\n";
  for (const Json& bad : member(member(status, "deploy"), "quarantined"))
    out += "refuses   " + text_of(bad, "digest").substr(0, 12) + " · " + text_of(bad, "code") + " · " +
           text_of(bad, "reason") + "\n";
  out += "hub       " + hub_line(member(status, "hub")) + "\n";
  out += "records   " + count_of(records, "in") + " in, " + count_of(records, "scored") + " scored, " +
         count_of(records, "decided_here") + " decided here, " + count_of(records, "rejected") + " rejected, " +
         count_of(records, "dead_letters") + " dead letters, " + count_of(records, "lost") + " lost" +
         (number_of(records, "refused_by_hub") > 0 ? " (" + count_of(records, "refused_by_hub") + " refused by the hub)"
                                                   : "") +
         "\n";
  out += "outbox    " + outbox_line(member(status, "outbox")) + "\n";
  const Json& actions = member(status, "actions");
  if (number_of(actions, "done") > 0 || number_of(actions, "dropped") > 0)
    out += "actions   " + count_of(actions, "done") + " done, " + count_of(actions, "dropped") + " dropped\n";
  return out;
}

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
  std::fputs(status_text(status).c_str(), stdout);
  return 0;
}

}  // namespace wb::agentapp
