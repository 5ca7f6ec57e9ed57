#pragma once
// From a table of text to what a trainer wants, and how good the answers on held-out rows are. No training here
// (fit_train.h), no printing (fit_print.h).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/waybill/csv.h"
#include "fit/fit.h"

namespace wb::cli {

enum class Task : uint8_t { kAuto, kClassification, kRegression };

struct DataOptions {
  std::string target;
  std::string weight = {};                    // column of sample weights, "" = none
  std::string group = {};                     // column whose equal cells are never parted, "" = none
  std::string time = {};                      // column of numbers: only the past may be learnt from, "" = none
  std::vector<std::string> drop = {};         // columns that are not features
  std::vector<std::string> allow_id = {};     // columns that look like row numbers and are features all the same
  std::vector<std::string> categorical = {};  // columns of kinds, not amounts: texts, or numbers that name something
  bool balanced = false;                      // every class weighs the same
  Task task = Task::kAuto;
};

using fit::Dataset;

// Refuses, with row and column and what to do: a target that is always the same, features that are no numbers or that
// only number the rows, too few rows.
Result<Dataset> make_dataset(const CsvTable& table, const DataOptions& options);

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
  std::vector<ClassScore> classes;    // for classification; counts of rows
  std::vector<Confusion> confusions;  // mistakes only, most frequent first
  double accuracy = 0;                // this and what follows: rows weigh as much as the data says (fit/score.h)
  double macro_f1 = 0;                // over the classes that have held-out rows
  double rmse = 0;                    // for regression
  double mae = 0;
  double r2 = 0;
};
// `held_out` has a row at least.
Quality judge(const engine::Model& model, const Dataset& held_out);

}  // namespace wb::cli
