// What producers bring is committed together once the flash has had its share (W1).
#include "edge/agent/flash_pace.h"

#include "edge/agent/test_agent.h"

namespace wb {
namespace {

using agent::FlashPace;

std::vector<StoreOp> record_of(size_t bytes) {
  return {StoreOp{NodeTable::kRecords, "k", std::string(bytes, 'x'), false}};
}

TEST(FlashPace, ADayGetsItsShareAndOneBurst) {
  constexpr uint64_t kBudget = 1'000'000'000;
  FlashPace pace(kBudget);
  uint64_t spent = 0;
  for (int64_t ms = 0; ms < 86'400'000; ms += 100) {
    const Instant now{ms * kNsPerMs};
    if (pace.is_spent(now)) continue;
    pace.spend(now, record_of(5'000));
    spent += FlashPace::cost_bytes(record_of(5'000));
  }
  EXPECT_GT(spent, kBudget / 100 * agent::kFlashPercent);
  EXPECT_LT(spent, kBudget / 100 * agent::kFlashPercent + agent::kFlashBurstBytes + 100'000);
}

TEST(FlashPace, NoLimitIsNoLimit) {
  FlashPace pace(0);
  for (int i = 0; i < 100'000; ++i) pace.spend(Instant{0}, record_of(60'000));
  EXPECT_FALSE(pace.is_spent(Instant{0}));
}

class PacedAgentTest : public testing::Test, public TestNode {
 protected:
  void SetUp() override {
    config.has_hub = false;
    config.flash_bytes_per_day = 1'000'000'000;
    boot();
    settle();
    while (last_ < 20'000 && !held(last_ + 1)) {
      settle();
      ++last_;
    }
    ASSERT_LT(last_, 20'000U) << "nothing was ever held";
  }
  // One reading of one producer. True: it was not handed to the store.
  bool held(uint64_t id) {
    send(id, {20});
    return submitted.empty();
  }
  uint64_t last_ = 0;
};

TEST_F(PacedAgentTest, WhatIsHeldIsCommittedTogetherAndThenAnswered) {  // Q1
  const uint64_t first = last_ + 1;
  for (uint64_t id = first + 1; id < first + 50; ++id) EXPECT_TRUE(held(id));
  const size_t answers_before = answers.size();
  pass_ms(agent::kHoldMs);
  ASSERT_EQ(submitted.size(), 1U);
  EXPECT_EQ(answers.size(), answers_before);
  commit();
  for (uint64_t id = first; id < first + 50; ++id) EXPECT_TRUE(answers.contains(id)) << id;
  expect_exact();
}

TEST_F(PacedAgentTest, APowerCutTakesOnlyWhatWasNotAnswered) {  // Q1
  const uint64_t answered = records_count();
  power_cut();
  boot();
  settle();
  EXPECT_EQ(records_count(), answered);
  EXPECT_FALSE(answers.contains(last_ + 1));
}

TEST_F(PacedAgentTest, AStopHoldsNothingBack) {
  feed(agent::Stopping{});
  settle();
  EXPECT_TRUE(answers.contains(last_ + 1));
}

TEST_F(PacedAgentTest, AStoreThatFailsMeanwhileGetsAllOfItLater) {  // Q7
  pass_ms(agent::kHoldMs);
  fail_store();
  EXPECT_FALSE(answers.contains(last_ + 1));
  pass_ms(20'000);
  settle();
  EXPECT_TRUE(answers.contains(last_ + 1));
  expect_exact();
}

TEST_F(PacedAgentTest, ManyBytesAreNotHeld) {
  uint64_t id = last_ + 1;
  while (submitted.empty() && id < last_ + 1'000) send(++id, std::vector<double>(200, 20));
  EXPECT_LT(id, last_ + 1'000);
}

}  // namespace
}  // namespace wb
