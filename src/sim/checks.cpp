// The checkers. Each names the promise it decides; all look at what the cores say of themselves and at what the
// simulated world knows better.
#include <algorithm>

#include "sim/fleet.h"

namespace wb::sim {
namespace {

constexpr uint64_t kBudgetBytesPerDay = 64U << 10;  // as in the simulated pipeline

}  // namespace

void Fleet::violate(const std::string& promise, const std::string& text) {
  if (report_.violations.size() < Report::kViolationsMax)
    report_.violations.push_back({promise, text, clock_.now_ms()});
}

// B2: record bytes on the air within one day of running time. A day begins with the first bytes after the last one
// ended; two adjacent windows of the node's own day may overlap one of ours, hence the factor of two.
void SimNode::count_budget(uint64_t record_bytes) {
  if (record_bytes == 0) return;
  const int64_t now_ns = fleet_.clock_.now_ns();
  if (now_ns - budget_day_start_ns_ >= 86'400 * kNsPerSecond) {
    budget_day_start_ns_ = now_ns;
    budget_day_bytes_ = 0;
  }
  budget_day_bytes_ += record_bytes;
  if (budget_day_bytes_ > 2 * kBudgetBytesPerDay)
    fleet_.violate("B2", id_ + " sent " + std::to_string(budget_day_bytes_) + " record bytes in a day");
}

// U1, U5, F6 after every step: what runs was shipped, generations never go back, and what is said to run is what
// serves.
void SimNode::watch_running() {
  if (!agent_) return;
  const deploy::View view = agent_->view().deploy;
  if (!view.running_digest.empty() && !fleet_.shipped_.contains(view.running_digest))
    fleet_.violate("U1", id_ + " runs " + view.running_digest.substr(0, 12) + ", which nobody shipped");
  if (view.desired_generation < generation_seen_)
    fleet_.violate("U5", id_ + " went from generation " + std::to_string(generation_seen_) + " back to " +
                             std::to_string(view.desired_generation));
  generation_seen_ = std::max(generation_seen_, view.desired_generation);
  for (const wire::Quarantined& bad : view.quarantined)
    if (bad.digest() == view.running_digest) fleet_.violate("U9", id_ + " runs a release that it quarantined");
  if (view.quarantined.size() > quarantined_seen_) {
    ++fleet_.report_.rollbacks;
    quarantined_seen_ = view.quarantined.size();
  }
}

void SimNode::check_now() {
  if (!agent_) return;
  const AgentView view = agent_->view();
  for (const outbox::LaneCounts& lane : view.outbox.lanes) {
    if (lane.produced != lane.effected + lane.waiting + lane.evicted + lane.lost)
      fleet_.violate("Q4", id_ + ": produced " + std::to_string(lane.produced) + " is not the sum of its parts");
    if (lane.lost > 0)
      fleet_.violate("Q1", id_ + ": " + std::to_string(lane.lost) + " records lost though no medium was damaged");
  }
  if (view.outbox.stored_bytes > view.outbox.capacity_bytes) fleet_.violate("Q8", id_ + " holds more than its quota");
}

// After healing: everything accepted is at the hub (or was evicted by policy and counted), once.
void SimNode::check_last() {
  if (!agent_) return fleet_.violate("Q5", id_ + " is not up in the end");
  const AgentView view = agent_->view();
  if (view.outbox.waiting_count > 0 && view.outbox.sendable_bytes > 0)
    fleet_.violate(
        "L", id_ + " still holds " + std::to_string(view.outbox.waiting_count) + " records that nothing keeps back");
  if (view.deploy.running_digest != fleet_.last_good_)
    fleet_.violate("U9", id_ + " runs " + view.deploy.running_name + " in the end, phase " +
                             std::to_string(view.deploy.phase) + ", waits for: " + view.deploy.waiting_for);
  if (fleet_.bad_.contains(view.deploy.running_digest)) fleet_.violate("U3", id_ + " kept a bad release");

  std::map<uint64_t, uint64_t> at_hub;  // reading id → how often
  const std::string prefix = id_ + std::string(1, '\0');
  fleet_.rows_.scan(Table::kRecords, prefix, prefix, [&](std::string_view, std::string_view value) {
    const auto record = wire::decode_record(value);
    if (!record.ok())
      fleet_.violate("Q2", id_ + ": a record at the hub does not decode");
    else if (record->numbers_size() >= 3)
      ++at_hub[static_cast<uint64_t>(record->numbers(0))];
    return true;
  });
  uint64_t evicted = 0;
  uint64_t waiting = view.outbox.waiting_count;
  for (const outbox::RuleCounts& rule : view.outbox.rules) evicted += rule.evicted;
  uint64_t missing = 0;
  for (const uint64_t id : accepted_hot_) missing += at_hub.contains(id) ? 0 : 1;
  if (missing > evicted + waiting)
    fleet_.violate("Q1", id_ + ": " + std::to_string(missing) + " accepted records are nowhere (" +
                             std::to_string(evicted) + " evicted, " + std::to_string(waiting) + " waiting)");
  for (const auto& [id, count] : at_hub) {
    fleet_.report_.records_at_hub += count;
    if (count > 1)
      fleet_.violate("Q3", id_ + ": reading " + std::to_string(id) + " had " + std::to_string(count) + " effects");
  }
}

// F1: no more nodes are exposed to a running rollout than its stage allows. A node that went dark before it decided is
// withdrawn: it is in no denominator and another one takes its place (F3).
void Fleet::check_rollouts() {
  for (const std::string& id : rollouts_) {
    const auto bytes = rows_.get(Table::kRollouts, id);
    hub::pb::Rollout rollout;
    if (!bytes || !rollout.ParseFromString(*bytes)) continue;
    if (rollout.state() != hub::pb::ROLLOUT_RUNNING && rollout.state() != hub::pb::ROLLOUT_PAUSED) continue;
    const auto stage = std::min<int>(static_cast<int>(rollout.stage()), rollout.waves_percent_size() - 1);
    const uint64_t percent = rollout.waves_percent(stage);
    const uint64_t allowed = std::max<uint64_t>(1, (percent * nodes_.size() + 99) / 100);
    uint64_t exposed = 0;
    for (const auto& node : nodes_) {
      const auto row = rows_.get(Table::kNodes, node->id());
      hub::pb::Node state;
      if (!row || !state.ParseFromString(*row) || state.desired().digest() != rollout.digest()) continue;
      const auto known = rows_.get(Table::kExposure, id + std::string(1, '\0') + node->id());
      hub::pb::Exposure exposure;
      if (known && exposure.ParseFromString(*known) && exposure.state() == hub::pb::EXPOSURE_WITHDRAWN) continue;
      ++exposed;
    }
    if (exposed > allowed)
      violate("F1", "rollout " + id + " of " + rollout.name() + " exposes " + std::to_string(exposed) + " of " +
                        std::to_string(nodes_.size()) + " nodes in stage " + std::to_string(percent) + "%");
  }
}

void Fleet::check_end() {
  for (const auto& node : nodes_) {
    node->check_now();
    node->check_last();
  }
  for (const std::string& id : rollouts_) {
    const auto bytes = rows_.get(Table::kRollouts, id);
    hub::pb::Rollout rollout;
    if (!bytes || !rollout.ParseFromString(*bytes)) continue;
    if (rollout.state() == hub::pb::ROLLOUT_HALTED) ++report_.halted_rollouts;
    if (bad_.contains(rollout.digest()) && rollout.state() == hub::pb::ROLLOUT_COMPLETED)
      violate("F1", "the bad release " + rollout.name() + " was rolled out to the end");
  }
}

}  // namespace wb::sim
