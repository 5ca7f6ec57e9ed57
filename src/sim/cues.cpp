// The script carried out: orders go to the hub's own commands, incidents to the simulated machines.
#include <algorithm>

#include "sim/fleet.h"

namespace wb::sim {
namespace {

constexpr int64_t kRestartMs = 2'000;
constexpr int64_t kTryAgainMs = 10 * kMinuteMs;
constexpr int64_t k2106Ms = 4'294'967'296'000;

}  // namespace

void Fleet::perform(const Cue& cue) {
  if (healing_) return;
  if (spec_of(cue.act).is_order) return obey(cue);
  switch (cue.act) {
    case Act::kHubRestart: return restart_hub();
    case Act::kHubOff: return begin_outage(cue.for_ms);
    case Act::kHubBusy: return begin_overload(cue.for_ms);
    case Act::kHubBackup: return keep_backup();
    case Act::kHubRestore: return restore_hub();
    case Act::kHubRefuses: refusing_until_ms_ = clock_.now_ms() + cue.for_ms; return;
    default: break;
  }
  for (size_t i = cue.nodes.first; i < nodes_.size() && i <= cue.nodes.last; ++i) nodes_[i]->befall(cue);
}

void Fleet::obey(const Cue& order) {
  using enum hub::Hub::RolloutCommand;
  if (hub_away()) return clock_.in_ms(kTryAgainMs, [this, &order] { perform(order); });
  const auto commanded = [&](hub::Hub::RolloutCommand what) {
    if (const std::string rollout = find_rollout(order.version); !rollout.empty()) (void)command(rollout, what);
  };
  switch (order.act) {
    case Act::kShip: return ship(order.kind, std::to_string(order.version));
    case Act::kPause: return commanded(kPause);
    case Act::kResume: return commanded(kResume);
    case Act::kPromote: return commanded(kPromote);
    case Act::kAbort: return commanded(kAbort);
    case Act::kRollBack: return commanded(kAbortAndRollBack);
    default: break;
  }
  for (size_t i = order.nodes.first; i < nodes_.size() && i <= order.nodes.last; ++i) revoke(nodes_[i]->id());
}

void SimNode::befall(const Cue& cue) {
  const int64_t until_ms = now_ms() + cue.for_ms;
  const int64_t real_ms = kEpochMs + now_ms();
  switch (cue.act) {
    case Act::kCut: link.cut_until_ms = std::max(link.cut_until_ms, until_ms); break;
    case Act::kMuteUp: link.mute_up_until_ms = std::max(link.mute_up_until_ms, until_ms); break;
    case Act::kMuteDown: link.mute_down_until_ms = std::max(link.mute_down_until_ms, until_ms); break;
    case Act::kOff: lose_power(cue.for_ms); break;
    case Act::kCrash: lose_power(kRestartMs); break;
    case Act::kDiskFull: fill_disk(cue.for_ms); break;
    case Act::kDiskBroken: broken_until_ms_ = std::max(broken_until_ms_, until_ms); break;
    case Act::kRot:
      rots_at_boot_ = true;
      lose_power(kRestartMs);
      break;
    case Act::kKeepImage: take_image(); break;
    case Act::kOldImage:
      old_image_at_boot_ = image_.has_value();
      lose_power(kRestartMs);
      break;
    case Act::kClockPast: clock_offset_ms_ = -real_ms; break;
    case Act::kClockFuture: clock_offset_ms_ = k2106Ms - real_ms; break;
    case Act::kClockRight: clock_offset_ms_ = 0; break;
    case Act::kClone:
      copied_ = true;
      fleet_.clone(*this);
      break;
    default: break;
  }
}

void SimNode::lose_power(int64_t for_ms) {
  crash();
  off_until_ms_ = std::max(off_until_ms_, now_ms() + for_ms);
  fleet_.clock_.in_ms(for_ms, [this] { boot(); });
}

}  // namespace wb::sim
