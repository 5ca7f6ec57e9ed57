// The release on its way in: fetched by ranges, sealed, verified, shadowed, and then promoted or refused.
#include <algorithm>

#include "base/planted.h"
#include "edge/deploy/deploy.h"

namespace wb::deploy {
namespace {
constexpr uint64_t kRangeBytesMin = 16U << 10;
constexpr uint64_t kRangeBytesStart = 64U << 10;
constexpr int64_t kRetryAfterMaxMs = 86'400'000;
}  // namespace

bool Deploy::candidate_is(const std::string& digest) const {
  return journal_.candidate && journal_.candidate->slot.desired.digest() == digest;
}

// Level-triggered: looks at what is wanted and what is there, and takes the next step. True if it saved the journal.
bool Deploy::pursue() {
  const bool settled = running_ == Running::kNone || running_ == Running::kRuns || running_ == Running::kSafeMode;
  if (!settled || track_ != Track::kNone) return false;
  if (!journal_.candidate) {
    const wire::Desired& desired = journal_.desired;
    const bool there = journal_.committed && journal_.committed->desired.digest() == desired.digest();
    if (desired.digest().empty() || there ||
        (journal_.forbids(desired) != nullptr && !planted(Bug::kQuarantineTriedAgain)))
      return false;
    journal_.candidate = Candidate{Slot{desired, 0}, Stage::kFetching, 0};
    ++epoch_;
    candidate_charged_ = false;
    pause_ms_ = slot_pause_ms_ = 0;
    range_bytes_ = kRangeBytesStart;
    track_ = Track::kStoring;
    waiting_for_.clear();
    save(Then::kFetch);
    return true;
  }
  // What was decided about the candidate, its try of this boot above all, must be durable before it moves on.
  range_bytes_ = std::max(range_bytes_, kRangeBytesMin);
  track_ = Track::kStoring;
  save(Then::kFetch);
  return true;
}

void Deploy::go_fetch() {
  const wire::Desired& desired = journal_.candidate->slot.desired;
  if (const SlotFile* file = find_file(desired.digest()); file != nullptr && file->bytes > desired.size_bytes())
    remove_file(desired.digest());  // longer than it was signed to be: not ours (U7)
  const SlotFile& file = slot_file(desired.digest());
  track_deadline_ = kNever;
  if (file.sealed) {
    track_ = Track::kReading;
    effects_.push_back(ReadSlot{desired.digest()});
  } else if (file.bytes == desired.size_bytes()) {
    track_ = Track::kSealing;
    effects_.push_back(SealSlot{desired.digest()});
  } else {
    asked_offset_ = file.bytes;
    asked_length_ = std::min(range_bytes_, desired.size_bytes() - file.bytes);
    track_ = Track::kFetching;
    track_deadline_ = after_ms(now_.mono, config_.fetch_timeout_ms);
    effects_.push_back(FetchRange{desired.digest(), asked_offset_, asked_length_});
  }
}

void Deploy::pause(const std::string& why, int64_t floor_ms, bool may_end_early) {
  pause_ms_ = std::clamp(pause_ms_ * 2, config_.retry_ms, config_.retry_max_ms);
  track_ = Track::kPausing;
  track_deadline_ =
      after_ms(now_.mono, std::max(jitter(pause_ms_), std::clamp<int64_t>(floor_ms, 0, kRetryAfterMaxMs)));
  pause_may_end_early_ = may_end_early && floor_ms <= 0;
  waiting_for_ = why;
}

void Deploy::track_timeout() {
  track_deadline_ = kNever;
  if (track_ == Track::kPausing) {
    track_ = Track::kNone;
    pursue();
  } else if (track_ == Track::kFetching) {
    range_bytes_ = std::max(range_bytes_ / 2, kRangeBytesMin);
    pause("no answer to a fetch", 0, true);
  } else if (track_ == Track::kShadowing) {
    time_is_up_ = true;
    judge_candidate();
  }
}

void Deploy::on(const Fetched& event) {
  if (track_ != Track::kFetching || !candidate_is(event.digest) || event.offset != asked_offset_) return;
  if (event.bytes.empty()) return pause("the hub sent an empty range", 0, false);
  if (event.bytes.size() > asked_length_ && !planted(Bug::kLongRangeTaken))
    return bad_transfer(Refusal{"DEPLOY_REJECTED/LENGTH", "a range of " + std::to_string(asked_length_) +
                                                              " bytes was answered with " +
                                                              std::to_string(event.bytes.size())});
  range_bytes_ = std::min<uint64_t>(range_bytes_ * 2, limits::kFetchRangeBytesMax);
  pause_ms_ = 0;
  waiting_for_.clear();
  track_ = Track::kWriting;
  track_deadline_ = kNever;
  effects_.push_back(WriteSlot{event.digest, event.offset, event.bytes});
}

void Deploy::on(const FetchFailed& event) {
  if (track_ != Track::kFetching || !candidate_is(event.digest) || event.offset != asked_offset_) return;
  if (planted(Bug::kFetchNotRetried)) track_deadline_ = kNever;
  if (planted(Bug::kFetchNotRetried)) return;
  range_bytes_ = std::max(range_bytes_ / 2, kRangeBytesMin);
  pause("fetch: " + event.error.text, event.retry_after_ms, event.error.code == Code::kUnavailable);
}

void Deploy::on(const SlotWritten& event) {
  if (track_ != Track::kWriting || !candidate_is(event.digest)) return;
  slot_file(event.digest).bytes = event.bytes;
  go_fetch();
}

void Deploy::on(const SlotSealed& event) {
  if (track_ != Track::kSealing || !candidate_is(event.digest)) return;
  slot_file(event.digest).sealed = true;
  slot_pause_ms_ = 0;
  go_fetch();
}

void Deploy::candidate_slot_failed(const Error& error) {
  const std::string digest = journal_.candidate->slot.desired.digest();
  if (track_ == Track::kReading) return bad_transfer(Refusal{"DEPLOY_REJECTED/DIGEST", error.text});
  if (track_ != Track::kWriting && track_ != Track::kSealing) return;
  // A full disk keeps what there is; anything else says that the file is not what we took it for.
  if (error.code != Code::kFull && error.code != Code::kUnavailable) remove_file(digest);
  // A disk that takes nothing has the same bytes sent again at each try: ever more rarely, though they arrive (L2).
  pause_ms_ = slot_pause_ms_;
  pause("slot: " + error.text, 0, false);
  slot_pause_ms_ = pause_ms_;
}

void Deploy::candidate_read(const Bytes& bytes) {
  Candidate& candidate = *journal_.candidate;
  std::variant<wire::Release, Refusal> checked = verify_release(bytes, candidate.slot.desired, config_.trusted_keys);
  if (const Refusal* refusal = std::get_if<Refusal>(&checked)) {
    const bool of_transfer = refusal->code == "DEPLOY_REJECTED/LENGTH" || refusal->code == "DEPLOY_REJECTED/DIGEST";
    return of_transfer ? bad_transfer(*refusal) : refuse(*refusal);
  }
  candidate_release_ = std::move(std::get<wire::Release>(checked));
  reference_ = candidate_release_->manifest.reference_scores();
  if (candidate_charged_) return load_candidate();  // at boot, with everything else
  candidate.stage = Stage::kProbation;
  ++candidate.slot.tries;
  track_ = Track::kStoring;
  if (planted(Bug::kTriedBeforeCounted)) return load_candidate();
  save(Then::kLoadCandidate);
}

// The bytes are not the release: a fault of disk or network, so fetch anew, but not for ever.
void Deploy::bad_transfer(const Refusal& refusal) {
  Candidate& candidate = *journal_.candidate;
  if (++candidate.bad_transfers >= config_.bad_transfers_max) return refuse(refusal);
  candidate.stage = Stage::kFetching;
  candidate_charged_ = false;
  remove_file(candidate.slot.desired.digest());
  pause(refusal.text + "; fetching it anew", 0, false);
  save(Then::kNothing);
}

void Deploy::load_candidate() {
  candidate_charged_ = false;
  candidate_scores_.Clear();
  incumbent_scores_.Clear();
  time_is_up_ = false;
  track_ = Track::kLoading;
  effects_.push_back(LoadCandidate{std::move(*candidate_release_)});
  candidate_release_.reset();
}

void Deploy::candidate_loaded(const Loaded& event) {
  const wire::Desired& desired = journal_.candidate->slot.desired;
  if (!event.ok && planted(Bug::kPipelineUngated)) return commit_candidate();
  if (!event.ok)
    return refuse(Refusal{"DEPLOY_REJECTED/PIPELINE", "release " + desired.name() + " does not load: " + event.error});
  track_ = Track::kShadowing;
  candidate_stable_at_ = after_ms(now_.mono, config_.stable_ms);
  track_deadline_ = desired.probation_ms() > 0 ? after_ms(now_.mono, desired.probation_ms()) : kNever;
  waiting_for_ = "probation: no records scored yet";
}

// It ran long enough: its start was survived. Until there is a verdict, a stop is noted as a late one.
void Deploy::candidate_survived() {
  candidate_stable_at_ = kNever;
  if (track_ != Track::kShadowing || journal_.candidate->slot.tries == 0) return;
  --journal_.candidate->slot.tries;
  ++journal_.candidate->late_stops;
  candidate_stable_ = true;
  save(Then::kNothing);
}

void Deploy::on(const Scores& event) {
  if (track_ != Track::kShadowing || !candidate_is(event.digest)) return;
  candidate_scores_ = event.candidate;
  incumbent_scores_ = event.incumbent;
  judge_candidate();
}

void Deploy::judge_candidate() {
  Probation probation;
  probation.candidate = &candidate_scores_;
  probation.incumbent = running_digest_.empty() ? nullptr : &incumbent_scores_;
  probation.reference = &reference_;
  probation.records_wanted = journal_.candidate->slot.desired.probation_records();
  probation.time_is_up = time_is_up_;
  const Verdict verdict = judge(probation, config_.thresholds);
  if (verdict.kind == Verdict::Kind::kFail) return refuse(Refusal{verdict.code, verdict.text});
  waiting_for_ = verdict.text;
  if (verdict.kind == Verdict::Kind::kPass) commit_candidate();
}

void Deploy::commit_candidate() {
  if (journal_.committed) {
    journal_.previous = std::move(journal_.committed);
    journal_.previous->tries = 0;
  }
  journal_.committed = journal_.candidate->slot;
  journal_.committed->tries = 1;  // it is loaded, and its first minute as the running one is still to come
  journal_.candidate.reset();
  candidate_stable_ = false;
  candidate_stable_at_ = kNever;
  // An older entry was about a transfer, or it would not have come this far.
  std::erase_if(journal_.quarantined,
                [&](const auto& entry) { return entry.digest() == journal_.committed->desired.digest(); });
  track_ = Track::kStoring;
  track_deadline_ = kNever;
  save(Then::kPromote);
}

// The commit is durable: from here on the new release is the one that runs, whatever happens to hub or process (U4).
void Deploy::promoted() {
  running_ = Running::kRuns;
  running_digest_ = journal_.committed->desired.digest();
  charged_ = true;
  stable_at_ = after_ms(now_.mono, config_.stable_ms);
  safe_retry_at_ = kNever;
  track_ = Track::kNone;
  effects_.push_back(Promote{running_digest_});
  remove_garbage();
  pursue();
}

// Never again on this node. Also as the way back: a release is not better for having run before.
void Deploy::forbid(const wire::Desired& desired, const Refusal& refusal) {
  wire::Quarantined entry;
  entry.set_digest(desired.digest());
  entry.set_error_code(refusal.code);
  entry.set_reason(refusal.text);
  entry.set_generation(desired.generation());
  journal_.quarantine(std::move(entry));
  if (refusal.code == "DEPLOY_REJECTED/SIGNATURE") journal_.keys = fingerprint_of(config_.trusted_keys);
  effects_.push_back(Refused{desired.digest(), desired.name().empty() ? desired.digest() : desired.name(), refusal.code,
                             refusal.text});
  if (journal_.previous && journal_.previous->desired.digest() == desired.digest()) journal_.previous.reset();
}

// The shadow is dropped at once; that needs no disk and no hub (R1). It is reported once it is durable.
void Deploy::refuse(const Refusal& refusal) {
  forbid(journal_.candidate->slot.desired, refusal);
  drop_candidate();
  if (!pursue()) save(Then::kNothing);
  declare_if_nothing_left();
}

void Deploy::drop_candidate() {
  const std::string digest = journal_.candidate->slot.desired.digest();
  if (track_ == Track::kLoading || track_ == Track::kShadowing) effects_.push_back(Drop{digest});
  journal_.candidate.reset();
  candidate_release_.reset();
  candidate_charged_ = false;
  candidate_stable_ = false;
  candidate_stable_at_ = kNever;
  ++epoch_;
  track_ = Track::kNone;
  track_deadline_ = kNever;
  waiting_for_.clear();
  if (!needed(digest)) remove_file(digest);
}

}  // namespace wb::deploy
