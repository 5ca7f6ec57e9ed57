// The operator: ships good releases and bad ones, and interferes with rollouts at the worst moments, which are those
// when a node's part in one has just changed.
#include <algorithm>

#include "sim/fleet.h"

namespace wb::sim {
namespace {

constexpr size_t kOrdersMax = 24;
constexpr int64_t kTryAgainMs = 10 * kMinuteMs;

HubCause cause_of(hub::Hub::RolloutCommand command) {
  using enum hub::Hub::RolloutCommand;
  switch (command) {
    case kPause: return HubCause::kPause;
    case kResume: return HubCause::kResume;
    case kPromote: return HubCause::kPromote;
    case kAbort: return HubCause::kAbort;
    default: return HubCause::kRollBack;
  }
}

}  // namespace

void Fleet::operate() {
  for (const Cue& cue : script_) {
    next_version_ = std::max(next_version_, cue.version + 1);
    clock_.at(cue.at_ms * kNsPerMs, [this, &cue] { perform(cue); });
  }
  const int64_t span_ms = static_cast<int64_t>(options_.days) * kDayMs;
  for (const auto& node : nodes_) {
    if (!hits(prng_, faults_.revoke_per_million)) continue;
    clock_.in_ms(draw_ms(prng_, span_ms), [this, id = node->id()] { revoke(id); });
  }
}

Kind Fleet::draw_kind() {
  if (!hits(prng_, faults_.bad_release_per_million)) return Kind::kRetrained;
  constexpr Kind kBad[] = {Kind::kSwapped, Kind::kDeadly, Kind::kPicky};
  return kBad[prng_.below(std::size(kBad))];
}

void Fleet::ship(Kind kind, const std::string& version) {
  if (hub_away()) return clock_.in_ms(kTryAgainMs, [this, kind, version] { ship(kind, version); });
  end_transaction(true);
  orders_.push_back({kind, version, {}});
  const auto artifact = make_release(kind, version);
  if (!artifact.ok()) return violate("setup", artifact.error().text);
  const auto pushed = hub_->push_release(rows_, hub_now(), *artifact, "sim");
  if (!pushed.ok()) return violate("setup", pushed.error().text);
  const auto again = hub_->push_release(rows_, hub_now(), *artifact, "sim");
  if (!again.ok() || again->digest() != pushed->digest()) violate("H2", "the same release pushed twice is two");
  decided("H2");
  shipped_[pushed->digest()] = pushed->size_bytes();
  kinds_[pushed->digest()] = kind;
  if (healing_) last_good_ = pushed->digest();
  hub::Hub::RolloutSpec spec;
  spec.release = "pump@" + version;
  spec.actor = "sim";
  spec.supersede = true;
  spec.dark_after_ms = kHourMs;
  spec.waves_percent = version == "1" ? std::vector<uint32_t>{100} : std::vector<uint32_t>{5, 25, 100};
  const uint64_t audited = audit_head();
  hub_watch_.cause = HubCause::kStart;
  const auto started = hub_->start_rollout(rows_, hub_now(), spec);
  hub_watch_.cause = HubCause::kGate;
  const bool nobody_left = std::all_of(nodes_.begin(), nodes_.end(), [](const auto& node) { return node->revoked; });
  if (!started.ok() && nobody_left) return;  // a rollout to nobody is refused, and rightly
  if (!started.ok()) return violate("setup", "rollout of " + version + ": " + started.error().text);
  decided("H4");
  if (audit_head() <= audited) violate("H4", "a rollout was started and not audited");
  rollouts_.push_back(started->id());
  wake_held();
}

// Of that version, or the newest; after a restore there may be two of one version. "": there is none.
std::string Fleet::find_rollout(uint32_t version) {
  const std::string name = "pump@" + std::to_string(version);
  for (auto id = rollouts_.rbegin(); id != rollouts_.rend(); ++id)
    if (const auto rollout = rollout_of(*id); version == 0 || (rollout && rollout->name() == name)) return *id;
  return "";
}

bool Fleet::command(const std::string& rollout, hub::Hub::RolloutCommand what) {
  if (hub_away()) return false;
  end_transaction(true);
  const auto before = rollout_of(rollout);
  const uint64_t audited = audit_head();
  const std::string row = rows_.get(Table::kRollouts, rollout).value_or("");
  hub_watch_.cause = cause_of(what);
  const auto done = hub_->command_rollout(rows_, hub_now(), rollout, what, "sim");
  if (!row.empty())
    HubWatch::commanded(cause_of(what), row, rows_.get(Table::kRollouts, rollout).value_or(""), report_.coverage);
  hub_watch_.cause = HubCause::kGate;
  if (done.ok() && what == hub::Hub::RolloutCommand::kPromote) forced_.insert(rollout);
  if (!done.ok()) return false;  // over, or forgotten by a restored hub
  decided("H4");
  if (before && before->state() != done->state() && audit_head() <= audited)
    violate("H4", "rollout " + rollout + " was changed and that was not audited");
  wake_held();
  return true;
}

void Fleet::meddle() {
  if (healing_ || rollouts_.empty()) return;
  using Command = hub::Hub::RolloutCommand;
  ++report_.meddlings;
  const std::string id = rollouts_.back();
  switch (prng_.below(5)) {
    case 0:
      (void)command(id, Command::kPause);
      return clock_.in_ms(draw_ms(prng_, 4 * kHourMs), [this, id] { (void)command(id, Command::kResume); });
    case 1: (void)command(id, Command::kPromote); return;
    case 2: (void)command(id, Command::kAbort); return;
    case 3: (void)command(id, Command::kAbortAndRollBack); return;
    default:
      if (orders_.size() < kOrdersMax) ship(draw_kind(), next_version());
  }
}

void Fleet::mark_revoked(const std::string& id) {
  for (auto* list : {&nodes_, &copies_})
    for (const auto& node : *list)
      if (node->id() == id) node->revoked = true;
}

void Fleet::revoke(const std::string& id) {
  if (healing_) return;
  if (hub_away()) return clock_.in_ms(kTryAgainMs, [this, id] { revoke(id); });
  end_transaction(true);
  const uint64_t audited = audit_head();
  const Status done = hub_->revoke_node(rows_, hub_now(), id, "sim");
  if (!done.ok()) return violate("I4", done.error().text);
  decided("H4");
  if (audit_head() != audited + 1) violate("H4", "a node was revoked and not audited once");
  orders_.push_back({Kind::kGood, {}, id});
  mark_revoked(id);
  wake_held();
}

}  // namespace wb::sim
