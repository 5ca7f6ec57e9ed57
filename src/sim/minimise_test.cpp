#include "sim/minimise.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace wb::sim {
namespace {

Scenario large(uint64_t seed) {
  Options options;
  options.seed = seed;
  options.nodes = 50;
  options.days = 7;
  options.faults = usual();
  return scenario_of(options);
}

// Histories are not run: a predicate says which would fail.
Minimising with(std::function<bool(const Scenario&)> fails) {
  Minimising out;
  out.first_failing = [fails = std::move(fails)](const std::vector<Scenario>& candidates) -> std::optional<size_t> {
    const auto found = std::find_if(candidates.begin(), candidates.end(), fails);
    if (found == candidates.end()) return std::nullopt;
    return static_cast<size_t>(found - candidates.begin());
  };
  return out;
}

size_t faults_count(const Scenario& scenario) {
  return static_cast<size_t>(std::count_if(fault_table().begin(), fault_table().end(), [&](const Fault& fault) {
    return scenario.faults.*fault.value != fault.calm;
  }));
}

TEST(Minimise, LeavesOnlyWhatTheFailureNeeds) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto fails = [](const Scenario& one) {
      return one.faults.crash_every_ms > 0 && one.nodes >= 3 &&
             std::any_of(one.script.begin(), one.script.end(),
                         [](const Cue& cue) { return cue.act == Act::kShip && cue.version == 3; });
    };
    const Minimised small = minimise(large(seed), with(fails));
    EXPECT_TRUE(fails(small.scenario));
    EXPECT_EQ(small.scenario.nodes, 3U);
    EXPECT_EQ(small.scenario.days, 1U);
    EXPECT_EQ(faults_count(small.scenario), 1U);
    EXPECT_EQ(small.scenario.script.size(), 1U);
    EXPECT_FALSE(small.gave_up);
  }
}

TEST(Minimise, WhatCannotBeLessStays) {
  const Scenario start = large(3);
  const Minimised same = minimise(start, with([&](const Scenario& one) {
                                    return one.nodes == start.nodes && one.days == start.days &&
                                           one.faults == start.faults && one.script == start.script;
                                  }));
  EXPECT_EQ(print_scenario(same.scenario), print_scenario(start));
}

// Chance falls differently in a smaller history: another seed may show what its own does not.
TEST(Minimise, TriesOtherSeeds) {
  const auto fails = [](const Scenario& one) { return one.nodes == 50 || one.seed % 3 == 0; };
  const Minimised small = minimise(large(4), with(fails));
  EXPECT_EQ(small.scenario.nodes, 1U);
  EXPECT_EQ(small.scenario.seed % 3, 0U);
}

TEST(Minimise, GivesUpAtItsLimitWithTheSmallestSoFar) {
  uint32_t tried = 0;
  Minimising how = with([&](const Scenario& one) {
    ++tried;
    return one.nodes >= 20;
  });
  how.histories_max = 30;
  const Minimised small = minimise(large(5), how);
  EXPECT_TRUE(small.gave_up);
  EXPECT_LE(tried, 30U);
  EXPECT_GE(small.scenario.nodes, 20U);
  EXPECT_LT(small.scenario.days, 7U);
}

// Cues about nodes that are gone go with them.
TEST(Minimise, ProposesOnlyScriptsThatMakeSense) {
  Scenario start = large(6);
  Cue last;
  last.act = Act::kCrash;
  last.at_ms = start.script.back().at_ms;
  last.nodes = {40, 45};
  start.script.push_back(last);
  const Minimised small = minimise(start, with([](const Scenario& one) {
                                     for (const Cue& cue : one.script) EXPECT_LT(cue.nodes.first, one.nodes);
                                     return true;
                                   }));
  EXPECT_EQ(small.scenario.nodes, 1U);
  EXPECT_TRUE(small.scenario.script.empty());
}

}  // namespace
}  // namespace wb::sim
