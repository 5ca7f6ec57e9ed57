// `waybill model export` as a person calls it: files, sizes, budgets.

#include <algorithm>
#include <bit>
#include <filesystem>

#include "apps/waybill/test_command.h"
#include "engine/engine.h"

namespace wb::cli {
namespace {

namespace fs = std::filesystem;

// Boosted: tree i splits at i and adds 2^-i, so that what dropping trees loses is known.
engine::PlainModel boosted(size_t trees) {
  engine::PlainModel model;
  model.objective = engine::Objective::kLogistic;
  model.features = {"x"};
  model.labels = {"no", "yes"};
  model.base_margins = {0};
  model.reference_scores.label_counts = {0, 0};
  for (size_t i = 0; i < trees; ++i) {
    const double leaf = std::ldexp(1.0, -static_cast<int>(i));
    engine::Tree tree;
    tree.nodes = {{.left = 1, .right = 2, .value = static_cast<double>(i)}, {.value = -leaf}, {.value = leaf}};
    model.trees.push_back(tree);
  }
  return model;
}

class ModelExport : public CommandTest {
 protected:
  void SetUp() override {
    CommandTest::SetUp();
    write("m.wbm", *engine::pack(boosted(20)));
  }

  // The exit code; what was said is in said_.
  int run(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"model", "export", path("m.wbm"), "-o", path("pump.c")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = CommandTest::run(add_model, arguments);
    said_ = outcome.out + outcome.message;
    return outcome.code;
  }

  std::string said_;
};

TEST_F(ModelExport, WritesSourceAndHeaderAndSaysWhatTheyTake) {
  ASSERT_EQ(run({}), 0) << said_;
  EXPECT_NE(said_.find("pump.h: 20 trees"), std::string::npos) << said_;
  EXPECT_NE(said_.find("bytes of tables"), std::string::npos) << said_;
  EXPECT_NE(read_file(path("pump.h"), 1 << 20)->find("void pump_margins("), std::string::npos);
  EXPECT_NE(read_file(path("pump.c"), 1 << 20)->find("#include \"pump.h\""), std::string::npos);
}

TEST_F(ModelExport, OverBudgetNamesTheTreesThatFitAndWhatThatLoses) {
  ASSERT_TRUE(write_file(path("d.csv"), "x\n-1\n100\n").ok());
  EXPECT_EQ(run({"--budget-flash", "4560", "--data", path("d.csv")}), kFailed);
  EXPECT_FALSE(fs::exists(path("pump.c")));
  EXPECT_NE(said_.find("the budget is"), std::string::npos) << said_;
  EXPECT_NE(said_.find("2 rows"), std::string::npos) << said_;
  EXPECT_NE(said_.find("0 rows get another label"), std::string::npos) << said_;
  const size_t at = said_.find("To take them: --trees ");
  ASSERT_NE(at, std::string::npos) << said_;
  const std::string count = said_.substr(at + 22);
  ASSERT_EQ(run({"--budget-flash", "4560", "--data", path("d.csv"), "--trees", count}), 0) << said_;
  const double lost = std::ldexp(2.0, -std::stoi(count)) - std::ldexp(2.0, -20);  // the leaves left out
  char text[32];
  std::snprintf(text, sizeof text, "%.3g at most", lost);
  EXPECT_NE(said_.find(text), std::string::npos) << said_ << text;
  EXPECT_EQ(run({"--budget-flash", "4560", "--trees", std::to_string(std::stoi(count) + 1)}), kFailed);  // and no more
}

TEST_F(ModelExport, ABudgetThatNothingFits) {
  EXPECT_EQ(run({"--budget-ram", "16"}), kFailed);
  EXPECT_NE(said_.find("not even one tree"), std::string::npos) << said_;
  EXPECT_EQ(run({"--budget-flash", "1MiB", "--budget-ram", "1MiB"}), 0) << said_;
}

TEST_F(ModelExport, UsageErrors) {
  EXPECT_EQ(run({"--target", "rust"}), kUsage);
  EXPECT_EQ(run({"--budget-flash", "many"}), kUsage);
  EXPECT_EQ(run({"--trees", "21"}), kFailed);
  EXPECT_EQ(run({"--target", "cpp-header"}), 0) << said_;
  EXPECT_NE(read_file(path("pump.c"), 1 << 20)->find("namespace pump"), std::string::npos);
}

}  // namespace
}  // namespace wb::cli
