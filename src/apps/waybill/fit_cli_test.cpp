// `waybill fit` and `waybill predict` as a person calls them: through their options, with real files.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/waybill/fit_data.h"
#include "apps/waybill/test_command.h"
#include "base/bytes.h"

namespace wb::cli {
namespace {

namespace fs = std::filesystem;

class FitCli : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    std::string csv = "unit,x,y,kind\n";
    for (int i = 0; i < 300; ++i) {
      const std::string kind = i % 17 <= 8 ? "cold" : i % 23 > 11 ? "\"hot, bad\"" : "warm";
      csv += "u1," + std::to_string(i % 17) + "," + std::to_string(i % 23) + ".25," + kind + "\n";
    }
    ASSERT_TRUE(write_file(path("data.csv"), csv).ok());
  }

  static Outcome run(std::vector<std::string> arguments) {
    return CommandTest::run(
        [](CLI::App& app) {
          add_fit(app);
          add_predict(app);
        },
        std::move(arguments));
  }
  Outcome fit(const std::string& model, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"fit",  path("data.csv"), "--target", "kind", "--drop",
                                       "unit", "--trees",        "8",        "-o",   path(model)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
};

TEST_F(FitCli, FitsReportsAndTheSameInputGivesTheSameBytes) {
  const Outcome outcome = fit("a.wbm");
  ASSERT_EQ(outcome.code, 0) << outcome.message;
  EXPECT_NE(outcome.out.find("margins equal XGBoost's bit for bit on 300 rows: yes"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("300 rows × 2 features · 240 to train, 60 held out"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("next:"), std::string::npos);
  ASSERT_EQ(fit("b.wbm").code, 0);
  EXPECT_EQ(*read_file(path("a.wbm"), 1 << 20), *read_file(path("b.wbm"), 1 << 20));
  ASSERT_EQ(fit("c.wbm", {"--seed", "2"}).code, 0);
  EXPECT_NE(*read_file(path("a.wbm"), 1 << 20), *read_file(path("c.wbm"), 1 << 20));
}

// The machine's state decides, and only it: every family must learn it from the text, and know it again from the
// package.
TEST_F(FitCli, ATextMayBeAFeature) {
  std::string csv = "x,state,kind\n";
  for (int i = 0; i < 240; ++i) {
    const char* state = i % 3 == 0 ? "idle" : i % 3 == 1 ? "run" : "stop";
    csv += std::to_string(i * 7 % 50) + "," + state + "," + (i % 3 == 1 ? "warm" : "cold") + "\n";
  }
  ASSERT_TRUE(write_file(path("state.csv"), csv).ok());
  ASSERT_TRUE(write_file(path("new.csv"), "state,x\nrun,3\nstop,3\nidle,3\nmelted,3\n").ok());
  for (const char* family : {"linear", "tree", "forest", "boosting"}) {
    const Outcome made = run({"fit", path("state.csv"), "--target", "kind", "--categorical", "state", "--candidate",
                              family, "-o", path("s.wbm")});
    ASSERT_EQ(made.code, 0) << family << made.message;
    EXPECT_NE(made.out.find("240 rows × 2 features"), std::string::npos) << made.out;
    const Outcome asked = run({"predict", path("s.wbm"), "--data", path("new.csv")});
    ASSERT_EQ(asked.code, 0) << asked.message;
    std::string labels;
    for (size_t at = 0; at < asked.out.size(); at = asked.out.find('\n', at) + 1) labels += asked.out.substr(at, 5);
    EXPECT_EQ(labels, "warm,cold,cold,cold,") << family << asked.out;
  }
  const Outcome compared =
      run({"fit", path("state.csv"), "--target", "kind", "--categorical", "state", "-o", path("c.wbm")});
  ASSERT_EQ(compared.code, 0) << compared.message;
}

TEST_F(FitCli, PackageCarriesWhatAReleaseNeeds) {
  ASSERT_EQ(fit("a.wbm").code, 0);
  const engine::Model model = std::move(engine::Model::load(*read_file(path("a.wbm"), 1 << 20))).value();
  EXPECT_EQ(model.features(), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(model.labels(), (std::vector<std::string>{"cold", "hot, bad", "warm"}));
  EXPECT_EQ(model.sketches().size(), 2U);
  EXPECT_GE(model.sketches()[0].counts.size(), 10U);
  EXPECT_EQ(model.reference_scores().records, 60U);
  EXPECT_GE(model.self_test().margins.size() / model.outputs_count(), 32U);
  EXPECT_TRUE(model.verify_self_test().ok());
}

TEST_F(FitCli, JsonReportIsJson) {
  const Outcome outcome = fit("a.wbm", {"--output", "json"});
  ASSERT_EQ(outcome.code, 0) << outcome.message;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json.at("exact_rows"), 300);
  EXPECT_EQ(json.at("classes").size(), 3U);
  EXPECT_GT(json.at("accuracy").get<double>(), 0.9);
}

TEST_F(FitCli, PredictGivesALineARowThatReadsBack) {
  ASSERT_EQ(fit("a.wbm").code, 0);
  const Outcome labels = run({"predict", path("a.wbm"), "--data", path("data.csv")});
  ASSERT_EQ(labels.code, 0) << labels.message;
  const std::vector<std::string_view> lines = split(labels.out, '\n');
  ASSERT_EQ(lines.size(), 301U);
  EXPECT_TRUE(lines[0].starts_with("cold,0.")) << lines[0];
  EXPECT_TRUE(lines[14].starts_with("\"hot, bad\",0.") || lines[14].starts_with("warm,0.")) << lines[14];
  const Outcome margins = run({"predict", path("a.wbm"), "--data", path("data.csv"), "--margin"});
  const engine::Model model = std::move(engine::Model::load(*read_file(path("a.wbm"), 1 << 20))).value();
  std::vector<float> wanted(3);
  model.predict_margins(std::vector<float>{0, 0.25F}, 1, wanted);
  const std::vector<std::string_view> cells = split(split(margins.out, '\n')[0], ',');
  ASSERT_EQ(cells.size(), 3U);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(static_cast<float>(*parse_double(cells[i])), wanted[i]);
}

TEST_F(FitCli, PredictMatchesColumnsByNameAndSaysWhatIsMissing) {
  ASSERT_EQ(fit("a.wbm").code, 0);
  ASSERT_TRUE(write_file(path("swapped.csv"), "y,extra,x\n0.25,7,0\n").ok());
  const Outcome straight = run({"predict", path("a.wbm"), "--data", path("data.csv"), "--margin"});
  const Outcome swapped = run({"predict", path("a.wbm"), "--data", path("swapped.csv"), "--margin"});
  EXPECT_EQ(split(straight.out, '\n')[0], split(swapped.out, '\n')[0]);
  ASSERT_TRUE(write_file(path("short.csv"), "y,z\n1,2\n").ok());
  const Outcome missing = run({"predict", path("a.wbm"), "--data", path("short.csv")});
  EXPECT_EQ(missing.code, kFailed);
  EXPECT_NE(missing.message.find("needs a column 'x'"), std::string::npos) << missing.message;
  ASSERT_TRUE(write_file(path("hole.csv"), "x,y\n1,2\n,2\n").ok());
  const Outcome hole = run({"predict", path("a.wbm"), "--data", path("hole.csv")});
  EXPECT_NE(hole.message.find("row 2, column 'x': the value is missing"), std::string::npos) << hole.message;
  EXPECT_EQ(run({"predict", path("a.wbm"), "--data", path("hole.csv"), "--allow-missing"}).code, 0);
}

TEST_F(FitCli, BadInputLeavesNoModelBehind) {
  EXPECT_EQ(run({"fit", path("data.csv"), "--target", "kind", "-o", path("n.wbm")}).code, kFailed);  // 'unit' is text
  EXPECT_EQ(run({"fit", path("none.csv"), "--target", "kind", "-o", path("n.wbm")}).code, kFailed);
  EXPECT_EQ(fit("n.wbm", {"--holdout", "2"}).code, kUsage);
  EXPECT_FALSE(fs::exists(path("n.wbm")));
  const Outcome garbage = run({"predict", path("data.csv"), "--data", path("data.csv")});
  EXPECT_EQ(garbage.code, kFailed);
  EXPECT_NE(garbage.message.find("not a model package"), std::string::npos);
}

TEST_F(FitCli, ComparesTakesTheSmallestThatIsGoodEnoughAndWritesAPage) {
  const std::vector<std::string> command = {"fit",    path("data.csv"), "--target",  "kind",
                                            "--drop", "unit",           "--repeats", "1"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), command.begin(), command.end());
    return run(more);
  };
  const Outcome outcome = with({"-o", path("c.wbm"), "--output", "json"});
  ASSERT_EQ(outcome.code, 0) << outcome.message;
  const auto json = nlohmann::json::parse(outcome.out);
  const auto& candidates = json.at("comparison").at("candidates");
  ASSERT_GE(candidates.size(), 8U);
  nlohmann::json best, chosen;
  size_t smallest = SIZE_MAX;
  for (const auto& one : candidates) {
    if (one.at("best")) best = one;
    if (one.at("chosen")) chosen = one;
  }
  const double limit = best.at("score").get<double>() - best.at("standard_error").get<double>();
  for (const auto& one : candidates)
    if (one.at("score").get<double>() >= limit) smallest = std::min(smallest, one.at("package_bytes").get<size_t>());
  EXPECT_EQ(chosen.at("package_bytes").get<size_t>(), smallest);
  EXPECT_EQ(json.at("candidate"), chosen.at("candidate"));
  EXPECT_GT(chosen.at("score").get<double>(), 0.9);
  EXPECT_LT(candidates[0].at("score").get<double>(), 0.4);  // always the same
  EXPECT_NE(read_file(path("c.html"), 1 << 20)->find("score against size"), std::string::npos);
  const engine::Model model = std::move(engine::Model::load(*read_file(path("c.wbm"), 1 << 20))).value();
  EXPECT_TRUE(model.verify_self_test().ok());
  EXPECT_EQ(model.bytes().size(), smallest);  // what was compared is what is written, to the byte

  ASSERT_EQ(with({"-o", path("d.wbm")}).code, 0);
  EXPECT_EQ(*read_file(path("c.wbm"), 1 << 20), *read_file(path("d.wbm"), 1 << 20));  // the seed decides

  const std::string room = std::to_string(smallest - 1);
  const Outcome tight = with({"-o", path("t.wbm"), "--max-bytes", room, "--output", "json"});
  ASSERT_EQ(tight.code, 0) << tight.message;
  for (const auto& one : nlohmann::json::parse(tight.out).at("comparison").at("candidates"))
    EXPECT_EQ(one.contains("excluded"), one.at("package_bytes").get<size_t>() >= smallest) << one;
  const Outcome none = with({"-o", path("n.wbm"), "--max-bytes", "10"});
  EXPECT_EQ(none.code, kFailed);
  EXPECT_NE(none.message.find("the smallest is 'always the same'"), std::string::npos) << none.message;
  EXPECT_FALSE(fs::exists(path("n.wbm")));
}

TEST_F(FitCli, OneFamilyAloneComparesNothing) {
  const Outcome tree =
      run({"fit", path("data.csv"), "--target", "kind", "--drop", "unit", "--candidate", "tree", "-o", path("t.wbm")});
  ASSERT_EQ(tree.code, 0) << tree.message;
  EXPECT_EQ(tree.out.find("± "), std::string::npos) << tree.out;
  EXPECT_EQ(std::move(engine::Model::load(*read_file(path("t.wbm"), 1 << 20))).value().trees_count(), 1U);
  const Outcome both = fit("b.wbm", {"--max-bytes", "10000"});
  EXPECT_EQ(both.code, kUsage);
  EXPECT_NE(both.message.find("--max-bytes belongs to a comparison"), std::string::npos) << both.message;
  const Outcome metric =
      run({"fit", path("data.csv"), "--target", "kind", "--drop", "unit", "--metric", "rmse", "-o", path("m.wbm")});
  EXPECT_EQ(metric.code, kFailed);
  EXPECT_NE(metric.message.find("'rmse' is for quantities"), std::string::npos) << metric.message;
}

TEST_F(FitCli, RegressionBinaryAndWeights) {
  const Outcome values =
      run({"fit", path("data.csv"), "--target", "y", "--drop", "unit,kind", "-o", path("r.wbm"), "--trees", "5"});
  ASSERT_EQ(values.code, 0) << values.message;
  EXPECT_NE(values.out.find("RMSE"), std::string::npos) << values.out;
  const engine::Model model = std::move(engine::Model::load(*read_file(path("r.wbm"), 1 << 20))).value();
  EXPECT_EQ(model.objective(), engine::Objective::kRegression);
  EXPECT_FALSE(model.reference_scores().prediction.counts.empty());
  EXPECT_NEAR(engine::unpack(model.bytes())->base_margins[0], 11.0, 0.6);  // it starts from the mean of y
  std::string csv = "x,w,label\n";
  for (int i = 0; i < 60; ++i)
    csv += std::to_string(i) + "," + std::to_string(1 + i % 3) + (i < 30 ? ",no\n" : ",yes\n");
  ASSERT_TRUE(write_file(path("two.csv"), csv).ok());
  const Outcome two =
      run({"fit", path("two.csv"), "--target", "label", "--weight", "w", "-o", path("two.wbm"), "--trees", "5"});
  ASSERT_EQ(two.code, 0) << two.message;
  EXPECT_EQ(std::move(engine::Model::load(*read_file(path("two.wbm"), 1 << 20))).value().features(),
            std::vector<std::string>{"x"});
  ASSERT_EQ(
      run({"fit", path("two.csv"), "--target", "label", "--drop", "w", "-o", path("even.wbm"), "--trees", "5"}).code,
      0);
  EXPECT_NE(*read_file(path("two.wbm"), 1 << 20), *read_file(path("even.wbm"), 1 << 20));  // weights weigh
}

}  // namespace
}  // namespace wb::cli
