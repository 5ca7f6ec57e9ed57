// How long a margin takes. The model is made up (350 trees of depth 6, 9 features, 7 classes, like Shuttle but full),
// so the figures need no data; `waybill fit` prints the single-row time of a real model.
#include <benchmark/benchmark.h>

#include "base/prng.h"
#include "engine/engine.h"

namespace {

using namespace wb;

constexpr size_t kFeatures = 9;
constexpr size_t kClasses = 7;

engine::Tree full_tree(Prng& prng, int depth, uint32_t output) {
  engine::Tree tree{output, {}};
  const size_t splits = (size_t{1} << depth) - 1;
  for (size_t i = 0; i < 2 * splits + 1; ++i) {
    engine::TreeNode node;
    node.value = static_cast<float>(prng.below(200)) / 200.0F;
    if (i < splits) {
      node.feature = static_cast<uint32_t>(prng.below(kFeatures));
      node.left = static_cast<int32_t>(2 * i + 1);
      node.right = static_cast<int32_t>(2 * i + 2);
    }
    tree.nodes.push_back(node);
  }
  return tree;
}

engine::Model made_up_model() {
  Prng prng(1);
  engine::PlainModel plain;
  for (size_t i = 0; i < kFeatures; ++i) plain.features.push_back("f" + std::to_string(i));
  for (size_t i = 0; i < kClasses; ++i) plain.labels.push_back("c" + std::to_string(i));
  plain.base_margins.assign(kClasses, 0.5F);
  plain.reference_scores.label_counts.resize(kClasses);
  for (uint32_t i = 0; i < 350; ++i) plain.trees.push_back(full_tree(prng, 6, i % kClasses));
  return std::move(engine::Model::load(*engine::pack(plain))).value();
}

void margins(benchmark::State& state) {
  const engine::Model model = made_up_model();
  const auto rows_at_once = static_cast<size_t>(state.range(0));
  constexpr size_t kRows = 4'096;  // more than a branch predictor remembers
  Prng prng(2);
  std::vector<float> rows;
  for (size_t i = 0; i < kRows * kFeatures; ++i) rows.push_back(static_cast<float>(prng.below(1'000)) / 1'000.0F);
  std::vector<float> out(rows_at_once * kClasses);
  size_t at = 0;
  for (auto _ : state) {
    model.predict_margins(std::span(rows).subspan(at * kFeatures, rows_at_once * kFeatures), rows_at_once, out);
    benchmark::DoNotOptimize(out.data());
    at = (at + rows_at_once) % kRows;
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(margins)->Arg(1)->Arg(8)->Arg(256);

void load(benchmark::State& state) {
  const std::string bytes = made_up_model().bytes();
  for (auto _ : state) benchmark::DoNotOptimize(engine::Model::load(bytes).ok());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(bytes.size()));
}
BENCHMARK(load);

}  // namespace

BENCHMARK_MAIN();
