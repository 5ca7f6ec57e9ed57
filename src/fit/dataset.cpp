#include "fit/dataset.h"

#include <algorithm>

namespace wb::fit {

Dataset Dataset::subset(const std::vector<size_t>& indices) const {
  Dataset part;
  part.objective = objective;
  part.features = features;
  part.labels = labels;
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
