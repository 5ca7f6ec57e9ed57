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
    {Act::kMuteUp, "mute_up", Takes::kNodesFor, false, "what these nodes send is lost, what they are sent arrives"},
    {Act::kMuteDown, "mute_down", Takes::kNodesFor, false, "the other way round"},
    {Act::kOff, "off", Takes::kNodesFor, false, "a power cut, and no power for so long"},
    {Act::kCrash, "crash", Takes::kNodes, false, "a power cut; up again after two seconds"},
    {Act::kDiskFull, "disk_full", Takes::kNodesFor, false, "no space: the store cannot grow, slot writes fail"},
    {Act::kDiskBroken, "disk_broken", Takes::kNodesFor, false, "I/O errors: every commit and slot write fails"},
    {Act::kRot, "rot", Takes::kNodes, false, "a power cut, after which rows or a slot are damaged"},
    {Act::kKeepImage, "keep_image", Takes::kNodes, false, "an image of the disk is taken"},
    {Act::kOldImage, "old_image", Takes::kNodes, false, "a power cut, after which the disk is that image"},
    {Act::kClockPast, "clock_past", Takes::kNodes, false, "the wall clock reads 1970"},
    {Act::kClockFuture, "clock_future", Takes::kNodes, false, "the wall clock is decades ahead"},
    {Act::kClockRight, "clock_right", Takes::kNodes, false, "the wall clock is right again"},
    {Act::kClone, "clone", Takes::kNodes, false, "copies run beside them for some hours, under the same identity"},
    {Act::kHubRestart, "hub_restart", Takes::kNothing, false, "the hub's process restarts"},
    {Act::kHubOff, "hub_off", Takes::kFor, false, "the hub is away for so long"},
    {Act::kHubBusy, "hub_busy", Takes::kFor, false, "the hub has more to do than it can take in"},
    {Act::kHubBackup, "hub_backup", Takes::kNothing, false, "the hub is backed up"},
    {Act::kHubRestore, "hub_restore", Takes::kNothing, false, "the hub is put back to its last backup"},
    {Act::kHubRefuses, "hub_refuses", Takes::kFor, false,
     "one reading in fifty is refused, with all that comes with it"},
};

constexpr std::array<std::string_view, 5> kKindNames = {"good", "retrained", "swapped", "deadly", "picky"};

Cue shipping(int64_t at_ms, Kind kind, uint32_t version) {
  Cue out;
  out.at_ms = at_ms;
  out.kind = kind;
  out.version = version;
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

std::span<const std::string_view> release_kind_names() { return kKindNames; }

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
  uint32_t version = 1;
  Script script{shipping(0, Kind::kGood, version)};
  for (const int64_t percent : {25, 45, 65, 85}) {
    const int64_t at_ms = (minutes * percent / 100 + static_cast<int64_t>(prng.below(60))) * kMinuteMs;
    const bool rolled_back = prng.chance(500'000);
    if (rolled_back) {
      Cue cue;
      cue.at_ms = at_ms;
      cue.act = Act::kRollBack;
      script.push_back(cue);
    }
    constexpr std::array<Kind, 3> kBad = {Kind::kSwapped, Kind::kDeadly, Kind::kPicky};
    const bool bad = prng.chance(static_cast<uint32_t>(bad_per_million));
    const Kind kind = bad ? kBad[prng.below(kBad.size())] : Kind::kRetrained;
    script.push_back(shipping(at_ms, kind, ++version));
  }
  return script;
}

}  // namespace wb::sim
