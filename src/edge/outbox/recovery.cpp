// Recovery is construction: the outbox is made from whatever rows the store still has. What should be there and is not
// is declared lost (Q4, Q5). Nothing found on a disk is an error; it is at most a loss with a number.
#include <algorithm>
#include <bit>
#include <map>

#include "base/planted.h"
#include "edge/outbox/format.h"
#include "edge/outbox/outbox.h"

namespace wb::outbox {
namespace {

constexpr uint8_t kCountersVersion = 1;  // persisted (since 0.1)
constexpr size_t kLaneFields = 7;
constexpr size_t kRuleFields = 4;
// With as many rules as there were when it was written: Rule only grows (7 before it had kEvent).
constexpr size_t counters_bytes(size_t rules) { return 1 + 8 * (kLanesCount * kLaneFields + rules * kRuleFields); }
constexpr size_t kRulesCountFirst = 7;
constexpr std::string_view kPrefix = "outbox/";

}  // namespace

std::string Outbox::encode_counters() const {
  std::string out(1, static_cast<char>(kCountersVersion));
  for (const LaneState& lane : lanes_) {
    const LaneCounts& c = lane.counts;
    for (const uint64_t field : {c.next_seq, c.acked_seq, c.produced, c.effected, c.evicted, c.lost, lane.evicted_open})
      append_u64_be(out, field);
  }
  for (const RuleCounts& rule : rules_)
    for (const uint64_t field :
         {rule.selected, rule.uploaded, rule.evicted, std::bit_cast<uint64_t>(rule.evicted_weight)})
      append_u64_be(out, field);
  return out;
}

bool Outbox::decode_counters(std::string_view bytes) {
  size_t rules_count = kRulesCountFirst;
  while (rules_count < kRulesCount && bytes.size() != counters_bytes(rules_count)) ++rules_count;
  if (bytes.size() != counters_bytes(rules_count) || static_cast<uint8_t>(bytes[0]) != kCountersVersion) return false;
  size_t at = 1;
  const auto next = [&] {
    const uint64_t value = read_u64_be(bytes.substr(at));
    at += 8;
    return value;
  };
  for (LaneState& lane : lanes_) {
    LaneCounts& c = lane.counts;
    for (uint64_t* field :
         {&c.next_seq, &c.acked_seq, &c.produced, &c.effected, &c.evicted, &c.lost, &lane.evicted_open})
      *field = next();
    if (planted(Bug::kEvictionsForgotten)) c.evicted = 0;
    if (c.next_seq == 0 || c.next_seq >= kSeqMax || c.acked_seq >= c.next_seq) return false;
    lane.sent_seq = c.acked_seq;
  }
  for (size_t i = 0; i < rules_count; ++i) {
    RuleCounts& rule = rules_[i];
    for (uint64_t* field : {&rule.selected, &rule.uploaded, &rule.evicted}) *field = next();
    rule.evicted_weight = std::bit_cast<double>(next());
  }
  return true;
}

class Recovery {
 public:
  Recovery(Opened& opened, const StoredState& found)
      : opened_(opened), box_(opened.outbox), found_(found), changes_(opened.ops) {}

  void run(const Config& config, Instant now) {
    collect_state();
    const bool found_any = !state_.empty() || found_.damaged_rows_count > 0 || has_records();
    const auto counters = state_.find(kCountersKey);
    const bool counters_ok = counters != state_.end() && box_.decode_counters(counters->second);
    if (!counters_ok) {
      box_.lanes_ = {};
      box_.rules_ = {};
      opened_.new_incarnation_needed = found_any;
    }
    // The hub may know numbers that the counters do not know any more.
    if (found_.commits_lost) opened_.new_incarnation_needed = opened_.thinning_unknown = true;
    read_sent(counters_ok);
    read_records(counters_ok);
    read_thresholds(found_any && !counters_ok);
    for (const Lane lane : kLanes) settle(lane, counters_ok);
    read_budget(config, now, found_any);
    for (size_t pool = 0; pool < Outbox::kPoolsCount; ++pool) box_.rebuild_heap(static_cast<Outbox::Pool>(pool));
    box_.make_room(changes_);
    if (!counters_ok || box_.encode_counters() != counters->second || thresholds_changed() || !changes_.ops.empty())
      box_.save(changes_);  // whatever was found out is found out once
    changes_.finish();
  }

 private:
  void collect_state() {
    for (const StoredRow& row : found_.rows)
      if (row.table == NodeTable::kState && row.key.starts_with(kPrefix)) state_.emplace(row.key, row.value);
  }
  bool has_records() const {
    return std::any_of(found_.rows.begin(), found_.rows.end(),
                       [](const StoredRow& row) { return row.table == NodeTable::kRecords; });
  }

  // A row that cannot be read pins all: the hub may have any of it.
  void read_sent(bool counters_ok) {
    for (const Lane lane_name : kLanes) {
      const auto row = state_.find(sent_key(lane_name));
      if (row == state_.end()) continue;
      Outbox::LaneState& lane = box_.lane_of(lane_name);
      auto sent = decode_sent(row->second);
      if (!counters_ok) {
        if (sent && sent->seq < kSeqMax - 1) lane.counts.next_seq = sent->seq + 1;
        changes_.erase_state(row->first);  // a new incarnation has sent nothing
        continue;
      }
      if (!sent) opened_.thinning_unknown = true;
      lane.sent_seq =
          sent ? std::clamp(sent->seq, lane.counts.acked_seq, lane.counts.next_seq - 1) : lane.counts.next_seq - 1;
      lane.evicted_sent = sent ? sent->evicted_count.value_or(lane.evicted_open) : lane.evicted_open;
      if (sent) lane.sent_thresholds = std::move(sent->thresholds);
    }
  }

  void read_records(bool counters_ok) {
    for (const StoredRow& row : found_.rows) {
      if (row.table != NodeTable::kRecords) continue;
      if (planted(Bug::kRecoveryDropsLast) && &row == &found_.rows.back()) break;
      const auto place = read_record_key(row.key);
      const auto head = decode_head(row.value, row.value_bytes);
      Outbox::LaneState* lane = place ? &box_.lane_of(place->lane) : nullptr;
      const bool in_order = lane != nullptr && (lane->heads.empty() || lane->heads.back().seq < place->seq);
      if (!head || !in_order) {
        ++opened_.damaged_heads_count;
        changes_.ops.push_back(StoreOp{NodeTable::kRecords, row.key, {}, true});
        continue;
      }
      if (counters_ok && place->seq <= lane->counts.acked_seq) {  // the hub has it
        changes_.erase_record(place->lane, place->seq);
        continue;
      }
      if (place->seq >= lane->counts.next_seq) {
        // The counters are older than the records: what they say was sent cannot be trusted either.
        if (counters_ok) {
          lane->counts.produced += place->seq + 1 - lane->counts.next_seq;
          opened_.new_incarnation_needed = true;
        }
        lane->counts.next_seq = place->seq + 1;
      }
      newest_arrival_ = std::max(newest_arrival_, head->arrival);
      Outbox::Head made{place->seq,  head->q,    head->arrival, head->probability, head->value, head->taken_unix_ms,
                        head->bytes, head->rule, false};
      box_.add(place->lane, made);
    }
  }

  void read_thresholds(bool counters_lost) {
    for (size_t i = 0; i < Outbox::kPoolsCount; ++i) {
      Outbox::PoolState& pool = box_.pools_[i];
      const auto row = state_.find(thresholds_key(i));
      auto thresholds = row == state_.end() ? std::optional<Thresholds>() : Thresholds::decode(row->second);
      if (thresholds) {
        pool.thresholds = std::move(*thresholds);
      } else if (row != state_.end() || counters_lost || evicted_any(i)) {
        opened_.thinning_unknown = true;
        pool.changed = true;
      }
      if (newest_arrival_ > pool.thresholds.next_event() && newest_arrival_ < kSeqMax && !thresholds)
        pool.thresholds.start_at(newest_arrival_);
    }
  }
  bool thresholds_changed() const {
    return std::any_of(box_.pools_.begin(), box_.pools_.end(), [](const auto& pool) { return pool.changed; });
  }
  bool evicted_any(size_t pool) const {
    for (const Lane lane : kLanes)
      if (Outbox::pool_of(lane) == pool && box_.lane_of(lane).counts.evicted > 0) return true;
    return false;
  }

  // Makes produced = effected + waiting + evicted + lost true again; the difference is what was lost.
  void settle(Lane lane_name, bool counters_ok) {
    Outbox::LaneState& lane = box_.lane_of(lane_name);
    LaneCounts& c = lane.counts;
    if (!counters_ok) {
      c.acked_seq = lane.heads.empty() ? c.next_seq - 1 : lane.heads.front().seq - 1;
      lane.sent_seq = c.acked_seq;
      c.produced = c.next_seq - 1 - c.acked_seq;
    }
    const uint64_t gap = c.next_seq - 1 - c.acked_seq - c.waiting;
    lane.evicted_open = std::min(lane.evicted_open, gap);
    lane.evicted_sent = std::min(lane.evicted_sent, lane.evicted_open);
    const uint64_t known = c.effected + c.waiting + c.evicted + c.lost;
    if (c.produced < known) {  // only from counters that were never written by this code
      c.produced = known;
    } else if (c.produced > known) {
      c.lost += c.produced - known;
      opened_.lost_count += c.produced - known;
    }
  }

  void read_budget(const Config& config, Instant now, bool found_any) {
    if (planted(Bug::kBudgetPerBoot)) return;
    const auto row = state_.find(kBudgetKey);
    auto budget =
        row == state_.end() ? std::optional<Budget>() : Budget::decode(row->second, config.budget_bytes_per_day, now);
    if (budget && !found_.commits_lost) {
      box_.budget_ = *budget;
      return;
    }
    if (found_any)
      box_.budget_.set_spent(kNoBudget / 2);  // how much was sent today is not known: nothing more goes today
    box_.save_budget(changes_);
  }

  Opened& opened_;
  Outbox& box_;
  const StoredState& found_;
  Outbox::Changes changes_;
  std::map<std::string, std::string, std::less<>> state_;
  uint64_t newest_arrival_ = 0;
};

Result<Opened> Outbox::open(const Config& config, const StoredState& found, Instant now) {
  if (config.bytes_max < kBytesMin)
    return fail(Code::kInvalid, "outbox: bytes_max is ", std::to_string(config.bytes_max), "; give at least 1MiB");
  if (config.entries_max < 64)
    return fail(Code::kInvalid, "outbox: entries_max is ", std::to_string(config.entries_max), "; give at least 64");
  if (config.dead_letter_percent < 1 || config.dead_letter_percent > 50)
    return fail(Code::kInvalid, "outbox: dead_letter_percent is ", std::to_string(config.dead_letter_percent),
                "; give 1 to 50");
  Opened opened{Outbox(config, now), {}, 0, 0, false, false};
  Recovery(opened, found).run(config, now);
  return opened;
}

}  // namespace wb::outbox
