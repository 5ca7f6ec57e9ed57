#pragma once
// Coverage: which transitions of the machines a simulation really took. A table (coverage_table.cpp) lists every
// transition that the cores allow; the simulator looks at the views of a node before and after each step, and at the
// hub's rows as they are written, and counts. The cores know nothing of it. What no seed ever took is untested; what
// was taken and is not in the table means that the table, or the core, is wrong.
//
// A machine has named states, and may have a cause or an event beside them: rollout: running --pause--> paused.
// "off" is a node without power: a crash is a transition from any state to off, a boot one from off to where recovery
// put it.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/rows.h"
#include "edge/agent/agent.h"
#include "wire/wire.h"

namespace wb::sim {

enum class Machine : uint8_t {
  kDeployPhase,
  kDeployTrack,
  kDeployRunning,
  kSync,
  kLaneCritical,
  kLaneLive,
  kLaneBulk,
  kLaneDeadLetter,
  kRollout,
  kExposure,
  kStream,
};
inline constexpr size_t kMachinesCount = 11;

struct MachineSpec {
  std::string_view name;                     // "deploy.phase"
  std::span<const std::string_view> states;  // by index
  std::span<const std::string_view> events;  // by index; "" = none
};
const MachineSpec& spec_of(Machine machine);
std::optional<Machine> find_machine(std::string_view name);

struct Transition {
  Machine machine = Machine::kDeployPhase;
  uint8_t from = 0;
  uint8_t event = 0;
  uint8_t to = 0;
  friend bool operator==(const Transition&, const Transition&) = default;
};
std::span<const Transition> allowed_transitions();
// "rollout running --pause--> paused", "sync rest -> asking". parse: the same words, without the machine's name first.
std::string text_of(const Transition& transition);
std::optional<Transition> find_transition(Machine machine, std::string_view from, std::string_view event,
                                          std::string_view to);

class Coverage {
 public:
  void took(const Transition& transition) { ++counts_[index_of(transition)]; }
  uint64_t count(const Transition& transition) const { return counts_[index_of(transition)]; }
  Coverage& operator+=(const Coverage& other);
  std::vector<Transition> never_taken() const;  // allowed, and count 0
  std::vector<Transition> not_allowed() const;  // taken, and not in the table

  static constexpr size_t kStatesMax = 10;
  static constexpr size_t kEventsMax = 8;

 private:
  static constexpr size_t kCountsCount = kMachinesCount * kStatesMax * kEventsMax * kStatesMax;
  static size_t index_of(const Transition& it) {
    return ((static_cast<size_t>(it.machine) * kStatesMax + it.from) * kEventsMax + it.event) * kStatesMax + it.to;
  }
  std::vector<uint64_t> counts_ = std::vector<uint64_t>(kCountsCount);
};

// One node as the last look saw it.
class NodeWatch {
 public:
  void look(const AgentView& view, Coverage& coverage);  // after each step
  void off(Coverage& coverage);                          // it lost power

 private:
  static constexpr size_t kMachines = static_cast<size_t>(Machine::kLaneDeadLetter) + 1;
  void move(Machine machine, uint8_t event, uint8_t to, Coverage& coverage);
  struct Lane {
    uint64_t produced = 0, effected = 0, evicted = 0, lost = 0;
  };
  std::array<uint8_t, kMachines> states_{};  // 0 = off
  std::array<Lane, 4> lanes_;
  uint64_t retries_ = 0;
};

// Why the hub writes.
enum class HubCause : uint8_t { kStart, kGate, kPause, kResume, kPromote, kAbort, kRollBack };

class HubWatch {
 public:
  HubCause cause = HubCause::kGate;
  // A row as it is written; `before` is "" for a new one.
  void wrote(Table table, std::string_view before, std::string_view after, Coverage& coverage);
  // A command on one rollout, which may have been refused: its row before and after.
  static void commanded(HubCause cause, std::string_view before, std::string_view after, Coverage& coverage);
  // An exchange is over: records that wrote no stream were there before.
  void answered(const wire::ExchangeRequest& request, wire::StreamVerdict verdict, Coverage& coverage);

 private:
  void wrote_rollout(std::string_view before, std::string_view after, Coverage& coverage) const;
  uint64_t streams_written_ = 0;  // since the last exchange
};

}  // namespace wb::sim
