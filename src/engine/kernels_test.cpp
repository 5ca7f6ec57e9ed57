// Every kernel against the slow twin: each kind of processor that this machine can stand in for, rows one by one and in
// blocks of every awkward size, every shape that has a way of its own.
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <hwy/highway.h>

#include "engine/test_models.h"

namespace wb::engine {
namespace {

Model loaded(const PlainModel& plain) { return std::move(Model::load(*pack(plain))).value(); }

// Rows in one call, and one by one.
void expect_same_bits(const PlainModel& plain, const Model& model, size_t n, uint64_t seed) {
  Prng prng(seed);
  const size_t features = model.features_count();
  const size_t outputs = model.outputs_count();
  const std::vector<double> rows = testing::nasty_wide_rows(prng, plain, n);
  std::vector<double> together(n * outputs);
  model.predict_margins(rows, n, together);
  for (size_t row = 0; row < n; ++row) {
    const auto one = std::span<const double>(rows).subspan(row * features, features);
    const std::vector<double> wanted = reference_margins(plain, one);
    std::vector<double> alone(outputs);
    model.predict_margins(one, 1, alone);
    for (size_t i = 0; i < outputs; ++i) {
      ASSERT_TRUE(testing::same_bits(wanted[i], together[row * outputs + i])) << "row " << row << " of " << n;
      ASSERT_TRUE(testing::same_bits(wanted[i], alone[i])) << "row " << row << ", alone";
    }
  }
}

class Kernels : public ::testing::Test {
 protected:
  ~Kernels() override { hwy::GetChosenTarget().Update(hwy::SupportedTargets()); }
  void on_every_processor(const PlainModel& plain, size_t n, uint64_t seed) {
    const Model model = loaded(plain);
    const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
    ASSERT_GE(targets.size(), 2U);  // the scalar one is always there
    for (const int64_t target : targets) {
      hwy::GetChosenTarget().Update(target);
      SCOPED_TRACE(hwy::TargetName(target));
      expect_same_bits(plain, model, n, seed);
      if (HasFatalFailure()) FAIL() << "seed " << seed;
    }
  }
};

TEST_F(Kernels, AnyModelOnEveryProcessor) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    on_every_processor(testing::wild_model(seed), 1 + seed % 131, seed);
    if (HasFatalFailure()) return;
  }
}

// Full trees from a single leaf to deeper than a byte can number; `columns` decides how wide a node is.
TEST_F(Kernels, FullTreesOfEveryDepth) {
  for (const size_t columns : {size_t{3}, size_t{300}, size_t{1'000}}) {
    PlainModel plain = testing::random_model(columns, columns, 1, 11, 1);
    Prng prng(columns);
    for (size_t depth = 0; depth < plain.trees.size(); ++depth) {
      std::vector<TreeNode>& nodes = plain.trees[depth].nodes;
      const size_t splits = (size_t{1} << depth) - 1;
      nodes.assign(2 * splits + 1, TreeNode{});
      for (size_t i = 0; i < nodes.size(); ++i) {
        nodes[i].value = static_cast<double>(testing::random_float(prng));
        if (i >= splits) continue;
        nodes[i].feature = static_cast<uint32_t>(prng.below(columns));
        nodes[i].default_left = prng.chance(500'000);
        nodes[i].left = static_cast<int32_t>(2 * i + 1);
        nodes[i].right = static_cast<int32_t>(2 * i + 2);
      }
    }
    on_every_processor(plain, 90, columns);
    if (HasFatalFailure()) return;
  }
}

TEST_F(Kernels, ManyOutputsGoRowByRow) {
  for (const size_t outputs : {size_t{32}, size_t{33}, limits::kOutputsMax})
    on_every_processor(testing::random_model(outputs, 4, outputs, 2 * outputs, 31), 20, outputs);
}

}  // namespace
}  // namespace wb::engine
