#include "fit/fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/prng.h"

namespace wb::fit {
namespace {

struct Moments {
  double mean = 0;
  double deviation = 0;  // of a sample
};
Moments moments_of(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  Moments out;
  for (const double value : values) out.mean += value / n;
  double squares = 0;
  for (const double value : values) squares += (value - out.mean) * (value - out.mean);
  out.deviation = values.size() > 1 ? std::sqrt(squares / (n - 1)) : 0;
  return out;
}

bool better(double a, double b, bool more_is_better) { return more_is_better ? a > b : a < b; }

}  // namespace

std::string Candidate::name() const {
  const std::string size = std::to_string(trees) + " × depth " + std::to_string(depth);
  switch (family) {
    case Family::kConstant: return "always the same";
    case Family::kLinear: return "linear";
    case Family::kTree: return "tree, depth " + std::to_string(depth);
    case Family::kForest: return "forest, " + size;
    case Family::kBoosting: return "boosting, " + size;
  }
  return "";
}

Result<Candidate> candidate_by_name(std::string_view family, std::optional<size_t> trees, std::optional<size_t> depth,
                                    double learning_rate) {
  if (family == "constant") return Candidate{Family::kConstant};
  if (family == "linear") return Candidate{Family::kLinear};
  if (family == "tree") return Candidate{Family::kTree, 1, depth.value_or(5)};
  if (family == "forest") return Candidate{Family::kForest, trees.value_or(40), depth.value_or(8)};
  if (family == "boosting") return Candidate{Family::kBoosting, trees.value_or(50), depth.value_or(6), learning_rate};
  return fail(Code::kNotFound, "there is no candidate '", family,
              "'; it is one of constant, linear, tree, forest, boosting");
}

std::vector<Candidate> ladder(const Dataset& data) {
  std::vector<Candidate> out{{Family::kConstant}};
  if (linear_is_possible(data)) out.push_back({Family::kLinear});
  for (const size_t depth : {2, 3, 5, 8}) out.push_back({Family::kTree, 1, depth});
  if (data.features.size() > 1)
    for (const auto& [trees, depth] : {std::pair{10, 8}, std::pair{40, 12}})
      out.push_back({Family::kForest, static_cast<size_t>(trees), static_cast<size_t>(depth)});
  for (const auto& [trees, depth] : {std::pair{20, 3}, std::pair{60, 4}, std::pair{60, 6}})
    out.push_back({Family::kBoosting, static_cast<size_t>(trees), static_cast<size_t>(depth), 0.3});
  return out;
}

engine::PlainModel constant(const Dataset& data) {
  engine::PlainModel model = blank(data);
  std::vector<double> sums(std::max<size_t>(data.classes_count(), 1), 0.0);
  double weights = 0;
  for (size_t row = 0; row < data.rows_count(); ++row) {
    const double weight = data.weight(row);
    weights += weight;
    if (data.labels.empty()) sums[0] += weight * static_cast<double>(data.targets[row]);
    if (!data.labels.empty()) sums[static_cast<size_t>(data.targets[row])] += weight;
  }
  if (sums.size() == 2) sums.erase(sums.begin());  // one share says both
  for (size_t i = 0; i < sums.size(); ++i)
    model.base_margins[i] = static_cast<double>(static_cast<float>(sums[i] / weights));
  return model;
}

namespace {

Result<engine::PlainModel> train_columns(const Candidate& candidate, const Dataset& columns, uint32_t seed,
                                         const Trainer& boost) {
  switch (candidate.family) {
    case Family::kConstant: return constant(columns);
    case Family::kLinear:
      if (linear_is_possible(columns)) return linear(columns);
      return fail(Code::kInvalid, "a linear model of ", std::to_string(columns.rows_count()), " rows and ",
                  std::to_string(columns.features.size()), " columns takes too long; leave features out");
    case Family::kBoosting: return boost(candidate, columns);
    case Family::kTree:
    case Family::kForest: break;
  }
  return grow(columns, {.trees = candidate.trees, .depth = candidate.depth, .seed = seed});
}

}  // namespace

Result<engine::PlainModel> train(const Candidate& candidate, const Dataset& data, uint32_t seed, const Trainer& boost) {
  WB_TRY(engine::PlainModel model, train_columns(candidate, one_hot(data), seed, boost));
  begin_with_one_hot(data, model);
  return model;
}

Result<engine::Model> loaded(const engine::PlainModel& model) {
  WB_TRY(const std::string bytes, engine::pack(model));
  return engine::Model::load(bytes);
}

std::vector<float> answers_of(const engine::Model& model, const Dataset& data) {
  const size_t n = data.rows_count();
  std::vector<float> margins(n * model.outputs_count());
  std::vector<float> answers(n * model.answers_count());
  model.predict_margins(data.rows, n, margins);
  model.probabilities(margins, answers);
  return answers;
}

Result<Trial> judge(const Candidate& candidate, const Dataset& data, const std::vector<Fold>& folds,
                    size_t folds_a_deal, Metric metric, const Trainer& trainer,
                    const std::function<void()>& fold_done) {
  Trial trial;
  trial.candidate = candidate;
  for (const Fold& fold : folds) {
    WB_TRY(const engine::PlainModel plain, trainer(candidate, data.subset(fold.train)));
    WB_TRY(const engine::Model model, loaded(plain));
    const Dataset test = data.subset(fold.test);
    const double one = score(metric, test, answers_of(model, test));
    if (!std::isnan(one)) trial.scores.push_back(one);
    fold_done();
  }
  if (trial.scores.empty()) {
    return fail(Code::kInvalid, "the metric '", info(metric).name,
                "' is defined in no fold: each holds one outcome only. Use another --metric, or fewer --folds");
  }
  const Moments moments = moments_of(trial.scores);
  trial.mean = moments.mean;
  trial.error = moments.deviation / std::sqrt(static_cast<double>(std::min(folds_a_deal, trial.scores.size())));
  return trial;
}

std::optional<Choice> choose(const std::vector<Trial>& trials, bool more_is_better) {
  std::optional<size_t> best;
  for (size_t i = 0; i < trials.size(); ++i) {
    if (!trials[i].excluded.empty()) continue;
    if (!best || better(trials[i].mean, trials[*best].mean, more_is_better)) best = i;
  }
  if (!best) return std::nullopt;
  Choice choice{*best, *best, trials[*best].mean + (more_is_better ? -1 : 1) * trials[*best].error};
  for (size_t i = 0; i < trials.size(); ++i) {
    const bool reaches = trials[i].excluded.empty() && !better(choice.limit, trials[i].mean, more_is_better);
    if (reaches && trials[i].package_bytes < trials[choice.chosen].package_bytes) choice.chosen = i;
  }
  return choice;
}

std::vector<double> importance(const engine::Model& model, const Dataset& data, Metric metric, uint64_t seed) {
  const double whole = score(metric, data, answers_of(model, data));
  std::vector<double> out;
  Prng prng(seed);
  Dataset dealt = data;
  for (size_t feature = 0; feature < data.features.size(); ++feature) {
    const auto cell = [&](size_t row) -> float& { return dealt.rows[row * data.features.size() + feature]; };
    for (size_t i = data.rows_count(); i > 1; --i) std::swap(cell(i - 1), cell(prng.below(i)));
    const double without = score(metric, data, answers_of(model, dealt));
    for (size_t row = 0; row < data.rows_count(); ++row) cell(row) = data.row(row)[feature];
    const double loss = info(metric).more_is_better ? whole - without : without - whole;
    out.push_back(std::isnan(loss) ? 0 : std::max(loss, 0.0));
  }
  return out;
}

std::vector<CalibrationBin> calibration(const Dataset& data, std::span<const float> answers) {
  constexpr size_t kBins = 10;
  std::vector<CalibrationBin> bins(kBins);
  const size_t classes = data.classes_count();
  for (size_t i = 0; i < answers.size(); ++i) {
    const auto p = static_cast<double>(answers[i]);
    CalibrationBin& bin = bins[std::min(static_cast<size_t>(p * kBins), kBins - 1)];
    const double weight = data.weight(i / classes);
    bin.answered += weight * p;
    bin.rows += weight;
    if (static_cast<size_t>(data.targets[i / classes]) == i % classes) bin.true_share += weight;
  }
  for (CalibrationBin& bin : bins) {
    if (bin.rows <= 0) continue;
    bin.answered /= bin.rows;
    bin.true_share /= bin.rows;
  }
  return bins;
}

}  // namespace wb::fit
