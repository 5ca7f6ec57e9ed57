#pragma once
// What was asked of `waybill fit`, what came of it, and how that is shown: a table, JSON, a page.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/waybill/commands.h"
#include "apps/waybill/fit_compare.h"
#include "apps/waybill/fit_data.h"
#include "apps/waybill/output.h"

namespace wb::cli {

struct FitOptions {
  std::string data;
  std::string model;
  std::string report = {};  // "" = the model's name with .html
  std::string task = "auto";
  std::string family = {};  // one candidate alone; "" = compare
  std::string metric = {};
  std::string bytes_max = {};  // as given: "16KiB"
  std::optional<size_t> trees = {};
  std::optional<size_t> depth = {};
  double learning_rate = 0.3;
  Format output = Format::kTable;
  DataOptions columns = {};
  TrainSettings train = {};
  CompareOptions compare = {};
  std::optional<fit::Candidate> only = {};  // what those above ask for; nullopt: compare
  double holdout = 0.2;
  bool explain = false;
};

struct FitReport {
  const FitOptions* options = nullptr;
  std::optional<Comparison> comparison;
  fit::Candidate candidate;
  size_t rows = 0;
  size_t train_rows = 0;
  size_t held_out_rows = 0;
  Quality quality;
  std::vector<std::string> labels;
  size_t features = 0;
  bool weighted = false;  // rows count as many as their weights say
  size_t trees = 0;
  size_t nodes = 0;
  size_t model_bytes = 0;
  size_t compared_rows = 0;  // with XGBoost's own answers; 0: another trainer
  double train_seconds = 0;
  double latency_us = 0;
};

void print_table(const FitReport& report);
nlohmann::ordered_json to_json(const FitReport& report);
// Where the page about a comparison goes, and the page. Confusion, calibration and importance are of the rows held out.
std::string report_path(const FitOptions& options);
std::string page(const FitReport& report, const engine::Model& model, const Dataset& held_out);

}  // namespace wb::cli
