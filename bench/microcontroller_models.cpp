// Made-up models of the shapes that docs/benchmarks/microcontrollers.md shows: trees full to their depth, thresholds at
// the quantiles of bell-shaped features as histogram training cuts them, leaves of any number. Their answers mean
// nothing. usage: wb_microcontroller_models FOLDER
#include <algorithm>
#include <cstdio>
#include <fstream>

#include "base/prng.h"
#include "engine/engine.h"

namespace {

using namespace wb;

struct Shape {
  std::string name;
  uint32_t trees = 1;
  unsigned depth = 4;
  uint32_t features = 4;
  uint32_t outputs = 1;
  size_t cuts = 255;
  bool wide = false;  // LightGBM's arithmetic in place of XGBoost's
};

// Of a bell shape: the sum of twelve uniform numbers, sorted, every cut-th.
std::vector<double> quantile_cuts(Prng& prng, const Shape& shape) {
  std::vector<double> values;
  for (size_t i = 0; i < shape.cuts * 8; ++i) {
    int64_t sum = 0;
    for (int part = 0; part < 12; ++part) sum += static_cast<int64_t>(prng.below(1'000'003));
    const double x = static_cast<double>(sum) / 1'000'003 - 6;
    values.push_back(shape.wide ? x : static_cast<double>(static_cast<float>(x)));
  }
  std::sort(values.begin(), values.end());
  std::vector<double> cuts;
  for (size_t i = 0; i < shape.cuts; ++i) cuts.push_back(values[i * 8 + 4]);
  return cuts;
}

engine::PlainModel made(const Shape& shape) {
  Prng prng(1);
  engine::PlainModel model;
  model.objective = shape.outputs > 1 ? engine::Objective::kSoftprob : engine::Objective::kLogistic;
  model.labels = {"a", "b"};
  for (uint32_t i = 2; i < shape.outputs; ++i) model.labels.push_back("label " + std::to_string(i));
  std::vector<std::vector<double>> cuts;
  for (uint32_t i = 0; i < shape.features; ++i) {
    model.features.push_back("x" + std::to_string(i));
    cuts.push_back(quantile_cuts(prng, shape));
  }
  model.base_margins.assign(shape.outputs, 0);
  model.reference_scores.label_counts.resize(model.labels.size());
  if (shape.wide) model.compare = engine::Compare::kF64LessEqual;
  if (shape.wide) model.sum.precision = engine::Precision::kF64;
  const size_t splits = (size_t{1} << shape.depth) - 1;
  for (uint32_t i = 0; i < shape.trees; ++i) {
    engine::Tree tree{i % shape.outputs, {}};
    for (size_t at = 0; at < 2 * splits + 1; ++at) {
      engine::TreeNode node;
      if (at < splits) {
        node.feature = static_cast<uint32_t>(prng.below(shape.features));
        node.value = cuts[node.feature][prng.below(shape.cuts)];
        node.left = static_cast<int32_t>(2 * at + 1);
        node.right = static_cast<int32_t>(2 * at + 2);
      } else {
        const double leaf = (static_cast<double>(prng.below(2'000'003)) - 1'000'001) / 3'000'017;
        node.value = shape.wide ? leaf : static_cast<double>(static_cast<float>(leaf));
      }
      tree.nodes.push_back(node);
    }
    model.trees.push_back(tree);
  }
  return model;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::fprintf(stderr, "usage: wb_microcontroller_models FOLDER\n"), 2;
  const std::vector<Shape> shapes = {{"one_tree", 1, 4, 4, 1, 255, false},
                                     {"boosted_20x4", 20, 4, 8, 1, 255, false},
                                     {"boosted_100x6", 100, 6, 20, 1, 255, false},
                                     {"boosted_100x6_f64", 100, 6, 20, 1, 255, true},
                                     {"boosted_20x4_f64", 20, 4, 8, 1, 255, true}};
  for (const Shape& shape : shapes) {
    const auto bytes = engine::pack(made(shape));
    const std::string path = std::string(argv[1]) + "/" + shape.name + ".wbm";
    if (!bytes.ok()) return std::fprintf(stderr, "%s: %s\n", path.c_str(), bytes.error().text.c_str()), 1;
    std::ofstream out(path, std::ios::binary);
    out << *bytes;
    if (!out.flush()) return std::fprintf(stderr, "cannot write %s\n", path.c_str()), 1;
  }
  return 0;
}
