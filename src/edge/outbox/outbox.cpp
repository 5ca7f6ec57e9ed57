// Taking in, evicting, planning, acking. The idea and its proof are in outbox.h; recovery is in recovery.cpp.
#include "edge/outbox/outbox.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/planted.h"
#include "base/prng.h"
#include "edge/outbox/format.h"

namespace wb::outbox {
namespace {

// Of the file, what rows may take by row_cost_bytes(). The rest is room for B-tree pages that evictions have thinned
// out: SQLite merges a page with its neighbours only when it is less than a third full.
constexpr uint64_t kFillPercent = 55;
constexpr uint64_t kStateBytes = 192U << 10;  // state rows, deploy journal, free pages of a transaction
// Of the outbox, what one plan may pin: four lanes together at most half. Whatever comes while all is pinned would go
// at once, and nothing would stand for it (B4).
constexpr uint64_t kPinnedShare = 2 * kLanesCount;
// A full medium leaves at least so many evictable records of a pool, to stand for those that went (B4). With one, the
// variance of what it stands for would be without bound; with many, new records would find no room at all (R1).
constexpr uint64_t kSqueezeKeeps = 4;

// 16.32 fixed-point, then 16 bits that break ties the same way everywhere.
uint64_t priority_of(const Offer& offer, double value, uint64_t seq) {
  const auto fixed = static_cast<uint64_t>(offer.draw / value * 4294967296.0);
  const uint64_t tie = Prng((static_cast<uint64_t>(offer.lane) << 56) ^ seq).next() >> 48;
  return (fixed << 16) | tie;
}

double thinning_of(const Thresholds& thresholds, uint64_t arrival, double value) {
  const uint64_t t = thresholds.min_since(arrival);
  if (t == kNoThreshold || planted(Bug::kSurvivorsStandForNobody)) return 1;
  return std::min(1.0, std::ldexp(static_cast<double>(std::max<uint64_t>(t, 1)), -48) * value);
}

bool acceptable(const Offer& offer) {
  const auto lane = static_cast<uint8_t>(offer.lane);
  const auto rule = static_cast<uint8_t>(offer.rule);
  return lane >= 1 && lane <= kLanesCount && rule >= 1 && rule <= kRulesCount && !offer.record.empty() &&
         offer.record.size() <= kRecordBytesMax && offer.probability > 0 && offer.probability <= 1 && offer.draw >= 0 &&
         offer.draw < 1 && offer.value > 0;
}

bool smaller(uint64_t q, Lane lane, uint64_t seq, uint64_t other_q, Lane other_lane, uint64_t other_seq) {
  if (q != other_q) return q < other_q;
  if (lane != other_lane) return lane < other_lane;
  return seq < other_seq;
}
template <class Candidate>
bool heap_less(const Candidate& a, const Candidate& b) {
  return smaller(a.q, a.lane, a.seq, b.q, b.lane, b.seq);
}

}  // namespace

void Outbox::Changes::put_record(Lane lane, uint64_t seq, std::string value) {
  const size_t index = static_cast<size_t>(lane) - 1;
  if (put_at[index].empty()) first_seq[index] = seq;
  put_at[index].push_back(ops.size());
  ops.push_back(StoreOp{NodeTable::kRecords, record_key(lane, seq), std::move(value), false});
}

void Outbox::Changes::erase_record(Lane lane, uint64_t seq) {
  const size_t index = static_cast<size_t>(lane) - 1;
  if (!put_at[index].empty() && seq >= first_seq[index]) {
    StoreOp& put = ops[put_at[index][seq - first_seq[index]]];
    put.key.clear();
    put.value = {};
    cancelled = true;
    return;
  }
  ops.push_back(StoreOp{NodeTable::kRecords, record_key(lane, seq), {}, true});
}

void Outbox::Changes::put_state(std::string_view key, std::string value) {
  ops.push_back(StoreOp{NodeTable::kState, std::string(key), std::move(value), false});
}
void Outbox::Changes::erase_state(std::string_view key) {
  ops.push_back(StoreOp{NodeTable::kState, std::string(key), {}, true});
}
void Outbox::Changes::finish() {
  if (cancelled) std::erase_if(ops, [](const StoreOp& op) { return op.key.empty(); });
}

Outbox::Outbox(const Config& config, Instant now)
    : config_(config),
      capacity_bytes_(capacity_of(config.bytes_max)),
      dead_capacity_bytes_(capacity_bytes_ * config.dead_letter_percent / 100),
      budget_(config.budget_bytes_per_day, now) {}

uint64_t Outbox::capacity_of(uint64_t bytes_max) { return (bytes_max - kStateBytes) / 100 * kFillPercent; }

Outbox::Pool Outbox::pool_of(Lane lane) {
  if (lane == Lane::kCritical) return kCritical;
  return lane == Lane::kDeadLetter ? kDead : kNormal;
}

uint64_t Outbox::stored_bytes() const {
  uint64_t sum = 0;
  for (const PoolState& pool : pools_) sum += pool.cost_bytes;
  return sum;
}
uint64_t Outbox::stored_count() const {
  uint64_t sum = 0;
  for (const PoolState& pool : pools_) sum += pool.count;
  return sum;
}

Outbox::Head* Outbox::find(Lane lane, uint64_t seq) {
  std::deque<Head>& heads = lane_of(lane).heads;
  const auto at =
      std::lower_bound(heads.begin(), heads.end(), seq, [](const Head& h, uint64_t s) { return h.seq < s; });
  return at != heads.end() && at->seq == seq && !at->gone ? &*at : nullptr;
}

// ---- in

Taken Outbox::offer(Instant now, std::vector<Offer> offers, std::vector<StoreOp>& ops) {
  WB_ASSERT(offers.size() <= kOffersMax);
  Taken taken;
  Changes changes(ops);
  for (Offer& offer : offers) {
    if (!acceptable(offer)) {
      ++refused_;
      ++taken.refused_count;
      continue;
    }
    take(offer, changes);
    ++taken.taken_count;
    taken.evicted_count += make_room(changes);
  }
  budget_.count_time(now);
  if (taken.taken_count > 0) {
    save(changes);
    if (budget_.worth_saving()) save_budget(changes);
  }
  changes.finish();
  return taken;
}

void Outbox::take(Offer& offer, Changes& changes) {
  LaneState& lane = lane_of(offer.lane);
  Head head;
  head.seq = lane.counts.next_seq++;
  head.value = static_cast<double>(static_cast<float>(std::clamp(offer.value, 1 / kValueMax, kValueMax)));  // as kept
  head.q = priority_of(offer, head.value, head.seq);
  head.arrival = pools_[pool_of(offer.lane)].thresholds.next_event();
  head.probability = offer.probability;
  head.taken_unix_ms = offer.taken_unix_ms;
  head.bytes = static_cast<uint32_t>(offer.record.size());
  head.rule = offer.rule;
  std::string value = encode_head(
      RecordHead{head.rule, head.q, head.arrival, head.probability, head.value, head.taken_unix_ms, head.bytes});
  value.append(offer.record);
  changes.put_record(offer.lane, head.seq, std::move(value));
  ++lane.counts.produced;
  ++rules_[static_cast<size_t>(offer.rule) - 1].selected;
  add(offer.lane, head);
}

void Outbox::add(Lane lane_name, const Head& head) {
  LaneState& lane = lane_of(lane_name);
  PoolState& pool = pools_[pool_of(lane_name)];
  lane.heads.push_back(head);
  lane.present_bytes += head.bytes;
  ++lane.counts.waiting;
  pool.cost_bytes += row_cost_bytes(head.bytes);
  ++pool.count;
  if (head.seq > lane.sent_seq) {
    pool.heap.push_back(Candidate{head.q, head.seq, lane_name});
    std::push_heap(pool.heap.begin(), pool.heap.end(), heap_less<Candidate>);
  }
  // Where nothing is ever evicted nobody else takes out those that were acked.
  if (pool.heap.size() > 2 * pool.count + 64) rebuild_heap(pool_of(lane_name));
}

void Outbox::remove(Lane lane_name, Head& head) {
  LaneState& lane = lane_of(lane_name);
  PoolState& pool = pools_[pool_of(lane_name)];
  head.gone = true;
  ++lane.gone_count;
  lane.present_bytes -= head.bytes;
  --lane.counts.waiting;
  pool.cost_bytes -= row_cost_bytes(head.bytes);
  --pool.count;
}

void Outbox::drop_gone(Lane lane_name) {
  LaneState& lane = lane_of(lane_name);
  while (!lane.heads.empty() && lane.heads.front().gone) {
    lane.heads.pop_front();
    --lane.gone_count;
  }
  if (lane.gone_count <= lane.heads.size() / 2 + 32) return;
  std::erase_if(lane.heads, [](const Head& head) { return head.gone; });
  lane.gone_count = 0;
}

// ---- eviction

uint64_t Outbox::evicted_count() const {
  uint64_t sum = 0;
  for (const LaneState& lane : lanes_) sum += lane.counts.evicted;
  return sum;
}

uint64_t Outbox::make_room(Changes& changes) {
  const uint64_t before = evicted_count();
  while (pools_[kDead].cost_bytes > dead_capacity_bytes_ && evict_largest(kDead, changes)) {
  }
  while (stored_bytes() > capacity_bytes_ || stored_count() > config_.entries_max)
    if (!(planted(Bug::kCriticalGoesFirst) && evict_largest(kCritical, changes)) && !evict_largest(kNormal, changes) &&
        !evict_largest(kDead, changes) && !evict_largest(kCritical, changes))
      break;
  return evicted_count() - before;
}

// False if the pool has nothing that may go: it is empty, or all of it was sent and waits for its ack.
bool Outbox::evict_largest(Pool pool_id, Changes& changes) {
  PoolState& pool = pools_[pool_id];
  if (pool.heap.size() > 2 * pool.count + 64) rebuild_heap(pool_id);
  while (!pool.heap.empty()) {
    const Candidate top = pool.heap.front();
    std::pop_heap(pool.heap.begin(), pool.heap.end(), heap_less<Candidate>);
    pool.heap.pop_back();
    Head* head = top.seq > lane_of(top.lane).sent_seq ? find(top.lane, top.seq) : nullptr;
    if (head == nullptr) continue;
    evict(top.lane, *head, changes);
    pool.changed = true;
    if (const auto merge = pool.thresholds.push(top.q)) apply_merge(pool_id, *merge, changes);
    drop_gone(top.lane);
    return true;
  }
  return false;
}

void Outbox::evict(Lane lane_name, Head& head, Changes& changes) {
  LaneState& lane = lane_of(lane_name);
  RuleCounts& rule = rules_[static_cast<size_t>(head.rule) - 1];
  ++lane.counts.evicted;
  ++lane.evicted_open;
  ++rule.evicted;
  rule.evicted_weight += 1 / head.probability;
  changes.erase_record(lane_name, head.seq);
  remove(lane_name, head);
}

void Outbox::apply_merge(Pool pool_id, const Thresholds::Merge& merge, Changes& changes) {
  for (const Lane lane_name : kLanes) {
    if (pool_of(lane_name) != pool_id) continue;
    LaneState& lane = lane_of(lane_name);
    for (Head& head : lane.heads)
      if (!head.gone && head.seq > lane.sent_seq && head.arrival > merge.after_event &&
          head.arrival <= merge.through_event && head.q >= merge.q)
        evict(lane_name, head, changes);
    drop_gone(lane_name);
  }
}

void Outbox::rebuild_heap(Pool pool_id) {
  PoolState& pool = pools_[pool_id];
  pool.heap.clear();
  for (const Lane lane_name : kLanes) {
    const LaneState& lane = lane_of(lane_name);
    if (pool_of(lane_name) != pool_id) continue;
    for (const Head& head : lane.heads)
      if (!head.gone && head.seq > lane.sent_seq) pool.heap.push_back(Candidate{head.q, head.seq, lane_name});
  }
  std::make_heap(pool.heap.begin(), pool.heap.end(), heap_less<Candidate>);
}

uint64_t Outbox::squeeze(uint64_t stored_bytes_max, std::vector<StoreOp>& ops) {
  Changes changes(ops);
  const uint64_t before = evicted_count();
  for (const Pool pool : {kNormal, kDead, kCritical}) {
    uint64_t left = evictable_count(pool);
    while (stored_bytes() > stored_bytes_max && left > kSqueezeKeeps) {
      const uint64_t at = evicted_count();
      if (!evict_largest(pool, changes)) break;
      left -= std::min(left, evicted_count() - at);
    }
  }
  const uint64_t evicted = evicted_count() - before;
  if (evicted > 0) save(changes);
  return evicted;
}

uint64_t Outbox::evictable_count(Pool pool) const {
  uint64_t count = 0;
  for (const Lane lane_name : kLanes) {
    const LaneState& lane = lane_of(lane_name);
    if (pool_of(lane_name) != pool) continue;
    for (const Head& head : lane.heads) count += !head.gone && head.seq > lane.sent_seq ? 1 : 0;
  }
  return count;
}

// ---- out

Plan Outbox::plan(Instant now, const PlanLimits& limits, std::vector<StoreOp>& ops) {
  budget_.count_time(now);
  Plan plan;
  plan.budget_day = budget_.day();
  Changes changes(ops);
  PlanLimits left = limits;
  left.records_max = std::min<uint32_t>(left.records_max, config_.entries_max / kPinnedShare);
  left.bytes_max =
      std::min(left.bytes_max, std::max(capacity_bytes_ / kPinnedShare, kRecordBytesMax + kWireOverheadBytes));
  for (const Lane lane_name : kLanes) {
    LaneState& lane = lane_of(lane_name);
    LanePlan part = plan_lane(lane_name, left, budget_.left_bytes());
    if (part.through_seq == part.after_seq) continue;
    uint64_t bytes = 0;
    for (const PlannedRecord& record : part.records) bytes += record.bytes + kWireOverheadBytes;
    WB_ASSERT(budget_.reserve(bytes));
    plan.reserved_bytes += bytes;
    left.bytes_max -= bytes;
    left.records_max -= static_cast<uint32_t>(part.records.size());
    if (part.through_seq > lane.sent_seq) {
      lane.sent_seq = part.through_seq;
      lane.evicted_sent = part.evicted_count;
      lane.sent_thresholds = pools_[pool_of(lane_name)].thresholds;
      lane.sent_thresholds.forget_before(part.records.empty() ? lane.sent_thresholds.next_event()
                                                              : find(lane_name, part.records.front().seq)->arrival);
      save_sent(lane_name, changes);
    }
    plan.lanes.push_back(std::move(part));
  }
  forget_thresholds();
  if (!plan.empty()) save(changes);
  if (plan.reserved_bytes > 0) save_budget(changes);
  return plan;
}

// What was sent and is not acked goes again, as it was; only then does the lane go on.
LanePlan Outbox::plan_lane(Lane lane_name, const PlanLimits& left, uint64_t budget_bytes) const {
  const LaneState& lane = lane_of(lane_name);
  const bool again = lane.sent_seq > lane.counts.acked_seq;
  const Thresholds& thresholds = again ? lane.sent_thresholds : pools_[pool_of(lane_name)].thresholds;
  const uint64_t end = again ? lane.sent_seq : lane.counts.next_seq - 1;
  uint64_t room = std::min(left.bytes_max, budget_bytes);
  LanePlan plan;
  plan.lane = lane_name;
  plan.after_seq = lane.counts.acked_seq;
  plan.through_seq = end;
  for (const Head& head : lane.heads) {
    if (head.gone) continue;
    if (head.seq > end) break;
    const uint64_t bytes = head.bytes + kWireOverheadBytes;
    if (bytes > room || plan.records.size() >= left.records_max) {
      plan.through_seq = head.seq - 1;
      break;
    }
    room -= bytes;
    plan.records.push_back(PlannedRecord{head.seq, thinning_of(thresholds, head.arrival, head.value),
                                         record_key(lane_name, head.seq), head.bytes});
  }
  count_gap(plan);
  return plan;
}

// Evictions are taken to be the oldest of the holes. Summed over all ranges the split is exact, for a range that goes
// again is split as before: an eviction behind it is not its own, though it may have a hole that was none then.
void Outbox::count_gap(LanePlan& plan) const {
  const LaneState& lane = lane_of(plan.lane);
  const uint64_t gap = plan.through_seq - plan.after_seq - plan.records.size();
  const uint64_t evicted = plan.through_seq <= lane.sent_seq ? lane.evicted_sent : lane.evicted_open;
  plan.evicted_count = planted(Bug::kLossHidden) ? gap : std::min(gap, evicted);
  plan.lost_count = gap - plan.evicted_count;
}

void Outbox::acked(Lane lane_name, uint64_t through_seq, std::vector<StoreOp>& ops) {
  LaneState& lane = lane_of(lane_name);
  if (through_seq > lane.sent_seq) {
    ++acks_beyond_sent_;
    through_seq = lane.sent_seq;
  }
  if (through_seq <= lane.counts.acked_seq) return;
  Changes changes(ops);
  uint64_t effected = 0;
  for (Head& head : lane.heads) {
    if (head.seq > through_seq) break;
    if (head.gone) continue;
    ++effected;
    ++rules_[static_cast<size_t>(head.rule) - 1].uploaded;
    changes.erase_record(lane_name, head.seq);
    remove(lane_name, head);
  }
  const uint64_t gap = through_seq - lane.counts.acked_seq - effected;
  const uint64_t evicted = std::min(gap, lane.evicted_sent);
  lane.evicted_open -= evicted;
  lane.evicted_sent -= evicted;
  lane.counts.effected += effected;
  lane.counts.acked_seq = through_seq;
  drop_gone(lane_name);
  if (through_seq == lane.sent_seq) {
    lane.sent_thresholds = {};
    lane.evicted_sent = 0;
    changes.erase_state(sent_key(lane_name));
  } else if (evicted > 0) {
    save_sent(lane_name, changes);
  }
  forget_thresholds();
  save(changes);
}

void Outbox::lost(Lane lane_name, uint64_t seq, std::vector<StoreOp>& ops) {
  Head* head = find(lane_name, seq);
  if (head == nullptr) return;
  Changes changes(ops);
  changes.erase_record(lane_name, seq);
  if (!planted(Bug::kLossUncounted)) ++lane_of(lane_name).counts.lost;
  remove(lane_name, *head);
  drop_gone(lane_name);
  save(changes);
}

void Outbox::refund(const Plan& plan, std::vector<StoreOp>& ops) {
  if (plan.reserved_bytes == 0) return;
  Changes changes(ops);
  budget_.refund(plan.reserved_bytes, plan.budget_day);
  save_budget(changes);
}

void Outbox::hub_time(Instant now, int64_t hub_unix_ms, std::vector<StoreOp>& ops) {
  Changes changes(ops);
  if (budget_.hub_time(now, hub_unix_ms)) save_budget(changes);
}

void Outbox::rebase(std::vector<StoreOp>& ops) {
  Changes changes(ops);
  for (const Lane lane_name : kLanes) {
    LaneState& lane = lane_of(lane_name);
    if (lane.sent_seq == lane.counts.acked_seq) continue;
    const uint64_t was_sent = std::exchange(lane.sent_seq, lane.counts.acked_seq);
    lane.evicted_sent = 0;
    unpin(lane_name, was_sent, changes);
    changes.erase_state(sent_key(lane_name));
  }
  for (size_t pool = 0; pool < kPoolsCount; ++pool) rebuild_heap(static_cast<Pool>(pool));
  save(changes);
}

// Back among those that may be evicted, as if the evictions it sat out had met it too.
void Outbox::unpin(Lane lane_name, uint64_t through_seq, Changes& changes) {
  LaneState& lane = lane_of(lane_name);
  PoolState& pool = pools_[pool_of(lane_name)];
  for (const Thresholds::Merge& merge : pool.thresholds.absorb(std::exchange(lane.sent_thresholds, {})))
    apply_merge(pool_of(lane_name), merge, changes);
  pool.changed = true;
  for (Head& head : lane.heads)
    if (!head.gone && head.seq <= through_seq && head.q >= pool.thresholds.min_since(head.arrival))
      evict(lane_name, head, changes);
  drop_gone(lane_name);
}

// ---- what is kept

void Outbox::forget_thresholds() {
  std::array<uint64_t, kPoolsCount> first{};
  for (size_t i = 0; i < kPoolsCount; ++i) first[i] = pools_[i].thresholds.next_event();
  for (const Lane lane_name : kLanes) {
    const LaneState& lane = lane_of(lane_name);
    uint64_t& oldest = first[pool_of(lane_name)];
    for (const Head& head : lane.heads) {
      if (head.gone || head.seq <= lane.sent_seq) continue;
      oldest = std::min(oldest, head.arrival);
      break;
    }
  }
  for (size_t i = 0; i < kPoolsCount; ++i) {
    const size_t before = pools_[i].thresholds.entries().size();
    pools_[i].thresholds.forget_before(first[i]);
    if (pools_[i].thresholds.entries().size() != before) pools_[i].changed = true;
  }
}

void Outbox::save(Changes& changes) {
  if (!planted(Bug::kCountersNotSaved)) changes.put_state(kCountersKey, encode_counters());
  for (size_t i = 0; i < kPoolsCount; ++i) {
    if (!pools_[i].changed) continue;
    changes.put_state(thresholds_key(i), pools_[i].thresholds.encode());
    pools_[i].changed = false;
  }
}

void Outbox::save_budget(Changes& changes) {
  changes.put_state(kBudgetKey, budget_.encode());
  budget_.saved();
}

void Outbox::save_sent(Lane lane, Changes& changes) {
  changes.put_state(sent_key(lane),
                    encode_sent(lane_of(lane).sent_seq, lane_of(lane).evicted_sent, lane_of(lane).sent_thresholds));
}

View Outbox::view(Instant now) const {
  Budget budget = budget_;
  budget.count_time(now);
  View view;
  view.rules = rules_;
  view.stored_bytes = stored_bytes();
  view.capacity_bytes = capacity_bytes_;
  view.budget_left_bytes = budget.left_bytes();
  view.next_budget_in_ms = budget.next_day_in_ms();
  view.refused = refused_;
  view.acks_beyond_sent = acks_beyond_sent_;
  for (size_t i = 0; i < kLanesCount; ++i) {
    const LaneState& lane = lanes_[i];
    view.lanes[i] = lane.counts;
    view.waiting_count += lane.counts.waiting;
    view.waiting_bytes += lane.present_bytes;
    if (lane.counts.next_seq - 1 - lane.counts.acked_seq > lane.counts.waiting) view.gaps_waiting = true;
    if (lane.heads.empty()) continue;
    const int64_t taken = lane.heads.front().taken_unix_ms;
    if (view.oldest_taken_unix_ms == 0 || taken < view.oldest_taken_unix_ms) view.oldest_taken_unix_ms = taken;
  }
  view.sendable_bytes =
      next_record_fits(view.budget_left_bytes) ? std::min(view.waiting_bytes, view.budget_left_bytes) : 0;
  view.critical_waiting = lane_of(Lane::kCritical).counts.waiting > 0;
  return view;
}

// Whether any lane's next record is within what is left of the day: a budget with a few bytes left sends nothing.
bool Outbox::next_record_fits(uint64_t budget_left_bytes) const {
  for (const LaneState& lane : lanes_)
    for (const Head& head : lane.heads) {
      if (head.gone) continue;
      if (head.bytes + kWireOverheadBytes <= budget_left_bytes) return true;
      break;
    }
  return false;
}

Result<std::string_view> Outbox::record_of(std::string_view row_value) {
  if (!decode_head(row_value, row_value.size())) return fail(Code::kCorrupt, "a row of the outbox is no record");
  return row_value.substr(head_bytes(row_value));
}

}  // namespace wb::outbox
