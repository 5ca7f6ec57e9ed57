#include "sim/script.h"

#include <algorithm>
#include <array>

#include "base/prng.h"

namespace wb::sim {
namespace {

constexpr int64_t kMinuteMs = 60'000;

constexpr ActSpec kActs[] = {
    {Act::kShip, "ship", Takes::kRelease, true, "push a release and start its rollout"},
    {Act::kPause, "pause", Takes::kRollout, true, "pause a rollout"},
    {Act::kResume, "resume", Takes::kRollout, true, "let it go on"},
    {Act::kPromote, "promote", Takes::kRollout, true, "open the next wave without its gate"},
    {Act::kAbort, "abort", Takes::kRollout, true, "end it; who committed keeps the release"},
    {Act::kRollBack, "roll_back", Takes::kRollout, true, "end it; everybody goes back"},
    {Act::kRevoke, "revoke", Takes::kNodes, true, "the hub serves these nodes no more"},
    {Act::kCut, "cut", Takes::kNodesFor, false, "no network"},
    {Act::kOff, "off", Takes::kNodesFor, false, "a power cut, and no power for so long"},
    {Act::kCrash, "crash", Takes::kNodes, false, "a power cut; up again after two seconds"},
    {Act::kDiskFull, "disk_full", Takes::kNodesFor, false, "every commit and slot write fails: no space"},
    {Act::kDiskBroken, "disk_broken", Takes::kNodesFor, false, "every commit and slot write fails: I/O error"},
    {Act::kRot, "rot", Takes::kNodes, false, "a power cut, after which rows or a slot are damaged"},
    {Act::kKeepImage, "keep_image", Takes::kNodes, false, "an image of the disk is taken"},
    {Act::kOldImage, "old_image", Takes::kNodes, false, "a power cut, after which the disk is that image"},
    {Act::kClockPast, "clock_past", Takes::kNodes, false, "the wall clock reads 1970"},
    {Act::kClockFuture, "clock_future", Takes::kNodes, false, "the wall clock is decades ahead"},
    {Act::kClockRight, "clock_right", Takes::kNodes, false, "the wall clock is right again"},
    {Act::kHubRestart, "hub_restart", Takes::kNothing, false, "the hub's process restarts"},
    {Act::kHubOff, "hub_off", Takes::kFor, false, "the hub is away for so long"},
    {Act::kHubBackup, "hub_backup", Takes::kNothing, false, "the hub is backed up (it is every six hours anyway)"},
    {Act::kHubRestore, "hub_restore", Takes::kNothing, false, "the hub is put back to its last backup"},
};

constexpr std::array<std::string_view, 5> kKindNames = {"good", "retrained", "swapped", "deadly", "picky"};

Cue shipping(int64_t at_ms, Kind kind, uint32_t version) {
  Cue out;
  out.at_ms = at_ms;
  out.kind = kind;
  out.version = std::to_string(version);
  return out;
}

}  // namespace

std::span<const ActSpec> act_table() { return kActs; }

const ActSpec& spec_of(Act act) { return kActs[static_cast<size_t>(act)]; }

const ActSpec* find_act(std::string_view name) {
  for (const ActSpec& spec : kActs)
    if (spec.name == name) return &spec;
  return nullptr;
}

std::string_view release_kind_name(Kind kind) { return kKindNames[static_cast<size_t>(kind)]; }

bool find_release_kind(std::string_view name, Kind& out) {
  const auto found = std::find(kKindNames.begin(), kKindNames.end(), name);
  if (found == kKindNames.end()) return false;
  out = static_cast<Kind>(found - kKindNames.begin());
  return true;
}

std::string format_time(int64_t virtual_ms) {
  const auto two = [](int64_t value) { return (value < 10 ? "0" : "") + std::to_string(value); };
  const int64_t seconds = virtual_ms / 1'000;
  std::string out = std::to_string(seconds / 86'400) + "d" + two(seconds / 3'600 % 24) + ":" + two(seconds / 60 % 60);
  if (seconds % 60 != 0) out += ":" + two(seconds % 60);
  return out;
}

Script script_of_seed(uint64_t seed, uint32_t days, int64_t bad_per_million) {
  Prng prng(seed ^ 0x736372697074ULL);  // apart from what the history itself draws
  const int64_t minutes = static_cast<int64_t>(days) * 24 * 60;
  Script script{shipping(0, Kind::kGood, 1)};
  for (const int64_t percent : {25, 45, 65, 85}) {
    const int64_t at_ms = (minutes * percent / 100 + static_cast<int64_t>(prng.below(60))) * kMinuteMs;
    const bool rolled_back = prng.chance(500'000);
    if (rolled_back) {
      Cue cue;
      cue.at_ms = at_ms;
      cue.act = Act::kRollBack;
      script.push_back(cue);
    }
    const bool bad = prng.chance(static_cast<uint32_t>(bad_per_million));
    const auto version = static_cast<uint32_t>(script.size() + 1);
    script.push_back(shipping(at_ms, bad ? Kind::kSwapped : Kind::kRetrained, version));
  }
  return script;
}

}  // namespace wb::sim
