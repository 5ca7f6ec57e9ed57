#pragma once
// Right-sizing: from a table to the simplest model that is good enough.
//
// A ladder of candidates, from the answer that is always the same to boosted trees, is trained and judged on the same
// folds (folds.h) by the same number (score.h). Taken is the smallest within one standard error of the best (Breiman,
// Friedman, Olshen, Stone 1984, section 3.4.3): what lies within the noise of the comparison is not worth its bytes.
// Smallest is what a device pays: the bytes of the package.
//
// Pure: who trains the boosted trees and who has a clock is given by the caller.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "fit/cart.h"
#include "fit/cost.h"
#include "fit/dataset.h"
#include "fit/folds.h"
#include "fit/linear.h"
#include "fit/score.h"

namespace wb::fit {

enum class Family : uint8_t { kConstant, kLinear, kTree, kForest, kBoosting };

struct Candidate {
  Family family = Family::kConstant;
  size_t trees = 0;  // rounds of boosting: with k > 2 labels each grows k trees
  size_t depth = 0;
  double learning_rate = 0;
  std::string name() const;  // "linear", "tree, depth 5", "forest, 40 × depth 8", …
};

// By its family's name: constant, linear, tree, forest or boosting. What is not said of its shape is as usual.
// kNotFound: no such family.
Result<Candidate> candidate_by_name(std::string_view family, std::optional<size_t> trees, std::optional<size_t> depth,
                                    double learning_rate);

// From simple to complex.
std::vector<Candidate> ladder(const Dataset& data);

// The most frequent label with the shares of all; or the mean. Weights count.
engine::PlainModel constant(const Dataset& data);

// Trees, objective, features and labels; nothing beside them.
using Trainer = std::function<Result<engine::PlainModel>(const Candidate&, const Dataset&)>;

// Trains any candidate on any data. `boost` grows boosted trees, on columns without categories; the rest is done here.
Result<engine::PlainModel> train(const Candidate& candidate, const Dataset& data, uint32_t seed, const Trainer& boost);

// As a node would run it.
Result<engine::Model> loaded(const engine::PlainModel& model);
// f32[n, answers]
std::vector<float> answers_of(const engine::Model& model, const Dataset& data);

struct Trial {
  Candidate candidate;
  std::vector<double> scores;  // one per fold; folds in which the metric is not defined are left out
  double mean = 0;
  double error = 0;  // standard error of the mean; repeats do not make folds independent and do not lower it
  // The caller's to fill in; choose() reads bytes and `excluded`.
  size_t package_bytes = 0;
  double row_us = 0;
  std::string excluded = {};  // why it may not be chosen, "" if it may
};

// Trains and judges one candidate on every fold; after each fold, says so. kInvalid: the metric is defined in no fold.
Result<Trial> judge(const Candidate& candidate, const Dataset& data, const std::vector<Fold>& folds,
                    size_t folds_a_deal, Metric metric, const Trainer& trainer, const std::function<void()>& fold_done);

struct Choice {
  size_t best = 0;    // highest mean (or lowest), of those that may be chosen
  size_t chosen = 0;  // smallest within one standard error of it
  double limit = 0;   // the mean that it had to reach
};
// nullopt: every trial is excluded.
std::optional<Choice> choose(const std::vector<Trial>& trials, bool more_is_better);

// How far each feature carries the model: how much worse the score gets when its column is dealt out anew among the
// rows (Breiman 2001, section 10), in the metric's own unit, never below 0. One number per feature.
std::vector<double> importance(const engine::Model& model, const Dataset& data, Metric metric, uint64_t seed);

// Of the answers of labels: in ten equal bins of probability, how often the label was true. For a plot.
struct CalibrationBin {
  double answered = 0;  // mean probability
  double true_share = 0;
  double rows = 0;  // weighted; one row counts once for each label
};
std::vector<CalibrationBin> calibration(const Dataset& data, std::span<const float> answers);

}  // namespace wb::fit
