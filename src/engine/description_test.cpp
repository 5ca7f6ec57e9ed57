// The description: what it refuses, and that the slow predictor does by hand-checked examples what each library does.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "engine/predictors.h"
#include "engine/reference.h"

namespace wb::engine {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// One split on the first feature: 1 to the left, 2 to the right.
Description stump(Compare compare, double threshold, bool default_left = false, Missing missing = Missing::kNan) {
  Description model;
  model.objective = Objective::kRegression;
  model.features = {"x", "y"};
  model.compare = compare;
  model.sum.precision = Precision::kF64;
  model.base_margins = {0};
  model.trees = {{0, {{1, 2, 0, threshold, default_left, missing}, {.value = 1}, {.value = 2}}}};
  return model;
}

bool goes_left(const Description& model, double x) {
  EXPECT_TRUE(check_description(model).ok()) << check_description(model).error().text;
  const std::vector<double> row{x, 0};
  return reference_margins(model, std::span<const double>(row))[0] == 1;
}

double margin(const Description& model, std::vector<double> row) {
  EXPECT_TRUE(check_description(model).ok()) << check_description(model).error().text;
  return reference_margins(model, std::span<const double>(row))[0];
}

TEST(Description, AThresholdBelongsToItsLibrarysSide) {
  const auto just_above = std::nextafter(0.1, 1);
  EXPECT_FALSE(goes_left(stump(Compare::kF32Less, 0.5), 0.5));
  EXPECT_TRUE(goes_left(stump(Compare::kF32Less, 0.5), std::nextafter(0.5F, 0.0F)));
  EXPECT_FALSE(goes_left(stump(Compare::kF32Less, 0.5), std::nextafter(0.5, 0.0)));  // is 0.5 as f32
  EXPECT_TRUE(goes_left(stump(Compare::kF64LessEqual, 0.1), 0.1));
  EXPECT_FALSE(goes_left(stump(Compare::kF64LessEqual, 0.1), just_above));
  // scikit-learn: 0.1 as f32 is more than 0.1 as f64, so it is right of a threshold of 0.1.
  EXPECT_FALSE(goes_left(stump(Compare::kF32LessEqual, 0.1), 0.1));
  EXPECT_TRUE(goes_left(stump(Compare::kF32LessEqual, static_cast<double>(0.1F)), just_above));
  for (const Compare compare : {Compare::kF32LessEqual, Compare::kF64LessEqual}) {
    EXPECT_TRUE(goes_left(stump(compare, 0.0), -0.0));
    EXPECT_TRUE(goes_left(stump(compare, -0.0), 0.0));
    EXPECT_TRUE(goes_left(stump(compare, kInfinity), kInfinity));
    EXPECT_TRUE(goes_left(stump(compare, 3), -kInfinity));
  }
  EXPECT_FALSE(goes_left(stump(Compare::kF32Less, 0.0), -0.0));
  EXPECT_FALSE(goes_left(stump(Compare::kF32Less, kInfinity), kInfinity));
  EXPECT_FALSE(goes_left(stump(Compare::kF32Less, 0.0), -1e-60));  // -0 as f32
}

TEST(Description, MissingValuesGoWhereTheRuleSays) {
  for (const bool left : {false, true}) {
    EXPECT_EQ(goes_left(stump(Compare::kF32Less, -5, left), kNan), left);
    const Description zero = stump(Compare::kF64LessEqual, 5, left, Missing::kNanOrZero);
    EXPECT_EQ(goes_left(zero, kNan), left);
    EXPECT_EQ(goes_left(zero, -0.0), left);
    EXPECT_EQ(goes_left(zero, kZeroMax), left);
    EXPECT_EQ(goes_left(zero, -kZeroMax), left);
    EXPECT_TRUE(goes_left(zero, std::nextafter(kZeroMax, 1)));
    EXPECT_TRUE(goes_left(stump(Compare::kF64LessEqual, 0, left, Missing::kNanIsZero), kNan));
    EXPECT_FALSE(goes_left(stump(Compare::kF64LessEqual, -1, left, Missing::kNanIsZero), kNan));
  }
}

TEST(Description, CategoriesGoLeftIfTheSetHoldsThem) {
  Description model = stump(Compare::kF32Less, 0, true);
  model.sets = {{0, 3, 64}};
  model.trees[0].nodes[0].set = 0;
  for (const double in : {0.0, -0.0, 3.0, 3.9, 64.0}) EXPECT_TRUE(goes_left(model, in)) << in;
  for (const double out : {1.0, 65.0, -0.5, -1.0, 1e30, kInfinity, -kInfinity, 16'777'216.0})
    EXPECT_FALSE(goes_left(model, out)) << out;
  EXPECT_TRUE(goes_left(model, kNan));
  model.category = Category::kTruncated;
  EXPECT_TRUE(goes_left(model, -0.5));  // LightGBM cuts the fraction off first
  EXPECT_FALSE(goes_left(model, -1.0));
}

TEST(Description, SumsInThePrecisionAndOrderOfTheLibrary) {
  Description model = stump(Compare::kF32Less, 0);
  model.trees.clear();
  for (const float leaf : {16'777'216.0F, 1.0F, 1.0F}) model.trees.push_back({0, {{.value = leaf}}});
  EXPECT_EQ(margin(model, {0, 0}), 16'777'218.0);
  model.sum.precision = Precision::kF32;
  EXPECT_EQ(margin(model, {0, 0}), 16'777'216.0);  // 1 is lost in f32, twice
  std::swap(model.trees[0], model.trees[2]);
  EXPECT_EQ(margin(model, {0, 0}), 16'777'218.0);
  model.sum.precision = Precision::kF64;
  model.trees.resize(1);
  model.base_margins = {2};
  model.sum.divisor = 10;
  model.sum.factor = 3;
  model.sum.offsets = {0.7};
  EXPECT_EQ(margin(model, {0, 0}), 3.0 / 10 * 3 + 0.7);
}

TEST(Description, WeightsAreAddedColumnByColumnBeforeTheTrees) {
  Description model = stump(Compare::kF32Less, 0);
  model.trees.clear();
  model.sum.precision = Precision::kF32;
  model.linear = Linear{{1, 1}, false};
  EXPECT_EQ(margin(model, {16'777'216, 1}), 16'777'216.0);  // 1 is lost in f32
  EXPECT_EQ(margin(model, {1, 16'777'216}), 16'777'216.0);
  model.base_margins = {1};
  EXPECT_EQ(margin(model, {1, 16'777'216}), 16'777'218.0);  // 1 + 1 comes first
  model.trees = {{0, {{.value = -16'777'216}}}};
  EXPECT_EQ(margin(model, {1, 16'777'216}), 2.0);
  model.linear->weights = {0.5, static_cast<double>(0.1F)};
  model.trees.clear();
  const volatile float product = 0.1F * 0.3F;  // rounded before it is added
  EXPECT_EQ(margin(model, {1, 0.3}), static_cast<double>(1.0F + 0.5F + product));
  EXPECT_TRUE(std::isnan(margin(model, {kNan, 0})));
  model.linear->skips_missing = true;
  EXPECT_EQ(margin(model, {kNan, 10}), 2.0);
  model.labels = {"a", "b"};
  model.objective = Objective::kIndependent;
  model.base_margins = {0, 100};
  model.linear->weights = {1, 2, 3, 4};
  const std::vector<double> row{10, 1};
  EXPECT_EQ(reference_margins(model, std::span<const double>(row)), (std::vector<double>{12, 134}));
}

TEST(Description, ATreeMayAddAVectorToAllMargins) {
  Description model = stump(Compare::kF32Less, 0);
  model.labels = {"a", "b", "c"};
  model.objective = Objective::kVotes;
  model.base_margins = {0, 0, 0};
  model.trees[0].vectors = {0.25, 0.5, 0.25, 1, 0, 0};
  model.trees[0].nodes[1].feature = 1;
  model.trees[0].nodes[2].feature = 0;
  model.trees.push_back({2, {{.value = 4}}});
  ASSERT_TRUE(check_description(model).ok()) << check_description(model).error().text;
  const std::vector<double> left{-1, 0};
  EXPECT_EQ(reference_margins(model, std::span<const double>(left)), (std::vector<double>{1, 0, 4}));
  const std::vector<double> right{1, 0};
  EXPECT_EQ(reference_margins(model, std::span<const double>(right)), (std::vector<double>{0.25, 0.5, 4.25}));
}

TEST(Description, ALeafMayBeALine) {
  Description model = stump(Compare::kF64LessEqual, 0);
  model.lines = {Line{10, {1, 0}, {0.1, 3}}};
  model.trees[0].nodes[2].set = 0;
  EXPECT_EQ(margin(model, {-1, 7}), 1.0);
  EXPECT_EQ(margin(model, {1, 7}), 10 + 0.1 * 7 + 3.0);
  EXPECT_EQ(margin(model, {1, kNan}), 2.0);  // the leaf's own value
  EXPECT_EQ(margin(model, {1, kInfinity}), kInfinity);
}

// scikit-learn's MLPClassifier, by hand.
TEST(Description, ANetworkIsLayersOfSums) {
  Description model = stump(Compare::kF32Less, 0);
  model.trees.clear();
  model.base_margins = {0, 0};
  model.predictor = Network{
      {{Activation::kRelu, {1, -1, 2, 0.5, 4, 0.25}, {0.5, 0, -100}}, {Activation::kTanh, {1, 0, 0, 1, 1, 1}, {0, 1}}}};
  ASSERT_TRUE(check_description(model).ok()) << check_description(model).error().text;
  const std::vector<double> row{2, 1};
  const auto margins = reference_margins(model, std::span<const double>(row));
  EXPECT_NEAR(margins[0], std::tanh(3.0), 4e-16);  // relu(2 + 0.5 + 0.5)
  EXPECT_NEAR(margins[1], std::tanh(3.0), 4e-16);  // 1 + relu(-2 + 4), and nothing from the third
  const std::vector<double> missing{kNan, 1};
  EXPECT_TRUE(std::isnan(reference_margins(model, std::span<const double>(missing))[0]));
}

TEST(Description, ActivationsAreWithinAFewUlpOfTheExactOnes) {
  for (int i = -4'000; i <= 4'000; ++i) {
    const double x = i * std::fabs(i) * 1e-6;
    EXPECT_NEAR(activated(Activation::kTanh, x), std::tanh(x), std::fabs(std::tanh(x)) * 1.2e-15) << x;
    EXPECT_NEAR(activated(Activation::kLogistic, x), 1 / (1 + std::exp(-x)), 2.3e-16) << x;
  }
  EXPECT_EQ(activated(Activation::kTanh, 1e-300), 1e-300);
  EXPECT_TRUE(std::signbit(activated(Activation::kTanh, -0.0)));
  EXPECT_EQ(activated(Activation::kTanh, -kInfinity), -1);
  EXPECT_EQ(activated(Activation::kRelu, -3), 0);
  EXPECT_EQ(activated(Activation::kRelu, kInfinity), kInfinity);
  for (const Activation one : {Activation::kIdentity, Activation::kRelu, Activation::kTanh, Activation::kLogistic})
    EXPECT_TRUE(std::isnan(activated(one, kNan)));
}

TEST(Description, NeighboursVoteOrAreAveraged) {
  Description model = stump(Compare::kF32Less, 0);
  model.trees.clear();
  Neighbours all;
  all.count = 3;
  all.points = {0, 0, 3, 4, 6, 0, 0, 1};
  all.targets = {1, 2, 4, 8};
  model.predictor = all;
  EXPECT_EQ(margin(model, {0, 0}), 11.0 / 3);  // 0, 1 and 5 away
  EXPECT_EQ(margin(model, {3, 2}), 11.0 / 3);  // 4, 10 and, of two that are 13 away, the first
  all.by_distance = true;
  model.predictor = all;
  EXPECT_EQ(margin(model, {0, 0}), 1.0);  // on the point
  EXPECT_EQ(margin(model, {0, -1}), (1 + 8 * 0.5 + 2 / std::sqrt(34.0)) / (1 + 0.5 + 1 / std::sqrt(34.0)));
  all.distance = Distance::kManhattan;
  model.predictor = all;
  EXPECT_EQ(margin(model, {0, -1}), (1 + 8 * 0.5 + 4 * (1.0 / 7)) / (1 + 0.5 + 1.0 / 7));
  EXPECT_TRUE(std::isnan(margin(model, {kNan, 0})));
  all.by_distance = false;
  all.targets = {0, 1, 1, 0};
  model.predictor = all;
  model.labels = {"a", "b"};
  model.objective = Objective::kVotes;
  model.base_margins = {0, 0};
  const std::vector<double> row{6, 4};
  EXPECT_EQ(reference_margins(model, std::span<const double>(row)), (std::vector<double>{1.0 / 3, 2.0 / 3}));
}

TEST(Description, StepsPrepareTheRow) {
  Description model;
  model.features = {"a", "b", "c"};
  model.steps = {Impute{{0}, {5}},
                 Scale{Scale::Form::kShiftDivide, {0}, {1}, {3}},
                 Scale{Scale::Form::kShiftMultiply, {1}, {1}, {0.1}},
                 Ordinal{1, {0.1, 7}, -1},
                 OneHot{2, {4, 6, 9}},
                 Select{{2, 3, 4, 1, 0}}};
  EXPECT_EQ(columns_count(model), 5U);
  std::vector<double> row{kNan, 2, 6};
  prepare_row(model, row);
  EXPECT_EQ(row, (std::vector<double>{0, 1, 0, 0, 4.0 / 3}));
  row = {4, 3, 5};
  prepare_row(model, row);
  EXPECT_EQ(row, (std::vector<double>{0, 0, 0, -1, 1}));
  row = {4, kNan, kNan};
  prepare_row(model, row);
  EXPECT_TRUE(std::isnan(row[3]));
  EXPECT_EQ(row[0] + row[1] + row[2], 0);
  model.steps = {Scale{Scale::Form::kMultiplyShift, {0}, {0.1}, {1}}};
  model.steps_precision = Precision::kF32;
  row = {0.3, 0, 0};
  prepare_row(model, row);
  EXPECT_EQ(row[0], static_cast<double>(0.3F * 0.1F + 1.0F));
}

std::vector<double> answers(const Description& model, std::vector<double> margins) {
  std::vector<double> out(model.answers_count());
  answers_of(model, margins, out);
  return out;
}

Description with_labels(Objective objective, size_t labels, size_t outputs) {
  Description model;
  model.objective = objective;
  for (size_t i = 0; i < labels; ++i) model.labels.push_back("l" + std::to_string(i));
  model.base_margins.assign(outputs, 0);
  return model;
}

void expect_close(double ours, double wanted) {
  if (ours == wanted) return;
  EXPECT_NEAR(ours, wanted, std::fabs(wanted) * 4.5e-16) << "more than 2 ulp";
}

TEST(Description, AnswersAreWithinTwoUlpOfTheExactOnes) {
  const Description logistic = with_labels(Objective::kLogistic, 2, 1);
  const Description exponential = with_labels(Objective::kExponential, 0, 1);
  const Description isolation = with_labels(Objective::kIsolation, 0, 1);
  for (int i = -3'000; i <= 3'000; ++i) {
    const double m = i * 0.0237;
    const auto exact = [](long double x) { return static_cast<double>(x); };
    const long double wide = m;
    expect_close(answers(logistic, {m})[1], exact(1 / (1 + std::exp(-wide))));
    expect_close(answers(logistic, {m})[0], exact(1 / (1 + std::exp(wide))));
    expect_close(answers(exponential, {m})[0], exact(std::exp(wide)));
    expect_close(answers(isolation, {m})[0], exact(std::exp2(-wide)));
  }
  Description normality = with_labels(Objective::kNormality, 0, 1);
  normality.shift = -0.625;
  EXPECT_EQ(answers(normality, {1})[0], 0.125);
  EXPECT_EQ(answers(exponential, {1e9})[0], kInfinity);
  EXPECT_EQ(answers(exponential, {-1e9})[0], 0);
  EXPECT_TRUE(std::isnan(answers(exponential, {kNan})[0]));
  EXPECT_EQ(answers(with_labels(Objective::kSignedSquare, 0, 1), {-3})[0], -9);
}

TEST(Description, AnswersOfManyLabels) {
  const auto each = answers(with_labels(Objective::kIndependent, 3, 3), {0, 0, 100});
  EXPECT_EQ(each, (std::vector<double>{0.5, 0.5, 1}));
  EXPECT_EQ(answers(with_labels(Objective::kOneVsRest, 3, 3), {0, 0, 100}), (std::vector<double>{0.25, 0.25, 0.5}));
  EXPECT_EQ(answers(with_labels(Objective::kVotes, 2, 2), {0.25, 0.75}), (std::vector<double>{0.25, 0.75}));
  EXPECT_EQ(answers(with_labels(Objective::kOneVote, 2, 1), {0.75}), (std::vector<double>{0.25, 0.75}));
  EXPECT_EQ(answers(with_labels(Objective::kSigmoid, 0, 2), {0, 100}), (std::vector<double>{0.5, 1}));
  Description steep = with_labels(Objective::kLogistic, 2, 1);
  steep.slope = 2;
  EXPECT_EQ(answers(steep, {3}), answers(with_labels(Objective::kLogistic, 2, 1), {6}));
}

TEST(Description, CalibrationBendsMarginsOrAnswers) {
  Description model = with_labels(Objective::kLogistic, 2, 1);
  model.calibration = Calibration{true, {Platt{-2, 1}}};
  expect_close(answers(model, {0.75})[1], 1 / (1 + std::exp(-0.5)));
  model.calibration = Calibration{false, {Isotonic{{0.25, 0.5, 1}, {0.1, 0.1, 0.7}}}};
  EXPECT_EQ(answers(model, {0})[1], 0.1);
  EXPECT_EQ(answers(model, {-100})[1], 0.1);
  EXPECT_EQ(answers(model, {100})[1], 0.7);
  EXPECT_EQ(answers(model, {100})[0], 1 - 0.7);
  Description three = with_labels(Objective::kVotes, 3, 3);
  three.calibration = Calibration{true, {Isotonic{{0}, {0}}, Isotonic{{0}, {0}}, Isotonic{{0}, {0}}}};
  EXPECT_EQ(answers(three, {1, 0, 0})[0], 1.0 / 3);  // scikit-learn: all alike when no curve says anything
}

void only(Description& model, Predictor predictor) {
  model.trees.clear();
  model.predictor = std::move(predictor);
}

TEST(Description, SaysWhatIsWrongAndWhere) {
  struct Case {
    std::string wanted;
    std::function<void(Description&)> harm;
  };
  const std::vector<Case> cases = {
      {"a model needs at least one feature", [](auto& m) { m.features.clear(); }},
      {"regression does not go with 0 labels and 0 outputs", [](auto& m) { m.base_margins.clear(); }},
      {"the slope is not above 0", [](auto& m) { m.slope = kNan; }},
      {"base margin 0 is not finite", [](auto& m) { m.base_margins = {kInfinity}; }},
      {"the divisor is not above 0", [](auto& m) { m.sum.divisor = 0; }},
      {"no offset, or one for each output",
       [](auto& m) {
         m.sum.offsets = {1, 2};
       }},
      {"tree 0: node 0: splits on column 9 of 2", [](auto& m) { m.trees[0].nodes[0].feature = 9; }},
      {"tree 0: node 0: a threshold is not a number", [](auto& m) { m.trees[0].nodes[0].value = kNan; }},
      {"tree 0: node 0: the threshold is no f32",
       [](auto& m) {
         m.compare = Compare::kF32Less;
         m.trees[0].nodes[0].value = 0.1;
       }},
      {"tree 0: node 1: a leaf is not finite", [](auto& m) { m.trees[0].nodes[1].value = kNan; }},
      {"tree 0: node 2: a leaf is no f32, and margins are summed in f32",
       [](auto& m) {
         m.sum.precision = Precision::kF32;
         m.trees[0].nodes[2].value = 0.1;
       }},
      {"tree 0: a child is not in the tree", [](auto& m) { m.trees[0].nodes[0].left = 7; }},
      {"tree 0: a child is not in the tree", [](auto& m) { m.trees[0].nodes.clear(); }},
      {"tree 0: two nodes share a child", [](auto& m) { m.trees[0].nodes[0].left = 0; }},
      {"tree 0: adds to an output", [](auto& m) { m.trees[0].output = 1; }},
      {"tree 0: node 1: takes leaf vector 3 of 2",
       [](auto& m) {
         m.trees[0].vectors = {1, 2};
         m.trees[0].nodes[1].feature = 3;
       }},
      {"tree 0: node 0: splits by category set 0", [](auto& m) { m.trees[0].nodes[0].set = 0; }},
      {"category set 0 is not ascending",
       [](auto& m) {
         m.sets = {{2, 2}};
       }},
      {"category set 0 is not ascending, is empty", [](auto& m) { m.sets = {{}}; }},
      {"there are 3 weights; there must be one for each output and column, 2",
       [](auto& m) {
         m.linear = Linear{{1, 2, 3}};
       }},
      {"weight 1 is not finite",
       [](auto& m) {
         m.linear = Linear{{1, kNan}};
       }},
      {"step 0: takes column 2 of 2",
       [](auto& m) {
         m.steps = {Impute{{2}, {0}}};
       }},
      {"step 1: takes column 0 twice",
       [](auto& m) {
         m.steps = {Select{{0, 0}}, Impute{{0, 0}, {1, 1}}};
       }},
      {"step 0: divides by 0",
       [](auto& m) {
         m.steps = {Scale{Scale::Form::kShiftDivide, {0}, {0}, {0}}};
       }},
      {"step 0: has a category twice",
       [](auto& m) {
         m.steps = {OneHot{0, {1, 2, 1}}};
       }},
      {"step 0: has not one value",
       [](auto& m) {
         m.steps = {Impute{{0, 1}, {1}}};
       }},
      {"the shift is not finite, or there is one beside regression", [](auto& m) { m.shift = 1; }},
      {"tree 0: node 1: adds line 0, which is not there", [](auto& m) { m.trees[0].nodes[1].set = 0; }},
      {"line 0: takes column 2 of 2",
       [](auto& m) {
         m.lines = {Line{0, {2}, {1}}};
       }},
      {"line 0: has not one weight",
       [](auto& m) {
         m.lines = {Line{0, {1}, {}}};
       }},
      {"stand beside a predictor", [](auto& m) { m.predictor = Network{}; }},
      {"a network needs 1 to 16 layers", [](auto& m) { only(m, Network{}); }},
      {"layer 1: has 2 weights for 1 inputs and 1 units",
       [](auto& m) {
         only(m, Network{{{Activation::kRelu, {1, 1}, {1}}, {Activation::kRelu, {1, 1}, {1}}}});
       }},
      {"the last layer has 2 units for 1 outputs",
       [](auto& m) {
         only(m, Network{{{Activation::kRelu, {1, 1, 1, 1}, {1, 1}}}});
       }},
      {"layer 0: bias 0 is not finite",
       [](auto& m) {
         only(m, Network{{{Activation::kRelu, {1, 1}, {kNan}}}});
       }},
      {"asks 5 of 1 neighbours",
       [](auto& m) {
         only(m, Neighbours{.points = {1, 1}, .targets = {1}});
       }},
      {"there are 3 numbers of points with 2 columns",
       [](auto& m) {
         only(m, Neighbours{.count = 1, .points = {1, 1, 1}, .targets = {1}});
       }},
      {"there are 2 targets for 1 points",
       [](auto& m) {
         only(m, Neighbours{.count = 1, .points = {1, 1}, .targets = {1, 2}});
       }},
      {"a calibration needs labels",
       [](auto& m) {
         m.calibration = Calibration{true, {Platt{}}};
       }},
  };
  for (const Case& one : cases) {
    Description model = stump(Compare::kF64LessEqual, 0.5);
    one.harm(model);
    const Status status = check_description(model);
    ASSERT_FALSE(status.ok()) << one.wanted;
    EXPECT_NE(status.error().text.find(one.wanted), std::string::npos) << status.error().text;
  }
  Description curve = with_labels(Objective::kVotes, 2, 2);
  curve.features = {"x"};
  curve.calibration = Calibration{true, {Isotonic{{0, 1}, {0, 1}}, Isotonic{{0, 1}, {1, 0}}}};
  EXPECT_EQ(check_description(curve).error().text, "calibration curve 1: point 1 is out of order, or outside [0, 1]");
  Description deep = stump(Compare::kF32Less, 0);
  deep.trees[0].nodes.clear();
  for (int32_t i = 0; i < 66; ++i) {
    deep.trees[0].nodes.push_back({2 * i + 1, 2 * i + 2, 0, 0});
    deep.trees[0].nodes.push_back({.value = 1});
  }
  for (TreeNode& node : deep.trees[0].nodes) std::swap(node.left, node.right);
  deep.trees[0].nodes.push_back({.value = 1});
  EXPECT_EQ(check_description(deep).error().text, "tree 0: deeper than 64");
}

}  // namespace
}  // namespace wb::engine
