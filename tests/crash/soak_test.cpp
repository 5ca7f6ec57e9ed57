// A short soak: what a day writes is inside the flash budget, nothing grows, and a leak would be seen.
#include "tests/crash/soak.h"

#include <gtest/gtest.h>

namespace wb::crash {
namespace {

constexpr uint64_t kHour = 3'600;

uint64_t per_day(const SoakPlan& plan, const SoakResult& result) { return result.flash_bytes / plan.seconds * 86'400; }

TEST(Soak, ADayOfOneRecordASecondIsInsideTheFlashBudget) {  // W1
  const SoakPlan plan{"1/s", 1, 100, true, kHour, kHour / 6};
  const SoakResult result = soak(plan);
  EXPECT_EQ(result.wrong, "");
  EXPECT_GE(result.commits, kHour);  // each producer waits for its own
  EXPECT_GT(result.flash_bytes, result.commits * 4'096);
  EXPECT_LT(per_day(plan, result), kFlashBytesPerDay);
}

TEST(Soak, ADayOfAHundredRecordsASecondIsInsideTheFlashBudget) {  // W1
  const SoakPlan plan{"100/s", 100, 1, true, kHour / 2, kHour / 6};
  const SoakResult result = soak(plan);
  EXPECT_EQ(result.wrong, "");
  EXPECT_LT(per_day(plan, result), kFlashBytesPerDay);
}

TEST(Soak, ADayOfAHundredRecordsASecondThatAreAllKeptIsInsideTheFlashBudget) {  // W1
  const SoakPlan plan{"100/s kept", 100, 100, true, 4 * kHour, kHour};
  const SoakResult result = soak(plan);
  EXPECT_EQ(result.wrong, "");
  EXPECT_LT(per_day(plan, result), kFlashBytesPerDay);
}

TEST(Soak, NothingGrowsWhileTheHubIsAway) {  // Q8
  const SoakPlan plan{"away", 1, 100, false, 4 * kHour, kHour / 2};
  const SoakResult result = soak(plan);
  EXPECT_EQ(result.wrong, "");
  EXPECT_EQ(check_flat(result.looks), "");
}

TEST(Soak, GrowthIsSeen) {
  SoakLook look{1'000'000, 500'000, 100'000, 500, 10};
  EXPECT_EQ(check_flat({look, look, look}), "");
  for (int what = 0; what < 4; ++what) {
    SoakLook later = look;
    if (what == 0) later.heap_bytes *= 2;
    if (what == 1) later.file_bytes *= 2;
    if (what == 2) later.wal_bytes *= 2;
    if (what == 3) later.rows *= 2;
    EXPECT_NE(check_flat({look, look, look, later}), "") << what;
  }
}

}  // namespace
}  // namespace wb::crash
