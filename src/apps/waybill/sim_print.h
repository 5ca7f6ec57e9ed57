#pragma once
// How reports of the simulator are printed: a line each, totals, transitions; and the same as JSON.

#include <cstdint>
#include <optional>
#include <string>

#include "apps/waybill/output.h"
#include "sim/sim.h"

namespace wb::cli {

using Json = nlohmann::ordered_json;

Json report_json(const sim::Report& report);
// "seed 7      trace 0123… held   events 1 …", then a line for each broken promise.
void print_report(const sim::Report& report);
void print_violations(const sim::Report& report);

// The sum of many.
struct Totals {
  sim::Report sum;
  uint64_t histories = 0;
  uint64_t failed = 0;

  void add(const sim::Report& report);
  // What all of them together show: estimates that are off in one direction (B4).
  std::optional<sim::Violation> bias() const;
  Json json(double seconds) const;
  void print(double seconds) const;
};

Json coverage_json(const sim::Coverage& coverage);
// Every transition with how often it was taken; then those never taken, and those that the table does not allow.
void print_coverage(const sim::Coverage& coverage);

}  // namespace wb::cli
