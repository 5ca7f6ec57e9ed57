// waybill rollout: bring a release to the nodes a selector names, in waves that halt themselves.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <thread>

#include "apps/waybill/client.h"
#include "apps/waybill/commands.h"
#include "apps/waybill/listing.h"
#include "base/bytes.h"

namespace wb::cli {

namespace {

using Json = nlohmann::ordered_json;
using As = FieldView::As;

constexpr std::chrono::milliseconds kWatchEvery{500};

struct RolloutCommand {
  HubOptions hub;
  Format format = Format::kTable;
  std::string release;
  std::string selector = "all";
  std::vector<uint32_t> waves;
  std::string id;
  std::string dark_after;
  std::string probation;
  int64_t probation_records = -1;
  int64_t max_failure_percent = -1;
  bool watch = false;
  bool supersede = false;
  bool allow_halted = false;
  bool roll_back = false;
};

Json spec_json(const RolloutCommand& command) {
  Json body = {{"release", command.release}, {"selector", command.selector}};
  if (!command.waves.empty()) body["waves"] = command.waves;
  if (!command.dark_after.empty()) body["dark_after"] = command.dark_after;
  if (!command.probation.empty()) body["probation"] = command.probation;
  if (command.probation_records >= 0) body["probation_records"] = command.probation_records;
  if (command.max_failure_percent >= 0) body["max_failure_percent"] = command.max_failure_percent;
  if (command.supersede) body["supersede"] = true;
  if (command.allow_halted) body["allow_halted"] = true;
  return body;
}

std::string target_of(const RolloutCommand& command) { return "/v1/rollouts/" + url_encode(command.id); }

// "; waits: probation: no records scored yet (2 nodes)": what holds it up, the most frequent reason first.
std::string waits_of(const Json& rollout) {
  std::map<std::string, size_t> waits;
  for (const Json& node : items_of(rollout, "nodes")) {
    const std::string state = cell(node, "state");
    const std::string waiting_for = cell(node, "waiting_for");
    if (state == "refuses")
      ++waits[state + " this release (" + cell(node, "error_code") + ")"];
    else if (waiting_for != "–")
      ++waits["waits: " + waiting_for];
  }
  std::vector<std::pair<std::string, size_t>> sorted(waits.begin(), waits.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  constexpr size_t kShownMax = 3;
  std::string text;
  for (size_t i = 0; i < std::min(sorted.size(), kShownMax); ++i)
    text +=
        " · " + std::to_string(sorted[i].second) + (sorted[i].second == 1 ? " node " : " nodes: ") + sorted[i].first;
  return text;
}

std::string progress_line(const Json& rollout) {
  const size_t waves_count = items_of(rollout, "waves").size();
  std::string text = "wave " + cell(rollout, "wave") + "/" + std::to_string(waves_count) + " (" +
                     cell(rollout, "wave_percent") + "%)  " + cell(rollout, "committed") + " committed, " +
                     cell(rollout, "pending") + " in probation, " + cell(rollout, "failed") + " failed · " +
                     cell(rollout, "reachable") + " of " + cell(rollout, "matching") + " matching nodes reachable · " +
                     cell(rollout, "state");
  const std::string reason = cell(rollout, "reason");
  if (reason != "–") text += ": " + reason;
  return text + waits_of(rollout);
}

// Follows until it is over; a line for each change. Failed if the rollout did not complete.
void watch(AdminClient& client, const RolloutCommand& command, const std::string& id) {
  std::string shown;
  while (true) {
    Json rollout;
    try {
      rollout = client.get("/v1/rollouts/" + url_encode(id));
    } catch (const Unreachable& gone) {  // a hub that starts anew ends no rollout
      if (shown != gone.message) std::printf("the hub does not answer, trying on: %s\n", gone.message.c_str());
      std::fflush(stdout);
      shown = gone.message;
      std::this_thread::sleep_for(kWatchEvery);
      continue;
    }
    const std::string line = progress_line(rollout);
    if (line != shown) {
      std::printf("%s\n", line.c_str());
      std::fflush(stdout);
      shown = line;
    }
    const std::string state = cell(rollout, "state");
    if (state == "completed") return;
    if (state == "halted" || state == "aborted")
      throw Exit{kFailed, "rollout " + id + " was " + state + "; see which nodes and why: waybill rollout show " + id +
                              command.hub.given()};
    std::this_thread::sleep_for(kWatchEvery);
  }
}

void plan(const RolloutCommand& command) {
  AdminClient client(command.hub);
  const Json answer = client.post("/v1/rollouts/plan", spec_json(command));
  if (print_structured(command.format, answer)) return;
  std::printf("%s nodes match, %s of them reachable now\n", cell(answer, "matching").c_str(),
              cell(answer, "reachable").c_str());
  print_list(command.format, answer, "waves", {{"WAVE %", "/percent"}, {"NODES AT MOST", "/nodes"}},
             "no node matches this selector");
}

void start(const RolloutCommand& command) {
  AdminClient client(command.hub);
  const Json rollout = client.post("/v1/rollouts", spec_json(command));
  const std::string id = cell(rollout, "id");
  if (print_structured(command.format, rollout)) {
    if (command.watch) watch(client, command, id);
    return;
  }
  std::printf("rollout %s started: %s to '%s'\n", id.c_str(), cell(rollout, "release").c_str(),
              cell(rollout, "selector").c_str());
  if (command.watch) return watch(client, command, id);
  std::printf("next: waybill rollout show %s%s\n", id.c_str(), command.hub.given().c_str());
}

void list(const RolloutCommand& command) {
  AdminClient client(command.hub);
  print_list(command.format, client.get("/v1/rollouts"), "rollouts",
             {{"ROLLOUT", "/id"},
              {"RELEASE", "/release"},
              {"TO", "/selector"},
              {"STATE", "/state"},
              {"WAVE", "/wave"},
              {"COMMITTED", "/committed"},
              {"PENDING", "/pending"},
              {"FAILED", "/failed"},
              {"MATCHING", "/matching"},
              {"CHANGED", "/changed_ms", As::kAge}},
             "no rollout yet; next: waybill rollout start NAME@VERSION --to SELECTOR" + command.hub.given());
}

void show(const RolloutCommand& command) {
  AdminClient client(command.hub);
  if (command.watch) return watch(client, command, command.id);
  const Json rollout = client.get(target_of(command));
  if (print_structured(command.format, rollout)) return;
  print_detail(rollout, {{"rollout", "/id"},
                         {"release", "/release"},
                         {"digest", "/digest"},
                         {"to", "/selector"},
                         {"state", "/state"},
                         {"reason", "/reason"},
                         {"changed", "/changed_ms", As::kAge},
                         {"started", "/created_ms", As::kAge},
                         {"by", "/created_by"}});
  std::printf("%s\n\n", progress_line(rollout).c_str());
  print_list(command.format, rollout, "nodes",
             {{"NODE", "/node"},
              {"STATE", "/state"},
              {"WAVE", "/wave"},
              {"TOLD", "/exposed_ms", As::kAge},
              {"DECIDED", "/decided_ms", As::kAge},
              {"CODE", "/error_code"},
              {"REASON", "/reason"},
              {"WAITS FOR", "/waiting_for"}},
             "no node has been told yet: nodes are admitted when they make contact");
}

void act(const RolloutCommand& command, const char* action) {
  AdminClient client(command.hub);
  const Json body = command.roll_back ? Json{{"rollback", true}} : Json::object();
  const Json rollout = client.post(target_of(command) + "/" + action, body);
  if (print_structured(command.format, rollout)) return;
  std::printf("rollout %s: %s\n", command.id.c_str(), progress_line(rollout).c_str());
}

CLI::App* verb(CLI::App* noun, const std::shared_ptr<RolloutCommand>& command, const char* name, const char* summary) {
  auto* sub = noun->add_subcommand(name, summary);
  add_hub_options(*sub, command->hub);
  add_output_option(*sub, command->format);
  return sub;
}

void add_spec_options(CLI::App& sub, RolloutCommand& command) {
  sub.add_option("release", command.release, "name@version or digest")->required();
  sub.add_option("--to", command.selector, "which nodes, as in 'site=lyon and not battery'")->capture_default_str();
  sub.add_option("--waves", command.waves, "percent of the nodes per wave, as in 1,5,25,100")->delimiter(',');
  sub.add_option("--dark-after", command.dark_after, "nodes silent for longer block nothing, as in 15m");
  sub.add_option("--probation", command.probation, "how long a node tries the release at least, as in 10s");
  sub.add_option("--probation-records", command.probation_records, "how many records a node scores with it at least");
  sub.add_option("--max-failure-percent", command.max_failure_percent, "the gate halts the rollout above this");
}

}  // namespace

void add_rollout(CLI::App& app) {
  const auto command = std::make_shared<RolloutCommand>();
  auto* noun = app.add_subcommand("rollout", "bring a release to many nodes, in waves that halt themselves");
  noun->require_subcommand(1);
  auto* plan_verb = verb(noun, command, "plan", "what a rollout would reach; changes nothing");
  add_spec_options(*plan_verb, *command);
  plan_verb->callback([command] { plan(*command); });
  auto* start_verb = verb(noun, command, "start", "start a rollout");
  add_spec_options(*start_verb, *command);
  start_verb->add_flag("--watch", command->watch, "follow it to its end; exit 1 if it does not complete");
  start_verb->add_flag("--supersede", command->supersede, "end what still rolls out to these nodes");
  start_verb->add_flag("--allow-halted", command->allow_halted, "roll out again what a gate has halted before");
  start_verb->callback([command] { start(*command); });
  auto* list_verb = verb(noun, command, "list", "every rollout, newest first");
  list_verb->callback([command] { list(*command); });
  auto* show_verb = verb(noun, command, "show", "one rollout and its nodes");
  show_verb->add_option("rollout", command->id, "rollout id")->required();
  show_verb->add_flag("--watch", command->watch, "follow it to its end");
  show_verb->callback([command] { show(*command); });
  static constexpr std::pair<const char*, const char*> kActions[] = {
      {"pause", "admit no more nodes for now"},
      {"resume", "go on with a paused rollout"},
      {"promote", "go to the next wave without waiting for the gate"},
      {"abort", "end it; committed nodes stay unless --rollback"}};
  for (const auto& [name, summary] : kActions) {
    auto* action = verb(noun, command, name, summary);
    action->add_option("rollout", command->id, "rollout id")->required();
    if (std::string_view(name) == "abort")
      action->add_flag("--rollback", command->roll_back, "also bring committed nodes back");
    action->callback([command, name = name] { act(*command, name); });
  }
}

}  // namespace wb::cli
