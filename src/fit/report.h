#pragma once
// The comparison as one HTML page: nothing to load, nothing that runs, so that it can be mailed and opened in ten
// years.

#include <string>
#include <utility>
#include <vector>

#include "fit/fit.h"

namespace wb::fit {

struct Report {
  std::string title;                                       // "pumps.csv → failure"
  std::vector<std::pair<std::string, std::string>> facts;  // what was done: rows, folds, seed, machine
  Metric metric = Metric::kMacroF1;
  std::vector<Trial> trials;
  std::vector<std::vector<std::string>> costs;  // a row for each trial, under cost_heads
  std::vector<std::string> cost_heads;
  Choice choice;
  // Of the chosen model, on the rows held out:
  std::vector<std::string> labels;
  std::vector<std::vector<uint64_t>> confusion;  // [truth][answer]; empty for values
  std::vector<CalibrationBin> calibration;       // empty for values
  std::vector<std::pair<std::string, double>> importance;
  std::vector<std::pair<double, double>> values;  // (target, answer), for values
};

std::string html(const Report& report);

}  // namespace wb::fit
