#include "apps/waybill/fit_train.h"

namespace wb::cli {
namespace {

Result<Trained> boost(const fit::Candidate& candidate, const fit::Dataset& data, const TrainSettings& settings,
                      const std::function<void(int, int)>& progress) {
  TrainOptions options;
  options.objective = data.objective;
  options.classes = data.labels.size();
  options.trees = static_cast<int>(candidate.trees);
  options.depth = static_cast<int>(candidate.depth);
  options.learning_rate = candidate.learning_rate;
  options.seed = settings.seed;
  options.threads = settings.threads;
  if (data.labels.empty()) options.base_score = static_cast<float>(fit::constant(data).base_margins[0]);
  WB_TRY(Booster booster,
         Booster::train({data.rows, data.features.size(), data.targets, data.weights}, options, progress));
  WB_TRY(engine::PlainModel plain, booster.trees());
  plain.features = data.features;
  plain.labels = data.labels;
  plain.reference_scores.label_counts.assign(data.labels.size(), 0);
  return Trained{std::move(plain), std::move(booster)};
}

Result<Trained> train_columns(const fit::Candidate& candidate, const fit::Dataset& data, const TrainSettings& settings,
                              const std::function<void(int, int)>& progress) {
  switch (candidate.family) {
    case fit::Family::kConstant: return Trained{fit::constant(data), std::nullopt};
    case fit::Family::kLinear:
      if (!fit::linear_is_possible(data))
        return fail(Code::kInvalid, "a linear model of ", std::to_string(data.rows_count()), " rows and ",
                    std::to_string(data.features.size()), " features takes too long; leave features out with --drop");
      return Trained{fit::linear(data), std::nullopt};
    case fit::Family::kBoosting: return boost(candidate, data, settings, progress);
    case fit::Family::kTree:
    case fit::Family::kForest: break;
  }
  return Trained{fit::grow(data, {.trees = candidate.trees, .depth = candidate.depth, .seed = settings.seed}),
                 std::nullopt};
}

}  // namespace

Result<Trained> train(const fit::Candidate& candidate, const fit::Dataset& data, const TrainSettings& settings,
                      const std::function<void(int, int)>& progress) {
  WB_TRY(Trained trained, train_columns(candidate, fit::one_hot(data), settings, progress));
  fit::begin_with_one_hot(data, trained.plain);
  return trained;
}

Result<std::vector<float>> library_margins(const Booster& booster, const fit::Dataset& data,
                                           std::span<const float> rows) {
  const size_t n = rows.size() / data.features.size();
  return data.has_categories() ? booster.margins(fit::one_hot_rows(data, rows), n) : booster.margins(rows, n);
}

}  // namespace wb::cli
