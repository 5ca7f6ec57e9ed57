// The report's counts, by name.
#include <algorithm>
#include <array>

#include "sim/sim.h"

namespace wb::sim {
namespace {

constexpr auto kCounts = std::to_array<ReportCount>({
    {"events", &Report::events},
    {"crashes", &Report::crashes},
    {"exchanges", &Report::exchanges},
    {"exchanges_lost", &Report::exchanges_lost},
    {"store_failures", &Report::store_failures},
    {"rots", &Report::rots},
    {"images_restored", &Report::images_restored},
    {"hub_restores", &Report::hub_restores},
    {"exchanges_refused", &Report::exchanges_refused},
    {"records_accepted", &Report::records_accepted},
    {"records_at_hub", &Report::records_at_hub},
    {"rollbacks", &Report::rollbacks},
    {"halted_rollouts", &Report::halted_rollouts},
    {"out_of_memory", &Report::out_of_memory},
    {"slot_failures", &Report::slot_failures},
    {"bad_ranges", &Report::bad_ranges},
    {"clones", &Report::clones},
    {"hub_commit_failures", &Report::hub_commit_failures},
    {"hub_outages", &Report::hub_outages},
    {"meddlings", &Report::meddlings},
});

}  // namespace

std::span<const ReportCount> report_counts() { return kCounts; }

const ReportCount* find_report_count(std::string_view name) {
  const auto* const found =
      std::find_if(kCounts.begin(), kCounts.end(), [&](const auto& one) { return one.name == name; });
  return found == kCounts.end() ? nullptr : &*found;
}

}  // namespace wb::sim
