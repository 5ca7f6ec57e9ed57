#include "fit/score.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/assert.h"

namespace wb::fit {
namespace {

constexpr std::array<MetricInfo, 8> kMetrics = {{
    {Metric::kMacroF1, "macro-f1", "macro F1", true, true},
    {Metric::kAccuracy, "accuracy", "accuracy", true, true},
    {Metric::kBalancedAccuracy, "balanced-accuracy", "balanced accuracy", true, true},
    {Metric::kLogLoss, "log-loss", "log loss", false, true},
    {Metric::kAuc, "auc", "area under ROC", true, true},
    {Metric::kRmse, "rmse", "RMSE", false, false},
    {Metric::kMae, "mae", "mean absolute error", false, false},
    {Metric::kR2, "r2", "R²", true, false},
}};
constexpr double kProbabilityMin = 1e-6;

size_t class_of(const Dataset& data, size_t row) { return static_cast<size_t>(data.targets[row]); }

struct Counts {  // of one class, weighted
  double rows = 0;
  double answered = 0;
  double correct = 0;
};
std::vector<Counts> count_answers(const Dataset& data, std::span<const float> answers) {
  const size_t classes = data.classes_count();
  std::vector<Counts> counts(classes);
  for (size_t row = 0; row < data.rows_count(); ++row) {
    const auto answer = answers.subspan(row * classes, classes);
    const auto best = static_cast<size_t>(std::max_element(answer.begin(), answer.end()) - answer.begin());
    const size_t truth = class_of(data, row);
    counts[truth].rows += data.weight(row);
    counts[best].answered += data.weight(row);
    if (best == truth) counts[truth].correct += data.weight(row);
  }
  return counts;
}

template <class Value>
double mean_over_present(const std::vector<Counts>& counts, const Value& value) {
  double sum = 0;
  double present = 0;
  for (const Counts& one : counts) {
    if (one.rows <= 0) continue;
    sum += value(one);
    ++present;
  }
  return present > 0 ? sum / present : std::numeric_limits<double>::quiet_NaN();
}

double log_loss(const Dataset& data, std::span<const float> answers) {
  double sum = 0;
  double weights = 0;
  for (size_t row = 0; row < data.rows_count(); ++row) {
    const auto p = static_cast<double>(answers[row * data.classes_count() + class_of(data, row)]);
    sum -= data.weight(row) * std::log(std::clamp(p, kProbabilityMin, 1.0));
    weights += data.weight(row);
  }
  return sum / weights;
}

// Mann and Whitney: the share of pairs, one row of the class and one of another, in which the first has the higher
// answer; equal answers count half.
double auc_of_class(const Dataset& data, std::span<const float> answers, size_t label) {
  const size_t classes = data.classes_count();
  std::vector<size_t> order(data.rows_count());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto answer = [&](size_t row) { return answers[row * classes + label]; };
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return answer(a) < answer(b); });
  double below = 0;  // weight of other rows with a lower answer
  double pairs = 0;
  double of_class = 0;
  for (size_t i = 0; i < order.size();) {
    double own = 0;
    double other = 0;
    size_t j = i;
    for (; j < order.size() && answer(order[j]) == answer(order[i]); ++j)
      (class_of(data, order[j]) == label ? own : other) += data.weight(order[j]);
    pairs += own * (below + other / 2);
    below += other;
    of_class += own;
    i = j;
  }
  return of_class > 0 && below > 0 ? pairs / (of_class * below) : std::numeric_limits<double>::quiet_NaN();
}

double auc(const Dataset& data, std::span<const float> answers) {
  if (data.classes_count() == 2) return auc_of_class(data, answers, 1);
  double sum = 0;
  double present = 0;
  for (size_t label = 0; label < data.classes_count(); ++label) {
    const double one = auc_of_class(data, answers, label);
    if (std::isnan(one)) continue;
    sum += one;
    ++present;
  }
  return present > 0 ? sum / present : std::numeric_limits<double>::quiet_NaN();
}

double of_values(Metric metric, const Dataset& data, std::span<const float> answers) {
  double weights = 0;
  double mean = 0;
  for (size_t row = 0; row < data.rows_count(); ++row) {
    weights += data.weight(row);
    mean += data.weight(row) * static_cast<double>(data.targets[row]);
  }
  mean /= weights;
  double squares = 0;
  double distance = 0;
  double spread = 0;
  for (size_t row = 0; row < data.rows_count(); ++row) {
    const auto target = static_cast<double>(data.targets[row]);
    const double error = static_cast<double>(answers[row]) - target;
    squares += data.weight(row) * error * error;
    distance += data.weight(row) * std::fabs(error);
    spread += data.weight(row) * (target - mean) * (target - mean);
  }
  if (metric == Metric::kMae) return distance / weights;
  if (metric == Metric::kRmse) return std::sqrt(squares / weights);
  return spread > 0 ? 1 - squares / spread : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

std::span<const MetricInfo> metrics() { return kMetrics; }

const MetricInfo& info(Metric metric) {
  for (const MetricInfo& one : kMetrics)
    if (one.metric == metric) return one;
  WB_ASSERT(false);
  return kMetrics[0];
}

Metric default_metric(const Dataset& data) { return data.labels.empty() ? Metric::kRmse : Metric::kMacroF1; }

double score(Metric metric, const Dataset& data, std::span<const float> answers) {
  WB_ASSERT(data.rows_count() > 0 && info(metric).of_classes == !data.labels.empty());
  WB_ASSERT(answers.size() == data.rows_count() * std::max<size_t>(data.classes_count(), 1));
  if (!info(metric).of_classes) return of_values(metric, data, answers);
  if (metric == Metric::kLogLoss) return log_loss(data, answers);
  if (metric == Metric::kAuc) return auc(data, answers);
  const std::vector<Counts> counts = count_answers(data, answers);
  if (metric == Metric::kMacroF1)
    return mean_over_present(counts, [](const Counts& one) { return 2 * one.correct / (one.rows + one.answered); });
  if (metric == Metric::kBalancedAccuracy)
    return mean_over_present(counts, [](const Counts& one) { return one.correct / one.rows; });
  double correct = 0;
  double rows = 0;
  for (const Counts& one : counts) {
    correct += one.correct;
    rows += one.rows;
  }
  return correct / rows;
}

}  // namespace wb::fit
