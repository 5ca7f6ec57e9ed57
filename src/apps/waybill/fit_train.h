#pragma once
// Trains one candidate: boosting with XGBoost (booster.h), the rest with src/fit.

#include <functional>
#include <optional>

#include "apps/waybill/booster.h"
#include "fit/fit.h"

namespace wb::cli {

struct TrainSettings {
  uint32_t seed = 1;
  int threads = 1;
};

struct Trained {
  engine::PlainModel plain;        // trees, objective, features, labels
  std::optional<Booster> booster;  // of boosting: the library's own answers, to compare with
};

// `progress(done, of)` after each round of boosting; may be empty.
Result<Trained> train(const fit::Candidate& candidate, const fit::Dataset& data, const TrainSettings& settings,
                      const std::function<void(int, int)>& progress);

// What XGBoost itself says about f32[n, features] of the data it learnt from: f32[n, outputs].
Result<std::vector<float>> library_margins(const Booster& booster, const fit::Dataset& data,
                                           std::span<const float> rows);

}  // namespace wb::cli
