// Overflow: Q8 (quota and order of what goes) and B4 (what is left still stands for what went).
#include <gtest/gtest.h>

#include <cmath>

#include "edge/outbox/disk_for_test.h"
#include "edge/outbox/format.h"

namespace wb::outbox {
namespace {

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
  const Plan plan = box.plan({}, {}, ops);
  EXPECT_EQ(plan.lanes.at(0).evicted_count, 136U);
  for (const PlannedRecord& record : plan.lanes[0].records)
    EXPECT_LT(std::stoi(disk.record(record.key)) * 37 % 200, 64);
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
  EXPECT_EQ(again.lanes[0].records.size(), 60U);
  for (const PlannedRecord& record : again.lanes[0].records) EXPECT_EQ(record.thinning, 1);
}

TEST(OutboxOverflow, EvictedAndLostAreToldApart) {  // Q4
  Disk disk;
  const Config config{.bytes_max = kBytesMin, .entries_max = 64};
  Outbox box = disk.open(config).outbox;
  std::vector<StoreOp> ops;
  const auto add = [&](int count) {
    std::vector<Offer> offers;
    for (int i = 0; i < count; ++i) offers.push_back(make_offer(Lane::kBulk, "r", (i % 50) / 50.0));
    (void)box.offer({}, std::move(offers), ops);
    disk.apply(ops);
  };
  add(74);
  const Plan first = box.plan({}, {}, ops);
  EXPECT_EQ(first.lanes[0].evicted_count, 10U);
  box.acked(Lane::kBulk, first.lanes[0].through_seq, ops);
  disk.apply(ops);
  add(10);
  disk.rows.erase({NodeTable::kRecords, record_key(Lane::kBulk, 80)});
  box = disk.open(config).outbox;
  const Plan second = box.plan({}, {}, ops);
  EXPECT_EQ(second.lanes[0].evicted_count, 0U);
  EXPECT_EQ(second.lanes[0].lost_count, 1U);
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
Estimate one_run(uint64_t seed, bool outages) {
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
  }
  for (int i = 0; i < 10; ++i) contact(100, true);
  if (box.view({}).waiting_count != 0) std::abort();
  return estimate;
}

void expect_unbiased(bool outages) {
  constexpr int kRuns = 1'000;
  double sum[2] = {}, squares[2] = {};
  for (uint64_t seed = 1; seed <= kRuns; ++seed) {
    const Estimate e = one_run(seed, outages);
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

TEST(OutboxOverflow, EstimatesStayUnbiased) { expect_unbiased(false); }                                     // B4
TEST(OutboxOverflow, EstimatesStayUnbiasedThroughOutagesLostRequestsAndCrashes) { expect_unbiased(true); }  // B4

}  // namespace
}  // namespace wb::outbox
