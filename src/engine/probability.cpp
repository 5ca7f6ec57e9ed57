// Margins → probabilities. libm's expf differs between C libraries and even between CPUs (fused multiply-add variants),
// so the exponential here is our own: the same sequence of IEEE operations everywhere, hence the same bits everywhere.
#include <algorithm>
#include <bit>
#include <cmath>

#include "engine/engine.h"

namespace wb::engine {
namespace {

// e^x for x <= 0, relative error below 1e-13: x = k ln 2 + r with |r| <= ln 2 / 2, Taylor of e^r, times 2^k (Cody and
// Waite 1980, the two-part ln 2 reduction).
double exponential(double x) {
  if (!(x > -700)) return 0;  // far below what an f32 probability can show; also NaN
  constexpr double kLog2E = 1.4426950408889634;
  constexpr double kLn2High = 6.93147180369123816490e-01;
  constexpr double kLn2Low = 1.90821492927058770002e-10;
  const auto k = static_cast<int64_t>(x * kLog2E - 0.5);  // x <= 0: truncation rounds to nearest
  const double r = (x - static_cast<double>(k) * kLn2High) - static_cast<double>(k) * kLn2Low;
  double term = 1;
  double sum = 1;
  for (int i = 1; i <= 13; ++i) {
    term = term * r / i;
    sum = sum + term;
  }
  return sum * std::bit_cast<double>(static_cast<uint64_t>(1023 + k) << 52);
}

void softmax(std::span<const float> margins, std::span<float> probs) {
  const double top = *std::max_element(margins.begin(), margins.end());
  double sum = 0;
  for (const float margin : margins) sum += exponential(static_cast<double>(margin) - top);
  for (size_t i = 0; i < margins.size(); ++i) {
    probs[i] = static_cast<float>(exponential(static_cast<double>(margins[i]) - top) / sum);
  }
}

}  // namespace

size_t Model::answers_count() const { return objective() == Objective::kRegression ? 1 : labels().size(); }

void Model::probabilities(std::span<const float> margins, std::span<float> probs) const {
  const size_t n = margins.size() / outputs_count();
  WB_ASSERT(margins.size() == n * outputs_count() && probs.size() == n * answers_count());
  switch (objective()) {
    case Objective::kSoftprob:
      for (size_t row = 0; row < n; ++row) {
        softmax(margins.subspan(row * outputs_count(), outputs_count()),
                probs.subspan(row * answers_count(), answers_count()));
      }
      return;
    case Objective::kLogistic:
      for (size_t row = 0; row < n; ++row) {
        const double margin = margins[row];
        const double small = exponential(-std::fabs(margin));
        const double far = small / (1 + small);  // of the less likely side
        const double near = 1 / (1 + small);
        probs[2 * row] = static_cast<float>(margin > 0 ? far : near);
        probs[2 * row + 1] = static_cast<float>(margin > 0 ? near : far);
      }
      return;
    case Objective::kRegression: std::copy(margins.begin(), margins.end(), probs.begin()); return;
  }
}

}  // namespace wb::engine
