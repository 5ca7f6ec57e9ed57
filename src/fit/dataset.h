#pragma once
// What there is to learn from: numbers in rows, one target each, and what says which rows belong together.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace wb::fit {

struct Dataset {
  static constexpr size_t kRowsMin = 20;
  static constexpr size_t kAutoClassesMax = 32;  // a whole-number target with more values is taken for a quantity
  static constexpr size_t kCategoriesMax = 256;  // of a categorical feature; each becomes a column

  engine::Objective objective = engine::Objective::kSoftprob;  // kLogistic for two labels, kRegression for none
  std::vector<std::string> features;
  std::vector<std::string> labels;
  std::vector<std::vector<std::string>> texts;  // as in Description
  std::vector<std::vector<double>>
      categories;                // one per feature, ascending: what a categorical one may be; none: number
  std::vector<float> rows;       // f32[n, features], row-major, NaN = missing
  std::vector<float> targets;    // f32[n]: class index, or the value for regression
  std::vector<float> weights;    // empty, or f32[n] > 0
  std::vector<uint32_t> groups;  // empty, or u32[n]: rows of one group are never parted
  std::vector<double> times;     // empty, or f64[n]: only the past may be learnt from
  bool has_missing = false;

  size_t rows_count() const { return targets.size(); }
  size_t classes_count() const { return labels.size(); }
  std::span<const float> row(size_t i) const { return std::span(rows).subspan(i * features.size(), features.size()); }
  double weight(size_t i) const { return weights.empty() ? 1.0 : static_cast<double>(weights[i]); }
  bool has_categories() const;
  Dataset subset(const std::vector<size_t>& indices) const;
};

// The same rows as trainers want them: a categorical feature becomes one column per category, 1 or 0, behind all
// others; what is none of its categories, or missing, is 0 in all of them. The data itself if nothing is categorical.
Dataset one_hot(const Dataset& data);
// The same for any rows of its features.
std::vector<float> one_hot_rows(const Dataset& data, std::span<const float> rows);
// The same for what was trained on one_hot(data): it takes the features of `data` from now on, and makes the columns in
// its first steps.
void begin_with_one_hot(const Dataset& data, engine::PlainModel& model);

// A model for this data that answers nothing yet: objective, features and labels; no trees, margins 0. Margins are
// shares (kVotes; kOneVote of two labels) or values.
engine::PlainModel blank(const Dataset& data);

}  // namespace wb::fit
