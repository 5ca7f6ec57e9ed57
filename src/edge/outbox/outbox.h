#pragma once
// Outbox: what waits on this device to be sent. Bounded in bytes and in entries, in lanes, durable through StoreOps,
// evicted by value. Pure: it holds only the heads of records; their bytes lie in the store and are loaded when they are
// sent.
//
// In and out. offer() takes records and appends the ops that make them durable; the producer may be told "accepted"
// after the Stored of that ticket (Q1). plan() chooses what the next exchange carries and appends the ops that must be
// Stored before it is sent. acked() deletes. Ops are puts and erases and therefore idempotent: a ticket that failed is
// submitted again, in order. A crash leaves a prefix of tickets, and open() continues from whatever rows are found.
//
// Streams. Each lane numbers its records from 1 without holes. The hub acks cumulatively. What was evicted or lost
// leaves a hole that is counted in the plan that covers it, so at any time, exactly (Q4):
//     produced = effected + waiting + evicted + lost
// Once a record was sent it is pinned: it can be evicted no more until it is acked, because the hub may have it. Acks
// beyond what was sent are ignored and counted. A new incarnation keeps the numbers; the hub takes the after_seq of the
// first stream of an incarnation as that stream's start.
//
// Eviction (Q8, B4). A record was selected because its uniform draw u was below its rule's probability p. Given that,
// u/p is uniform on [0, 1). Its priority is q = (u/p) / value. When the outbox overflows, the largest q goes: dead
// letters above their own share first, then live and bulk, then dead letters, critical last. Each of these three pools
// is a bottom-k sample (E. Cohen, H. Kaplan 2007, "Summarizing data using bottom-k sketches", PODC; D. Ting 2022,
// "Adaptive threshold sampling", SIGMOD). A record with q below the smallest threshold t it has lived through has
// survived with probability
//     P(q < t) = P(u/p < t · value) = min(1, t · value) = its `thinning`,
// for t does not depend on its own q as long as it survives: with q = 0 the same others would have gone, in the same
// order (Ting's substitutability). That needs others: something evictable is always left, so one plan pins only a part
// of the outbox, and a full medium does not empty it. So 1 / (p · thinning) per received record stays an unbiased count
// of what was seen. Where we differ: thresholds are kept per arrival (thresholds.h), not one per sample, since records
// also leave by being sent; and when that list is full two thresholds are merged by really evicting what the stricter
// one would have evicted.
//
// The core decides in integers: q is fixed-point, 16.32 bits and 16 bits of (lane, seq) that break ties.

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/step.h"
#include "base/store_op.h"
#include "edge/outbox/budget.h"
#include "edge/outbox/thresholds.h"
#include "record/record.h"

namespace wb::outbox {

inline constexpr uint64_t kBytesMin = 1U << 20;
inline constexpr size_t kRecordBytesMax = 64U << 10;  // the protocol's limit on one record
inline constexpr size_t kOffersMax = 65'536;          // one batch
inline constexpr size_t kLanesCount = 4;
inline constexpr size_t kRulesCount = 8;
inline constexpr double kValueMax = 1024;           // and 1 / kValueMax at least
inline constexpr uint64_t kWireOverheadBytes = 28;  // per record in an exchange: seq, tags, lengths, thinning

struct Config {
  uint64_t bytes_max = 16U << 20;    // of the store's file, overhead included; ≥ kBytesMin
  uint32_t entries_max = 32'768;     // heads in memory, about 100 bytes each
  uint32_t dead_letter_percent = 5;  // of the bytes, at most
  uint64_t budget_bytes_per_day = kNoBudget;
};

struct Offer {
  Lane lane = Lane::kLive;
  Rule rule = Rule::kSample;
  double probability = 1;     // p in (0, 1]: the rule's rate at selection
  double draw = 0;            // u/p in [0, 1): u is the uniform that selected it (keyed_hash of its identity, B3)
  double value = 1;           // what the rule is worth against others; kept within [1/1024, 1024]
  int64_t taken_unix_ms = 0;  // when the agent took it in, for ages
  Bytes record;               // encoded RecordUp without seq, ≤ kRecordBytesMax
};

struct Taken {
  uint64_t taken_count = 0;    // got a sequence number
  uint64_t evicted_count = 0;  // went to make room; may include some of those just taken
  uint64_t refused_count =
      0;  // empty or larger than kRecordBytesMax, or not numbers: no sequence number, nothing stored
};

struct PlanLimits {
  uint64_t bytes_max = 256U << 10;  // record bytes with kWireOverheadBytes each
  uint32_t records_max = 4'096;
};

struct PlannedRecord {
  uint64_t seq = 0;
  double thinning = 1;  // in (0, 1]
  std::string key;      // of its row in NodeTable::kRecords
  uint32_t bytes = 0;   // of the record
};

// One lane's part of an exchange: all of (after_seq, through_seq] is either in `records` or counted.
struct LanePlan {
  Lane lane = Lane::kLive;
  uint64_t after_seq = 0;
  uint64_t through_seq = 0;
  std::vector<PlannedRecord> records;
  uint64_t evicted_count = 0;
  uint64_t lost_count = 0;
};

struct Plan {
  std::vector<LanePlan> lanes;  // critical, live, bulk, dead letter; lanes with nothing to say are absent
  uint64_t reserved_bytes = 0;  // of the day's budget; see refund()
  uint64_t budget_day = 0;
  bool empty() const { return lanes.empty(); }
};

struct LaneCounts {
  uint64_t next_seq = 1;
  uint64_t acked_seq = 0;
  uint64_t produced = 0;
  uint64_t effected = 0;  // acked by the hub
  uint64_t waiting = 0;
  uint64_t evicted = 0;  // dropped by policy
  uint64_t lost = 0;     // declared lost
};

struct RuleCounts {
  uint64_t selected = 0;
  uint64_t uploaded = 0;
  uint64_t evicted = 0;
  double evicted_weight = 0;  // sum of 1/p
};

struct View {
  std::array<LaneCounts, kLanesCount> lanes;  // index = lane number - 1
  std::array<RuleCounts, kRulesCount> rules;  // index = rule number - 1
  uint64_t waiting_count = 0;
  uint64_t waiting_bytes = 0;  // record bytes
  uint64_t stored_bytes = 0;   // with overhead, against capacity_bytes
  uint64_t capacity_bytes = 0;
  uint64_t sendable_bytes = 0;  // waiting_bytes, as far as today's budget allows
  uint64_t budget_left_bytes = 0;
  int64_t next_budget_in_ms = 0;     // running time
  int64_t oldest_taken_unix_ms = 0;  // 0 = nothing waits
  uint64_t refused = 0;              // since start
  uint64_t acks_beyond_sent = 0;     // since start
  bool critical_waiting = false;
  bool gaps_waiting = false;  // something evicted or lost has yet to be told
};

struct Opened;
class Recovery;

class Outbox {
 public:
  // First start and recovery alike. Never fails on what it finds; kInvalid if the Config is.
  static Result<Opened> open(const Config& config, const StoredState& found, Instant now);

  Taken offer(Instant now, std::vector<Offer> offers, std::vector<StoreOp>& ops);

  // Oldest first per lane. Appends the ops (pins, budget) that must be Stored before anything of the plan is sent; load
  // the rows after that too. What was sent before and is not acked is planned again, with the same thinning.
  Plan plan(Instant now, const PlanLimits& limits, std::vector<StoreOp>& ops);
  void acked(Lane lane, uint64_t through_seq, std::vector<StoreOp>& ops);
  // A planned row could not be read back, or the hub refuses this record for good: it is declared lost. No other record
  // stands for it, as those do that survive an eviction.
  void lost(Lane lane, uint64_t seq, std::vector<StoreOp>& ops);
  // The plan's bytes certainly never left the device (no connection was made).
  void refund(const Plan& plan, std::vector<StoreOp>& ops);
  void hub_time(Instant now, int64_t hub_unix_ms, std::vector<StoreOp>& ops);  // from an authenticated answer
  void set_budget(uint64_t bytes_per_day) { budget_.set_limit(bytes_per_day); }
  // The medium is fuller than the quota says: evict down to `stored_bytes_max` (as in View::stored_bytes), but for a
  // few records that stand for the rest.
  uint64_t squeeze(uint64_t stored_bytes_max, std::vector<StoreOp>& ops);
  // The caller took a new incarnation: what waits keeps its numbers, nothing counts as sent.
  void rebase(std::vector<StoreOp>& ops);

  View view(Instant now) const;

  // The record inside a loaded row's value; kCorrupt if it is none.
  static Result<std::string_view> record_of(std::string_view row_value);

 private:
  enum Pool : uint8_t { kNormal = 0, kDead = 1, kCritical = 2 };
  static constexpr size_t kPoolsCount = 3;
  struct Head {
    uint64_t seq = 0;
    uint64_t q = 0;
    uint64_t arrival = 0;  // the pool's next event when it came
    double probability = 1;
    double value = 1;
    int64_t taken_unix_ms = 0;
    uint32_t bytes = 0;  // of the record
    Rule rule = Rule::kSample;
    bool gone = false;  // evicted, acked or lost; removed when it reaches the front or too many have gathered
  };
  struct LaneState {
    LaneCounts counts;
    uint64_t evicted_open = 0;   // evicted with seq > acked_seq
    uint64_t sent_seq = 0;       // pinned up to here
    uint64_t evicted_sent = 0;   // of evicted_open, those with seq ≤ sent_seq: what the hub was told of them stays
    Thresholds sent_thresholds;  // as they were when it was pinned
    uint64_t present_bytes = 0;  // record bytes
    uint64_t gone_count = 0;
    std::deque<Head> heads;  // by seq
  };
  struct Candidate {
    uint64_t q = 0;
    uint64_t seq = 0;
    Lane lane = Lane::kLive;
  };
  struct PoolState {
    Thresholds thresholds;
    std::vector<Candidate> heap;  // largest q first; entries of records that went are skipped
    uint64_t cost_bytes = 0;
    uint64_t count = 0;
    bool changed = false;  // thresholds to be saved
  };
  // The ops of one call. A record that came and went within the call leaves no op at all.
  struct Changes {
    explicit Changes(std::vector<StoreOp>& out) : ops(out) {}
    void put_record(Lane lane, uint64_t seq, std::string value);
    void erase_record(Lane lane, uint64_t seq);
    void put_state(std::string_view key, std::string value);
    void erase_state(std::string_view key);
    void finish();
    std::vector<StoreOp>& ops;
    std::array<uint64_t, kLanesCount> first_seq{};
    std::array<std::vector<size_t>, kLanesCount> put_at;
    bool cancelled = false;
  };
  friend class Recovery;  // recovery.cpp

  Outbox(const Config& config, Instant now);

  static Pool pool_of(Lane lane);
  LaneState& lane_of(Lane lane) { return lanes_[static_cast<size_t>(lane) - 1]; }
  const LaneState& lane_of(Lane lane) const { return lanes_[static_cast<size_t>(lane) - 1]; }
  Head* find(Lane lane, uint64_t seq);
  void take(Offer& offer, Changes& changes);
  uint64_t make_room(Changes& changes);
  uint64_t evicted_count() const;
  uint64_t evictable_count(Pool pool) const;
  bool evict_largest(Pool pool, Changes& changes);
  void evict(Lane lane, Head& head, Changes& changes);
  void apply_merge(Pool pool, const Thresholds::Merge& merge, Changes& changes);
  void unpin(Lane lane, uint64_t through_seq, Changes& changes);
  void add(Lane lane, const Head& head);
  void remove(Lane lane, Head& head);
  void drop_gone(Lane lane);
  bool next_record_fits(uint64_t budget_left_bytes) const;
  void rebuild_heap(Pool pool);
  LanePlan plan_lane(Lane lane, const PlanLimits& left, uint64_t budget_bytes) const;
  void count_gap(LanePlan& plan) const;
  void forget_thresholds();
  void save(Changes& changes);  // counters, and thresholds that changed
  void save_budget(Changes& changes);
  void save_sent(Lane lane, Changes& changes);
  std::string encode_counters() const;
  bool decode_counters(std::string_view bytes);
  uint64_t stored_bytes() const;
  uint64_t stored_count() const;
  static uint64_t capacity_of(uint64_t bytes_max);

  Config config_;
  uint64_t capacity_bytes_ = 0;
  uint64_t dead_capacity_bytes_ = 0;
  std::array<LaneState, kLanesCount> lanes_;
  std::array<RuleCounts, kRulesCount> rules_;
  std::array<PoolState, kPoolsCount> pools_;
  Budget budget_;
  uint64_t refused_ = 0;
  uint64_t acks_beyond_sent_ = 0;
};

struct Opened {
  Outbox outbox;
  std::vector<StoreOp> ops;          // make what was found out durable: submit as the first ticket
  uint64_t lost_count = 0;           // newly declared lost
  uint64_t damaged_heads_count = 0;  // rows that are no record
  // The counters were unreadable or may be old: numbering went on beyond everything seen, and the hub must be told by a
  // new incarnation.
  bool new_incarnation_needed = false;
  bool thinning_unknown = false;  // thresholds were unreadable or may be old: estimates over what waits may be too low
};

}  // namespace wb::outbox
