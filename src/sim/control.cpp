// The hub from outside: calls that share a transaction and are answered after its commit, held answers, and a hub that
// restarts, fails to commit, is away, is busy, or comes back from a backup.
#include "hub/ingest/ingest.h"
#include "sim/fleet.h"

namespace wb::sim {
namespace {

constexpr int64_t kHubTickMs = kMinuteMs;
constexpr int64_t kBackUpEveryMs = 6 * kHourMs;
constexpr int64_t kCommitMaxMs = 20;
constexpr int64_t kRetryAfterMaxMs = 10 * kMinuteMs;
constexpr uint32_t kBusyPermille = 950;
constexpr size_t kOldDesiredMax = 4;

}  // namespace

// ---- transactions

void Fleet::begin_call() {
  if (in_transaction_) return;
  rows_.begin();
  in_transaction_ = true;
  clock_.in_ms(1 + draw_ms(prng_, kCommitMaxMs), [this, life = hub_life_] {
    if (life == hub_life_) commit_calls();
  });
}

void Fleet::commit_calls() {
  const bool held = !hits(prng_, faults_.hub_commit_fail_per_million);
  if (!held && in_transaction_) ++report_.hub_commit_failures;
  end_transaction(held);
}

void Fleet::end_transaction(bool committed) {
  if (!in_transaction_) return;
  in_transaction_ = false;
  if (committed) {
    rows_.commit();
  } else {
    rows_.rollback();
    hub_->forget_wakes();
  }
  for (const Call& call : std::exchange(calls_, {})) {
    if (committed) {
      call.done();
      continue;
    }
    call.node->last_at_hub_ = 0;
    call.node->refuse(call.life, call.id, prng_.chance(500'000) ? 2'000 : 0);
  }
  if (committed) wake_held();
}

void Fleet::restart_hub() {
  ++hub_life_;
  hub_well_since_ms_ = clock_.now_ms();
  if (in_transaction_) rows_.rollback();
  in_transaction_ = false;
  const auto cut = [this](const auto& waiting) {
    waiting.node->last_at_hub_ = 0;  // what was not committed was not said
    clock_.in_ms(5, [node = waiting.node, life = waiting.life, id = waiting.id] {
      if (node->life_ == life) node->failed_exchange({id, fail(Code::kUnavailable, "connection reset")});
    });
  };
  for (const Call& call : std::exchange(calls_, {})) cut(call);
  for (const auto& [serial, held] : std::exchange(held_, {})) cut(held);
  hub::HubConfig config;
  config.long_poll_max_ms = 600'000;
  hub_.emplace(config);
  hub_->set_load(load_permille_);
  check_acks_kept();
}

// ---- contacts

void Fleet::at_hub(SimNode& node, uint64_t life, uint64_t id, const Bytes& bytes) {
  if (away_ == Away::kRefuses || away_ == Away::kSilent) return;
  if (hub_away())
    return node.refuse(life, id, away_ == Away::kBusyLater ? 1'000 + draw_ms(prng_, kRetryAfterMaxMs) : 0);
  ++report_.exchanges;
  const auto request = wire::decode_exchange_request(bytes);
  if (!request.ok()) return;
  if (!healing_ && clock_.now_ms() < refusing_until_ms_ && node.brings_unwelcome(*request))
    return node.refuse(life, id, 0, true);
  const auto exposure = exposure_of(node);
  begin_call();
  auto outcome = hub_->exchange(rows_, hub_now(), node.id(), *request);
  decided("I4", node.revoked ? 1 : 0);
  if (!outcome.ok()) {
    if (!node.revoked) violate("hub", node.id() + " was refused: " + outcome.error().text);
    calls_.push_back({&node, life, id, [&node, life, id] { node.refuse(life, id, 0); }});
    return;
  }
  hub_watch_.answered(*request, outcome->response.verdict(), report_.coverage);
  if (node.revoked) violate("I4", node.id() + " is revoked and was served");
  node.last_contact_ms_ = clock_.now_ms();
  check_admission(node, exposure);
  if (exposure_of(node) != exposure && hits(prng_, faults_.meddle_per_million))
    clock_.in_ms(draw_ms(prng_, 5'000), [this] { meddle(); });
  // H2: the same request at once again is answered with the same acks; that its records were not taken is no answer.
  std::string acks;
  for (const wire::StreamAck& ack : outcome->response.acks()) acks += wire::encode(ack);
  decided("H2", node.last_at_hub_ == (life << 32 | id) ? 1 : 0);
  if (node.last_at_hub_ == (life << 32 | id) && node.last_acks_ != acks)
    violate("H2", node.id() + ": a request that came twice was acked in two ways");
  forget_others_requests(node);
  node.last_at_hub_ = outcome->response.drained() ? 0 : life << 32 | id;
  node.last_acks_ = acks;
  calls_.push_back(
      {&node, life, id,
       [this, &node, life, id, incarnation = request->incarnation(), outcome = std::move(*outcome)]() mutable {
         for (const wire::StreamAck& ack : outcome.response.acks()) {
           uint64_t& told = node.told_acks_[{incarnation, ack.lane()}];
           told = std::max<uint64_t>(told, ack.through_seq());
         }
         if (outcome.hold_ms > 0) return hold(node, life, id, outcome.hold_ms);
         answer(node, life, id, std::move(outcome.response));
       }});
}

// A copy under the same identity moves the streams too: what a request of this one was answered with before says
// nothing any more.
void Fleet::forget_others_requests(const SimNode& node) {
  for (auto* list : {&nodes_, &copies_})
    for (const auto& other : *list)
      if (other.get() != &node && other->id() == node.id()) other->last_at_hub_ = 0;
}

void Fleet::hold(SimNode& node, uint64_t life, uint64_t id, int64_t hold_ms) {
  const uint64_t serial = next_held_++;
  held_[serial] = {&node, life, id};
  clock_.in_ms(hold_ms, [this, serial] {
    const auto found = held_.find(serial);
    if (found == held_.end()) return;
    const Held held = found->second;
    held_.erase(found);
    resume(held);
  });
}

void Fleet::wake_held() {
  for (const std::string& id : hub_->take_wakes()) {
    std::vector<uint64_t> woken;  // "" = everybody
    for (const auto& [serial, held] : held_)
      if (id.empty() || held.node->id() == id) woken.push_back(serial);
    for (const uint64_t serial : woken) {
      const auto found = held_.find(serial);
      if (found == held_.end()) continue;
      const Held held = found->second;
      held_.erase(found);
      resume(held);
    }
  }
}

void Fleet::resume(const Held& held) {
  SimNode& node = *held.node;
  const auto exposure = exposure_of(node);
  begin_call();
  auto response = hub_->resume(rows_, hub_now(), node.id());
  decided("I4", node.revoked ? 1 : 0);
  if (response.ok() && node.revoked) violate("I4", node.id() + " is revoked and was answered");
  if (!response.ok()) {
    if (!node.revoked) violate("hub", node.id() + " was not answered: " + response.error().text);
    return;
  }
  check_admission(node, exposure);
  calls_.push_back({&node, held.life, held.id, [this, held, answered = std::move(*response)]() mutable {
                      answer(*held.node, held.life, held.id, std::move(answered));
                    }});
}

void Fleet::answer(SimNode& node, uint64_t life, uint64_t id, wire::ExchangeResponse response) {
  wire::Desired& desired = *response.mutable_desired();
  node.assigned_.insert(desired.digest());
  if (node.old_desired_.empty() || node.old_desired_.back().generation() != desired.generation()) {
    if (node.old_desired_.size() >= kOldDesiredMax) node.old_desired_.pop_front();
    node.old_desired_.push_back(desired);
  }
  if (hits(prng_, faults_.stale_per_million)) desired = node.old_desired_.front();
  const Bytes bytes = wire::encode(response);
  trace_.update(bytes);
  const int64_t delay_ms = 5 + draw_ms(prng_, faults_.delay_max_ms) + node.link.down_ms(clock_.now_ms(), bytes.size());
  if (hits(prng_, faults_.lose_per_million)) return;
  clock_.in_ms(delay_ms, [this, &node, life, id, bytes] {
    if (node.life_ == life && node.exchange_ == id && node.link.down_open(clock_.now_ms())) node.deliver(id, bytes);
  });
}

// ---- faults of the hub

void Fleet::hub_tick() {
  if (!hub_away()) {
    begin_call();
    hub_->tick(rows_, hub_now());
    hub_faults();
  }
  clock_.in_ms(kHubTickMs, [this] { hub_tick(); });
}

void Fleet::hub_faults() {
  if (is_due(prng_, kHubTickMs, faults_.hub_restart_every_ms)) restart_hub();
  if (is_due(prng_, kHubTickMs, faults_.hub_restore_every_ms)) restore_hub();
  if (is_due(prng_, kHubTickMs, faults_.hub_busy_every_ms) && load_permille_ == 0)
    begin_overload(draw_ms(prng_, faults_.hub_busy_max_ms));
  if (is_due(prng_, kHubTickMs, faults_.hub_outage_every_ms)) begin_outage(draw_ms(prng_, faults_.hub_outage_max_ms));
}

void Fleet::begin_overload(int64_t for_ms) {
  load_permille_ = kBusyPermille;
  hub_->set_load(load_permille_);
  clock_.in_ms(for_ms, [this] {
    load_permille_ = 0;
    hub_->set_load(0);
    hub_well_since_ms_ = clock_.now_ms();
  });
}

void Fleet::begin_outage(int64_t for_ms) {
  ++report_.hub_outages;
  restart_hub();
  away_ = static_cast<Away>(1 + prng_.below(4));
  away_since_ms_ = clock_.now_ms();
  for (const auto& node : nodes_) node->outage_attempts_ = node->outage_boots_ = 0;
  clock_.in_ms(for_ms, [this, since = away_since_ms_] {
    if (hub_away() && since == away_since_ms_) end_outage();
  });
}

void Fleet::end_outage() {
  check_outage(clock_.now_ms() - away_since_ms_);
  away_ = Away::kNo;
  restart_hub();
}

void Fleet::keep_backup() {
  end_transaction(true);
  backup_ = Backup{rows_.snapshot(), orders_.size(), rollouts_.size()};
}

void Fleet::back_up_hub() {
  if (faults_.hub_restore_every_ms > 0) keep_backup();
  clock_.in_ms(kBackUpEveryMs, [this] { back_up_hub(); });
}

// The hub comes back as it was at its last backup, and the operator does again what it has forgotten.
void Fleet::restore_hub() {
  if (!backup_) return;
  ++report_.hub_restores;
  end_transaction(false);
  std::map<std::string, Readings> had;
  for (const auto& node : nodes_) had[node->id()] = readings_at_hub(*node, false);
  rows_.restore(backup_->rows);
  for (const auto& node : nodes_) {
    const auto has = readings_at_hub(*node, false);
    for (const auto& [id, keys] : had[node->id()])
      if (!has.contains(id)) node->lost_by_hub_[id] = keys.front();
  }
  for (auto* list : {&nodes_, &copies_})
    for (const auto& node : *list) {
      node->last_at_hub_ = 0;
      node->told_acks_.clear();
      node->revoked = false;  // forgotten too, until it is repeated below
    }
  restart_hub();
  check_audit();
  rollouts_.resize(std::min(rollouts_.size(), backup_->rollouts));
  for (size_t i = 0; i < orders_.size(); ++i)
    if (!orders_[i].revoked.empty() && i < backup_->orders) mark_revoked(orders_[i].revoked);
  const std::vector<Order> again(orders_.begin() + static_cast<std::ptrdiff_t>(backup_->orders), orders_.end());
  orders_.resize(backup_->orders);
  for (const Order& order : again) {
    if (order.revoked.empty())
      ship(order.kind, order.version);
    else
      revoke(order.revoked);
  }
}

}  // namespace wb::sim
