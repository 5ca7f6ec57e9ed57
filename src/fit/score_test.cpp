// Each metric on answers small enough to reckon by hand.
#include "fit/score.h"

#include <gtest/gtest.h>

#include <cmath>

namespace wb::fit {
namespace {

Dataset of_classes(std::vector<float> targets, size_t classes) {
  Dataset data;
  data.features = {"x"};
  for (size_t i = 0; i < classes; ++i) data.labels.push_back(std::to_string(i));
  data.rows.assign(targets.size(), 0);
  data.targets = std::move(targets);
  return data;
}

// truth 0 0 0 1, answered 0 0 1 1
const std::vector<float> kAnswers = {0.9F, 0.1F, 0.6F, 0.4F, 0.3F, 0.7F, 0.2F, 0.8F};

TEST(Score, Counts) {
  const Dataset data = of_classes({0, 0, 0, 1}, 2);
  EXPECT_DOUBLE_EQ(score(Metric::kAccuracy, data, kAnswers), 0.75);
  EXPECT_DOUBLE_EQ(score(Metric::kBalancedAccuracy, data, kAnswers), (2.0 / 3 + 1) / 2);
  EXPECT_DOUBLE_EQ(score(Metric::kMacroF1, data, kAnswers), (2.0 * 2 / 5 + 2.0 * 1 / 3) / 2);
}

TEST(Score, AWeightOfThreeIsARowThreeTimes) {
  Dataset weighed = of_classes({0, 0, 0, 1}, 2);
  weighed.weights = {1, 1, 3, 1};
  const Dataset repeated = of_classes({0, 0, 0, 0, 0, 1}, 2);
  std::vector<float> answers(kAnswers.begin(), kAnswers.begin() + 6);
  for (int i = 0; i < 2; ++i) answers.insert(answers.end(), {0.3F, 0.7F});
  answers.insert(answers.end(), {0.2F, 0.8F});
  for (const MetricInfo& one : metrics()) {
    if (!one.of_classes) continue;
    EXPECT_NEAR(score(one.metric, weighed, kAnswers), score(one.metric, repeated, answers), 1e-12) << one.name;
  }
}

TEST(Score, LogLossIsBoundedByWhatAProbabilityMayBe) {
  const Dataset data = of_classes({0, 1}, 2);
  EXPECT_NEAR(score(Metric::kLogLoss, data, std::vector<float>{0.5F, 0.5F, 0.75F, 0.25F}),
              -(std::log(0.5) + std::log(0.25)) / 2, 1e-9);
  EXPECT_NEAR(score(Metric::kLogLoss, data, std::vector<float>{0, 1, 1, 0}), -std::log(1e-6), 1e-9);
}

TEST(Score, AreaIsTheShareOfPairsInOrder) {
  const Dataset data = of_classes({0, 0, 1, 1}, 2);
  EXPECT_DOUBLE_EQ(score(Metric::kAuc, data, std::vector<float>{0.9F, 0.1F, 0.6F, 0.4F, 0.8F, 0.2F, 0.1F, 0.9F}), 0.75);
  EXPECT_DOUBLE_EQ(score(Metric::kAuc, data, std::vector<float>(8, 0.5F)), 0.5);
  EXPECT_TRUE(std::isnan(score(Metric::kAuc, of_classes({1, 1}, 2), std::vector<float>(4, 0.5F))));
}

TEST(Score, Values) {
  Dataset data;
  data.objective = engine::Objective::kRegression;
  data.features = {"x"};
  data.rows = {0, 0, 0};
  data.targets = {1, 2, 6};
  const std::vector<float> answers = {2, 2, 3};
  EXPECT_DOUBLE_EQ(score(Metric::kMae, data, answers), 4.0 / 3);
  EXPECT_DOUBLE_EQ(score(Metric::kRmse, data, answers), std::sqrt(10.0 / 3));
  EXPECT_DOUBLE_EQ(score(Metric::kR2, data, answers), 1 - 10.0 / 14);
  EXPECT_DOUBLE_EQ(score(Metric::kR2, data, std::vector<float>{3, 3, 3}), 0);
}

}  // namespace
}  // namespace wb::fit
