#pragma once
// Random models and nasty rows for the engine's tests.

#include <bit>
#include <cmath>
#include <limits>

#include "base/prng.h"
#include "engine/engine.h"

namespace wb::engine::testing {

inline float random_float(Prng& prng) {
  return static_cast<float>(static_cast<int64_t>(prng.below(20'001)) - 10'000) / 512.0F;
}

// Nodes in no particular order, as trainers give them: children are made breadth first.
inline Tree random_tree(Prng& prng, size_t features, size_t nodes_max, uint32_t output) {
  Tree tree{output, {}};
  tree.nodes.emplace_back();
  for (size_t i = 0; i < tree.nodes.size(); ++i) {
    const bool split = tree.nodes.size() + 2 <= nodes_max && (i == 0 || prng.chance(700'000));
    tree.nodes[i].value = random_float(prng);
    if (!split) continue;
    tree.nodes[i].feature = static_cast<uint32_t>(prng.below(features));
    tree.nodes[i].default_left = prng.chance(500'000);
    if (prng.chance(50'000)) tree.nodes[i].value = prng.chance(500'000) ? 0.0F : -0.0F;
    if (prng.chance(20'000)) tree.nodes[i].value = std::numeric_limits<float>::infinity();
    if (prng.chance(20'000)) tree.nodes[i].value = std::numeric_limits<float>::denorm_min();
    tree.nodes[i].left = static_cast<int32_t>(tree.nodes.size());
    tree.nodes[i].right = static_cast<int32_t>(tree.nodes.size() + 1);
    tree.nodes.resize(tree.nodes.size() + 2);
  }
  return tree;
}

inline PlainModel random_model(uint64_t seed, size_t features, size_t outputs, size_t trees, size_t nodes_max) {
  Prng prng(seed);
  PlainModel model;
  model.objective = outputs > 1 ? Objective::kSoftprob : Objective::kRegression;
  for (size_t i = 0; i < features; ++i) model.features.push_back("f" + std::to_string(i));
  for (size_t i = 0; i < outputs && outputs > 1; ++i) model.labels.push_back("class " + std::to_string(i));
  for (size_t i = 0; i < outputs; ++i) model.base_margins.push_back(0.5F);
  for (size_t i = 0; i < trees; ++i) {
    const size_t nodes = 1 + prng.below(nodes_max);
    model.trees.push_back(random_tree(prng, features, nodes, static_cast<uint32_t>(i % outputs)));
  }
  model.reference_scores.label_counts.resize(model.labels.size());
  return model;
}

// A value on a threshold, one step beside it, or one of the numbers that break careless code.
inline float nasty_value(Prng& prng, const PlainModel& model, bool with_nan) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float special[] = {0.0F,
                           -0.0F,
                           kInfinity,
                           -kInfinity,
                           std::numeric_limits<float>::denorm_min(),
                           -std::numeric_limits<float>::denorm_min(),
                           std::numeric_limits<float>::max()};
  const uint64_t kind = prng.below(10);
  if (kind == 0) return special[prng.below(std::size(special))];
  if (kind == 1) return with_nan ? std::numeric_limits<float>::quiet_NaN() : random_float(prng);
  if (kind < 4 || model.trees.empty()) return random_float(prng);
  const Tree& tree = model.trees[prng.below(model.trees.size())];
  const float value = tree.nodes[prng.below(tree.nodes.size())].value;
  if (kind < 6) return value;
  return std::nextafter(value, kind < 8 ? kInfinity : -kInfinity);
}

inline std::vector<float> nasty_rows(Prng& prng, const PlainModel& model, size_t rows, bool with_nan) {
  std::vector<float> values;
  for (size_t row = 0; row < rows; ++row) {
    const bool nan_here = with_nan && prng.chance(500'000);
    for (size_t i = 0; i < model.features.size(); ++i) values.push_back(nasty_value(prng, model, nan_here));
  }
  return values;
}

}  // namespace wb::engine::testing
