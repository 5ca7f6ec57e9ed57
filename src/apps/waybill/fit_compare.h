#pragma once
// The comparison of candidates on this machine: trains the ladder of src/fit, measures what src/fit cannot know (time,
// energy), and chooses within the limits a person gave.

#include <optional>
#include <string>
#include <vector>

#include "apps/waybill/fit_train.h"
#include "engine/engine.h"
#include "fit/fit.h"

namespace wb::cli {

struct CompareOptions {
  size_t folds = 5;
  size_t repeats = 0;  // 0: three for fewer than 5,000 rows, one for more
  std::optional<fit::Metric> metric;
  std::optional<size_t> bytes_max;  // of the package
  std::optional<double> row_us_max;
};

struct Compared {
  fit::Trial trial;  // its scores, bytes and microseconds
  double m4_us = 0;  // estimated
  double a53_us = 0;
  std::optional<double> row_joules;  // nullopt: not measurable here
  Trained trained;                   // on all rows of the comparison
  double train_seconds = 0;
};
struct Comparison {
  fit::Metric metric = fit::Metric::kMacroF1;
  size_t folds = 0;    // a deal
  size_t repeats = 0;  // deals
  std::vector<Compared> candidates;
  fit::Choice choice;
  std::vector<fit::Trial> trials() const;
};

// The package that would be written, so that the bytes that are compared are its bytes.
using Complete = std::function<Result<engine::Model>(const fit::Candidate& candidate, engine::PlainModel plain)>;

// Scores each candidate over folds of `data`, then trains it on all of `data` for its size and speed. kInvalid: a limit
// that nothing meets, with what comes closest; folds that cannot be made.
Result<Comparison> compare(const fit::Dataset& data, const CompareOptions& options, const TrainSettings& settings,
                           const Complete& complete);

// The median of single-row calls, as an agent with one reading at a time would see it.
double single_row_us(const engine::Model& model, const fit::Dataset& data);

// A bar that redraws itself on a terminal; a few plain lines elsewhere. To stderr, so that stdout stays the report.
void show_progress(std::string_view what, size_t done, size_t of);

}  // namespace wb::cli
