// Contributions against the definition: Shapley values counted out over all coalitions.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "engine/reference.h"
#include "engine/test_models.h"

namespace wb::engine {
namespace {

// The features that columns come from, where wild_model() has steps: select(0, features + 1) of what ordinal, one-hot
// and the others left.
std::vector<uint32_t> origins(const PlainModel& model) {
  std::vector<uint32_t> out(columns_count(model));
  for (uint32_t i = 0; i < out.size(); ++i) out[i] = i;
  if (model.steps.empty()) return out;
  return {model.features.size() > 1 ? 1U : 0U, 0};  // one-hot took column 0 away and put three of it behind the last
}

// What a coalition of features expects: Lundberg et al. 2020, Algorithm 1.
class Game {
 public:
  Game(const PlainModel& model, std::span<const double> row) : model_(model), from_(origins(model)) {
    columns_.assign(row.begin(), row.end());
    prepare_row(model, columns_);
  }

  double value(uint32_t coalition, size_t output) const {
    double sum = model_.base_margins[output];
    for (const Tree& tree : model_.trees) {
      if (tree.vectors.empty() && tree.output != output) continue;
      sum += below(tree, 0, coalition, output);
    }
    for (size_t i = 0; model_.linear && i < columns_.size(); ++i) {
      const bool knows = (coalition >> from_[i] & 1) != 0;
      const double x = model_.sum.precision == Precision::kF32 ? static_cast<float>(columns_[i]) : columns_[i];
      const double weight = model_.linear->weights[output * columns_.size() + i];
      if (!knows) sum += weight * model_.linear->means[i];
      if (knows && !(model_.linear->skips_missing && std::isnan(x))) sum += weight * x;
    }
    if (model_.sum.divisor) sum /= *model_.sum.divisor;
    if (model_.sum.factor) sum *= *model_.sum.factor;
    return model_.sum.offsets.empty() ? sum : sum + model_.sum.offsets[output];
  }

 private:
  double cover(const Tree& tree, size_t node) const {
    const TreeNode& at = tree.nodes[node];
    if (at.left < 0) return tree.covers[node];
    return cover(tree, static_cast<size_t>(at.left)) + cover(tree, static_cast<size_t>(at.right));
  }
  double below(const Tree& tree, size_t node, uint32_t coalition, size_t output) const {
    const TreeNode& at = tree.nodes[node];
    if (at.left < 0)
      return tree.vectors.empty() ? at.value : tree.vectors[at.feature * model_.outputs_count() + output];
    const auto left = static_cast<size_t>(at.left);
    const auto right = static_cast<size_t>(at.right);
    if ((coalition >> from_[at.feature] & 1) != 0)
      return below(tree, goes_left(model_, at, columns_[at.feature]) ? left : right, coalition, output);
    const double whole = cover(tree, node);
    if (whole == 0) return 0;
    return cover(tree, left) / whole * below(tree, left, coalition, output) +
           cover(tree, right) / whole * below(tree, right, coalition, output);
  }
  const PlainModel& model_;
  std::vector<uint32_t> from_;
  std::vector<double> columns_;
};

// f64[outputs, features + 1]
std::vector<double> counted_out(const PlainModel& model, std::span<const double> row) {
  const Game game(model, row);
  const auto features = static_cast<uint32_t>(model.features.size());
  std::vector<double> weights;  // of a coalition by its size: s! (n - s - 1)! / n!
  for (uint32_t size = 0; size < features; ++size)
    weights.push_back(std::exp(std::lgamma(size + 1) + std::lgamma(features - size) - std::lgamma(features + 1)));
  std::vector<double> out;
  for (size_t output = 0; output < model.outputs_count(); ++output) {
    std::vector<double> values;
    for (uint32_t coalition = 0; coalition < 1U << features; ++coalition)
      values.push_back(game.value(coalition, output));
    for (uint32_t feature = 0; feature < features; ++feature) {
      double sum = 0;
      for (uint32_t coalition = 0; coalition < values.size(); ++coalition) {
        if ((coalition >> feature & 1) != 0) continue;
        sum += weights[static_cast<size_t>(std::popcount(coalition))] *
               (values[coalition | 1U << feature] - values[coalition]);
      }
      out.push_back(sum);
    }
    out.push_back(values[0]);
  }
  return out;
}

double largest_leaf(const PlainModel& model) {
  double largest = 1;
  for (const Tree& tree : model.trees) {
    for (const TreeNode& node : tree.nodes) largest = std::max(largest, node.left < 0 ? std::fabs(node.value) : 0);
    for (const double value : tree.vectors) largest = std::max(largest, std::fabs(value));
  }
  return largest * static_cast<double>(model.trees.size() + 1);
}

Explainer explainer_of(const PlainModel& model) {
  auto out = Explainer::load(*pack(model));
  EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.error().text);
  return std::move(out).value();
}

std::vector<double> explained(const PlainModel& model, std::span<const double> row) {
  std::vector<double> out(model.outputs_count() * (model.features.size() + 1));
  explainer_of(model).explain(row, 1, out);
  return out;
}

TEST(Explain, ShapleyValuesOfEveryKindOfModel) {
  size_t compared = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    PlainModel model = testing::wild_model(seed);
    if (model.features.size() > 8 || !Explainer::serves(model).ok()) continue;
    Prng prng(seed);
    testing::add_covers(prng, model);
    if (model.linear) model.linear->means.assign(columns_count(model), 0.25);
    const double scale = largest_leaf(model) * (model.linear ? 1e3 : 1);
    for (int i = 0; i < 3; ++i) {
      std::vector<double> row = testing::nasty_wide_rows(prng, model, 1);
      for (double& x : row) x = model.linear && std::fabs(x) > 1e3 ? 1e3 : x;  // or differences of sums have no digits
      const std::vector<double> slow = counted_out(model, row);
      const std::vector<double> fast = explained(model, row);
      for (size_t at = 0; at < slow.size(); ++at) {
        if (std::isnan(slow[at])) continue;  // missing, and the linear part does not skip it
        ASSERT_NEAR(fast[at], slow[at], 1e-12 * scale) << "seed " << seed << ", at " << at;
        ++compared;
      }
    }
  }
  EXPECT_GT(compared, 3'000U);
}

// Deeper than any coalition could be counted out: a chain of 64 features that all must hold. They are alike, so each
// has an equal part.
TEST(Explain, DeepTreesLoseNoDigits) {
  PlainModel model = testing::random_model(1, 64, 1, 0, 1);
  Tree tree;
  for (uint32_t i = 0; i < 64; ++i) {
    TreeNode split;
    split.feature = i;
    split.left = static_cast<int32_t>(tree.nodes.size() + 1);
    split.right = static_cast<int32_t>(tree.nodes.size() + 2);
    tree.nodes.push_back(split);
    tree.nodes.emplace_back();
    // A third of what is left goes away at each split.
    tree.covers.push_back(0);
    tree.covers.push_back(std::pow(2.0 / 3, i) / 3 * 1e12);
  }
  tree.nodes.emplace_back();
  tree.nodes.back().value = 1;
  tree.covers.push_back(std::pow(2.0 / 3, 64) * 1e12);
  model.trees.push_back(tree);
  const std::vector<double> out = explained(model, std::vector<double>(64, 1.0));
  const double bias = std::pow(2.0 / 3, 64);
  for (size_t i = 0; i < 64; ++i) EXPECT_NEAR(out[i] * 64 / (1 - bias), 1, 1e-13) << i;
  EXPECT_NEAR((out[64] - 0.5) / bias, 1, 1e-3);  // f64 has no more beside 0.5
}

TEST(Explain, ContributionsAddUpToTheMargin) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    PlainModel model = testing::random_model(seed, 12, 3, 20, 200);
    Prng prng(seed);
    testing::add_covers(prng, model);
    const std::vector<float> narrow = testing::nasty_rows(prng, model, 20, true);
    const std::vector<double> rows(narrow.begin(), narrow.end());
    std::vector<double> out(size_t{20} * 3 * 13);
    explainer_of(model).explain(rows, 20, out);
    for (size_t row = 0; row < 20; ++row) {
      const auto margins = reference_margins(model, std::span(rows).subspan(row * 12, 12));
      for (size_t output = 0; output < 3; ++output) {
        double sum = 0;
        for (size_t i = 0; i < 13; ++i) sum += out[(row * 3 + output) * 13 + i];
        ASSERT_NEAR(sum, margins[output], 1e-6 * largest_leaf(model));
      }
    }
  }
}

TEST(Explain, SaysWhatIsNotThere) {
  PlainModel model = testing::random_model(1, 2, 1, 2, 9);
  const auto said = [&] { return Explainer::load(*pack(model)).error(); };
  EXPECT_EQ(said().code, Code::kUnsupported);
  EXPECT_NE(said().text.find("import or fit the model again with --explain"), std::string::npos) << said().text;
  model.trees.clear();
  model.linear = Linear{{1, 2}};
  EXPECT_NE(said().text.find("the means that a linear model is explained against"), std::string::npos);
  model.linear.reset();
  EXPECT_EQ(explained(model, std::vector<double>{1, 2}), (std::vector<double>{0, 0, 0.5}));  // a constant
  model.trees.push_back({0, {TreeNode{}}});
  model.trees[0].nodes[0].set = 0;
  model.lines = {Line{}};
  EXPECT_NE(said().text.find("trees whose leaves are linear models"), std::string::npos);
  model.predictor = Neighbours{};
  EXPECT_NE(Explainer::serves(model).error().text.find("not of networks and neighbours"), std::string::npos);
}

TEST(Explain, APathReadsAsConditions) {
  PlainModel model = testing::random_model(1, 3, 1, 0, 1);
  model.features = {"vib", "kind", "temp"};
  model.sets = {{1, 3}};
  Tree tree;
  tree.nodes = {{1, 2, 0, 0.1F}, {}, {3, 4, 1, 0, false, Missing::kNan, 0}, {}, {5, 6, 2, 20, true}, {}, {}};
  model.trees = {tree};
  const auto path = [&](std::vector<double> row) { return decision_path(model, 0, row); };
  EXPECT_EQ(path({0, 0, 0}), std::vector<std::string>{"vib < 0.1"});
  EXPECT_EQ(path({1, 3, 0}), (std::vector<std::string>{"vib >= 0.1", "kind is one of 1, 3"}));
  EXPECT_EQ(path({1, 2, std::nan("")}),
            (std::vector<std::string>{"vib >= 0.1", "kind is none of 1, 3", "temp is missing"}));
  model.steps = {Impute{{0}, {7}}, OneHot{1, {5, 6}}, Select{{0, 2, 1}}};
  model.trees[0].nodes[2] = {3, 4, 1, 0.5};
  EXPECT_EQ(path({std::nan(""), 5, 30}),
            (std::vector<std::string>{"prepared vib >= 0.1", "(kind is 5) >= 0.5", "temp >= 20"}));
  model.texts = {{}, {"run", "stop"}, {}};
  model.steps[1] = OneHot{1, {0, 1}};
  EXPECT_EQ(path({1, 0, 0})[1], "(kind is run) >= 0.5");
}

}  // namespace
}  // namespace wb::engine
