// The one store. Everything that must survive goes through store(): it gets the next ticket, and what waits for it is
// told when the ticket is durable, never before (Q1, Q7, contract 2 and 3).
#include <algorithm>

#include "base/planted.h"
#include "edge/agent/core.h"

namespace wb {
namespace {

constexpr int64_t kStoreRetryFirstMs = 200;
constexpr int64_t kStoreRetryMaxMs = 10'000;

}  // namespace

namespace {

// Last write wins; erases come first, so that the transaction needs less room than its parts.
std::vector<StoreOp> fold(std::vector<StoreOp> all) {
  std::map<std::pair<uint8_t, std::string>, StoreOp> last;
  for (StoreOp& op : all) {
    const auto key = std::make_pair(static_cast<uint8_t>(op.table), op.key);
    last[key] = std::move(op);
  }
  std::vector<StoreOp> ops;
  for (auto& [key, op] : last)
    if (op.erase) ops.push_back(op);
  for (auto& [key, op] : last)
    if (!op.erase) ops.push_back(std::move(op));
  return ops;
}

}  // namespace

uint64_t Agent::Core::store(std::vector<StoreOp> ops, std::optional<agent::Answer> answer, uint64_t deploy_ticket) {
  const uint64_t ticket = queue(std::move(ops), std::move(answer), deploy_ticket);
  if (!store_failing_)
    submit_held();
  else if (pending_.size() >= agent::kPendingWhileFailingMax)
    join_unsubmitted();
  return std::min(ticket, next_ticket_ - 1);
}

// What producers bring. Past the flash's pace it waits for company, and then is one ticket with it (W1).
void Agent::Core::store_soon(std::vector<StoreOp> ops, std::optional<agent::Answer> answer) {
  if (store_failing_ || !flash_pace_.is_spent(now_.mono)) {
    store(std::move(ops), std::move(answer));
    return;
  }
  for (const StoreOp& op : ops) held_bytes_ += op.value.size();
  queue(std::move(ops), std::move(answer), 0);
  hold_wake_ = earlier(hold_wake_, after_ms(now_.mono, agent::kHoldMs));
  if (held_bytes_ > agent::kHeldBytesMax) submit_held();
}

void Agent::Core::submit_held() {
  if (store_failing_) return;
  hold_wake_ = kNever;
  held_bytes_ = 0;
  const auto held = [this](const Pending& one) { return one.ticket > submitted_ticket_; };
  if (std::count_if(pending_.begin(), pending_.end(), held) > 1) join_unsubmitted();
  for (const Pending& pending : pending_)
    if (held(pending)) submit(pending);
}

uint64_t Agent::Core::queue(std::vector<StoreOp> ops, std::optional<agent::Answer> answer, uint64_t deploy_ticket) {
  count_offline();
  if (counters_dirty_ || answer) {
    ops.push_back(StoreOp{NodeTable::kState, "agent/counters", wire::encode(counters_), false});
    counters_dirty_ = false;
  }
  for (const std::string& key : dirty_positions_)
    ops.push_back(StoreOp{NodeTable::kState, "source/" + key, positions_[key], false});
  dirty_positions_.clear();
  lazy_wake_ = kNever;

  Pending pending;
  pending.ticket = next_ticket_++;
  pending.deploy_ticket = deploy_ticket;
  pending.counters = counters_;
  count_outbox(pending.counters);
  if (answer && planted(Bug::kAckBeforeCommit)) effects_.emplace_back(*std::exchange(answer, std::nullopt));
  if (answer) {
    pending.answers.push_back(std::move(*answer));
    ++waiting_answers_;
  }
  pending.ops = std::move(ops);
  pending_.push_back(std::move(pending));
  return pending_.back().ticket;
}

// A store that fails for days refuses new input, but control goes on and saves what it decides. What was not handed
// over since the failure becomes one ticket: so the list stays bounded (contract 6), and so do its bytes, for the rows
// of control are few. A store takes tickets without holes, so the numbers after it are given again.
void Agent::Core::join_unsubmitted() {
  const auto first = std::find_if(pending_.begin(), pending_.end(),
                                  [this](const Pending& one) { return one.ticket > submitted_ticket_; });
  if (first == pending_.end()) return;
  std::vector<StoreOp> all;
  for (auto one = first; one != pending_.end(); ++one) {
    std::move(one->ops.begin(), one->ops.end(), std::back_inserter(all));
    if (one == first) continue;
    std::move(one->answers.begin(), one->answers.end(), std::back_inserter(first->answers));
    first->deploy_ticket = std::max(first->deploy_ticket, one->deploy_ticket);
    first->counters = std::move(one->counters);
  }
  first->ops = fold(std::move(all));
  const uint64_t ticket = first->ticket;
  pending_.erase(first + 1, pending_.end());
  next_ticket_ = ticket + 1;
  identity_ticket_ = std::min(identity_ticket_, ticket);
  opening_ticket_ = std::min(opening_ticket_, ticket);
  if (outgoing_) outgoing_->ticket = std::min(outgoing_->ticket, ticket);
}

void Agent::Core::submit(const Pending& pending) {
  flash_pace_.spend(now_.mono, pending.ops);
  effects_.push_back(agent::Store{pending.ticket, pending.ops});
  submitted_ticket_ = pending.ticket;
}

void Agent::Core::store_lazily() {
  lazy_wake_ = kNever;
  if ((!counters_dirty_ && dirty_positions_.empty()) || pending_.size() >= agent::kPendingStoresMax) return;
  store({});
}

void Agent::Core::on(agent::Stored&& stored) {
  store_failing_ = false;
  store_full_ = false;
  store_error_.clear();
  store_pause_ms_ = 0;
  note_space(std::move(stored.no_space));
  while (!pending_.empty() && pending_.front().ticket <= stored.ticket) {
    Pending done = std::move(pending_.front());
    pending_.pop_front();
    stored_ticket_ = done.ticket;
    durable_counters_ = std::move(done.counters);
    for (agent::Answer& answer : done.answers) {
      --waiting_answers_;
      effects_.push_back(std::move(answer));
    }
    if (done.deploy_ticket != 0) drive_deploy(deploy::Stored{done.deploy_ticket});
  }
  // What came in while the store failed was held back: a store takes tickets without holes.
  if (hold_wake_ == kNever)
    for (const Pending& held : pending_)
      if (held.ticket > submitted_ticket_) submit(held);
  proceed();
}

// On a disk that others have filled the store still takes what control saves, for it owns room for that (R1). Records
// would use it up: their producers keep them until an empty ticket hears that there is room again.
void Agent::Core::note_space(std::string no_space) {
  if (!no_space.empty() && no_space_.empty())
    log(agent::Log::Level::kError, no_space + "; records are refused until then");
  if (no_space.empty() && !no_space_.empty())
    log(agent::Log::Level::kInfo, "the disk has room again: records are taken in");
  no_space_ = std::move(no_space);
  space_wake_ = no_space_.empty() ? kNever : after_ms(now_.mono, kStoreRetryMaxMs);
}

void Agent::Core::ask_for_space() {
  space_wake_ = kNever;
  if (!store_failing_ && pending_.size() < agent::kPendingStoresMax) store({});
}

void Agent::Core::on(agent::StoreFailed&& failed) {
  if (failed.ticket <= stored_ticket_) return;
  if (planted(Bug::kFailedStoreCounts)) return on(agent::Stored{failed.ticket});
  if (failed.error.code == Code::kCorrupt) {
    // This file takes no more commits. The next start repairs it (Q5); trying again here would only delay that.
    effects_.push_back(agent::Restart{"store: " + failed.error.text +
                                      "; the file is damaged, the next start repairs it and counts what is lost"});
  }
  ++store_failures_;
  if (!store_failing_)
    log(agent::Log::Level::kError, "store: " + failed.error.text + "; input is refused until it holds again");
  store_failing_ = true;
  hold_wake_ = kNever;  // the retry brings all
  held_bytes_ = 0;
  store_full_ = failed.error.code == Code::kFull;
  store_error_ = failed.error.text;
  store_pause_ms_ = std::clamp(store_pause_ms_ * 2, kStoreRetryFirstMs, kStoreRetryMaxMs);
  if (!planted(Bug::kStoreNotRetried)) store_wake_ = after_ms(now_.mono, store_pause_ms_);
  submitted_ticket_ = std::min(submitted_ticket_, failed.ticket - 1);
  drop_records_from_outgoing();
}

void Agent::Core::retry_stores() {
  store_wake_ = kNever;
  if (!store_failing_ || pending_.empty()) return;
  if (store_full_) make_room_in_pending();
  for (const Pending& pending : pending_)
    if (pending.ticket > submitted_ticket_) submit(pending);
}

// The disk is fuller than the quota says. Evict, and fold all that waits into the first ticket, last write wins and
// erases first, so that the transaction needs less room than its parts.
void Agent::Core::make_room_in_pending() {
  std::vector<StoreOp> all;
  for (Pending& pending : pending_) {
    std::move(pending.ops.begin(), pending.ops.end(), std::back_inserter(all));
    pending.ops.clear();
  }
  const uint64_t stored = outbox_.view(now_.mono).stored_bytes;
  outbox_.squeeze(stored - stored / 8, all);
  pending_.front().ops = fold(std::move(all));
}

}  // namespace wb
