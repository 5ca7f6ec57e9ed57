#pragma once
// Trains one candidate: boosting with XGBoost (booster.h), the rest with src/fit.

#include <functional>
#include <optional>

#include "apps/waybill/booster.h"
#include "fit/fit.h"
#include "fit/package.h"

namespace wb::cli {

struct TrainSettings {
  uint32_t seed = 1;
  int threads = 1;
};

struct Trained {
  engine::PlainModel plain;                     // trees, objective, features, labels
  std::optional<Booster> booster;               // of boosting: the library's own answers, to compare with
  fit::LibraryMargins library_margins() const;  // none if no library trained; not longer than this lives
};

// `progress(done, of)` after each round of boosting; may be empty.
Result<Trained> train(const fit::Candidate& candidate, const fit::Dataset& data, const TrainSettings& settings,
                      const std::function<void(int, int)>& progress);

}  // namespace wb::cli
