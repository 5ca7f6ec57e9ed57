#include "apps/waybill/sim_print.h"

#include <algorithm>
#include <cstdio>

#include "sim/script.h"

namespace wb::cli {
namespace {

std::string hex16(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::string head_of(const sim::ReportCount& count) {
  std::string out(count.name);
  for (char& one : out) one = one == '_' ? ' ' : one >= 'a' && one <= 'z' ? static_cast<char>(one - 'a' + 'A') : one;
  return out;
}

uint64_t whole(double value) { return static_cast<uint64_t>(value); }

std::string decimals(double value, int count) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", count, value);
  return text;
}

}  // namespace

Json report_json(const sim::Report& report) {
  Json out{{"seed", report.seed}, {"trace", hex16(report.trace_hash)}};
  for (const sim::ReportCount& count : sim::report_counts()) out[std::string(count.name)] = report.*count.field;
  out["device_hours"] = report.device_hours;
  out["violations"] = Json::array();
  for (const sim::Violation& violation : report.violations)
    out["violations"].push_back({{"promise", violation.promise}, {"at_ms", violation.at_ms}, {"text", violation.text}});
  return out;
}

void print_violations(const sim::Report& report) {
  for (const sim::Violation& violation : report.violations)
    std::printf("    %s at %s: %s\n", violation.promise.c_str(), sim::format_time(violation.at_ms).c_str(),
                violation.text.c_str());
}

void print_report(const sim::Report& report) {
  std::string counts;
  for (const sim::ReportCount& count : sim::report_counts())
    counts += " " + std::string(count.name) + " " + std::to_string(report.*count.field);
  std::printf("seed %-6llu trace %s %s%s\n", static_cast<unsigned long long>(report.seed),
              hex16(report.trace_hash).c_str(), report.violations.empty() ? "held  " : "BROKEN", counts.c_str());
  print_violations(report);
  std::fflush(stdout);
}

void Totals::add(const sim::Report& report) {
  ++histories;
  failed += report.violations.empty() ? 0 : 1;
  for (const sim::ReportCount& count : sim::report_counts()) sum.*count.field += report.*count.field;
  sum.device_hours += report.device_hours;
  sum.coverage += report.coverage;
  sum.estimates += report.estimates;
  sum.evidence += report.evidence;
  sum.violations_count += report.violations_count;
}

Json Totals::json(double seconds) const {
  Json estimates = Json::array();
  for (const sim::Estimate* one : sum.estimates.all())
    estimates.push_back({{"of", one->of},
                         {"nodes", one->nodes},
                         {"truth", one->truth},
                         {"estimated", one->estimated},
                         {"z", one->z()},
                         {"decided", one->decided()}});
  return Json{{"failed_seeds", failed},
              {"device_hours", sum.device_hours},
              {"seconds", seconds},
              {"device_hours_per_second", sum.device_hours / seconds},
              {"estimates", std::move(estimates)}};
}

std::optional<sim::Violation> Totals::bias() const {
  for (const sim::Estimate* one : sum.estimates.all())
    if (one->biased())
      return sim::Violation{"B4", "over " + std::to_string(histories) + " histories and " + std::to_string(one->nodes) +
                                      " nodes the estimate of " + std::string(one->of) + " is " +
                                      std::to_string(whole(one->estimated)) + ", and the truth " +
                                      std::to_string(whole(one->truth)) + ": z = " + decimals(one->z(), 1)};
  return std::nullopt;
}

void Totals::print(double seconds) const {
  std::printf("\n");
  TextTable table({"", "TOTAL"});
  for (const sim::ReportCount& count : sim::report_counts())
    table.row({head_of(count), std::to_string(sum.*count.field)});
  table.row({"DEVICE-HOURS", std::to_string(whole(sum.device_hours))});
  table.row({"DEVICE-HOURS/S", std::to_string(whole(sum.device_hours / seconds))});
  std::fputs(table.text().c_str(), stdout);
  std::printf("\n");
  TextTable estimates({"ESTIMATE OF", "NODES", "TRUTH", "ESTIMATED", "Z"});
  for (const sim::Estimate* one : sum.estimates.all())
    estimates.row({std::string(one->of), std::to_string(one->nodes), std::to_string(whole(one->truth)),
                   std::to_string(whole(one->estimated)), one->decided() ? decimals(one->z(), 2) : "too few nodes"});
  std::fputs(estimates.text().c_str(), stdout);
}

Json coverage_json(const sim::Coverage& coverage) {
  Json out{{"allowed", sim::allowed_transitions().size()},
           {"taken", Json::object()},
           {"never_taken", Json::array()},
           {"not_allowed", Json::array()}};
  for (const sim::Transition& one : sim::allowed_transitions())
    if (const uint64_t count = coverage.count(one); count > 0) out["taken"][sim::text_of(one)] = count;
  for (const sim::Transition& one : coverage.never_taken()) out["never_taken"].push_back(sim::text_of(one));
  for (const sim::Transition& one : coverage.not_allowed()) out["not_allowed"].push_back(sim::text_of(one));
  return out;
}

void print_coverage(const sim::Coverage& coverage) {
  std::printf("\n");
  TextTable table({"TRANSITION", "TAKEN"});
  for (const sim::Transition& one : sim::allowed_transitions())
    if (const uint64_t count = coverage.count(one); count > 0) table.row({sim::text_of(one), std::to_string(count)});
  std::fputs(table.text().c_str(), stdout);
  const auto never = coverage.never_taken();
  const size_t allowed = sim::allowed_transitions().size();
  std::printf("\n%zu of %zu transitions were taken; never taken:\n", allowed - never.size(), allowed);
  for (const sim::Transition& one : never) std::printf("    %s\n", sim::text_of(one).c_str());
  if (never.empty()) std::printf("    none\n");
  const auto strange = coverage.not_allowed();
  if (strange.empty()) return;
  std::printf("taken though src/sim/coverage_table.cpp does not allow them:\n");
  for (const sim::Transition& one : strange)
    std::printf("    %s  %llu\n", sim::text_of(one).c_str(), static_cast<unsigned long long>(coverage.count(one)));
}

}  // namespace wb::cli
