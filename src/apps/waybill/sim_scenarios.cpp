// Scenario files replayed, and failing seeds made small and written down as such files.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "apps/waybill/commands.h"
#include "apps/waybill/sim_command.h"
#include "apps/waybill/sim_print.h"
#include "apps/waybill/sim_runs.h"
#include "base/bytes.h"
#include "base/planted.h"
#include "sim/minimise.h"
#include "sim/scenario.h"

namespace wb::cli {
namespace {

sim::Scenario read_scenario(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Exit{kBadConfiguration, path + ": cannot be read; name a scenario file"};
  std::string text;
  text.resize(sim::kScenarioBytesMax + 1);
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(file.gcount()));
  auto scenario = sim::parse_scenario(text, path);
  if (!scenario.ok()) throw Exit{kBadConfiguration, "not a scenario:\n" + scenario.error().text};
  return std::move(scenario).value();
}

// The file if one was named, else the standard output.
void leave(const SimCommand& command, const std::string& text) {
  if (command.write.empty()) {
    std::fputs(text.c_str(), stdout);
    return;
  }
  std::ofstream file(command.write, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw Exit{kFailed, command.write + ": cannot be written"};
  std::printf("written to %s; replay it with\n  waybill sim --scenario %s\n", command.write.c_str(),
              command.write.c_str());
}

std::string name_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (name.ends_with(".scenario")) name.resize(name.size() - 9);
  return name;
}

// The promise that the planted bug is expected to break in this scenario; "" = none, all must hold.
std::string broken_by_plan(const sim::Scenario& scenario) {
#ifdef WB_PLANTED
  for (const PlantedBug& bug : kPlantedBugs)
    for (const sim::Scenario::Planted& one : scenario.planted)
      if (planted(bug.bug) && one.bug == bug.name) return one.promise;
#else
  (void)scenario;
#endif
  return "";
}

// What is not as the scenario says, a line each.
std::vector<std::string> not_as_said(const sim::Scenario& scenario, const sim::Report& report) {
  const std::string promise = broken_by_plan(scenario);
  if (promise.empty()) return sim::unmet(scenario, report);
  for (const sim::Violation& violation : report.violations)
    if (violation.promise == promise) return {};
  return {"expected the planted bug to break " + promise + "; it did not"};
}

std::string title_of(const sim::Scenario& scenario) { return std::string(split(scenario.story, '\n').front()); }

// As many threads as asked for, the answer always the same: the first that fails in the order of the list.
std::optional<size_t> first_failing(const std::vector<sim::Scenario>& candidates, uint32_t jobs,
                                    const std::string& promise) {
  Runs runs(static_cast<uint32_t>(candidates.size()), jobs,
            [&candidates](uint32_t i) { return sim::options_of(candidates[i]); });
  for (uint32_t i = 0; i < candidates.size(); ++i) {
    const sim::Report report = runs.take(i);
    for (const sim::Violation& violation : report.violations)
      if (violation.promise == promise) return i;
  }
  return std::nullopt;
}

std::string story_of(const sim::Violation& violation, const std::string& origin) {
  return violation.promise + " was broken at " + sim::format_time(violation.at_ms) + ":\n" + violation.text +
         "\nMade small from " + origin + ".";
}

}  // namespace

void run_scenarios(const SimCommand& command) {
  std::vector<sim::Scenario> scenarios;
  for (const std::string& path : command.scenarios) scenarios.push_back(read_scenario(path));
  Json list = Json::array();
  Totals totals;
  uint32_t unmet_count = 0;
  {
    Runs runs(static_cast<uint32_t>(scenarios.size()), command.jobs,
              [&scenarios](uint32_t i) { return sim::options_of(scenarios[i]); });
    for (uint32_t i = 0; i < scenarios.size(); ++i) {
      const sim::Report report = runs.take(i);
      const std::vector<std::string> unmet = not_as_said(scenarios[i], report);
      const bool held = report.violations.empty() || !broken_by_plan(scenarios[i]).empty();
      totals.add(report);
      unmet_count += held && unmet.empty() ? 0 : 1;
      if (command.format != Format::kTable) {
        Json one{{"scenario", name_of(command.scenarios[i])}, {"title", title_of(scenarios[i])}, {"unmet", unmet}};
        one.update(report_json(report));
        list.push_back(std::move(one));
        continue;
      }
      const char* const verdict = !held                        ? "BROKEN"
                                  : !unmet.empty()             ? "UNMET"
                                  : !report.violations.empty() ? "caught"
                                                               : "held";
      std::printf("%-8s %s  %s\n", verdict, name_of(command.scenarios[i]).c_str(), title_of(scenarios[i]).c_str());
      print_violations(report);
      for (const std::string& line : unmet) std::printf("    %s\n", line.c_str());
      std::fflush(stdout);
    }
  }
  Json out{{"scenarios", std::move(list)}, {"failed_scenarios", unmet_count}};
  if (command.coverage) out["coverage"] = coverage_json(totals.sum.coverage);
  if (!print_structured(command.format, out)) {
    if (command.coverage) print_coverage(totals.sum.coverage);
    std::printf("\n%zu of %zu scenarios went as they say\n", scenarios.size() - unmet_count, scenarios.size());
  }
  if (unmet_count > 0) throw Exit{kFailed, "scenarios did not go as they say"};
}

void minimise(const SimCommand& command) {
  if (command.scenarios.size() > 1) throw Exit{kUsage, "--minimise takes one scenario"};
  if (command.seeds != 1) throw Exit{kUsage, "--minimise takes one seed"};
  const bool from_file = !command.scenarios.empty();
  const sim::Scenario start =
      from_file ? read_scenario(command.scenarios.front()) : sim::scenario_of(options_of_seed(command, command.seed));
  const std::string origin = from_file ? command.scenarios.front()
                                       : "seed " + std::to_string(command.seed) + ", " + std::to_string(command.nodes) +
                                             " nodes, " + std::to_string(command.days) + " days";
  const auto run_one = [&](const sim::Scenario& one) {
    return Runs(1, 1, [&one](uint32_t) { return sim::options_of(one); }).take(0);
  };
  const auto broken = [&](const sim::Report& report) {
    return std::find_if(report.violations.begin(), report.violations.end(), [&](const sim::Violation& violation) {
      return command.promise.empty() || violation.promise == command.promise;
    });
  };
  const sim::Report first = run_one(start);
  if (broken(first) == first.violations.end())
    throw Exit{kFailed, origin + (command.promise.empty() ? " holds every promise" : " holds " + command.promise) +
                            ": there is nothing to make small"};
  const std::string promise = broken(first)->promise;
  std::fprintf(stderr, "%s breaks %s; looking for less that does\n", origin.c_str(), promise.c_str());
  sim::Minimising how;
  how.first_failing = [&](const auto& candidates) { return first_failing(candidates, command.jobs, promise); };
  how.progress = [](const std::string& text) { std::fprintf(stderr, "  %s\n", text.c_str()); };
  sim::Minimised small = sim::minimise(start, how);
  const sim::Report last = run_one(small.scenario);
  const auto found = std::find_if(last.violations.begin(), last.violations.end(),
                                  [&](const sim::Violation& violation) { return violation.promise == promise; });
  if (found == last.violations.end())
    throw Exit{kFailed, "the small history does not fail twice: the simulator is not deterministic"};
  std::fprintf(stderr, "%u histories tried%s\n", small.histories, small.gave_up ? "; there may be a smaller one" : "");
  small.scenario.story = story_of(*found, origin);
  leave(command, sim::print_scenario(small.scenario));
}

void describe(const SimCommand& command) {
  sim::Scenario scenario = sim::scenario_of(options_of_seed(command, command.seed));
  scenario.story = "What seed " + std::to_string(command.seed) + " draws.";
  leave(command, sim::print_scenario(scenario));
}

}  // namespace wb::cli
