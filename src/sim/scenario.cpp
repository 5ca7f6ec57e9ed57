#include "sim/scenario.h"

#include <algorithm>

#include "base/bytes.h"

namespace wb::sim {
namespace {

// The same words as the parser takes.
std::string length(int64_t ms) {
  constexpr std::pair<int64_t, const char*> kUnits[] = {
      {86'400'000, "d"}, {3'600'000, "h"}, {60'000, "m"}, {1'000, "s"}};
  if (ms > 0)
    for (const auto& [unit_ms, name] : kUnits)
      if (ms % unit_ms == 0) return std::to_string(ms / unit_ms) + name;
  return std::to_string(ms) + "ms";
}

// Exact: a per-million rate has at most four decimals as a percentage.
std::string percent(int64_t per_million) {
  std::string out = std::to_string(per_million / 10'000);
  if (const int64_t rest = per_million % 10'000; rest != 0) {
    std::string digits = std::to_string(10'000 + rest).substr(1);
    digits.erase(digits.find_last_not_of('0') + 1);
    out += "." + digits;
  }
  return out + "%";
}

std::string value_of(const Fault& fault, const Faults& faults) {
  const int64_t value = faults.*fault.value;
  switch (fault.unit) {
    case FaultUnit::kPerMillion: return percent(value);
    case FaultUnit::kEveryMs: return value <= 0 ? "never" : "every " + length(value);
    default: return "up to " + length(value);
  }
}

std::string words_of(const NodeRange& nodes) {
  if (nodes.first == 0 && nodes.last == kLastNode) return "all";
  const std::string last = nodes.last == kLastNode ? "" : std::to_string(nodes.last);
  return std::to_string(nodes.first) + (nodes.first == nodes.last ? "" : ".." + last);
}

std::string words_of(const Cue& cue) {
  const ActSpec& spec = spec_of(cue.act);
  std::string name(spec.name);
  switch (spec.takes) {
    case Takes::kNothing: return name;
    case Takes::kRelease:
      return name + " " + std::string(release_kind_name(cue.kind)) + " " + std::to_string(cue.version);
    case Takes::kRollout: return cue.version == 0 ? name : name + " " + std::to_string(cue.version);
    case Takes::kNodes: return name + " " + words_of(cue.nodes);
    case Takes::kNodesFor: return name + " " + words_of(cue.nodes) + " for " + length(cue.for_ms);
    case Takes::kFor: return name + " for " + length(cue.for_ms);
  }
  return name;
}

}  // namespace

std::string print_scenario(const Scenario& scenario) {
  std::string out;
  if (!scenario.story.empty())
    for (const std::string_view line : split(scenario.story, '\n'))
      out += line.empty() ? "#\n" : "# " + std::string(line) + "\n";
  out += "seed " + std::to_string(scenario.seed) + "\nnodes " + std::to_string(scenario.nodes) + "\ndays " +
         std::to_string(scenario.days) + "\n\n";
  for (const Fault& fault : fault_table())
    if (scenario.faults.*fault.value != fault.calm)
      out += "fault " + std::string(fault.name) + " " + value_of(fault, scenario.faults) + "\n";
  if (scenario.faults != calm()) out += "\n";
  for (const Cue& cue : scenario.script) out += "at " + format_time(cue.at_ms) + " " + words_of(cue) + "\n";
  out += "\nexpect held\n";
  for (const Scenario::Expected& one : scenario.counts)
    out += "expect " + one.count + (one.at_most ? " <= " : " >= ") + std::to_string(one.value) + "\n";
  for (const Transition& one : scenario.took) out += "expect took " + text_of(one) + "\n";
  for (const Transition& one : scenario.never_took) out += "expect never " + text_of(one) + "\n";
  for (const Scenario::Planted& one : scenario.planted) out += "planted " + one.bug + " breaks " + one.promise + "\n";
  return out;
}

Scenario scenario_of(const Options& options) {
  Scenario out;
  out.seed = options.seed;
  out.nodes = options.nodes;
  out.days = options.days;
  out.faults = faults_used(options);
  out.script = script_used(options);
  return out;
}

Options options_of(const Scenario& scenario) {
  Options out;
  out.seed = scenario.seed;
  out.nodes = scenario.nodes;
  out.days = scenario.days;
  out.faults = scenario.faults;
  out.script = scenario.script;
  return out;
}

std::vector<std::string> unmet(const Scenario& scenario, const Report& report) {
  std::vector<std::string> out;
  for (const Scenario::Expected& one : scenario.counts) {
    const ReportCount* const count = find_report_count(one.count);
    const uint64_t value = count == nullptr ? 0 : report.*count->field;
    if (count == nullptr || (one.at_most ? value > one.value : value < one.value))
      out.push_back("expected " + one.count + (one.at_most ? " <= " : " >= ") + std::to_string(one.value) + "; it is " +
                    std::to_string(value));
  }
  for (const Transition& one : scenario.took)
    if (report.coverage.count(one) == 0)
      out.push_back("expected the transition " + text_of(one) + "; it was not taken");
  for (const Transition& one : scenario.never_took)
    if (const uint64_t times = report.coverage.count(one); times > 0)
      out.push_back("expected never to see " + text_of(one) + "; it was taken " + std::to_string(times) + " times");
  return out;
}

}  // namespace wb::sim
