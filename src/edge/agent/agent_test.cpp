// The agent as one machine: answers, the one store, and exchanges. release_test.cpp: what runs; crash_test.cpp: power
// cuts.
#include "edge/agent/test_agent.h"

namespace wb {
namespace {

using Verdict = agent::Answer::Verdict;
using Got = agent::ExchangeFailed::Got;

class AgentTest : public testing::Test, public TestNode {
 protected:
  void SetUp() override {
    boot();
    settle();
  }
  bool accepted(uint64_t id) const { return answers.contains(id) && answers.at(id).verdict == Verdict::kAccepted; }
  bool busy(uint64_t id) const { return answers.contains(id) && answers.at(id).verdict == Verdict::kBusy; }
};

TEST_F(AgentTest, AnAnswerComesOnlyWhenItsRecordsAreDurable) {  // Q1
  send(1, {11, 5, 12});
  EXPECT_TRUE(answers.empty());
  EXPECT_EQ(submitted.size(), 1U);
  send(2, {13});
  commit(1);
  ASSERT_TRUE(accepted(1));
  EXPECT_EQ(answers[1].rows_accepted, 3U);
  EXPECT_FALSE(answers.contains(2));
  commit();
  EXPECT_TRUE(accepted(2));
  EXPECT_EQ(records_count(), 3U);
}

TEST_F(AgentTest, WhatIsDecidedHereIsAnsweredAtOnceAndCountedWithTheNextCommit) {
  send(1, {1, 2, 3});
  EXPECT_TRUE(accepted(1));
  EXPECT_TRUE(submitted.empty());
  EXPECT_EQ(view().counters.records_in(), 0U);  // only what is durable is said
  pass_ms(10'000);
  settle();
  EXPECT_EQ(view().counters.records_in(), 3U);
  EXPECT_EQ(view().counters.records_filtered(), 3U);
}

TEST_F(AgentTest, UnreadableRowsAreNamedAndTheirLettersAreDurableFirst) {
  agent::SourceBatch source = batch(1, {11});
  source.faults = {{"row 2: v: 'x' is no number", "x"}};
  source.faults_count = 1;
  feed(std::move(source));
  EXPECT_TRUE(answers.empty());
  commit();
  ASSERT_EQ(answers[1].verdict, Verdict::kRejectedRows);
  EXPECT_EQ(answers[1].faults, std::vector<std::string>{"row 2: v: 'x' is no number"});
  EXPECT_EQ(view().outbox.lanes[3].waiting, 1U);  // the dead letter
}

TEST_F(AgentTest, AFailedSyncIsNeverAnAnswer) {  // Q7
  send(1, {11});
  send(2, {12});
  fail_store();
  EXPECT_TRUE(answers.empty());
  send(3, {13});
  EXPECT_TRUE(busy(3));
  EXPECT_FALSE(view().store_error.empty());

  tickets.clear();
  wake();
  EXPECT_TRUE(answers.size() == 1 && tickets.size() >= 2);
  EXPECT_TRUE(std::is_sorted(tickets.begin(), tickets.end()));
  fail_store();
  pass_ms(500);
  EXPECT_EQ(answers.size(), 1U);
  commit();
  EXPECT_TRUE(accepted(1) && accepted(2));
  EXPECT_EQ(records_count(), 2U);
  EXPECT_TRUE(view().store_error.empty());
  send(4, {14});
  commit();
  EXPECT_TRUE(accepted(4));
}

// A ticket that is made after the retry went out, and before its answer, must follow: the store takes none after a
// hole.
TEST_F(AgentTest, TicketsMadeWhileTheStoreFailsAreHandedOverWhenItHolds) {
  ASSERT_TRUE(reach_exchange());
  send(1, {11});
  fail_store();
  wake();
  ASSERT_FALSE(submitted.empty());
  wire::ExchangeResponse response = at_hub();
  response.set_unix_ms(now.unix_ms + 86'400'000 * 3);  // worth a row of its own
  answer(response);
  pass_ms(100);
  settle();
  send(2, {12});
  settle();
  EXPECT_TRUE(accepted(1) && accepted(2));
}

TEST_F(AgentTest, ASlowCommitIsWaitedFor) {
  send(1, {11});
  fail_store();
  wake();
  ASSERT_FALSE(submitted.empty());
  pass_ms(60'000);  // the fake store says so if a ticket comes twice
  commit();
  EXPECT_TRUE(accepted(1));
}

TEST_F(AgentTest, ControlGoesWhileTheStoreFails) {  // R1
  send(1, {11});
  fail_store(Code::kFull);
  for (int i = 0; i < 3; ++i) {
    while (exchanges.empty()) {
      ASSERT_NE(wake_at, kNever);
      wake();
      if (!submitted.empty()) fail_store(Code::kFull);
    }
    EXPECT_EQ(requests.back().streams_size(), 0);
    answer();
  }
  EXPECT_EQ(view().sync.answers, 3U);
  EXPECT_FALSE(accepted(1));
}

TEST_F(AgentTest, ControlGoesThoughTheStoreTookNothingSinceTheStart) {  // R1
  send(1, {11});
  settle();
  boot();
  fail_store();
  for (int i = 0; i < 100 && exchanges.empty(); ++i) {
    ASSERT_NE(wake_at, kNever);
    wake();
    if (!submitted.empty()) fail_store();
  }
  ASSERT_FALSE(exchanges.empty());
  EXPECT_EQ(requests.back().streams_size(), 0);  // records wait until this boot is noted (T4)
  answer();
  EXPECT_EQ(view().sync.answers, 1U);
  drain();
  EXPECT_EQ(effects.size(), 1U);
}

TEST_F(AgentTest, AnExchangeThatWaitsForAFailingStoreGoesWithoutItsRecords) {  // R1, B2
  const uint64_t before = view().outbox.budget_left_bytes;
  send(1, {11});
  commit();
  while (submitted.empty()) wake();  // the plan's ticket
  EXPECT_TRUE(exchanges.empty());
  fail_store();
  ASSERT_EQ(exchanges.size(), 1U);
  EXPECT_EQ(requests.back().streams_size(), 0);
  EXPECT_EQ(view().outbox.budget_left_bytes, before);
  answer();
  drain();
  EXPECT_EQ(effects.size(), 1U);
}

TEST_F(AgentTest, ADamagedStoreEndsTheProcess) {  // Q5
  send(1, {11});
  fail_store(Code::kFull);
  EXPECT_TRUE(restarts.empty());
  wake();
  fail_store(Code::kCorrupt);
  ASSERT_EQ(restarts.size(), 1U);
  EXPECT_NE(restarts[0].find("next start repairs"), std::string::npos);
  EXPECT_TRUE(answers.empty());
}

TEST_F(AgentTest, NothingGoesOnTheAirBeforeItsPlanIsDurable) {  // contract 3
  send(1, {11, 12});
  commit();
  while (submitted.empty()) wake();
  EXPECT_TRUE(loads.empty() && exchanges.empty());
  commit();
  ASSERT_EQ(loads.size(), 1U);
  EXPECT_TRUE(exchanges.empty());
  load();
  ASSERT_EQ(exchanges.size(), 1U);
  ASSERT_EQ(requests.back().streams_size(), 1);
  EXPECT_EQ(requests.back().streams(0).records_size(), 2);
  EXPECT_EQ(requests.back().long_poll_ms(), 0U);
}

TEST_F(AgentTest, TheFirstExchangeWaitsForTheIncarnation) {
  TestNode fresh;
  fresh.boot();
  fresh.pass_ms(5'000);
  EXPECT_TRUE(fresh.requests.empty());
  EXPECT_TRUE(fresh.reach_exchange());
  EXPECT_EQ(fresh.requests[0].incarnation(), fresh.state("agent/incarnation"));
}

TEST_F(AgentTest, ACancelledExchangeLeavesNothingBehind) {
  send(1, {11});
  commit();
  while (submitted.empty()) wake();
  commit();
  ASSERT_EQ(loads.size(), 1U);
  const uint64_t reserved_once = view().outbox.budget_left_bytes;
  while (loads.size() < 2) {  // nothing comes from the store: sync gives this exchange up and tries another
    wake();
    commit();
  }
  EXPECT_TRUE(requests.empty());
  EXPECT_EQ(view().outbox.budget_left_bytes, reserved_once);  // B2: the first one's bytes never left
  load();                                                     // late
  EXPECT_TRUE(requests.empty());
  drain();
  EXPECT_EQ(effects.size(), 1U);
  expect_exact();
}

TEST_F(AgentTest, WhatNeverLeftCostsNoBudget) {  // B2
  const uint64_t before = view().outbox.budget_left_bytes;
  for (const Got got : {Got::kNowhere, Got::kConnected}) {
    send(got == Got::kNowhere ? 1 : 2, {11});
    do {
      if (!exchanges.empty()) answer();
      ASSERT_TRUE(reach_exchange());
    } while (requests.back().streams_size() == 0);
    EXPECT_LT(view().outbox.budget_left_bytes, before);
    lose_exchange(got);
    EXPECT_EQ(view().outbox.budget_left_bytes, before);
  }
  ASSERT_TRUE(reach_exchange());
  lose_exchange(Got::kSent);
  EXPECT_LT(view().outbox.budget_left_bytes, before);
}

// L2: a hub that was reached has paid for the attempt, so it is not tried again and again before the regular contact.
TEST_F(AgentTest, AHubThatWasReachedIsRetriedWithinTheAllowance) {
  for (const Got got : {Got::kNowhere, Got::kSent}) {
    const uint64_t before = view().sync.retries;
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(reach_exchange());
      lose_exchange(got);
    }
    EXPECT_EQ(view().sync.retries > before, got == Got::kSent);
  }
}

TEST_F(AgentTest, AcksDelete) {  // Q3
  send(1, {11, 12});
  drain();
  EXPECT_EQ(records_count(), 0U);
  EXPECT_EQ(effects.size(), 2U);
  EXPECT_GT(view().counters.bytes_up(), 0U);
  expect_exact();
}

// Records that wait under one pipeline's schema go up with it after a restart into another pipeline.
TEST_F(AgentTest, SchemasOfWaitingRecordsSurviveARestartIntoAnotherPipeline) {
  send(1, {11});
  commit();
  const std::string id = agent().serving()->record_schema().id();
  local = LocalPipeline{test_pipeline("pump", "w"), {}};
  boot();
  ASSERT_NE(agent().serving()->record_schema().id(), id);
  drain();
  EXPECT_EQ(effects.size(), 1U);
  bool named = false;
  for (const wire::ExchangeRequest& request : requests)
    for (const wire::SchemaDef& schema : request.schemas()) named = named || schema.id() == id;
  EXPECT_TRUE(named);
}

TEST_F(AgentTest, AnAnswerToAnOldExchangeIsNotHeard) {
  ASSERT_TRUE(reach_exchange());
  const wire::ExchangeResponse response = at_hub();
  lose_exchange(Got::kSent);
  feed(agent::ExchangeDone{1, wire::encode(response)});
  EXPECT_EQ(view().sync.answers, 0U);
}

TEST_F(AgentTest, AnAnswerThatCannotBeReadIsAFailure) {
  ASSERT_TRUE(reach_exchange());
  const uint64_t id = exchanges.front().id;
  exchanges.clear();
  feed(agent::ExchangeDone{id, "\xff\xff\xff"});
  EXPECT_EQ(view().sync.answers, 0U);
  EXPECT_TRUE(reach_exchange());
}

TEST_F(AgentTest, ANewIncarnationIsDurableBeforeItIsNamed) {  // contract 3
  send(1, {11});
  ASSERT_TRUE(reach_exchange());
  const std::string before = requests.back().incarnation();
  wire::ExchangeResponse response;
  response.set_protocol(limits::kProtocol);
  response.set_verdict(wire::STREAM_NEW_INCARNATION);
  answer(response);
  const size_t said = requests.size();
  pass_ms(5'000);
  EXPECT_EQ(requests.size(), said);
  EXPECT_EQ(view().outbox.waiting_count, 1U);  // what waits is kept
  drain();
  EXPECT_NE(requests.back().incarnation(), before);
  EXPECT_EQ(state("agent/incarnation"), requests.back().incarnation());
  EXPECT_EQ(effects.size(), 1U);
  boot();
  ASSERT_TRUE(reach_exchange());
  EXPECT_EQ(requests.back().incarnation(), state("agent/incarnation"));
}

TEST_F(AgentTest, ThePositionOfAFileIsStoredWithItsRecords) {  // Q1: neither twice nor never
  agent::SourceBatch source = batch(1, {11});
  source.position_key = "a.csv";
  source.position_value = "100";
  feed(std::move(source));
  ASSERT_EQ(submitted.size(), 1U);
  commit(1);
  EXPECT_EQ(state("source/a.csv"), "100");
  EXPECT_EQ(records_count(), 1U);
  boot();
  EXPECT_EQ(agent().position("a.csv"), "100");
  EXPECT_EQ(agent().position("b.csv"), "");
}

TEST_F(AgentTest, WakesWhenSomethingIsDue) {
  EXPECT_LE(wake_at, after_ms(now.mono, 1'000));  // the first contact, spread over the jitter floor
  ASSERT_TRUE(reach_exchange());
  answer();
  settle();
  ASSERT_TRUE(reach_exchange());
  pass_ms(2'000);
  settle();
  send(1, {1});
  EXPECT_EQ(wake_at, after_ms(now.mono, 10'000));  // counters that nobody waits for
  pass_ms(10'000);
  EXPECT_EQ(submitted.size(), 1U);
  fail_store();
  EXPECT_EQ(wake_at, after_ms(now.mono, 200));
  pass_ms(200);
  fail_store();
  EXPECT_EQ(wake_at, after_ms(now.mono, 400));
}

TEST_F(AgentTest, StoppingMakesTheCountersDurable) {
  send(1, {1});
  feed(agent::Stopping{});
  ASSERT_FALSE(submitted.empty());
  commit();
  EXPECT_EQ(view().counters.records_in(), 1U);
}

TEST_F(AgentTest, ABatchForAPipelineThatNoLongerServesIsRefused) {
  agent::SourceBatch source = batch(1, {11});
  source.epoch += 7;
  source.batch.schema.fields[0].name = "other";
  feed(std::move(source));
  EXPECT_TRUE(busy(1));
  EXPECT_EQ(view().stale_epoch, 1U);
}

TEST_F(AgentTest, TheTimeOfflineRuns) {
  pass_ms(400);
  ASSERT_TRUE(reach_exchange());
  lose_exchange(Got::kNowhere);
  pass_ms(30'000);
  feed(agent::Wake{});
  EXPECT_EQ(view().counters.offline_ms(), static_cast<uint64_t>(now.mono.ns / kNsPerMs));
}

TEST_F(AgentTest, WithoutAHubThereIsNoContact) {
  TestNode alone;
  alone.config.has_hub = false;
  alone.boot();
  alone.send(1, {11});
  alone.settle();
  alone.pass_ms(300'000);
  EXPECT_TRUE(alone.requests.empty());
  EXPECT_EQ(alone.view().counters.offline_ms(), 0U);
}

// A request names at most 64 schemas: more of them go with several.
TEST_F(AgentTest, MoreSchemasThanOneRequestMayNameAreDivided) {
  power_cut();
  rows.clear();
  std::vector<outbox::Offer> offers;
  auto opened = outbox::Outbox::open(config.outbox, {}, {}).value();
  std::vector<StoreOp> ops = std::move(opened.ops);
  for (int i = 0; i < 150; ++i) {
    const Schema schema{{{"column" + std::to_string(i), ColumnType::kNumber}}};
    wire::RecordUp record;
    record.set_pipeline("pump");
    record.set_schema(schema.id());
    record.set_inclusion_probability(1);
    record.add_numbers(i);
    outbox::Offer offer;
    offer.record = wire::encode(record);
    offers.push_back(std::move(offer));
    ops.push_back(StoreOp{NodeTable::kState, "schema/" + schema.id(), wire::encode(wire::to_wire(schema)), false});
  }
  opened.outbox.offer({}, std::move(offers), ops);
  for (const StoreOp& op : ops) rows[{op.table, op.key}] = op.value;
  rows[{NodeTable::kState, "agent/boot"}] = std::string("\0\0\0\0\0\0\0\1", 8);
  rows[{NodeTable::kState, "agent/budget"}] = std::string(8, '\x7f');
  boot();
  settle();
  drain();
  EXPECT_EQ(effects.size(), 150U);
  EXPECT_EQ(view().counters.lost(), 0U);
  for (const wire::ExchangeRequest& request : requests) {
    EXPECT_LE(request.schemas_size(), 64);
    std::set<std::string> known;
    for (const wire::SchemaDef& schema : request.schemas()) known.insert(schema.id());
    for (const wire::StreamUp& stream : request.streams())
      for (const wire::RecordUp& record : stream.records()) EXPECT_TRUE(known.contains(record.schema()));
  }
  expect_exact();
}

TEST_F(AgentTest, SchemasAreKeptWithinABound) {  // Q8
  power_cut();
  for (int i = 0; i < 60; ++i) {
    Schema schema;
    for (int column = 0; column < 100; ++column)
      schema.fields.push_back({std::string(40, 'c') + std::to_string(i * 100 + column), ColumnType::kNumber});
    rows[{NodeTable::kState, "schema/" + schema.id()}] = wire::encode(wire::to_wire(schema));
  }
  boot();
  settle();
  send(1, {11});
  settle();
  size_t bytes = 0;
  for (const auto& [key, value] : rows)
    if (key.first == NodeTable::kState && key.second.starts_with("schema/")) bytes += value.size();
  EXPECT_LE(bytes, 96U << 10);
  EXPECT_GT(bytes, 80U << 10);
}

}  // namespace
}  // namespace wb
