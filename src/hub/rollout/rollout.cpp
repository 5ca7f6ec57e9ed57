// Contacts and commands. The scan over the fleet is in scan.cpp, the judgement in gate.cpp.
#include "hub/rollout/rollout.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/planted.h"
#include "base/prng.h"
#include "base/typed_rows.h"
#include "hub/rollout/internal.h"

namespace wb::hub {

using internal::halt;
using internal::load_live;
using internal::save_rollout;
using internal::tell;

namespace {

bool contains(const auto& list, std::string_view what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

// Moves one node's exposure, and the rollout's counters with it.
void move(Rows& rows, Moment now, pb::Rollout& rollout, const FleetNode& node, pb::Exposure& exposure,
          pb::ExposureState to, RolloutNews& news) {
  internal::count(rollout, exposure.state(), -1);
  internal::count(rollout, to, +1);
  exposure.set_state(to);
  if (to == pb::EXPOSURE_PENDING) {
    exposure.set_stage(rollout.stage());
    exposure.set_exposed_ms(now.unix_ms);
    exposure.set_decided_ms(0);
    exposure.clear_error_code();
    exposure.clear_reason();
  } else {
    exposure.set_decided_ms(now.unix_ms);
  }
  save_row(rows, Table::kExposure, exposure_key(rollout.id(), node.id), exposure);
  const bool bad = !exposure.error_code().empty() && (to == pb::EXPOSURE_FAILED || to == pb::EXPOSURE_WITHDRAWN);
  tell(news, rollout, exposure_state_name(to), node.id, bad ? exposure.error_code() + ": " + exposure.reason() : "");
  if (to != pb::EXPOSURE_PENDING && rollout.state() == pb::ROLLOUT_RUNNING) news.scan_now = true;
}

void observe(Rows& rows, Moment now, pb::Rollout& rollout, const FleetNode& node, const wire::Reported& reported,
             pb::Exposure& exposure, RolloutNews& news) {
  const std::string& digest = rollout.digest();
  for (const wire::Quarantined& bad : reported.quarantined()) {
    // That a node takes no releases at all says nothing about this one: it is in no denominator, as a dark node is
    // (F3).
    const bool not_taken = bad.error_code().starts_with("DEPLOY_NOT_TAKEN");
    const auto to = not_taken ? pb::EXPOSURE_WITHDRAWN : pb::EXPOSURE_FAILED;
    if (bad.digest() != digest || exposure.state() == to) continue;
    exposure.set_error_code(bad.error_code());
    exposure.set_reason(bad.reason());
    return move(rows, now, rollout, node, exposure, to, news);
  }
  if (exposure.state() == pb::EXPOSURE_FAILED) return;
  const bool gave_up = reported.phase() == wire::DEPLOY_ROLLED_BACK || reported.phase() == wire::DEPLOY_REJECTED;
  if (gave_up && reported.candidate_digest() == digest) {
    exposure.set_error_code(reported.phase() == wire::DEPLOY_REJECTED ? "DEPLOY_REJECTED" : "DEPLOY_ROLLED_BACK");
    exposure.set_reason(reported.waiting_for());
    return move(rows, now, rollout, node, exposure, pb::EXPOSURE_FAILED, news);
  }
  // F6: what runs is what counts, not what was sent. A withdrawn node that has committed meanwhile is a fact.
  if (reported.running_digest() == digest && exposure.state() != pb::EXPOSURE_COMMITTED)
    move(rows, now, rollout, node, exposure, pb::EXPOSURE_COMMITTED, news);
}

bool has_room(const pb::Rollout& rollout) { return rollout.exposed() < rollout.wanted(); }

// Admission at contact. Fresh nodes come in the order of their buckets, so that a small wave is the same nodes however
// often they call; one that was withdrawn returns wherever there is room.
bool admits(const pb::Rollout& rollout, const FleetNode& node, const pb::Exposure& exposure) {
  if (rollout.state() == pb::ROLLOUT_COMPLETED) return true;
  const bool open =
      rollout.state() == pb::ROLLOUT_RUNNING || (rollout.state() == pb::ROLLOUT_PAUSED && planted(Bug::kPausedAdmits));
  if (!open || !has_room(rollout)) return false;
  return exposure.state() == pb::EXPOSURE_WITHDRAWN || internal::bucket(rollout, node.id) <= rollout.admit_below();
}

struct Look {
  bool entitled = false;
  bool changed = false;
};

Look look(Rows& rows, Moment now, pb::Rollout& rollout, const FleetNode& node, const wire::Reported* reported,
          RolloutNews& news) {
  Look out;
  const std::string key = exposure_key(rollout.id(), node.id);
  auto exposure = load_row<pb::Exposure>(rows, Table::kExposure, key).value_or(pb::Exposure{});
  const auto before = exposure.state();
  if (reported != nullptr && before != pb::EXPOSURE_NONE) observe(rows, now, rollout, node, *reported, exposure, news);
  // Whatever the counters say: a release that this node has put into quarantine is never given to it again (U9).
  const bool refused = contains(node.quarantined, rollout.digest()) || exposure.state() == pb::EXPOSURE_FAILED;
  if (!refused) {
    const bool held = exposure.state() == pb::EXPOSURE_PENDING || exposure.state() == pb::EXPOSURE_COMMITTED;
    if (rollout.state() == pb::ROLLOUT_ABORTED) {
      out.entitled = rollout.keep_committed() && exposure.state() == pb::EXPOSURE_COMMITTED;
    } else if (held) {
      out.entitled = true;
    } else if (admits(rollout, node, exposure)) {
      move(rows, now, rollout, node, exposure, pb::EXPOSURE_PENDING, news);
      if (reported != nullptr) observe(rows, now, rollout, node, *reported, exposure, news);
      out.entitled = true;
    }
  }
  out.changed = exposure.state() != before;
  return out;
}

// A failure is judged at once; a success may wait for the scan.
void judge_failures(Rows& rows, Moment now, pb::LiveRollouts& live, pb::Rollout& rollout, RolloutNews& news) {
  const bool judged = rollout.state() == pb::ROLLOUT_RUNNING || rollout.state() == pb::ROLLOUT_PAUSED ||
                      rollout.state() == pb::ROLLOUT_COMPLETED;
  if (!judged || rollout.failed() == 0) return;
  GateInput input;
  input.exposed = rollout.exposed();
  input.committed = rollout.committed();
  input.failed = rollout.failed();
  input.wave_nodes = std::max(rollout.exposed(), rollout.wanted());
  input.max_failure_permille = rollout.max_failure_permille();
  if (judge(input) == Verdict::kHalt) halt(rows, now, live, rollout, news);
}

}  // namespace

Entitlement contact(Rows& rows, Moment now, const FleetNode& node, const wire::Reported* reported, RolloutNews& news) {
  Entitlement out;
  pb::LiveRollouts live = load_live(rows);
  out.contact_within_ms = live.shortest_dark_ms() / 2;
  bool own_is_live = node.assigned_rollout.empty();
  for (int i = 0; i < live.ids_size(); ++i) {
    const std::string& id = live.ids(planted(Bug::kOldestRolloutWins) ? live.ids_size() - 1 - i : i);
    auto rollout = find_rollout(rows, id);
    // A rollout that cannot be read takes nothing away: the node keeps what it brought.
    own_is_live = own_is_live || (rollout && id == node.assigned_rollout);
    if (!rollout || rollout->state() == pb::ROLLOUT_HALTED || contains(live.halted_digests(), rollout->digest()))
      continue;
    const auto selector = Selector::parse(rollout->selector());
    if (!selector.ok() || !selector->matches(node.labels)) continue;
    const Look seen = look(rows, now, *rollout, node, reported, news);
    if (seen.changed) {
      judge_failures(rows, now, live, *rollout, news);
      save_rollout(rows, *rollout);
    }
    if (!seen.entitled || rollout->state() == pb::ROLLOUT_HALTED) continue;
    out.digest = rollout->digest();
    out.name = rollout->name();
    out.size_bytes = rollout->size_bytes();
    out.rollout = rollout->id();
    out.probation_records = rollout->probation_records();
    out.probation_ms = rollout->probation_ms();
    return out;
  }
  out.keep = !own_is_live;
  return out;
}

Result<pb::Rollout> command(Rows& rows, Moment now, std::string_view id, RolloutAction action, std::string_view actor,
                            RolloutNews& news) {
  auto rollout = find_rollout(rows, id);
  if (!rollout) return fail(Code::kNotFound, "there is no rollout '", id, "'; `waybill rollout list` shows them");
  const pb::RolloutState was = rollout->state();
  const bool open = was == pb::ROLLOUT_RUNNING || was == pb::ROLLOUT_PAUSED;
  const auto refuse = [&](std::string_view what) {
    return fail(Code::kExists, "rollout ", id, " is ", rollout_state_name(was), " and cannot be ", what,
                "; build a new version and start a new rollout");
  };
  const std::string by = " by " + std::string(actor);
  switch (action) {
    case RolloutAction::kPause:
      if (!open) return refuse("paused");
      rollout->set_state(pb::ROLLOUT_PAUSED);
      rollout->set_reason("paused" + by);
      break;
    case RolloutAction::kResume:
      if (!open) return refuse("resumed");
      rollout->set_state(pb::ROLLOUT_RUNNING);
      rollout->set_reason("");
      break;
    case RolloutAction::kPromote:
      if (!open) return refuse("promoted");
      if (static_cast<int>(rollout->stage()) + 1 < rollout->waves_percent_size()) {
        rollout->set_stage(rollout->stage() + 1);
        rollout->set_reason("promoted" + by);
      } else {
        rollout->set_state(pb::ROLLOUT_COMPLETED);
        rollout->set_reason("completed" + by);
      }
      break;
    case RolloutAction::kAbort:
    case RolloutAction::kAbortAndRollBack: {
      const bool keep = action == RolloutAction::kAbort;
      if (was == pb::ROLLOUT_ABORTED && rollout->keep_committed() == keep) return *rollout;
      if (was == pb::ROLLOUT_HALTED) return refuse("aborted");
      rollout->set_state(pb::ROLLOUT_ABORTED);
      rollout->set_keep_committed(keep);
      rollout->set_reason((keep ? "aborted" : "aborted and rolled back") + by);
      break;
    }
  }
  const bool same = was == rollout->state() && action != RolloutAction::kPromote && !rollout->keep_committed();
  if (same && (action == RolloutAction::kPause || action == RolloutAction::kResume)) return *rollout;  // H2
  rollout->set_changed_ms(now.unix_ms);
  save_rollout(rows, *rollout);
  mark_fleet_changed(rows);
  tell(news, *rollout, std::string("rollout_") + std::string(rollout_state_name(rollout->state())), "",
       rollout->reason());
  news.wake_all = true;
  return *rollout;
}

}  // namespace wb::hub
