#include "sim/coverage.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "hub/api/hub.h"

namespace wb::sim {
namespace {

Transition named(Machine machine, std::string_view from, std::string_view event, std::string_view to) {
  const auto found = find_transition(machine, from, event, to);
  EXPECT_TRUE(found) << from << " " << event << " " << to;
  return found.value_or(Transition{});
}

TEST(Coverage, TheTableNamesEachTransitionOnce) {
  const auto all = allowed_transitions();
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(std::count(all.begin(), all.end(), all[i]), 1) << text_of(all[i]);
    const MachineSpec& spec = spec_of(all[i].machine);
    EXPECT_LE(spec.states.size(), Coverage::kStatesMax);
    EXPECT_LE(spec.events.size(), Coverage::kEventsMax);
    EXPECT_TRUE(std::none_of(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(i),
                             [&](const Transition& other) { return text_of(other) == text_of(all[i]); }));
  }
}

// The names stand in the order of the enums they are for.
TEST(Coverage, StatesAreThoseOfTheCores) {
  const auto names = [](Machine machine) { return spec_of(machine).states; };
  EXPECT_EQ(names(Machine::kDeployPhase)[wire::DEPLOY_SAFE_MODE + 1], "safe_mode");
  EXPECT_EQ(names(Machine::kDeployPhase)[wire::DEPLOY_PROBATION + 1], "probation");
  EXPECT_EQ(names(Machine::kDeployTrack)[static_cast<size_t>(deploy::Track::kShadowing) + 1], "shadowing");
  EXPECT_EQ(names(Machine::kDeployTrack)[static_cast<size_t>(deploy::Track::kFetching) + 1], "fetching");
  EXPECT_EQ(names(Machine::kDeployRunning)[static_cast<size_t>(deploy::Running::kRuns) + 1], "runs");
  EXPECT_EQ(names(Machine::kRollout)[hub::pb::ROLLOUT_HALTED], "halted");
  EXPECT_EQ(names(Machine::kRollout)[hub::pb::ROLLOUT_ABORTED], "aborted");
  EXPECT_EQ(names(Machine::kExposure)[hub::pb::EXPOSURE_WITHDRAWN], "withdrawn");
}

TEST(Coverage, ANodeIsWatchedThroughItsViews) {
  Coverage coverage;
  NodeWatch watch;
  AgentView view;
  watch.look(view, coverage);
  view.deploy.phase = wire::DEPLOY_FETCHING;
  view.deploy.track = deploy::Track::kStoring;
  view.outbox.lanes[1].produced = 1;
  view.outbox.lanes[1].waiting = 1;
  view.sync.in_flight = true;
  watch.look(view, coverage);
  watch.look(view, coverage);  // nothing happened
  view.outbox.lanes[1].effected = 1;
  view.outbox.lanes[1].waiting = 0;
  view.sync.in_flight = false;
  view.sync.connected = true;
  watch.look(view, coverage);
  watch.off(coverage);
  for (const Transition& one :
       {named(Machine::kDeployPhase, "off", "", "idle"), named(Machine::kDeployPhase, "idle", "", "fetching"),
        named(Machine::kDeployPhase, "fetching", "", "off"), named(Machine::kDeployTrack, "none", "", "storing"),
        named(Machine::kLaneLive, "empty", "produced", "waiting"),
        named(Machine::kLaneLive, "waiting", "acked", "empty"), named(Machine::kSync, "waiting", "", "trying"),
        named(Machine::kSync, "trying", "", "rest"), named(Machine::kSync, "rest", "", "off")})
    EXPECT_EQ(coverage.count(one), 1U) << text_of(one);
  EXPECT_TRUE(coverage.not_allowed().empty());
  EXPECT_EQ(coverage.never_taken().size() + 22, allowed_transitions().size());
}

TEST(Coverage, TheHubIsWatchedThroughItsRows) {
  Coverage coverage;
  HubWatch watch;
  const auto rollout = [](hub::pb::RolloutState state, uint32_t stage) {
    hub::pb::Rollout out;
    out.set_state(state);
    out.set_stage(stage);
    return out.SerializeAsString();
  };
  watch.cause = HubCause::kStart;
  watch.wrote(Table::kRollouts, "", rollout(hub::pb::ROLLOUT_RUNNING, 0), coverage);
  watch.cause = HubCause::kGate;
  watch.wrote(Table::kRollouts, rollout(hub::pb::ROLLOUT_RUNNING, 0), rollout(hub::pb::ROLLOUT_RUNNING, 0), coverage);
  EXPECT_EQ(coverage.count(named(Machine::kRollout, "running", "gate", "running")), 0U) << "only counters changed";
  watch.wrote(Table::kRollouts, rollout(hub::pb::ROLLOUT_RUNNING, 0), rollout(hub::pb::ROLLOUT_RUNNING, 1), coverage);
  watch.cause = HubCause::kPause;
  watch.wrote(Table::kRollouts, rollout(hub::pb::ROLLOUT_RUNNING, 1), rollout(hub::pb::ROLLOUT_PAUSED, 1), coverage);
  HubWatch::commanded(HubCause::kPause, rollout(hub::pb::ROLLOUT_RUNNING, 1), rollout(hub::pb::ROLLOUT_PAUSED, 1),
                      coverage);
  EXPECT_EQ(coverage.count(named(Machine::kRollout, "none", "start", "running")), 1U);
  EXPECT_EQ(coverage.count(named(Machine::kRollout, "running", "gate", "running")), 1U);
  EXPECT_EQ(coverage.count(named(Machine::kRollout, "running", "pause", "paused")), 1U);

  hub::pb::StreamState stream;
  stream.set_effected(3);
  stream.set_hub_gap(1);
  watch.wrote(Table::kStreams, "", stream.SerializeAsString(), coverage);
  EXPECT_EQ(coverage.count(named(Machine::kStream, "new", "took", "known")), 1U);
  EXPECT_EQ(coverage.count(named(Machine::kStream, "new", "hub_gap", "known")), 1U);
  wire::ExchangeRequest request;
  request.add_streams()->set_through_seq(3);
  watch.answered(request, wire::STREAM_OK, coverage);
  EXPECT_EQ(coverage.count(named(Machine::kStream, "known", "replay", "known")), 0U);
  watch.answered(request, wire::STREAM_OK, coverage);
  EXPECT_EQ(coverage.count(named(Machine::kStream, "known", "replay", "known")), 1U);
  watch.answered(request, wire::STREAM_NEW_INCARNATION, coverage);
  EXPECT_EQ(coverage.count(named(Machine::kStream, "known", "old_copy", "known")), 1U);
  EXPECT_TRUE(coverage.not_allowed().empty());
}

TEST(Coverage, WhatTheTableDoesNotAllowIsTold) {
  Coverage coverage;
  Coverage other;
  const Transition impossible{Machine::kExposure, hub::pb::EXPOSURE_FAILED, 0, hub::pb::EXPOSURE_COMMITTED};
  other.took(impossible);
  coverage += other;
  coverage += other;
  EXPECT_EQ(coverage.count(impossible), 2U);
  ASSERT_EQ(coverage.not_allowed().size(), 1U);
  EXPECT_EQ(text_of(coverage.not_allowed()[0]), "exposure failed -> committed");
}

}  // namespace
}  // namespace wb::sim
