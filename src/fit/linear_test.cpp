// Weights that are known beforehand, found again; through the engine as a node would run them.
#include "fit/linear.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "fit/fit.h"
#include "fit/test_data.h"

namespace wb::fit {
namespace {

double draw(Prng& prng) { return unit_interval(prng.next()); }

// target = 3a − 2b + 5, with a around a thousand and b small.
Dataset plane(size_t n, bool with_missing) {
  Dataset data;
  data.objective = engine::Objective::kRegression;
  data.features = {"a", "b"};
  Prng prng(3);
  for (size_t i = 0; i < n; ++i) {
    const double a = 1'000 + 10 * draw(prng);
    const double b = 0.01 * draw(prng);
    data.rows.push_back(static_cast<float>(a));
    data.rows.push_back(with_missing && i % 10 == 0 ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(b));
    data.targets.push_back(static_cast<float>(3 * a - 2 * b + 5));
  }
  data.has_missing = with_missing;
  return data;
}

TEST(Linear, FindsThePlaneAndAMissingValueIsTheMean) {
  for (const bool with_missing : {false, true}) {
    const Dataset data = plane(500, with_missing);
    const auto model = loaded(linear(data));
    ASSERT_TRUE(model.ok()) << model.error().text;
    const std::vector<float> answers = answers_of(*model, data);
    EXPECT_LT(score(Metric::kRmse, data, answers), 0.02);  // of values that spread over 30
    EXPECT_GT(score(Metric::kR2, data, answers), 0.99999);
  }
}

TEST(Linear, TwoLabelsAreAnsweredAsOftenAsTheyAreTrue) {
  Dataset data;
  data.objective = engine::Objective::kLogistic;
  data.features = {"x"};
  data.labels = {"no", "yes"};
  Prng prng(4);
  for (int i = 0; i < 20'000; ++i) {
    const double x = 8 * draw(prng) - 4;
    data.rows.push_back(static_cast<float>(x));
    data.targets.push_back(draw(prng) < 1 / (1 + std::exp(-(2 * x - 1))) ? 1.0F : 0.0F);
  }
  const engine::PlainModel model = linear(data);
  ASSERT_EQ(model.outputs_count(), 1U);
  const auto& scale = std::get<engine::Scale>(model.steps[1]);
  const double slope = model.linear->weights[0] / scale.b[0];
  EXPECT_NEAR(slope, 2, 0.1);
  EXPECT_NEAR(model.base_margins[0] - slope * scale.a[0], -1, 0.1);
  size_t looked_at = 0;
  for (const CalibrationBin& bin : calibration(data, answers_of(*loaded(model), data))) {
    if (bin.rows < 200) continue;
    EXPECT_NEAR(bin.answered, bin.true_share, 0.04);
    ++looked_at;
  }
  EXPECT_EQ(looked_at, 10U);
}

TEST(Linear, MoreLabelsAndWeights) {
  Dataset data;
  data.features = {"x", "y", "same"};
  data.labels = {"left", "right", "up"};
  Prng prng(5);
  for (int i = 0; i < 2'000; ++i) {
    const double x = 2 * draw(prng) - 1;
    const double y = 2 * draw(prng) - 1;
    data.rows.insert(data.rows.end(), {static_cast<float>(x), static_cast<float>(y), 7.0F});
    data.targets.push_back(y > 0.3 ? 2.0F : x < 0 ? 0.0F : 1.0F);
  }
  EXPECT_GT(score(Metric::kAccuracy, data, answers_of(*loaded(linear(data)), data)), 0.93);
  // A weight of three is a row three times.
  Dataset weighed = data;
  Dataset repeated = data;
  for (size_t row = 0; row < 2'000; ++row) weighed.weights.push_back(row % 4 == 0 ? 3.0F : 1.0F);
  for (size_t row = 0; row < 2'000; row += 4)
    for (int more = 0; more < 2; ++more) {
      repeated.rows.insert(repeated.rows.end(), data.row(row).begin(), data.row(row).end());
      repeated.targets.push_back(data.targets[row]);
    }
  const engine::PlainModel a = linear(weighed);
  const engine::PlainModel b = linear(repeated);
  for (size_t i = 0; i < a.linear->weights.size(); ++i)
    EXPECT_NEAR(a.linear->weights[i], b.linear->weights[i], 1e-3 * std::fabs(b.linear->weights[i]) + 1e-4);
}

TEST(Linear, SeparatedLabelsEnd) {
  Dataset data = squares(100);
  data.labels = {"low", "high"};
  for (float& target : data.targets) target = target < 0.25F ? 0.0F : 1.0F;
  EXPECT_GE(score(Metric::kAccuracy, data, answers_of(*loaded(linear(data)), data)), 0.97);
}

}  // namespace
}  // namespace wb::fit
