#pragma once
// sim: a whole fleet on a virtual clock. The same cores that run in the field — Agent with deploy, outbox, sync and the
// pipeline; Hub with ingest, telemetry, registry, rollout and dispatch — driven by a simulated network, disk and world
// with faults, and watched by checkers for the promises (docs/operations/promises.md). One seed is one history: the
// trace hash says whether two runs were the same. First a phase with faults, then everything heals and all must
// converge.
//
// What is simulated: loss, doubling, delay and reordering of exchanges; partitions; crashes at any moment, which leave
// a prefix of the submitted tickets; stores that fail for a while; rows and slots that rot; disks that are an old image
// of themselves; wall clocks that jump; a hub that restarts, or comes back from a backup; assignments of long ago; an
// operator who rolls out good releases and a bad one, and pauses and resumes them. What is not: see
// docs/operations/simulator.md.

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/evidence.h"
#include "edge/agent/agent.h"
#include "sim/coverage.h"
#include "sim/estimates.h"
#include "sim/faults.h"
#include "sim/script.h"

namespace wb::sim {

struct Options {
  uint64_t seed = 1;
  uint32_t nodes = 20;
  uint32_t days = 7;  // with faults
  uint32_t healing_hours = 48;
  uint32_t minutes_per_batch = 10;
  uint32_t rows_per_batch = 8;
  std::optional<Faults> faults;  // absent: drawn from the seed (faults_of_seed)
  std::optional<Script> script;  // absent: drawn from the seed (script_of_seed)
  ReadDocument read_document;
  // Called with a line now and then, for progress; may be empty.
  std::function<void(const std::string&)> progress;
};

struct Violation {
  std::string promise;  // "Q3"
  std::string text;
  int64_t at_ms = 0;  // virtual
};

struct Report {
  uint64_t seed = 0;
  Faults faults;  // as used
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  uint64_t crashes = 0;
  uint64_t exchanges = 0;
  uint64_t exchanges_lost = 0;
  uint64_t store_failures = 0;
  uint64_t rots = 0;               // boots that found rows or a slot damaged
  uint64_t images_restored = 0;    // boots from an old image of the disk
  uint64_t hub_restores = 0;       // the hub came back from a backup
  uint64_t exchanges_refused = 0;  // for what was in them
  uint64_t records_accepted = 0;
  uint64_t records_at_hub = 0;
  uint64_t rollbacks = 0;  // releases that nodes took back by themselves
  uint64_t halted_rollouts = 0;
  uint64_t out_of_memory = 0;        // processes that ended in the middle of a step
  uint64_t slot_failures = 0;        // writes, seals and reads of a release's file
  uint64_t bad_ranges = 0;           // fetched ranges that were not what was asked for
  uint64_t clones = 0;               // copies of a device that ran beside it
  uint64_t hub_commit_failures = 0;  // with all the calls in them
  uint64_t hub_outages = 0;
  uint64_t meddlings = 0;  // commands of the operator at a bad moment
  double device_hours = 0;
  Coverage coverage;
  Estimates estimates;
  Evidence evidence;  // how often each promise was decided
  uint64_t violations_count = 0;
  std::vector<Violation> violations;  // the first kViolationsMax
  static constexpr size_t kViolationsMax = 20;
};

// What a run with these options meets: as given, or as its seed draws it.
Faults faults_used(const Options& options);
Script script_used(const Options& options);
Report run(const Options& options);

// The report's counts by name: one list for tables, JSON and whoever expects something of them.
struct ReportCount {
  std::string_view name;
  uint64_t Report::*field;
};
std::span<const ReportCount> report_counts();
const ReportCount* find_report_count(std::string_view name);  // nullptr: no such count

}  // namespace wb::sim
