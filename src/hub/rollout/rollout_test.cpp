// Whole rollouts with fake nodes: each knows only what a real one does, its running release and what it refuses.
#include "hub/rollout/rollout.h"

#include <gtest/gtest.h>

#include <set>

#include "base/memory_rows.h"
#include "base/typed_rows.h"

namespace wb::hub {
namespace {

constexpr int64_t kDarkAfter = 60'000;
constexpr int64_t kLongUp = 1'000'000;

class RolloutTest : public testing::Test {
 protected:
  struct Fake {
    FleetNode view;
    wire::Reported reported;
    bool away = false;
    uint64_t generations = 0;
    std::string desired;
  };

  void add_nodes(int count) {
    for (int i = 0; i < count; ++i) {
      const std::string id = "n" + std::to_string(nodes.size());
      nodes[id].view.id = id;
      nodes[id].view.labels = {{"node", id}, {"site", nodes.size() % 2 == 0 ? "lyon" : "oslo"}};
    }
  }
  Fleet fleet() {
    return [this](const std::function<void(const FleetNode&)>& visit) {
      for (auto& [id, node] : nodes) visit(node.view);
    };
  }
  Result<pb::Rollout> start(const std::string& name, std::vector<uint32_t> waves = {1, 5, 25, 100},
                            std::string selector = "all", bool supersede = false) {
    RolloutStart request;
    request.digest = "digest-" + name;
    request.name = name;
    request.waves_percent = std::move(waves);
    request.selector = std::move(selector);
    request.dark_after_ms = kDarkAfter;
    request.supersede = supersede;
    request.actor = "ada";
    auto rollout = start_rollout(rows, now, request, fleet(), news);
    if (rollout.ok()) scan();
    return rollout;
  }
  void scan() { scan_rollouts(rows, now, kLongUp, fleet(), news); }

  // One contact; the node applies what it is told at once and reports it at the next.
  void call(Fake& node) {
    if (node.away) return;
    node.view.last_contact_ms = now.unix_ms;
    const Entitlement told = contact(rows, now, node.view, &node.reported, news);
    if (!told.keep && told.digest != node.desired) {
      node.desired = told.digest;
      ++node.generations;
    }
    node.view.assigned_rollout = told.rollout;
    EXPECT_FALSE(node.desired == quarantined_of(node)) << "a refused release was assigned again";  // U9
    if (bad.contains(node.desired)) {
      auto* entry = node.reported.add_quarantined();
      entry->set_digest(node.desired);
      entry->set_error_code("DEPLOY_FAILED/PROBATION/SCORE_DRIFT");
      node.view.quarantined.push_back(node.desired);
    } else if (!slow.contains(node.view.id)) {
      node.reported.set_running_digest(node.desired);
    }
    check_exposure();
  }
  static std::string quarantined_of(const Fake& node) {
    return node.view.quarantined.empty() ? "-" : node.view.quarantined.back();
  }
  void round() {
    now.unix_ms += 1'000;
    for (auto& [id, node] : nodes) call(node);
    scan();
  }
  // F1: at no moment are more nodes told than the stage allows.
  void check_exposure() {
    for (const pb::Rollout& rollout : list_rollouts(rows)) {
      if (rollout.state() != pb::ROLLOUT_RUNNING) continue;
      uint32_t told = 0;
      rows.scan(Table::kExposure, rollout.id() + std::string(1, '\0'), {}, [&](auto, std::string_view value) {
        pb::Exposure exposure;
        told += parse_row(value, exposure) && exposure.state() != pb::EXPOSURE_WITHDRAWN ? 1 : 0;
        return true;
      });
      const uint32_t percent = rollout.waves_percent(static_cast<int>(rollout.stage()));
      const uint32_t most = std::max<uint32_t>(1, (percent * static_cast<uint32_t>(nodes.size()) + 99) / 100);
      EXPECT_LE(told, most) << rollout.id() << " at " << percent << " %";
    }
  }
  size_t running(const std::string& name) {
    size_t count = 0;
    for (auto& [id, node] : nodes) count += node.reported.running_digest() == "digest-" + name ? 1 : 0;
    return count;
  }
  pb::Rollout rollout(const std::string& id) { return *find_rollout(rows, id); }
  void settle(int rounds = 12) {
    for (int i = 0; i < rounds; ++i) round();
  }
  size_t told_news(std::string_view kind) {
    size_t count = 0;
    for (const auto& item : news.items) count += item.kind == kind ? 1 : 0;
    return count;
  }

  MemoryRows rows;
  Moment now{{0}, 1'000'000'000};
  RolloutNews news;
  std::map<std::string, Fake> nodes;
  std::set<std::string> bad;   // digests that every node takes back
  std::set<std::string> slow;  // nodes that never decide
};

TEST_F(RolloutTest, GoesByWavesToTheWholeFleet) {  // F1
  add_nodes(40);
  settle(1);
  ASSERT_TRUE(start("v1", {10, 50, 100}).ok());
  std::vector<size_t> seen;
  for (int i = 0; i < 10 && rollout("r1").state() == pb::ROLLOUT_RUNNING; ++i) {
    round();
    if (seen.empty() || seen.back() != running("v1")) seen.push_back(running("v1"));
  }
  EXPECT_EQ(seen, (std::vector<size_t>{4, 20, 40}));
  EXPECT_EQ(rollout("r1").state(), pb::ROLLOUT_COMPLETED);
  EXPECT_EQ(rollout("r1").committed(), 40U);
}

TEST_F(RolloutTest, ABadReleaseHaltsItselfAfterOneNodeAndEveryoneGoesBack) {  // F1, U9
  add_nodes(12);
  settle(1);
  ASSERT_TRUE(start("v1", {100}).ok());
  settle(4);
  ASSERT_EQ(running("v1"), 12U);
  bad.insert("digest-v2");
  ASSERT_TRUE(start("v2").ok());
  settle();
  EXPECT_EQ(rollout("r2").state(), pb::ROLLOUT_HALTED);
  EXPECT_EQ(rollout("r2").exposed(), 1U);
  EXPECT_EQ(running("v1"), 12U);
  for (auto& [id, node] : nodes) EXPECT_EQ(node.desired, "digest-v1");
  EXPECT_EQ(start("v2").error().code, Code::kDenied);  // not again without being asked to
  EXPECT_EQ(told_news("rollout_halted"), 1U);
}

TEST_F(RolloutTest, CommittedNodesOfAHaltedRolloutGoBackToo) {
  add_nodes(8);
  settle(1);
  ASSERT_TRUE(start("v1", {100}).ok());
  settle(4);
  ASSERT_TRUE(start("v2", {25, 100}).ok());
  round();
  round();
  ASSERT_GE(running("v2"), 2U);
  for (auto& [id, node] : nodes) {  // two that committed take it back later: the gate still judges
    if (told_news("failed") < 2 && node.reported.running_digest() == "digest-v2") {
      auto* entry = node.reported.add_quarantined();
      entry->set_digest("digest-v2");
      node.view.quarantined.push_back("digest-v2");
      node.reported.set_running_digest("digest-v1");
      call(node);
    }
  }
  settle(3);
  EXPECT_EQ(rollout("r2").state(), pb::ROLLOUT_HALTED);
  EXPECT_EQ(running("v1"), 8U);
}

TEST_F(RolloutTest, DarkNodesNeitherBlockNorFail) {  // F3, F4
  add_nodes(12);
  settle(1);
  ASSERT_TRUE(start("v1", {10, 100}).ok());
  int gone = 0;  // those that are exposed first go dark before they decide
  for (auto& [id, node] : nodes) {
    slow.insert(id);
    call(node);
    if (node.desired == "digest-v1" && gone < 2) {
      node.away = true;
      ++gone;
    }
  }
  slow.clear();
  ASSERT_EQ(gone, 2);
  now.unix_ms += kDarkAfter / 2;
  settle(1);
  EXPECT_EQ(rollout("r1").stage(), 0U) << "no data is no verdict";
  settle(static_cast<int>(kDarkAfter / 1'000) + 8);
  EXPECT_EQ(rollout("r1").state(), pb::ROLLOUT_COMPLETED);
  EXPECT_EQ(running("v1"), 10U);
  EXPECT_EQ(rollout("r1").failed(), 0U);
  for (auto& [id, node] : nodes) node.away = false;
  settle(2);
  EXPECT_EQ(running("v1"), 12U);
}

TEST_F(RolloutTest, AFleetThatIsAllDarkIsHeld) {  // F4
  add_nodes(5);
  settle(1);
  ASSERT_TRUE(start("v1").ok());
  for (auto& [id, node] : nodes) node.away = true;
  now.unix_ms += 10 * kDarkAfter;
  settle(5);
  EXPECT_EQ(rollout("r1").state(), pb::ROLLOUT_RUNNING);
  EXPECT_EQ(rollout("r1").stage(), 0U);
  EXPECT_EQ(rollout("r1").failed(), 0U);
}

TEST_F(RolloutTest, AHubThatWasAwayCallsNobodyDark) {  // F4
  add_nodes(4);
  settle(1);
  ASSERT_TRUE(start("v1", {50, 100}).ok());
  slow = {"n0", "n1", "n2", "n3"};
  round();
  ASSERT_EQ(rollout("r1").exposed(), 2U);
  now.unix_ms += 100 * kDarkAfter;
  scan_rollouts(rows, now, 10, fleet(), news);
  EXPECT_EQ(rollout("r1").exposed(), 2U);
  scan_rollouts(rows, now, kLongUp, fleet(), news);
  EXPECT_EQ(rollout("r1").exposed(), 0U);
}

TEST_F(RolloutTest, ANodeThatWasAwayForAWeekGoesStraightToTheNewest) {  // U9
  add_nodes(10);
  settle(1);
  nodes["n3"].away = true;
  nodes["n3"].view.quarantined.push_back("digest-v4");
  for (const char* name : {"v1", "v2", "v3", "v4"}) {
    ASSERT_TRUE(start(name, {50, 100}).ok());
    settle(static_cast<int>(kDarkAfter / 1'000) + 5);  // until it counts as dark
  }
  EXPECT_EQ(running("v4"), 9U);
  now.unix_ms += 7 * 86'400'000;
  nodes["n3"].away = false;
  settle(2);
  EXPECT_EQ(nodes["n3"].desired, "digest-v3");  // the newest that it does not refuse
  EXPECT_EQ(nodes["n3"].generations, 1U);
}

TEST_F(RolloutTest, ALateJoinerGetsWhatIsDone) {
  add_nodes(6);
  settle(1);
  ASSERT_TRUE(start("v1", {50, 100}, "site=lyon").ok());
  settle(5);
  add_nodes(4);
  settle(2);
  EXPECT_EQ(running("v1"), 5U);
}

TEST_F(RolloutTest, PausedAdmitsNobodyAndAbortedGivesBackWhatHasNotCommitted) {
  add_nodes(20);
  settle(1);
  ASSERT_TRUE(start("v1", {100}).ok());
  settle(4);
  ASSERT_TRUE(start("v2", {10, 100}).ok());
  round();
  ASSERT_TRUE(command(rows, now, "r2", RolloutAction::kPause, "ada", news).ok());
  ASSERT_TRUE(command(rows, now, "r2", RolloutAction::kPause, "ada", news).ok());  // H2
  settle(5);
  EXPECT_EQ(running("v2"), 2U);
  slow = {"n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"};
  ASSERT_TRUE(command(rows, now, "r2", RolloutAction::kResume, "ada", news).ok());
  settle(3);
  const size_t committed = running("v2");
  EXPECT_LT(committed, 20U);
  ASSERT_TRUE(command(rows, now, "r2", RolloutAction::kAbort, "ada", news).ok());
  settle(2);
  for (auto& [id, node] : nodes) EXPECT_EQ(node.desired, node.reported.running_digest()) << id;
  EXPECT_EQ(running("v2"), committed);
  ASSERT_TRUE(command(rows, now, "r2", RolloutAction::kAbortAndRollBack, "ada", news).ok());
  settle(2);
  EXPECT_EQ(running("v1"), 20U);
  EXPECT_FALSE(command(rows, now, "r2", RolloutAction::kResume, "ada", news).ok());
  EXPECT_EQ(command(rows, now, "r9", RolloutAction::kPause, "ada", news).error().code, Code::kNotFound);
}

TEST_F(RolloutTest, PromoteOpensTheNextWave) {
  add_nodes(10);
  settle(1);
  for (auto& [id, node] : nodes) slow.insert(id);
  ASSERT_TRUE(start("v1", {10, 50, 100}).ok());
  settle(3);
  EXPECT_EQ(rollout("r1").exposed(), 1U);
  ASSERT_TRUE(command(rows, now, "r1", RolloutAction::kPromote, "ada", news).ok());
  settle(2);
  EXPECT_EQ(rollout("r1").exposed(), 5U);
}

TEST_F(RolloutTest, TwoRolloutsDoNotFightOverANode) {
  add_nodes(10);
  settle(1);
  for (auto& [id, node] : nodes) slow.insert(id);
  ASSERT_TRUE(start("v1", {100}, "site=lyon").ok());
  EXPECT_EQ(start("v2", {100}, "all").error().code, Code::kExists);
  EXPECT_TRUE(start("v3", {100}, "site=oslo").ok());
  EXPECT_TRUE(start("v2", {100}, "all", true).ok());
  EXPECT_EQ(rollout("r1").state(), pb::ROLLOUT_ABORTED);
  EXPECT_EQ(start("v5", {100}, "siet=oslo").error().text,
            "selector, column 1: no node has a label 'siet'; did you mean 'site'?");
  EXPECT_FALSE(start("v5", {50, 20, 100}).ok());
  EXPECT_FALSE(start("v5", {50}).ok());
}

TEST_F(RolloutTest, AContactOfASettledFleetReadsFewRows) {
  add_nodes(50);
  settle(1);
  ASSERT_TRUE(start("v1", {100}).ok());
  settle(4);
  const uint64_t reads = rows.reads_count;
  const uint64_t writes = rows.writes_count;
  call(nodes["n7"]);
  EXPECT_LE(rows.reads_count - reads, 3U + 1U);  // live list, rollout, exposure (+ this test's own look)
  EXPECT_EQ(rows.writes_count, writes);
}

// A stage behind the last wave was read behind the list of waves.
TEST_F(RolloutTest, ARowThatNobodyWroteCountsAsAbsentAndTakesNothingAway) {
  add_nodes(1);
  ASSERT_TRUE(start("one", {100}).ok());
  auto& node = nodes["n0"];
  node.view.last_contact_ms = now.unix_ms;
  scan();
  node.view.assigned_rollout = contact(rows, now, node.view, &node.reported, news).rollout;
  ASSERT_EQ(node.view.assigned_rollout, "r1");
  pb::Rollout damaged = *find_rollout(rows, "r1");
  damaged.set_stage(1'000);
  save_row(rows, Table::kRollouts, "r1", damaged);
  scan();
  EXPECT_TRUE(list_rollouts(rows).empty());
  EXPECT_TRUE(contact(rows, now, node.view, &node.reported, news).keep);
  damaged.set_stage(0);
  damaged.set_id("r2");
  save_row(rows, Table::kRollouts, "r1", damaged);
  EXPECT_FALSE(find_rollout(rows, "r1"));
}

TEST(Gate, JudgesByTheInterval) {
  const auto judged = [](uint32_t exposed, uint32_t committed, uint32_t failed, bool full, bool last = false) {
    return judge(GateInput{exposed, committed, failed, exposed, full, last, 100});
  };
  EXPECT_EQ(judged(1, 0, 0, true), Verdict::kHold);
  EXPECT_EQ(judged(1, 1, 0, true), Verdict::kPass);
  EXPECT_EQ(judged(1, 1, 0, false), Verdict::kHold);  // the wave is not full yet
  EXPECT_EQ(judged(4, 3, 1, true), Verdict::kHalt);
  EXPECT_EQ(judged(100, 20, 1, false), Verdict::kHold);
  EXPECT_EQ(judged(100, 0, 1, false), Verdict::kHold);
  EXPECT_EQ(judged(100, 3, 2, false), Verdict::kHalt);     // Wilson lower bound 11.8 %
  EXPECT_EQ(judged(100, 10, 2, false), Verdict::kHold);    // 4.7 %
  EXPECT_EQ(judged(1'000, 34, 0, false), Verdict::kHold);  // upper bound 10.2 %
  EXPECT_EQ(judged(1'000, 35, 0, false), Verdict::kPass);  // 9.9 %
  EXPECT_EQ(judged(1'000, 35, 0, false, true), Verdict::kHold);
  EXPECT_EQ(judged(20, 17, 3, true), Verdict::kHalt);  // all decided, 15 % > 10 %
  EXPECT_EQ(judged(20, 19, 1, true), Verdict::kPass);
}

TEST_F(RolloutTest, ASelectorThatNamesNobodyIsRefusedWithTheNearestValue) {
  EXPECT_TRUE(start("v0", {100}, "all").ok()) << "an empty fleet: its nodes are still to come";
  add_nodes(4);
  const auto refused = start("v1", {100}, "site=lyo", true);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  EXPECT_NE(refused.error().text.find("no node matches 'site=lyo'; 'site' is never 'lyo'; did you mean 'lyon'?"),
            std::string::npos)
      << refused.error().text;
  EXPECT_FALSE(start("v1", {100}, "site=lyon and site=oslo", true).ok());
  EXPECT_EQ(rollout("r1").state(), pb::ROLLOUT_RUNNING) << "what is refused supersedes nothing";
  EXPECT_TRUE(start("v1", {100}, "site=lyon", true).ok());
}

// F3: it takes no release at all, which says nothing about this one.
TEST_F(RolloutTest, ANodeThatTakesNoReleasesIsInNoDenominator) {
  add_nodes(4);
  settle(1);
  ASSERT_TRUE(start("v1", {100}).ok());
  Fake& own = nodes["n2"];
  own.view.last_contact_ms = now.unix_ms;
  const Entitlement told = contact(rows, now, own.view, &own.reported, news);
  ASSERT_EQ(told.digest, "digest-v1");
  auto* entry = own.reported.add_quarantined();
  entry->set_digest("digest-v1");
  entry->set_error_code("DEPLOY_NOT_TAKEN/LOCAL_PIPELINE");
  own.view.quarantined.push_back("digest-v1");
  own.desired = "";
  settle();
  EXPECT_EQ(rollout("r1").state(), pb::ROLLOUT_COMPLETED);
  EXPECT_EQ(rollout("r1").committed(), 3U);
  EXPECT_EQ(rollout("r1").failed(), 0U);
  EXPECT_EQ(rollout("r1").withdrawn(), 1U);
  EXPECT_EQ(told_news("withdrawn"), 1U);
  own.reported.clear_quarantined();  // started without its own pipeline
  own.view.quarantined.clear();
  settle(3);
  EXPECT_EQ(rollout("r1").committed(), 4U);
}

}  // namespace
}  // namespace wb::hub
