// The checkers of one device. Each names the promise it decides; all look at what the core says of itself and at what
// the simulated device knows better.
#include <algorithm>

#include "base/bytes.h"
#include "sim/fleet.h"
#include "sim/node.h"

namespace wb::sim {
namespace {

constexpr uint64_t kBudgetBytesPerDay = 64U << 10;    // as in the simulated pipeline
constexpr int64_t kSettledNs = 1'800 * kNsPerSecond;  // longer than any answer or start takes, with stores that fail
constexpr uint32_t kBusyMax = 12;
constexpr uint32_t kKillsMax = 3 + 9 - 1;  // deploy::Config: tries_max early ones or late_stops_max late ones
constexpr int64_t kDeadlyMaxMs = 90'000;
constexpr int64_t kReachMs = 2 * kHourMs;
constexpr int64_t kStuckMs = 26 * kHourMs;  // more than a day: the next one's budget is there
constexpr int64_t kFullStillTakesMs = 12 * kHourMs;

}  // namespace

void SimNode::violate(const char* promise, const std::string& text) {
  fleet_.violate(promise, id_ + (copy_ ? " (a copy)" : "") + ": " + text);
}

void SimNode::decided(std::string_view ids, uint64_t times) { fleet_.decided(ids, times); }

// No fault of its disk lately, and not just started.
bool SimNode::settled() const {
  const int64_t now_ns = fleet_.clock_.now_ns();
  return now_ns - booted_ns_ > kSettledNs && now_ns - last_store_trouble_ns_ > kSettledNs;
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
  if (!forgot_) decided("B2");
  if (!forgot_ && budget_day_bytes_ > 2 * kBudgetBytesPerDay)
    violate("B2", "sent " + std::to_string(budget_day_bytes_) + " record bytes in a day");
}

// L3: Retry-After is honoured. F6: what is reported is what runs. T4: requests are ordered by (boot, monotonic); a boot
// that its store could not note yet sends no records, and is not looked at.
void SimNode::watch_request(const wire::ExchangeRequest& request) {
  decided("L3 F6 T4");
  if (fleet_.clock_.now_ns() < not_before_ns_)
    violate("L3", "came " + std::to_string((not_before_ns_ - fleet_.clock_.now_ns()) / kNsPerMs) +
                      " ms before Retry-After was over");
  const std::string running = agent_->view().deploy.running_digest;
  if (request.reported().running_digest() != running)
    violate("F6",
            "reports " + request.reported().running_digest().substr(0, 12) + " and runs " + running.substr(0, 12));
  if (!running.empty()) fleet_.ran_[id_].insert(running);  // now, for the step that says so may be its last
  const auto noted = rows_.find({static_cast<uint8_t>(NodeTable::kState), "agent/boot"});
  const bool boot_is_durable = noted != rows_.end() && noted->second == key_u64(request.boot());
  if (!boot_is_durable) {
    if (request.streams_size() > 0) violate("T4", "sends records before its boot is durable");
    return;
  }
  const std::pair<uint64_t, int64_t> order{request.boot(), request.mono_ms()};
  if (order < last_order_)
    violate("T4", "a later request is at boot " + std::to_string(order.first) + ", " + std::to_string(order.second) +
                      " ms, before boot " + std::to_string(last_order_.first) + ", " +
                      std::to_string(last_order_.second) + " ms");
  last_order_ = order;
}

// After every step. U1: what runs was shipped, named by the hub, and lies in its slot bit for bit. U3, U6: a bad
// release is not committed, be it bad for its model or its pipeline. U9: what is in quarantine does not run.
void SimNode::watch_running() {
  if (!agent_) return;
  const AgentView whole = agent_->view();
  watch_.look(whole, fleet_.report_.coverage);
  const deploy::View& view = whole.deploy;
  const std::string& running = view.running_digest;
  if (running != running_seen_) {
    running_seen_ = running;
    if (!running.empty()) {
      const std::string name = running.substr(0, 12);
      const auto kind = fleet_.kinds_.find(running);
      fleet_.ran_[id_].insert(running);
      has_run_ = true;
      decided("U1 U3");
      const auto slot = slots_.find(running);
      if (kind == fleet_.kinds_.end()) return violate("U1", "runs " + name + ", which nobody shipped");
      if (!assigned_.contains(running)) violate("U1", "runs " + name + ", which the hub never named to it");
      if (slot == slots_.end() || sha256_hex(slot->second.bytes) != running)
        violate("U1", "runs " + name + ", whose bytes are not what was signed");
      if (kind->second == Kind::kSwapped || kind->second == Kind::kDeadly)
        violate("U3", std::string("committed the release that ") +
                          (kind->second == Kind::kSwapped ? "has its columns swapped" : "ends the process"));
      if (old_agent_) decided("U6");
      if (kind->second == Kind::kPicky && old_agent_) violate("U6", "runs a pipeline that it cannot load");
    }
  }
  watch_assignment(view);
  decided("S1 U9");
  if (view.damaged_rows > 0 && !forgot_) violate("S1", "found damaged rows in its journal on a disk without damage");
  if (view.quarantined.size() != quarantined_seen_) {
    if (view.quarantined.size() > quarantined_seen_) ++fleet_.report_.rollbacks;
    quarantined_seen_ = view.quarantined.size();
    for (const wire::Quarantined& bad : view.quarantined) fleet_.refused_[id_].insert(bad.digest());
  }
  watch_quarantine(view);
  watch_crashing_release(view);
}

// U5: generations never go back. F2: what it takes for its assignment is one that arrived, under that very number: an
// old one does not become new. A node that was damaged or copied may know more, or less, than arrived.
void SimNode::watch_assignment(const deploy::View& view) {
  decided("U5");
  if (view.desired_generation < generation_seen_)
    violate("U5", "went from generation " + std::to_string(generation_seen_) + " back to " +
                      std::to_string(view.desired_generation));
  generation_seen_ = std::max(generation_seen_, view.desired_generation);
  const std::pair<uint64_t, std::string> accepted{view.desired_generation, view.desired_digest};
  if (accepted == accepted_seen_) return;
  accepted_seen_ = accepted;
  if (forgot_ || copied_ || copy_ || accepted.first == 0) return;
  decided("F2");
  if (!named_.contains(accepted))
    violate("F2", "takes " + accepted.second.substr(0, 12) + " for the assignment of generation " +
                      std::to_string(accepted.first) + "; the hub never said so");
}

// U9: what was put into quarantine, for more than a bad transfer, stays there, does not run, and is not tried again.
void SimNode::watch_quarantine(const deploy::View& view) {
  std::set<std::string> refused;
  for (const wire::Quarantined& bad : view.quarantined) {
    if (bad.digest() == view.running_digest) violate("U9", "runs a release that it quarantined");
    if (bad.error_code() == "DEPLOY_REJECTED/LENGTH" || bad.error_code() == "DEPLOY_REJECTED/DIGEST") continue;
    if (bad.digest() == view.candidate_digest) violate("U9", "tries a release that it quarantined");
    refused.insert(bad.digest());
  }
  if (!std::includes(refused.begin(), refused.end(), refused_for_good_.begin(), refused_for_good_.end()))
    violate("U9", "forgot a release that it quarantined");
  refused_for_good_ = std::move(refused);
}

// U3: a release that ends the process is taken back after so many tries, with no network, clock or person. It can do so
// only while it is loaded: in probation it may also be on its way back from the slot, and is fetched anew from there if
// the slot was damaged.
void SimNode::watch_crashing_release(const deploy::View& view) {
  const auto is_loaded = [](const deploy::View& now) {
    return now.track == deploy::Track::kLoading || now.track == deploy::Track::kShadowing;
  };
  if (doomed_ || !is_loaded(view)) return;
  const auto kind = fleet_.kinds_.find(view.candidate_digest);
  if (kind == fleet_.kinds_.end() || kind->second != Kind::kDeadly) return;
  doomed_ = true;
  fleet_.clock_.in_ms(draw_ms(prng_, kDeadlyMaxMs), [this, is_loaded, mine = life_, digest = view.candidate_digest] {
    if (life_ != mine || !agent_) return;
    doomed_ = false;
    const deploy::View then = agent_->view().deploy;
    if (then.candidate_digest != digest || !is_loaded(then)) return;
    const uint32_t times = ++killed_by_[digest];
    decided("U3");
    if (times > kKillsMax) violate("U3", "tried a release that ends the process " + std::to_string(times) + " times");
    crash();
    fleet_.clock_.in_ms(2'000, [this] { boot(); });
  });
}

void SimNode::check_now() {
  if (!agent_) return;
  const AgentView view = agent_->view();
  decided("Q4 Q5 Q8");
  uint64_t evicted = 0;
  for (const outbox::RuleCounts& rule : view.outbox.rules) evicted += rule.evicted;
  evicted_seen_ = std::max(evicted_seen_, evicted);
  uint64_t lost = 0;
  for (const outbox::LaneCounts& lane : view.outbox.lanes) {
    if (lane.produced != lane.effected + lane.waiting + lane.evicted + lane.lost)
      violate("Q4", "produced " + std::to_string(lane.produced) + " is not the sum of its parts");
    lost += lane.lost;
  }
  // Q5: only damaged records are lost, and those that the hub refused alone. With its counters gone it declares by
  // sequence numbers, which is an upper bound.
  if (lost > rotted_records_.size() + refused_alone_.size() && !forgot_)
    violate("Q5", std::to_string(lost) + " records declared lost, " + std::to_string(rotted_records_.size()) +
                      " were damaged, " + std::to_string(refused_alone_.size()) + " refused");
  uint64_t effected = 0;
  for (const outbox::LaneCounts& lane : view.outbox.lanes) effected += lane.effected;
  if (effected != effected_seen_ || view.outbox.waiting_count == 0) last_progress_ms_ = now_ms();
  effected_seen_ = effected;
  if (view.outbox.stored_bytes > view.outbox.capacity_bytes) violate("Q8", "holds more than its quota");
  check_serving(view);
  if (!copy_) check_reach(view);
}

// Liveness at any time: producers are answered, whatever the clock reads (T3), and what once ran is there or missed
// (U2).
void SimNode::check_serving(const AgentView& view) {
  if (!settled()) return;
  const char* const what = clock_offset_ms_ != 0 ? "T3" : "Q7";
  decided(what);
  decided("U2");
  const int64_t now_ns = fleet_.clock_.now_ns();
  if (!waiting_.empty() && now_ns - waiting_.begin()->second.since_ns > kSettledNs)
    violate(what, "leaves a producer without an answer");
  if (busy_in_a_row_ > kBusyMax)
    violate(what, "takes nothing in any more; its store: " + (view.store_error.empty() ? "holds" : view.store_error) +
                      ", refused " + std::to_string(view.busy_refused) + " as busy and " +
                      std::to_string(view.stale_epoch) + " as stale");
  // A first release serves while it is in probation; and where nothing is assigned, nothing is missed.
  const bool on_its_way = agent_->serving() != nullptr || !view.deploy.candidate_digest.empty();
  if (has_run_ && view.deploy.running_digest.empty() && !view.deploy.safe_mode && !on_its_way &&
      !view.deploy.desired_digest.empty())
    violate("U2", "runs nothing and does not say safe mode; phase " + std::to_string(view.deploy.phase) +
                      ", waits for: " + view.deploy.waiting_for);
}

// R1: with a store that takes nothing, control still works; with a disk that is full, readings are still taken in. Only
// where the link and the hub leave no excuse.
void SimNode::check_reach(const AgentView&) {
  const Faults& faults = fleet_.faults_;
  const int64_t now_ns = fleet_.clock_.now_ns();
  const auto for_long = [&](int64_t since_ns) { return now_ns - since_ns > kReachMs * kNsPerMs; };
  const bool well = faults.lose_per_million <= 200'000 && faults.delay_max_ms <= 10'000 &&
                    faults.hub_commit_fail_per_million <= 100'000 && link.window_ms == 0 && !revoked && !copied_ &&
                    !forgot_ && !fleet_.hub_away() && for_long(fleet_.hub_well_since_ms_ * kNsPerMs) &&
                    for_long(booted_ns_) &&
                    for_long(std::max({link.cut_until_ms, link.mute_up_until_ms, link.mute_down_until_ms}) * kNsPerMs);
  decided("R1", well ? 1 : 0);
  if (well && now_ms() - last_contact_ms_ > kReachMs)
    violate("R1", "has a link and a hub, and made no contact for " +
                      std::to_string((now_ms() - last_contact_ms_) / kMinuteMs) + " minutes");
  const bool only_full = now_ms() < full_until_ms_ && now_ms() >= broken_until_ms_ && for_long(booted_ns_) &&
                         agent_->serving() != nullptr && faults.store_fail_per_million <= 10'000;
  // What was sent and not acked has to stay: a hub that takes nothing for hours leaves no room to make.
  const bool gets_through = now_ms() - last_progress_ms_ <= kReachMs;
  decided("R1", only_full && gets_through ? 1 : 0);
  if (only_full && gets_through && now_ms() - std::max(full_since_ms_, last_accepted_ms_) > kFullStillTakesMs &&
      now_ns - booted_ns_ > kFullStillTakesMs * kNsPerMs)
    violate("R1", "takes nothing in on a full disk, for " +
                      std::to_string((now_ms() - std::max(full_since_ms_, last_accepted_ms_)) / kHourMs) + " hours");
}

// After healing: everything accepted is at the hub (or was evicted by policy and counted), once.
void SimNode::check_last() {
  if (!agent_) return violate("Q5", "is not up in the end");
  const AgentView view = agent_->view();
  const auto at_hub = fleet_.readings_at_hub(*this, true);
  for (const auto& [id, keys] : at_hub) fleet_.report_.records_at_hub += keys.size();
  if (revoked) return;
  decided("L1 U9 Q7");
  if (view.outbox.waiting_count > 0 && view.outbox.sendable_bytes > 0)
    violate("L1", "still holds " + std::to_string(view.outbox.waiting_count) + " records that nothing keeps back");
  if (now_ms() - last_progress_ms_ > kStuckMs)
    violate("L1", "holds " + std::to_string(view.outbox.waiting_count) + " records, and got none through for " +
                      std::to_string((now_ms() - last_progress_ms_) / kHourMs) + " hours");
  if (view.deploy.running_digest != fleet_.last_good_)
    violate("U9", "runs " + view.deploy.running_name + " in the end, phase " + std::to_string(view.deploy.phase) +
                      ", waits for: " + view.deploy.waiting_for + "; " + view.deploy.last_refusal);
  if (!view.store_error.empty()) violate("Q7", "its store does not hold in the end: " + view.store_error);
  check_losses(view, at_hub);
  const bool copies_allowed = forgot_ || copied_ || !lost_by_hub_.empty();  // sent again under a new incarnation
  decided("Q3", copies_allowed ? 0 : at_hub.size());
  for (const auto& [id, keys] : at_hub)
    if (keys.size() > 1 && !copies_allowed)
      violate("Q3", "reading " + std::to_string(id) + " had " + std::to_string(keys.size()) + " effects");
  fleet_.check_streams(*this, view);
  fleet_.check_estimates(*this, view);
}

// Q1: what was accepted is at the hub (in a dead letter, if it was refused), waits, was evicted and counted, or sat on
// a damaged row. Q4: what a restored hub has forgotten it declares as its own gap, in streams that went on; not so what
// no ack had reached the node for, who sends it again, or declares it itself if its row was damaged meanwhile.
void SimNode::check_losses(const AgentView& view, const std::map<uint64_t, std::vector<std::string>>& at_hub) {
  decided("Q1", accepted_.size());
  const std::set<std::string> rotted(rotted_records_.begin(), rotted_records_.end());
  uint64_t missing = 0;
  uint64_t missing_by_hub = 0;
  uint64_t missing_by_either = 0;  // a number is used again in the next incarnation: the damaged row may be another's
  for (const uint64_t id : accepted_) {
    if (at_hub.contains(id)) continue;
    const auto lost = lost_by_hub_.find(id);
    if (lost == lost_by_hub_.end())
      ++missing;
    else
      ++(rotted.contains(lost->second) ? missing_by_either : missing_by_hub);
  }
  const uint64_t waiting = view.outbox.waiting_count;
  if (missing > evicted_seen_ + waiting + rotted_records_.size())
    violate("Q1", std::to_string(missing) + " accepted records are nowhere (" + std::to_string(evicted_seen_) +
                      " evicted, " + std::to_string(waiting) + " waiting, " + std::to_string(rotted_records_.size()) +
                      " damaged)");
  missing_by_hub += missing_by_either - std::min<uint64_t>(missing_by_either, rotted_records_.size());
  if (!forgot_ && !copied_ && missing_by_hub > fleet_.hub_gap_of(id_))
    violate("Q4", "the hub lost " + std::to_string(missing_by_hub) + " of its records and declared " +
                      std::to_string(fleet_.hub_gap_of(id_)));
}

}  // namespace wb::sim
