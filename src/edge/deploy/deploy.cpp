// The machine's frame: events in, journal out, what to report. running.cpp has the release that runs, candidate.cpp the
// one on its way in.
#include "edge/deploy/deploy.h"

#include <algorithm>

#include "base/planted.h"

namespace wb::deploy {
namespace {

// A generation this far ahead would forbid every honest one for ever (fast-forward attack, K3).
constexpr uint64_t kGenerationJumpMax = uint64_t{1} << 32;

}  // namespace

Deploy::Deploy(Config config, Journal journal, std::vector<SlotFile> slots, Prng prng)
    : config_(std::move(config)),
      prng_(prng),
      journal_(std::move(journal)),
      durable_(journal_),
      files_(std::move(slots)) {
  journal_.pin(config_.trusted_keys);  // durable with the next step: until then it lapses again at each start
  std::erase_if(files_, [](const SlotFile& file) { return !is_digest(file.digest); });
}

Deploy Deploy::open(Config config, const std::vector<StoredRow>& rows, std::vector<SlotFile> slots, Prng prng) {
  return Deploy(std::move(config), parse_journal(rows), std::move(slots), prng);
}

Step<Effect> Deploy::step(Moment now, const Event& event) {
  now_ = now;
  effects_.clear();
  if (opened_ || std::holds_alternative<Opened>(event)) std::visit([this](const auto& one) { on(one); }, event);
  return Step<Effect>{std::move(effects_), wake_at()};
}

Instant Deploy::wake_at() const {
  return earlier(earlier(earlier(stable_at_, candidate_stable_at_), safe_retry_at_),
                 earlier(track_deadline_, store_retry_at_));
}

// Half of it fixed, half of it drawn: never at once, never all together.
int64_t Deploy::jitter(int64_t ms) {
  return ms / 2 + static_cast<int64_t>(prng_.below(static_cast<uint64_t>(std::max<int64_t>(ms / 2, 1))));
}

void Deploy::on(const Wake&) {
  if (now_.mono >= store_retry_at_) retry_store();
  if (now_.mono >= stable_at_) survived();
  if (now_.mono >= candidate_stable_at_) candidate_survived();
  if (now_.mono >= safe_retry_at_) leave_safe_mode();
  if (now_.mono >= track_deadline_) track_timeout();
}

// ---- the journal

void Deploy::save(Then then) {
  const Journal* before = pending_.empty() ? &durable_ : &pending_.back().journal;
  // Damaged rows are overwritten, not met again; and what was deduced must not depend on rows that may go.
  if ((journal_.damaged_rows > 0 || journal_.desired_is_deduced) && next_ticket_ == 1) before = nullptr;
  std::vector<StoreOp> ops = journal_ops(journal_, before);
  if (ops.empty() && pending_.empty()) return perform(then, epoch_);
  pending_.push_back(Pending{0, journal_, then, epoch_});
  WB_ASSERT(pending_.size() <= kPendingMax);
  if (store_failed_) return;  // goes out whole with the retry
  pending_.back().ticket = next_ticket_++;
  effects_.push_back(Store{pending_.back().ticket, std::move(ops)});
}

void Deploy::on(const Stored& event) {
  std::vector<Pending> done;
  while (!pending_.empty() && pending_.front().ticket != 0 && pending_.front().ticket <= event.ticket) {
    done.push_back(std::move(pending_.front()));
    pending_.pop_front();
  }
  if (done.empty()) return;
  durable_ = done.back().journal;
  store_pause_ms_ = 0;
  for (const Pending& one : done) perform(one.then, one.epoch);
}

void Deploy::on(const StoreFailed& event) {
  if (pending_.empty() || event.ticket < pending_.front().ticket || store_failed_) return;
  for (Pending& one : pending_) one.ticket = 0;
  store_failed_ = true;
  store_pause_ms_ = std::clamp(store_pause_ms_ * 2, config_.retry_ms, config_.retry_max_ms);
  store_retry_at_ = after_ms(now_.mono, jitter(store_pause_ms_));
  store_error_ = event.error.text;
}

// Whatever of the failed groups became durable or not, the whole journal as it now is makes it right.
void Deploy::retry_store() {
  store_retry_at_ = kNever;
  store_failed_ = false;
  if (pending_.empty()) return;
  const uint64_t ticket = next_ticket_++;
  for (Pending& one : pending_) one.ticket = ticket;
  pending_.back().journal = journal_;
  effects_.push_back(Store{ticket, journal_ops(journal_, nullptr)});
}

void Deploy::perform(Then then, uint64_t epoch) {
  switch (then) {
    case Then::kNothing: break;
    case Then::kRunCommitted: run_committed(); break;
    case Then::kPromote: promoted(); break;
    case Then::kFetch:
      if (epoch == epoch_ && track_ == Track::kStoring) go_fetch();
      break;
    case Then::kLoadCandidate:
      if (epoch == epoch_ && track_ == Track::kStoring) load_candidate();
      break;
  }
}

// ---- what the hub wants

// True if this assignment is not accepted; says why by name (K3).
bool Deploy::refuse_assignment(const wire::Desired& desired) {
  const wire::Desired& known = journal_.desired;
  std::string why;
  if (planted(Bug::kGenerationGoesBack) && desired.generation() < known.generation()) return false;
  if (desired.generation() < known.generation())
    why = "DEPLOY_REFUSED/ROLLBACK: generation " + std::to_string(desired.generation()) + " is older than " +
          std::to_string(known.generation()) + ", which this node has accepted";
  else if (desired.generation() == known.generation() &&
           (desired.digest() != known.digest() || desired.size_bytes() != known.size_bytes()))
    why = "DEPLOY_REFUSED/MIX_AND_MATCH: generation " + std::to_string(desired.generation()) +
          " named another release before";
  else if (desired.generation() - known.generation() > kGenerationJumpMax)
    why = "DEPLOY_REFUSED/FAST_FORWARD: generation " + std::to_string(desired.generation()) +
          " leaves no room for later ones";
  else if (!desired.digest().empty() && !is_digest(desired.digest()))
    why = "DEPLOY_REFUSED/DIGEST: the assignment names no SHA-256 digest";
  if (why.empty()) return false;
  last_refusal_ = std::move(why);
  ++refused_count_;
  return true;
}

void Deploy::on(const DesiredSeen& event) {
  wire::Desired desired = event.desired;
  if (planted(Bug::kStaleApplied) && desired.generation() < journal_.desired.generation())
    desired.set_generation(journal_.desired.generation() + 1);
  if (desired.generation() == 0 || pending_.size() >= kPendingMax / 2) return;  // it comes again with the next contact
  if (refuse_assignment(desired)) return;
  if (desired.generation() == journal_.desired.generation()) {
    if (track_ == Track::kPausing && pause_may_end_early_) track_timeout();  // there is contact: use its window
    if (track_ == Track::kShadowing && planted(Bug::kCommitOnReach)) commit_candidate();
    return;
  }
  journal_.desired = desired;
  std::optional<Candidate>& candidate = journal_.candidate;
  if (candidate && candidate->slot.desired.digest() == desired.digest() &&
      candidate->slot.desired.size_bytes() == desired.size_bytes()) {
    candidate->slot.desired = desired;
  } else if (candidate) {
    drop_candidate();  // straight to the newest (U9)
  }
  if (journal_.committed && journal_.committed->desired.digest() == desired.digest())
    journal_.committed->desired = desired;
  if (planted(Bug::kAssignmentSwitches) && journal_.previous && running_ == Running::kRuns &&
      journal_.previous->desired.digest() == desired.digest() && step_back("planted"))
    running_digest_ = desired.digest();
  if (!desired.digest().empty() && (desired.size_bytes() == 0 || desired.size_bytes() > config_.release_bytes_max))
    forbid(desired, Refusal{"DEPLOY_REJECTED/LENGTH",
                            "release " + desired.name() + " would have " + std::to_string(desired.size_bytes()) +
                                " bytes; this node takes 1 to " + std::to_string(config_.release_bytes_max)});
  if (!pursue()) save(Then::kNothing);
  declare_if_nothing_left();
}

// ---- slot files

const SlotFile* Deploy::find_file(const std::string& digest) const {
  for (const SlotFile& file : files_)
    if (file.digest == digest) return &file;
  return nullptr;
}

SlotFile& Deploy::slot_file(const std::string& digest) {
  for (SlotFile& file : files_)
    if (file.digest == digest) return file;
  return files_.emplace_back(SlotFile{digest, 0, false});
}

void Deploy::remove_file(const std::string& digest) {
  std::erase_if(files_, [&](const SlotFile& file) { return file.digest == digest; });
  effects_.push_back(RemoveSlot{digest});
}

bool Deploy::needed(const std::string& digest) const {
  const auto is = [&](const Slot& slot) { return slot.desired.digest() == digest; };
  if (planted(Bug::kSlotErasedEarly) && journal_.candidate && !is(journal_.candidate->slot)) return false;
  return (journal_.committed && is(*journal_.committed)) || (journal_.previous && is(*journal_.previous)) ||
         (journal_.candidate && is(journal_.candidate->slot)) ||
         (journal_.desired.digest() == digest && journal_.forbids(journal_.desired) == nullptr);
}

void Deploy::remove_garbage() {
  std::vector<std::string> garbage;
  for (const SlotFile& file : files_)
    if (!needed(file.digest)) garbage.push_back(file.digest);
  for (const std::string& digest : garbage) remove_file(digest);
}

void Deploy::on(const SlotRead& event) {
  if (running_ == Running::kReading && journal_.committed && journal_.committed->desired.digest() == event.digest)
    committed_read(event.bytes);
  else if (track_ == Track::kReading && candidate_is(event.digest))
    candidate_read(event.bytes);
}

void Deploy::on(const SlotFailed& event) {
  if (running_ == Running::kReading && journal_.committed && journal_.committed->desired.digest() == event.digest)
    slot_lost(event.error.text);
  else if (candidate_is(event.digest))
    candidate_slot_failed(event.error);
}

void Deploy::on(const Loaded& event) {
  if (running_ == Running::kLoading && journal_.committed && journal_.committed->desired.digest() == event.digest)
    committed_loaded(event);
  else if (track_ == Track::kLoading && candidate_is(event.digest))
    candidate_loaded(event);
}

// ---- report

namespace {
wire::DeployPhase resting_phase(const Journal& journal) {
  const wire::Desired& desired = journal.desired;
  if (desired.digest().empty()) return journal.committed ? wire::DEPLOY_COMMITTED : wire::DEPLOY_IDLE;
  if (journal.committed && journal.committed->desired.digest() == desired.digest()) return wire::DEPLOY_COMMITTED;
  const wire::Quarantined* entry = journal.forbids(desired);
  if (entry == nullptr) return wire::DEPLOY_IDLE;
  return entry->error_code().starts_with("DEPLOY_REJECTED") ? wire::DEPLOY_REJECTED : wire::DEPLOY_ROLLED_BACK;
}
}  // namespace

View Deploy::view() const {
  View view;
  view.track = track_;
  view.running = running_;
  view.safe_mode = running_ == Running::kSafeMode;
  view.phase = resting_phase(durable_);
  if (view.safe_mode) view.phase = wire::DEPLOY_SAFE_MODE;
  if (durable_.candidate) {
    const Slot& slot = durable_.candidate->slot;
    const SlotFile* file = find_file(slot.desired.digest());
    view.candidate_digest = slot.desired.digest();
    view.candidate_name = slot.desired.name();
    view.candidate_tries = slot.tries;
    view.size_bytes = slot.desired.size_bytes();
    view.fetched_bytes = file != nullptr ? file->bytes : 0;
    const bool verifying = track_ == Track::kSealing || track_ == Track::kReading;
    view.phase = durable_.candidate->stage == Stage::kProbation ? wire::DEPLOY_PROBATION
                 : verifying                                    ? wire::DEPLOY_VERIFYING
                                                                : wire::DEPLOY_FETCHING;
  }
  view.running_digest = running_digest_;
  if (durable_.committed && durable_.committed->desired.digest() == running_digest_) {
    view.running_name = durable_.committed->desired.name();
    view.running_generation = durable_.committed->desired.generation();
  }
  view.desired_generation = durable_.desired.generation();
  view.desired_digest = durable_.desired.digest();
  view.quarantined = durable_.quarantined;
  view.waiting_for = store_failed_ ? "the node's store: " + store_error_ : waiting_for_;
  if (view.waiting_for.empty() && view.safe_mode) view.waiting_for = "safe mode: " + safe_reason_;
  if (view.waiting_for.empty() && !durable_.candidate)
    if (const wire::Quarantined* entry = durable_.forbids(durable_.desired))
      view.waiting_for = "the assigned release " + durable_.desired.name() + " is refused here (" +
                         entry->error_code() + "): " + entry->reason() + "; assign another release";
  view.last_refusal = last_refusal_;
  view.refused_count = refused_count_;
  view.damaged_rows = journal_.damaged_rows;
  return view;
}

void fill(const View& view, wire::Reported& reported) {
  reported.set_running_digest(planted(Bug::kDesiredReportedAsRunning) ? view.desired_digest : view.running_digest);
  reported.set_running_name(view.running_name);
  reported.set_running_generation(view.running_generation);
  reported.set_phase(view.phase);
  reported.set_candidate_digest(view.candidate_digest);
  reported.set_desired_generation(view.desired_generation);
  reported.clear_quarantined();
  for (const wire::Quarantined& entry : view.quarantined) *reported.add_quarantined() = entry;
  reported.set_waiting_for(view.waiting_for);
  reported.set_fetched_bytes(view.fetched_bytes);
}

}  // namespace wb::deploy
