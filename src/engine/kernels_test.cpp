// Every kernel against the slow twin: each kind of processor that this machine can stand in for, rows one by one and in
// blocks of every awkward size, every shape that has a way of its own.
#include <gtest/gtest.h>

#include "engine/kernels.h"
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
  ~Kernels() override { kernels::stand_in_for(0); }
  void on_every_processor(const PlainModel& plain, size_t n, uint64_t seed) {
    const Model model = loaded(plain);
    ASSERT_GE(kernels::processors_count(), 2U);  // the scalar one is always there
    for (size_t i = 0; i < kernels::processors_count(); ++i) {
      SCOPED_TRACE(kernels::stand_in_for(i));
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

// One row, with more positions than a table of 16 bytes has: NEON and plain C++ look up otherwise than x86 where an
// index is too large.
TEST_F(Kernels, OneRowWithTablesOfSeveralChunks) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    on_every_processor(testing::random_model(seed, 5 + seed, 2, 12, 80), 1, seed);
    if (HasFatalFailure()) return;
  }
}

// Full trees from a single leaf to deeper than a crown and the heaps below it. Most columns take two positions (missing
// values go to either side), and how many there are decides how ranks are looked up: in tables of 16, 32, 64, 128 or
// 256 bytes, or one by one.
TEST_F(Kernels, FullTreesOfEveryDepth) {
  for (const size_t columns : {3U, 8U, 9U, 16U, 17U, 31U, 33U, 64U, 66U, 127U, 130U, 300U, 1'000U}) {
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

// Batches in which trees of every kind and depth mix, for several outputs.
TEST_F(Kernels, MixedBatches) {
  for (const size_t nodes_max : {size_t{15}, size_t{63}, size_t{900}})
    on_every_processor(testing::random_model(nodes_max, 12, 3, 200, nodes_max), 67, nodes_max);
}

TEST_F(Kernels, ManyOutputsGoRowByRow) {
  for (const size_t outputs : {size_t{32}, size_t{33}, limits::kOutputsMax})
    on_every_processor(testing::random_model(outputs, 4, outputs, 2 * outputs, 31), 20, outputs);
}

}  // namespace
}  // namespace wb::engine
