// How long a margin takes, for the shapes that docs/formats/model.md measures. The models are made up (full trees, or
// grown leaf by leaf, as LightGBM's; at most 255 thresholds a feature), so the figures need no data; rows are more than
// a branch predictor remembers.
#include <benchmark/benchmark.h>

#include "base/prng.h"
#include "engine/engine.h"

namespace {

using namespace wb;

struct Shape {
  size_t trees = 0;
  int depth = 0;
  size_t features = 0;
  size_t classes = 1;
  size_t leaves = 0;  // 0: full trees
};
constexpr Shape kShapes[] = {{100, 6, 20, 1}, {500, 8, 50, 1}, {350, 6, 9, 7}, {100, 0, 20, 1, 31}};

engine::Tree full_tree(Prng& prng, const Shape& shape, uint32_t output) {
  engine::Tree tree{output, {}};
  const size_t splits = (size_t{1} << shape.depth) - 1;
  for (size_t i = 0; i < 2 * splits + 1; ++i) {
    engine::TreeNode node;
    node.value = static_cast<double>(1 + prng.below(255)) / 256;
    if (i < splits) {
      node.feature = static_cast<uint32_t>(prng.below(shape.features));
      node.left = static_cast<int32_t>(2 * i + 1);
      node.right = static_cast<int32_t>(2 * i + 2);
    }
    tree.nodes.push_back(node);
  }
  return tree;
}

// Any leaf may be the next to split, so that trees are as deep as they fall.
engine::Tree leafwise_tree(Prng& prng, const Shape& shape, uint32_t output) {
  engine::Tree tree{output, {}};
  std::vector<size_t> leaves{0};
  const auto add = [&] {
    tree.nodes.emplace_back().value = static_cast<double>(1 + prng.below(255)) / 256;
    return static_cast<int32_t>(tree.nodes.size() - 1);
  };
  add();
  while (leaves.size() < shape.leaves) {
    size_t& chosen = leaves[prng.below(leaves.size())];
    const size_t at = chosen;
    tree.nodes[at].feature = static_cast<uint32_t>(prng.below(shape.features));
    const int32_t left = add();
    const int32_t right = add();
    tree.nodes[at].left = left;
    tree.nodes[at].right = right;
    chosen = static_cast<size_t>(left);
    leaves.push_back(static_cast<size_t>(right));
  }
  return tree;
}

engine::Model made_up_model(const Shape& shape, bool explains = false) {
  Prng prng(1);
  engine::PlainModel plain;
  plain.objective = shape.classes > 1 ? engine::Objective::kSoftprob : engine::Objective::kRegression;
  for (size_t i = 0; i < shape.features; ++i) plain.features.push_back("f" + std::to_string(i));
  for (size_t i = 0; shape.classes > 1 && i < shape.classes; ++i) plain.labels.push_back("c" + std::to_string(i));
  plain.base_margins.assign(shape.classes, 0.5);
  plain.reference_scores.label_counts.resize(plain.labels.size());
  for (uint32_t i = 0; i < shape.trees; ++i) {
    const uint32_t output = i % static_cast<uint32_t>(shape.classes);
    plain.trees.push_back(shape.leaves > 0 ? leafwise_tree(prng, shape, output) : full_tree(prng, shape, output));
  }
  for (size_t i = 0; explains && i < plain.trees.size(); ++i)
    for (size_t node = 0; node < plain.trees[i].nodes.size(); ++node)
      plain.trees[i].covers.push_back(static_cast<double>(1 + prng.below(1'000)));
  return std::move(engine::Model::load(*engine::pack(plain))).value();
}

void margins(benchmark::State& state) {
  const Shape& shape = kShapes[state.range(0)];
  const engine::Model model = made_up_model(shape);
  const auto rows_at_once = static_cast<size_t>(state.range(1));
  constexpr size_t kRows = 4'096;
  Prng prng(2);
  std::vector<float> rows;
  for (size_t i = 0; i < kRows * shape.features; ++i) rows.push_back(static_cast<float>(prng.below(1'000)) / 1'000.0F);
  std::vector<float> out(rows_at_once * shape.classes);
  size_t at = 0;
  for (auto _ : state) {
    const auto batch = std::span(rows).subspan(at * shape.features, rows_at_once * shape.features);
    model.predict_margins(batch, rows_at_once, out);
    benchmark::DoNotOptimize(out.data());
    at = (at + rows_at_once) % kRows;
  }
  const std::string each = shape.leaves > 0 ? std::to_string(shape.leaves) + " leaves" : std::to_string(shape.depth);
  state.SetLabel(std::to_string(shape.trees) + "x" + each + "x" + std::to_string(shape.features));
  state.SetItemsProcessed(state.iterations() * state.range(1));
}
BENCHMARK(margins)->ArgsProduct({{0, 1, 2, 3}, {1, 64, 1'024}});

// Contributions of each feature, row by row.
void explain(benchmark::State& state) {
  const Shape& shape = kShapes[state.range(0)];
  const engine::Model model = made_up_model(shape, true);
  const auto explainer = engine::Explainer::load(model.bytes());
  constexpr size_t kRows = 256;
  Prng prng(2);
  std::vector<double> rows;
  for (size_t i = 0; i < kRows * shape.features; ++i) rows.push_back(static_cast<double>(prng.below(1'000)) / 1'000);
  std::vector<double> out(shape.classes * (shape.features + 1));
  size_t at = 0;
  for (auto _ : state) {
    explainer->explain(std::span(rows).subspan(at * shape.features, shape.features), 1, out);
    benchmark::DoNotOptimize(out.data());
    at = (at + 1) % kRows;
  }
  state.SetLabel(std::to_string(shape.trees) + "x" + std::to_string(shape.depth) + "x" +
                 std::to_string(shape.features) + ", " + std::to_string(explainer->memory_bytes()) + " bytes");
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(explain)->DenseRange(0, 2);

void load(benchmark::State& state) {
  const std::string bytes = made_up_model(kShapes[state.range(0)]).bytes();
  for (auto _ : state) benchmark::DoNotOptimize(engine::Model::load(bytes).ok());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(load)->DenseRange(0, 3);

}  // namespace

BENCHMARK_MAIN();
