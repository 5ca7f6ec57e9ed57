// waybill sim: many histories of a whole fleet on a virtual clock, each from one seed, watched by the checkers of
// src/sim. Seeds are independent, so they run side by side; their lines come out in the order of the seeds, so that the
// output of two builds can be compared as text (tools/determinism). Scenarios and minimising: sim_scenarios.cpp.
#include "sim/sim.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "apps/evidence_file.h"
#include "apps/waybill/commands.h"
#include "apps/waybill/sim_command.h"
#include "apps/waybill/sim_print.h"
#include "apps/waybill/sim_runs.h"
#include "base/checksum.h"
#include "base/planted.h"

namespace wb::cli {
namespace {

constexpr uint64_t kFreshSeeds = 1'000'000'000'000;  // short enough to be typed again

uint64_t fresh_seed(const std::string& text) {
  Fnv64 hash;
  hash.update(text);
  return hash.value() % kFreshSeeds;
}

std::string repeat_command(const SimCommand& command, uint64_t seed, uint64_t seeds = 1) {
  return "waybill sim --seed " + std::to_string(seed) + (seeds == 1 ? "" : " --seeds " + std::to_string(seeds)) +
         " --nodes " + std::to_string(command.nodes) + " --days " + std::to_string(command.days);
}

// What was done so far; the seeds are done in order.
void leave_evidence(const SimCommand& command, const Totals& totals, double seconds) {
  EvidenceRun run;
  run.program = "waybill sim";
  run.what = "seeds " + std::to_string(command.seed) + " to " + std::to_string(command.seed + totals.histories - 1) +
             ", " + std::to_string(command.nodes) + " nodes, " + std::to_string(command.days) + " days";
  run.sizes = {{"histories", totals.histories}, {"device_hours", static_cast<uint64_t>(totals.sum.device_hours)}};
  run.seconds = static_cast<uint64_t>(seconds);
  run.violations = totals.sum.violations_count;
  run.decided = totals.sum.evidence;
  if (!write_evidence(command.evidence, run)) throw Exit{kFailed, command.evidence + ": cannot be written"};
}

void simulate(SimCommand command) {
  if (!command.fresh.empty()) command.seed = fresh_seed(command.fresh);
  if (!command.fresh.empty() && command.format == Format::kTable)
    std::printf("fresh seeds of \"%s\": from %llu on\n", command.fresh.c_str(),
                static_cast<unsigned long long>(command.seed));
  const auto started = std::chrono::steady_clock::now();
  const auto seconds_passed = [started] {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    return std::max(took.count(), 1e-3);
  };
  Json list = Json::array();
  Totals totals;
  std::optional<uint64_t> first_failed;
  std::optional<sim::Violation> bias;
  {
    Runs runs(command.seeds, command.jobs,
              [&command](uint32_t i) { return options_of_seed(command, command.seed + i); });
    while (totals.histories < command.seeds && !(command.until_broken && (first_failed || bias))) {
      sim::Report report = runs.take(static_cast<uint32_t>(totals.histories));
      if (!report.violations.empty() && !first_failed) first_failed = report.seed;
      totals.add(report);
      if (totals.histories == command.seeds || command.until_broken) bias = totals.bias();
      if (bias) {  // shown with the last seed, a matter of all
        report.violations.push_back(*bias);
        ++totals.sum.violations_count;
      }
      if (!command.evidence.empty()) leave_evidence(command, totals, seconds_passed());
      if (command.format == Format::kTable)
        print_report(report);
      else
        list.push_back(report_json(report));
    }
  }
  const double seconds = seconds_passed();
  Json out{{"first_seed", command.seed}, {"seeds", std::move(list)}};
  out.update(totals.json(seconds));
  if (!command.fresh.empty()) out["fresh"] = command.fresh;
  if (first_failed) out["repeat"] = repeat_command(command, *first_failed);
  if (bias) out["repeat_bias"] = repeat_command(command, command.seed, totals.histories);
  if (command.coverage) out["coverage"] = coverage_json(totals.sum.coverage);
  if (!print_structured(command.format, out)) {
    totals.print(seconds);
    if (command.coverage) print_coverage(totals.sum.coverage);
    std::printf("\n%llu of %llu seeds held every promise that is checked (docs/operations/simulator.md)\n",
                static_cast<unsigned long long>(totals.histories - totals.failed),
                static_cast<unsigned long long>(totals.histories));
  }
  if (first_failed)
    throw Exit{kFailed, "a promise was broken under " + std::to_string(totals.failed) + " of " +
                            std::to_string(totals.histories) + " seeds. To see the first again:\n  " +
                            repeat_command(command, *first_failed) + "\nTo make it small:\n  " +
                            repeat_command(command, *first_failed) + " --minimise --write failing.scenario"};
  if (bias)
    throw Exit{kFailed, "B4 was broken " + bias->text + ". To see it again:\n  " +
                            repeat_command(command, command.seed, totals.histories)};
  if (command.coverage && !totals.sum.coverage.not_allowed().empty())
    throw Exit{kFailed,
               "transitions were taken that src/sim/coverage_table.cpp does not allow: the table or the core is wrong"};
}

void run_command(const SimCommand& command) {
  if (command.minimise) return minimise(command);
  if (command.describe) return describe(command);
  if (!command.scenarios.empty()) return run_scenarios(command);
  simulate(command);
}

}  // namespace

sim::Options options_of_seed(const SimCommand& command, uint64_t seed) {
  sim::Options options;
  options.seed = seed;
  options.nodes = command.nodes;
  options.days = command.days;
  return options;
}

void add_sim(CLI::App& app) {
  const auto command = std::make_shared<SimCommand>();
  auto* sub =
      app.add_subcommand("sim", "a simulated fleet on a virtual clock, with faults, checked against the promises");
  auto* seed =
      sub->add_option("--seed", command->seed, "the first seed; one seed is one history")->capture_default_str();
  auto* seeds = sub->add_option("--seeds", command->seeds, "how many seeds, one after the other")
                    ->capture_default_str()
                    ->check(CLI::Range(1U, 10'000'000U));
  auto* fresh =
      sub->add_option("--fresh", command->fresh,
                      "take the first seed from this text, such as a date and a commit: each run explores others")
          ->excludes(seed);
  auto* nodes = sub->add_option("--nodes", command->nodes, "devices in the fleet")
                    ->capture_default_str()
                    ->check(CLI::Range(1U, 10'000U));
  auto* days = sub->add_option("--days", command->days, "days with faults; two days of healing follow")
                   ->capture_default_str()
                   ->check(CLI::Range(1U, 365U));
  sub->add_option("--jobs", command->jobs, "histories at once (default: one per core)")->check(CLI::Range(1U, 256U));
  sub->add_flag("--until-broken", command->until_broken, "stop after the first seed under which a promise was broken");
#ifdef WB_PLANTED
  std::map<std::string, Bug> bugs;
  for (const PlantedBug& bug : kPlantedBugs) bugs.emplace(bug.name, bug.bug);
  sub->add_option("--plant", planted_bug, "a bug of src/base/planted.h, to be seen")
      ->transform(CLI::CheckedTransformer(bugs));
#endif
  auto* scenario = sub->add_option("--scenario", command->scenarios,
                                   "replay these files instead of seeds (docs/operations/scenarios.md)");
  for (auto* option : {seed, seeds, fresh, nodes, days}) scenario->excludes(option);
  auto* minimise = sub->add_flag("--minimise", command->minimise,
                                 "make the failing seed or scenario as small as it goes, and print it as a scenario");
  sub->add_flag("--describe", command->describe, "print what the seed draws as a scenario, and run nothing")
      ->excludes(minimise)
      ->excludes(scenario);
  sub->add_option("--promise", command->promise,
                  "with --minimise: the promise that must stay broken (default: the first that is)")
      ->needs(minimise);
  sub->add_option("--write", command->write, "where --minimise and --describe leave the scenario (default: printed)");
  sub->add_flag("--coverage", command->coverage, "print which transitions of the machines were taken, and which never");
  sub->add_option("--evidence", command->evidence,
                  "write how often each promise was decided to this file, after every history")
      ->excludes(scenario);
  add_output_option(*sub, command->format);
  sub->callback([command] { run_command(*command); });
}

}  // namespace wb::cli
