#pragma once
// Random models and nasty rows for the engine's tests.

#include <bit>
#include <cmath>
#include <limits>

#include "base/prng.h"
#include "engine/engine.h"
#include "engine/reference.h"

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

// Any number that a threshold or leaf of this model may be.
inline double random_number(Prng& prng, bool f64) {
  const auto f32 = static_cast<double>(random_float(prng));
  return f64 ? f32 / 3 : f32;
}

// Splits as other libraries have them: any rule for missing values, categories, thresholds in f64.
inline void make_foreign(Prng& prng, PlainModel& model) {
  const bool wide = model.compare != Compare::kF32Less;
  const bool wide_leaves = model.sum.precision == Precision::kF64;
  const size_t columns = columns_count(model);
  for (Tree& tree : model.trees) {
    for (TreeNode& node : tree.nodes) {
      if (node.left < 0) {
        if (wide_leaves) node.value = random_number(prng, true);
        continue;
      }
      node.feature = static_cast<uint32_t>(prng.below(columns));
      if (wide && prng.chance(800'000)) node.value = random_number(prng, true);
      node.missing = static_cast<Missing>(1 + prng.below(3));
      if (!model.sets.empty() && prng.chance(250'000)) node.set = static_cast<int32_t>(prng.below(model.sets.size()));
    }
    if (model.labels.empty() || !prng.chance(300'000)) continue;
    tree.output = 0;  // leaves are vectors
    const size_t vectors = 1 + prng.below(tree.nodes.size());
    for (size_t i = 0; i < vectors * model.outputs_count(); ++i)
      tree.vectors.push_back(random_number(prng, wide_leaves));
    for (TreeNode& node : tree.nodes) {
      if (node.left < 0) node.feature = static_cast<uint32_t>(prng.below(vectors));
    }
  }
}

// Which bits a NaN has depends on the processor.
inline bool same_bits(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b) || (std::isnan(a) && std::isnan(b));
}

// The margins of the self-test rows that the model has.
inline void answer_self_test(PlainModel& model) {
  const size_t features = model.features.size();
  const std::span<const double> rows = model.self_test.rows;
  model.self_test.margins.clear();
  for (size_t at = 0; at < rows.size(); at += features) {
    const std::vector<double> margins = reference_margins(model, rows.subspan(at, features));
    model.self_test.margins.insert(model.self_test.margins.end(), margins.begin(), margins.end());
  }
}

// Counts of rows, some of them 0; or weights.
inline void add_covers(Prng& prng, Description& model) {
  const uint64_t kind = prng.below(3);
  for (Tree& tree : model.trees) {
    tree.covers.assign(tree.nodes.size(), 1);  // so that no sum is 0
    for (double& cover : tree.covers) {
      const auto rows = static_cast<double>(prng.below(300));
      if (prng.chance(700'000)) cover = rows / (kind == 0 ? 1 : kind == 1 ? 256 : 3);
    }
    tree.covers[0] = 1;  // of trees of one leaf
  }
}

// Some leaves become lines.
inline void make_lines(Prng& prng, PlainModel& model) {
  const bool wide = model.sum.precision == Precision::kF64;
  const size_t columns = columns_count(model);
  for (Tree& tree : model.trees) {
    for (TreeNode& node : tree.nodes) {
      if (node.left >= 0 || !tree.vectors.empty() || prng.chance(500'000)) continue;
      node.set = static_cast<int32_t>(model.lines.size());
      Line& line = model.lines.emplace_back(Line{random_number(prng, wide), {}, {}});
      for (size_t i = prng.below(4); i > 0; --i) {
        line.columns.push_back(static_cast<uint32_t>(prng.below(columns)));
        line.weights.push_back(random_number(prng, wide));
      }
    }
  }
}

// The model's ensemble gives way to a predictor of another kind.
inline void make_other(Prng& prng, PlainModel& model) {
  const bool wide = model.sum.precision == Precision::kF64;
  const size_t outputs = model.outputs_count();
  size_t width = columns_count(model);
  model.trees.clear();
  model.sets.clear();
  model.lines.clear();
  model.linear.reset();
  model.sum = Sum{.precision = model.sum.precision};
  model.base_margins.assign(outputs, 0);
  const auto numbers = [&](size_t count) {
    std::vector<double> out;
    for (size_t i = 0; i < count; ++i) out.push_back(random_number(prng, wide));
    return out;
  };
  if (prng.chance(500'000)) {
    Network network;
    for (size_t left = prng.below(3); left != SIZE_MAX; --left) {
      const size_t units = left == 0 ? outputs : 1 + prng.below(9);
      network.layers.push_back({static_cast<Activation>(1 + prng.below(4)), numbers(width * units), numbers(units)});
      width = units;
    }
    model.predictor = std::move(network);
    return;
  }
  model.objective = model.labels.empty() ? Objective::kRegression : Objective::kVotes;
  model.shift = 0;
  const size_t points = 1 + prng.below(40);
  Neighbours all;
  all.distance = static_cast<Distance>(1 + prng.below(2));
  all.count = static_cast<uint32_t>(1 + prng.below(points));
  all.by_distance = prng.chance(500'000);
  all.points = numbers(points * width);
  all.targets = numbers(points * outputs);
  if (!model.labels.empty()) {
    all.targets.resize(points);
    for (double& target : all.targets) target = static_cast<double>(prng.below(outputs));
  }
  model.predictor = std::move(all);
}

// A model of every kind that a description can say; which, depends on the seed.
inline PlainModel wild_model(uint64_t seed) {
  Prng prng(seed);
  const size_t features = 1 + prng.below(6);
  const size_t outputs = 1 + prng.below(4);
  const size_t trees = prng.below(20);
  PlainModel model = random_model(seed, features, outputs, trees, 1 + prng.below(120));
  model.compare = static_cast<Compare>(1 + prng.below(3));
  model.category = static_cast<Category>(1 + prng.below(2));
  model.sum.precision = static_cast<Precision>(1 + prng.below(2));
  const bool wide = model.sum.precision == Precision::kF64;
  if (prng.chance(300'000)) model.sum.divisor = wide ? 0.7 : 3;
  if (prng.chance(300'000)) model.sum.factor = wide ? 0.1 : 5;
  if (prng.chance(300'000)) model.sum.offsets.assign(outputs, wide ? 0.1 : 7);
  if (outputs > 1 && prng.chance(300'000)) model.objective = Objective::kVotes;
  if (outputs > 1 && prng.chance(300'000)) model.slope = 1.5;
  if (prng.chance(300'000)) {
    model.steps = {Impute{{0}, {2.5}}, Scale{Scale::Form::kShiftDivide, {0}, {0.3}, {7}}, OneHot{0, {1, 2, 3}},
                   Ordinal{0, {0, 1}, std::numeric_limits<double>::quiet_NaN()},
                   Select{{0, static_cast<uint32_t>(features + 1)}}};
    model.steps_precision = static_cast<Precision>(1 + prng.below(2));
    if (model.steps_precision == Precision::kF32) model.steps.erase(model.steps.begin() + 1);
  }
  for (size_t i = 0; i < 6 && prng.chance(700'000); ++i) {
    std::vector<uint32_t> set;
    for (uint32_t category = 0; category < 40; ++category) {
      if (prng.chance(200'000)) set.push_back(category);
    }
    set.push_back(100 + static_cast<uint32_t>(i));
    model.sets.push_back(set);
  }
  if (prng.chance(250'000)) {
    model.linear = Linear{{}, prng.chance(500'000)};
    for (size_t i = 0; i < columns_count(model) * outputs; ++i)
      model.linear->weights.push_back(random_number(prng, wide));
  }
  if (outputs == 2 && prng.chance(500'000))
    model.calibration = Calibration{true, {Platt{-1, 0.5}, Isotonic{{-1, 0, 1}, {0, 0.5, 1}}}};
  make_foreign(prng, model);
  if (prng.chance(500'000)) add_covers(prng, model);
  if (prng.chance(250'000)) {
    model.texts.resize(features);
    model.texts.back() = {"run", "stop, or idle", "überfüllt"};
  }
  if (model.linear && prng.chance(500'000))
    for (size_t i = 0; i < columns_count(model); ++i) model.linear->means.push_back(random_number(prng, true));
  if (prng.chance(150'000)) make_lines(prng, model);
  if (outputs == 1 && prng.chance(100'000)) {
    model.objective = Objective::kNormality;
    model.shift = -0.5;
  }
  if (prng.chance(200'000)) make_other(prng, model);
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

// The same in f64, whose neighbours are nearer, and what some rule calls missing or a category.
inline double nasty_wide_value(Prng& prng, const PlainModel& model, bool with_nan) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double special[] = {kZeroMax, -kZeroMax, std::nextafter(kZeroMax, 1), 1e-60, -1e-60, 1e300, -1e300, -0.5, -1};
  const uint64_t kind = prng.below(8);
  if (kind < 3) return static_cast<double>(nasty_value(prng, model, with_nan));
  if (kind == 3) return special[prng.below(std::size(special))];
  if (kind == 4) return static_cast<double>(prng.below(250)) / 2;
  if (model.trees.empty()) return 0;
  const Tree& tree = model.trees[prng.below(model.trees.size())];
  const double value = tree.nodes[prng.below(tree.nodes.size())].value;
  return kind == 5 ? value : std::nextafter(value, kind == 6 ? kInfinity : -kInfinity);
}

inline std::vector<double> nasty_wide_rows(Prng& prng, const PlainModel& model, size_t rows) {
  std::vector<double> values;
  for (size_t i = 0; i < rows * model.features.size(); ++i) values.push_back(nasty_wide_value(prng, model, true));
  return values;
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
