// What each reader makes of a file made by hand, and what it says about one that is wrong. That the answers are those
// of the libraries themselves is for tests/interop.
#include "import/import.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/engine.h"
#include "import/test_files.h"

namespace wb::imports {
namespace {

using testing::lightgbm_text;
using testing::with;
using testing::xgboost_json;

const double kNan = std::nan("");

std::string error_of(std::string_view bytes, const Options& options = {}) {
  const auto imported = import_model(bytes, options);
  return imported.ok() ? "" : imported.error().text;
}

// The margins of one row, through a package.
std::vector<double> margins_of(const engine::PlainModel& imported, std::vector<double> row) {
  const auto package = engine::pack(imported);
  if (!package.ok()) return {};
  const auto model = engine::Model::load(*package);
  std::vector<double> margins(model->outputs_count());
  model->predict_margins(row, 1, margins);
  return margins;
}
double margin_of(const engine::PlainModel& imported, std::vector<double> row) {
  const std::vector<double> margins = margins_of(imported, std::move(row));
  return margins.empty() ? kNan : margins[0];
}

std::string note_of(const engine::PlainModel& imported, std::string_view key) {
  for (const auto& [name, text] : imported.notes) {
    if (name == key) return text;
  }
  return "";
}

// ---- XGBoost
TEST(ImportXgboost, LessThanGoesLeftAndSetsGoRight) {
  const auto model = import_model(xgboost_json());
  ASSERT_TRUE(model.ok()) << model.error().text;
  EXPECT_EQ(model->features, (std::vector<std::string>{"f0", "f1"}));
  EXPECT_EQ(note_of(*model, "library"), "xgboost 2.1.4");
  EXPECT_EQ(margin_of(*model, {0.25, 1}), -0.25);
  EXPECT_EQ(margin_of(*model, {0.5, 1}), 2.25);
  EXPECT_EQ(margin_of(*model, {kNan, 1}), -0.25);
  EXPECT_EQ(margin_of(*model, {1, 3.9}), 2.25);  // the fraction is cut off
  EXPECT_EQ(margin_of(*model, {1, 2}), 1.25);
  EXPECT_EQ(margin_of(*model, {1, -1}), 1.25);
  EXPECT_EQ(margin_of(*model, {1, 1e9}), 1.25);
  EXPECT_EQ(margin_of(*model, {1, kNan}), 1.25);
}

TEST(ImportXgboost, JsonAndUbjsonGiveTheSamePackage) {
  const auto pack_of = [](std::string_view bytes) {
    const auto imported = import_model(bytes);
    if (!imported.ok()) return imported.error().text;
    return *engine::pack(*imported);
  };
  EXPECT_EQ(pack_of(xgboost_json()), pack_of(testing::xgboost_ubjson()));
}

TEST(ImportXgboost, ABaseScoreGoesThroughTheLinkInF32) {
  const auto base_of = [](std::string_view score, std::string_view objective) {
    std::string text = with(xgboost_json(), "2.5E-1\",\"boost", std::string(score) + "\",\"boost");
    text = with(text, "reg:squarederror", objective);
    const auto imported = import_model(text);
    return imported.ok() ? imported->base_margins[0] : kNan;
  };
  EXPECT_EQ(base_of("2.5E-1", "binary:logistic"), static_cast<double>(-std::log(3.0F)));
  EXPECT_EQ(base_of("[2.5E-1]", "binary:logistic"), static_cast<double>(-std::log(3.0F)));
  EXPECT_EQ(base_of("2.5E-1", "binary:logitraw"), 0.25);
  EXPECT_EQ(base_of("2.5E-1", "count:poisson"), static_cast<double>(std::log(0.25F)));
  EXPECT_EQ(base_of("2.5E-1", "rank:ndcg"), 0.25);
  EXPECT_EQ(base_of("[0E0]", "binary:logistic"), static_cast<double>(-std::log(1.0F / 1e-6F - 1.0F)));
  EXPECT_TRUE(std::isnan(base_of("0E0", "binary:logistic")));
  EXPECT_TRUE(std::isnan(base_of("0E0", "reg:gamma")));
  EXPECT_TRUE(std::isnan(base_of("[1E0,2E0]", "reg:squarederror")));
}

TEST(ImportXgboost, TreesAfterTheBestRoundAreLeftOutOrNot) {
  std::string text = with(xgboost_json(), "\"attributes\":{}", R"("attributes":{"best_iteration":"0"})");
  text = with(text, "\"trees\":[{", R"("trees":[{"default_left":[0],"left_children":[-1],"right_children":[-1],
"split_conditions":[4E0],"split_indices":[0],"tree_param":{}},{)");
  text = with(with(text, "\"tree_info\":[0]", "\"tree_info\":[0,0]"), "[0,1]", "[0,1,2]");
  const auto best = import_model(text);
  ASSERT_TRUE(best.ok()) << best.error().text;
  EXPECT_EQ(margin_of(*best, {0, 0}), 4.25);
  EXPECT_EQ(note_of(*best, "left out"), "1 of 2 trees, grown after the best round 0");
  Options options;
  options.best_only = false;
  EXPECT_EQ(margin_of(*import_model(text, options), {0, 0}), 3.75);
  // Files of 1.7 say how many trees a round has instead of where it ends.
  const std::string old = with(with(text, "\"iteration_indptr\":[0,1,2],", ""), "[2,1,4]", "[1,7,6]");
  EXPECT_EQ(margin_of(*import_model(old), {0, 0}), 4.25);
}

TEST(ImportXgboost, DartWeightsAreFoldedInF32) {
  std::string text = with(xgboost_json(), "\"gradient_booster\":{", "\"gradient_booster\":{\"gbtree\":{");
  text = with(text, "\"name\":\"gbtree\"}", "\"name\":\"gbtree\"},\"name\":\"dart\",\"weight_drop\":[3E-1]}");
  const auto model = import_model(text);
  ASSERT_TRUE(model.ok()) << model.error().text;
  EXPECT_EQ(margin_of(*model, {1, 0}), static_cast<double>(0.25F + 1.0F * 0.3F));
}

// Version 3.1 keeps the leaves of such trees in a list of their own, version 2 behind each node.
TEST(ImportXgboost, ALeafMayHoldAValueForEachOutput) {
  const std::string two = with(with(xgboost_json(), "\"num_target\":\"1\"", "\"num_target\":\"2\""),
                               "\"size_leaf_vector\":\"1\"", "\"size_leaf_vector\":\"2\"");
  const std::string old = with(two, "[0,0,0,0,0]", "[0,0,10,20,0,0,30,40,50,60]");
  const auto model = import_model(old);
  ASSERT_TRUE(model.ok()) << model.error().text;
  EXPECT_EQ(margins_of(*model, {0, 0}), (std::vector<double>{10.25, 20.25}));
  EXPECT_EQ(margins_of(*model, {1, 1}), (std::vector<double>{50.25, 60.25}));
  std::string fresh = with(two, "\"base_weights\":[0,0,0,0,0]", "\"leaf_weights\":[1,2,3,4,5,6]");
  fresh = with(fresh, "\"right_children\":[2,-1,4,-1,-1]", "\"right_children\":[2,0,4,1,2]");
  const auto list = import_model(fresh);
  ASSERT_TRUE(list.ok()) << list.error().text;
  EXPECT_EQ(margins_of(*list, {1, 0}), (std::vector<double>{3.25, 4.25}));
  EXPECT_EQ(
      error_of(with(fresh, "[2,0,4,1,2]", "[2,0,4,1,3]")),
      "XGBoost's JSON: /learner/gradient_booster/model/trees/0 (byte 209): a leaf's values are not in leaf_weights");
}

TEST(ImportXgboost, ALinearBoosterSkipsMissingValues) {
  const std::string file = testing::xgboost_linear_json();
  const auto model = import_model(file);
  ASSERT_TRUE(model.ok()) << model.error().text;
  EXPECT_EQ(margins_of(*model, {1, 10, 4}), (std::vector<double>{10.25 + 1 + 20 + 2, 20.25 - 1 - 20 + 1}));
  EXPECT_EQ(margins_of(*model, {kNan, 10, kNan}), (std::vector<double>{30.25, 0.25}));
  EXPECT_EQ(
      error_of(with(file, "10,20]", "10]")),
      "XGBoost's JSON: /learner/gradient_booster/model/weights (byte 136): has 7 numbers for 3 features, a bias and "
      "2 outputs");
}

TEST(ImportXgboost, WhatItCannotCarryHasAReason) {
  const auto error = [](std::string_view from, std::string_view to) {
    return error_of(with(xgboost_json(), from, to));
  };
  EXPECT_EQ(error("\"name\":\"gbtree\"", "\"name\":\"gbforest\""),
            "XGBoost's JSON: /learner/gradient_booster/name (byte 658): the booster 'gbforest' is not known");
  EXPECT_NE(error("reg:squarederror", "survival:cox").find("the objective survival:cox: hazard ratios are not carried"),
            std::string::npos);
  EXPECT_NE(error("reg:squarederror", "binary:hinge").find("train with binary:logistic"), std::string::npos);
  EXPECT_NE(error("reg:squarederror", "reg:new").find("the objective 'reg:new' is not known"), std::string::npos);
  EXPECT_NE(error("[2,1,4]", "[1,6,2]").find("saved by xgboost 1.6.2; versions from 1.7 on are read"),
            std::string::npos);
}

TEST(ImportXgboost, WhatIsWrongHasAPlace) {
  const auto error = [](std::string_view from, std::string_view to) {
    return error_of(with(xgboost_json(), from, to));
  };
  EXPECT_EQ(error("\"left_children\":[1,", "\"left_children\":[9,"),
            "XGBoost's JSON: tree 0: a child is not in the tree");
  EXPECT_EQ(error("\"split_indices\":[0,0,1", "\"split_indices\":[0,0,2"),
            "XGBoost's JSON: tree 0: node 2: splits on column 2 of 2; they count from 0");
  EXPECT_NE(error("\"split_indices\":[0,0,1,0,0]", "\"split_indices\":[0]").find("has 1 numbers for 5 nodes"),
            std::string::npos);
  EXPECT_NE(error("\"categories_sizes\":[2]", "\"categories_sizes\":[3]").find("categories_segments"),
            std::string::npos);
  EXPECT_NE(error("\"categories\":[1,3]", "\"categories\":[3,1]").find("not ascending"), std::string::npos);
  EXPECT_NE(error("\"objective\"", "\"objectives\"").find("/learner (byte 11): has no 'objective'"), std::string::npos);
  EXPECT_NE(error("\"num_feature\":\"2\",\n", "\"num_feature\":\"2000\",\n").find("is above 1024"), std::string::npos);
}

// ---- LightGBM
TEST(ImportLightgbm, LessOrEqualGoesLeftAndSetsGoLeft) {
  const auto model = import_model(lightgbm_text());
  ASSERT_TRUE(model.ok()) << model.error().text;
  EXPECT_EQ(model->features, (std::vector<std::string>{"x0", "c"}));
  EXPECT_EQ(model->objective, engine::Objective::kLogistic);
  EXPECT_EQ(model->slope, 2);
  EXPECT_EQ(note_of(*model, "library"), "lightgbm v4");
  EXPECT_EQ(margin_of(*model, {1.5, 0}), -0.5);
  EXPECT_EQ(margin_of(*model, {std::nextafter(1.5, 2), 0}), 3);
  EXPECT_EQ(margin_of(*model, {kNan, 0}), -0.5);
  EXPECT_EQ(margin_of(*model, {2, 33}), 3);
  EXPECT_EQ(margin_of(*model, {2, -0.5}), 3);  // cut off first: category 0
  EXPECT_EQ(margin_of(*model, {2, 1}), 0.75);
  EXPECT_EQ(margin_of(*model, {2, kNan}), 0.75);
  EXPECT_EQ(margin_of(*model, {2, -1}), 0.75);
}

TEST(ImportLightgbm, BitsSayWhatIsMissing) {
  const auto margin = [](int decision, double threshold, double x) {
    std::string text = with(lightgbm_text(), "decision_type=10", "decision_type=" + std::to_string(decision));
    text = with(text, "threshold=1.5", "threshold=" + std::to_string(threshold));
    return margin_of(*import_model(text), {x, 0});
  };
  EXPECT_EQ(margin(0, 1.5, kNan), -0.5);  // none: NaN is 0
  EXPECT_EQ(margin(0, -1.5, kNan), 3);
  EXPECT_EQ(margin(4, 1.5, 0), 3);  // zero, default right
  EXPECT_EQ(margin(4, 1.5, kNan), 3);
  EXPECT_EQ(margin(4, 1.5, 1e-35), 3);
  EXPECT_EQ(margin(6, -1.5, 0), -0.5);  // zero, default left
  EXPECT_EQ(margin(8, 1.5, kNan), 3);   // NaN, default right
  EXPECT_EQ(margin(8, 1.5, 0), -0.5);
  EXPECT_EQ(error_of(with(lightgbm_text(), "decision_type=10", "decision_type=12")),
            "LightGBM's text: tree 0: line 18: decision_type has an unknown rule for missing values");
}

// LightGBM's doors take |x| <= 1e-35 for 0.
TEST(ImportLightgbm, ThresholdsAroundZeroAnswerAsThoughSmallNumbersWereZero) {
  const double small = engine::kZeroMax;
  const auto margin = [](std::string_view threshold, double x) {
    const std::string text = with(lightgbm_text(), "threshold=1.5", "threshold=" + std::string(threshold));
    return margin_of(*import_model(text), {x, 0});
  };
  EXPECT_EQ(margin("-1.0000000180025095e-35", -small), 3);
  EXPECT_EQ(margin("-1.0000000180025095e-35", std::nextafter(-small, -1.0)), -0.5);
  EXPECT_EQ(margin("0", small), -0.5);
  EXPECT_EQ(margin("0", std::nextafter(small, 1.0)), 3);
}

TEST(ImportLightgbm, ObjectivesAndAverages) {
  const auto of = [](std::string_view objective) {
    return import_model(with(lightgbm_text(), "objective=binary sigmoid:2", objective))->objective;
  };
  EXPECT_EQ(of("objective=regression"), engine::Objective::kRegression);
  EXPECT_EQ(of("objective=regression sqrt"), engine::Objective::kSignedSquare);
  EXPECT_EQ(of("objective=tweedie tweedie_variance_power:1.5"), engine::Objective::kExponential);
  EXPECT_EQ(of("objective=cross_entropy"), engine::Objective::kSigmoid);
  EXPECT_EQ(of("label_index2=0"), engine::Objective::kRegression);
  EXPECT_EQ(error_of(with(lightgbm_text(), "objective=binary", "objective=cross_entropy_lambda")),
            "LightGBM's text: line 7: objective 'cross_entropy_lambda' is not carried: its answers are none that the "
            "engine makes");
  const auto mean = import_model(with(lightgbm_text(), "tree_sizes", "average_output\ntree_sizes"));
  ASSERT_TRUE(mean.ok()) << mean.error().text;
  EXPECT_EQ(margin_of(*mean, {0, 0}), -0.25);
}

TEST(ImportLightgbm, PandasCategoriesAreMappedOrRefused) {
  const std::string numbers = with(lightgbm_text(), "pandas_categorical:null", "pandas_categorical:[[70, 80]]");
  const auto model = import_model(numbers);
  ASSERT_TRUE(model.ok()) << model.error().text;
  EXPECT_EQ(margin_of(*model, {2, 70}), 3);  // code 0
  EXPECT_EQ(margin_of(*model, {2, 80}), 0.75);
  EXPECT_EQ(margin_of(*model, {2, 0}), 0.75);  // never seen
  Options codes;
  codes.category_codes = true;
  EXPECT_EQ(margin_of(*import_model(numbers, codes), {2, 0}), 3);
  const std::string texts = with(lightgbm_text(), "pandas_categorical:null", R"(pandas_categorical:[["a", "b"]])");
  EXPECT_EQ(
      error_of(texts),
      "LightGBM's text: line 44: pandas_categorical: column 0 ('c') has categories that are no numbers, and a row "
      "holds numbers; import with --category-codes to give rows the codes that pandas gave them");
  EXPECT_EQ(error_of(texts, codes), "");
  const std::string two = with(lightgbm_text(), "pandas_categorical:null", "pandas_categorical:[[1, 2], [3, 4]]");
  EXPECT_NE(error_of(two).find("has 2 columns, the trees use 1"), std::string::npos);
}

TEST(ImportLightgbm, LeavesMayBeLines) {
  const std::string file = testing::lightgbm_linear_text();
  const auto model = import_model(file);
  ASSERT_TRUE(model.ok()) << model.error().text;
  EXPECT_EQ(margin_of(*model, {1, 4}), 10 + 2 * 1 + 0.5 * 4 + 0.5);
  EXPECT_EQ(margin_of(*model, {1, kNan}), -1 + 0.5);  // the leaf's value
  EXPECT_EQ(margin_of(*model, {1, 1e-36}), 10 + 2 + 0.5);
  EXPECT_EQ(margin_of(*model, {2, 0}), 20 + 0.5);
  EXPECT_EQ(margin_of(*model, {2, 5}), 30 + 3 * 5 + 0.5);
  EXPECT_EQ(error_of(with(file, "num_features=2 0 1", "num_features=2 0 2")),
            "LightGBM's text: tree 0: line 27: leaf_features has 3 numbers instead of 4");
  EXPECT_EQ(error_of(with(file, "leaf_features=0 1 ", "leaf_features=0 2 ")),
            "LightGBM's text: line 0: takes column 2 of 2; they count from 0");
}

TEST(ImportLightgbm, WhatIsWrongHasALine) {
  const auto error = [](std::string_view from, std::string_view to) {
    return error_of(with(lightgbm_text(), from, to));
  };
  EXPECT_EQ(error("is_linear=0", "is_linear=1"),
            "LightGBM's text: tree 0: line 12: leaf_const has 0 numbers instead of 3");
  EXPECT_EQ(error("leaf_value=-1 2.5", "leaf_value=-1 x"),
            "LightGBM's text: tree 0: line 21: leaf_value item 1 is not a number, or too large for one");
  EXPECT_EQ(error("leaf_value=-1 2.5", "leaf_value=-1"),
            "LightGBM's text: tree 0: line 21: leaf_value has 2 numbers instead of 3");
  EXPECT_EQ(error("left_child=-1", "left_child=-9"), "LightGBM's text: tree 0: a child is not in the tree");
  EXPECT_EQ(error("left_child=-1", "left_child=-2147483648"), "LightGBM's text: tree 0: a child is not in the tree");
  EXPECT_EQ(error("cat_threshold=1 2", "cat_threshold=1 2 3"),
            "LightGBM's text: tree 0: line 23: cat_threshold has more than 2 numbers");
  EXPECT_EQ(
      error("threshold=1.5 0", "threshold=1.5 1"),
      "LightGBM's text: tree 0: line 17: threshold of a categorical split names a set that is not there, or another's");
  EXPECT_EQ(
      error("version=v4", "version=v2"),
      "LightGBM's text: line 2: version 'v2' is not read; v3 and v4 are: load it in LightGBM 3 or 4 and save it again");
  EXPECT_EQ(error("Tree=1", "Tree=2"), "LightGBM's text: line 28: expected Tree=1");
  EXPECT_EQ(error("end of trees", "end"), "LightGBM's text: line 44: the file ends before 'end of trees'");
  EXPECT_EQ(error("num_class", "version"), "LightGBM's text: line 3: 'version' stands twice");
}

// ---- Any file
TEST(Import, LabelsOfAPersonsOwn) {
  Options options;
  options.labels = {"calm", "storm"};
  EXPECT_EQ(import_model(lightgbm_text(), options)->labels, options.labels);
  options.labels.emplace_back("third");
  EXPECT_EQ(error_of(lightgbm_text(), options), "3 labels were given, and the model has 2");
}

TEST(Import, AStrangerIsNamed) {
  EXPECT_NE(error_of("\x80\x04\x95").find("this is a Python pickle, which runs code when it is opened"),
            std::string::npos);
  EXPECT_NE(error_of("binf....").find("XGBoost's old binary format"), std::string::npos);
  EXPECT_NE(error_of("WBM\x1a..").find("a model package already"), std::string::npos);
  EXPECT_NE(error_of("hello").find("it begins with 'hello', and these are read: XGBoost's JSON"), std::string::npos);
  EXPECT_NE(error_of("").find("no model of a known format"), std::string::npos);
  Options options;
  options.format = Format::kLightgbmText;
  EXPECT_NE(error_of(xgboost_json(), options).find("LightGBM's text: line"), std::string::npos);
}

TEST(Import, EveryFormatHasAName) {
  for (const std::string& name : format_names()) {
    const auto format = format_by_name(name);
    ASSERT_TRUE(format.has_value());
    EXPECT_EQ(format_name(*format), name);
  }
  EXPECT_FALSE(format_by_name("pickle").has_value());
}

}  // namespace
}  // namespace wb::imports
