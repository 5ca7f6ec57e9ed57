#include "sim/coverage.h"

#include <algorithm>

#include "hub/api/hub.h"

namespace wb::sim {
namespace {

enum SyncState : uint8_t { kSyncOff, kRest, kAsking, kWaiting, kTrying };
enum LaneState : uint8_t { kLaneOff, kLaneEmpty, kLaneWaiting };
enum LaneEvent : uint8_t { kNoEvent, kProduced, kAcked, kEvicted, kLost };
enum StreamState : uint8_t { kNew, kKnown };
enum StreamEvent : uint8_t { kStreamTook, kStreamEvicted, kStreamLost, kStreamGap, kStreamReplay, kStreamOldCopy };

uint8_t sync_state(const sync::View& view) {
  if (view.connected) return view.in_flight ? kAsking : kRest;
  return view.in_flight ? kTrying : kWaiting;
}

template <class Message>
Message parse(std::string_view bytes) {
  Message out;
  if (!bytes.empty()) (void)out.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  return out;
}

uint8_t state_of(std::string_view rollout) { return static_cast<uint8_t>(parse<hub::pb::Rollout>(rollout).state()); }

}  // namespace

Coverage& Coverage::operator+=(const Coverage& other) {
  for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  return *this;
}

std::vector<Transition> Coverage::never_taken() const {
  std::vector<Transition> out;
  for (const Transition& allowed : allowed_transitions())
    if (count(allowed) == 0) out.push_back(allowed);
  return out;
}

std::vector<Transition> Coverage::not_allowed() const {
  const std::span<const Transition> allowed = allowed_transitions();
  std::vector<Transition> out;
  for (size_t i = 0; i < kMachinesCount; ++i) {
    const auto machine = static_cast<Machine>(i);
    const MachineSpec& spec = spec_of(machine);
    const auto states_count = static_cast<uint8_t>(spec.states.size());
    const auto events_count = static_cast<uint8_t>(spec.events.size());
    for (uint8_t from = 0; from < states_count; ++from)
      for (uint8_t event = 0; event < events_count; ++event)
        for (uint8_t to = 0; to < states_count; ++to) {
          const Transition one{machine, from, event, to};
          if (count(one) > 0 && std::find(allowed.begin(), allowed.end(), one) == allowed.end()) out.push_back(one);
        }
  }
  return out;
}

void NodeWatch::move(Machine machine, uint8_t event, uint8_t to, Coverage& coverage) {
  uint8_t& state = states_[static_cast<size_t>(machine)];
  if (state != to || event != 0) coverage.took({machine, state, event, to});
  state = to;
}

void NodeWatch::look(const AgentView& view, Coverage& coverage) {
  move(Machine::kDeployPhase, 0, static_cast<uint8_t>(view.deploy.phase + 1), coverage);
  move(Machine::kDeployTrack, 0, static_cast<uint8_t>(static_cast<uint8_t>(view.deploy.track) + 1), coverage);
  move(Machine::kDeployRunning, 0, static_cast<uint8_t>(static_cast<uint8_t>(view.deploy.running) + 1), coverage);
  move(Machine::kSync, view.sync.retries > retries_ ? 1 : 0, sync_state(view.sync), coverage);
  retries_ = view.sync.retries;
  for (size_t i = 0; i < lanes_.size(); ++i) {
    const outbox::LaneCounts& now = view.outbox.lanes[i];
    const auto machine = static_cast<Machine>(static_cast<size_t>(Machine::kLaneCritical) + i);
    const uint8_t to = now.waiting > 0 ? kLaneWaiting : kLaneEmpty;
    Lane& then = lanes_[i];
    if (states_[static_cast<size_t>(machine)] == kLaneOff) {
      move(machine, kNoEvent, to, coverage);
    } else {
      const uint8_t from = states_[static_cast<size_t>(machine)];
      const auto happened = [&](uint8_t event) { coverage.took({machine, from, event, to}); };
      if (now.produced > then.produced) happened(kProduced);
      if (now.effected > then.effected) happened(kAcked);
      if (now.evicted > then.evicted) happened(kEvicted);
      if (now.lost > then.lost) happened(kLost);
      states_[static_cast<size_t>(machine)] = to;
    }
    then = {now.produced, now.effected, now.evicted, now.lost};
  }
}

void NodeWatch::off(Coverage& coverage) {
  for (size_t i = 0; i < kMachines; ++i)
    if (states_[i] != 0) move(static_cast<Machine>(i), 0, 0, coverage);
  retries_ = 0;
}

void HubWatch::wrote(Table table, std::string_view before, std::string_view after, Coverage& coverage) {
  if (table == Table::kRollouts) return wrote_rollout(before, after, coverage);
  if (table == Table::kExposure) {
    const auto was = static_cast<uint8_t>(parse<hub::pb::Exposure>(before).state());
    const auto is = static_cast<uint8_t>(parse<hub::pb::Exposure>(after).state());
    if (was != is) coverage.took({Machine::kExposure, was, 0, is});
  }
  if (table != Table::kStreams) return;
  ++streams_written_;
  const auto was = parse<hub::pb::StreamState>(before);
  const auto is = parse<hub::pb::StreamState>(after);
  const uint8_t from = before.empty() ? kNew : kKnown;
  const auto happened = [&](uint8_t event) { coverage.took({Machine::kStream, from, event, kKnown}); };
  if (is.effected() > was.effected()) happened(kStreamTook);
  if (is.evicted() > was.evicted()) happened(kStreamEvicted);
  if (is.lost() > was.lost()) happened(kStreamLost);
  if (is.hub_gap() > was.hub_gap()) happened(kStreamGap);
}

void HubWatch::wrote_rollout(std::string_view before, std::string_view after, Coverage& coverage) const {
  if (cause != HubCause::kStart && cause != HubCause::kGate) return;  // commanded() tells
  const auto was = parse<hub::pb::Rollout>(before);
  const auto is = parse<hub::pb::Rollout>(after);
  if (was.state() == is.state() && was.stage() == is.stage()) return;
  coverage.took({Machine::kRollout, static_cast<uint8_t>(was.state()), static_cast<uint8_t>(cause),
                 static_cast<uint8_t>(is.state())});
}

void HubWatch::commanded(HubCause cause, std::string_view before, std::string_view after, Coverage& coverage) {
  coverage.took({Machine::kRollout, state_of(before), static_cast<uint8_t>(cause), state_of(after)});
}

void HubWatch::answered(const wire::ExchangeRequest& request, wire::StreamVerdict verdict, Coverage& coverage) {
  const bool brought = std::any_of(request.streams().begin(), request.streams().end(),
                                   [](const auto& stream) { return stream.through_seq() > stream.after_seq(); });
  const bool old_copy = verdict != wire::STREAM_OK;
  if (old_copy || (brought && streams_written_ == 0))
    coverage.took({Machine::kStream, kKnown, old_copy ? kStreamOldCopy : kStreamReplay, kKnown});
  streams_written_ = 0;
}

}  // namespace wb::sim
