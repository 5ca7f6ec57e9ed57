#include "base/admission.h"

#include <gtest/gtest.h>

namespace wb {
namespace {

using Class = Admission::Class;

Instant second(int64_t s) { return Instant{s * kNsPerSecond}; }

// L1: whatever the machine, a call that is taken in is served within the time of its class.
TEST(Admission, TakesInOnlyWhatWillBeServedInTime) {
  for (const int64_t us_each : {50, 200, 5'000}) {
    Admission admission({});
    admission.served(100, us_each * 1'000 * 100);
    size_t queued = 0;
    while (admission.offer(second(0), Class::kRecords, {queued, queued}) == 0) ++queued;
    EXPECT_LE(static_cast<int64_t>(queued - 1) * us_each, 2'000'000) << us_each;
    EXPECT_GE(static_cast<int64_t>(queued + 1) * us_each, std::min<int64_t>(2'000'000, 6'143 * us_each)) << us_each;
  }
}

// What steers is refused last, enrolments first.
TEST(Admission, ControlOutlastsRecordsOutlastEnrolments) {
  Admission admission({});
  admission.served(100, 100 * kNsPerMs);
  const Admission::Queue three_seconds{3'000, 0};
  EXPECT_FALSE(admission.full(Class::kControl, three_seconds));
  EXPECT_TRUE(admission.full(Class::kRecords, three_seconds));
  const Admission::Queue a_second_and_a_half{1'500, 0};
  EXPECT_FALSE(admission.full(Class::kRecords, a_second_and_a_half));
  EXPECT_TRUE(admission.full(Class::kEnrolment, a_second_and_a_half));
  EXPECT_TRUE(admission.full(Class::kControl, {5'000, 0}));
}

TEST(Admission, CountsAreBoundedWhateverThePace) {
  Admission admission({.queue_max = 320});
  EXPECT_TRUE(admission.full(Class::kControl, {320, 320}));
  EXPECT_TRUE(admission.full(Class::kRecords, {240, 240}));
  EXPECT_FALSE(admission.full(Class::kRecords, {239, 239}));
  EXPECT_TRUE(admission.full(Class::kEnrolment, {10, 10}));
}

// A commit of its own costs a lone call many milliseconds: a hundred that share one must not be refused for that.
TEST(Admission, SmallBatchesSayNothingAboutThePace) {
  Admission admission({});
  for (int i = 0; i < 50; ++i) admission.served(1, 20 * kNsPerMs);
  EXPECT_FALSE(admission.full(Class::kRecords, {500, 500}));
}

// L3: who is refused is sent away for longer while the overload lasts, and for less when it is over.
TEST(Admission, RetryAfterFollowsTheOverload) {
  Admission admission({.queue_max = 4});
  uint32_t longest = 0;
  for (int64_t s = 1; s <= 8; ++s)
    for (int i = 0; i < 10; ++i) longest = std::max(longest, admission.offer(second(s), Class::kRecords, {9, 9}));
  EXPECT_EQ(longest, Admission::kRetryAfterMaxS);
  for (int64_t s = 9; s <= 16; ++s) EXPECT_EQ(admission.offer(second(s), Class::kRecords, {0, 0}), 0U);
  EXPECT_EQ(admission.offer(second(17), Class::kRecords, {9, 9}), Admission::kRetryAfterMinS);
}

TEST(Admission, LoadIsTheNearerOfTimeAndCount) {
  Admission admission({});
  EXPECT_EQ(admission.load_permille({0, 0}), 0U);
  EXPECT_EQ(admission.load_permille({3'072, 3'072}), 500U);  // of 6,144
  admission.served(100, 100 * kNsPerMs);
  EXPECT_EQ(admission.load_permille({1'000, 1'000}), 500U);  // of two seconds
  EXPECT_EQ(admission.load_permille({9'000, 9'000}), 1'000U);
}

}  // namespace
}  // namespace wb
