// The fast predictor against its slow twin, and the probabilities.
#include <gtest/gtest.h>

#include "engine/reference.h"
#include "engine/test_models.h"

namespace wb::engine {
namespace {

using testing::nasty_rows;
using testing::random_model;

Model loaded(const PlainModel& plain) {
  auto bytes = pack(plain);
  EXPECT_TRUE(bytes.ok()) << bytes.error().text;
  auto model = Model::load(*bytes);
  EXPECT_TRUE(model.ok()) << model.error().text;
  return std::move(model).value();
}

void expect_equal_bits(const PlainModel& plain, const Model& model, std::span<const float> rows, size_t n) {
  std::vector<float> margins(n * model.outputs_count(), -1.0F);
  model.predict_margins(rows, n, margins);
  for (size_t row = 0; row < n; ++row) {
    const std::vector<float> wanted =
        reference_margins(plain, rows.subspan(row * model.features_count(), model.features_count()));
    for (size_t out = 0; out < wanted.size(); ++out) {
      ASSERT_TRUE(testing::same_bits(wanted[out], margins[row * wanted.size() + out]))
          << "row " << row << " of " << n << ", output " << out;
    }
  }
}

TEST(Predict, SameBitsAsTheSlowTwinOnNastyValues) {
  for (uint64_t seed = 1; seed <= 120; ++seed) {
    Prng prng(seed);
    const size_t features = 1 + prng.below(12);
    const size_t outputs = 1 + prng.below(4);
    const size_t trees = prng.below(30);
    const PlainModel plain = random_model(seed, features, outputs, trees, 1 + prng.below(90));
    const Model model = loaded(plain);
    for (const size_t n : {size_t{0}, size_t{1}, size_t{7}, size_t{8}, size_t{9}, size_t{40}}) {
      const std::vector<float> rows = nasty_rows(prng, plain, n, seed % 2 == 0);
      expect_equal_bits(plain, model, rows, n);
      if (HasFatalFailure()) FAIL() << "seed " << seed;
    }
  }
}

// Every library's way, and every value that could tell a fast way from it.
TEST(Predict, SameBitsAsTheSlowTwinWhateverTheModelSays) {
  for (uint64_t seed = 1; seed <= 600; ++seed) {
    const PlainModel plain = testing::wild_model(seed);
    const Model model = loaded(plain);
    Prng prng(seed);
    constexpr size_t kRows = 40;
    const std::vector<double> rows = testing::nasty_wide_rows(prng, plain, kRows);
    const size_t outputs = model.outputs_count();
    std::vector<double> margins(kRows * outputs);
    model.predict_margins(rows, kRows, margins);
    for (size_t row = 0; row < kRows; ++row) {
      const auto wanted = reference_margins(
          plain, std::span<const double>(rows).subspan(row * model.features_count(), model.features_count()));
      for (size_t out = 0; out < outputs; ++out) {
        ASSERT_TRUE(testing::same_bits(wanted[out], margins[row * outputs + out]))
            << "seed " << seed << ", row " << row << ", output " << out;
      }
    }
    expect_equal_bits(plain, model, nasty_rows(prng, plain, 11, true), 11);
    if (HasFatalFailure()) FAIL() << "seed " << seed;
  }
}

// More thresholds than a slot has ranks, more positions than a byte counts, trees too deep and thin for heaps.
TEST(Predict, ManyThresholdsManyColumnsDeepTrees) {
  Prng prng(8);
  const PlainModel one_column = random_model(21, 1, 1, 40, 301);
  expect_equal_bits(one_column, loaded(one_column), nasty_rows(prng, one_column, 300, true), 300);
  PlainModel deep = random_model(22, 300, 1, 20, 301);
  for (Tree& tree : deep.trees) {
    tree.nodes.clear();
    for (int32_t i = 0; i < 60; ++i) {
      const bool left = prng.chance(500'000);
      const int32_t next = 2 * i + 2;
      tree.nodes.push_back({left ? next : next - 1, left ? next - 1 : next, static_cast<uint32_t>(prng.below(300)),
                            static_cast<double>(testing::random_float(prng)), prng.chance(500'000)});
      tree.nodes.push_back({.value = static_cast<double>(testing::random_float(prng))});
    }
    tree.nodes.push_back({.value = 1});
  }
  expect_equal_bits(deep, loaded(deep), nasty_rows(prng, deep, 300, true), 300);
}

TEST(Predict, WidestModelThatTheLimitsAllow) {
  Prng prng(3);
  const PlainModel plain = random_model(3, limits::kFeaturesMax, 2, 9, 301);
  const Model model = loaded(plain);
  expect_equal_bits(plain, model, nasty_rows(prng, plain, 17, true), 17);
}

TEST(Predict, SelfTestNamesTheRowThatDiffers) {
  PlainModel plain = random_model(5, 3, 2, 6, 20);
  Prng prng(5);
  const std::vector<float> rows = nasty_rows(prng, plain, 4, true);
  plain.self_test.rows.assign(rows.begin(), rows.end());
  testing::answer_self_test(plain);
  EXPECT_TRUE(loaded(plain).verify_self_test().ok());
  double& last = plain.self_test.margins[5];  // of row 2, output 1
  last = static_cast<double>(std::nextafter(static_cast<float>(last), 1e9F));
  const Status status = loaded(plain).verify_self_test();
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, Code::kCorrupt);
  EXPECT_NE(status.error().text.find("row 2, output 1"), std::string::npos) << status.error().text;
}

TEST(Probabilities, SoftmaxAgreesWithLibmToTheLastFewBits) {
  const Model model = loaded(random_model(1, 1, 3, 3, 5));
  Prng prng(9);
  for (int i = 0; i < 2'000; ++i) {
    std::vector<float> margins;
    for (int out = 0; out < 3; ++out) margins.push_back(testing::random_float(prng));
    std::vector<float> probs(3);
    model.probabilities(margins, probs);
    double sum = 0;
    for (const float margin : margins) sum += std::exp(static_cast<double>(margin));
    for (size_t out = 0; out < 3; ++out) {
      const double wanted = std::exp(static_cast<double>(margins[out])) / sum;
      EXPECT_NEAR(probs[out], wanted, wanted * 1.2e-7 + 1e-45);
    }
  }
  std::vector<float> probs(3);
  model.probabilities(std::vector<float>{1000, -1000, 0}, probs);
  EXPECT_EQ(probs, (std::vector<float>{1, 0, 0}));
}

TEST(Probabilities, LogisticGivesBothSidesAndRegressionACopy) {
  PlainModel plain = random_model(1, 1, 1, 3, 5);
  std::vector<float> one(1);
  loaded(plain).probabilities(std::vector<float>{-2.5F}, one);
  EXPECT_EQ(one[0], -2.5F);
  plain.objective = Objective::kLogistic;
  plain.labels = {"no", "yes"};
  plain.reference_scores.label_counts = {0, 0};
  std::vector<float> two(4);
  loaded(plain).probabilities(std::vector<float>{2.0F, -2.0F}, two);
  EXPECT_NEAR(two[1], 1 / (1 + std::exp(-2.0)), 1e-7);
  EXPECT_EQ(two[0], two[3]);
  EXPECT_EQ(two[1], two[2]);
}

TEST(Sketch, BinsHoldAboutEquallyManyAndCountEverything) {
  std::vector<float> values;
  for (int i = 0; i < 1'000; ++i) values.push_back(static_cast<float>(i));
  values.push_back(std::numeric_limits<float>::quiet_NaN());
  const FeatureSketch sketch = make_sketch("x", values, 10);
  EXPECT_EQ(sketch.edges, (std::vector<double>{100, 200, 300, 400, 500, 600, 700, 800, 900}));
  EXPECT_EQ(sketch.counts, std::vector<uint64_t>(10, 100));
  EXPECT_EQ(sketch.missing, 1U);
  EXPECT_EQ(sketch.max, 999);
  const FeatureSketch constant = make_sketch("c", std::vector<float>(5, 2.0F), 10);
  EXPECT_TRUE(constant.edges.empty());
  EXPECT_EQ(constant.counts, std::vector<uint64_t>{5});
}

TEST(Sketch, ConfidenceBinsCoverAllOfZeroToOne) {
  EXPECT_EQ(confidence_bin(0), 0U);
  EXPECT_EQ(confidence_bin(0.0501), 1U);
  EXPECT_EQ(confidence_bin(1), 19U);
  EXPECT_EQ(confidence_bin(std::numeric_limits<double>::quiet_NaN()), 0U);
}

}  // namespace
}  // namespace wb::engine
