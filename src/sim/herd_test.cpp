#include "sim/herd.h"

#include <gtest/gtest.h>

namespace wb::sim {
namespace {

HerdOptions small() {
  HerdOptions options;
  options.nodes = 4'000;
  return options;
}

std::string all(const HerdReport& report) {
  std::string out;
  for (const std::string& violation : report.violations) out += violation + "\n";
  return out;
}

// L2, L3, and that all come back: after a long outage and after a short one.
TEST(Herd, ComesBackSpreadAndWhole) {
  for (const uint32_t outage_ms : {2'000U, 60'000U}) {
    HerdOptions options = small();
    options.outage_ms = outage_ms;
    const HerdReport report = run_herd(options);
    EXPECT_TRUE(report.violations.empty()) << outage_ms << ": " << all(report);
    EXPECT_GT(report.exchanges, 4'000U);
    EXPECT_GE(report.delivered_after_ms, 0);
  }
}

// The floor of the jitter that the hub grants grows with its fleet: a thousand nodes a second.
TEST(Herd, TheFloorFollowsTheFleet) {
  const HerdReport report = run_herd(small());
  EXPECT_GT(report.jitter_floor_ms, 3'000U);
  EXPECT_LE(report.jitter_floor_ms, 4'000U);
}

TEST(Herd, WithoutJitterTheCheckerIsRed) {
  HerdOptions options = small();
  options.same_jitter = true;
  const HerdReport report = run_herd(options);
  EXPECT_NE(all(report).find("came within one second"), std::string::npos) << all(report);
}

// Refusals happen at all: a hub ten times slower than its herd refuses, and still all is delivered, within L2 and L3.
TEST(Herd, ASlowHubRefusesAndIsNotHurt) {
  HerdOptions options = small();
  options.outage_ms = 2'000;
  options.call_us = 5'000;
  options.record_us = 500;
  const HerdReport report = run_herd(options);
  EXPECT_TRUE(report.violations.empty()) << all(report);
  EXPECT_GT(report.refused, 0U);
}

TEST(Herd, OneSeedIsOneHistory) {
  const HerdReport first = run_herd(small());
  const HerdReport second = run_herd(small());
  EXPECT_EQ(first.attempts, second.attempts);
  EXPECT_EQ(first.all_after_ms, second.all_after_ms);
  EXPECT_EQ(first.seconds.size(), second.seconds.size());
}

}  // namespace
}  // namespace wb::sim
