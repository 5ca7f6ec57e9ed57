// How many bytes a node takes, all told: on models shaped as boosting on quantile cuts leaves them. Each feature has
// at most 255 different thresholds, the cuts of values of its own spread; splits prefer the middle; leaves are any f32.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/prng.h"
#include "engine/engine.h"

namespace wb::engine {
namespace {

constexpr size_t kCuts = 255;

float bell(Prng& prng) {  // the sum of four uniform numbers
  double sum = 0;
  for (int i = 0; i < 4; ++i) sum += static_cast<double>(prng.below(1U << 24)) / (1U << 24) - 0.5;
  return static_cast<float>(sum);
}

std::vector<float> cuts_of_feature(Prng& prng) {
  const float spread = std::exp2(static_cast<float>(prng.below(16)) - 8);
  std::vector<float> values;
  for (int i = 0; i < 20'000; ++i) values.push_back(bell(prng) * spread);
  std::sort(values.begin(), values.end());
  std::vector<float> cuts;
  for (size_t i = 1; i <= kCuts; ++i) cuts.push_back(values[i * values.size() / (kCuts + 1)]);
  return cuts;
}

struct Shape {
  size_t trees = 0;
  size_t depth = 0;
  size_t features = 0;
};

// Full trees. `missing`: each split has a side of its own for missing values, else all go left.
PlainModel boosted(const Shape& shape, bool missing) {
  Prng prng(shape.trees);
  PlainModel model;
  model.objective = Objective::kRegression;
  model.base_margins = {0.5};
  std::vector<std::vector<float>> cuts;
  for (size_t i = 0; i < shape.features; ++i) {
    model.features.push_back("feature_" + std::to_string(i));
    cuts.push_back(cuts_of_feature(prng));
  }
  const size_t splits = (size_t{1} << shape.depth) - 1;
  for (size_t t = 0; t < shape.trees; ++t) {
    Tree& tree = model.trees.emplace_back();
    for (size_t i = 0; i < 2 * splits + 1; ++i) {
      TreeNode node;
      if (i < splits) {
        node.feature = static_cast<uint32_t>(prng.below(shape.features));
        const size_t cut = (prng.below(kCuts) + prng.below(kCuts)) / 2;
        node.value = static_cast<double>(cuts[node.feature][cut]);
        node.default_left = !missing || prng.chance(500'000);
        node.left = static_cast<int32_t>(2 * i + 1);
        node.right = static_cast<int32_t>(2 * i + 2);
      } else {
        node.value = static_cast<double>(bell(prng) / 10);
      }
      tree.nodes.push_back(node);
    }
  }
  return model;
}

double bytes_a_node(const Shape& shape, bool missing) {
  const std::string bytes = *pack(boosted(shape, missing));
  const Model model = std::move(Model::load(bytes)).value();
  const double each = static_cast<double>(bytes.size()) / static_cast<double>(model.nodes_count());
  const std::string name = std::to_string(shape.trees) + " trees x depth " + std::to_string(shape.depth) + " x " +
                           std::to_string(shape.features) + " features" + (missing ? ", missing values" : "");
  testing::Test::RecordProperty(name, std::to_string(each));
  std::printf("  %s: %zu bytes for %zu nodes, %.3f each; in memory %zu\n", name.c_str(), bytes.size(),
              model.nodes_count(), each, model.forest_memory_bytes());
  return each;
}

TEST(Size, AHundredTreesOfDepthSixTakeFiftyKilobytes) {
  EXPECT_LE(bytes_a_node({100, 6, 20}, false), 4.1);
  EXPECT_LE(bytes_a_node({100, 6, 20}, true), 4.1);
}

TEST(Size, FiveHundredTreesOfDepthEightTakeThreeAndAHalfBytesANode) {
  EXPECT_LE(bytes_a_node({500, 8, 50}, false), 3.5);
  EXPECT_LE(bytes_a_node({500, 8, 50}, true), 3.5);
}

// Measurements that are whole or rounded have thresholds whose last bits are zeros: those cost nothing.
TEST(Size, RoundThresholdsTakeLess) {
  PlainModel model = boosted({100, 6, 20}, false);
  const size_t before = pack(model)->size();
  for (Tree& tree : model.trees) {
    for (TreeNode& node : tree.nodes) {
      if (node.left >= 0)
        node.value = std::bit_cast<float>(std::bit_cast<uint32_t>(static_cast<float>(node.value)) & ~0xFFFU);
    }
  }
  EXPECT_LT(pack(model)->size(), before - before / 20);
}

}  // namespace
}  // namespace wb::engine
