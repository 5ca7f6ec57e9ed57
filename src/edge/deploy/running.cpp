// The release that this node runs: at boot charged, read, verified and handed to the agent; given up for the one before
// it when it does not survive; safe mode when nothing is left.
#include <algorithm>

#include "base/planted.h"
#include "edge/deploy/deploy.h"

namespace wb::deploy {
namespace {
constexpr int64_t kDayMs = 86'400'000;
}

// Everything that will be loaded in this boot is charged in one transaction, before any of it is loaded. While there is
// a candidate the crash is its own: charging both would lose the incumbent to the candidate's faults.
void Deploy::on(const Opened&) {
  if (opened_) return;
  opened_ = true;
  if (journal_.candidate && journal_.candidate->stage == Stage::kProbation) {
    Slot& slot = journal_.candidate->slot;
    const uint64_t late = journal_.candidate->late_stops;
    if (slot.tries >= config_.tries_max || late >= config_.late_stops_max) {
      forbid(slot.desired,
             Refusal{"DEPLOY_FAILED/CRASH", "the agent stopped " + std::to_string(slot.tries + late) +
                                                " times while release " + slot.desired.name() + " was in probation"});
      drop_candidate();
    } else {
      ++slot.tries;
      candidate_charged_ = true;
    }
  }
  if (!journal_.committed && !step_back("what the journal says of the running release is damaged"))
    return nothing_committed();
  if (journal_.committed->tries >= config_.tries_max)
    return give_up(Refusal{"DEPLOY_FAILED/CRASH", "release " + journal_.committed->desired.name() +
                                                      " did not survive " + std::to_string(journal_.committed->tries) +
                                                      " starts"});
  charge_and_run();
}

void Deploy::charge_and_run() {
  if (!candidate_charged_) {
    ++journal_.committed->tries;
    charged_ = true;
  }
  running_ = Running::kStoring;
  save(Then::kRunCommitted);
}

void Deploy::run_committed() {
  if (running_ != Running::kStoring || !journal_.committed) return;
  remove_garbage();
  running_ = Running::kReading;
  effects_.push_back(ReadSlot{journal_.committed->desired.digest()});
}

void Deploy::committed_read(const Bytes& bytes) {
  std::variant<wire::Release, Refusal> checked =
      verify_release(bytes, journal_.committed->desired, config_.trusted_keys);
  if (const Refusal* refusal = std::get_if<Refusal>(&checked)) {
    if (!planted(Bug::kRotBlamesRelease) &&
        (refusal->code == "DEPLOY_REJECTED/LENGTH" || refusal->code == "DEPLOY_REJECTED/DIGEST"))
      return slot_lost(refusal->text);
    return give_up(*refusal);
  }
  running_ = Running::kLoading;
  effects_.push_back(Run{std::move(std::get<wire::Release>(checked))});
}

void Deploy::committed_loaded(const Loaded& event) {
  if (!event.ok)
    return give_up(Refusal{"DEPLOY_FAILED/LOAD",
                           "release " + journal_.committed->desired.name() + " does not load: " + event.error});
  running_ = Running::kRuns;
  running_digest_ = event.digest;
  stable_at_ = after_ms(now_.mono, config_.stable_ms);
  pursue();
}

// It ran long enough: its start was survived.
void Deploy::survived() {
  stable_at_ = kNever;
  charged_ = false;
  if (planted(Bug::kTriesNeverCleared)) return;
  if (!journal_.committed || journal_.committed->desired.digest() != running_digest_ || journal_.committed->tries == 0)
    return;
  journal_.committed->tries = 0;
  save(Then::kNothing);
}

// The bytes of the slot are gone or damaged. The release itself is not at fault: it may be fetched again.
void Deploy::slot_lost(const std::string& text) {
  const Slot lost = *journal_.committed;
  remove_file(lost.desired.digest());
  const std::string why = "the stored release " + lost.desired.name() + " is damaged: " + text;
  last_refusal_ = "DEPLOY_DAMAGED: " + why;
  if (step_back(why)) return charge_and_run();
  journal_.committed.reset();
  safe_mode(why);
  if (!pursue()) save(Then::kNothing);
}

// The release is at fault. With a way back it is quarantined; without one it is kept, to be tried again now and then:
// a node with nothing to run gains nothing by forbidding its last release.
void Deploy::give_up(const Refusal& refusal) {
  const Slot failed = *journal_.committed;
  if (journal_.previous && journal_.forbids(journal_.previous->desired) == nullptr) {
    forbid(failed.desired, refusal);
    step_back(refusal.code + ": " + refusal.text);
    if (!needed(failed.desired.digest())) remove_file(failed.desired.digest());
    return charge_and_run();
  }
  safe_mode(refusal.code + ": " + refusal.text);
  const uint64_t doublings =
      std::min<uint64_t>(failed.tries > config_.tries_max ? failed.tries - config_.tries_max : 0, 8);
  safe_retry_at_ = after_ms(now_.mono, std::min(config_.safe_mode_retry_ms << doublings, kDayMs));
  if (!pursue()) save(Then::kNothing);
}

// committed ← previous. False if there is none that may run.
bool Deploy::step_back(const std::string& why) {
  if (!journal_.previous || journal_.forbids(journal_.previous->desired) != nullptr) return false;
  journal_.committed = std::move(journal_.previous);
  journal_.previous.reset();
  const wire::Desired& desired = journal_.committed->desired;
  effects_.push_back(WentBack{desired.digest(), desired.name(), why});
  if (journal_.candidate &&
      candidate_is(journal_.committed->desired.digest())) {  // the way back was being assigned anyway
    journal_.committed->desired = journal_.candidate->slot.desired;
    drop_candidate();
  }
  return true;
}

void Deploy::nothing_committed() {
  running_ = Running::kNone;
  remove_garbage();
  if (!pursue()) save(Then::kNothing);
  declare_if_nothing_left();
}

// Nothing runs and nothing is on its way in, though something was assigned: that is said, not hidden (U2).
void Deploy::declare_if_nothing_left() {
  if (journal_.committed || journal_.candidate || running_ != Running::kNone) return;
  if (journal_.damaged_rows > 0)
    safe_mode("the deploy journal was damaged; waiting for the hub to assign a release");
  else if (const wire::Quarantined* entry = journal_.forbids(journal_.desired))
    safe_mode("no release is left that may run; the last one: " + entry->reason());
}

void Deploy::safe_mode(const std::string& text) {
  running_ = planted(Bug::kSafeModeUnsaid) ? Running::kNone : Running::kSafeMode;
  running_digest_.clear();
  safe_reason_ = text;
  effects_.push_back(EnterSafeMode{text});
}

// One more try of the last release, charged like every other.
void Deploy::leave_safe_mode() {
  safe_retry_at_ = kNever;
  if (running_ != Running::kSafeMode || !journal_.committed) return;
  ++journal_.committed->tries;
  running_ = Running::kStoring;
  save(Then::kRunCommitted);
}

// A clean stop is not a crash: what was charged and not yet cleared is taken back.
void Deploy::on(const Stopping&) {
  stable_at_ = kNever;
  if (charged_ && journal_.committed && journal_.committed->tries > 0) --journal_.committed->tries;
  charged_ = false;
  candidate_stable_at_ = kNever;
  const bool loaded = track_ == Track::kLoading || track_ == Track::kShadowing || candidate_charged_;
  if (loaded && journal_.candidate) {
    uint64_t& counted = candidate_stable_ ? journal_.candidate->late_stops : journal_.candidate->slot.tries;
    if (counted > 0) --counted;
  }
  save(Then::kNothing);
}

}  // namespace wb::deploy
