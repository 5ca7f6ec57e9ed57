// The export's own rules. That what it writes gives the engine's bits is shown by tests/export, with compilers.
#include "engine/export_c.h"

#include <gtest/gtest.h>

#include "engine/export_layout.h"
#include "engine/reference.h"
#include "engine/test_models.h"

namespace wb::engine {
namespace {

PlainModel one_split() {
  PlainModel model = testing::random_model(1, 3, 1, 0, 1);
  model.trees.resize(1);
  model.trees[0].nodes = {{.left = 1, .right = 2, .feature = 2, .value = 3}, {.value = -1}, {.value = 2}};
  return model;
}

ExportOptions named(const std::string& name) {
  ExportOptions options;
  options.name = name;
  return options;
}

TEST(Export, KeysSortAsNumbersDo) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double tiny = static_cast<double>(std::numeric_limits<float>::denorm_min());
  const std::vector<double> ascending = {-kInfinity, -1e30, -1, -tiny, 0, tiny, 1e-35, 1, 1e30, kInfinity};
  for (const bool wide : {false, true}) {
    for (size_t i = 1; i < ascending.size(); ++i)
      EXPECT_LT(key_of(ascending[i - 1], wide), key_of(ascending[i], wide)) << ascending[i];
    EXPECT_EQ(key_of(-0.0, wide), 0);
  }
  EXPECT_EQ(key_of(tiny, false), 1);  // so one less than a limit is the next number below it
}

TEST(Export, TestsAreSharedWhereThatIsSmaller) {
  PlainModel model = one_split();
  const Layout one = lay_out(model, false);
  EXPECT_TRUE(one.split_test.empty());
  for (int i = 0; i < 5; ++i) model.trees.push_back(model.trees[0]);
  const Layout many = lay_out(model, false);
  EXPECT_EQ(many.test_limit.size(), 1U);
  EXPECT_EQ(many.split_test, std::vector<uint32_t>(6, 0));
  EXPECT_EQ(many.leaves.size(), 2U);
  EXPECT_EQ(many.leaf_value.size(), 12U);
}

TEST(Export, AlwaysTheSameTextAndItsSizeIsThatOfItsTables) {
  const PlainModel model = one_split();
  const auto made = export_c(model, named("pump"));
  ASSERT_TRUE(made.ok()) << made.error().text;
  EXPECT_EQ(made->source, export_c(model, named("pump"))->source);
  // one limit, how many splits are left of it, how many the tree has, its cell, two leaves, the base margin
  EXPECT_EQ(made->sizes.tables, 4U + 1 + 1 + 1 + 8 + 4);
  EXPECT_NE(made->header.find("void pump_margins(const float row[3], float margins[1]);"), std::string::npos);
}

TEST(Export, NamesCannotLeaveTheComment) {
  PlainModel model = testing::random_model(6, 2, 2, 4, 9);
  model.features = {"*/ int main", "a\nb\\"};
  model.labels = {"\xE2\x80\xAE", "?\?/"};
  model.notes = {{"trainer", "*/"}};
  for (const bool cpp : {false, true}) {
    ExportOptions options = named("pump");
    options.cpp_header = cpp;
    options.made_from = "*/";
    const auto made = export_c(model, options);
    ASSERT_TRUE(made.ok());
    const std::string head = made->header.substr(0, made->header.find("*/"));
    EXPECT_NE(head.find("0 '\\x2a\\x2f int main'"), std::string::npos) << head;
    EXPECT_NE(head.find("1 'a\\x0ab\\x5c'"), std::string::npos) << head;
    EXPECT_NE(head.find("'\\xe2\\x80\\xae'"), std::string::npos) << head;
    EXPECT_NE(head.find("1 '\\x3f\\x3f\\x2f'"), std::string::npos) << head;
  }
}

TEST(Export, RefusesWhatIsNoNameOrNoModel) {
  const PlainModel model = testing::random_model(7, 1, 1, 1, 3);
  for (const std::string name : {"", "1st", "a-b", "_a", "a b", "a;"})
    EXPECT_FALSE(export_c(model, named(name)).ok()) << name;
  PlainModel broken = model;
  broken.trees[0].nodes[0].left = 99;
  EXPECT_FALSE(export_c(broken, named("pump")).ok());
}

TEST(Export, FirstTreesAreAnEarlierRound) {
  PlainModel model = testing::random_model(8, 3, 2, 12, 20);
  EXPECT_EQ(trees_in_round(model), 2U);
  EXPECT_FALSE(first_trees(model, 3).ok());   // half a round
  EXPECT_FALSE(first_trees(model, 14).ok());  // more than there are
  const auto four = first_trees(model, 4);
  ASSERT_TRUE(four.ok());
  EXPECT_EQ(four->trees.size(), 4U);
  std::swap(model.trees[0].output, model.trees[1].output);
  EXPECT_EQ(trees_in_round(model), 1U);
}

TEST(Export, FirstTreesOfAForestAreAveragedAmongThemselves) {
  PlainModel model = testing::random_model(9, 3, 1, 10, 20);
  model.base_margins = {0};
  model.sum.divisor = 10;
  const auto five = first_trees(model, 5);
  ASSERT_TRUE(five.ok());
  EXPECT_EQ(five->sum.divisor, 5);
  EXPECT_FALSE(first_trees(model, 0).ok());
  model.sum.divisor.reset();
  model.objective = Objective::kIsolation;
  EXPECT_FALSE(first_trees(model, 5).ok());
  EXPECT_TRUE(first_trees(model, 10).ok());
}

}  // namespace
}  // namespace wb::engine
