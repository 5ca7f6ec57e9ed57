#include "apps/waybill/fit_data.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fit/package.h"

namespace wb::cli {
namespace {

// rows: 40; x counts up, class by x / 10, plus what the caller adds.
CsvTable table_of(const std::string& header, const std::function<std::string(int)>& row, int rows = 40) {
  std::string text = header + "\n";
  for (int i = 0; i < rows; ++i) text += row(i) + "\n";
  return std::move(CsvTable::parse(text, "x.csv")).value();
}

std::string refusal(const CsvTable& table, const DataOptions& options) {
  const auto data = make_dataset(table, options);
  return data.ok() ? "" : data.error().text;
}

TEST(FitData, TextIsClassesTwoOfThemAreLogistic) {
  const CsvTable table = table_of("x,y", [](int i) { return std::to_string(i) + (i < 10 ? ",on" : ",off"); });
  const Dataset data = *make_dataset(table, {.target = "y"});
  EXPECT_EQ(data.objective, engine::Objective::kLogistic);
  EXPECT_EQ(data.labels, (std::vector<std::string>{"off", "on"}));
  EXPECT_EQ(data.targets[0], 1.0F);
  EXPECT_EQ(data.features, std::vector<std::string>{"x"});
}

TEST(FitData, FewWholeNumbersAreClassesInNumericOrderOthersAQuantity) {
  EXPECT_TRUE(fit::are_classes({"0.5", "x"}, 40));  // a text among numbers, wherever it stands
  const CsvTable classes = table_of("x,y", [](int i) { return std::to_string(i) + "," + std::to_string(i / 10 * 5); });
  EXPECT_EQ(make_dataset(classes, {.target = "y"})->labels, (std::vector<std::string>{"0", "5", "10", "15"}));
  EXPECT_EQ(make_dataset(classes, {.target = "y", .task = Task::kRegression})->objective,
            engine::Objective::kRegression);
  const CsvTable quantity = table_of("x,y", [](int i) { return std::to_string(i) + "," + std::to_string(i) + ".5"; });
  EXPECT_EQ(make_dataset(quantity, {.target = "y"})->objective, engine::Objective::kRegression);
}

TEST(FitData, CategoriesAreTextsByPlaceOrNumbersAsTheyAre) {
  const CsvTable table = table_of("x,state,code,y", [](int i) {
    const std::string state = i % 5 == 0 ? "NA" : i % 2 == 0 ? " idle" : "\"run, fast\"";
    return std::to_string(i) + "," + state + "," + (i % 3 == 0 ? "7" : "40.0") + "," + (i < 10 ? "on" : "off");
  });
  const Dataset data = *make_dataset(table, {.target = "y", .categorical = {"state", "code"}});
  EXPECT_EQ(data.features, (std::vector<std::string>{"x", "state", "code"}));
  EXPECT_EQ(data.texts, (std::vector<std::vector<std::string>>{{}, {"idle", "run, fast"}, {}}));
  EXPECT_EQ(data.categories, (std::vector<std::vector<double>>{{}, {0, 1}, {7, 40}}));
  EXPECT_TRUE(std::isnan(data.row(0)[1]));
  EXPECT_EQ(data.row(1)[1], 1.0F);
  EXPECT_EQ(data.row(2)[2], 40.0F);
  EXPECT_TRUE(data.has_missing);
  const Dataset wide = fit::one_hot(data);
  EXPECT_EQ(wide.features.size(), 5U);
  EXPECT_FALSE(wide.has_missing);
  EXPECT_EQ(std::vector<float>(wide.row(0).begin(), wide.row(0).end()), (std::vector<float>{0, 0, 0, 1, 0}));
  EXPECT_EQ(std::vector<float>(wide.row(1).begin(), wide.row(1).end()), (std::vector<float>{1, 0, 1, 0, 1}));
  EXPECT_NE(refusal(table, {.target = "y", .drop = {"state"}, .categorical = {"state"}})
                .find("'state' is --categorical, and left out or the target"),
            std::string::npos);
  const CsvTable many = table_of(
      "t,y", [](int i) { return "t" + std::to_string(i) + "," + std::to_string(i % 2); }, 300);
  EXPECT_NE(refusal(many, {.target = "y", .categorical = {"t"}})
                .find("row 257, column 't': more than 256 different categories"),
            std::string::npos);
  const CsvTable broad = table_of(
      "a,b,c,d,e,y",
      [](int i) {
        const std::string kind = "t" + std::to_string(i);
        return kind + "," + kind + "," + kind + "," + kind + "," + kind + "," + std::to_string(i % 2);
      },
      250);
  EXPECT_NE(refusal(broad, {.target = "y", .categorical = {"a", "b", "c", "d", "e"}})
                .find("become 1250 columns, at most 1024"),
            std::string::npos);
  const CsvTable one = table_of("t,y", [](int i) { return "t," + std::to_string(i % 2); });
  EXPECT_NE(refusal(one, {.target = "y", .categorical = {"t"}}).find("says always the same"), std::string::npos);
}

TEST(FitData, RefusalsSayWhatToDo) {
  const auto row = [](int i) { return std::to_string(i) + ",t,7," + std::to_string(i - 1); };
  const CsvTable table = table_of("speed,text,same,weight", row);
  EXPECT_NE(refusal(table, {.target = "sped"}).find("no column 'sped' (--target); did you mean 'speed'?"),
            std::string::npos);
  EXPECT_NE(refusal(table, {.target = "same"}).find("always '7'; there is nothing to learn"), std::string::npos);
  EXPECT_NE(refusal(table, {.target = "speed", .task = Task::kRegression})
                .find("row 1, column 'text': 't' is not a number; if the column says what kind a row is, take it with "
                      "--categorical text, else leave it out with --drop text"),
            std::string::npos);
  EXPECT_EQ(refusal(table, {.target = "speed", .drop = {"text"}}), "");
  EXPECT_NE(refusal(table, {.target = "speed", .weight = "weight", .drop = {"text"}})
                .find("row 1, column 'weight': a weight must be above 0"),
            std::string::npos);
  EXPECT_NE(refusal(table, {.target = "speed", .drop = {"text", "same", "weight"}}).find("no feature column is left"),
            std::string::npos);
  const CsvTable few = table_of(
      "x,y", [](int i) { return std::to_string(i) + ",1"; }, 19);
  EXPECT_NE(refusal(few, {.target = "y"}).find("19 rows of data; at least 20 are needed"), std::string::npos);
  const CsvTable hole = table_of("x,y", [](int i) { return std::to_string(i) + (i == 5 ? "," : i < 3 ? ",a" : ",b"); });
  EXPECT_NE(refusal(hole, {.target = "y"}).find("row 6, column 'y': the target is missing"), std::string::npos);
}

TEST(FitData, AColumnThatNumbersTheRowsIsRefusedUnlessAllowed) {
  const CsvTable table = table_of("Row ID,x,y", [](int i) {
    return std::to_string(1000 + i * 7 % 40) + "," + std::to_string(i) + (i < 10 ? ",on" : ",off");
  });
  EXPECT_EQ(
      refusal(table, {.target = "y"}),
      "x.csv: the column 'Row ID' only numbers the rows (whole, all different): a model would learn rows by heart. "
      "Leave it out with --drop Row ID, or keep it with --allow-id Row ID");
  EXPECT_EQ(refusal(table, {.target = "y", .allow_id = {"Row ID"}}), "");
  EXPECT_EQ(refusal(table, {.target = "y", .drop = {"Row ID"}}), "");
  const CsvTable repeats = table_of("id,y", [](int i) { return std::to_string(i / 2) + (i < 10 ? ",on" : ",off"); });
  EXPECT_EQ(refusal(repeats, {.target = "y"}), "");
  const CsvTable humid = table_of("humid,y", [](int i) { return std::to_string(i) + (i < 10 ? ",on" : ",off"); });
  EXPECT_EQ(refusal(humid, {.target = "y"}), "");
}

TEST(FitData, GroupsTimesAndBalance) {
  const CsvTable table = table_of("x,unit,at,y", [](int i) {
    return std::to_string(i % 9) + (i % 2 == 0 ? ",a," : ",b,") + std::to_string(100 - i) + (i < 10 ? ",on" : ",off");
  });
  const Dataset data = *make_dataset(table, {.target = "y", .group = "unit", .time = "at", .balanced = true});
  EXPECT_EQ(data.features, std::vector<std::string>{"x"});
  EXPECT_EQ(data.groups[2], data.groups[0]);
  EXPECT_NE(data.groups[1], data.groups[0]);
  EXPECT_EQ(data.times[3], 97);
  EXPECT_FLOAT_EQ(data.weights[0] * 10, data.weights[39] * 30);
  EXPECT_FLOAT_EQ(data.weights[0], 2);
  EXPECT_NE(refusal(table, {.target = "y", .time = "unit"}).find("row 1, column 'unit': 'a' is no time"),
            std::string::npos);
  EXPECT_NE(refusal(table, {.target = "x", .drop = {"unit", "y"}, .balanced = true, .task = Task::kRegression})
                .find("--balanced is for classes"),
            std::string::npos);
}

// One tree that answers "low" below 10 and "high" from there on.
TEST(FitData, JudgesAgainstTheTruth) {
  engine::PlainModel plain;
  plain.objective = engine::Objective::kLogistic;
  plain.features = {"x"};
  plain.labels = {"high", "low"};
  plain.base_margins = {0};
  plain.reference_scores.label_counts = {0, 0};
  plain.trees = {{0, {{1, 2, 0, 10.0F, false}, {-1, -1, 0, 2.0F, false}, {-1, -1, 0, -2.0F, false}}}};
  const engine::Model model = std::move(engine::Model::load(*engine::pack(plain))).value();
  Dataset data;
  data.features = plain.features;
  data.labels = plain.labels;
  data.rows = {1, 2, 11, 12, 13};
  data.targets = {1, 0, 0, 0, 0};
  const Quality quality = judge(model, data);
  EXPECT_DOUBLE_EQ(quality.accuracy, 0.8);
  EXPECT_EQ(quality.classes[0].correct, 3U);
  EXPECT_EQ(quality.classes[1].rows, 1U);
  EXPECT_NEAR(quality.macro_f1, (2.0 * 3 / 7 + 2.0 * 1 / 3) / 2, 1e-12);
  EXPECT_EQ(quality.confusions.size(), 1U);
  const engine::ReferenceScores reference = fit::reference_scores(model, data);
  EXPECT_EQ(reference.records, 5U);
  EXPECT_EQ(reference.label_counts, (std::vector<uint64_t>{3, 2}));
  EXPECT_EQ(reference.confidence_bins[17], 5U);  // logistic(2) = 0.8808
}

}  // namespace
}  // namespace wb::cli
