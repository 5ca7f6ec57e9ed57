#include "edge/infer/infer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/prng.h"

namespace wb::infer {
namespace {

using engine::Objective;
using engine::PlainModel;

// One split per class on feature 0 (x < 5), so that answers can be told by hand.
PlainModel stumps(Objective objective) {
  PlainModel model;
  model.objective = objective;
  model.features = {"x", "y"};
  if (objective == Objective::kSoftprob) model.labels = {"low", "mid", "high"};
  if (objective == Objective::kLogistic) model.labels = {"no", "yes"};
  const size_t outputs = objective == Objective::kSoftprob ? 3 : 1;
  model.base_margins.assign(outputs, 0.5F);
  for (uint32_t output = 0; output < outputs; ++output) {
    engine::Tree tree;
    tree.output = output;
    const float sign = output == 2 || outputs == 1 ? 1.0F : -1.0F;
    tree.nodes = {{1, 2, 0, 5.0F, true}, {-1, -1, 0, -2 * sign, false}, {-1, -1, 0, 2 * sign, false}};
    model.trees.push_back(tree);
  }
  model.reference_scores.label_counts.assign(model.labels.size(), 0);
  Prng prng(1);
  std::vector<float> x, y;
  for (int i = 0; i < 1000; ++i) {
    x.push_back(static_cast<float>(prng.below(1000)) / 100);
    y.push_back(static_cast<float>(prng.below(1000)) / 10);
  }
  model.sketches = {engine::make_sketch("x", x, 16), engine::make_sketch("y", y, 16)};
  return model;
}

engine::Model load(const PlainModel& plain) {
  auto bytes = engine::pack(plain);
  EXPECT_TRUE(bytes.ok()) << bytes.error().text;
  auto model = engine::Model::load(*bytes);
  EXPECT_TRUE(model.ok()) << model.error().text;
  return std::move(model).value();
}

// Columns in another order than the features, with a text between: matching is by name.
Batch batch_of(std::vector<std::pair<double, double>> rows) {
  Batch batch =
      Batch::with_schema({{{"y", ColumnType::kNumber}, {"unit", ColumnType::kText}, {"x", ColumnType::kNumber}}});
  for (const auto& [x, y] : rows) {
    batch.columns[0].numbers.push_back(y);
    batch.columns[1].texts.emplace_back("a");
    batch.columns[2].numbers.push_back(x);
    batch.event_time_ms.push_back(0);
  }
  return batch;
}

Inferrer make(const PlainModel& plain) {
  Problems problems;
  auto out = Inferrer::build(load(plain), batch_of({}).schema, {4, 3}, problems);
  EXPECT_TRUE(out.ok()) << problems.format("f");
  return std::move(out).value();
}

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

TEST(Infer, AnswersByName) {
  Inferrer inferrer = make(stumps(Objective::kSoftprob));
  Scored out;
  inferrer.run(batch_of({{9, 50}, {1, 50}}), out);
  EXPECT_EQ(out.label, (std::vector<int32_t>{2, 0}));
  EXPECT_NEAR(out.confidence[0], std::exp(2.5) / (std::exp(2.5) + 2 * std::exp(-1.5)), 1e-5);
  EXPECT_EQ(out.score[0], out.confidence[0]);
  EXPECT_EQ(out.not_finite_count, 0U);
}

TEST(Infer, BinaryConfidenceIsThatOfTheAnswer) {
  Inferrer inferrer = make(stumps(Objective::kLogistic));
  Scored out;
  inferrer.run(batch_of({{9, 50}, {1, 50}}), out);
  EXPECT_EQ(out.label, (std::vector<int32_t>{1, 0}));
  EXPECT_NEAR(out.confidence[1], 1 - 1 / (1 + std::exp(1.5)), 1e-5);
}

TEST(Infer, RegressionIsAValueWithConfidenceOne) {
  Inferrer inferrer = make(stumps(Objective::kRegression));
  Scored out;
  inferrer.run(batch_of({{9, 50}}), out);
  EXPECT_EQ(out.label[0], -1);
  EXPECT_EQ(out.score[0], 2.5F);
  EXPECT_EQ(out.confidence[0], 1);
}

TEST(Infer, NotFiniteIsNeverConfident) {
  Inferrer inferrer = make(stumps(Objective::kSoftprob));
  Scored out;
  inferrer.run(batch_of({{kNan, 50}, {9, kInf}, {-kInf, 1}, {1e300, 1}, {9, 50}}), out);
  EXPECT_EQ(out.finite, (std::vector<uint8_t>{0, 0, 0, 0, 1}));
  EXPECT_EQ(out.not_finite_count, 4U);
  for (size_t row = 0; row < 4; ++row) {
    EXPECT_EQ(out.label[row], -1);
    EXPECT_EQ(out.confidence[row], 0);
    EXPECT_EQ(out.novelty[row], 0);
  }
  EXPECT_EQ(out.label[4], 2);
}

TEST(Infer, MissingPassesOnlyWhereTheModelExpectsIt) {
  PlainModel plain = stumps(Objective::kSoftprob);
  plain.missing_allowed = true;
  Inferrer inferrer = make(plain);
  Scored out;
  inferrer.run(batch_of({{kNan, 50}, {kInf, 50}}), out);
  EXPECT_EQ(out.finite, (std::vector<uint8_t>{1, 0}));
  EXPECT_EQ(out.label[0], 0);  // the default side is left
}

TEST(Infer, NoveltyGrowsWithDistanceAndIsSmallInside) {
  Inferrer inferrer = make(stumps(Objective::kSoftprob));
  Scored out;
  inferrer.run(batch_of({{5, 50}, {11, 50}, {100, 50}, {100, 1000}, {-3, 50}}), out);
  EXPECT_LT(out.novelty[0], 0.5F);
  EXPECT_GT(out.novelty[1], 3.0F);
  EXPECT_GT(out.novelty[2], out.novelty[1]);
  EXPECT_GT(out.novelty[3], out.novelty[2]);
  EXPECT_GT(out.novelty[4], 3.0F);
  PlainModel blind = stumps(Objective::kSoftprob);
  blind.sketches.clear();
  Inferrer without = make(blind);
  without.run(batch_of({{100, 1000}}), out);
  EXPECT_EQ(out.novelty[0], 0);
}

TEST(Infer, ColumnsThatDoNotFitAreNamed) {
  PlainModel plain = stumps(Objective::kSoftprob);
  plain.features = {"xx", "unit"};
  plain.sketches[0].name = "xx";
  plain.sketches[1].name = "unit";
  Problems problems;
  EXPECT_FALSE(Inferrer::build(load(plain), batch_of({}).schema, {4, 3}, problems).ok());
  EXPECT_EQ(problems.format("f"),
            "f:4:3: infer: the model needs a number column 'xx', which does not arrive here; did you mean 'x'?\n"
            "f:4:3: infer: the model needs column 'unit' as a number, but it is text; add a cast before infer\n");
}

// A text is asked about by its number in the model; one that the model does not know passes, and is news.
TEST(Infer, TextsAreKnownByNumber) {
  PlainModel plain = stumps(Objective::kSoftprob);
  plain.features = {"unit", "y"};
  plain.texts = {{"b", "a"}, {}};
  for (engine::Tree& tree : plain.trees) tree.nodes[0].value = 0.5;
  plain.sketches[0] = engine::make_sketch("unit", std::vector<float>(100, 1), 16);
  Inferrer inferrer = make(plain);
  Batch batch = batch_of({{0, 50}, {0, 50}, {0, 50}, {0, 50}});  // 'unit' says "a"
  batch.columns[1].texts[1] = "b";
  batch.columns[1].texts[2] = "c";
  batch.columns[1].texts[3] = "";
  Scored out;
  inferrer.run(batch, out);
  EXPECT_EQ(out.label, (std::vector<int32_t>{2, 0, 0, -1}));  // 1, 0, -1, NaN
  EXPECT_EQ(out.finite, (std::vector<uint8_t>{1, 1, 1, 0}));
  EXPECT_LT(out.novelty[0], 1.0F);
  EXPECT_GT(out.novelty[2], 3.0F);
  plain.features[0] = "x";
  plain.sketches[0].name = "x";
  Problems problems;
  EXPECT_FALSE(Inferrer::build(load(plain), batch_of({}).schema, {4, 3}, problems).ok());
  EXPECT_EQ(problems.format("f"),
            "f:4:3: infer: the model needs column 'x' as text, but it is a number; add a cast before infer\n");
}

// A model that compares in f64 is asked about the number that arrived, not about its f32 neighbour.
TEST(Infer, ANumberKeepsItsDigitsWhereTheModelComparesInF64) {
  PlainModel model = stumps(Objective::kLogistic);
  model.trees[0].nodes[0].value = 0.1;
  model.compare = engine::Compare::kF64LessEqual;
  Inferrer infer = make(model);
  Scored scored;
  infer.run(batch_of({{0.1, 1}, {std::nextafter(0.1, 1), 1}}), scored);
  EXPECT_NE(scored.label[0], scored.label[1]);
}

// Two labels whose probabilities differ beyond f32: the library's own precision decides.
TEST(Infer, TheLabelIsChosenInTheModelsPrecision) {
  PlainModel model = stumps(Objective::kSoftprob);
  ASSERT_GE(model.labels.size(), 2U);
  model.sum.precision = engine::Precision::kF64;
  model.trees.clear();
  model.base_margins.assign(model.labels.size(), 0);
  model.base_margins[1] = 1e-12;
  Inferrer infer = make(model);
  Scored scored;
  infer.run(batch_of({{0, 1}}), scored);
  EXPECT_EQ(scored.label[0], 1);
}

TEST(Infer, RefusesAModelWithSeveralValues) {
  PlainModel model = stumps(Objective::kRegression);
  model.base_margins = {0, 0};
  Problems problems;
  EXPECT_FALSE(Inferrer::build(load(model), batch_of({}).schema, {4, 3}, problems).ok());
  EXPECT_NE(problems.format("f").find("the model answers 2 values a row"), std::string::npos) << problems.format("f");
}

}  // namespace
}  // namespace wb::infer
