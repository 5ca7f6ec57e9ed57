// Answers in C: the same operations in the same order as probability.cpp, in double, whatever margins are summed in.
// Where a product is added to, it goes through a volatile: fused, it would be rounded once.
#include "engine/export_text.h"

namespace wb::engine {
namespace {

constexpr std::string_view kExponential = R"(
/* Rounded on its own, whatever a compiler may fuse. */
$STATIC double product(double a, double b)
{
  const volatile double rounded = a * b;
  return rounded;
}

/* e^r for |r| <= ln 2 / 2: Taylor to r^13. */
$STATIC double small_exponential(double r)
{
  double sum = 1.0;
  for (int i = 13; i >= 1; --i) sum = 1.0 + product(r, sum) / (double)i;
  return sum;
}

$STATIC double times_power_of_two(double value, int32_t k)
{
  const uint64_t bits = (uint64_t)(uint32_t)(1023 + k) << 52;
  double power;
  memcpy(&power, &bits, sizeof power);
  return value * power;
}
)";

constexpr std::string_view kNaturalExponential = R"(
$STATIC double exponential(double x)
{
  if (x != x) return x;
  if (x > 709.5) return infinite();
  if (x < -700.0) return 0.0;
  const int32_t k = (int32_t)(product(x, 1.4426950408889634) + (x < 0.0 ? -0.5 : 0.5));
  const double r = (x - product((double)k, 6.93147180369123816490e-01)) - product((double)k, 1.90821492927058770002e-10);
  return times_power_of_two(small_exponential(r), k);
}
)";

constexpr std::string_view kLogistic = R"(
/* From the small side, so that neither loses digits near 1. */
$STATIC double logistic(double margin)
{
  const double small = exponential(margin < 0.0 ? margin : -margin);
  return margin > 0.0 ? 1.0 / (1.0 + small) : small / (1.0 + small);
}
)";

constexpr std::string_view kPowerOfHalf = R"(
$STATIC double power_of_half(double x)
{
  if (x != x) return x;
  if (x < -1022.0) return infinite();
  if (x > 1022.0) return 0.0;
  const int32_t k = (int32_t)(x + (x < 0.0 ? -0.5 : 0.5));
  return times_power_of_two(small_exponential(product((double)k - x, 0.69314718055994530942)), -k);
}
)";

constexpr std::string_view kInfinite = R"(
$STATIC double infinite(void)
{
  const uint64_t bits = (uint64_t)0x7FF00000U << 32;
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}
)";

constexpr std::string_view kDivideBySum = R"(
$STATIC void divide_by_sum(double *answers)
{
  double sum = 0.0;
  for (unsigned i = 0U; i < $ANSWERSU; ++i) sum += answers[i];
  for (unsigned i = 0U; i < $ANSWERSU; ++i) answers[i] = sum > 0.0 ? answers[i] / sum : 1.0 / $ANSWERS.0;
}
)";

constexpr std::string_view kOnCurve = R"(
/* Linear between the points, flat outside. */
$STATIC double on_curve(const double *x, const double *y, unsigned count, double f)
{
  unsigned right = 0U;
  unsigned end = count;
  if (f != f) return f;
  while (right < end) {
    const unsigned middle = (right + end) / 2U;
    if (x[middle] <= f) right = middle + 1U;
    else end = middle;
  }
  if (right == 0U) return y[0];
  if (right == count) return y[count - 1U];
  const double slope = (y[right] - y[right - 1U]) / (x[right] - x[right - 1U]);
  return product(slope, f - x[right - 1U]) + y[right - 1U];
}
)";

constexpr std::string_view kBothSides = R"(  const double margin = $SLOPE * (double)margins[0];
  const double small = exponential(margin < 0.0 ? margin : -margin);
  const double less = small / (1.0 + small);
  const double more = 1.0 / (1.0 + small);
  wide[0] = margin > 0.0 ? less : more;
  wide[1] = margin > 0.0 ? more : less;
)";

constexpr std::string_view kSoftmax = R"(  double top = (double)margins[0];
  double sum = 0.0;
  for (unsigned i = 1U; i < $ANSWERSU; ++i) {
    if (top < (double)margins[i]) top = (double)margins[i];
  }
  for (unsigned i = 0U; i < $ANSWERSU; ++i) {
    wide[i] = exponential((double)($MARGIN)((double)margins[i] - top));
    sum += wide[i];
  }
  for (unsigned i = 0U; i < $ANSWERSU; ++i) wide[i] /= sum;
)";

// What each margin becomes, m; softmax, logistic and one vote have lines of their own.
std::string each_answer(const Description& model) {
  const std::string slope = literal(model.slope, true);
  switch (model.objective) {
    case Objective::kOneVsRest:
    case Objective::kIndependent:
    case Objective::kSigmoid: return "logistic(" + slope + " * m)";
    case Objective::kExponential: return "exponential(m)";
    case Objective::kIsolation: return "power_of_half(m)";
    case Objective::kNormality: return "-power_of_half(m) - " + literal(model.shift, true);
    case Objective::kSignedSquare: return "m * (m < 0.0 ? -m : m)";
    case Objective::kSoftprob:
    case Objective::kLogistic:
    case Objective::kOneVote:
    case Objective::kRegression:
    case Objective::kVotes: break;
  }
  return "m";
}

struct Needs {
  bool exponential = false, logistic = false, power_of_half = false, divide = false, curve = false;
};

bool divides(const Description& model) {
  const bool again = model.calibration && model.outputs_count() > 1 && model.objective != Objective::kIndependent;
  return model.objective == Objective::kOneVsRest || again;
}

Needs needs_of(const Description& model) {
  Needs needs;
  const Objective objective = model.objective;
  needs.logistic =
      objective == Objective::kOneVsRest || objective == Objective::kIndependent || objective == Objective::kSigmoid;
  needs.power_of_half = objective == Objective::kIsolation || objective == Objective::kNormality;
  needs.divide = divides(model);
  if (model.calibration) {
    for (const Curve& curve : model.calibration->curves) {
      if (std::get_if<Platt>(&curve) != nullptr) needs.logistic = true;
      if (std::get_if<Isotonic>(&curve) != nullptr) needs.curve = true;
    }
  }
  needs.exponential = needs.logistic || objective == Objective::kLogistic || objective == Objective::kSoftprob ||
                      objective == Objective::kExponential;
  return needs;
}

void write_curves(const Description& model, CText& out) {
  const bool one = model.outputs_count() == 1;
  for (size_t i = 0; i < model.outputs_count(); ++i) {
    const std::string label = std::to_string(one ? 1 : i);
    const std::string of =
        model.calibration->of_margins ? "(double)margins[" + std::to_string(i) + "]" : "wide[" + label + "]";
    const Curve& curve = model.calibration->curves[i];
    if (const auto* platt = std::get_if<Platt>(&curve)) {
      out.add("  wide[" + label + "] = logistic(-(product(" + literal(platt->a, true) + ", " + of + ") + " +
              literal(platt->b, true) + "));\n");
    } else {
      const std::string number = std::to_string(i);
      const std::string count = std::to_string(std::get_if<Isotonic>(&curve)->x.size());
      out.add("  wide[" + label + "] = on_curve(curve_x_" + number + ", curve_y_" + number + ", " + count + "U, " + of +
              ");\n");
    }
  }
  if (one) out.add("  wide[0] = 1.0 - wide[1];\n");
  if (!one && model.objective != Objective::kIndependent) out.add("  divide_by_sum(wide);\n");
}

void write_helpers(const Description& model, const Needs& needs, const Words& words, CText& out) {
  if (needs.curve) {
    for (size_t i = 0; i < model.calibration->curves.size(); ++i) {
      const auto* isotonic = std::get_if<Isotonic>(&model.calibration->curves[i]);
      if (isotonic == nullptr) continue;
      out.numbers("curve_x_" + std::to_string(i), isotonic->x, true);
      out.numbers("curve_y_" + std::to_string(i), isotonic->y, true);
    }
  }
  if (needs.exponential || needs.power_of_half) out.add(kInfinite);
  if (needs.exponential || needs.power_of_half) out.add(kExponential);
  if (!needs.exponential && !needs.power_of_half && needs.curve)
    out.add(kExponential.substr(0, kExponential.find("\n/* e^r")));
  if (needs.exponential) out.add(kNaturalExponential);
  if (needs.power_of_half) out.add(kPowerOfHalf);
  if (needs.logistic) out.add(kLogistic);
  if (needs.divide) out.add(kDivideBySum, words);
  if (needs.curve) out.add(kOnCurve);
}

}  // namespace

bool answers_are_margins(const Description& model) {
  const bool same = model.objective == Objective::kRegression || model.objective == Objective::kVotes;
  return same && !model.calibration;
}

PartSizes write_answers(const Description& model, CText& out) {
  if (answers_are_margins(model)) return {};
  const Needs needs = needs_of(model);
  const bool wide = model.sum.precision == Precision::kF64;
  const Words words = {{"ANSWERS", std::to_string(model.answers_count())},
                       {"OUTPUTS", std::to_string(model.outputs_count())},
                       {"MARGIN", wide ? "double" : "float"},
                       {"SLOPE", literal(model.slope, true)},
                       {"EACH", each_answer(model)}};
  write_helpers(model, needs, words, out);
  out.add(
      "\n$PUBLICvoid $PREFIXanswers(const $MARGIN margins[$OUTPUTS], $MARGIN answers[$ANSWERS])\n{\n  double "
      "wide[$ANSWERS];\n",
      words);
  if (model.objective == Objective::kSoftprob) {
    out.add(kSoftmax, words);
  } else if (model.objective == Objective::kLogistic) {
    out.add(kBothSides, words);
  } else if (model.objective == Objective::kOneVote) {
    out.add("  wide[0] = 1.0 - (double)margins[0];\n  wide[1] = (double)margins[0];\n");
  } else {
    out.add(
        "  for (unsigned i = 0U; i < $ANSWERSU; ++i) {\n    const double m = (double)margins[i];\n    wide[i] = "
        "$EACH;\n  }\n",
        words);
    if (model.objective == Objective::kOneVsRest) out.add("  divide_by_sum(wide);\n");
  }
  if (model.calibration) write_curves(model, out);
  out.add("  for (unsigned i = 0U; i < $ANSWERSU; ++i) answers[i] = ($MARGIN)wide[i];\n}\n", words);
  PartSizes sizes{160, model.answers_count() * 8 + 200, kF64Add | kF64Times | kF64Compare};
  if (needs.exponential || needs.power_of_half) sizes.code += 560;
  if (needs.exponential || needs.power_of_half) sizes.library |= kWhole;
  if (needs.divide) sizes.code += 120;
  if (needs.curve) sizes.code += 280;
  if (model.calibration) sizes.code += 80 * model.outputs_count();
  if (!wide) sizes.library |= kF64Narrows | kF32Compare;
  return sizes;
}

}  // namespace wb::engine
