#pragma once
// Booster: the one place that speaks to libxgboost. Trains, asks for margins, and gives the trained trees as plain
// values. No exception and no XGBoost handle leaves it.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace wb::cli {

struct TrainOptions {
  engine::Objective objective = engine::Objective::kSoftprob;
  size_t classes = 0;  // for kSoftprob
  int trees = 50;      // rounds: for kSoftprob each adds one tree per class
  int depth = 6;
  double learning_rate = 0.3;
  float base_score = 0.5F;  // what every answer starts from: for regression the mean of the target
  uint32_t seed = 1;
  int threads = 1;
};

// Row-major training data. labels: class index or regression target. weights: empty, or one per row.
struct TrainData {
  std::span<const float> rows;  // f32[n, features], NaN = missing
  size_t features = 0;
  std::span<const float> labels;
  std::span<const float> weights;
};

class Booster {
 public:
  // `progress(done, of)` is called after each round.
  static Result<Booster> train(const TrainData& data, const TrainOptions& options,
                               const std::function<void(int, int)>& progress);
  Booster(Booster&&) noexcept;
  Booster& operator=(Booster&&) noexcept;
  ~Booster();

  // XGBoost's own margins: f32[n, outputs].
  Result<std::vector<float>> margins(std::span<const float> rows, size_t n) const;
  // As an import of XGBoost's file would give it: features and labels are numbered, their names are the caller's.
  Result<engine::PlainModel> trees() const;
  static std::string version();  // "xgboost 1.7.4"

 private:
  struct Handle;
  explicit Booster(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
};

}  // namespace wb::cli
