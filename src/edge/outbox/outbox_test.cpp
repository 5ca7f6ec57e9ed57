// Taking in, sending, acking, crashing: Q1 Q2 Q3 Q4 Q5 Q6 B2 at the level of the outbox alone.
#include "edge/outbox/outbox.h"

#include <gtest/gtest.h>

#include <bit>
#include <set>

#include "base/test_memory.h"
#include "edge/outbox/disk_for_test.h"
#include "edge/outbox/format.h"

namespace wb::outbox {
namespace {

constexpr Config kConfig{.bytes_max = kBytesMin};

void offer_one(Outbox& box, Disk& disk, Offer offer, Instant now = {}) {
  std::vector<StoreOp> ops;
  std::vector<Offer> offers;
  offers.push_back(std::move(offer));
  (void)box.offer(now, std::move(offers), ops);
  disk.apply(ops);
}
Plan plan_all(Outbox& box, Disk& disk, PlanLimits limits = {}, Instant now = {}) {
  std::vector<StoreOp> ops;
  Plan plan = box.plan(now, limits, ops);
  disk.apply(ops);
  return plan;
}
void ack(Outbox& box, Disk& disk, Lane lane, uint64_t through) {
  std::vector<StoreOp> ops;
  box.acked(lane, through, ops);
  disk.apply(ops);
}

// What stood in a node's file before: heads of 64 bytes, and counters of seven rules.
std::string first_head(const RecordHead& head) {
  std::string out("\x01", 1);
  out.push_back(static_cast<char>(head.rule));
  out.append(2, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>((head.bytes >> shift) & 0xFFU));
  append_u64_be(out, head.q);
  append_u64_be(out, head.arrival);
  append_u64_be(out, std::bit_cast<uint64_t>(head.probability));
  append_u64_be(out, std::bit_cast<uint64_t>(head.value));
  append_u64_be(out, static_cast<uint64_t>(head.taken_unix_ms));
  out.resize(64, '\0');
  return out;
}

TEST(Outbox, RowsOfTheFirstVersionAreStillRead) {  // Q2 Q5
  Disk disk;
  {
    Opened opened = disk.open(kConfig);
    for (const char* text : {"one", "two", "three"}) offer_one(opened.outbox, disk, make_offer(Lane::kLive, text));
  }
  for (auto& [key, value] : disk.rows) {
    if (key.first == NodeTable::kRecords) {
      const RecordHead head = decode_head(value, value.size()).value();
      value = first_head(head) + std::string(Outbox::record_of(value).value());
    }
    if (key.second == kCountersKey) value.resize(value.size() - 32);
  }
  Opened again = disk.open(kConfig);
  EXPECT_EQ(again.lost_count + again.damaged_heads_count, 0U);
  EXPECT_FALSE(again.new_incarnation_needed);
  const Plan plan = plan_all(again.outbox, disk);
  ASSERT_EQ(plan.lanes.size(), 1U);
  ASSERT_EQ(plan.lanes[0].records.size(), 3U);
  EXPECT_EQ(disk.record(plan.lanes[0].records[1].key), "two");
  expect_exact(again.outbox.view({}));
}

TEST(Outbox, AHeadIsReadAsItWasWritten) {
  for (const int64_t taken : {int64_t{0}, int64_t{-1}, int64_t{1'700'000'000'000}, int64_t{-62'000'000'000'000}}) {
    const RecordHead head{Rule::kNovel, 0x1234'5678'9ABCULL, 77, 0.125, 8, taken, 5};
    const std::string bytes = encode_head(head) + "hello";
    const auto read = decode_head(bytes, bytes.size());
    ASSERT_TRUE(read);
    EXPECT_EQ(read->rule, head.rule);
    EXPECT_EQ(read->q, head.q);
    EXPECT_EQ(read->arrival, head.arrival);
    EXPECT_EQ(read->probability, head.probability);
    EXPECT_EQ(read->value, head.value);
    EXPECT_EQ(read->taken_unix_ms, taken);
    EXPECT_EQ(read->bytes, 5U);
    for (size_t cut = 0; cut < head_bytes(bytes) + 1; ++cut) EXPECT_FALSE(decode_head(bytes.substr(0, cut), cut));
  }
}

// With a hub that takes everything nothing is ever evicted: what was acked leaves no trace (found by wb_soak).
TEST(Outbox, WhatWasAckedTakesNoMemory) {
  Disk disk;
  Opened opened = disk.open(kConfig);
  const auto live = [&](uint64_t from, uint64_t to) {
    for (uint64_t seq = from; seq <= to; ++seq) {
      offer_one(opened.outbox, disk, make_offer(Lane::kLive, "reading", 0.5));
      if (seq % 8 != 0) continue;
      (void)plan_all(opened.outbox, disk);
      ack(opened.outbox, disk, Lane::kLive, seq);
    }
  };
  live(1, 2'000);
  const int64_t before = test_memory::memory_bytes;
  live(2'001, 40'000);
  EXPECT_LT(test_memory::memory_bytes - before, 100'000);
}

TEST(Outbox, RefusesAConfigItCannotKeep) {
  EXPECT_FALSE(Outbox::open({.bytes_max = kBytesMin - 1}, {}, {}).ok());
  EXPECT_FALSE(Outbox::open({.entries_max = 1}, {}, {}).ok());
  EXPECT_FALSE(Outbox::open({.dead_letter_percent = 90}, {}, {}).ok());
}

TEST(Outbox, SendsOldestFirstCriticalLaneFirst) {  // Q2
  Disk disk;
  Outbox box = disk.open(kConfig).outbox;
  offer_one(box, disk, make_offer(Lane::kBulk, "b1"));
  offer_one(box, disk, make_offer(Lane::kLive, "l1"));
  offer_one(box, disk, make_offer(Lane::kLive, "l2"));
  offer_one(box, disk, make_offer(Lane::kCritical, "c1"));
  offer_one(box, disk, make_offer(Lane::kDeadLetter, "d1"));
  const Plan plan = plan_all(box, disk);
  std::string sent;
  for (const LanePlan& lane : plan.lanes)
    for (const PlannedRecord& record : lane.records) sent += disk.record(record.key) + " ";
  EXPECT_EQ(sent, "c1 l1 l2 b1 d1 ");
  EXPECT_EQ(plan.lanes[1].after_seq, 0U);
  EXPECT_EQ(plan.lanes[1].through_seq, 2U);
}

TEST(Outbox, RefusesWhatIsNoRecordWithoutANumber) {
  Disk disk;
  Outbox box = disk.open(kConfig).outbox;
  offer_one(box, disk, make_offer(Lane::kLive, ""));
  offer_one(box, disk, make_offer(Lane::kLive, std::string(kRecordBytesMax + 1, 'x')));
  offer_one(box, disk, make_offer(Lane::kLive, "x", 1.0));
  offer_one(box, disk, make_offer(Lane::kLive, "x", 0.5, 0.0));
  offer_one(box, disk, make_offer(Lane::kLive, "x", 0.5, 1, -1));
  EXPECT_EQ(box.view({}).refused, 5U);
  EXPECT_EQ(box.view({}).lanes[1].next_seq, 1U);
  EXPECT_EQ(disk.records_count(), 0U);
}

TEST(Outbox, AckDeletesAndAnAckBeyondWhatWasSentDoesNot) {  // Q1: a false ack deletes nothing that was not sent
  Disk disk;
  Outbox box = disk.open(kConfig).outbox;
  for (int i = 0; i < 4; ++i) offer_one(box, disk, make_offer(Lane::kLive, "r" + std::to_string(i)));
  (void)plan_all(box, disk, {.bytes_max = 1'000, .records_max = 2});
  ack(box, disk, Lane::kLive, 100);
  EXPECT_EQ(box.view({}).acks_beyond_sent, 1U);
  EXPECT_EQ(box.view({}).waiting_count, 2U);
  EXPECT_EQ(disk.records_count(), 2U);
  EXPECT_EQ(box.view({}).lanes[1].effected, 2U);
  ack(box, disk, Lane::kLive, 1);  // an old ack
  EXPECT_EQ(box.view({}).lanes[1].acked_seq, 2U);
}

TEST(Outbox, ResendsTheSameRangeAfterALostAnswerAndACrash) {  // Q3
  Disk disk;
  Outbox box = disk.open(kConfig).outbox;
  for (int i = 0; i < 3; ++i) offer_one(box, disk, make_offer(Lane::kLive, "r" + std::to_string(i)));
  const Plan first = plan_all(box, disk);
  offer_one(box, disk, make_offer(Lane::kLive, "later"));
  const Plan again = plan_all(box, disk);
  EXPECT_EQ(again.lanes[0].through_seq, first.lanes[0].through_seq);
  Outbox after = disk.open(kConfig).outbox;
  EXPECT_EQ(plan_all(after, disk).lanes[0].through_seq, 3U);
  ack(after, disk, Lane::kLive, 3);
  const Plan next = plan_all(after, disk);
  EXPECT_EQ(next.lanes[0].after_seq, 3U);
  EXPECT_EQ(disk.record(next.lanes[0].records[0].key), "later");
}

TEST(Outbox, DamagedRowsAreDeclaredLostOnce) {  // Q4 Q5
  Disk disk;
  {
    Outbox box = disk.open(kConfig).outbox;
    for (int i = 0; i < 10; ++i) offer_one(box, disk, make_offer(Lane::kLive, "record"));
  }
  disk.rows.erase({NodeTable::kRecords, record_key(Lane::kLive, 4)});
  disk.rows.erase({NodeTable::kRecords, record_key(Lane::kLive, 10)});
  disk.rows[{NodeTable::kRecords, record_key(Lane::kLive, 5)}] = "no record";
  Opened opened = disk.open(kConfig);
  EXPECT_EQ(opened.lost_count, 3U);
  EXPECT_EQ(opened.damaged_heads_count, 1U);
  EXPECT_FALSE(opened.new_incarnation_needed);
  Opened second = disk.open(kConfig);
  EXPECT_EQ(second.lost_count, 0U);
  const Plan plan = plan_all(second.outbox, disk);
  EXPECT_EQ(plan.lanes[0].through_seq, 10U);
  EXPECT_EQ(plan.lanes[0].lost_count, 3U);
  EXPECT_EQ(plan.lanes[0].records.size(), 7U);
  expect_exact(second.outbox.view({}));
}

TEST(Outbox, ARowThatCannotBeLoadedIsDeclaredLost) {
  Disk disk;
  Outbox box = disk.open(kConfig).outbox;
  for (int i = 0; i < 3; ++i) offer_one(box, disk, make_offer(Lane::kLive, "record"));
  (void)plan_all(box, disk);
  std::vector<StoreOp> ops;
  box.lost(Lane::kLive, 2, ops);
  disk.apply(ops);
  const Plan plan = plan_all(box, disk);
  EXPECT_EQ(plan.lanes[0].lost_count, 1U);
  EXPECT_EQ(plan.lanes[0].records.size(), 2U);
  expect_exact(box.view({}));
}

TEST(Outbox, DamagedCountersAskForANewIncarnationBeyondEverythingSeen) {  // Q3 Q5
  Disk disk;
  {
    Outbox box = disk.open(kConfig).outbox;
    for (int i = 0; i < 5; ++i) offer_one(box, disk, make_offer(Lane::kLive, "record"));
  }
  disk.rows.erase({NodeTable::kState, std::string(kCountersKey)});
  disk.rows.erase({NodeTable::kRecords, record_key(Lane::kLive, 2)});
  Opened opened = disk.open(kConfig);
  EXPECT_TRUE(opened.new_incarnation_needed);
  EXPECT_EQ(opened.lost_count, 1U);
  EXPECT_EQ(opened.outbox.view({}).lanes[1].next_seq, 6U);
  expect_exact(opened.outbox.view({}));
  EXPECT_FALSE(disk.open(kConfig).new_incarnation_needed);
}

// Counters from before the last records, and nothing else amiss: no row to mend, but what was found out is kept.
TEST(Outbox, CountersBehindTheRecordsAskForANewIncarnationOnce) {  // Q5 Q6
  Disk disk;
  {
    Outbox box = disk.open(kConfig).outbox;
    offer_one(box, disk, make_offer(Lane::kLive, "record"));
    const std::string older = disk.rows[{NodeTable::kState, std::string(kCountersKey)}];
    offer_one(box, disk, make_offer(Lane::kLive, "record"));
    disk.rows[{NodeTable::kState, std::string(kCountersKey)}] = older;
  }
  const Opened opened = disk.open(kConfig);
  EXPECT_TRUE(opened.new_incarnation_needed);
  EXPECT_EQ(opened.lost_count, 0U);
  EXPECT_EQ(opened.outbox.view({}).lanes[1].next_seq, 3U);
  expect_exact(opened.outbox.view({}));
  EXPECT_FALSE(disk.open(kConfig).new_incarnation_needed);
}

TEST(Outbox, AnEmptyDiskIsNoDamageButAnEmptiedOneIs) {
  Disk disk;
  EXPECT_FALSE(disk.open(kConfig).new_incarnation_needed);
  Disk emptied;
  emptied.damaged_rows_count = 1;
  EXPECT_TRUE(emptied.open(kConfig).new_incarnation_needed);
}

TEST(Outbox, BudgetHoldsAcrossCrashesAndResends) {  // B2
  Disk disk;
  const Config config{.bytes_max = kBytesMin, .budget_bytes_per_day = 1'000};
  Outbox box = disk.open(config).outbox;
  for (int i = 0; i < 50; ++i) offer_one(box, disk, make_offer(Lane::kLive, std::string(72, 'x')));
  uint64_t sent_bytes = 0;
  for (int round = 0; round < 30; ++round) {
    const Plan plan = plan_all(box, disk, {.bytes_max = 300});
    for (const LanePlan& lane : plan.lanes)
      for (const PlannedRecord& record : lane.records) sent_bytes += record.bytes + kWireOverheadBytes;
    if (round % 3 == 0) box = disk.open(config).outbox;
  }
  EXPECT_EQ(sent_bytes, 1'000U);
  EXPECT_EQ(box.view({}).sendable_bytes, 0U);
  // 24 h of running time later there is a new day; a jump of the wall clock never enters here (T3).
  const Instant tomorrow{kDayMs * kNsPerMs};
  EXPECT_EQ(box.view(tomorrow).budget_left_bytes, 1'000U);
  // Or the hub says so, whose time is authenticated.
  std::vector<StoreOp> ops;
  box.hub_time({}, 1'700'000'000'000, ops);
  EXPECT_EQ(box.view({}).budget_left_bytes, 0U);
  box.hub_time({}, 1'700'000'000'000 + kDayMs - 1, ops);
  EXPECT_EQ(box.view({}).budget_left_bytes, 0U);
  box.hub_time({}, 1'700'000'000'000 + kDayMs, ops);
  EXPECT_EQ(box.view({}).budget_left_bytes, 1'000U);
}

TEST(Outbox, RefundGivesBackOnlyTheSameDay) {
  Disk disk;
  const Config config{.bytes_max = kBytesMin, .budget_bytes_per_day = 1'000};
  Outbox box = disk.open(config).outbox;
  for (int i = 0; i < 5; ++i) offer_one(box, disk, make_offer(Lane::kLive, std::string(72, 'x')));
  std::vector<StoreOp> ops;
  Plan plan = plan_all(box, disk);
  box.refund(plan, ops);
  EXPECT_EQ(box.view({}).budget_left_bytes, 1'000U);
  plan = plan_all(box, disk);
  const Instant tomorrow{kDayMs * kNsPerMs};
  (void)plan_all(box, disk, {.bytes_max = 100}, tomorrow);
  box.refund(plan, ops);
  EXPECT_EQ(box.view(tomorrow).budget_left_bytes, 900U);
}

// Part of what was stored is gone: the hub may know numbers that are used again, and how much went today is not known.
TEST(Outbox, AfterLostCommitsAreANewIncarnationAndASpentDay) {  // Q2 B2
  const Config config{.bytes_max = kBytesMin, .budget_bytes_per_day = 1'000};
  Disk disk;
  std::vector<StoreOp> ops;
  Outbox box = disk.open(config).outbox;
  (void)box.offer({}, {make_offer(Lane::kLive, "a")}, ops);
  disk.apply(ops);
  StoredState found = disk.read();
  EXPECT_FALSE(Outbox::open(config, found, {})->new_incarnation_needed);
  found.commits_lost = true;
  const auto opened = Outbox::open(config, found, {});
  EXPECT_TRUE(opened->new_incarnation_needed);
  EXPECT_TRUE(opened->thinning_unknown);
  EXPECT_EQ(opened->outbox.view({}).waiting_count, 1U);
  EXPECT_EQ(opened->outbox.view({}).budget_left_bytes, 0U);
}

TEST(Outbox, ADamagedBudgetRowIsASpentDay) {  // B2, on the safe side
  Disk disk;
  const Config config{.bytes_max = kBytesMin, .budget_bytes_per_day = 1'000};
  { Outbox box = disk.open(config).outbox; }
  disk.rows.erase({NodeTable::kState, std::string(kBudgetKey)});
  EXPECT_EQ(disk.open(config).outbox.view({}).budget_left_bytes, 0U);
  EXPECT_EQ(disk.open(config).outbox.view({kDayMs * kNsPerMs}).budget_left_bytes, 1'000U);
}

// The hub's side of one lane: effects each number at most once.
struct HubLane {
  uint64_t through = 0;
  std::set<std::string> effects;
  uint64_t effected = 0, evicted = 0, lost = 0;
  bool doubled = false;
};

// Random offers, plans, lost requests and answers, crashes that keep a prefix of the tickets, and lost rows.
TEST(Outbox, AccountsExactlyUnderRandomCrashes) {  // Q1 Q2 Q3 Q4
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Prng prng(seed);
    Disk disk;
    const Config config{.bytes_max = kBytesMin, .entries_max = 64 + static_cast<uint32_t>(prng.below(64))};
    Outbox box = disk.open(config).outbox;
    std::array<HubLane, kLanesCount> hub;
    std::vector<std::vector<StoreOp>> undurable;
    uint64_t name = 0;
    const auto settle = [&] {
      for (auto& ops : undurable) disk.apply(ops);
      undurable.clear();
    };
    for (int step = 0; step < 400; ++step) {
      std::vector<StoreOp> ops;
      const uint64_t what = prng.below(100);
      if (what < 60) {
        std::vector<Offer> offers;
        const uint64_t count = 1 + prng.below(8);
        for (uint64_t i = 0; i < count; ++i) {
          const Lane lane = kLanes[prng.below(4)];
          const double draw = unit_interval(prng.next());
          offers.push_back(
              make_offer(lane, "record " + std::to_string(++name), draw, 0.5, 1 + static_cast<double>(prng.below(4))));
        }
        (void)box.offer({step}, std::move(offers), ops);
        undurable.push_back(std::move(ops));
      } else if (what < 90) {
        Plan plan = box.plan({step}, {.bytes_max = 200 + prng.below(3'000), .records_max = 40}, ops);
        undurable.push_back(std::move(ops));
        settle();                            // sent only after Stored
        if (prng.chance(200'000)) continue;  // request lost
        for (const LanePlan& part : plan.lanes) {
          HubLane& lane = hub[static_cast<size_t>(part.lane) - 1];
          ASSERT_LE(part.after_seq, lane.through);
          ASSERT_EQ(part.through_seq - part.after_seq, part.records.size() + part.evicted_count + part.lost_count);
          uint64_t previous = part.after_seq;
          for (const PlannedRecord& record : part.records) {
            ASSERT_GT(record.seq, previous);
            previous = record.seq;
            ASSERT_FALSE(disk.record(record.key).empty());
            if (record.seq <= lane.through) continue;
            lane.doubled |= !lane.effects.insert(disk.record(record.key)).second;
            ++lane.effected;
          }
          lane.through = std::max(lane.through, part.through_seq);
        }
        if (prng.chance(200'000)) continue;  // answer lost
        for (const LanePlan& part : plan.lanes) {
          std::vector<StoreOp> ack_ops;
          box.acked(part.lane, hub[static_cast<size_t>(part.lane) - 1].through, ack_ops);
          undurable.push_back(std::move(ack_ops));
        }
      } else if (what < 97) {  // power cut: a prefix of the tickets stays
        const uint64_t keep = prng.below(undurable.size() + 1);
        for (uint64_t i = 0; i < keep; ++i) disk.apply(undurable[i]);
        undurable.clear();
        Opened opened = disk.open(config, {step});
        ASSERT_EQ(opened.lost_count, 0U) << "seed " << seed;
        ASSERT_FALSE(opened.new_incarnation_needed);
        box = std::move(opened.outbox);
      } else {
        settle();
        ASSERT_EQ(disk.records_count(), box.view({}).waiting_count) << "seed " << seed << " step " << step;
      }
      for (const LaneCounts& lane : box.view({}).lanes)
        ASSERT_EQ(lane.produced, lane.effected + lane.waiting + lane.evicted + lane.lost)
            << "seed " << seed << " step " << step;
    }
    settle();  // heal: everything goes
    for (int round = 0; round < 200 && (box.view({}).waiting_count > 0 || box.view({}).gaps_waiting); ++round) {
      const Plan plan = plan_all(box, disk);
      for (const LanePlan& part : plan.lanes) {
        HubLane& lane = hub[static_cast<size_t>(part.lane) - 1];
        for (const PlannedRecord& record : part.records)
          if (record.seq > lane.through) ++lane.effected;
        lane.through = std::max(lane.through, part.through_seq);
        ack(box, disk, part.lane, lane.through);
      }
    }
    const View view = box.view({});
    EXPECT_EQ(view.waiting_count, 0U);
    EXPECT_EQ(disk.records_count(), 0U) << "seed " << seed;
    for (size_t i = 0; i < kLanesCount; ++i) {
      EXPECT_EQ(view.lanes[i].effected, hub[i].effected) << "seed " << seed << " lane " << i + 1;
      EXPECT_FALSE(hub[i].doubled);
    }
  }
}

}  // namespace
}  // namespace wb::outbox
