// Rollouts, and the JSON of what several nouns show.
#include <algorithm>

#include "base/age.h"
#include "base/bytes.h"
#include "base/typed_rows.h"
#include "hub/api/http_internal.h"
#include "hub/registry/registry.h"
#include "record/record.h"

namespace wb::hub::internal {
namespace {

constexpr size_t kNodesShownMax = 10'000;

Result<Hub::RolloutSpec> spec_of(const Context& context) {
  constexpr std::string_view kKeys[] = {
      "release",           "selector",  "waves",     "dark_after",  "max_failure_percent",
      "probation_records", "probation", "supersede", "allow_halted"};
  WB_TRY(const Json body, body_object(context, kKeys));
  Hub::RolloutSpec spec;
  WB_TRY(spec.release, text_of(body, "release", ""));
  if (spec.release.empty()) return fail(Code::kInvalid, "'release' is missing; write name@version or a digest");
  WB_TRY(spec.selector, text_of(body, "selector", "all"));
  if (const auto waves = body.find("waves"); waves != body.end() && !waves->is_null()) {
    if (!waves->is_array())
      return fail(Code::kInvalid, "'waves' must be a list of percentages, such as [1, 5, 25, 100]");
    spec.waves_percent.clear();
    for (const Json& wave : *waves) {
      if (!wave.is_number_unsigned() || wave.get<uint64_t>() > 100)
        return fail(Code::kInvalid, "'waves' must be a list of percentages, such as [1, 5, 25, 100]");
      spec.waves_percent.push_back(wave.get<uint32_t>());
    }
  }
  WB_TRY(spec.dark_after_ms, duration_of(body, "dark_after", 0));
  WB_TRY(const int64_t percent, integer_of(body, "max_failure_percent", 10, 0, 99));
  WB_TRY(const int64_t records, integer_of(body, "probation_records", spec.probation_records, 0, 10'000'000));
  WB_TRY(const int64_t probation_ms, duration_of(body, "probation", spec.probation_ms));
  if (probation_ms > 7LL * 86'400'000) return fail(Code::kInvalid, "'probation' is at most 7d");
  spec.max_failure_permille = static_cast<uint32_t>(percent) * 10;
  spec.probation_records = static_cast<uint32_t>(records);
  spec.probation_ms = static_cast<uint32_t>(probation_ms);
  WB_TRY(spec.supersede, flag_of(body, "supersede"));
  WB_TRY(spec.allow_halted, flag_of(body, "allow_halted"));
  spec.actor = context.actor();
  return spec;
}

Response plan(const Context& context) {
  WB_HTTP_TRY(const Hub::RolloutSpec spec, spec_of(context));
  WB_HTTP_TRY(const Hub::RolloutPlan plan, context.hub.plan_rollout(context.rows, context.now, spec));
  Json waves = Json::array();
  for (const Hub::WavePlan& wave : plan.waves) waves.push_back({{"percent", wave.percent}, {"nodes", wave.nodes}});
  return json_response(200, {{"release", spec.release},
                             {"selector", spec.selector},
                             {"matching", plan.matching},
                             {"reachable", plan.reachable},
                             {"waves", waves},
                             {"as_of_ms", context.now.unix_ms}});
}

// What a node that has not decided waits for, and why one that is not told refuses: from its last report.
Json waiting_json(const Context& context, std::string_view node) {
  const auto report = last_report(context.rows, node);
  if (!report || report->reported().waiting_for().empty()) return nullptr;
  return report->reported().waiting_for();
}

// Nodes that the rollout names and that are not told, because they refused this very release before.
void add_refusing(const Context& context, const pb::Rollout& rollout, Json& nodes) {
  const auto selector = Selector::parse(rollout.selector());
  if (!selector.ok() || (rollout.state() != pb::ROLLOUT_RUNNING && rollout.state() != pb::ROLLOUT_PAUSED)) return;
  each_node(context.rows, "", [&](const pb::Node& node) {
    if (node.revoked() || node.quarantined().empty() || !selector->matches(labels_of(node))) return true;
    const auto report = last_report(context.rows, node.id());
    const bool told = context.rows.get(Table::kExposure, exposure_key(rollout.id(), node.id())).has_value();
    if (!report || told) return true;
    for (const wire::Quarantined& bad : report->reported().quarantined())
      if (bad.digest() == rollout.digest())
        nodes.push_back({{"node", node.id()},
                         {"state", "refuses"},
                         {"wave", nullptr},
                         {"exposed_ms", 0},
                         {"decided_ms", 0},
                         {"error_code", bad.error_code()},
                         {"reason", bad.reason()},
                         {"waiting_for", nullptr}});
    return nodes.size() < kNodesShownMax;
  });
}

Response show(const Context& context, const std::string& id) {
  const auto rollout = find_rollout(context.rows, id);
  if (!rollout)
    return error_of(
        fail(Code::kNotFound, "there is no rollout '", id.substr(0, 40), "'; `waybill rollout list` shows them"));
  Json out = rollout_json(*rollout, context.now.unix_ms);
  Json nodes = Json::array();
  const std::string prefix = id + '\0';
  context.rows.scan(Table::kExposure, prefix, {}, [&](std::string_view key, std::string_view value) {
    pb::Exposure exposure;
    if (parse_row(value, exposure))
      nodes.push_back(
          {{"node", key.substr(prefix.size())},
           {"state", exposure_state_name(exposure.state())},
           {"wave", exposure.stage() + 1},
           {"exposed_ms", exposure.exposed_ms()},
           {"decided_ms", exposure.decided_ms()},
           {"error_code", exposure.error_code()},
           {"reason", exposure.reason()},
           {"waiting_for", exposure.state() == pb::EXPOSURE_PENDING ? waiting_json(context, key.substr(prefix.size()))
                                                                    : Json(nullptr)}});
    return nodes.size() < kNodesShownMax;
  });
  add_refusing(context, *rollout, nodes);
  out["nodes"] = nodes;
  return json_response(200, out);
}

Response act(const Context& context) {
  if (!context.is("POST")) return method_not_allowed("POST");
  const std::string& verb = context.path[3];
  constexpr std::string_view kNone[] = {""};
  constexpr std::string_view kAbort[] = {"rollback"};
  WB_HTTP_TRY(const Json body, body_object(context, verb == "abort" ? std::span(kAbort) : std::span(kNone)));
  WB_HTTP_TRY(const bool roll_back, flag_of(body, "rollback"));
  Hub::RolloutCommand command;
  if (verb == "pause")
    command = Hub::RolloutCommand::kPause;
  else if (verb == "resume")
    command = Hub::RolloutCommand::kResume;
  else if (verb == "promote")
    command = Hub::RolloutCommand::kPromote;
  else if (verb == "abort")
    command = roll_back ? Hub::RolloutCommand::kAbortAndRollBack : Hub::RolloutCommand::kAbort;
  else
    return not_found(context);
  WB_HTTP_TRY(const pb::Rollout rollout,
              context.hub.command_rollout(context.rows, context.now, context.path[2], command, context.actor()));
  return json_response(200, rollout_json(rollout, context.now.unix_ms));
}

}  // namespace

Response rollouts(const Context& context) {
  const auto& path = context.path;
  if (path.size() == 2 && context.is("GET")) {
    Json list = Json::array();
    for (const pb::Rollout& rollout : list_rollouts(context.rows))
      list.push_back(rollout_json(rollout, context.now.unix_ms));
    return json_response(200, {{"rollouts", list}, {"as_of_ms", context.now.unix_ms}});
  }
  if (path.size() == 2) {
    if (!context.is("POST")) return method_not_allowed("GET, POST");
    WB_HTTP_TRY(const Hub::RolloutSpec spec, spec_of(context));
    WB_HTTP_TRY(const pb::Rollout rollout, context.hub.start_rollout(context.rows, context.now, spec));
    return json_response(201, rollout_json(rollout, context.now.unix_ms));
  }
  if (path.size() == 3 && path[2] == "plan") return context.is("POST") ? plan(context) : method_not_allowed("POST");
  if (path.size() == 3) return context.is("GET") ? show(context, path[2]) : method_not_allowed("GET");
  if (path.size() == 4) return act(context);
  return not_found(context);
}

Json rollout_json(const pb::Rollout& rollout, int64_t now_ms) {
  Json waves = Json::array();
  for (const uint32_t percent : rollout.waves_percent()) waves.push_back(percent);
  const bool counted = rollout.scanned_ms() != 0;
  const bool over = rollout.state() == pb::ROLLOUT_HALTED || rollout.state() == pb::ROLLOUT_ABORTED;
  const uint32_t pending = rollout.exposed() - std::min(rollout.exposed(), rollout.committed() + rollout.failed());
  return {
      {"id", rollout.id()},
      {"release", rollout.name()},
      {"digest", rollout.digest()},
      {"selector", rollout.selector()},
      {"state", rollout_state_name(rollout.state())},
      {"reason", rollout.reason()},
      {"waves", waves},
      {"wave", rollout.stage() + 1},
      {"wave_percent",
       rollout.waves_percent_size() == 0 ? 0 : rollout.waves_percent(static_cast<int>(rollout.stage()))},
      {"matching", std::max(rollout.matching(), rollout.exposed())},  // nodes that came since the last count
      {"reachable", rollout.reachable()},
      {"exposed", rollout.exposed()},
      {"committed", rollout.committed()},
      {"failed", rollout.failed()},
      {"pending", over ? 0 : pending},  // of one that is over, nobody goes on trying
      {"withdrawn", rollout.withdrawn()},
      {"room", rollout.wanted() - std::min(rollout.wanted(), rollout.exposed())},
      {"created_ms", rollout.created_ms()},
      {"changed_ms", rollout.changed_ms()},
      {"created_by", rollout.created_by()},
      {"counted_age_ms", counted ? Json(std::max<int64_t>(0, age_ms(now_ms, rollout.scanned_ms()))) : Json(nullptr)},
      {"dark_after_ms", rollout.dark_after_ms()},
      {"max_failure_percent", rollout.max_failure_permille() / 10.0},
      {"probation_records", rollout.probation_records()},
      {"probation_ms", rollout.probation_ms()},
      {"as_of_ms", now_ms}};
}

Json labels_json(const std::map<std::string, std::string, std::less<>>& labels) {
  Json out = Json::object();
  for (const auto& [key, value] : labels) out[key] = value;
  return out;
}

Json counters_json(const wire::Counters& counters) {
  Json rules = Json::array();
  for (const wire::RuleCount& rule : counters.rules())
    rules.push_back({{"rule", rule_name(static_cast<Rule>(rule.rule()))},
                     {"selected", rule.selected()},
                     {"uploaded", rule.uploaded()},
                     {"evicted", rule.evicted()},
                     {"evicted_weight", rule.evicted_weight()}});
  return {{"records_in", counters.records_in()},
          {"records_rejected", counters.records_rejected()},
          {"records_filtered", counters.records_filtered()},
          {"records_scored", counters.records_scored()},
          {"records_not_sent", counters.records_not_sent()},
          {"outbox_records", counters.outbox_records()},
          {"outbox_bytes", counters.outbox_bytes()},
          {"oldest_waiting_ms", counters.oldest_waiting_ms()},
          {"bytes_up", counters.bytes_up()},
          {"bytes_seen", counters.bytes_seen()},
          {"lost", counters.lost()},
          {"actions", counters.actions()},
          {"boots", counters.boots()},
          {"offline_ms", counters.offline_ms()},
          {"dead_letters", counters.dead_letters()},
          {"damaged_rows", counters.damaged_rows()},
          {"refused_by_hub", counters.refused_by_hub()},
          {"rules", rules}};
}

Json sketch_json(const wire::ScoreSketch& sketch) {
  const auto bins = [](const auto& field) {
    Json out = Json::array();
    for (const uint64_t count : field) out.push_back(count);
    return out;
  };
  Json labels = Json::object();
  for (int i = 0; i < std::min(sketch.labels_size(), sketch.label_counts_size()); ++i)
    labels[sketch.labels(i)] = sketch.label_counts(i);
  return {{"records", sketch.records()},
          {"errors", sketch.errors()},
          {"labels", labels},
          {"confidence_bins", bins(sketch.confidence_bins())},
          {"novelty_bins", bins(sketch.novelty_bins())},
          {"latency_bins_us", bins(sketch.latency_bins_us())}};
}

Json event_json(const pb::Event& event, int64_t now_ms) {
  return {{"time_ms", event.time_ms()}, {"age_ms", std::max<int64_t>(0, age_ms(now_ms, event.time_ms()))},
          {"kind", event.kind()},       {"node", event.node()},
          {"digest", event.digest()},   {"release", event.name()},
          {"rollout", event.rollout()}, {"text", event.text()}};
}

}  // namespace wb::hub::internal
