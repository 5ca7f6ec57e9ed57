#pragma once
// Small made-up tables whose answers are known.
#include "base/prng.h"
#include "fit/dataset.h"

namespace wb::fit {

// n rows of two features in [0, 1) and one of noise; the label says in which of three bands x lies, y splits one of
// them.
inline Dataset banded(size_t n, uint64_t seed) {
  Dataset data;
  data.objective = engine::Objective::kSoftprob;
  data.features = {"x", "y", "noise"};
  data.labels = {"low", "middle", "high"};
  Prng prng(seed);
  for (size_t i = 0; i < n; ++i) {
    const float x = static_cast<float>(unit_interval(prng.next()));
    const float y = static_cast<float>(unit_interval(prng.next()));
    const float noise = static_cast<float>(unit_interval(prng.next()));
    data.rows.insert(data.rows.end(), {x, y, noise});
    data.targets.push_back(x < 0.3F ? 0.0F : x < 0.7F ? 1.0F : y < 0.5F ? 2.0F : 0.0F);
  }
  return data;
}

// n rows with one feature; the target is its square.
inline Dataset squares(size_t n) {
  Dataset data;
  data.objective = engine::Objective::kRegression;
  data.features = {"x"};
  for (size_t i = 0; i < n; ++i) {
    const float x = static_cast<float>(i) / static_cast<float>(n);
    data.rows.push_back(x);
    data.targets.push_back(x * x);
  }
  return data;
}

}  // namespace wb::fit
