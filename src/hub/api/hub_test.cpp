// The hub as a whole, over rows in memory: what one contact costs and answers, and a rollout seen through exchanges.
#include "hub/api/hub.h"

#include <gtest/gtest.h>

#include "base/memory_rows.h"
#include "hub/api/audit.h"
#include "hub/api/dataset.h"
#include "hub/api/test_hub.h"
#include "hub/ingest/ingest.h"
#include "hub/registry/registry.h"
#include "hub/telemetry/telemetry.h"

namespace wb::hub {
namespace {

constexpr int64_t kMinute = 60'000;

class HubTest : public testing::Test {
 protected:
  HubTest() { EXPECT_TRUE(trust_test_publisher(hub, rows, now).ok()); }

  std::string enrol(const std::string& name) {
    const TestEnrolment enrolled = enrol_test_node(hub, rows, now, name);
    EXPECT_EQ(enrolled.response.release_keys_size(), 1);
    const auto again = hub.enrol(rows, now, enrolled.request, std::string(16, 'f'));  // H2
    EXPECT_EQ(wire::encode(*again->response), wire::encode(enrolled.response));
    return enrolled.response.node_id();
  }
  void push(const std::string& version) {
    const auto row = hub.push_release(rows, now, test_release(version), "ada");
    ASSERT_TRUE(row.ok()) << row.error().text;
  }
  wire::ExchangeRequest request() {
    wire::ExchangeRequest out;
    out.set_incarnation(std::string(16, 'i'));
    out.mutable_reported();
    out.set_long_poll_ms(20'000);
    return out;
  }
  ExchangeOutcome call(const std::string& node, const wire::ExchangeRequest& what) {
    now.unix_ms += 10;
    now.mono.ns += 10 * kNsPerMs;
    auto out = hub.exchange(rows, now, node, what, "serial-" + node);
    EXPECT_TRUE(out.ok());
    return *out;
  }
  std::vector<std::string> kinds(const std::string& subject) {
    std::vector<std::string> out;
    for (const auto& event : events_of(rows, subject)) out.push_back(event.kind());
    return out;
  }

  MemoryRows rows;
  Moment now{{0}, 1'000'000};
  Hub hub{HubConfig{}};
};

TEST_F(HubTest, AnIdleContactIsCheapAndHeld) {
  const std::string node = enrol("n1");
  (void)call(node, request());
  const uint64_t reads = rows.reads_count;
  const uint64_t writes = rows.writes_count;
  const auto out = call(node, request());
  EXPECT_GT(out.hold_ms, 15'000U);  // spread over a quarter, so that a crowd that parks together comes back apart
  EXPECT_LE(out.hold_ms, 20'000U);
  EXPECT_EQ(out.response.desired().generation(), 0U);
  EXPECT_LE(rows.reads_count - reads, 6U);
  EXPECT_LE(rows.writes_count - writes, 1U);
}

TEST_F(HubTest, AReleaseReachesAHeldNodeAtOnceAndIsFollowedToItsCommit) {
  const std::string node = enrol("n1");
  EXPECT_GT(call(node, request()).hold_ms, 0U);
  push("1");
  ASSERT_TRUE(hub.start_rollout(rows, now, {.release = "pump@1", .actor = "ada"}).ok());
  const auto wakes = hub.take_wakes();
  ASSERT_EQ(wakes, std::vector<std::string>{node});
  const auto told = hub.resume(rows, now, node);
  ASSERT_TRUE(told.ok());
  EXPECT_EQ(told->desired().generation(), 1U);
  EXPECT_EQ(told->desired().name(), "pump@1");
  const auto part = hub.read_artifact(rows, told->desired().digest(), 0, 1 << 20);
  EXPECT_EQ(part->bytes.size(), told->desired().size_bytes());

  auto report = request();
  report.mutable_reported()->set_desired_generation(1);
  report.mutable_reported()->set_phase(wire::DEPLOY_PROBATION);
  report.mutable_reported()->set_candidate_digest(told->desired().digest());
  EXPECT_GT(call(node, report).hold_ms, 0U);
  report.mutable_reported()->set_phase(wire::DEPLOY_COMMITTED);
  report.mutable_reported()->set_running_digest(told->desired().digest());
  for (int i = 0; i < 6; ++i) {
    now.unix_ms += 1'000;
    EXPECT_EQ(call(node, report).response.desired().generation(), 1U);
  }
  EXPECT_EQ(kinds(EventSubject::release(told->desired().digest())),
            (std::vector<std::string>{"pushed", "rollout_started", "exposed", "assigned", "probation", "running",
                                      "committed", "wave", "wave", "wave", "rollout_completed"}));
  EXPECT_EQ(first_broken_audit(rows), std::nullopt);
}

TEST_F(HubTest, RecordsAreAckedOnceAndRefusedUnderOverload) {  // Q3, H2, L1
  const std::string node = enrol("n1");
  auto with_records = request();
  wire::StreamUp* stream = with_records.add_streams();
  stream->set_lane(2);
  stream->set_through_seq(1);
  stream->add_records()->set_seq(1);
  stream->mutable_records(0)->set_inclusion_probability(1);
  hub.set_load(950);
  const auto refused = call(node, with_records);
  EXPECT_TRUE(refused.response.drained());
  EXPECT_EQ(refused.response.acks_size(), 0);
  EXPECT_EQ(refused.response.grant().drain_bytes_per_s(), 0U);
  EXPECT_GT(refused.response.grant().next_contact_ms(), hub.config().next_contact_ms);
  hub.set_load(0);
  const auto first = call(node, with_records);
  const auto again = call(node, with_records);
  EXPECT_EQ(first.hold_ms, 0U);
  EXPECT_EQ(first.response.acks(0).through_seq(), 1U);
  EXPECT_EQ(again.response.acks(0).through_seq(), 1U);
  EXPECT_EQ(again.response.desired().SerializeAsString(), first.response.desired().SerializeAsString());
  hub.set_load(950);  // what it has it goes on to ack: the answer may have been lost
  const auto while_busy = call(node, with_records);
  EXPECT_FALSE(while_busy.response.drained());
  ASSERT_EQ(while_busy.response.acks_size(), 1);
  EXPECT_EQ(while_busy.response.acks(0).through_seq(), 1U);
  stream->set_through_seq(2);
  stream->add_records()->set_seq(2);
  stream->mutable_records(1)->set_inclusion_probability(1);
  EXPECT_TRUE(call(node, with_records).response.drained());
}

// Who is told at 10,000 connections to spread over ten seconds comes back at 1,000 a second.
TEST_F(HubTest, WhatANodeTellsOfItselfIsAnEventAndInNoDataset) {  // R1
  const std::string node = enrol("n1");
  auto told = request();
  wire::StreamUp* stream = told.add_streams();
  stream->set_lane(1);
  stream->set_through_seq(2);
  for (const uint64_t seq : {1ULL, 2ULL}) {
    wire::RecordUp& record = *stream->add_records();
    record.set_seq(seq);
    record.set_inclusion_probability(1);
    record.set_rule(static_cast<uint32_t>(Rule::kEvent));
    record.set_event(seq == 1 ? static_cast<uint32_t>(NodeEvent::kRefused) : 99);
    record.set_release(std::string(64, 'a'));
    record.add_texts("pump@2");
    record.set_reason("DEPLOY_FAILED/CRASH: it ended the agent");
    record.set_event_time_ms(now.unix_ms - 86'400'000);
  }
  (void)call(node, told);
  (void)call(node, told);
  std::vector<std::string> kinds;
  for (const pb::Event& event : events_of(rows, EventSubject::node(node))) {
    if (event.digest().empty() || event.kind() == "assigned") continue;
    kinds.push_back(event.kind());
    EXPECT_EQ(event.name(), "pump@2");
    EXPECT_TRUE(event.text().starts_with("DEPLOY_FAILED/CRASH: it ended the agent (by the node's clock at "))
        << event.text();
  }
  EXPECT_EQ(kinds, (std::vector<std::string>{"release_refused", "node_event"}));  // once each
  EXPECT_EQ(events_of(rows, EventSubject::release(std::string(64, 'a'))).size(), 2U);
  EXPECT_TRUE(list_datasets(rows).empty());
  EXPECT_EQ(streams_of(rows, node)[0].state.effected(), 2U);  // Q3 Q4: and yet it is a record like others
}

TEST_F(HubTest, TheJitterFloorGrowsWithWhatIsConnected) {
  const std::string node = enrol("n1");
  const auto floor_ms = [&] { return call(node, request()).response.grant().jitter_floor_ms(); };
  EXPECT_EQ(floor_ms(), hub.config().jitter_floor_ms);
  hub.set_load(0, 10'000);
  EXPECT_EQ(floor_ms(), 10'000U);
  hub.set_load(1'000, 3'000);
  EXPECT_EQ(floor_ms(), 10 * hub.config().jitter_floor_ms);  // load spreads more than so few connections do
  hub.set_load(0, 10'000'000);
  EXPECT_EQ(floor_ms(), 300'000U);
}

TEST_F(HubTest, OnlyTheOwnCertificateIsServed) {  // I4
  const std::string node = enrol("n1");
  EXPECT_EQ(hub.exchange(rows, now, node, request(), "other").error().code, Code::kDenied);
  EXPECT_EQ(hub.exchange(rows, now, "n9", request(), "x").error().code, Code::kDenied);
  ASSERT_TRUE(hub.revoke_node(rows, now, node, "ada").ok());
  EXPECT_EQ(hub.exchange(rows, now, node, request(), "serial-n1").error().code, Code::kDenied);
  EXPECT_EQ(hub.resume(rows, now, node).error().code, Code::kDenied);
}

TEST_F(HubTest, ABadReleaseIsHaltedAndItsNodeGetsTheOldOneUnderANewGeneration) {  // F1, U5
  std::vector<std::string> nodes;
  std::map<std::string, wire::ExchangeRequest> says;
  for (int i = 0; i < 6; ++i) nodes.push_back(enrol("n" + std::to_string(i)));
  for (const auto& node : nodes) says[node] = request();
  const auto round = [&](const std::string& bad) {
    now.unix_ms += 1'000;
    for (const auto& node : nodes) {
      const auto out = call(node, says[node]);
      auto* reported = says[node].mutable_reported();
      const auto& desired = out.response.desired();
      EXPECT_GE(desired.generation(), reported->desired_generation());
      reported->set_desired_generation(desired.generation());
      if (desired.name() == bad && reported->quarantined_size() == 0) {
        reported->add_quarantined()->set_digest(desired.digest());
        reported->mutable_quarantined(0)->set_error_code("DEPLOY_FAILED/PROBATION/ERRORS");
        reported->mutable_quarantined(0)->set_reason("12 % of the records could not be scored");
      } else if (desired.name() != bad) {
        reported->set_running_digest(desired.digest());
        reported->set_running_name(desired.name());
      }
    }
    hub.tick(rows, now);
  };
  push("1");
  push("2");
  ASSERT_TRUE(hub.start_rollout(rows, now, {.release = "pump@1", .waves_percent = {100}, .actor = "ada"}).ok());
  for (int i = 0; i < 4; ++i) round("");
  const auto started = hub.start_rollout(rows, now, {.release = "pump@2", .actor = "ada"});
  ASSERT_TRUE(started.ok());
  for (int i = 0; i < 4; ++i) round("pump@2");
  int tried = 0;
  for (const auto& node : nodes) {
    EXPECT_EQ(says[node].reported().running_name(), "pump@1");
    tried += says[node].reported().quarantined_size();
    EXPECT_EQ(says[node].reported().desired_generation(), says[node].reported().quarantined_size() == 0 ? 1U : 3U);
  }
  EXPECT_EQ(tried, 1);
  EXPECT_EQ(kinds(EventSubject::release(find_release(rows, "pump@2")->digest())).back(), "rollout_halted");
  EXPECT_FALSE(hub.start_rollout(rows, now, {.release = "pump@3"}).ok());
}

TEST_F(HubTest, ANodeThatWasDarkIsNotedWhenItReturns) {
  const std::string node = enrol("n1");
  (void)call(node, request());
  now.unix_ms += 20 * kMinute;
  (void)call(node, request());
  EXPECT_EQ(kinds(EventSubject::node(node)), (std::vector<std::string>{"enrolled", "first_contact", "back"}));
}

TEST_F(HubTest, AnAuditEntryThatWasChangedIsFound) {  // H4
  (void)enrol("n1");
  ASSERT_TRUE(hub.set_labels(rows, now, "n1", {{"site", "oslo"}}, "ada").ok());
  ASSERT_TRUE(hub.set_labels(rows, now, "n1", {{"site", "oslo"}}, "ada").ok());  // no change, no entry
  const auto entries = audit_after(rows, 0, 100);
  ASSERT_EQ(entries.size(), 4U);  // key, token, enrolment, labels
  EXPECT_EQ(first_broken_audit(rows), std::nullopt);
  auto forged = entries[1];
  forged.set_actor("nobody");
  rows.put(Table::kAudit, key_u64(2), forged.SerializeAsString());
  EXPECT_EQ(first_broken_audit(rows), 2U);
  rows.put(Table::kAudit, key_u64(2), entries[1].SerializeAsString());
  rows.erase(Table::kAudit, key_u64(4));
  EXPECT_EQ(first_broken_audit(rows), 4U);
}

TEST_F(HubTest, WithAShortDarkTimeNodesAreAskedToComeSooner) {  // F3: who is held must not look dark
  const std::string node = enrol("n1");
  (void)call(node, request());
  push("1");
  ASSERT_TRUE(
      hub.start_rollout(rows, now, {.release = "pump@1", .selector = "node=n1", .dark_after_ms = 8'000, .actor = "ada"})
          .ok());
  const auto out = call(node, request());
  EXPECT_EQ(out.response.grant().next_contact_ms(), 4'000U);
  auto report = request();
  report.mutable_reported()->set_desired_generation(1);
  EXPECT_EQ(call(node, report).hold_ms, 4'000U);
}

// From read `reads_left` on nothing is found, as behind a database that cannot read.
class FailingRows final : public Rows {
 public:
  FailingRows(Rows& real, uint64_t reads_left) : real_(real), reads_left_(reads_left) {}
  std::optional<std::string> get(Table table, std::string_view key) override {
    return works() ? real_.get(table, key) : std::nullopt;
  }
  void put(Table table, std::string_view key, std::string_view value) override { real_.put(table, key, value); }
  void erase(Table table, std::string_view key) override { real_.erase(table, key); }
  void scan(Table table, std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view, std::string_view)>& visit) override {
    if (works()) real_.scan(table, prefix, from, visit);
  }
  bool works() { return reads_left_ > 0 && reads_left_-- > 0; }

 private:
  Rows& real_;
  uint64_t reads_left_;
};

TEST_F(HubTest, ADatabaseThatStopsReadingIsAnErrorNotTheEnd) {
  (void)enrol("n1");
  push("1");
  bool ended = false;
  for (uint64_t reads = 0; reads < 200 && !ended; ++reads) {
    MemoryRows copy = rows;
    FailingRows failing(copy, reads);
    const auto started = hub.start_rollout(failing, now, {.release = "pump@1", .actor = "ada"});
    ended = started.ok() && failing.works();
    MemoryRows other = rows;
    FailingRows labels(other, reads);
    (void)hub.set_labels(labels, now, "n1", {{"site", "metz"}}, "ada");
  }
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace wb::hub
