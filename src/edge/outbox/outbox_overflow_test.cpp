// Overflow: Q8 (quota and order of what goes) and B4 (what is left still stands for what went).
#include <gtest/gtest.h>

#include <cmath>

#include "edge/outbox/disk_for_test.h"
#include "edge/outbox/format.h"

namespace wb::outbox {
namespace {

// Everything that waits goes and is acked, plan by plan.
struct Drained {
  std::vector<std::string> records;
  uint64_t evicted_count = 0;
  uint64_t lost_count = 0;
};
Drained drain(Outbox& box, Disk& disk) {
  Drained out;
  std::vector<StoreOp> ops;
  for (Plan plan = box.plan({}, {}, ops); !plan.empty(); plan = box.plan({}, {}, ops)) {
    disk.apply(ops);
    for (const LanePlan& lane : plan.lanes) {
      for (const PlannedRecord& record : lane.records) out.records.push_back(disk.record(record.key));
      out.evicted_count += lane.evicted_count;
      out.lost_count += lane.lost_count;
      box.acked(lane.lane, lane.through_seq, ops);
    }
    disk.apply(ops);
  }
  return out;
}

void add_bulk(Outbox& box, Disk& disk, int count) {
  std::vector<Offer> offers;
  std::vector<StoreOp> ops;
  for (int i = 0; i < count; ++i) offers.push_back(make_offer(Lane::kBulk, "r", (i % 50) / 50.0));
  (void)box.offer({}, std::move(offers), ops);
  disk.apply(ops);
}

uint64_t evicted_of(const View& view, Lane lane) { return view.lanes[static_cast<size_t>(lane) - 1].evicted; }

TEST(OutboxOverflow, DeadLettersGoFirstCriticalLast) {  // Q8
  Disk disk;
  Outbox box = disk.open({.bytes_max = kBytesMin}).outbox;
  std::vector<StoreOp> ops;
  const auto add = [&](Lane lane, int count) {
    for (int i = 0; i < count; ++i) {
      std::vector<Offer> offers;
      offers.push_back(make_offer(lane, std::string(1'000, 'x'), unit_interval(Prng(static_cast<uint64_t>(i)).next())));
      (void)box.offer({}, std::move(offers), ops);
      disk.apply(ops);
    }
  };
  add(Lane::kDeadLetter, 100);
  EXPECT_GT(evicted_of(box.view({}), Lane::kDeadLetter), 50U);  // beyond 5%, though all else is empty
  EXPECT_LE(box.view({}).stored_bytes, box.view({}).capacity_bytes / 20 + 2'000);
  add(Lane::kCritical, 100);
  add(Lane::kLive, 1'000);
  EXPECT_EQ(evicted_of(box.view({}), Lane::kCritical), 0U);
  const uint64_t live_waiting = box.view({}).lanes[1].waiting;
  EXPECT_GT(live_waiting, 100U);
  add(Lane::kCritical, 1'000);
  EXPECT_EQ(box.view({}).lanes[1].waiting, 0U);
  EXPECT_EQ(box.view({}).lanes[3].waiting, 0U);
  EXPECT_GT(evicted_of(box.view({}), Lane::kCritical), 0U);
  EXPECT_LE(box.view({}).stored_bytes, box.view({}).capacity_bytes);
  EXPECT_EQ(disk.records_count(), box.view({}).waiting_count);
}

TEST(OutboxOverflow, TheSmallestPriorityStays) {
  Disk disk;
  Outbox box = disk.open({.bytes_max = kBytesMin, .entries_max = 64}).outbox;
  std::vector<StoreOp> ops;
  std::vector<Offer> offers;
  for (int i = 0; i < 200; ++i) offers.push_back(make_offer(Lane::kBulk, std::to_string(i), (i * 37 % 200) / 200.0));
  const Taken taken = box.offer({}, std::move(offers), ops);
  EXPECT_EQ(taken.taken_count, 200U);
  EXPECT_EQ(taken.evicted_count, 136U);
  disk.apply(ops);
  EXPECT_EQ(disk.records_count(), 64U);
  const Drained drained = drain(box, disk);
  EXPECT_EQ(drained.evicted_count, 136U);
  EXPECT_EQ(drained.records.size(), 64U);
  for (const std::string& record : drained.records) EXPECT_LT(std::stoi(record) * 37 % 200, 64);
}

TEST(OutboxOverflow, WhatWasSentIsNotEvicted) {  // Q4: the hub may have it
  Disk disk;
  Outbox box = disk.open({.bytes_max = kBytesMin, .entries_max = 64}).outbox;
  std::vector<StoreOp> ops;
  const auto add = [&](double draw) {
    std::vector<Offer> offers;
    for (int i = 0; i < 60; ++i) offers.push_back(make_offer(Lane::kBulk, "r", draw));
    (void)box.offer({}, std::move(offers), ops);
  };
  add(0.9);
  const Plan first = box.plan({}, {}, ops);
  add(0.1);
  add(0.1);
  const Plan again = box.plan({}, {}, ops);
  ASSERT_EQ(first.lanes[0].records.size(), 8U) << "one plan pins no more than its share";
  ASSERT_EQ(again.lanes[0].records.size(), 8U);
  EXPECT_EQ(again.lanes[0].records.back().key, first.lanes[0].records.back().key);
  for (const PlannedRecord& record : again.lanes[0].records) EXPECT_EQ(record.thinning, 1);
}

TEST(OutboxOverflow, EvictedAndLostAreToldApart) {  // Q4
  Disk disk;
  const Config config{.bytes_max = kBytesMin, .entries_max = 64};
  Outbox box = disk.open(config).outbox;
  add_bulk(box, disk, 74);
  EXPECT_EQ(drain(box, disk).evicted_count, 10U);
  add_bulk(box, disk, 10);
  disk.rows.erase({NodeTable::kRecords, record_key(Lane::kBulk, 80)});
  box = disk.open(config).outbox;
  const Drained second = drain(box, disk);
  EXPECT_EQ(second.evicted_count, 0U);
  EXPECT_EQ(second.lost_count, 1U);
}

// A range that goes again is split as it was, though something behind it was evicted meanwhile: the hub may have booked
// it.
TEST(OutboxOverflow, ALossThatWasToldStaysALoss) {  // Q4
  Disk disk;
  const Config config{.bytes_max = kBytesMin, .entries_max = 64};
  Outbox box = disk.open(config).outbox;
  std::vector<StoreOp> ops;
  add_bulk(box, disk, 8);
  disk.rows.erase({NodeTable::kRecords, record_key(Lane::kBulk, 3)});
  box = disk.open(config).outbox;
  const Plan first = box.plan({}, {}, ops);
  disk.apply(ops);
  ASSERT_EQ(first.lanes[0].lost_count, 1U);
  add_bulk(box, disk, 70);
  ASSERT_GT(evicted_of(box.view({}), Lane::kBulk), 0U);
  for (const bool crashed : {false, true}) {
    if (crashed) box = disk.open(config).outbox;
    const Plan again = box.plan({}, {}, ops);
    disk.apply(ops);
    EXPECT_EQ(again.lanes[0].through_seq, first.lanes[0].through_seq);
    EXPECT_EQ(again.lanes[0].lost_count, 1U);
    EXPECT_EQ(again.lanes[0].evicted_count, 0U);
  }
  const uint64_t evicted = evicted_of(box.view({}), Lane::kBulk);
  box.acked(Lane::kBulk, first.lanes[0].through_seq, ops);
  disk.apply(ops);
  const Drained rest = drain(box, disk);
  EXPECT_EQ(rest.lost_count, 0U);
  EXPECT_EQ(rest.evicted_count, evicted);
}

TEST(OutboxOverflow, SqueezeMakesRoomOnAFullMedium) {
  Disk disk;
  Outbox box = disk.open({.bytes_max = kBytesMin}).outbox;
  std::vector<StoreOp> ops;
  std::vector<Offer> offers;
  for (int i = 0; i < 100; ++i) offers.push_back(make_offer(Lane::kLive, std::string(500, 'x'), i / 100.0));
  (void)box.offer({}, std::move(offers), ops);
  disk.apply(ops);
  const uint64_t before = box.view({}).stored_bytes;
  EXPECT_GT(box.squeeze(before / 2, ops), 45U);
  disk.apply(ops);
  EXPECT_LE(box.view({}).stored_bytes, before / 2);
  EXPECT_EQ(disk.records_count(), box.view({}).waiting_count);
}

TEST(Thresholds, KeepTheMinimumPerArrivalAgainstTheDumbTwin) {
  Prng prng(7);
  Thresholds fast;
  std::vector<uint64_t> all;  // by event
  std::vector<uint64_t> arrivals_gone(1'000, kNoThreshold);
  for (int i = 0; i < 40; ++i) {
    const uint64_t q = prng.below(1'000'000);
    EXPECT_FALSE(fast.push(q));
    all.push_back(q);
    for (size_t event = 0; event <= all.size(); ++event) {
      uint64_t least = kNoThreshold;
      for (size_t e = event; e < all.size(); ++e) least = std::min(least, all[e]);
      ASSERT_EQ(fast.min_since(event), least);
    }
    const auto read = Thresholds::decode(fast.encode());
    ASSERT_TRUE(read);
    ASSERT_EQ(read->entries(), fast.entries());
    ASSERT_EQ(read->next_event(), fast.next_event());
  }
}

TEST(Thresholds, AreBoundedByMerging) {
  Thresholds rising;
  size_t merges = 0;
  for (uint64_t q = 1; q <= 1'000; ++q) {
    if (const auto merge = rising.push(q * q)) {
      ++merges;
      EXPECT_EQ(rising.min_since(merge->after_event + 1), merge->q);
      EXPECT_EQ(rising.min_since(merge->through_event), merge->q);
    }
    EXPECT_LE(rising.entries().size(), kThresholdsMax);
  }
  EXPECT_EQ(merges, 1'000 - kThresholdsMax);
  EXPECT_FALSE(Thresholds::decode("x"));
}

// One run: `days` of records of two kinds, a small outbox, contacts in between that send a part. Returns the estimate
// of how many records of the kind were seen, from what the hub received.
struct Estimate {
  double plain = 0;
  double valued = 0;
};
enum class Trouble : uint8_t { kNone, kOutages, kSilence, kFullMedium };
Estimate one_run(uint64_t seed, Trouble trouble) {
  constexpr double kPlainRate = 0.25, kValuedRate = 0.5, kValue = 4;
  Prng prng(seed);
  Disk disk;
  const Config config{.bytes_max = kBytesMin, .entries_max = 64};
  Outbox box = disk.open(config).outbox;
  Estimate estimate;
  std::vector<StoreOp> ops;
  const auto contact = [&](uint32_t records_max, bool answered) {
    const Plan plan = box.plan({}, {.records_max = records_max}, ops);
    for (const LanePlan& lane : plan.lanes) {
      if (answered)
        for (const PlannedRecord& record : lane.records) {
          if (lane.lane == Lane::kLive) estimate.valued += 1 / (kValuedRate * record.thinning);
          if (lane.lane == Lane::kBulk) estimate.plain += 1 / (kPlainRate * record.thinning);
        }
      if (answered) box.acked(lane.lane, lane.through_seq, ops);
    }
    disk.apply(ops);
  };
  const bool outages = trouble == Trouble::kOutages;
  for (int i = 0; i < 1'200; ++i) {
    const bool valued = i % 3 == 0;
    const double rate = valued ? kValuedRate : kPlainRate;
    const double u = unit_interval(prng.next());
    if (u < rate) {
      std::vector<Offer> offers;
      offers.push_back(make_offer(valued ? Lane::kLive : Lane::kBulk, "r", u / rate, rate, valued ? kValue : 1));
      (void)box.offer({}, std::move(offers), ops);
      disk.apply(ops);
    }
    if (outages && i % 150 == 149) contact(20, (i / 150) % 3 != 0);  // some requests are lost: pinned, resent
    if (outages && i % 400 == 399) box = disk.open(config).outbox;   // crash
    if (outages && i == 777) {
      box.rebase(ops);
      disk.apply(ops);
    }
    if (trouble == Trouble::kSilence && i == 300) contact(100, false);  // all that fits is pinned, and stays so
    for (int tries = 0; trouble == Trouble::kFullMedium && i % 50 == 49 && tries < 20; ++tries) {
      const uint64_t stored = box.view({}).stored_bytes;
      (void)box.squeeze(stored - stored / 8, ops);
      disk.apply(ops);
    }
    if (trouble == Trouble::kFullMedium && i % 100 == 0)
      for (int part = 0; part < 8; ++part) contact(100, true);
  }
  for (int i = 0; i < 100 && box.view({}).waiting_count > 0; ++i) contact(100, true);
  if (box.view({}).waiting_count != 0) std::abort();
  return estimate;
}

void expect_unbiased(Trouble trouble) {
  constexpr int kRuns = 1'000;
  double sum[2] = {}, squares[2] = {};
  for (uint64_t seed = 1; seed <= kRuns; ++seed) {
    const Estimate e = one_run(seed, trouble);
    const double x[2] = {e.plain, e.valued};
    for (int k = 0; k < 2; ++k) {
      sum[k] += x[k];
      squares[k] += x[k] * x[k];
    }
  }
  const double truth[2] = {800, 400};
  for (int k = 0; k < 2; ++k) {
    const double mean = sum[k] / kRuns;
    const double error = std::sqrt((squares[k] / kRuns - mean * mean) / kRuns);
    EXPECT_LT(std::abs(mean - truth[k]), 4 * error) << "mean " << mean << " ± " << error << " of " << truth[k];
    EXPECT_LT(error, truth[k] * 0.015);
  }
}

// B4
TEST(OutboxOverflow, EstimatesStayUnbiased) { expect_unbiased(Trouble::kNone); }
TEST(OutboxOverflow, EstimatesStayUnbiasedThroughOutagesLostRequestsAndCrashes) { expect_unbiased(Trouble::kOutages); }
TEST(OutboxOverflow, EstimatesStayUnbiasedWhileNothingSentIsAcked) { expect_unbiased(Trouble::kSilence); }
TEST(OutboxOverflow, EstimatesStayUnbiasedOnAFullMedium) { expect_unbiased(Trouble::kFullMedium); }

}  // namespace
}  // namespace wb::outbox
