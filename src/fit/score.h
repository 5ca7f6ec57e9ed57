#pragma once
// How good answers are, in one number. Weights count as many rows as they say, so that records that were sampled with
// known inclusion probabilities judge as all records would (weight = 1 / probability).

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "fit/dataset.h"

namespace wb::fit {

enum class Metric : uint8_t { kAccuracy, kBalancedAccuracy, kMacroF1, kLogLoss, kAuc, kRmse, kMae, kR2 };
struct MetricInfo {
  Metric metric;
  std::string_view name;   // as --metric has it
  std::string_view title;  // for people
  bool more_is_better;
  bool of_classes;
};
std::span<const MetricInfo> metrics();
const MetricInfo& info(Metric metric);
// Macro F1 for classes: a rare class, which is often the one that matters, counts as much as the others. RMSE for
// values.
Metric default_metric(const Dataset& data);

// answers: f32[n, answers] as Model::probabilities gives them. NaN if it is not defined (AUC with one class).
//   balanced accuracy, macro F1: means over the classes that occur among the targets
//   log loss: probabilities are cut at 1e-6, else one sure mistake would be infinite
//   AUC: the second of two labels against the first; more labels: the mean of each against the rest
double score(Metric metric, const Dataset& data, std::span<const float> answers);

}  // namespace wb::fit
