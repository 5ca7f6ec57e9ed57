// `waybill model` as a person calls it: through its options, with real files.

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/waybill/test_command.h"
#include "import/test_files.h"

namespace wb::cli {
namespace {

namespace fs = std::filesystem;

class ModelCli : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    write("x.json", imports::testing::xgboost_json());
    write("l.txt", imports::testing::lightgbm_text());
  }

  static Outcome run(std::vector<std::string> arguments) {
    return CommandTest::run(
        [](CLI::App& app) {
          add_model(app);
          add_predict(app);
        },
        std::move(arguments));
  }
  Outcome import_file(const std::string& file, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"model", "import", path(file), "-o", path("m.wbm")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run(arguments);
  }
};

TEST_F(ModelCli, ImportsShowsAndPredicts) {
  const Outcome imported = import_file("l.txt", {"--labels", "calm,storm"});
  ASSERT_EQ(imported.code, 0) << imported.message;
  EXPECT_NE(imported.out.find("lightgbm v4"), std::string::npos) << imported.out;
  const auto shown = nlohmann::json::parse(run({"model", "show", path("m.wbm"), "--output", "json"}).out);
  EXPECT_EQ(shown.at("trees"), 2);
  EXPECT_EQ(shown.at("nodes"), 6);
  EXPECT_EQ(shown.at("depth"), 2);
  EXPECT_EQ(shown.at("compares"), "f64 <=");
  EXPECT_EQ(shown.at("labels"), (std::vector<std::string>{"calm", "storm"}));
  write("rows.csv", "c,x0\n33,1.6\n0,\n0,inf\n");
  EXPECT_EQ(run({"predict", path("m.wbm"), "--data", path("rows.csv"), "--margin"}).out, "3\n-0.5\n3\n");
  const Outcome best = run({"predict", path("m.wbm"), "--data", path("rows.csv")});
  EXPECT_TRUE(best.out.starts_with("storm,0.997527376843365")) << best.out;
  EXPECT_NE(run({"predict", path("m.wbm"), "--data", path("rows.csv"), "--all"}).out.find("0.002472623156634"),
            std::string::npos);
}

TEST_F(ModelCli, WritesNoModelThatDoesNotReproduceWhatWasRecorded) {
  write("rows.csv", "f0,f1\n0.25,1\n0.5,1\n");
  write("right.csv", "margin\n-0.25\n2.25\n");
  write("wrong.csv", "margin\n-0.25\n2.2500002\n");
  const Outcome wrong = import_file("x.json", {"--rows", path("rows.csv"), "--expect", path("wrong.csv")});
  EXPECT_EQ(wrong.code, kFailed);
  EXPECT_NE(wrong.message.find("wrong.csv: row 2, column 'margin': recorded 2.2500002, the model's margin is 2.25"),
            std::string::npos)
      << wrong.message;
  EXPECT_FALSE(fs::exists(path("m.wbm")));
  const Outcome right = import_file(
      "x.json", {"--rows", path("rows.csv"), "--expect", path("right.csv"), "--expect-answers", path("right.csv")});
  ASSERT_EQ(right.code, 0) << right.message;
  EXPECT_NE(right.out.find("exact: reproduces 2 recorded rows"), std::string::npos) << right.out;
  EXPECT_EQ(nlohmann::json::parse(run({"model", "show", path("m.wbm"), "--output", "json"}).out).at("self_test_rows"),
            2);
}

TEST_F(ModelCli, SaysWhatIsWrongWithTheRecords) {
  write("rows.csv", "f0,f1\n0.25,1\n");
  write("two.csv", "a,b\n1,2\n");
  write("long.csv", "a\n1\n2\n");
  const auto message = [&](const std::string& expect) {
    return import_file("x.json", {"--rows", path("rows.csv"), "--expect", path(expect)}).message;
  };
  EXPECT_NE(message("two.csv").find("has 2 columns, the model gives 1 margins a row"), std::string::npos);
  EXPECT_NE(message("long.csv").find("has 2 rows, there are 1 recorded rows"), std::string::npos);
  EXPECT_EQ(import_file("x.json", {"--rows", path("rows.csv")}).code, kUsage);
  EXPECT_EQ(import_file("x.json", {"--expect", path("two.csv")}).code, kUsage);
}

TEST_F(ModelCli, SaysWhatEachFeatureAdds) {
  // x0 < 0.5 or missing: -0.5, else 2 or 1 by x1; of 8 rows 4, 1 and 3 reached the leaves.
  write("x.json", imports::testing::with(imports::testing::xgboost_json(), R"("split_type")",
                                         R"("sum_hessian":[8,4,4,3,1],"split_type")"));
  write("rows.csv", "f0,f1\n0.25,1\n0.75,\n");
  const auto ask = [&](std::vector<std::string> how) {
    std::vector<std::string> arguments{"predict", path("m.wbm"), "--data", path("rows.csv")};
    arguments.insert(arguments.end(), how.begin(), how.end());
    return run(arguments);
  };
  ASSERT_EQ(import_file("x.json").code, 0);
  EXPECT_NE(ask({"--explain"}).message.find("import or fit the model again with --explain"), std::string::npos);
  ASSERT_EQ(import_file("x.json", {"--explain"}).code, 0);
  EXPECT_EQ(nlohmann::json::parse(run({"model", "show", path("m.wbm"), "--output", "json"}).out).at("explains"), true);
  // Known x0 alone: -0.5, then 1.25; x1 alone: (-0.5 + 2) / 2, then (-0.5 + 1) / 2; nothing: 0.375; both: -0.5, then 1.
  EXPECT_EQ(ask({"--explain"}).out, "f0,f1,bias\n-1.0625,0.1875,0.625\n0.8125,-0.1875,0.625\n");
  EXPECT_EQ(ask({"--explain", "--of", "0"}).out, ask({"--explain"}).out);
  EXPECT_EQ(ask({"--explain", "--of", "1"}).code, kUsage);
  EXPECT_EQ(ask({"--of", "0"}).code, kUsage);
  EXPECT_EQ(ask({"--path"}).out, "f0 < 0.5\nf0 >= 0.5 and f1 is missing\n");
  ASSERT_EQ(import_file("l.txt").code, 0);
  write("rows.csv", "c,x0\n33,1.6\n");
  EXPECT_NE(ask({"--path"}).message.find("has 2 trees"), std::string::npos);
  EXPECT_NE(import_file("l.txt", {"--explain"}).message.find("tree 0: the file does not hold how many rows"),
            std::string::npos);
}

TEST_F(ModelCli, BadFilesAndRowsAreNamed) {
  write("no.txt", "hello");
  EXPECT_NE(import_file("no.txt").message.find("no.txt: this is no model of a known format"), std::string::npos);
  EXPECT_EQ(import_file("x.json", {"--format", "pickle"}).code, kUsage);
  ASSERT_EQ(import_file("x.json").code, 0);
  write("large.csv", "f0,f1\n1e39,1\n");
  EXPECT_NE(run({"predict", path("m.wbm"), "--data", path("large.csv")}).message.find("row 1, column 'f0': '1e+39'"),
            std::string::npos);
  write("text.csv", "f0,f1\n1,1\n2,x\n");
  EXPECT_NE(run({"predict", path("m.wbm"), "--data", path("text.csv")}).message.find("row 2, column 'f1': 'x' is not"),
            std::string::npos);
}

}  // namespace
}  // namespace wb::cli
