// The table of faults, and how a seed draws from it.
#include "sim/faults.h"

#include <algorithm>
#include <array>

namespace wb::sim {
namespace {

constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kHourMs = 60 * kMinuteMs;
constexpr int64_t kDayMs = 24 * kHourMs;
// Of a hundred drawn faults.
constexpr uint64_t kOffPercent = 40;
constexpr uint64_t kExtremePercent = 12;

using enum FaultUnit;
using enum FaultKind;

constexpr auto kTable = std::to_array<Fault>({
    {"lose", &Faults::lose_per_million, kPerMillion, kNetwork, 0, 50'000, 600'000,
     "a request, an answer or a fetched range is lost"},
    {"double", &Faults::double_per_million, kPerMillion, kNetwork, 0, 20'000, 500'000, "a request arrives twice"},
    {"delay", &Faults::delay_max_ms, kMaxMs, kNetwork, 100, 4'000, 90'000,
     "a message is late, and so overtaken by later ones"},
    {"stale", &Faults::stale_per_million, kPerMillion, kNetwork, 0, 2'000, 200'000,
     "an answer carries an assignment of long ago"},
    {"partition", &Faults::partition_every_ms, kEveryMs, kNetwork, 0, kDayMs, 2 * kHourMs,
     "a node is cut off from the hub"},
    {"partition_length", &Faults::partition_max_ms, kMaxMs, kNetwork, 0, 12 * kHourMs, 5 * kDayMs,
     "how long it stays cut off"},
    {"crash", &Faults::crash_every_ms, kEveryMs, kNode, 0, 2 * kDayMs, kHourMs,
     "a node loses power: of what was being stored a prefix remains"},
    {"down_length", &Faults::down_max_ms, kMaxMs, kNode, 0, 6 * kHourMs, 3 * kDayMs,
     "how long one crashed node in three stays down"},
    {"clock_jump", &Faults::clock_jump_per_million, kPerMillion, kNode, 0, 100'000, 800'000,
     "at a boot: the wall clock reads 1970, or decades ahead"},
    {"store_fail", &Faults::store_fail_per_million, kPerMillion, kStore, 0, 2'000, 200'000,
     "a commit fails, for want of room or by an error"},
    {"rot", &Faults::rot_per_million, kPerMillion, kStore, 0, 150'000, 700'000,
     "at a boot: stored rows or a slot turn out to be damaged"},
    {"image", &Faults::image_per_million, kPerMillion, kStore, 0, 150'000, 500'000,
     "at a boot: the disk is an old image of itself"},
    {"hub_restart", &Faults::hub_restart_every_ms, kEveryMs, kHub, 0, kDayMs, kHourMs, "the hub's process is replaced"},
    {"hub_restore", &Faults::hub_restore_every_ms, kEveryMs, kHub, 0, 4 * kDayMs, 12 * kHourMs,
     "the hub comes back from its last backup"},
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
    default: return "hub";
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
