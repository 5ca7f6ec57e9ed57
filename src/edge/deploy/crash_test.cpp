// Kill rows: the power goes before every single effect of a story (and once more during the recovery); the node is
// opened again from what was durable, and U1–U5 and U9 must hold then and at the end. TestNode checks the first at
// every effect.
#include <gtest/gtest.h>

#include "edge/deploy/test_node.h"

namespace wb::deploy {
namespace {

const wire::ScoreSketch kGood = test_scores(1'000, {79, 11, 10}, 96, 2);
const wire::ScoreSketch kBad = test_scores(1'000, {5, 10, 85}, 55, 19);

// Runs v1 → committed, then v2 of the given kind with one power cut before effect `first` of that part, and another one
// before effect `second` after the reboot. Returns false when the story was over before the first cut.
struct Story {
  const char* name;
  TestNode::Behaviour second_release;
  bool ends_with_second;  // else with the first
};

void run_to_rest(TestNode& node) {
  for (int boot = 0; boot < 12; ++boot)
    if (node.with(3, 8).live()) return;
  ADD_FAILURE() << "the node does not come to rest";
}

bool tell(const Story& story, int64_t first, int64_t second, bool slow_store) {
  SCOPED_TRACE(std::string(story.name) + ", power cuts before effects " + std::to_string(first) + " and +" +
               std::to_string(second) + (slow_store ? ", slow store" : ""));
  TestNode node;
  node.slow_store = slow_store;
  const std::string v1 = node.add("1", {false, false, kGood}, kGood);
  const std::string v2 = node.add("2", story.second_release, kGood);
  node.want(1, "1");
  run_to_rest(node);
  EXPECT_EQ(node.running, v1);

  node.want(2, "2");
  node.power_cut_before = first;
  const bool cut = !node.with(3, 8).live() || node.power_cut_before < 0;
  if (cut && !node.is_up()) node.power_cut_before = second;
  run_to_rest(node);
  node.power_cut_before = -1;
  run_to_rest(node);

  const View view = node.view();
  EXPECT_EQ(node.running, story.ends_with_second ? v2 : v1);
  EXPECT_FALSE(node.safe_mode);
  EXPECT_EQ(view.desired_generation, 2U);
  EXPECT_EQ(view.phase, story.ends_with_second                 ? wire::DEPLOY_COMMITTED
                        : story.second_release.refuses_to_load ? wire::DEPLOY_REJECTED
                                                               : wire::DEPLOY_ROLLED_BACK);
  EXPECT_EQ(view.quarantined.size(), story.ends_with_second ? 0U : 1U);
  EXPECT_LE(node.loads[v2], story.ends_with_second ? 6U : 3U) << "U3: more tries than allowed";

  // No hub, a new boot: the same release runs (U2, U4).
  node.power_cut();
  node.hub_is_there = false;
  EXPECT_TRUE(node.with(0, 8).live());
  EXPECT_EQ(node.running, story.ends_with_second ? v2 : v1);
  return first < static_cast<int64_t>(node.effects_count);
}

void tell_with_every_cut(const Story& story) {
  int64_t cuts = 0;
  for (int64_t first = 0; first < 24; ++first)
    for (int64_t second : {-1, -1, 0, 1, 2, 3, 5, 7, 10}) {
      tell(story, first, second, cuts % 2 == 1);
      ++cuts;
      if (testing::Test::HasFailure()) return;
    }
  EXPECT_EQ(cuts, 216);
}

TEST(DeployCrash, AGoodReleaseIsCommittedWhateverIsCut) { tell_with_every_cut({"good", {false, false, kGood}, true}); }
TEST(DeployCrash, ADriftingReleaseIsRolledBackWhateverIsCut) {
  tell_with_every_cut({"drifting", {false, false, kBad}, false});
}
TEST(DeployCrash, AReleaseThatDoesNotLoadIsRefusedWhateverIsCut) {
  tell_with_every_cut({"not loading", {false, true, kGood}, false});
}
TEST(DeployCrash, ACrashingReleaseIsRolledBackWhateverIsCut) {
  tell_with_every_cut({"crashing", {true, false, kGood}, false});
}

// U3 without any hub after the fetch: three process deaths, then the incumbent alone.
TEST(DeployCrash, ACrasherIsGoneAfterThreeTriesWithoutAHub) {
  TestNode node;
  const std::string v1 = node.add("1", {false, false, kGood}, kGood);
  const std::string v2 = node.add("2", {true, false, kGood}, kGood);
  node.want(1, "1");
  run_to_rest(node);
  node.want(2, "2");
  EXPECT_FALSE(node.with(1, 0).live());  // it took the process with it
  node.hub_is_there = false;
  EXPECT_FALSE(node.with(0, 0).live());
  EXPECT_FALSE(node.with(0, 0).live());
  EXPECT_TRUE(node.with(0, 0).live());
  EXPECT_EQ(node.loads[v2], 3U);
  EXPECT_EQ(node.running, v1);
  ASSERT_EQ(node.view().quarantined.size(), 1U);
  EXPECT_EQ(node.view().quarantined[0].error_code(), "DEPLOY_FAILED/CRASH");
}

// A site without reliable power must not refuse a good release: it ran well each time, for longer than a start takes.
TEST(DeployCrash, PowerCutsLongAfterAHealthyStartAreNotHeldAgainstARelease) {
  TestNode node;
  const std::string v1 = node.add("1", {false, false, kGood}, kGood);
  const std::string v2 = node.add("2", {false, false, {}}, kGood);  // no readings come, so there is no verdict
  node.want(1, "1");
  run_to_rest(node);
  node.want(2, "2");
  EXPECT_TRUE(node.with(1, 1).live());
  for (int cut = 0; cut < 6; ++cut) {
    node.power_cut();
    EXPECT_TRUE(node.with(0, 1).live());
    EXPECT_EQ(node.view().phase, wire::DEPLOY_PROBATION) << "after " << cut + 1 << " power cuts";
  }
  node.behaviour[v2].scores = kGood;
  node.power_cut();
  run_to_rest(node);
  EXPECT_EQ(node.running, v2);
  EXPECT_TRUE(node.view().quarantined.empty());
}

// U3: a release that ends the process every time, if only after a while, is bounded too.
TEST(DeployCrash, ASlowKillerIsGoneAfterItsLateStops) {
  TestNode node;
  const std::string v1 = node.add("1", {false, false, kGood}, kGood);
  const std::string v2 = node.add("2", {false, false, {}}, kGood);
  node.want(1, "1");
  run_to_rest(node);
  node.want(2, "2");
  EXPECT_TRUE(node.with(1, 1).live());
  for (int cut = 0; cut < 20; ++cut) {
    node.power_cut();
    EXPECT_TRUE(node.with(0, 1).live());
  }
  EXPECT_EQ(node.loads[v2], Config{}.late_stops_max);
  EXPECT_EQ(node.running, v1);
  ASSERT_EQ(node.view().quarantined.size(), 1U);
  EXPECT_EQ(node.view().quarantined[0].error_code(), "DEPLOY_FAILED/CRASH");
}

// A clean stop in probation is no stop at all, early or late.
TEST(DeployCrash, CleanStopsInProbationAreNotCounted) {
  TestNode node;
  (void)node.add("1", {false, false, kGood}, kGood);
  const std::string v2 = node.add("2", {false, false, {}}, kGood);
  node.want(1, "1");
  run_to_rest(node);
  node.want(2, "2");
  EXPECT_TRUE(node.with(1, 0).live());
  for (int stop = 0; stop < 30; ++stop) {
    node.feed(Stopping{});
    node.power_cut();
    EXPECT_TRUE(node.with(0, stop % 2).live());
  }
  EXPECT_EQ(node.view().phase, wire::DEPLOY_PROBATION);
  EXPECT_EQ(node.loads[v2], 31U);
}

// A release that only starts to crash once it is committed gives way to the one before it.
TEST(DeployCrash, ACommittedReleaseThatStopsStartingGivesWay) {
  TestNode node;
  const std::string v1 = node.add("1", {false, false, kGood}, kGood);
  const std::string v2 = node.add("2", {false, false, kGood}, kGood);
  node.want(1, "1");
  run_to_rest(node);
  node.want(2, "2");
  run_to_rest(node);
  EXPECT_EQ(node.running, v2);
  node.behaviour[v2].crashes_on_load = true;
  node.power_cut();
  node.hub_is_there = false;
  for (int boot = 0; boot < 3; ++boot) EXPECT_FALSE(node.with(0, 0).live());
  EXPECT_TRUE(node.with(0, 0).live());
  EXPECT_EQ(node.running, v1);
  EXPECT_EQ(node.view().quarantined[0].digest(), v2);
  EXPECT_EQ(node.view().phase, wire::DEPLOY_ROLLED_BACK);
}

// With no way back: declared safe mode, few and spaced tries, and life as soon as the cause is gone (U2).
TEST(DeployCrash, WithNothingLeftSafeModeIsDeclaredAndLeftAgain) {
  TestNode node;
  const std::string v1 = node.add("1", {false, false, kGood}, kGood);
  node.want(1, "1");
  run_to_rest(node);
  node.behaviour[v1].crashes_on_load = true;
  node.power_cut();
  for (int boot = 0; boot < 3; ++boot) EXPECT_FALSE(node.with(0, 0).live());
  EXPECT_TRUE(node.with(0, 0).live());
  EXPECT_TRUE(node.safe_mode);
  EXPECT_EQ(node.view().phase, wire::DEPLOY_SAFE_MODE);
  EXPECT_EQ(node.running, "");
  EXPECT_FALSE(node.with(0, 1).live());  // one spaced try
  EXPECT_TRUE(node.with(0, 0).live());
  EXPECT_TRUE(node.safe_mode);
  const std::string v2 = node.add("2", {false, false, kGood}, kGood);  // the hub sends a cure
  node.want(2, "2");
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_EQ(node.running, v2);
  EXPECT_FALSE(node.safe_mode);
}

// The try must be durable before the load, not only on its way.
TEST(DeployCrash, AFirstReleaseThatCrashesIsChargedBeforeEachLoad) {
  TestNode node;
  node.slow_store = true;
  const std::string v1 = node.add("1", {true, false, kGood}, kGood);
  node.want(1, "1");
  for (int boot = 0; boot < 3; ++boot) EXPECT_FALSE(node.with(1, 0).live());
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_EQ(node.loads[v1], 3U);
  EXPECT_TRUE(node.safe_mode);
}

TEST(DeployCrash, ACleanStopOfACommittedReleaseIsNotACrash) {
  TestNode node;
  const std::string v1 = node.add("1", {false, false, kGood}, kGood);
  node.want(1, "1");
  for (int boot = 0; boot < 10; ++boot) {
    EXPECT_TRUE(node.with(1, 0).live());  // no timer: it never gets to be stable
    EXPECT_EQ(node.running, v1);
    node.feed(Stopping{});
    node.live();
    node.power_cut();
  }
}

TEST(DeployCrash, ACleanStopIsNotACrash) {
  TestNode node;
  node.add("1", {false, false, kGood}, kGood);
  const std::string v2 =
      node.add("2", {false, false, test_scores(10, {80, 10, 10}, 97, 2)}, kGood);  // too few to decide
  node.want(1, "1");
  run_to_rest(node);
  node.want(2, "2");
  for (int boot = 0; boot < 10; ++boot) {
    EXPECT_TRUE(node.with(1, 0).live());
    EXPECT_EQ(node.view().phase, wire::DEPLOY_PROBATION);
    node.feed(Stopping{});
    node.live();
    node.power_cut();
  }
  EXPECT_EQ(node.loads[v2], 10U);
}

}  // namespace
}  // namespace wb::deploy
