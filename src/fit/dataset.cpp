#include "fit/dataset.h"

#include <algorithm>
#include <cmath>

namespace wb::fit {

bool Dataset::has_categories() const {
  return std::any_of(categories.begin(), categories.end(), [](const auto& one) { return !one.empty(); });
}

Dataset Dataset::subset(const std::vector<size_t>& indices) const {
  Dataset part;
  part.objective = objective;
  part.features = features;
  part.labels = labels;
  part.texts = texts;
  part.categories = categories;
  part.has_missing = has_missing;
  part.rows.reserve(indices.size() * features.size());
  for (const size_t i : indices) {
    const std::span<const float> values = row(i);
    part.rows.insert(part.rows.end(), values.begin(), values.end());
    part.targets.push_back(targets[i]);
    if (!weights.empty()) part.weights.push_back(weights[i]);
    if (!groups.empty()) part.groups.push_back(groups[i]);
    if (!times.empty()) part.times.push_back(times[i]);
  }
  return part;
}

std::vector<float> one_hot_rows(const Dataset& data, std::span<const float> rows) {
  if (!data.has_categories()) return {rows.begin(), rows.end()};
  const size_t width = data.features.size();
  std::vector<float> out;
  for (size_t at = 0; at < rows.size(); at += width) {
    for (size_t feature = 0; feature < width; ++feature)
      if (data.categories[feature].empty()) out.push_back(rows[at + feature]);
    for (size_t feature = 0; feature < width; ++feature)
      for (const double category : data.categories[feature])
        out.push_back(static_cast<double>(rows[at + feature]) == category ? 1.0F : 0.0F);
  }
  return out;
}

Dataset one_hot(const Dataset& data) {
  if (!data.has_categories()) return data;
  Dataset wide = data;
  wide.rows = one_hot_rows(data, data.rows);
  wide.has_missing = std::any_of(wide.rows.begin(), wide.rows.end(), [](float value) { return std::isnan(value); });
  wide.texts.clear();
  wide.categories.clear();
  wide.features.clear();
  for (size_t feature = 0; feature < data.features.size(); ++feature)
    if (data.categories[feature].empty()) wide.features.push_back(data.features[feature]);
  for (size_t feature = 0; feature < data.features.size(); ++feature)
    for (const double category : data.categories[feature])
      wide.features.push_back(data.features[feature] + "=" + std::to_string(category));
  return wide;
}

void begin_with_one_hot(const Dataset& data, engine::PlainModel& model) {
  model.features = data.features;
  model.texts = data.texts;
  if (!data.has_categories()) return;
  std::vector<engine::Step> steps;
  for (size_t feature = 0; feature < data.features.size(); ++feature) {
    if (data.categories[feature].empty()) continue;
    const size_t gone = steps.size();  // each step takes its column out
    steps.emplace_back(engine::OneHot{static_cast<uint32_t>(feature - gone), data.categories[feature]});
  }
  if (model.steps.empty()) model.steps_precision = engine::Precision::kF32;
  model.steps.insert(model.steps.begin(), steps.begin(), steps.end());
}

engine::PlainModel blank(const Dataset& data) {
  engine::PlainModel model;
  model.objective = data.labels.empty()         ? engine::Objective::kRegression
                    : data.classes_count() == 2 ? engine::Objective::kOneVote
                                                : engine::Objective::kVotes;
  model.features = data.features;
  model.labels = data.labels;
  model.compare = engine::Compare::kF32LessEqual;
  model.base_margins.assign(data.classes_count() > 2 ? data.classes_count() : 1, 0.0);
  model.reference_scores.label_counts.assign(data.classes_count(), 0);
  return model;
}

}  // namespace wb::fit
