#pragma once
// Faults: what goes wrong in one history, and how often. Plain numbers with one visible table of names, so that a fault
// can be printed, written into a scenario, read back, and switched off by whoever searches for the smallest history
// that still fails. Every value has a calm setting, at which the fault never happens; `Faults{}` is all calm.
//
// Each seed draws its own faults: some are off, some usual, some extreme. A random subset finds more than everything
// at once, because one fault often hides another (swarm testing: Groce, Zhang, Eide, Chen, Regehr, ISSTA 2012).

#include <cstdint>
#include <span>
#include <string_view>

#include "base/prng.h"

namespace wb::sim {

struct Faults {
  // network
  int64_t lose_per_million = 0;
  int64_t double_per_million = 0;
  int64_t delay_max_ms = 100;
  int64_t stale_per_million = 0;
  int64_t partition_every_ms = 0;
  int64_t partition_max_ms = 0;
  int64_t mute_every_ms = 0;
  int64_t mute_max_ms = 0;
  int64_t slow_link_per_million = 0;
  int64_t window_per_million = 0;
  int64_t bad_range_per_million = 0;
  // node
  int64_t crash_every_ms = 0;
  int64_t down_max_ms = 0;
  int64_t crash_again_per_million = 0;
  int64_t out_of_memory_per_million = 0;
  int64_t clock_jump_per_million = 0;
  int64_t clock_step_every_ms = 0;
  int64_t clone_every_ms = 0;
  // store and media
  int64_t store_fail_per_million = 0;
  int64_t store_broken_every_ms = 0;
  int64_t store_broken_max_ms = 0;
  int64_t disk_full_every_ms = 0;
  int64_t disk_full_max_ms = 0;
  int64_t slot_fail_per_million = 0;
  int64_t rot_per_million = 0;
  int64_t image_per_million = 0;
  // hub
  int64_t hub_restart_every_ms = 0;
  int64_t hub_restore_every_ms = 0;
  int64_t hub_commit_fail_per_million = 0;
  int64_t hub_outage_every_ms = 0;
  int64_t hub_outage_max_ms = 0;
  int64_t hub_busy_every_ms = 0;
  int64_t hub_busy_max_ms = 0;
  // operator
  int64_t bad_release_per_million = 0;
  int64_t meddle_per_million = 0;
  int64_t revoke_per_million = 0;

  friend bool operator==(const Faults&, const Faults&) = default;
};

enum class FaultUnit : uint8_t {
  kPerMillion,  // chance of each occasion
  kEveryMs,     // mean time between two; 0 = never
  kMaxMs,       // a length of time, drawn evenly up to it
};
enum class FaultKind : uint8_t { kNetwork, kNode, kStore, kHub, kOperator };

struct Fault {
  std::string_view name;  // as in a scenario; never reused for something else
  int64_t Faults::*value;
  FaultUnit unit;
  FaultKind kind;
  int64_t calm;
  int64_t usual;
  int64_t extreme;
  std::string_view summary;
};

std::span<const Fault> fault_table();
const Fault* find_fault(std::string_view name);  // nullptr: no such fault
std::string_view unit_name(FaultUnit unit);      // "per_million", "every_ms", "max_ms"
std::string_view kind_name(FaultKind kind);      // "network", "node", "store", "hub", "operator"

Faults calm();                   // nothing goes wrong
Faults usual();                  // every fault at its usual rate
Faults draw_faults(Prng& prng);  // each off, usual or extreme
Faults faults_of_seed(uint64_t seed);

}  // namespace wb::sim
