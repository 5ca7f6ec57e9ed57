// The simulated world around the nodes: the hub with its rows, the operator, and the faults that come and go.
#include "sim/fleet.h"

#include <algorithm>

namespace wb::sim {
namespace {

constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kCheckEveryMs = 10 * kMinuteMs;
constexpr int64_t kHubTickMs = 20'000;
constexpr size_t kOldDesiredMax = 4;

}  // namespace

bool Clock::run_one(int64_t until_ns) {
  if (queue_.empty() || queue_.begin()->first.first > until_ns) {
    now_ = until_ns;
    return false;
  }
  auto node = queue_.extract(queue_.begin());
  now_ = node.key().first;
  node.mapped()();
  return true;
}

Fleet::Fleet(const Options& options) : options_(options), prng_(options.seed * 0x9E3779B97F4A7C15ULL + 1) {
  report_.seed = options.seed;
  faults_ = report_.faults = options.faults.value_or(usual());
}

void Fleet::restart_hub() {
  ++hub_life_;
  held_.clear();  // their connections are gone
  hub::HubConfig config;
  config.long_poll_max_ms = 600'000;
  hub_.emplace(config);
}

void Fleet::set_up() {
  restart_hub();
  const Status trusted = hub_->trust_key(rows_, hub_now(), *ed25519_public_key(publisher_seed()), "publisher", "sim");
  if (!trusted.ok()) violate("setup", trusted.error().text);
  for (uint32_t i = 0; i < options_.nodes; ++i) {
    nodes_.push_back(std::make_unique<SimNode>(*this, i, prng_.split()));
    index_of_[nodes_.back()->id()] = i;
    enrol(*nodes_.back());
  }
  for (const auto& node : nodes_) {
    SimNode& one = *node;
    clock_.in_ms(static_cast<int64_t>(prng_.below(10 * kMinuteMs)), [this, &one] {
      one.boot();
      live(one, true);
    });
  }
  hub_tick();
  operate();
  back_up_hub();
  check_now_and_then();
}

void Fleet::enrol(SimNode& node) {
  hub::Hub::TokenRequest token;
  token.secret = "secret-of-" + node.id() + "-0123456789";
  token.labels = {{"site", prng_.chance(500'000) ? "lyon" : "oslo"}};
  token.actor = "sim";
  wire::EnrolRequest request;
  request.set_token(token.secret);
  request.set_csr_der("csr of " + node.id());
  request.set_node_name(node.id());
  const Status made = hub_->create_token(rows_, hub_now(), token);
  if (!made.ok()) return violate("I6", made.error().text);
  auto outcome = hub_->enrol(rows_, hub_now(), request, std::string(16, 'e'));
  if (!outcome.ok() || !outcome->issue)
    return violate("I6", outcome.ok() ? "no certificate was asked for" : outcome.error().text);
  const auto done = hub_->finish_enrolment(rows_, hub_now(), *outcome->issue, "", "certificate", "authority");
  if (!done.ok()) return violate("I6", done.error().text);
  if (done->node_id() != node.id()) violate("I6", "the hub renamed " + node.id());
  if (hub_->enrol(
              rows_, hub_now(),
              [&] {
                auto other = request;
                other.set_csr_der("another key");
                return other;
              }(),
              std::string(16, 'e'))
          .ok())
    violate("I6", "a token was taken twice for " + node.id());
}

// A node's own life: readings, crashes, partitions.
void Fleet::live(SimNode& node, bool faulty) {
  const int64_t batch_ms = static_cast<int64_t>(options_.minutes_per_batch) * kMinuteMs;
  clock_.in_ms(batch_ms / 2 + static_cast<int64_t>(prng_.below(static_cast<uint64_t>(batch_ms))),
               [this, &node, batch_ms, faulty] {
                 if (healing_ && faulty) return live(node, false);
                 if (clock_.now_ns() < quiet_from_ns_) node.give_batch();
                 if (!healing_) {
                   if (is_due(prng_, batch_ms, faults_.partition_every_ms))
                     node.partition_until_ms = clock_.now_ms() + draw_ms(prng_, faults_.partition_max_ms);
                   if (node.up() && is_due(prng_, batch_ms, faults_.crash_every_ms)) {
                     node.crash();
                     const bool long_down = prng_.chance(300'000);
                     const int64_t down_ms = long_down ? draw_ms(prng_, faults_.down_max_ms) : 2'000;
                     clock_.in_ms(down_ms, [&node] { node.boot(); });
                   }
                   if (prng_.chance(10'000)) node.take_image();
                 }
                 live(node, faulty);
               });
}

// The operator: a first release, then a good one now and then, one bad one, and a pause at a bad time.
void Fleet::operate() {
  const int64_t span_ms = static_cast<int64_t>(options_.days) * kDayMs;
  ship(Kind::kGood, "1");
  clock_.at(span_ms * 3 / 10 * kNsPerMs, [this] { ship(Kind::kRetrained, "2"); });
  clock_.at(span_ms * 6 / 10 * kNsPerMs, [this] { ship(Kind::kSwapped, "3"); });
  clock_.at((span_ms * 6 / 10 + 30 * kMinuteMs) * kNsPerMs, [this] {
    if (rollouts_.empty() || prng_.chance(500'000)) return;
    const std::string id = rollouts_.back();
    (void)hub_->command_rollout(rows_, hub_now(), id, hub::Hub::RolloutCommand::kPause, "sim").ok();
    clock_.in_ms(2 * kHourMs, [this, id] {
      (void)hub_->command_rollout(rows_, hub_now(), id, hub::Hub::RolloutCommand::kResume, "sim").ok();
      wake_held();
    });
  });
  // The rollout that a bad release leaves open is ended by hand before the last good one goes out.
  clock_.at(span_ms * 8 / 10 * kNsPerMs, [this] {
    if (!rollouts_.empty())
      (void)hub_
          ->command_rollout(rows_, hub_now(), rollouts_.back(), hub::Hub::RolloutCommand::kAbortAndRollBack, "sim")
          .ok();
    ship(Kind::kRetrained, "4");
  });
}

void Fleet::ship(Kind kind, const std::string& version) {
  orders_.push_back({kind, version});
  const auto artifact = make_release(kind, version);
  if (!artifact.ok()) return violate("setup", artifact.error().text);
  const auto pushed = hub_->push_release(rows_, hub_now(), *artifact, "sim");
  if (!pushed.ok()) return violate("setup", pushed.error().text);
  shipped_.insert(pushed->digest());
  if (kind == Kind::kSwapped)
    bad_.insert(pushed->digest());
  else
    last_good_ = pushed->digest();
  hub::Hub::RolloutSpec spec;
  spec.release = "pump@" + version;
  spec.actor = "sim";
  spec.supersede = true;
  spec.dark_after_ms = kHourMs;
  if (version == "1")
    spec.waves_percent = {100};
  else
    spec.waves_percent = {5, 25, 100};
  const auto started = hub_->start_rollout(rows_, hub_now(), spec);
  if (!started.ok()) return violate("setup", "rollout of " + version + ": " + started.error().text);
  rollouts_.push_back(started->id());
  wake_held();
}

void Fleet::hub_tick() {
  hub_->tick(rows_, hub_now());
  wake_held();
  if (is_due(prng_, kHubTickMs, faults_.hub_restart_every_ms)) restart_hub();
  if (is_due(prng_, kHubTickMs, faults_.hub_restore_every_ms)) restore_hub();
  clock_.in_ms(kHubTickMs, [this] { hub_tick(); });
}

void Fleet::check_now_and_then() {
  check_rollouts();
  for (const auto& node : nodes_) node->check_now();
  clock_.in_ms(kCheckEveryMs, [this] { check_now_and_then(); });
}

void Fleet::at_hub(SimNode& node, uint64_t life, uint64_t id, const Bytes& bytes) {
  if (node.partitioned()) return;
  ++report_.exchanges;
  const auto request = wire::decode_exchange_request(bytes);
  if (!request.ok()) return;
  const auto exposure = exposure_of(node);
  rows_.begin();
  auto outcome = hub_->exchange(rows_, hub_now(), node.id(), *request);
  if (!outcome.ok()) {
    rows_.rollback();
    return violate("hub", node.id() + " was refused: " + outcome.error().text);
  }
  rows_.commit();
  check_admission(node, exposure);
  // H2: the same request at once again is answered with the same acks.
  std::string acks;
  for (const wire::StreamAck& ack : outcome->response.acks()) acks += wire::encode(ack);
  if (node.last_at_hub_ == (life << 32 | id) && node.last_acks_ != acks)
    violate("H2", node.id() + ": a request that came twice was acked in two ways");
  node.last_at_hub_ = life << 32 | id;
  node.last_acks_ = acks;
  wake_held();
  if (outcome->hold_ms == 0) return answer(node, life, id, std::move(outcome->response));
  const uint64_t serial = next_held_++;
  held_[node.id()] = {hub_life_, life, id, serial};
  clock_.in_ms(outcome->hold_ms, [this, &node, serial] {
    const auto found = held_.find(node.id());
    if (found == held_.end() || found->second.serial != serial) return;
    const Held held = found->second;
    held_.erase(found);
    const auto response = resume(node.id());
    if (response.ok()) answer(node, held.node_life, held.id, *response);
  });
}

void Fleet::wake_held() {
  for (const std::string& id : hub_->take_wakes()) {
    const auto found = held_.find(id);
    if (found == held_.end()) continue;
    const Held held = found->second;
    held_.erase(found);
    const auto response = resume(id);
    if (response.ok()) answer(*nodes_[index_of_[id]], held.node_life, held.id, *response);
  }
}

Result<wire::ExchangeResponse> Fleet::resume(const std::string& node_id) {
  const SimNode& node = *nodes_[index_of_[node_id]];
  const auto exposure = exposure_of(node);
  auto response = hub_->resume(rows_, hub_now(), node_id);
  check_admission(node, exposure);
  return response;
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
  if (hits(prng_, faults_.lose_per_million)) return;
  clock_.in_ms(5 + draw_ms(prng_, faults_.delay_max_ms), [&node, life, id, bytes] {
    if (node.life_ == life && node.exchange_ == id && !node.partitioned()) node.deliver(id, bytes);
  });
}

// From here on the world is kind; what was broken must come together again.
void Fleet::heal() {
  healing_ = true;
  faults_ = calm();
  for (const auto& node : nodes_) {
    node->partition_until_ms = 0;
    node->boot();
  }
}

Report Fleet::run() {
  set_up();
  const int64_t faulty_ns = static_cast<int64_t>(options_.days) * kDayMs * kNsPerMs;
  const int64_t end_ns = faulty_ns + 2 * kDayMs * kNsPerMs;
  quiet_from_ns_ = end_ns - kHourMs * kNsPerMs;  // the last hour only drains
  int64_t next_progress_ns = 0;
  while (clock_.run_one(faulty_ns)) {
    if (!options_.progress || clock_.now_ns() < next_progress_ns) continue;
    next_progress_ns = clock_.now_ns() + kDayMs * kNsPerMs;
    options_.progress("seed " + std::to_string(options_.seed) + " day " + std::to_string(clock_.now_ms() / kDayMs) +
                      " of " + std::to_string(options_.days + 2));
  }
  heal();
  while (clock_.run_one(end_ns)) {
  }
  check_end();
  report_.device_hours = static_cast<double>(options_.nodes) * (static_cast<double>(options_.days) + 2) * 24;
  trace_.update(report_.events);
  report_.trace_hash = trace_.value();
  return report_;
}

Report run(const Options& options) { return Fleet(options).run(); }

}  // namespace wb::sim
