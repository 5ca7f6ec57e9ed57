// What runs: a first release, a candidate with another input schema, and back.
#include "edge/agent/test_agent.h"

namespace wb {
namespace {

class ReleaseTest : public testing::Test, public TestNode {
 protected:
  void SetUp() override {
    local.reset();
    boot();
    settle();
  }
  std::string column() { return agent().serving() == nullptr ? "" : agent().serving()->input_schema().fields[0].name; }
  void run_first() {
    want(1, "1", "v");
    contact();
    send(next_++, {11, 12, 13});
    settle();
    ASSERT_EQ(view().deploy.running_name, "pump@1");
  }
  uint64_t next_ = 1;
};

TEST_F(ReleaseTest, WithoutAReleaseInputIsRefusedNotLost) {
  agent::SourceBatch source;
  source.answer_id = 1;
  feed(std::move(source));
  EXPECT_EQ(answers.at(1).verdict, agent::Answer::Verdict::kBusy);
  EXPECT_TRUE(served.empty());
}

TEST_F(ReleaseTest, AFirstReleaseServesWhileInProbation) {
  want(1, "1", "v");
  contact();
  EXPECT_EQ(view().deploy.phase, wire::DEPLOY_PROBATION);
  EXPECT_EQ(column(), "v");
  ASSERT_EQ(served.size(), 1U);
  EXPECT_EQ(served[0], agent().serving_epoch());
  send(1, {11, 12});
  settle();
  EXPECT_EQ(view().deploy.running_name, "pump@1");
  EXPECT_EQ(served.size(), 1U);  // it goes on serving: its sources are not torn down
  EXPECT_EQ(shadows, 0U);
  drain();
  EXPECT_EQ(requests.back().streams_size() + static_cast<int>(effects.size()), 3);
}

TEST_F(ReleaseTest, ACandidateWithTheSameSchemaIsAShadow) {
  run_first();
  const uint64_t epoch = agent().serving_epoch();
  want(2, "2", "v");
  contact();
  ASSERT_EQ(view().deploy.phase, wire::DEPLOY_PROBATION);
  EXPECT_EQ(agent().serving_epoch(), epoch);
  drain();
  const size_t before = effects.size();
  send(next_++, {11});
  EXPECT_EQ(shadows, 1U);
  drain();
  EXPECT_EQ(effects.size(), before + 1);  // the shadow sends nothing
  EXPECT_EQ(view().deploy.running_name, "pump@1");
  send(next_++, {11});
  settle();
  EXPECT_EQ(view().deploy.running_name, "pump@2");
  EXPECT_EQ(agent().serving_epoch(), epoch + 1);
  EXPECT_EQ(served.back(), epoch + 1);
}

TEST_F(ReleaseTest, ACandidateWithAnotherSchemaServesAndIsTakenBack) {
  run_first();
  const uint64_t epoch = agent().serving_epoch();
  want(2, "2", "w");
  contact();
  ASSERT_EQ(view().deploy.phase, wire::DEPLOY_PROBATION);
  EXPECT_EQ(column(), "w");
  EXPECT_EQ(agent().serving_epoch(), epoch + 1);
  want(3, "1", "v");
  contact();
  EXPECT_EQ(column(), "v");
  EXPECT_EQ(agent().serving_epoch(), epoch + 2);
  EXPECT_EQ(served.back(), epoch + 2);
  send(next_, {11});
  settle();
  EXPECT_EQ(answers.at(next_).verdict, agent::Answer::Verdict::kAccepted);
  EXPECT_EQ(view().deploy.running_name, "pump@1");
}

// From one candidate that serves straight to one that cannot: what serves has changed, and sources must hear of it.
TEST_F(ReleaseTest, ACandidateThatServesGivesWayToAShadow) {
  run_first();
  want(2, "2", "w");
  contact();
  ASSERT_EQ(column(), "w");
  want(3, "3", "v");
  contact();
  EXPECT_EQ(column(), "v");
  EXPECT_EQ(served.back(), agent().serving_epoch());
  EXPECT_TRUE(agent().serving()->input_schema() == batch(0, {}).batch.schema);
}

// In safe mode a candidate serves, for there is nothing else. Once the last release is tried again and runs, the
// records are its own, and the candidate is measured beside it.
TEST_F(ReleaseTest, ACandidateThatServedInSafeModeIsAShadowOnceAReleaseRuns) {  // F6
  run_first();
  const std::string first = desired.digest();
  for (int start = 0; start < 4; ++start) {
    boot();  // the process died soon after each
    settle();
  }
  ASSERT_TRUE(view().deploy.safe_mode);
  want(2, "2", "v");
  contact();
  ASSERT_EQ(view().deploy.phase, wire::DEPLOY_PROBATION);
  ASSERT_EQ(column(), "v");
  for (int i = 0; i < 500 && view().deploy.running_digest.empty(); ++i) {
    wake();
    settle();
  }
  ASSERT_EQ(view().deploy.running_digest, first);
  ASSERT_EQ(view().deploy.phase, wire::DEPLOY_PROBATION);
  send(next_++, {11});
  settle();
  EXPECT_EQ(shadows, 1U);
  exchanges.clear();
  requests.clear();
  drain();
  bool seen = false;
  for (const wire::ExchangeRequest& request : requests)
    for (const wire::StreamUp& stream : request.streams())
      for (const wire::RecordUp& record : stream.records()) {
        if (record.rule() == static_cast<uint32_t>(Rule::kEvent)) continue;  // safe mode was told, too
        EXPECT_EQ(record.release(), first);
        seen = true;
      }
  EXPECT_TRUE(seen);
}

TEST_F(ReleaseTest, WithNothingToServeTheLastBudgetHolds) {  // B2
  constexpr uint64_t kBudget = 1U << 20;                     // of the test pipeline
  run_first();
  for (auto& [digest, slot] : slots) slot.first[0] ^= 1;
  boot();
  settle();
  ASSERT_TRUE(view().deploy.safe_mode);
  EXPECT_GT(view().outbox.budget_left_bytes, 0U);
  EXPECT_LE(view().outbox.budget_left_bytes, kBudget);
  rows.erase({NodeTable::kState, "agent/budget"});  // its row was damaged: nothing goes until a release says how much
  boot();
  EXPECT_EQ(view().outbox.budget_left_bytes, 0U);
  contact();
  send(next_++, {11, 12, 13});
  settle();
  ASSERT_EQ(view().deploy.running_name, "pump@1");
  EXPECT_GT(view().outbox.budget_left_bytes, 0U);
}

// A store that fails for days: control goes on deciding, and what it wants to save stays bounded (contract 6).
TEST_F(ReleaseTest, WhatWaitsForAFailingStoreIsBounded) {
  run_first();
  drain();
  send(next_++, {11});
  fail_store();
  for (uint64_t i = 0; i < 400; ++i) {
    ASSERT_TRUE(reach_exchange(false) || !submitted.empty());
    if (!exchanges.empty()) {
      want(2 + i, std::to_string(2 + i), "v");
      wire::ExchangeResponse response = at_hub();
      response.set_unix_ms(now.unix_ms + static_cast<int64_t>(i) * 86'400'000);  // a new day each: a row to save
      answer(response);
    }
    if (!submitted.empty()) {
      EXPECT_LE(submitted.size(), agent::kPendingWhileFailingMax + 1);
      fail_store();
    }
  }
  tickets.clear();
  while (submitted.empty()) wake();
  settle();
  EXPECT_LE(tickets.size(), 2 * agent::kPendingWhileFailingMax);
  EXPECT_TRUE(answers.contains(1));
  EXPECT_EQ(answers.at(next_ - 1).verdict, agent::Answer::Verdict::kAccepted);
  drain();
  EXPECT_EQ(view().store_error, "");
  expect_exact();
}

TEST_F(ReleaseTest, AReleaseThatDoesNotBuildIsRefusedByName) {
  run_first();
  want(2, "2", "no name");
  config.read_document = nullptr;
  contact();
  ASSERT_EQ(view().deploy.quarantined.size(), 1U);
  EXPECT_EQ(view().deploy.quarantined[0].error_code(), "DEPLOY_REJECTED/PIPELINE");
  EXPECT_EQ(view().deploy.running_name, "pump@1");
  ASSERT_FALSE(logged.empty());
  EXPECT_TRUE(logged.back().starts_with("release pump@2 is refused here (DEPLOY_REJECTED/PIPELINE): "))
      << logged.back();
}

// U6: a release that changes nothing but its pipeline, and with it its rules and its budget, passes the gates of a
// model: it is signed, it shadows what runs, and it decides nothing before it is committed.
TEST_F(ReleaseTest, APipelinePassesTheGatesOfAModel) {
  config.read_document = [](std::string_view text) -> Result<Document> {
    return test_pipeline("pump", "v", text == "v" ? "1MiB" : "64KiB");
  };
  run_first();
  boot();
  settle();
  want(2, "2", "less");
  const std::string right = artifacts.at(desired.digest());
  std::string changed = right;
  changed.replace(changed.find("less"), 4, "more");  // under the signature of the release
  desired.set_digest(sha256_hex(changed));
  artifacts[desired.digest()] = changed;
  contact();
  ASSERT_EQ(view().deploy.quarantined.size(), 1U);
  EXPECT_EQ(view().deploy.quarantined[0].error_code(), "DEPLOY_REJECTED/BLOB");
  want(3, "2", "less");
  contact();
  EXPECT_EQ(view().deploy.phase, wire::DEPLOY_PROBATION);
  EXPECT_GT(view().outbox.budget_left_bytes, 64U << 10);
  send(next_++, {11});
  EXPECT_EQ(shadows, 1U);
  EXPECT_EQ(view().deploy.running_name, "pump@1");
  send(next_++, {11});
  settle();
  EXPECT_EQ(view().deploy.running_name, "pump@2");
  EXPECT_LE(view().outbox.budget_left_bytes, 64U << 10);
}

// F3: a node with a pipeline of its own says so of what it is assigned, so that no rollout waits for it.
TEST_F(ReleaseTest, WithAPipelineOfItsOwnNoReleaseIsTaken) {
  local = LocalPipeline{test_pipeline("mine", "v"), {}};
  boot();
  settle();
  want(1, "1", "w");
  contact();
  contact();
  EXPECT_EQ(column(), "v");
  ASSERT_EQ(requests.back().reported().quarantined_size(), 1);
  EXPECT_EQ(requests.back().reported().quarantined(0).error_code(), "DEPLOY_NOT_TAKEN/LOCAL_PIPELINE");
  EXPECT_EQ(requests.back().reported().quarantined(0).digest(), desired.digest());
  EXPECT_EQ(requests.back().reported().desired_generation(), 1U) << "else the hub holds no answer";
  EXPECT_NE(view().deploy.waiting_for.find("--pipeline"), std::string::npos);
  local.reset();
  boot();
  settle();
  contact();
  EXPECT_EQ(column(), "w") << "nothing of it outlives the process";
}

}  // namespace
}  // namespace wb
