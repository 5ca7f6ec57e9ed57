// Transitions and refusals, one by one. The stories with power cuts are in crash_test.cpp.
#include "edge/deploy/deploy.h"

#include <gtest/gtest.h>

#include "edge/deploy/test_node.h"

namespace wb::deploy {
namespace {

const wire::ScoreSketch kGood = test_scores(1'000, {79, 11, 10}, 96, 2);
const wire::ScoreSketch kBad = test_scores(1'000, {5, 10, 85}, 55, 19);

class DeployTest : public testing::Test {
 protected:
  DeployTest() {
    v1 = node.add("1", {false, false, kGood}, kGood);
    node.want(1, "1");
    EXPECT_TRUE(node.with(2, 4).live());
    EXPECT_EQ(node.running, v1);
  }
  std::string only_code() {
    const View view = node.view();
    return view.quarantined.size() == 1 ? view.quarantined[0].error_code()
                                        : std::to_string(view.quarantined.size()) + " entries";
  }
  TestNode node;
  std::string v1;
};

TEST(Deploy, NothingAssignedIsIdleAndNotSafeMode) {
  TestNode node;
  EXPECT_TRUE(node.with(2, 0).live());
  EXPECT_EQ(node.view().phase, wire::DEPLOY_IDLE);
  EXPECT_FALSE(node.safe_mode);
}

TEST_F(DeployTest, APassingReleaseIsCommittedAndReported) {
  const std::string v2 = node.add("2", {false, false, kGood}, kGood);
  node.want(7, "2");
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_EQ(node.running, v2);
  wire::Reported reported;
  fill(node.view(), reported);
  EXPECT_EQ(reported.phase(), wire::DEPLOY_COMMITTED);
  EXPECT_EQ(reported.running_digest(), v2);
  EXPECT_EQ(reported.running_name(), "pump@2");
  EXPECT_EQ(reported.running_generation(), 7U);
  EXPECT_EQ(reported.desired_generation(), 7U);
  EXPECT_EQ(node.slots.size(), 2U) << "the running one and the way back";
}

// Every refusal of U1 and K2: nothing of these bytes is ever loaded, the incumbent goes on.
TEST_F(DeployTest, WhatIsNotTheReleasedArtifactIsNeverLoaded) {
  struct Row {
    const char* code;
    std::function<Bytes()> make;
    std::string name = "pump@x";
  };
  const auto resign = [](std::string version, const std::string& seed) {
    wire::ReleaseContent content;
    content.manifest.set_name("pump");
    content.manifest.set_version(version);
    content.contents = {{"pipeline.yaml", "name: pump\n"}};
    return *wire::build_release(std::move(content), seed);
  };
  const Row rows[] = {
      {"DEPLOY_REJECTED/SIGNATURE", [&] { return resign("x", std::string(32, 'z')); }},
      {"DEPLOY_REJECTED/SIGNATURE",
       [&] {
         Bytes artifact = resign("x", kTestSeed);
         artifact[artifact.find("pipeline.yaml")] ^= 1;  // in the manifest, under the name of the trusted key
         return artifact;
       }},
      {"DEPLOY_REJECTED/NAME", [&] { return resign("y", kTestSeed); }},
      {"DEPLOY_REJECTED/STRUCTURE", [] { return Bytes(5'000, '\xff'); }},
      {"DEPLOY_REJECTED/BLOB",
       [&] {
         Bytes artifact = resign("x", kTestSeed);
         artifact[artifact.size() - 3] ^= 1;  // in the contents: the manifest's signature still matches
         return artifact;
       }},
      {"DEPLOY_REJECTED/SCHEMA",
       [] {
         wire::ReleaseContent content;
         content.manifest.set_name("pump");
         content.manifest.set_version("x");
         return *wire::build_release(std::move(content), kTestSeed);
       }},
      {"DEPLOY_REJECTED/MODEL",
       [] {
         wire::ReleaseContent content;
         content.manifest.set_name("pump");
         content.manifest.set_version("x");
         content.contents = {{"pipeline.yaml", "name: pump\n"}, {"model/main", "not a model"}};
         return *wire::build_release(std::move(content), kTestSeed);
       }},
  };
  uint64_t generation = 2;
  for (const Row& row : rows) {
    const Bytes artifact = row.make();
    wire::Desired desired = test_desired(generation++, "x", artifact);
    node.artifacts[desired.digest()] = artifact;
    node.desired = desired;
    EXPECT_TRUE(node.with(1, 0).live());
    EXPECT_EQ(node.loads[desired.digest()], 0U) << row.code;
    EXPECT_EQ(node.running, v1);
    EXPECT_EQ(node.view().phase, wire::DEPLOY_REJECTED) << row.code;
    ASSERT_FALSE(node.view().quarantined.empty()) << row.code;
    EXPECT_EQ(node.view().quarantined.back().error_code(), row.code);
    EXPECT_FALSE(node.slots.contains(desired.digest())) << "its bytes are kept for nothing";
  }
}

// A node that was enrolled before the publisher's key was trusted, and is enrolled again after: the refusal was about
// the keys, not about the release (U9 holds for every other reason).
TEST(Deploy, ARefusalForTheSignatureLapsesWithThePinnedKeys) {
  TestNode node;
  const std::vector<std::string> keys = node.config().trusted_keys;
  const std::string v1 = node.add("1", {false, false, kGood}, kGood);
  const auto start_with = [&](const std::vector<std::string>& pinned) {
    node.power_cut();
    node.config().trusted_keys = pinned;
    EXPECT_TRUE(node.with(2, 4).live());
  };
  node.want(1, "1");
  start_with({});
  EXPECT_EQ(node.refusals, std::vector<std::string>{"pump@1 DEPLOY_REJECTED/SIGNATURE"});
  start_with({});
  EXPECT_EQ(node.view().quarantined.size(), 1U) << "the same keys: it stays refused";
  start_with(keys);
  EXPECT_EQ(node.running, v1);
  EXPECT_TRUE(node.view().quarantined.empty());
  const std::string v2 = node.add("2", {false, true, kGood}, kGood);  // does not load
  node.want(2, "2");
  start_with(keys);
  start_with({keys[0], std::string(32, 'k')});
  EXPECT_EQ(node.loads[v2], 1U) << "other reasons stay";
  EXPECT_EQ(node.refusals.back(), "pump@2 DEPLOY_REJECTED/PIPELINE");
}

// Bytes that arrive wrong are fetched anew, three times; then a newer assignment of the same release may try again.
TEST_F(DeployTest, DamageInTransferIsRetriedAndNotHeldAgainstTheRelease) {
  const std::string v2 = node.add("2", {false, false, kGood}, kGood);
  node.want(2, "2");
  int damaged = 2;
  node.tamper = [&](uint64_t offset, Bytes bytes) {
    if (offset == 0 && damaged-- > 0) bytes[100] ^= 4;
    return bytes;
  };
  EXPECT_TRUE(node.with(1, 4).live());
  EXPECT_EQ(node.running, v2);

  node.add("3", {false, false, kGood}, kGood);
  node.want(3, "3");
  damaged = 1'000;
  EXPECT_TRUE(node.with(1, 6).live());
  EXPECT_EQ(node.running, v2);
  EXPECT_EQ(only_code(), "DEPLOY_REJECTED/DIGEST");
  damaged = 0;
  EXPECT_TRUE(node.with(1, 6).live());
  EXPECT_EQ(node.running, v2) << "the same assignment is settled";
  node.want(4, "3");
  EXPECT_TRUE(node.with(1, 6).live());
  EXPECT_EQ(node.running, node.versions["3"]);
}

// U7, K3 endless data: more than was asked is not taken, and the slot never grows beyond the signed length.
TEST_F(DeployTest, EndlessDataIsRefused) {
  node.add("2", {false, false, kGood}, kGood);
  node.want(2, "2");
  node.tamper = [](uint64_t, Bytes bytes) { return bytes + Bytes(1'000'000, 'x'); };
  EXPECT_TRUE(node.with(1, 8).live());
  EXPECT_EQ(node.running, v1);
  EXPECT_EQ(only_code(), "DEPLOY_REJECTED/LENGTH");
  node.desired = test_desired(3, "9", "");
  node.desired.set_size_bytes(limits::kReleaseBytesMax + 1);
  node.desired.set_digest(std::string(64, 'd'));
  EXPECT_TRUE(node.with(1, 8).live());
  EXPECT_EQ(node.view().quarantined.back().error_code(), "DEPLOY_REJECTED/LENGTH");
}

// U7: a resume goes on from the durable bytes of the same digest and fetches nothing twice.
TEST_F(DeployTest, AResumedDownloadFetchesTheRestOnly) {
  const std::string v2 = node.add("2", {false, false, kGood}, kGood);
  node.want(2, "2");
  node.power_cut_before = 3;  // the journal, a range, its write
  EXPECT_FALSE(node.with(1, 0).live());
  const uint64_t durable = node.slots[v2].first.size();
  EXPECT_EQ(durable, 65'536U);
  node.slots[v2].first += "torn";  // reached the disk, but was never reported
  node.fetched_bytes = 0;
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_EQ(node.running, v1) << "the bytes went wrong: that is noticed";
  EXPECT_TRUE(node.with(1, 1).live());
  EXPECT_EQ(node.running, v2);

  const std::string v3 = node.add("3", {false, false, kGood}, kGood);
  node.want(3, "3");
  node.power_cut_before = 3;
  EXPECT_FALSE(node.with(1, 0).live());
  node.fetched_bytes = 0;
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_EQ(node.running, v3);
  EXPECT_EQ(node.fetched_bytes, node.artifacts[v3].size() - 65'536);
}

// K3 by name, U5.
TEST_F(DeployTest, AssignmentsThatGoBackOrContradictAreRefusedByName) {
  const std::string v2 = node.add("2", {false, false, kGood}, kGood);
  node.want(5, "2");
  EXPECT_TRUE(node.with(1, 0).live());
  node.want(4, "1");
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_TRUE(node.view().last_refusal.starts_with("DEPLOY_REFUSED/ROLLBACK")) << node.view().last_refusal;
  node.want(5, "1");
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_TRUE(node.view().last_refusal.starts_with("DEPLOY_REFUSED/MIX_AND_MATCH"));
  node.want(~uint64_t{0}, "1");
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_TRUE(node.view().last_refusal.starts_with("DEPLOY_REFUSED/FAST_FORWARD"));
  node.want(6, "1");
  node.desired.set_digest("../../etc/passwd");
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_TRUE(node.view().last_refusal.starts_with("DEPLOY_REFUSED/DIGEST"));
  EXPECT_EQ(node.view().refused_count, 4U);
  EXPECT_EQ(node.running, v2);
  node.want(6, "1");  // a rollback is a newer generation that names an older release
  node.fetched_bytes = 0;
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_EQ(node.running, v1);
  EXPECT_EQ(node.fetched_bytes, 0U) << "it is still in its slot";
}

// U9: straight to the newest, and never to a quarantined one.
TEST_F(DeployTest, ANewerAssignmentSupersedesWhatIsInFlight) {
  const std::string v2 = node.add("2", {false, false, test_scores(10, {80}, 97, 2)}, kGood);
  const std::string v3 = node.add("3", {false, false, kGood}, kGood);
  node.want(2, "2");
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_EQ(node.view().phase, wire::DEPLOY_PROBATION);
  node.want(3, "3");
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_EQ(node.running, v3);
  EXPECT_FALSE(node.slots.contains(v2));
  EXPECT_TRUE(node.view().quarantined.empty());
}

TEST_F(DeployTest, AQuarantinedReleaseIsNotTriedAgain) {
  const std::string v2 = node.add("2", {false, false, kBad}, kGood);
  node.want(2, "2");
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_EQ(only_code(), "DEPLOY_FAILED/PROBATION/LABEL_DRIFT");
  EXPECT_EQ(node.view().phase, wire::DEPLOY_ROLLED_BACK);
  EXPECT_EQ(node.running, v1);
  node.want(3, "2");
  EXPECT_TRUE(node.with(2, 0).live());
  EXPECT_EQ(node.loads[v2], 1U);
  EXPECT_EQ(node.view().desired_generation, 3U) << "the assignment is known, and refused";
  EXPECT_NE(node.view().waiting_for.find("assign another release"), std::string::npos) << node.view().waiting_for;
}

// A release that was committed once is judged again when it comes back; if it fails then, it is no way back either.
TEST_F(DeployTest, TheWayBackIsForbiddenWithItsRelease) {
  node.add("2", {false, false, kGood}, kGood);
  node.want(2, "2");
  EXPECT_TRUE(node.with(1, 0).live());
  node.behaviour[v1].scores = kBad;
  node.want(3, "1");
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_EQ(node.running, node.versions["2"]);
  EXPECT_FALSE(node.rows.contains("deploy/previous"));
  EXPECT_FALSE(node.slots.contains(v1));
}

TEST(Deploy, AFirstReleaseThatFailsLeavesADeclaredSafeMode) {
  TestNode node;
  node.add("1", {false, false, kBad}, kGood);
  node.want(1, "1");
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_TRUE(node.safe_mode);
  EXPECT_EQ(node.view().phase, wire::DEPLOY_SAFE_MODE);
  const std::string v2 = node.add("2", {false, false, kGood}, kGood);
  node.want(2, "2");
  EXPECT_TRUE(node.with(1, 0).live());
  EXPECT_EQ(node.running, v2);
  EXPECT_FALSE(node.view().safe_mode);
}

// Bit rot in the slot of the running release (Q5 for slots): the one before it runs, and the damaged one is fetched
// again.
TEST_F(DeployTest, ADamagedSlotFallsBackAndIsFetchedAgain) {
  const std::string v2 = node.add("2", {false, false, kGood}, kGood);
  node.want(2, "2");
  EXPECT_TRUE(node.with(1, 1).live());
  node.slots[v2].first[500] ^= 1;
  node.power_cut();
  node.hub_is_there = false;
  EXPECT_TRUE(node.with(0, 1).live());
  EXPECT_EQ(node.running, v1);
  node.hub_is_there = true;
  EXPECT_TRUE(node.with(1, 2).live());
  EXPECT_EQ(node.running, v2);
  EXPECT_TRUE(node.view().quarantined.empty());
}

TEST_F(DeployTest, ADamagedJournalRowCostsOneFact) {
  node.add("2", {false, false, kGood}, kGood);
  node.want(2, "2");
  EXPECT_TRUE(node.with(1, 1).live());
  for (const char* key :
       {"deploy/desired", "deploy/previous", "deploy/quarantine", "deploy/candidate", "deploy/committed"}) {
    const auto saved = node.rows;
    node.rows[key] = "garbage";
    node.power_cut();
    EXPECT_TRUE(node.with(0, 2).live());
    EXPECT_EQ(node.view().damaged_rows, 1U) << key;
    EXPECT_EQ(node.running, node.versions["2"]) << key;
    EXPECT_EQ(node.view().desired_generation, 2U) << key;
  }
}

// The store sets a damaged row aside, so the machine meets it as missing. What it deduces from the others instead must
// not go with them.
TEST_F(DeployTest, ADeducedGenerationIsWrittenDown) {  // U5
  node.rows.erase("deploy/desired");
  node.power_cut();
  node.hub_is_there = false;
  EXPECT_TRUE(node.with(0, 2).live());
  EXPECT_EQ(node.view().desired_generation, 1U);
  node.rows.erase("deploy/committed");
  node.power_cut();
  EXPECT_TRUE(node.with(0, 2).live());
  EXPECT_EQ(node.view().desired_generation, 1U);
}

// R1, T3: with a store that cannot write, a failing candidate is dropped all the same; nothing durable is claimed.
TEST_F(DeployTest, AFullDiskStopsNeitherTheDropNorTheReport) {
  const std::string v2 = node.add("2", {false, false, test_scores(10, {80}, 97, 2)}, kGood);
  node.want(2, "2");
  EXPECT_TRUE(node.with(1, 0).live());
  node.store_fails = true;
  node.feed(Scores{v2, kBad, kGood});
  EXPECT_TRUE(node.with(0, 3).live());
  EXPECT_TRUE(node.view().quarantined.empty()) << "reported before it was durable";
  EXPECT_NE(node.view().waiting_for.find("disk is full"), std::string::npos);
  EXPECT_EQ(node.running, v1);
  node.store_fails = false;
  EXPECT_TRUE(node.with(0, 3).live());
  EXPECT_EQ(only_code(), "DEPLOY_FAILED/PROBATION/LABEL_DRIFT");
}

TEST_F(DeployTest, AFullDiskForSlotsWaitsAndGoesOn) {
  const std::string v2 = node.add("2", {false, false, kGood}, kGood);
  node.want(2, "2");
  node.disk_full_for.insert(v2);
  EXPECT_TRUE(node.with(1, 5).live());
  EXPECT_EQ(node.running, v1);
  EXPECT_EQ(node.view().waiting_for, "slot: disk is full");
  EXPECT_TRUE(node.view().quarantined.empty());
  node.disk_full_for.clear();
  EXPECT_TRUE(node.with(1, 5).live());
  EXPECT_EQ(node.running, v2);
}

// L2: what a disk does not take is not fetched again and again, though the network is well.
TEST_F(DeployTest, ADiskThatTakesNothingIsTriedEverMoreRarely) {
  for (const bool only_seal : {false, true}) {
    const std::string v = node.add(only_seal ? "3" : "2", {false, false, kGood}, kGood);
    node.want(only_seal ? 3 : 2, only_seal ? "3" : "2");
    node.seal_fails = only_seal;
    if (!only_seal) node.disk_full_for.insert(v);
    const Instant before = node.now().mono;
    node.fetched_bytes = 0;
    EXPECT_TRUE(node.with(1, 40).live());
    EXPECT_EQ(node.running, v1);
    EXPECT_GE(node.fetched_bytes, 40 * node.desired.size_bytes()) << "it goes on trying";
    EXPECT_GT(node.now().mono.ns - before.ns, 1'800 * kNsPerSecond) << "40 tries";
  }
  node.seal_fails = false;
  EXPECT_TRUE(node.with(1, 5).live());
  EXPECT_EQ(node.running, node.versions.at("3"));
}

// L3: the hub's retry-after is a floor that contact does not lower. A lost fetch is asked again.
TEST_F(DeployTest, FetchesAreRepeatedNoSoonerThanAsked) {
  node.add("2", {false, false, kGood}, kGood);
  node.want(2, "2");
  node.hub_is_there = false;
  node.feed(DesiredSeen{node.desired});
  EXPECT_TRUE(node.with(0, 0).live());
  EXPECT_NE(node.view().waiting_for.find("no hub"), std::string::npos);
  Deploy& machine = node.machine();
  const Moment now = node.now();
  Step<Effect> step = machine.step(now, DesiredSeen{node.desired});
  ASSERT_EQ(step.effects.size(), 1U) << "there is contact: asked at once";
  const FetchRange asked = std::get<FetchRange>(step.effects[0]);
  step = machine.step(now, FetchFailed{asked.digest, asked.offset, fail(Code::kUnavailable, "busy"), 90'000});
  EXPECT_GE(step.wake_at.ns, after_ms(now.mono, 90'000).ns);
  EXPECT_TRUE(machine.step(now, DesiredSeen{node.desired}).effects.empty());
  const Moment later{step.wake_at, 0};
  step = machine.step(later, Wake{});
  ASSERT_EQ(step.effects.size(), 1U);
  step = machine.step(Moment{step.wake_at, 0}, Wake{});  // no answer came
  EXPECT_TRUE(step.effects.empty());
  step = machine.step(Moment{step.wake_at, 0}, Wake{});
  EXPECT_EQ(step.effects.size(), 1U);
}

TEST_F(DeployTest, StaleAnswersAreIgnored) {
  const auto nothing = [&](const Event& event) { return node.machine().step(node.now(), event).effects.empty(); };
  EXPECT_TRUE(nothing(Fetched{v1, 0, "x"}));
  EXPECT_TRUE(nothing(FetchFailed{v1, 0, Error{}, 0}));
  EXPECT_TRUE(nothing(SlotWritten{v1, 5}));
  EXPECT_TRUE(nothing(SlotSealed{v1}));
  EXPECT_TRUE(nothing(SlotRead{v1, "x"}));
  EXPECT_TRUE(nothing(SlotFailed{v1, Error{}}));
  EXPECT_TRUE(nothing(Loaded{v1, false, "x"}));
  EXPECT_TRUE(nothing(Scores{v1, kBad, kGood}));
  EXPECT_TRUE(nothing(Stored{999}));
  EXPECT_TRUE(nothing(StoreFailed{999, Error{}}));
  EXPECT_EQ(node.view().running_digest, v1);
}

}  // namespace
}  // namespace wb::deploy
