// The course of one history: set up, days with faults, healing, and the look at what came out.
#include "sim/fleet.h"

namespace wb::sim {
namespace {

constexpr int64_t kCheckEveryMs = 30 * kMinuteMs;
constexpr int64_t kCopyLivesMaxMs = 12 * kHourMs;
constexpr size_t kCopiesMax = 16;
constexpr uint64_t kSlowBytesPerS = 6'250;  // 50 kbit/s

}  // namespace

Fleet::Fleet(const Options& options) : options_(options), prng_(options.seed * 0x9E3779B97F4A7C15ULL + 1) {
  report_.seed = options.seed;
  faults_ = report_.faults = faults_used(options);
  script_ = script_used(options);
}

void Fleet::set_up() {
  rows_.watch = [this](Table table, std::string_view before, std::string_view after) {
    hub_watch_.wrote(table, before, after, report_.coverage);
  };
  restart_hub();
  const Status trusted = hub_->trust_key(rows_, hub_now(), *ed25519_public_key(publisher_seed()), "publisher", "sim");
  if (!trusted.ok()) violate("setup", trusted.error().text);
  for (uint32_t i = 0; i < options_.nodes; ++i) {
    nodes_.push_back(std::make_unique<SimNode>(*this, i, prng_.split()));
    SimNode& node = *nodes_.back();
    if (hits(prng_, faults_.slow_link_per_million)) node.link.bytes_per_s = kSlowBytesPerS;
    if (hits(prng_, faults_.window_per_million)) {
      node.link.window_ms = 10'000 + draw_ms(prng_, 110'000);
      node.link.window_offset_ms = draw_ms(prng_, Link::kWindowEveryMs);
    }
    enrol(node);
  }
  for (const auto& node : nodes_) {
    SimNode& one = *node;
    clock_.in_ms(static_cast<int64_t>(prng_.below(10 * kMinuteMs)), [this, &one] {
      one.boot();
      live(one);
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
  const std::string entropy(16, 'e');
  const Status made = hub_->create_token(rows_, hub_now(), token);
  if (!made.ok()) return violate("I6", made.error().text);
  auto outcome = hub_->enrol(rows_, hub_now(), request, entropy);
  if (!outcome.ok() || !outcome->issue)
    return violate("I6", outcome.ok() ? "no certificate was asked for" : outcome.error().text);
  const auto done = hub_->finish_enrolment(rows_, hub_now(), *outcome->issue, "", "certificate", "authority");
  if (!done.ok()) return violate("I6", done.error().text);
  decided("H2 I6 I6");
  if (done->node_id() != node.id()) violate("I6", "the hub renamed " + node.id());
  const auto again = hub_->enrol(rows_, hub_now(), request, entropy);  // the answer was lost on the way
  if (!again.ok() || !again->response || wire::encode(*again->response) != wire::encode(*done))
    violate("H2", "the same enrolment request of " + node.id() + " got another answer");
  request.set_csr_der("another key");
  if (hub_->enrol(rows_, hub_now(), request, entropy).ok()) violate("I6", "a token was taken twice for " + node.id());
  token.secret += "-late";
  request.set_token(token.secret);
  Moment late = hub_now();
  if (!hub_->create_token(rows_, late, token).ok()) return violate("I6", "no second token");
  late.unix_ms += token.lifetime_ms;
  if (hub_->enrol(rows_, late, request, entropy).ok()) violate("I6", "a token was taken after it had expired");
}

// A node's own life: readings and faults, looked at about every ten minutes.
void Fleet::live(SimNode& node) {
  const int64_t batch_ms = static_cast<int64_t>(options_.minutes_per_batch) * kMinuteMs;
  clock_.in_ms(batch_ms / 2 + draw_ms(prng_, batch_ms - 1), [this, &node] {
    node.live();
    if (!node.retired) live(node);
  });
}

// Somebody copies a node's disk and starts the copy, with the key and the name of the original.
void Fleet::clone(SimNode& node) {
  if (copies_.size() >= kCopiesMax) return;
  ++report_.clones;
  copies_.push_back(std::make_unique<SimNode>(*this, node, copies_.size() + 1, prng_.split()));
  SimNode& copy = *copies_.back();
  copy.boot();
  live(copy);
  clock_.in_ms(kHourMs + draw_ms(prng_, kCopyLivesMaxMs), [&copy] { copy.heal(); });
}

void Fleet::check_now_and_then() {
  check_rollouts();
  for (const auto& node : nodes_) node->check_now();
  clock_.in_ms(kCheckEveryMs, [this] { check_now_and_then(); });
}

// From here on the world is kind; what was broken must come together again, under one more good release.
void Fleet::heal() {
  healing_ = true;
  faults_ = calm();
  if (hub_away()) end_outage();
  load_permille_ = 0;
  hub_->set_load(0);
  hub_well_since_ms_ = clock_.now_ms();
  for (const auto& copy : copies_) copy->heal();
  for (const auto& node : nodes_) node->heal();
  clock_.in_ms(kHourMs / 2, [this] { ship(Kind::kRetrained, next_version()); });
}

Report Fleet::run() {
  set_up();
  const int64_t faulty_ns = static_cast<int64_t>(options_.days) * kDayMs * kNsPerMs;
  const int64_t end_ns = faulty_ns + static_cast<int64_t>(options_.healing_hours) * kHourMs * kNsPerMs;
  quiet_from_ns_ = end_ns - kHourMs * kNsPerMs;  // the last hour only drains
  int64_t next_progress_ns = 0;
  while (clock_.run_one(faulty_ns)) {
    if (!options_.progress || clock_.now_ns() < next_progress_ns) continue;
    next_progress_ns = clock_.now_ns() + kDayMs * kNsPerMs;
    options_.progress("seed " + std::to_string(options_.seed) + " day " + std::to_string(clock_.now_ms() / kDayMs) +
                      " of " + std::to_string(options_.days));
  }
  heal();
  while (clock_.run_one(end_ns)) {
  }
  end_transaction(true);
  check_end();
  report_.device_hours =
      static_cast<double>(options_.nodes) * (static_cast<double>(options_.days) * 24 + options_.healing_hours);
  trace_.update(report_.events);
  report_.trace_hash = trace_.value();
  return report_;
}

Faults faults_used(const Options& options) { return options.faults.value_or(faults_of_seed(options.seed)); }

Script script_used(const Options& options) {
  if (options.script) return *options.script;
  return script_of_seed(options.seed, options.days, faults_used(options).bad_release_per_million);
}

Report run(const Options& options) { return Fleet(options).run(); }

}  // namespace wb::sim
