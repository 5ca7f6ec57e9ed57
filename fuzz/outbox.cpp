// The node's outbox over whatever rows its store may hold: it starts, its counts add up, and what it does next can be
// stored, sent and taken by a hub; started again from what it stored, it is where it was (Q4, Q5, Q6, B1).
#include <map>

#include "edge/outbox/format.h"
#include "edge/outbox/outbox.h"
#include "fuzz/fuzz.h"

using namespace wb;
using namespace wb::outbox;

namespace {

using Store = std::map<std::pair<NodeTable, std::string>, std::string>;

const std::vector<std::string>& state_keys() {
  static const std::vector<std::string> kKeys = [] {
    std::vector<std::string> keys = {std::string(kCountersKey), std::string(kBudgetKey)};
    for (size_t pool = 0; pool < 3; ++pool) keys.push_back(thresholds_key(pool));
    for (const Lane lane : kLanes) keys.push_back(sent_key(lane));
    return keys;
  }();
  return kKeys;
}

// A byte says which row; its key follows if it is none of the known ones.
Store read_store(fuzz::Feed& feed) {
  Store store;
  while (!feed.empty()) {
    const uint8_t which = feed.byte();
    if (which == 0xFF) break;
    if (which < state_keys().size()) {
      store[{NodeTable::kState, state_keys()[which]}] = feed.text();
    } else if (which < 128) {
      std::string key(1, static_cast<char>(which % 6));
      key += key_u64(feed.number(8));
      store[{NodeTable::kRecords, key}] = feed.text();
    } else {
      const std::string key(feed.text());
      store[{which % 2 == 0 ? NodeTable::kState : NodeTable::kRecords, key}] = feed.text();
    }
  }
  return store;
}

StoredState found_in(const Store& store) {
  StoredState found;
  for (const auto& [key, value] : store) {
    StoredRow row{key.first, key.second, value, static_cast<uint32_t>(value.size())};
    if (row.table == NodeTable::kRecords) row.value.resize(std::min<size_t>(row.value.size(), kRecordHeadBytes));
    found.rows.push_back(std::move(row));
  }
  return found;
}

void perform(const std::vector<StoreOp>& ops, Store& store) {
  for (const StoreOp& op : ops) {
    // The real store refuses other keys, and a ticket that it refuses is tried again for ever.
    if (op.table == NodeTable::kRecords && !op.erase)
      WB_HOLDS(op.key.size() == 9 && read_u64_be(std::string_view(op.key).substr(1)) < (1ULL << 56),
               "a record under a key that no store takes");
    if (op.erase)
      store.erase({op.table, op.key});
    else
      store[{op.table, op.key}] = op.value;
  }
}

View check(const Outbox& box, Instant now) {
  const View view = box.view(now);
  uint64_t waiting = 0;
  for (const LaneCounts& lane : view.lanes) {
    WB_HOLDS(lane.produced == lane.effected + lane.waiting + lane.evicted + lane.lost, "Q4");
    WB_HOLDS(lane.acked_seq < lane.next_seq, "acked beyond what was given out");
    WB_HOLDS(lane.waiting <= lane.next_seq - 1 - lane.acked_seq, "more waiting than numbers");
    waiting += lane.waiting;
  }
  WB_HOLDS(waiting == view.waiting_count, "waiting");
  return view;
}

void check_same(const View& a, const View& b) {
  for (size_t i = 0; i < kLanesCount; ++i) {
    WB_HOLDS(a.lanes[i].next_seq == b.lanes[i].next_seq && a.lanes[i].acked_seq == b.lanes[i].acked_seq,
             "numbers moved");
    WB_HOLDS(a.lanes[i].waiting == b.lanes[i].waiting && a.lanes[i].lost == b.lanes[i].lost, "counts moved");
    WB_HOLDS(a.lanes[i].produced == b.lanes[i].produced && a.lanes[i].evicted == b.lanes[i].evicted, "counts moved");
  }
}

Opened open(const Store& store, const Config& config) {
  auto opened = Outbox::open(config, found_in(store), Instant{0});
  WB_HOLDS(opened.ok(), opened.ok() ? "" : opened.error().text);
  return std::move(opened).value();
}

void use(Outbox& box, Store& store, uint8_t choice) {
  const auto step = [&](auto&& work) {
    std::vector<StoreOp> ops;
    work(ops);
    perform(ops, store);
    check(box, Instant{kNsPerSecond});
  };
  step([&](auto& ops) {
    std::vector<Offer> offers;
    for (int i = 0; i < 3; ++i) {
      Offer offer;
      offer.lane = kLanes[static_cast<size_t>(choice + i) % kLanesCount];
      offer.record = std::string(choice + 1U, 'r');
      offer.probability = 0.5;
      offers.push_back(offer);
    }
    const Taken taken = box.offer(Instant{kNsPerSecond}, offers, ops);
    WB_HOLDS(taken.taken_count + taken.refused_count == 3, "offers");
  });
  Plan plan;
  step([&](auto& ops) { plan = box.plan(Instant{kNsPerSecond}, PlanLimits{}, ops); });
  for (const LanePlan& lane : plan.lanes) {
    WB_HOLDS(lane.through_seq > lane.after_seq, "an empty part");
    WB_HOLDS(lane.through_seq - lane.after_seq == lane.records.size() + lane.evicted_count + lane.lost_count,
             "Q4 on the wire");
    uint64_t last = lane.after_seq;
    for (const PlannedRecord& record : lane.records) {
      WB_HOLDS(record.seq > last && record.seq <= lane.through_seq, "out of order");
      WB_HOLDS(record.thinning > 0 && record.thinning <= 1, "B4: thinning " + std::to_string(record.thinning));
      last = record.seq;
    }
  }
  if ((choice & 1U) != 0) step([&](auto& ops) { box.refund(plan, ops); });
  if ((choice & 2U) != 0 && !plan.lanes.empty() && !plan.lanes[0].records.empty())
    step([&](auto& ops) { box.lost(plan.lanes[0].lane, plan.lanes[0].records[0].seq, ops); });
  if ((choice & 4U) != 0) step([&](auto& ops) { box.rebase(ops); });
  for (const LanePlan& lane : plan.lanes)
    step([&](auto& ops) { box.acked(lane.lane, (choice & 8U) != 0 ? lane.through_seq : UINT64_MAX, ops); });
  step([&](auto& ops) { box.hub_time(Instant{kNsPerSecond}, static_cast<int64_t>(choice) << 55, ops); });
  step([&](auto& ops) { (void)box.squeeze(choice * 16ULL, ops); });
}

}  // namespace

WB_FUZZ_TARGET(outbox) {
  fuzz::Feed feed(bytes);
  const uint8_t choice = feed.byte();
  Config config;
  config.bytes_max = kBytesMin;
  config.entries_max = 64;
  config.budget_bytes_per_day = (choice & 16U) != 0 ? 100'000 : kNoBudget;
  Store store = read_store(feed);
  Opened opened = open(store, config);
  const View first = check(opened.outbox, Instant{0});
  perform(opened.ops, store);
  // A crash right after recovery, and one more: nothing moves any further (Q6).
  Opened again = open(store, config);
  check_same(first, check(again.outbox, Instant{0}));
  WB_HOLDS(again.lost_count == 0 && again.damaged_heads_count == 0 && !again.new_incarnation_needed,
           "recovery is not done after it");
  use(again.outbox, store, choice);
  const View last = check(again.outbox, Instant{0});
  for (const LaneCounts& lane : last.lanes)
    if (lane.next_seq >= kSeqMax) return;  // found just below it and used: the next start takes it for damage, once
  const Opened end = open(store, config);
  check_same(last, check(end.outbox, Instant{0}));
}

WB_FUZZ_SEEDS(outbox) {
  const auto write = [&](uint8_t choice, const Store& store) {
    fuzz::FeedWriter out;
    out.byte(choice);
    for (const auto& [key, value] : store) {
      const auto known = std::find(state_keys().begin(), state_keys().end(), key.second);
      if (known != state_keys().end())
        out.byte(static_cast<uint8_t>(known - state_keys().begin())).text(value);
      else
        out.byte(static_cast<uint8_t>(60 + key.second[0])).rest(key.second.substr(1)).text(value);
    }
    put(out.bytes());
  };
  Config config;
  config.bytes_max = kBytesMin;
  config.entries_max = 64;
  Store store;
  Opened opened = open(store, config);
  perform(opened.ops, store);
  write(0, store);
  for (uint8_t round = 0; round < 5; ++round) {
    std::vector<StoreOp> ops;
    std::vector<Offer> offers;
    for (size_t i = 0; i < 20; ++i) {
      Offer offer;
      offer.lane = kLanes[i % 3];
      offer.draw = static_cast<double>(i) / 20;
      offer.record = std::string(10 + i, 'r');
      offers.push_back(offer);
    }
    (void)opened.outbox.offer(Instant{round * kNsPerSecond}, offers, ops);
    const Plan plan = opened.outbox.plan(Instant{round * kNsPerSecond}, PlanLimits{400, 10}, ops);
    if (round > 1 && !plan.lanes.empty()) opened.outbox.acked(plan.lanes[0].lane, plan.lanes[0].through_seq, ops);
    perform(ops, store);
    if (round < 2 || round == 4) write(static_cast<uint8_t>(round * 13), store);
  }
}
