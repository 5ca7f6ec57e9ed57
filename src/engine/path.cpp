// The way of a row through a tree, as a person would say it.
#include <algorithm>
#include <cmath>

#include "base/assert.h"
#include "base/bytes.h"
#include "engine/explain.h"
#include "engine/reference.h"

namespace wb::engine {
namespace {

// A text, if the feature has texts and nothing was done to it.
std::string category_name(const Description& model, const std::string& feature, double category) {
  const auto found = std::find(model.features.begin(), model.features.end(), feature);
  const auto at = static_cast<size_t>(found - model.features.begin());
  if (at >= model.texts.size()) return shortest(category);
  const auto known = static_cast<double>(model.texts[at].size());
  return category >= 0 && category < known ? model.texts[at][static_cast<size_t>(category)] : shortest(category);
}

// Each column as a person knows it: a feature; what steps made of one; whether it is a category.
std::vector<std::string> column_names(const Description& model) {
  std::vector<std::string> names = model.features;
  const auto prepared = [&](uint32_t column) {
    if (!names[column].starts_with("prepared ")) names[column] = "prepared " + names[column];
  };
  for (const Step& step : model.steps) {
    if (const auto* select = std::get_if<Select>(&step)) {
      std::vector<std::string> taken;
      for (const uint32_t column : select->columns) taken.push_back(names[column]);
      names = std::move(taken);
    } else if (const auto* one_hot = std::get_if<OneHot>(&step)) {
      const std::string name = names[one_hot->column];
      names.erase(names.begin() + one_hot->column);
      for (const double category : one_hot->categories)
        names.push_back("(" + name + " is " + category_name(model, name, category) + ")");
    } else if (const auto* ordinal = std::get_if<Ordinal>(&step)) {
      prepared(ordinal->column);
    } else if (const auto* scale = std::get_if<Scale>(&step)) {
      for (const uint32_t column : scale->columns) prepared(column);
    } else if (const auto* impute = std::get_if<Impute>(&step)) {
      for (const uint32_t column : impute->columns) prepared(column);
    }
  }
  return names;
}

std::string list(const std::vector<uint32_t>& set) {
  constexpr size_t kShown = 12;
  std::string out;
  for (size_t i = 0; i < std::min(set.size(), kShown); ++i) out += (i > 0 ? ", " : "") + std::to_string(set[i]);
  return set.size() > kShown ? out + ", … (" + std::to_string(set.size()) + ")" : out;
}

std::string condition(const Description& model, const TreeNode& split, const std::string& name, double x) {
  const bool left = goes_left(model, split, x);
  if (split.missing != Missing::kNanIsZero && std::isnan(x)) return name + " is missing";
  if (split.missing == Missing::kNanOrZero && std::fabs(x) <= kZeroMax) return name + " is 0 or missing";
  const std::string subject = std::isnan(x) ? name + " (missing, so 0)" : name;
  if (split.set >= 0)
    return subject + (left ? " is one of " : " is none of ") + list(model.sets[static_cast<size_t>(split.set)]);
  const bool strict = model.compare == Compare::kF32Less;
  const bool as_f32 = static_cast<double>(static_cast<float>(split.value)) == split.value;
  return subject + (left ? (strict ? " < " : " <= ") : (strict ? " >= " : " > ")) +
         (as_f32 ? shortest(static_cast<float>(split.value)) : shortest(split.value));
}

}  // namespace

std::vector<std::string> decision_path(const Description& model, size_t tree, std::span<const double> row) {
  WB_ASSERT(tree < model.trees.size() && row.size() == model.features.size());
  std::vector<double> columns(row.begin(), row.end());
  prepare_row(model, columns);
  const std::vector<std::string> names = column_names(model);
  std::vector<std::string> out;
  const std::vector<TreeNode>& nodes = model.trees[tree].nodes;
  for (size_t at = 0; nodes[at].left >= 0;) {
    const TreeNode& split = nodes[at];
    const double x = columns[split.feature];
    out.push_back(condition(model, split, names[split.feature], x));
    at = static_cast<size_t>(goes_left(model, split, x) ? split.left : split.right);
  }
  return out;
}

}  // namespace wb::engine
