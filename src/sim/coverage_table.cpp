// The transitions that the cores allow, as an outside observer sees them: several steps within one event count as one.
// One row per state and event: from, event, every state it may lead to.
#include <algorithm>

#include "base/assert.h"
#include "base/bytes.h"
#include "sim/coverage.h"

namespace wb::sim {
namespace {

constexpr std::string_view kNoEvents[] = {""};
constexpr std::string_view kPhases[] = {"off",       "idle",        "fetching", "verifying", "probation",
                                        "committed", "rolled_back", "rejected", "safe_mode"};
constexpr std::string_view kTracks[] = {"off",     "none",    "storing", "pausing", "fetching",
                                        "writing", "sealing", "reading", "loading", "shadowing"};
constexpr std::string_view kRunning[] = {"off", "none", "reading", "storing", "loading", "runs", "safe_mode"};
constexpr std::string_view kSyncStates[] = {"off", "rest", "asking", "waiting", "trying"};
constexpr std::string_view kSyncEvents[] = {"", "early_retry"};
constexpr std::string_view kLane[] = {"off", "empty", "waiting"};
constexpr std::string_view kLaneEvents[] = {"", "produced", "acked", "evicted", "lost"};
constexpr std::string_view kRollouts[] = {"none", "running", "paused", "halted", "completed", "aborted"};
constexpr std::string_view kRolloutEvents[] = {"start", "gate", "pause", "resume", "promote", "abort", "roll_back"};
constexpr std::string_view kExposures[] = {"none", "pending", "committed", "failed", "withdrawn"};
constexpr std::string_view kStreams[] = {"new", "known"};
constexpr std::string_view kStreamEvents[] = {"took", "evicted", "lost", "hub_gap", "replay", "old_copy"};

constexpr MachineSpec kMachines[kMachinesCount] = {
    {"deploy.phase", kPhases, kNoEvents},    {"deploy.track", kTracks, kNoEvents},
    {"deploy.running", kRunning, kNoEvents}, {"sync", kSyncStates, kSyncEvents},
    {"lane.critical", kLane, kLaneEvents},   {"lane.live", kLane, kLaneEvents},
    {"lane.bulk", kLane, kLaneEvents},       {"lane.dead_letter", kLane, kLaneEvents},
    {"rollout", kRollouts, kRolloutEvents},  {"exposure", kExposures, kNoEvents},
    {"stream", kStreams, kStreamEvents},
};

struct Row {
  Machine machine;
  std::string_view from;
  std::string_view event;
  std::string_view to;  // names, a space between
};

using enum Machine;
constexpr Row kRows[] = {
    // What the node reports. A verified release reads "fetching" again until that is durable. A candidate hides what
    // lies
    // under it; when it goes, what is left shows.
    {kDeployPhase, "off", "", "idle fetching verifying probation committed rolled_back rejected safe_mode"},
    {kDeployPhase, "idle", "", "off fetching verifying committed rolled_back rejected safe_mode"},
    {kDeployPhase, "fetching", "", "off idle verifying probation committed rolled_back rejected safe_mode"},
    {kDeployPhase, "verifying", "", "off fetching"},
    {kDeployPhase, "probation", "", "off idle fetching verifying committed rolled_back rejected safe_mode"},
    {kDeployPhase, "committed", "", "off idle fetching verifying rolled_back rejected safe_mode"},
    {kDeployPhase, "rolled_back", "", "off idle fetching verifying committed rejected safe_mode"},
    {kDeployPhase, "rejected", "", "off idle fetching verifying committed rolled_back safe_mode"},
    {kDeployPhase, "safe_mode", "", "off idle fetching verifying committed rolled_back rejected"},

    // What it is doing about its candidate. "storing" is left out where the journal had nothing new to say; "loading"
    // is
    // never seen, because the agent builds a pipeline within the step that asks for it.
    {kDeployTrack, "off", "", "none storing fetching sealing reading"},
    {kDeployTrack, "none", "", "off storing fetching sealing reading"},
    {kDeployTrack, "storing", "", "off none fetching sealing reading shadowing"},
    {kDeployTrack, "pausing", "", "off none storing fetching sealing reading"},
    {kDeployTrack, "fetching", "", "off none storing pausing writing"},
    {kDeployTrack, "writing", "", "off none storing pausing fetching sealing"},
    {kDeployTrack, "sealing", "", "off none storing pausing reading"},
    {kDeployTrack, "reading", "", "off none storing pausing shadowing"},
    {kDeployTrack, "shadowing", "", "off none storing"},

    // The release it runs.
    {kDeployRunning, "off", "", "none storing safe_mode"},
    {kDeployRunning, "none", "", "off runs safe_mode"},
    {kDeployRunning, "storing", "", "off reading"},
    {kDeployRunning, "reading", "", "off storing runs safe_mode"},
    {kDeployRunning, "runs", "", "off"},
    {kDeployRunning, "safe_mode", "", "off storing runs"},

    // rest, asking: the last exchange was answered; waiting, trying: it was not.
    {kSync, "off", "", "waiting trying"},
    {kSync, "rest", "", "off asking"},
    {kSync, "asking", "", "off rest waiting"},
    {kSync, "asking", "early_retry", "waiting"},
    {kSync, "waiting", "", "off trying"},
    {kSync, "trying", "", "off rest waiting"},
    {kSync, "trying", "early_retry", "waiting"},

    // A rollout under the operator's commands, of which many are refused, and under its gate: the next wave, the end, a
    // halt. Another one that starts supersedes it.
    {kRollout, "none", "start", "running"},
    {kRollout, "running", "start", "aborted"},
    {kRollout, "paused", "start", "aborted"},
    {kRollout, "running", "gate", "running halted completed"},
    {kRollout, "paused", "gate", "halted"},
    {kRollout, "completed", "gate", "halted"},
    {kRollout, "running", "pause", "paused"},
    {kRollout, "paused", "pause", "paused"},
    {kRollout, "halted", "pause", "halted"},
    {kRollout, "completed", "pause", "completed"},
    {kRollout, "aborted", "pause", "aborted"},
    {kRollout, "running", "resume", "running"},
    {kRollout, "paused", "resume", "running completed"},
    {kRollout, "halted", "resume", "halted"},
    {kRollout, "completed", "resume", "completed"},
    {kRollout, "aborted", "resume", "aborted"},
    {kRollout, "running", "promote", "running completed"},
    {kRollout, "paused", "promote", "paused completed"},
    {kRollout, "halted", "promote", "halted"},
    {kRollout, "completed", "promote", "completed"},
    {kRollout, "aborted", "promote", "aborted"},
    {kRollout, "running", "abort", "aborted"},
    {kRollout, "paused", "abort", "aborted"},
    {kRollout, "halted", "abort", "halted"},
    {kRollout, "completed", "abort", "aborted"},
    {kRollout, "aborted", "abort", "aborted"},
    {kRollout, "running", "roll_back", "aborted"},
    {kRollout, "paused", "roll_back", "aborted"},
    {kRollout, "halted", "roll_back", "halted"},
    {kRollout, "completed", "roll_back", "aborted"},
    {kRollout, "aborted", "roll_back", "aborted"},

    // One node in one rollout. Failed is final.
    {kExposure, "none", "", "pending"},
    {kExposure, "pending", "", "committed failed withdrawn"},
    {kExposure, "committed", "", "failed"},
    {kExposure, "withdrawn", "", "pending committed failed"},

    // One stream at the hub.
    {kStream, "new", "took", "known"},
    {kStream, "new", "evicted", "known"},
    {kStream, "new", "lost", "known"},
    {kStream, "new", "hub_gap", "known"},
    {kStream, "known", "took", "known"},
    {kStream, "known", "evicted", "known"},
    {kStream, "known", "lost", "known"},
    {kStream, "known", "hub_gap", "known"},
    {kStream, "known", "replay", "known"},
    {kStream, "known", "old_copy", "known"},
};

// Every lane alike.
constexpr Row kLaneRows[] = {
    {kLaneLive, "off", "", "empty waiting"},
    {kLaneLive, "empty", "", "off"},
    {kLaneLive, "waiting", "", "off"},
    {kLaneLive, "empty", "produced", "empty waiting"},  // to empty: it came into a full outbox and went at once
    {kLaneLive, "waiting", "produced", "empty waiting"},
    {kLaneLive, "waiting", "acked", "empty waiting"},
    {kLaneLive, "empty", "evicted", "empty waiting"},
    {kLaneLive, "waiting", "evicted", "empty waiting"},
    {kLaneLive, "waiting", "lost", "empty waiting"},
};

uint8_t index_of(std::span<const std::string_view> names, std::string_view name) {
  const auto found = std::find(names.begin(), names.end(), name);
  WB_ASSERT(found != names.end());
  return static_cast<uint8_t>(found - names.begin());
}

void add(std::vector<Transition>& out, const Row& row, Machine machine) {
  const MachineSpec& spec = spec_of(machine);
  for (const std::string_view to : split(row.to, ' '))
    out.push_back(
        {machine, index_of(spec.states, row.from), index_of(spec.events, row.event), index_of(spec.states, to)});
}

std::vector<Transition> all() {
  std::vector<Transition> out;
  for (const Row& row : kRows) add(out, row, row.machine);
  for (const Machine lane : {kLaneCritical, kLaneLive, kLaneBulk, kLaneDeadLetter})
    for (const Row& row : kLaneRows) add(out, row, lane);
  return out;
}

}  // namespace

const MachineSpec& spec_of(Machine machine) { return kMachines[static_cast<size_t>(machine)]; }

std::optional<Machine> find_machine(std::string_view name) {
  for (size_t i = 0; i < kMachinesCount; ++i)
    if (kMachines[i].name == name) return static_cast<Machine>(i);
  return std::nullopt;
}

std::span<const Transition> allowed_transitions() {
  static const std::vector<Transition> table = all();
  return table;
}

std::string text_of(const Transition& transition) {
  const MachineSpec& spec = spec_of(transition.machine);
  const std::string_view event = spec.events[transition.event];
  return std::string(spec.name) + " " + std::string(spec.states[transition.from]) +
         (event.empty() ? " -> " : " --" + std::string(event) + "-> ") + std::string(spec.states[transition.to]);
}

std::optional<Transition> find_transition(Machine machine, std::string_view from, std::string_view event,
                                          std::string_view to) {
  for (const Transition& one : allowed_transitions()) {
    const MachineSpec& spec = spec_of(machine);
    if (one.machine == machine && spec.states[one.from] == from && spec.events[one.event] == event &&
        spec.states[one.to] == to)
      return one;
  }
  return std::nullopt;
}

}  // namespace wb::sim
