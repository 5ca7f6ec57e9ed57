// The engine against the real libxgboost, bit for bit: generated data of every objective with missing values, and all
// 58,000 rows of NASA's Shuttle data, which script/data prepares.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "apps/waybill/booster.h"
#include "apps/waybill/fit_data.h"
#include "base/prng.h"

namespace wb::cli {
namespace {

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

struct Trained {
  Booster booster;
  engine::Model model;
};

Trained train(const Dataset& data, int trees, int depth) {
  TrainOptions options;
  options.objective = data.objective;
  options.classes = data.labels.size();
  options.trees = trees;
  options.depth = depth;
  if (data.labels.empty()) options.base_score = 12.345F;
  Booster booster =
      std::move(Booster::train({data.rows, data.features.size(), data.targets, data.weights}, options, nullptr))
          .value();
  engine::PlainModel plain = *booster.trees();
  plain.features = data.features;
  plain.labels = data.labels;
  plain.reference_scores.label_counts.resize(data.labels.size());
  auto model = engine::Model::load(*engine::pack(plain));
  EXPECT_TRUE(model.ok()) << model.error().text;
  return Trained{std::move(booster), std::move(model).value()};
}

void expect_equal_bits(const Trained& trained, std::span<const float> rows, size_t n) {
  const std::vector<float> theirs = *trained.booster.margins(rows, n);
  std::vector<float> ours(theirs.size());
  trained.model.predict_margins(rows, n, ours);
  size_t different = 0;
  for (size_t i = 0; i < ours.size(); ++i)
    different += std::bit_cast<uint32_t>(ours[i]) != std::bit_cast<uint32_t>(theirs[i]) ? 1 : 0;
  EXPECT_EQ(different, 0U) << "of " << ours.size() << " margins";
}

// classes: 0 = regression. Values repeat, so that rows fall on thresholds exactly.
Dataset generated(size_t classes, size_t rows, bool with_missing, uint64_t seed) {
  Prng prng(seed);
  Dataset data;
  data.features = {"a", "b", "c", "d", "e"};
  for (size_t i = 0; i < classes; ++i) data.labels.push_back("c" + std::to_string(i));
  data.objective = classes == 0   ? engine::Objective::kRegression
                   : classes == 2 ? engine::Objective::kLogistic
                                  : engine::Objective::kSoftprob;
  for (size_t row = 0; row < rows; ++row) {
    double sum = 0;
    for (size_t i = 0; i < data.features.size(); ++i) {
      const float value = static_cast<float>(prng.below(400)) / 7.0F - 20.0F;
      sum += static_cast<double>(value) * static_cast<double>(i + 1);
      data.rows.push_back(with_missing && prng.chance(100'000) ? kMissing : value);
    }
    const double noisy = sum + static_cast<double>(prng.below(100));
    data.targets.push_back(classes == 0 ? static_cast<float>(noisy)
                                        : static_cast<float>(static_cast<uint64_t>(noisy + 10'000) / 97 % classes));
    data.weights.push_back(static_cast<float>(1 + prng.below(5)));
  }
  return data;
}

TEST(Exact, EveryObjectiveWithAndWithoutMissingValues) {
  for (const size_t classes : {size_t{0}, size_t{2}, size_t{3}, size_t{9}}) {
    for (const bool with_missing : {false, true}) {
      SCOPED_TRACE(std::to_string(classes) + (with_missing ? " classes, with missing" : " classes"));
      const Dataset data = generated(classes, 1'500, with_missing, classes + 1);
      const Trained trained = train(data, 12, 6);
      expect_equal_bits(trained, data.rows, data.rows_count());
      const Dataset fresh = generated(classes, 500, true, 99);  // also missing values that training did not see
      expect_equal_bits(trained, fresh.rows, fresh.rows_count());
    }
  }
}

TEST(Exact, ValuesOnBesideAndFarFromThresholds) {
  const Dataset data = generated(3, 800, true, 5);
  const Trained trained = train(data, 10, 5);
  const engine::PlainModel plain = *trained.booster.trees();
  Prng prng(1);
  std::vector<float> rows;
  for (int row = 0; row < 4'000; ++row) {
    for (size_t i = 0; i < data.features.size(); ++i) {
      const engine::Tree& tree = plain.trees[prng.below(plain.trees.size())];
      const float value = tree.nodes[prng.below(tree.nodes.size())].value;
      const float choices[] = {value,
                               std::nextafter(value, 1e30F),
                               std::nextafter(value, -1e30F),
                               0.0F,
                               -0.0F,
                               kMissing,
                               std::numeric_limits<float>::denorm_min(),
                               std::numeric_limits<float>::max()};
      rows.push_back(choices[prng.below(std::size(choices))]);
    }
  }
  expect_equal_bits(trained, rows, 4'000);
}

TEST(Exact, All58000ShuttleRows) {
  const std::string path = std::string(WB_SOURCE_DIR) + "/build/data/shuttle.csv";
  const auto table = CsvTable::read(path);
  ASSERT_TRUE(table.ok()) << table.error().text << "; run script/data first: this promise is never skipped silently";
  ASSERT_EQ(table->rows_count(), 58'000U);
  const std::string target = table->header().back();
  const Dataset data = *make_dataset(*table, {.target = target});
  ASSERT_EQ(data.labels.size(), 7U);
  const Trained trained = train(data, 50, 6);
  EXPECT_EQ(trained.model.trees_count(), 350U);
  expect_equal_bits(trained, data.rows, data.rows_count());
}

}  // namespace
}  // namespace wb::cli
