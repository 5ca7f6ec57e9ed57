// Judging, choosing, and what the report says of it.
#include <gtest/gtest.h>

#include <cmath>

#include "fit/report.h"
#include "fit/test_data.h"

namespace wb::fit {
namespace {

Trial trial(double mean, double error, size_t bytes, std::string excluded = "") {
  Trial out;
  out.mean = mean;
  out.error = error;
  out.package_bytes = bytes;
  out.excluded = std::move(excluded);
  return out;
}

TEST(Choose, TheSmallestWithinOneStandardErrorOfTheBest) {
  const std::vector<Trial> trials = {trial(0.5, 0.01, 10), trial(0.955, 0.02, 100), trial(0.951, 0.001, 90),
                                     trial(0.96, 0.009, 5'000), trial(0.95, 0.5, 50)};
  const auto choice = choose(trials, true);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->best, 3U);
  EXPECT_DOUBLE_EQ(choice->limit, 0.951);
  EXPECT_EQ(choice->chosen, 2U);  // 0.95 with its own large error does not reach the limit
}

TEST(Choose, LessMayBeBetterAndWhatIsExcludedIsNoMeasure) {
  std::vector<Trial> trials = {trial(3, 0.1, 10), trial(1, 0.2, 900), trial(1.15, 0.1, 80)};
  EXPECT_EQ(choose(trials, false)->chosen, 2U);
  trials[1].excluded = "more than 500 bytes";
  EXPECT_EQ(choose(trials, false)->best, 2U);
  for (Trial& one : trials) one.excluded = "no";
  EXPECT_FALSE(choose(trials, false));
}

Result<engine::PlainModel> train(const Candidate& candidate, const Dataset& data) {
  if (candidate.family == Family::kConstant) return constant(data);
  if (candidate.family == Family::kLinear) return linear(data);
  return grow(data, {.trees = candidate.trees, .depth = candidate.depth});
}

TEST(Judge, ScoresEachFoldOnRowsThatDidNotTrain) {
  const Dataset data = banded(600, 1);
  const auto folds = *make_folds(data, {.folds = 5, .repeats = 2});
  size_t done = 0;
  const auto count = [&] { ++done; };
  const auto same = judge({Family::kConstant}, data, folds, 5, Metric::kAccuracy, train, count);
  const auto tree = judge({Family::kTree, 1, 3}, data, folds, 5, Metric::kAccuracy, train, count);
  ASSERT_TRUE(same.ok() && tree.ok());
  EXPECT_EQ(done, 20U);
  EXPECT_EQ(tree->scores.size(), 10U);
  EXPECT_LT(same->mean, 0.5);
  EXPECT_GT(tree->mean, 0.95);
  double squares = 0;
  for (const double one : tree->scores) squares += (one - tree->mean) * (one - tree->mean);
  EXPECT_DOUBLE_EQ(tree->error, std::sqrt(squares / 9) / std::sqrt(5.0));
}

TEST(Judge, PureNoiseIsNotLearnt) {
  Dataset data = banded(600, 1);
  Prng prng(5);
  for (float& target : data.targets) target = static_cast<float>(prng.below(3));
  const auto folds = *make_folds(data, {.folds = 5});
  const auto tree = judge({Family::kTree, 1, 12}, data, folds, 5, Metric::kAccuracy, train, [] {});
  EXPECT_LT(tree->mean, 0.4);  // deep enough to learn its own rows by heart, were it asked of them
  const auto by_heart =
      score(Metric::kAccuracy, data, answers_of(*loaded(grow(data, {.trees = 1, .depth = 12})), data));
  EXPECT_GT(by_heart, 0.5);
}

TEST(Importance, NamesWhatCarriesTheModel) {
  const Dataset data = banded(1'000, 1);
  const auto losses = importance(*loaded(grow(data, {.trees = 1, .depth = 3})), data, Metric::kAccuracy, 1);
  EXPECT_GT(losses[0], 0.2);
  EXPECT_GT(losses[1], 0.05);
  EXPECT_EQ(losses[2], 0);
}

TEST(Calibration, AnswersThatAreSharesAreTrueAsOften) {
  const Dataset data = banded(1'000, 1);
  const auto answers = answers_of(*loaded(constant(data)), data);
  double rows = 0;
  for (const CalibrationBin& bin : calibration(data, answers)) {
    EXPECT_NEAR(bin.answered, bin.true_share, 1e-6);
    rows += bin.rows;
  }
  EXPECT_EQ(rows, 3'000);
}

TEST(Cost, CountsTheQuestionsARowIsAsked) {
  const Dataset data = banded(1'000, 1);
  EXPECT_EQ(questions_a_row(constant(data), data), 0);
  const engine::PlainModel tree = grow(data, {.trees = 1, .depth = 3});
  const double asked = questions_a_row(tree, data);
  EXPECT_GT(asked, 1);
  EXPECT_LE(asked, 3);
  EXPECT_GT(estimated_us(kCortexM4, tree, asked), estimated_us(kCortexA53, tree, asked));
}

TEST(Report, IsOnePageAndNamesCannotBreakOutOfIt) {
  Report report;
  report.title = "a<script>.csv";
  report.trials = {trial(0.9, 0.01, 500), trial(0.95, 0.02, 5'000, "too \"large\"")};
  report.costs = {{"1"}, {"2"}};
  report.cost_heads = {"µs"};
  report.labels = {"</td>", "b"};
  report.confusion = {{3, 1}, {0, 4}};
  report.calibration = {{0.5, 0.4, 10}};
  report.importance = {{"<x>", 0.5}};
  const std::string page = html(report);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(page.find("<x>"), std::string::npos);
  EXPECT_NE(page.find("&lt;/td&gt;"), std::string::npos);
  EXPECT_NE(page.find("taken: smallest within one standard error"), std::string::npos);
  EXPECT_NE(page.find("too &quot;large&quot;"), std::string::npos);
  EXPECT_TRUE(page.ends_with("</html>\n"));
}

}  // namespace
}  // namespace wb::fit
