// Margins → answers. libm's exp differs between C libraries and even between CPUs (fused multiply-add variants), so the
// exponential here is our own: the same sequence of IEEE operations everywhere, hence the same bits everywhere.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "engine/predictors.h"

namespace wb::engine {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// e^r for |r| <= ln 2 / 2: Taylor to r^13, whose rest is below 2^-57.
double small_exponential(double r) {
  double sum = 1;
  for (int i = 13; i >= 1; --i) sum = 1 + r * sum / i;
  return sum;
}

double times_power_of_two(double value, int64_t k) {  // k in [-1'022, 1'023]
  return value * std::bit_cast<double>(static_cast<uint64_t>(1023 + k) << 52);
}

// e^x: x = k ln 2 + r with |r| <= ln 2 / 2, e^r times 2^k (Cody and Waite 1980, the two-part ln 2 reduction).
double exponential(double x) {
  if (std::isnan(x) || x > 709.5) return std::isnan(x) ? x : kInfinity;
  if (x < -700) return 0;  // far below what an answer can show
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2High = 6.93147180369123816490e-01;
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  const auto k = static_cast<int64_t>(x * kLog2E + (x < 0 ? -0.5 : 0.5));
  const double r = (x - static_cast<double>(k) * kLn2High) - static_cast<double>(k) * kLn2Low;
  return times_power_of_two(small_exponential(r), k);
}

double power_of_half(double x) {  // 2^-x
  if (std::isnan(x) || x < -1'022) return std::isnan(x) ? x : kInfinity;
  if (x > 1'022) return 0;
  const auto k = static_cast<int64_t>(x + (x < 0 ? -0.5 : 0.5));
  constexpr double kLn2 = 0.69314718055994530942;
  return times_power_of_two(small_exponential((static_cast<double>(k) - x) * kLn2), -k);
}

// Both sides are computed from the small one, so that neither loses digits near 1.
struct Sides {
  double no = 0;
  double yes = 0;
};
Sides logistic(double margin) {
  const double small = exponential(-std::fabs(margin));
  const double far = small / (1 + small);
  const double near = 1 / (1 + small);
  return margin > 0 ? Sides{far, near} : Sides{near, far};
}

void divide_by_sum(std::span<double> answers) {
  double sum = 0;
  for (const double answer : answers) sum += answer;
  for (double& answer : answers) answer = sum > 0 ? answer / sum : 1 / static_cast<double>(answers.size());
}

// A library that sums in f32 subtracts in f32 too, and so loses more digits than one step of the answer's: the same
// here.
void softmax(Precision precision, std::span<const double> margins, std::span<double> answers) {
  const double top = *std::max_element(margins.begin(), margins.end());
  double sum = 0;
  for (size_t i = 0; i < margins.size(); ++i) {
    const double below = margins[i] - top;
    answers[i] = exponential(precision == Precision::kF32 ? static_cast<double>(static_cast<float>(below)) : below);
    sum += answers[i];
  }
  for (double& answer : answers) answer /= sum;
}

void answer_row(const Description& model, std::span<const double> margins, std::span<double> answers) {
  switch (model.objective) {
    case Objective::kSoftprob: softmax(model.sum.precision, margins, answers); return;
    case Objective::kLogistic: {
      const Sides sides = logistic(model.slope * margins[0]);
      answers[0] = sides.no;
      answers[1] = sides.yes;
      return;
    }
    case Objective::kOneVote:
      answers[0] = 1 - margins[0];
      answers[1] = margins[0];
      return;
    default: break;
  }
  for (size_t i = 0; i < margins.size(); ++i) {
    const double margin = margins[i];
    switch (model.objective) {
      case Objective::kOneVsRest:
      case Objective::kIndependent:
      case Objective::kSigmoid: answers[i] = logistic(model.slope * margin).yes; break;
      case Objective::kExponential: answers[i] = exponential(margin); break;
      case Objective::kIsolation: answers[i] = power_of_half(margin); break;
      case Objective::kNormality: answers[i] = -power_of_half(margin) - model.shift; break;
      case Objective::kSignedSquare: answers[i] = margin * std::fabs(margin); break;
      default: answers[i] = margin; break;
    }
  }
  if (model.objective == Objective::kOneVsRest) divide_by_sum(answers);
}

double on_curve(const Curve& curve, double f) {
  if (const auto* platt = std::get_if<Platt>(&curve)) return logistic(-(platt->a * f + platt->b)).yes;
  const auto& [x, y] = *std::get_if<Isotonic>(&curve);
  if (std::isnan(f)) return f;
  const auto right = static_cast<size_t>(std::upper_bound(x.begin(), x.end(), f) - x.begin());
  if (right == 0) return y.front();
  if (right == x.size()) return y.back();
  const double slope = (y[right] - y[right - 1]) / (x[right] - x[right - 1]);
  return slope * (f - x[right - 1]) + y[right - 1];
}

void calibrate(const Description& model, std::span<const double> margins, std::span<double> answers) {
  const Calibration& calibration = *model.calibration;
  const bool one = margins.size() == 1;  // of two labels
  for (size_t i = 0; i < margins.size(); ++i) {
    const size_t label = one ? 1 : i;
    answers[label] = on_curve(calibration.curves[i], calibration.of_margins ? margins[i] : answers[label]);
  }
  if (one) answers[0] = 1 - answers[1];
  if (!one && model.objective != Objective::kIndependent) divide_by_sum(answers);
}

// Near 0, e^2x - 1 by its own series, since the difference would lose its digits.
double hyperbolic_tangent(double x) {
  const double twice = 2 * std::fabs(x);
  double size = 1;
  if (twice <= 0.34) {
    double above_one = 1;
    for (int i = 14; i >= 2; --i) above_one = 1 + twice * above_one / i;
    above_one *= twice;
    size = above_one / (above_one + 2);
  } else if (twice < 40) {
    size = 1 - 2 / (1 + exponential(twice));
  }
  return std::copysign(size, x);
}

}  // namespace

double activated(Activation activation, double x) {
  if (std::isnan(x)) return x;
  switch (activation) {
    case Activation::kIdentity: break;
    case Activation::kRelu: return x > 0 ? x : 0;
    case Activation::kTanh: return hyperbolic_tangent(x);
    case Activation::kLogistic: return logistic(x).yes;
  }
  return x;
}

void answers_of(const Description& model, std::span<const double> margins, std::span<double> answers) {
  const size_t outputs = model.outputs_count();
  const size_t width = model.answers_count();
  const size_t n = margins.size() / outputs;
  WB_ASSERT(margins.size() == n * outputs && answers.size() == n * width);
  for (size_t row = 0; row < n; ++row) {
    const auto from = margins.subspan(row * outputs, outputs);
    const auto into = answers.subspan(row * width, width);
    answer_row(model, from, into);
    if (model.calibration) calibrate(model, from, into);
  }
}

}  // namespace wb::engine
