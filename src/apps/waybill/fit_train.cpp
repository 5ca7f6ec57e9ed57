#include "apps/waybill/fit_train.h"

namespace wb::cli {

Result<Trained> train(const fit::Candidate& candidate, const fit::Dataset& data, const TrainSettings& settings,
                      const std::function<void(int, int)>& progress) {
  Trained trained;
  const fit::Trainer boost = [&](const fit::Candidate& boosted,
                                 const fit::Dataset& columns) -> Result<engine::PlainModel> {
    TrainOptions options;
    options.objective = columns.objective;
    options.classes = columns.labels.size();
    options.trees = static_cast<int>(boosted.trees);
    options.depth = static_cast<int>(boosted.depth);
    options.learning_rate = boosted.learning_rate;
    options.seed = settings.seed;
    options.threads = settings.threads;
    if (columns.labels.empty()) options.base_score = static_cast<float>(fit::constant(columns).base_margins[0]);
    WB_TRY(Booster booster, Booster::train({columns.rows, columns.features.size(), columns.targets, columns.weights},
                                           options, progress));
    WB_TRY(engine::PlainModel plain, booster.trees());
    plain.features = columns.features;
    plain.labels = columns.labels;
    plain.reference_scores.label_counts.assign(columns.labels.size(), 0);
    trained.booster.emplace(std::move(booster));
    return plain;
  };
  WB_TRY(trained.plain, fit::train(candidate, data, settings.seed, boost));
  return trained;
}

fit::LibraryMargins Trained::library_margins() const {
  if (!booster) return {};
  return [this](std::span<const float> columns, size_t n) { return booster->margins(columns, n); };
}

}  // namespace wb::cli
