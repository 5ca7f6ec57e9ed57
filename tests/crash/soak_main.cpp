// wb_soak: days of a node's life in minutes, and what they cost its flash. See docs/operations/crash-points.md.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "tests/crash/soak.h"

int main(int argc, char** argv) {
  CLI::App app{"Days of a node's life in minutes: flash bytes per day, and whether anything grows."};
  uint64_t days = 2;
  uint64_t long_days = 60;
  app.add_option("--days", days, "of each measurement of flash bytes")->check(CLI::Range(1U, 1'000U));
  app.add_option("--long-days", long_days, "of the long run, with a hub and without")->check(CLI::Range(2U, 1'000U));
  bool every_look = false;
  app.add_flag("--every-day", every_look, "print what was in use at the end of each day");
  std::string only;
  app.add_option("--only", only, "lives whose name contains this");
  CLI11_PARSE(app, argc, argv);
  using wb::crash::SoakPlan;
  constexpr uint64_t kDay = 86'400;
  const std::vector<SoakPlan> plans = {
      {"1 record/s, every one kept", 1, 100, true, days * kDay, kDay},
      {"100 records/s in one batch a second, 1 of 100 kept", 100, 1, true, days * kDay, kDay},
      {"100 records/s in one batch a second, all kept", 100, 100, true, days * kDay, kDay},
      {"long: 1 record/s, 1 of 20 kept, hub there", 1, 5, true, long_days * kDay, kDay},
      {"long: 1 record/s, 1 of 20 kept, hub away", 1, 5, false, long_days * kDay, kDay}};
  std::printf("%-52s %6s %10s %12s %12s %9s %9s\n", "life", "days", "commits/d", "flash MB/d", "of W1", "amplif.",
              "flat");
  int wrong = 0;
  for (const SoakPlan& plan : plans) {
    if (plan.name.find(only) == std::string::npos) continue;
    if (::isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\r\033[K%s", plan.name.c_str());
    const wb::crash::SoakResult result = wb::crash::soak(plan);
    if (::isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\r\033[K");
    const double lived = static_cast<double>(plan.seconds) / kDay;
    const double per_day = static_cast<double>(result.flash_bytes) / lived;
    std::string fault = result.wrong;
    if (fault.empty() && plan.seconds >= 4 * kDay) fault = wb::crash::check_flat(result.looks);
    if (fault.empty() && per_day > wb::crash::kFlashBytesPerDay) fault = "W1: more than the flash can bear";
    std::printf(
        "%-52s %6.0f %10.0f %12.0f %11.0f%% %9.1f %9s\n", plan.name.c_str(), lived,
        static_cast<double>(result.commits) / lived, per_day / 1e6, per_day * 100 / wb::crash::kFlashBytesPerDay,
        static_cast<double>(result.flash_bytes) / static_cast<double>(std::max<uint64_t>(result.offered_bytes, 1)),
        fault.empty() ? "yes" : "NO");
    for (const auto& last : result.looks) {
      if (!every_look && &last != &result.looks.back()) continue;
      std::printf("    at a day's end: heap %llu KiB, file %llu KiB, log %llu KiB, rows %llu, waiting %llu\n",
                  static_cast<unsigned long long>(last.heap_bytes / 1024),
                  static_cast<unsigned long long>(last.file_bytes / 1024),
                  static_cast<unsigned long long>(last.wal_bytes / 1024), static_cast<unsigned long long>(last.rows),
                  static_cast<unsigned long long>(last.waiting));
    }
    if (!fault.empty()) std::printf("    %s\n", fault.c_str());
    wrong += fault.empty() ? 0 : 1;
    std::fflush(stdout);
  }
  std::printf("soak: %zu lives, %d wrong\n", plans.size(), wrong);
  return wrong > 0 ? 1 : 0;
}
