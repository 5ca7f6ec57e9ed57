#pragma once
// From a table of text to what a trainer wants, and the bookkeeping around it: which rows are held out, how good the
// answers on them are, what goes into the package beside the trees. No training here (booster.h), no printing
// (fit.cpp).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/waybill/booster.h"
#include "apps/waybill/csv.h"

namespace wb::cli {

enum class Task : uint8_t { kAuto, kClassification, kRegression };

struct DataOptions {
  std::string target;
  std::string weight = {};             // column of sample weights, "" = none
  std::vector<std::string> drop = {};  // columns that are not features
  Task task = Task::kAuto;
};

struct Dataset {
  static constexpr size_t kRowsMin = 20;
  static constexpr size_t kAutoClassesMax = 32;  // a whole-number target with more values is taken for a quantity

  engine::Objective objective = engine::Objective::kSoftprob;
  std::vector<std::string> features;
  std::vector<std::string> labels;
  std::vector<float> rows;     // f32[n, features], NaN = missing
  std::vector<float> targets;  // class index, or the value for regression
  std::vector<float> weights;  // empty, or > 0 one per row
  bool has_missing = false;

  size_t rows_count() const { return targets.size(); }
  std::span<const float> row(size_t i) const { return std::span(rows).subspan(i * features.size(), features.size()); }
  Dataset subset(const std::vector<size_t>& indices) const;
};

Result<Dataset> make_dataset(const CsvTable& table, const DataOptions& options);

// The same seed gives the same split. For classes the fraction is held within each class; a class with one row trains
// only.
struct Split {
  std::vector<size_t> train;     // ascending
  std::vector<size_t> held_out;  // ascending
};
Split split_rows(const Dataset& data, double held_out_fraction, uint64_t seed);

struct ClassScore {
  std::string label;
  uint64_t rows = 0;  // held out, that truly are of this class
  uint64_t correct = 0;
  uint64_t answered = 0;  // rows given this answer
  double f1() const {
    return rows + answered == 0 ? 0 : 2.0 * static_cast<double>(correct) / static_cast<double>(rows + answered);
  }
};
struct Confusion {
  size_t truth = 0;
  size_t answer = 0;
  uint64_t count = 0;
};
struct Quality {
  uint64_t rows = 0;
  std::vector<ClassScore> classes;    // for classification
  std::vector<Confusion> confusions;  // mistakes only, most frequent first
  double accuracy = 0;
  double macro_f1 = 0;  // over the classes that have held-out rows
  double rmse = 0;      // for regression
  double mae = 0;
  double r2 = 0;
  engine::ReferenceScores reference;  // what goes into the package
};
Quality judge(const engine::Model& model, const Dataset& held_out);

// Rows that show every part of a model: a spread of real ones, one of zeros and one that is all missing.
std::vector<float> self_test_rows(const Dataset& data);

// The index of the largest, the first if several are.
size_t largest(std::span<const float> values);

}  // namespace wb::cli
