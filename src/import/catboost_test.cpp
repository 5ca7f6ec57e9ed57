// CatBoost files made by hand. That the answers are CatBoost's own is for tests/interop.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/engine.h"
#include "import/import.h"
#include "import/test_files.h"
#include "import/test_onnx.h"

namespace wb::imports {
namespace {

using testing::catboost_json;
using testing::with;

double margin_of(std::string_view file, std::vector<double> row) {
  const auto imported = import_model(file);
  if (!imported.ok()) return std::nan(imported.error().text.c_str());
  const auto model = engine::Model::load(*engine::pack(*imported));
  std::vector<double> margins(model->outputs_count());
  model->predict_margins(row, 1, margins);
  return margins[0];
}
std::string error_of(std::string_view file) {
  const auto imported = import_model(file);
  return imported.ok() ? "" : imported.error().text;
}
void expect_refused(std::string_view from, std::string_view to, std::string_view why) {
  const std::string error = error_of(with(catboost_json(), from, to));
  EXPECT_NE(error.find(why), std::string::npos) << to << " gave: " << error;
}

TEST(ImportCatboost, AQuestionDecidesABitAndIsTrueAboveItsBorder) {
  const double nan = std::nan("");
  for (const std::string& file : {catboost_json(), testing::catboost_free_json()}) {
    EXPECT_EQ(error_of(file), "");
    EXPECT_EQ(margin_of(file, {0.5, 0}), 3.25);
    EXPECT_EQ(margin_of(file, {0.75, -1}), 5.25);
    EXPECT_EQ(margin_of(file, {0, 1}), 7.25);
    EXPECT_EQ(margin_of(file, {1, 1}), 9.25);
    EXPECT_EQ(margin_of(file, {nan, -1}), 3.25);
    EXPECT_EQ(margin_of(file, {1, nan}), 9.25);
    EXPECT_EQ(margin_of(file, {0.5 + 1e-9, 0}), 3.25);  // a row's numbers are f32
  }
}

TEST(ImportCatboost, NamesClassesAndObjective) {
  const auto model = import_model(catboost_json());
  ASSERT_TRUE(model.ok()) << model.error().text;
  EXPECT_EQ(model->features, (std::vector<std::string>{"f0", "b"}));
  EXPECT_EQ(model->labels, (std::vector<std::string>{"no", "yes"}));
  EXPECT_EQ(model->objective, engine::Objective::kLogistic);
  const auto labels_of = [](std::string_view names, std::string_view kind) {
    const std::string text = with(with(catboost_json(), R"(["no","yes"])", names), "\"String\"", kind);
    const auto imported = import_model(text);
    return imported.ok() ? imported->labels : std::vector<std::string>{imported.error().text};
  };
  EXPECT_EQ(labels_of("[false,true]", "\"Boolean\""), (std::vector<std::string>{"False", "True"}));
  EXPECT_EQ(labels_of("[0,1.5]", "\"Float\""), (std::vector<std::string>{"0", "1.5"}));
  EXPECT_EQ(labels_of("[]", "\"Integer\""), (std::vector<std::string>{"0", "1"}));
}

TEST(ImportCatboost, SaysWhatCannotBeCarried) {
  expect_refused("Logloss", "RMSEWithUncertainty", "e to twice its second margin");
  expect_refused("Logloss", "MyLoss", "the objective 'MyLoss' is not known");
  expect_refused("\"FloatFeature\"", "\"OneHotFeature\"", "'OneHotFeature' asks for a category");
  expect_refused("\"float_features\"", R"("categorical_features":[{"feature_id":"color"}],"float_features")",
                 "the feature 'color' is categorical");
  expect_refused("\"class_params\"", R"("binclass_probability_threshold":"0.3","class_params")",
                 "probability threshold");
}

TEST(ImportCatboost, SaysWhereAFileIsWrong) {
  expect_refused("[1,2,3,4]", "[1,2,3]", "/oblivious_trees/0/leaf_values");
  expect_refused("\"float_feature_index\":1", "\"float_feature_index\":7", "there is no float feature 7");
  expect_refused("\"flat_feature_index\":1", "\"flat_feature_index\":0", "column 0 stands twice");
  expect_refused("\"flat_feature_index\":1", "\"flat_feature_index\":5", "column 5 of 2");
  expect_refused("\"AsTrue\"", "\"AsMaybe\"", "'AsMaybe' is no treatment");
  expect_refused("\"border\":0.5", "\"border\":1e39", "the border is no finite f32");
  expect_refused("[2,[0.25]]", "[2,[]]", "0 outputs");
  std::string deep = testing::catboost_free_json();
  for (int i = 0; i < 80; ++i)
    deep = with(
        deep, R"({"value":1})",
        R"({"split":{"border":0,"float_feature_index":1,"split_type":"FloatFeature"},"left":{"value":1},"right":{"value":3}})");
  EXPECT_NE(error_of(deep).find("deeper than"), std::string::npos) << error_of(deep);
  for (size_t size = 0; size < catboost_json().size(); size += 7)
    EXPECT_NE(error_of(std::string_view(catboost_json()).substr(0, size)), "") << size;
}

}  // namespace
}  // namespace wb::imports
