// Trees that are grown, through the engine as a node would run them.
#include "fit/cart.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "fit/fit.h"
#include "fit/test_data.h"

namespace wb::fit {
namespace {

std::vector<float> answers(const engine::PlainModel& model, const Dataset& data) {
  const auto ready = loaded(model);
  EXPECT_TRUE(ready.ok()) << (ready.ok() ? "" : ready.error().text);
  return ready.ok() ? answers_of(*ready, data) : std::vector<float>();
}

TEST(Cart, OneTreeFindsTheBandsWithOneTreeForAllLabels) {
  const Dataset data = banded(3'000, 1);
  const engine::PlainModel model = grow(data, {.trees = 1, .depth = 3});
  ASSERT_EQ(model.trees.size(), 1U);
  EXPECT_LE(model.trees[0].nodes.size(), 15U);
  const engine::TreeNode& root = model.trees[0].nodes[0];
  EXPECT_EQ(root.feature, 0U);
  EXPECT_TRUE(std::fabs(root.value - 0.3) < 0.01 || std::fabs(root.value - 0.7) < 0.01) << root.value;
  const Dataset others = banded(1'000, 2);
  EXPECT_GT(score(Metric::kAccuracy, others, answers(model, others)), 0.98);
}

TEST(Cart, SharesAddUpAndNoLeafIsSurerThanItsRows) {
  const Dataset data = banded(300, 3);
  const std::vector<float> all = answers(grow(data, {.trees = 1, .depth = 3}), data);
  for (size_t row = 0; row < data.rows_count(); ++row) {
    EXPECT_NEAR(all[row * 3] + all[row * 3 + 1] + all[row * 3 + 2], 1, 1e-5);
    for (size_t label = 0; label < 3; ++label) {
      EXPECT_GT(all[row * 3 + label], 0.0005);
      EXPECT_LT(all[row * 3 + label], 0.9999);
    }
  }
}

TEST(Cart, WithoutSplitsItIsTheShareOfAllAndWeightsCount) {
  Dataset data = banded(200, 4);
  data.weights.assign(200, 1.0F);
  double low = 0;
  double all = 0;
  for (size_t row = 0; row < 200; ++row) {
    if (data.targets[row] == 0) data.weights[row] = 3;
    low += data.targets[row] == 0 ? 3 : 0;
    all += data.weight(row);
  }
  EXPECT_NEAR(answers(grow(data, {.trees = 1, .depth = 0}), data)[0], low / all, 1e-6);
  EXPECT_NEAR(answers(constant(data), data)[0], low / all, 1e-6);
}

TEST(Cart, TwoLabelsNeedOneShare) {
  Dataset data = banded(2'000, 4);
  data.labels = {"low", "other"};
  for (float& target : data.targets) target = std::min(target, 1.0F);
  const engine::PlainModel model = grow(data, {.trees = 1, .depth = 3});
  EXPECT_EQ(model.outputs_count(), 1U);
  const std::vector<float> all = answers(model, data);
  ASSERT_EQ(all.size(), 4'000U);
  EXPECT_FLOAT_EQ(all[0] + all[1], 1);
  EXPECT_GT(score(Metric::kAccuracy, data, all), 0.98);
  double low = 0;
  for (const float target : data.targets) low += target == 0 ? 1 : 0;
  EXPECT_NEAR(answers(constant(data), data)[0], low / 2'000, 1e-6);
}

TEST(Cart, MissingValuesGoWhereTheyBelong) {
  Dataset data = banded(2'000, 5);
  for (size_t row = 0; row < data.rows_count(); ++row)  // the high band loses its x: that alone tells it
    if (data.rows[row * 3] >= 0.7F) data.rows[row * 3] = std::numeric_limits<float>::quiet_NaN();
  const engine::PlainModel model = grow(data, {.trees = 1, .depth = 4});
  EXPECT_GT(score(Metric::kAccuracy, data, answers(model, data)), 0.98);
}

TEST(Cart, ValuesAreMeans) {
  const Dataset data = squares(1'000);
  const double coarse = score(Metric::kRmse, data, answers(grow(data, {.trees = 1, .depth = 2}), data));
  const double fine = score(Metric::kRmse, data, answers(grow(data, {.trees = 1, .depth = 6}), data));
  EXPECT_LT(coarse, 0.1);
  EXPECT_LT(fine, coarse / 8);
  EXPECT_NEAR(answers(grow(data, {.trees = 1, .depth = 0}), data)[0], 1.0 / 3, 0.001);
}

TEST(Cart, EachSideKeepsItsRows) {
  const Dataset data = squares(100);
  const std::vector<float> all = answers(grow(data, {.trees = 1, .depth = 20, .leaf_rows = 10}), data);
  EXPECT_LE(std::set<float>(all.begin(), all.end()).size(), 10U);
}

TEST(Cart, AForestMeansItsTreesAndTheSeedDecides) {
  const Dataset data = banded(1'000, 6);
  const CartOptions options{.trees = 15, .depth = 5, .seed = 7};
  const engine::PlainModel model = grow(data, options);
  EXPECT_EQ(model.trees.size(), 15U);
  EXPECT_EQ(*model.sum.divisor, 15);
  EXPECT_EQ(*engine::pack(model), *engine::pack(grow(data, options)));
  EXPECT_NE(*engine::pack(model), *engine::pack(grow(data, {.trees = 15, .depth = 5, .seed = 8})));
  const Dataset others = banded(1'000, 9);
  EXPECT_GT(score(Metric::kAccuracy, others, answers(model, others)), 0.95);
}

}  // namespace
}  // namespace wb::fit
