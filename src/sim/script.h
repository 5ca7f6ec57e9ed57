#pragma once
// Script: what happens in a history at fixed times, as data. Its cues are the operator's orders (ship this release,
// pause that rollout, revoke a node) and incidents that befall nodes or the hub (cut off for a week, disk full, the hub
// back from its backup). What happens by chance is in faults.h. A seed draws its own script; a scenario writes one
// down; the minimiser leaves cues out. One table names every act, what it takes and what it does, for parser, printer
// and docs.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/releases.h"

namespace wb::sim {

enum class Act : uint8_t {
  // orders of the operator; releases and revocations that a restored hub has forgotten are repeated
  kShip,
  kPause,
  kResume,
  kPromote,
  kAbort,
  kRollBack,
  kRevoke,
  // incidents of nodes
  kCut,
  kMuteUp,
  kMuteDown,
  kOff,
  kCrash,
  kDiskFull,
  kDiskBroken,
  kRot,
  kKeepImage,
  kOldImage,
  kClockPast,
  kClockFuture,
  kClockRight,
  kClone,
  // incidents of the hub
  kHubRestart,
  kHubOff,
  kHubBusy,
  kHubBackup,
  kHubRestore,
  kHubRefuses,
};

// What a cue of this act says after its name.
enum class Takes : uint8_t {
  kNothing,   // hub_restart
  kRelease,   // ship KIND VERSION
  kRollout,   // pause [VERSION]: the rollout of that release, or the newest
  kNodes,     // crash NODES
  kNodesFor,  // cut NODES for DURATION
  kFor,       // hub_off for DURATION
};

struct ActSpec {
  Act act;
  std::string_view name;
  Takes takes;
  bool is_order;  // of the operator
  std::string_view summary;
};

std::span<const ActSpec> act_table();  // in the order of Act
const ActSpec& spec_of(Act act);
const ActSpec* find_act(std::string_view name);          // nullptr: no such act
std::string_view release_kind_name(Kind kind);           // "good", "retrained", "swapped", "deadly", "picky"
std::span<const std::string_view> release_kind_names();  // in the order of Kind

struct NodeRange {
  uint32_t first = 0;
  uint32_t last = 0;  // inclusive; past the end of the fleet = its end
  friend bool operator==(const NodeRange&, const NodeRange&) = default;
};
inline constexpr uint32_t kLastNode = UINT32_MAX;

struct Cue {
  int64_t at_ms = 0;  // virtual, before the healing begins
  Act act = Act::kShip;
  Kind kind = Kind::kGood;  // of kShip
  uint32_t version = 0;     // of kShip, from 1; of a rollout's order 0 = the newest
  NodeRange nodes;
  int64_t for_ms = 0;  // healing ends it anyway
  friend bool operator==(const Cue&, const Cue&) = default;
};
using Script = std::vector<Cue>;  // in the order of time
inline constexpr size_t kCuesMax = 1'000;

// 225'000'000 → "2d14:30"; with seconds where there are any.
std::string format_time(int64_t virtual_ms);

// What the operator ships in the history of a seed: good releases, and bad ones at that rate. In the healing a last
// good one follows by itself, on which everything must converge.
Script script_of_seed(uint64_t seed, uint32_t days, int64_t bad_per_million);

}  // namespace wb::sim
