// The checkers. Each names the promise it decides; all look at what the cores say of themselves and at what the
// simulated world knows better.
#include <algorithm>

#include "hub/ingest/ingest.h"
#include "hub/rollout/rollout.h"
#include "sim/fleet.h"

namespace wb::sim {
namespace {

constexpr uint64_t kBudgetBytesPerDay = 64U << 10;    // as in the simulated pipeline
constexpr int64_t kSettledNs = 1'800 * kNsPerSecond;  // longer than any answer or start takes, with stores that fail
constexpr uint32_t kBusyMax = 12;

}  // namespace

void Fleet::violate(const std::string& promise, const std::string& text) {
  if (report_.violations.size() < Report::kViolationsMax)
    report_.violations.push_back({promise, text, clock_.now_ms()});
}

// B2: record bytes on the air within one day of running time. A day begins with the first bytes after the last one
// ended; two adjacent windows of the node's own day may overlap one of ours, hence the factor of two.
// A node restored from an old disk image has forgotten what it had spent: nothing is decided about it.
void SimNode::count_budget(uint64_t record_bytes) {
  if (record_bytes == 0) return;
  const int64_t now_ns = fleet_.clock_.now_ns();
  if (now_ns - budget_day_start_ns_ >= 86'400 * kNsPerSecond) {
    budget_day_start_ns_ = now_ns;
    budget_day_bytes_ = 0;
  }
  budget_day_bytes_ += record_bytes;
  if (!forgot_ && budget_day_bytes_ > 2 * kBudgetBytesPerDay)
    fleet_.violate("B2", id_ + " sent " + std::to_string(budget_day_bytes_) + " record bytes in a day");
}

// U1, U5, F6 after every step: what runs was shipped, generations never go back, and what is said to run is what
// serves.
void SimNode::watch_running() {
  if (!agent_) return;
  const deploy::View view = agent_->view().deploy;
  if (!view.running_digest.empty() && !fleet_.shipped_.contains(view.running_digest))
    fleet_.violate("U1", id_ + " runs " + view.running_digest.substr(0, 12) + ", which nobody shipped");
  if (!view.running_digest.empty() && !assigned_.contains(view.running_digest))
    fleet_.violate("U1", id_ + " runs " + view.running_digest.substr(0, 12) + ", which the hub never named to it");
  has_run_ = has_run_ || !view.running_digest.empty();
  if (view.desired_generation < generation_seen_)
    fleet_.violate("U5", id_ + " went from generation " + std::to_string(generation_seen_) + " back to " +
                             std::to_string(view.desired_generation));
  generation_seen_ = std::max(generation_seen_, view.desired_generation);
  if (fleet_.bad_.contains(view.running_digest))
    fleet_.violate("U3", id_ + " committed the release whose columns are swapped");
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
  uint64_t evicted = 0;
  for (const outbox::RuleCounts& rule : view.outbox.rules) evicted += rule.evicted;
  evicted_seen_ = std::max(evicted_seen_, evicted);
  uint64_t lost = 0;
  for (const outbox::LaneCounts& lane : view.outbox.lanes) {
    if (lane.produced != lane.effected + lane.waiting + lane.evicted + lane.lost)
      fleet_.violate("Q4", id_ + ": produced " + std::to_string(lane.produced) + " is not the sum of its parts");
    lost += lane.lost;
  }
  // Q5: only damaged records are lost. With its counters gone it declares by sequence numbers, which is an upper bound.
  if (lost > rotted_records_ && !forgot_)
    fleet_.violate("Q5", id_ + ": " + std::to_string(lost) + " records declared lost, " +
                             std::to_string(rotted_records_) + " were damaged");
  if (view.outbox.stored_bytes > view.outbox.capacity_bytes) fleet_.violate("Q8", id_ + " holds more than its quota");
  check_serving(view);
}

// Liveness at any time: producers are answered, whatever the clock reads (T3), and what once ran is there or missed
// (U2).
void SimNode::check_serving(const AgentView& view) {
  const std::string what = clock_offset_ms_ != 0 ? "T3" : "Q7";
  const int64_t now_ns = fleet_.clock_.now_ns();
  if (!waiting_.empty() && now_ns - waiting_.begin()->second.since_ns > kSettledNs)
    fleet_.violate(what, id_ + " leaves a producer without an answer");
  if (busy_in_a_row_ > kBusyMax) fleet_.violate(what, id_ + " takes nothing in any more");
  if (now_ns - booted_ns_ < kSettledNs || !has_run_) return;
  if (view.deploy.running_digest.empty() && !view.deploy.safe_mode)
    fleet_.violate("U2", id_ + " runs nothing and does not say safe mode; waits for: " + view.deploy.waiting_for);
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
  const auto at_hub = fleet_.readings_at_hub(id_, true);
  check_losses(view, at_hub);
  const bool copies_allowed = forgot_ || !lost_by_hub_.empty();  // sent again under a new incarnation
  for (const auto& [id, count] : at_hub) {
    fleet_.report_.records_at_hub += count;
    if (count > 1 && !copies_allowed)
      fleet_.violate("Q3", id_ + ": reading " + std::to_string(id) + " had " + std::to_string(count) + " effects");
  }
}

// Q1: what was accepted is at the hub, waits, was evicted and counted, or sat on a damaged row. Q4: what a restored hub
// has forgotten it declares as its own gap, in streams that went on.
void SimNode::check_losses(const AgentView& view, const std::map<uint64_t, uint64_t>& at_hub) {
  uint64_t missing = 0;
  uint64_t missing_by_hub = 0;
  for (const uint64_t id : accepted_hot_)
    if (!at_hub.contains(id)) ++(lost_by_hub_.contains(id) ? missing_by_hub : missing);
  const uint64_t waiting = view.outbox.waiting_count;
  if (missing > evicted_seen_ + waiting + rotted_records_)
    fleet_.violate("Q1", id_ + ": " + std::to_string(missing) + " accepted records are nowhere (" +
                             std::to_string(evicted_seen_) + " evicted, " + std::to_string(waiting) + " waiting, " +
                             std::to_string(rotted_records_) + " damaged)");
  if (!forgot_ && missing_by_hub > fleet_.hub_gap_of(id_))
    fleet_.violate("Q4", "the hub lost " + std::to_string(missing_by_hub) + " records of " + id_ + " and declared " +
                             std::to_string(fleet_.hub_gap_of(id_)));
}

// Reading id → how often it is stored. A reading is in one stream once, always.
std::map<uint64_t, uint64_t> Fleet::readings_at_hub(const std::string& node_id, bool check) {
  std::map<uint64_t, uint64_t> out;
  std::set<std::pair<std::string, uint64_t>> in_stream;
  const std::string prefix = node_id + std::string(1, '\0');
  rows_.scan(Table::kRecords, prefix, prefix, [&](std::string_view key, std::string_view value) {
    const auto record = wire::decode_record(value);
    hub::RecordId place;
    if (!record.ok() || !hub::parse_record_key(key, place)) {
      violate("Q2", node_id + ": a record at the hub does not decode");
      return true;
    }
    if (record->numbers_size() < 3) return true;
    const auto id = static_cast<uint64_t>(record->numbers(0));
    ++out[id];
    if (check && !in_stream.emplace(place.incarnation, id).second)
      violate("Q3", node_id + ": reading " + std::to_string(id) + " is in one stream twice");
    if (check && !(record->inclusion_probability() > 0 && record->inclusion_probability() <= 1))
      violate("B1", node_id + ": reading " + std::to_string(id) + " has no inclusion probability");
    return true;
  });
  return out;
}

uint64_t Fleet::hub_gap_of(const std::string& node_id) {
  uint64_t out = 0;
  for (const hub::StreamRow& stream : hub::streams_of(rows_, node_id)) out += stream.state.hub_gap();
  return out;
}

// F1: a stage admits no more nodes than it allows, and a paused or halted rollout nobody. A node that was withdrawn
// (dark before it decided, F3) and has committed meanwhile by itself is a fact and no admission.
hub::pb::ExposureState Fleet::exposure_of(const SimNode& node) {
  if (rollouts_.empty()) return hub::pb::EXPOSURE_NONE;
  const auto bytes = rows_.get(Table::kExposure, hub::exposure_key(rollouts_.back(), node.id()));
  hub::pb::Exposure exposure;
  if (!bytes || !exposure.ParseFromString(*bytes)) return hub::pb::EXPOSURE_NONE;
  return exposure.state();
}

void Fleet::check_admission(const SimNode& node, hub::pb::ExposureState before) {
  const hub::pb::ExposureState after = exposure_of(node);
  const bool admitted = after == hub::pb::EXPOSURE_PENDING ? before != after : before == hub::pb::EXPOSURE_NONE;
  if (after == hub::pb::EXPOSURE_NONE || !admitted) return;
  const auto bytes = rows_.get(Table::kRollouts, rollouts_.back());
  hub::pb::Rollout rollout;
  if (!bytes || !rollout.ParseFromString(*bytes) || rollout.state() == hub::pb::ROLLOUT_COMPLETED) return;
  if (rollout.state() == hub::pb::ROLLOUT_PAUSED || rollout.state() == hub::pb::ROLLOUT_ABORTED)
    return violate("F1", "rollout " + rollout.name() + " admits " + node.id() + " though it is paused or aborted");
  const auto stage = std::min<int>(static_cast<int>(rollout.stage()), rollout.waves_percent_size() - 1);
  const uint64_t percent = rollout.waves_percent(stage);
  const uint64_t allowed = std::max<uint64_t>(1, (percent * nodes_.size() + 99) / 100);
  uint64_t exposed = 0;
  for (const auto& other : nodes_) {
    const auto state = exposure_of(*other);
    exposed += state != hub::pb::EXPOSURE_NONE && state != hub::pb::EXPOSURE_WITHDRAWN ? 1 : 0;
  }
  if (exposed > allowed)
    violate("F1", "rollout " + rollout.name() + " admits " + node.id() + " and so exposes " + std::to_string(exposed) +
                      " of " + std::to_string(nodes_.size()) + " nodes in stage " + std::to_string(percent) + "%");
}

// F4: a rollout moves on only because nodes committed, and halts only because nodes failed.
void Fleet::check_rollouts() {
  for (const std::string& id : rollouts_) {
    const auto bytes = rows_.get(Table::kRollouts, id);
    hub::pb::Rollout rollout;
    if (!bytes || !rollout.ParseFromString(*bytes)) continue;
    uint64_t committed = 0;
    uint64_t failed = 0;
    for (const auto& node : nodes_) {
      const auto known = rows_.get(Table::kExposure, hub::exposure_key(id, node->id()));
      hub::pb::Exposure exposure;
      if (!known || !exposure.ParseFromString(*known)) continue;
      committed += exposure.state() == hub::pb::EXPOSURE_COMMITTED ? 1 : 0;
      failed += exposure.state() == hub::pb::EXPOSURE_FAILED ? 1 : 0;
    }
    if (rollout.state() == hub::pb::ROLLOUT_HALTED && failed == 0)
      violate("F4", "rollout " + rollout.name() + " halted though no node failed");
    if ((rollout.stage() > 0 || rollout.state() == hub::pb::ROLLOUT_COMPLETED) && committed == 0)
      violate("F4", "rollout " + rollout.name() + " went on though no node committed");
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
