// Which rows may meet: every row judges once a deal, and never a model that has seen it, its group or its future.
#include "fit/folds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "fit/test_data.h"

namespace wb::fit {
namespace {

void expect_whole(const Fold& fold, size_t rows) {
  std::vector<size_t> all = fold.train;
  all.insert(all.end(), fold.test.begin(), fold.test.end());
  std::sort(all.begin(), all.end());
  ASSERT_EQ(all.size(), rows);
  for (size_t i = 0; i < rows; ++i) ASSERT_EQ(all[i], i);
}

TEST(Folds, EachRowJudgesOnceADealAndClassesAreShared) {
  const Dataset data = banded(203, 1);
  const auto folds = make_folds(data, {.folds = 5, .repeats = 3, .seed = 9});
  ASSERT_TRUE(folds.ok());
  ASSERT_EQ(folds->size(), 15U);
  std::map<float, size_t> in_all;
  for (const float target : data.targets) ++in_all[target];
  for (size_t deal = 0; deal < 3; ++deal) {
    std::vector<size_t> judged(203, 0);
    for (size_t i = 0; i < 5; ++i) {
      const Fold& fold = (*folds)[deal * 5 + i];
      expect_whole(fold, 203);
      std::map<float, size_t> here;
      for (const size_t row : fold.test) {
        ++judged[row];
        ++here[data.targets[row]];
      }
      for (const auto& [target, count] : in_all)
        EXPECT_NEAR(static_cast<double>(here[target]), static_cast<double>(count) / 5, 1);
    }
    EXPECT_EQ(judged, std::vector<size_t>(203, 1));
  }
  EXPECT_NE((*folds)[0].test, (*folds)[5].test);
  EXPECT_EQ((*make_folds(data, {.folds = 5, .repeats = 3, .seed = 9}))[7].test, (*folds)[7].test);
}

TEST(Folds, GroupsAreNeverParted) {
  Dataset data = banded(200, 2);
  for (size_t row = 0; row < 200; ++row) data.groups.push_back(static_cast<uint32_t>(row * row % 23));
  const auto folds = make_folds(data, {.folds = 4, .repeats = 2});
  ASSERT_TRUE(folds.ok());
  auto all = *folds;
  all.push_back(*hold_out(data, 0.2, 3));
  for (const Fold& fold : all) {
    expect_whole(fold, 200);
    std::set<uint32_t> trained;
    for (const size_t row : fold.train) trained.insert(data.groups[row]);
    ASSERT_FALSE(fold.test.empty());
    for (const size_t row : fold.test) EXPECT_FALSE(trained.contains(data.groups[row]));
  }
}

TEST(Folds, OnlyThePastIsLearntFrom) {
  Dataset data = banded(200, 3);
  for (size_t row = 0; row < 200; ++row) data.times.push_back(static_cast<double>(row * 37 % 200 / 3));
  const auto folds = make_folds(data, {.folds = 4});
  ASSERT_TRUE(folds.ok());
  ASSERT_EQ(folds->size(), 4U);
  auto all = *folds;
  all.push_back(*hold_out(data, 0.2, 3));
  expect_whole(all.back(), 200);
  for (const Fold& fold : all) {
    double last = -1;
    for (const size_t row : fold.train) last = std::max(last, data.times[row]);
    ASSERT_FALSE(fold.test.empty());
    for (const size_t row : fold.test) EXPECT_GT(data.times[row], last);
  }
  EXPECT_LT(all[0].train.size(), all[3].train.size());
}

TEST(Folds, TooFewToPart) {
  Dataset grouped = banded(50, 4);
  grouped.groups.assign(50, 0);
  EXPECT_EQ(make_folds(grouped, {.folds = 5}).error().text,
            "1 groups cannot be parted into 5 folds: use fewer --folds");
  EXPECT_FALSE(hold_out(grouped, 0.2, 1).ok());
  Dataset timed = banded(50, 4);
  timed.times.assign(50, 1.0);
  EXPECT_NE(make_folds(timed, {.folds = 5}).error().text.find("1 different moments"), std::string::npos);
  EXPECT_FALSE(hold_out(timed, 0.2, 1).ok());
}

TEST(HoldOut, TakesAShareOfEachClassAndLeavesALoneRow) {
  Dataset data = banded(400, 5);
  for (float& target : data.targets) target = target == 2 ? 1 : target;
  data.targets[7] = 2;
  const auto fold = hold_out(data, 0.25, 1);
  ASSERT_TRUE(fold.ok());
  expect_whole(*fold, 400);
  EXPECT_NEAR(static_cast<double>(fold->test.size()), 100, 2);
  EXPECT_EQ(std::count(fold->test.begin(), fold->test.end(), size_t{7}), 0);
}

}  // namespace
}  // namespace wb::fit
