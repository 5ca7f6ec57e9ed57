#include "sim/sim.h"

#include <gtest/gtest.h>

#include <map>

#include "world/yaml.h"

namespace wb::sim {
namespace {

Options small(uint64_t seed) {
  Options options;
  options.seed = seed;
  options.nodes = 6;
  options.days = 2;
  options.healing_hours = 24;
  options.read_document = [](std::string_view text) {
    return world::parse_yaml(text, "pipeline.yaml", world::no_env());
  };
  return options;
}

std::string describe(const Report& report) {
  std::string out;
  for (const Violation& violation : report.violations)
    out += violation.promise + " at " + std::to_string(violation.at_ms) + " ms: " + violation.text + "\n";
  return out;
}

// Q1 Q2 Q3 Q4 Q5 Q7 Q8 S1 R1 U1 U2 U3 U4 U5 U7 U9 F1 F2 F3 F4 F6 I4 I6 T3 T4 H1 H2 H4 L1 L2 L3 B1 B2 over histories
// with faults; and together they really had some of each kind.
TEST(Sim, PromisesHoldOverManyHistories) {
  std::map<std::string, uint64_t> sums;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    Options options = small(seed);
    if (seed <= 2) options.faults = usual();
    const Report report = run(options);
    EXPECT_TRUE(report.violations.empty()) << "seed " << seed << "\n" << describe(report);
    EXPECT_GT(report.records_at_hub, 100U);
    for (const ReportCount& count : report_counts()) sums[std::string(count.name)] += report.*count.field;
  }
  sums.erase("exchanges_refused");  // no seed draws that, only scenarios have it
  for (const auto& [name, sum] : sums) EXPECT_GT(sum, 0U) << name;
}

TEST(Sim, OneSeedIsOneHistory) {
  const Report first = run(small(3));
  const Report second = run(small(3));
  EXPECT_EQ(first.trace_hash, second.trace_hash);
  EXPECT_EQ(first.events, second.events);
  EXPECT_NE(first.trace_hash, run(small(4)).trace_hash);
}

TEST(Faults, TheTableNamesEveryFaultOnceAndCalmIsCalm) {
  Faults out;
  for (const Fault& fault : fault_table()) {
    EXPECT_EQ(find_fault(fault.name), &fault);
    EXPECT_EQ(calm().*fault.value, fault.calm) << fault.name;
    EXPECT_NE(fault.usual, fault.calm) << fault.name;
    EXPECT_NE(fault.extreme, fault.usual) << fault.name;
    EXPECT_EQ(out.*fault.value, fault.calm) << fault.name << " stands in the table twice";
    out.*fault.value = fault.usual;
  }
  EXPECT_EQ(find_fault("no such fault"), nullptr);
  EXPECT_EQ(sizeof(Faults), fault_table().size() * sizeof(int64_t)) << "a fault is not in the table";
}

TEST(Faults, SeedsDrawSubsetsThatDiffer) {
  for (const Fault& fault : fault_table()) {
    uint32_t off = 0;
    uint32_t extreme = 0;
    for (uint64_t seed = 1; seed <= 200; ++seed) {
      const Faults drawn = faults_of_seed(seed);
      off += drawn.*fault.value == fault.calm ? 1 : 0;
      extreme += drawn.*fault.value == fault.extreme ? 1 : 0;
    }
    EXPECT_GT(off, 40U) << fault.name;
    EXPECT_LT(off, 120U) << fault.name;
    EXPECT_GT(extreme, 5U) << fault.name;
  }
  EXPECT_EQ(faults_of_seed(7), faults_of_seed(7));
}

}  // namespace
}  // namespace wb::sim
