#pragma once
// The three ways in which a subject is hurt. Each keeps count of the points it tried and of the first few violations.
//
// cut_power(): the workload runs once and leaves its log; then, for the moment after each operation, disks are made as
// a power cut may leave them and opened by the real recovery. A sample of the points is cut again within the recovery.
// fail_calls(): the workload runs again and again, and in run k the k-th write, read, sync, open, change of a name or
// allocation fails, once or from then on; afterwards everything must be there, also after a cut that loses whatever no
// sync made durable.
// damage_node_file(), damage_node_log(): every bit of a node's file, or of the log that a crash left beside it, is
// flipped, and it is cut off at every byte; a sample of the repairs is cut in turn.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/evidence.h"
#include "tests/crash/subject.h"

namespace wb::crash {

struct Plan {
  uint32_t variants = 8;       // disks per moment
  uint64_t stride = 1;         // every how many moments, points or bits
  uint64_t nested_every = 64;  // one of so many points is cut again within its recovery; 0 = none
  uint32_t job = 0, jobs = 1;  // this process takes every jobs-th moment
  uint64_t seed = 1;
  bool swallow_syncs = false;  // for testing the tests: the shim lies about syncs
};

struct Tally {
  uint64_t operations = 0;
  uint64_t points = 0;
  uint64_t nested_points = 0;
  uint64_t calls_most = 0;  // of one start
  uint64_t violations = 0;
  Evidence evidence;               // how often each promise was decided
  std::vector<std::string> first;  // descriptions, at most kFirstMax
  static constexpr size_t kFirstMax = 5;
  void violate(std::string text);
  void add(const Tally& other);
};

// Called now and then, with where it is: "workload, operation 17, variant 3".
using Progress = std::function<void(const std::string& where, const Tally& so_far)>;

// The disk that a power cut leaves, by variant: nothing unsynced arrived, all of it, mixtures.
Cut cut_of(uint32_t variant, uint64_t seed);

Tally cut_power(Subject& subject, const Plan& plan, const Progress& progress);
Tally fail_calls(Subject& subject, const Plan& plan, const Progress& progress);
Tally damage_node_file(const Plan& plan, const Progress& progress);
Tally damage_node_log(const Plan& plan, const Progress& progress);

}  // namespace wb::crash
