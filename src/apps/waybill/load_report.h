#pragma once
// What a load run saw: one row per second, the spread of latencies, and from both the figures that the promises L1 to
// L3 are about. Counting only; nothing here talks to anybody.

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/waybill/output.h"

namespace wb::cli {

// Microseconds in buckets of about 6 %: enough to tell percentiles, small enough to keep one per phase.
class LatencyHistogram {
 public:
  void add(uint64_t us);
  uint64_t count() const { return count_; }
  // The latency that `permille` of the calls did not exceed, rounded up to its bucket's end; 0 if there were none.
  uint64_t percentile_us(uint32_t permille) const;

 private:
  static constexpr uint32_t kSteps = 16;  // per doubling
  static constexpr uint32_t kBuckets = 40 * kSteps;
  static uint32_t bucket_of(uint64_t us);
  static uint64_t end_of(uint32_t bucket);
  std::array<uint32_t, kBuckets> buckets_{};
  uint64_t count_ = 0;
};

struct LoadCounts {
  uint64_t produced = 0;   // records that the agents' sensors made
  uint64_t dropped = 0;    // of them, what did not fit into an agent's outbox
  uint64_t attempts = 0;   // exchanges sent
  uint64_t retries = 0;    // of them, after a failure that had reached the hub, before the next regular contact
  uint64_t answers = 0;    // exchanges answered with 200
  uint64_t records = 0;    // records acknowledged: the goodput
  uint64_t drained = 0;    // answered, but without taking the records
  uint64_t early = 0;      // attempts before Retry-After was over (L3): must stay 0
  uint64_t unreached = 0;  // failures without a connection
  uint64_t broken = 0;     // failures on a connection: reset, timed out
  std::map<int, uint64_t> refused;  // by HTTP status
  void add(const LoadCounts& other);
};

struct LoadSecond {
  LoadCounts counts;
  uint64_t connected = 0;  // agents whose last exchange was answered, at its end
};

struct LoadPhase {
  std::string name;
  double records_per_s = 0;  // offered; 0 = whatever comes
  size_t first_second = 0, seconds = 0;
  LatencyHistogram latency;  // of exchanges that were not held by the hub
};

// What the hub's process cost, if it runs on this machine.
struct HubCost {
  double cpu_s = 0;
  double pss_before_kib = 0, pss_after_kib = 0;
};

class LoadReport {
 public:
  LoadReport(std::string mode, size_t agents) : mode_(std::move(mode)), agents_(agents) { seconds_.emplace_back(); }

  void begin_phase(const std::string& name, double records_per_s);
  LoadCounts& now() { return seconds_.back().counts; }
  LatencyHistogram& latency() { return phases_.back().latency; }
  void end_second(uint64_t connected);  // and begin the next
  void end();
  void set_hub_cost(const HubCost& cost) {
    cost_ = cost;
    has_cost_ = true;
  }

  nlohmann::ordered_json json() const;
  std::string table(bool with_seconds) const;
  uint64_t answers() const { return total().answers; }
  uint64_t connected() const { return seconds_.size() < 2 ? 0 : seconds_[seconds_.size() - 2].connected; }

 private:
  LoadCounts total() const { return sum(0, seconds_.size()); }
  LoadCounts sum(size_t first, size_t count) const;
  nlohmann::ordered_json phase_json(const LoadPhase& phase) const;
  // Seconds from the phase's start until what is taken in is ≥ 95 % of what is offered and stays so over five seconds;
  // -1 = never.
  int64_t recovered_after_s(const LoadPhase& phase) const;

  std::string mode_;
  size_t agents_;
  std::vector<LoadSecond> seconds_;
  std::vector<LoadPhase> phases_;
  HubCost cost_;
  bool has_cost_ = false;
};

}  // namespace wb::cli
