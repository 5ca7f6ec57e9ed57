// The table of faults, and how a seed draws from it.
#include "sim/faults.h"

#include <algorithm>
#include <array>

#include "sim/clock.h"

namespace wb::sim {
namespace {

// Of a hundred drawn faults.
constexpr uint64_t kOffPercent = 40;
constexpr uint64_t kExtremePercent = 12;

using enum FaultUnit;
using enum FaultKind;

constexpr auto kTable = std::to_array<Fault>({
    {"lose", &Faults::lose_per_million, kPerMillion, kNetwork, 0, 50'000, 600'000,
     "a request, an answer or a fetched range is lost"},
    {"double", &Faults::double_per_million, kPerMillion, kNetwork, 0, 20'000, 500'000,
     "a request arrives again, the copy up to ten times as late"},
    {"delay", &Faults::delay_max_ms, kMaxMs, kNetwork, 100, 4'000, 60'000,
     "a message is late, and so overtaken by later ones"},
    {"stale", &Faults::stale_per_million, kPerMillion, kNetwork, 0, 2'000, 200'000,
     "an answer carries an assignment of long ago"},
    {"partition", &Faults::partition_every_ms, kEveryMs, kNetwork, 0, kDayMs, 2 * kHourMs,
     "a node is cut off from the hub"},
    {"partition_length", &Faults::partition_max_ms, kMaxMs, kNetwork, 0, 12 * kHourMs, 5 * kDayMs,
     "how long it stays cut off"},
    {"mute", &Faults::mute_every_ms, kEveryMs, kNetwork, 0, 2 * kDayMs, 4 * kHourMs,
     "one direction of a node's link loses everything"},
    {"mute_length", &Faults::mute_max_ms, kMaxMs, kNetwork, 0, 4 * kHourMs, 2 * kDayMs, "how long it does"},
    {"slow_link", &Faults::slow_link_per_million, kPerMillion, kNetwork, 0, 200'000, 900'000,
     "of the nodes: 50 kbit/s, for good"},
    {"window", &Faults::window_per_million, kPerMillion, kNetwork, 0, 100'000, 500'000,
     "of the nodes: reachable for 10 to 120 s an hour only"},
    {"bad_range", &Faults::bad_range_per_million, kPerMillion, kNetwork, 0, 20'000, 400'000,
     "a fetched range is cut short, too long, damaged, or of another release"},

    {"crash", &Faults::crash_every_ms, kEveryMs, kNode, 0, 2 * kDayMs, 2 * kHourMs,
     "a node loses power: of what was being stored a prefix remains"},
    {"down_length", &Faults::down_max_ms, kMaxMs, kNode, 0, 6 * kHourMs, 3 * kDayMs,
     "how long one crashed node in three stays down"},
    {"crash_again", &Faults::crash_again_per_million, kPerMillion, kNode, 0, 50'000, 500'000,
     "of the starts: the next crash comes within three seconds"},
    {"out_of_memory", &Faults::out_of_memory_per_million, kPerMillion, kNode, 0, 100, 2'000,
     "of the steps: the process ends in the middle of its effects"},
    {"clock_jump", &Faults::clock_jump_per_million, kPerMillion, kNode, 0, 100'000, 800'000,
     "of the starts: the wall clock reads 1970, or 2106"},
    {"clock_step", &Faults::clock_step_every_ms, kEveryMs, kNode, 0, 2 * kDayMs, 2 * kHourMs,
     "the wall clock jumps while the node runs"},
    {"clone", &Faults::clone_every_ms, kEveryMs, kNode, 0, 10 * kDayMs, kDayMs,
     "a copy of a node's disk runs beside it for a while, under one identity"},

    {"store_fail", &Faults::store_fail_per_million, kPerMillion, kStore, 0, 2'000, 200'000,
     "a commit is reported as failed; one in three of them was durable all the same"},
    {"store_broken", &Faults::store_broken_every_ms, kEveryMs, kStore, 0, 4 * kDayMs, 8 * kHourMs,
     "every commit fails from now on"},
    {"store_broken_length", &Faults::store_broken_max_ms, kMaxMs, kStore, 0, 6 * kHourMs, 400 * kDayMs, "for how long"},
    {"disk_full", &Faults::disk_full_every_ms, kEveryMs, kStore, 0, 4 * kDayMs, 8 * kHourMs,
     "no commit may make the store larger than it is now"},
    {"disk_full_length", &Faults::disk_full_max_ms, kMaxMs, kStore, 0, 12 * kHourMs, 400 * kDayMs, "for how long"},
    {"slot_fail", &Faults::slot_fail_per_million, kPerMillion, kStore, 0, 10'000, 300'000,
     "a release's file cannot be written, sealed or read"},
    {"rot", &Faults::rot_per_million, kPerMillion, kStore, 0, 150'000, 700'000,
     "of the starts: stored rows or a slot turn out to be damaged"},
    {"image", &Faults::image_per_million, kPerMillion, kStore, 0, 150'000, 500'000,
     "of the starts: the disk is an old image of itself"},

    {"hub_restart", &Faults::hub_restart_every_ms, kEveryMs, kHub, 0, kDayMs, kHourMs,
     "the hub's process is replaced; what it had not committed is gone"},
    {"hub_restore", &Faults::hub_restore_every_ms, kEveryMs, kHub, 0, 4 * kDayMs, 12 * kHourMs,
     "the hub comes back from its last backup"},
    {"hub_commit_fail", &Faults::hub_commit_fail_per_million, kPerMillion, kHub, 0, 5'000, 300'000,
     "a commit of the hub fails as a whole, and its calls are answered 503"},
    {"hub_outage", &Faults::hub_outage_every_ms, kEveryMs, kHub, 0, 3 * kDayMs, 8 * kHourMs,
     "the hub is away: refused, silent, or 503 with or without Retry-After"},
    {"hub_outage_length", &Faults::hub_outage_max_ms, kMaxMs, kHub, 0, 3 * kHourMs, 2 * kDayMs, "for how long"},
    {"hub_busy", &Faults::hub_busy_every_ms, kEveryMs, kHub, 0, 2 * kDayMs, 6 * kHourMs,
     "the hub has more to do than it can take in"},
    {"hub_busy_length", &Faults::hub_busy_max_ms, kMaxMs, kHub, 0, 2 * kHourMs, kDayMs, "for how long"},

    {"bad_release", &Faults::bad_release_per_million, kPerMillion, kOperator, 0, 400'000, 800'000,
     "of the releases: swapped columns, ends the process, or does not load on some nodes"},
    {"meddle", &Faults::meddle_per_million, kPerMillion, kOperator, 0, 20'000, 400'000,
     "whenever a node's part in a rollout changes: pause, resume, promote, abort, roll back or supersede"},
    {"revoke", &Faults::revoke_per_million, kPerMillion, kOperator, 0, 50'000, 300'000,
     "of the nodes: revoked some time"},
});

}  // namespace

std::span<const Fault> fault_table() { return kTable; }

const Fault* find_fault(std::string_view name) {
  const auto* const found =
      std::find_if(kTable.begin(), kTable.end(), [&](const Fault& one) { return one.name == name; });
  return found == kTable.end() ? nullptr : &*found;
}

std::string_view unit_name(FaultUnit unit) {
  switch (unit) {
    case kPerMillion: return "per_million";
    case kEveryMs: return "every_ms";
    default: return "max_ms";
  }
}

std::string_view kind_name(FaultKind kind) {
  switch (kind) {
    case kNetwork: return "network";
    case kNode: return "node";
    case kStore: return "store";
    case kHub: return "hub";
    default: return "operator";
  }
}

Faults calm() { return {}; }

Faults usual() {
  Faults out;
  for (const Fault& fault : kTable) out.*fault.value = fault.usual;
  return out;
}

// The same number of draws for each fault, whatever comes out: one more row leaves those before it as they were.
Faults draw_faults(Prng& prng) {
  Faults out;
  for (const Fault& fault : kTable) {
    const uint64_t percent = prng.below(100);
    const uint64_t quarter_to_fourfold = prng.below(5);
    int64_t value = fault.calm;
    if (percent >= 100 - kExtremePercent) {
      value = fault.extreme;
    } else if (percent >= kOffPercent) {
      value = (fault.usual << quarter_to_fourfold) / 4;
      if (fault.unit == kPerMillion) value = std::min<int64_t>(value, 1'000'000);
    }
    out.*fault.value = value;
  }
  return out;
}

Faults faults_of_seed(uint64_t seed) {
  Prng prng(seed ^ 0x6661756C7473ULL);  // apart from what the history itself draws
  return draw_faults(prng);
}

}  // namespace wb::sim
