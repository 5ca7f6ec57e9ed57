#include "hub/telemetry/telemetry.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/memory_rows.h"

namespace wb::hub {
namespace {

wire::ExchangeRequest report(const std::string& running, uint64_t records_in) {
  wire::ExchangeRequest out;
  out.mutable_reported()->set_running_digest(running);
  wire::ScoreSketch* sketch = out.mutable_reported()->mutable_running_sketch();
  sketch->add_confidence_bins(1);
  sketch->add_labels(records_in % 2 == 0 ? "even" : "odd");
  sketch->add_label_counts(records_in);
  sketch->set_records(records_in);
  out.mutable_counters()->set_records_in(records_in);
  wire::RuleCount* rule = out.mutable_counters()->add_rules();
  rule->set_rule(1);
  rule->set_uploaded(records_in);
  return out;
}

TEST(Telemetry, TheFleetIsSummedWithItsAgeAndCoverage) {
  MemoryRows rows;
  record_report(rows, {{0}, 1'000}, "n1", report("a", 10));
  record_report(rows, {{0}, 90'000}, "n2", report("a", 5));
  const std::vector<FleetMember> members = {{"n1", 1'000}, {"n2", 90'000}, {"n3", 0}};
  const auto fleet = summarise(rows, {{0}, 100'000}, 60'000, [&](const auto& visit) {
    for (const auto& member : members) visit(member);
  });
  EXPECT_EQ(fleet.nodes, 3U);
  EXPECT_EQ(fleet.now, 1U);
  EXPECT_EQ(fleet.earlier, 1U);
  EXPECT_EQ(fleet.unknown, 1U);
  EXPECT_EQ(fleet.oldest_ms, 99'000);
  EXPECT_EQ(fleet.counters.records_in(), 15U);
  EXPECT_EQ(fleet.counters.rules(0).uploaded(), 15U);
  const auto& release = fleet.releases.at("a");
  EXPECT_EQ(release.nodes, 2U);
  EXPECT_EQ(release.sketch.confidence_bins(0), 2U);
  EXPECT_EQ(release.sketch.labels_size(), 2);
  EXPECT_EQ(release.sketch.label_counts(0) + release.sketch.label_counts(1), 15U);
}

// A node may say anything of itself; it must not make the sums over the others smaller.
TEST(Telemetry, WhatOneNodeClaimsWrapsNoSum) {
  wire::ExchangeRequest hostile = report("a", UINT64_MAX);
  wire::Counters& counters = *hostile.mutable_counters();
  for (const auto set :
       {&wire::Counters::set_records_rejected, &wire::Counters::set_records_filtered,
        &wire::Counters::set_records_scored, &wire::Counters::set_records_not_sent, &wire::Counters::set_outbox_records,
        &wire::Counters::set_outbox_bytes, &wire::Counters::set_bytes_up, &wire::Counters::set_bytes_seen,
        &wire::Counters::set_lost, &wire::Counters::set_actions, &wire::Counters::set_boots,
        &wire::Counters::set_offline_ms, &wire::Counters::set_dead_letters, &wire::Counters::set_damaged_rows,
        &wire::Counters::set_refused_by_hub})
    (counters.*set)(UINT64_MAX);
  wire::RuleCount& rule = *counters.mutable_rules(0);
  rule.set_selected(UINT64_MAX);
  rule.set_evicted(UINT64_MAX);
  rule.set_evicted_weight(std::numeric_limits<double>::infinity());
  wire::ScoreSketch& sketch = *hostile.mutable_reported()->mutable_running_sketch();
  sketch.set_confidence_bins(0, UINT64_MAX);
  sketch.set_errors(UINT64_MAX);

  wire::Counters sums;
  wire::ScoreSketch scores;
  for (int i = 0; i < 2; ++i) {
    merge(sums, hostile.counters());
    merge(scores, hostile.reported().running_sketch());
  }
  for (const auto get :
       {&wire::Counters::records_in, &wire::Counters::records_rejected, &wire::Counters::records_filtered,
        &wire::Counters::records_scored, &wire::Counters::records_not_sent, &wire::Counters::outbox_records,
        &wire::Counters::outbox_bytes, &wire::Counters::bytes_up, &wire::Counters::bytes_seen, &wire::Counters::lost,
        &wire::Counters::actions, &wire::Counters::boots, &wire::Counters::offline_ms, &wire::Counters::dead_letters,
        &wire::Counters::damaged_rows, &wire::Counters::refused_by_hub})
    EXPECT_EQ((sums.*get)(), UINT64_MAX);
  EXPECT_EQ(sums.rules(0).selected(), UINT64_MAX);
  EXPECT_EQ(sums.rules(0).uploaded(), UINT64_MAX);
  EXPECT_EQ(sums.rules(0).evicted(), UINT64_MAX);
  EXPECT_EQ(sums.rules(0).evicted_weight(), 0);
  EXPECT_EQ(scores.records(), UINT64_MAX);
  EXPECT_EQ(scores.errors(), UINT64_MAX);
  EXPECT_EQ(scores.confidence_bins(0), UINT64_MAX);
  EXPECT_EQ(scores.label_counts(0), UINT64_MAX);
}

TEST(Telemetry, AnUnchangedReportIsWrittenSeldom) {
  MemoryRows rows;
  record_report(rows, {{0}, 1'000}, "n1", report("a", 10));
  const uint64_t writes = rows.writes_count;
  auto same = report("a", 10);
  same.mutable_counters()->set_oldest_waiting_ms(77);
  record_report(rows, {{0}, 2'000}, "n1", same);
  EXPECT_EQ(rows.writes_count, writes);
  record_report(rows, {{0}, 2'500}, "n1", wire::ExchangeRequest{});  // no report at all
  EXPECT_EQ(last_report(rows, "n1")->counters().records_in(), 10U);
  record_report(rows, {{0}, 12'000}, "n1", same);
  EXPECT_EQ(last_report(rows, "n1")->received_ms(), 12'000);
  record_report(rows, {{0}, 12'001}, "n1", report("a", 11));
  EXPECT_EQ(last_report(rows, "n1")->counters().records_in(), 11U);
}

TEST(Telemetry, WhatANodeReportsBecomesEvents) {
  MemoryRows rows;
  record_report(rows, {{0}, 1'000}, "n1", report("a", 1));
  auto bad = report("a", 2);
  auto* entry = bad.mutable_reported()->add_quarantined();
  entry->set_digest("b");
  entry->set_error_code("DEPLOY_FAILED");
  entry->set_reason("scores drifted");
  record_report(rows, {{0}, 2'000}, "n1", bad);
  record_report(rows, {{0}, 3'000}, "n1", bad);
  const auto of_node = events_of(rows, EventSubject::node("n1"));
  ASSERT_EQ(of_node.size(), 2U);
  EXPECT_EQ(of_node[0].kind(), "running");
  EXPECT_EQ(of_node[1].text(), "DEPLOY_FAILED: scores drifted");
  EXPECT_EQ(events_of(rows, EventSubject::release("b")).size(), 1U);
}

TEST(Telemetry, EventsAreBoundedAndTheNewestStay) {
  MemoryRows rows;
  for (uint64_t i = 0; i < kEventsPerNodeMax + 10; ++i) {
    pb::Event event;
    event.set_node("n1");
    event.set_kind("k");
    note(rows, {{0}, static_cast<int64_t>(i)}, event);
  }
  const auto events = events_of(rows, EventSubject::node("n1"));
  ASSERT_EQ(events.size(), kEventsPerNodeMax);
  EXPECT_EQ(events.front().number(), 11U);
  EXPECT_EQ(events.back().number(), kEventsPerNodeMax + 10);
}

}  // namespace
}  // namespace wb::hub
