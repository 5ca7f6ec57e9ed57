#include "fit/linear.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace wb::fit {
namespace {

constexpr double kRidge = 1e-4;  // of the weight of all rows
constexpr size_t kStepsMax = 200;
constexpr double kMoved = 1e-4;

double f32(double value) { return static_cast<double>(static_cast<float>(value)); }

struct Scaling {
  std::vector<double> means;  // f32 values, as the model will hold them
  std::vector<double> deviations;
};
Scaling scaling_of(const Dataset& data) {
  Scaling out;
  for (size_t feature = 0; feature < data.features.size(); ++feature) {
    double weight = 0;
    double mean = 0;
    double squares = 0;
    for (size_t row = 0; row < data.rows_count(); ++row) {  // West 1979: one pass, weighted
      const auto x = static_cast<double>(data.row(row)[feature]);
      if (std::isnan(x)) continue;
      weight += data.weight(row);
      const double away = x - mean;
      mean += away * data.weight(row) / weight;
      squares += data.weight(row) * away * (x - mean);
    }
    const double deviation = weight > 0 ? f32(std::sqrt(squares / weight)) : 0;
    out.means.push_back(f32(mean));
    out.deviations.push_back(deviation > 0 && std::isfinite(deviation) ? deviation : 1);
  }
  return out;
}

// f64[n, p + 1]: scaled columns, and 1.
std::vector<double> scaled(const Dataset& data, const Scaling& scaling) {
  const size_t p = data.features.size();
  std::vector<double> out;
  out.reserve(data.rows_count() * (p + 1));
  for (size_t row = 0; row < data.rows_count(); ++row) {
    for (size_t i = 0; i < p; ++i) {
      const auto x = static_cast<double>(data.row(row)[i]);
      out.push_back(std::isnan(x) ? 0 : (x - scaling.means[i]) / scaling.deviations[i]);
    }
    out.push_back(1);
  }
  return out;
}

// A symmetric positive matrix as its lower Cholesky factor, row-major [d, d].
class Factor {
 public:
  explicit Factor(std::vector<double> matrix, size_t d) : lower_(std::move(matrix)), d_(d) {
    for (size_t i = 0; i < d_; ++i)
      for (size_t j = 0; j <= i; ++j) {
        double sum = lower_[i * d_ + j];
        for (size_t k = 0; k < j; ++k) sum -= lower_[i * d_ + k] * lower_[j * d_ + k];
        lower_[i * d_ + j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / lower_[j * d_ + j];
      }
  }
  void solve(std::span<double> x) const {
    for (size_t i = 0; i < d_; ++i) {
      for (size_t k = 0; k < i; ++k) x[i] -= lower_[i * d_ + k] * x[k];
      x[i] /= lower_[i * d_ + i];
    }
    for (size_t i = d_; i-- > 0;) {
      for (size_t k = i + 1; k < d_; ++k) x[i] -= lower_[k * d_ + i] * x[k];
      x[i] /= lower_[i * d_ + i];
    }
  }

 private:
  std::vector<double> lower_;
  size_t d_;
};

// factor · ZᵀWZ with the ridge on all but the constant.
Factor normal_matrix(const Dataset& data, std::span<const double> z, double factor, double ridge) {
  const size_t d = data.features.size() + 1;
  std::vector<double> matrix(d * d, 0.0);
  for (size_t row = 0; row < data.rows_count(); ++row) {
    const auto x = z.subspan(row * d, d);
    const double weight = factor * data.weight(row);
    for (size_t i = 0; i < d; ++i)
      for (size_t j = 0; j <= i; ++j) matrix[i * d + j] += weight * x[i] * x[j];
  }
  for (size_t i = 0; i + 1 < d; ++i) matrix[i * d + i] += ridge;
  return Factor(std::move(matrix), d);
}

// What each margin should have been more: targets minus margins, or labels minus probabilities.
void residuals(const Dataset& data, size_t row, std::span<double> margins) {
  if (data.labels.empty()) {
    margins[0] = static_cast<double>(data.targets[row]) - margins[0];
    return;
  }
  const auto truth = static_cast<size_t>(data.targets[row]);
  if (margins.size() == 1) {
    margins[0] = (truth == 1 ? 1.0 : 0.0) - 1 / (1 + std::exp(-margins[0]));
    return;
  }
  const double most = *std::max_element(margins.begin(), margins.end());
  double sum = 0;
  for (double& margin : margins) sum += margin = std::exp(margin - most);
  for (size_t i = 0; i < margins.size(); ++i) margins[i] = (i == truth ? 1.0 : 0.0) - margins[i] / sum;
}

// f64[outputs, p + 1] in scaled columns.
std::vector<double> weights_of(const Dataset& data, std::span<const double> z, size_t outputs) {
  const size_t d = data.features.size() + 1;
  double all = 0;
  for (size_t row = 0; row < data.rows_count(); ++row) all += data.weight(row);
  const double ridge = kRidge * all;
  // Böhning's bounds: a quarter of ZᵀWZ for two labels, a half for more; of values it is the Hessian itself.
  const Factor bound = normal_matrix(data, z, data.labels.empty() ? 1 : outputs == 1 ? 0.25 : 0.5, ridge);
  std::vector<double> weights(outputs * d, 0.0);
  std::vector<double> gradient(outputs * d);
  std::vector<double> margins(outputs);
  for (size_t step = 0; step < (data.labels.empty() ? 1 : kStepsMax); ++step) {
    std::fill(gradient.begin(), gradient.end(), 0.0);
    for (size_t row = 0; row < data.rows_count(); ++row) {
      const auto x = z.subspan(row * d, d);
      for (size_t k = 0; k < outputs; ++k) {
        margins[k] = 0;
        for (size_t i = 0; i < d; ++i) margins[k] += weights[k * d + i] * x[i];
      }
      residuals(data, row, margins);
      for (size_t k = 0; k < outputs; ++k)
        for (size_t i = 0; i < d; ++i) gradient[k * d + i] += data.weight(row) * margins[k] * x[i];
    }
    double moved = 0;
    for (size_t k = 0; k < outputs; ++k) {
      const auto part = std::span(gradient).subspan(k * d, d);
      for (size_t i = 0; i + 1 < d; ++i) part[i] -= ridge * weights[k * d + i];
      bound.solve(part);
      for (size_t i = 0; i < d; ++i) {
        weights[k * d + i] += part[i];
        moved = std::max(moved, std::fabs(part[i]));
      }
    }
    if (moved < kMoved) break;
  }
  return weights;
}

}  // namespace

bool linear_is_possible(const Dataset& data) {
  const auto p = static_cast<double>(data.features.size());
  return static_cast<double>(data.rows_count()) * p * p <= kLinearWorkMax;
}

engine::PlainModel linear(const Dataset& data) {
  WB_ASSERT(data.rows_count() > 0 && linear_is_possible(data));
  engine::PlainModel model = blank(data);
  const size_t p = data.features.size();
  const size_t outputs = model.outputs_count();
  if (outputs > 1) model.objective = engine::Objective::kSoftprob;
  if (data.classes_count() == 2) model.objective = engine::Objective::kLogistic;
  const Scaling scaling = scaling_of(data);
  const std::vector<double> z = scaled(data, scaling);
  const std::vector<double> weights = weights_of(data, z, outputs);
  std::vector<uint32_t> columns;
  for (size_t i = 0; i < p; ++i) columns.push_back(static_cast<uint32_t>(i));
  model.steps_precision = engine::Precision::kF32;
  model.steps.push_back(engine::Impute{columns, scaling.means});
  model.steps.push_back(engine::Scale{engine::Scale::Form::kShiftDivide, columns, scaling.means, scaling.deviations});
  model.linear.emplace();
  model.linear->means.assign(p, 0);  // of scaled columns
  for (size_t k = 0; k < outputs; ++k) {
    for (size_t i = 0; i < p; ++i) model.linear->weights.push_back(f32(weights[k * (p + 1) + i]));
    model.base_margins[k] = f32(weights[k * (p + 1) + p]);
  }
  return model;
}

}  // namespace wb::fit
