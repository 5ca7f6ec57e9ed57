// The model package. Fuzzed bytes get a right checksum: it finds accidents, and would hide everything behind it from
// whoever writes bytes on purpose. What loads must be packed again to the same bytes (one model, one encoding), and the
// fast predictor must give the bits of the slow one on rows chosen to hurt, on whichever processor it stands in for.
#include <bit>
#include <cmath>

#include "base/checksum.h"
#include "engine/engine.h"
#include "engine/format.h"
#include "engine/kernels.h"
#include "engine/reference.h"
#include "engine/test_models.h"
#include "fuzz/fuzz.h"

using namespace wb::engine;

namespace {

std::string with_checksum(std::string_view body) {
  std::string out(body);
  format::put_u32(out, wb::crc32c(body));
  return out;
}

void compare_predictors(const PlainModel& plain, const Model& model, uint64_t seed) {
  constexpr size_t kRows = 19;  // enough for the kernel that takes rows side by side
  wb::Prng prng(seed);
  kernels::stand_in_for(seed % kernels::processors_count());
  const size_t features = plain.features.size();
  const std::vector<double> rows = testing::nasty_wide_rows(prng, plain, kRows);
  std::vector<double> margins(kRows * model.outputs_count());
  model.predict_margins(rows, kRows, margins);
  std::vector<double> alone(model.outputs_count());
  for (size_t row = 0; row < kRows; ++row) {
    const auto one = std::span<const double>(rows).subspan(row * features, features);
    const auto slow = reference_margins(plain, one);
    model.predict_margins(one, 1, alone);
    for (size_t i = 0; i < slow.size(); ++i) {
      WB_HOLDS(testing::same_bits(slow[i], margins[row * slow.size() + i]),
               "block and reference differ in row " + std::to_string(row));
      WB_HOLDS(testing::same_bits(slow[i], alone[i]), "row by row, " + std::to_string(row) + " differs from reference");
    }
  }
  std::vector<double> answers(kRows * model.answers_count());
  model.probabilities(margins, answers);
  if (plain.labels.empty() || plain.objective == Objective::kVotes || plain.objective == Objective::kOneVote) return;
  for (const double answer : answers)
    WB_HOLDS(std::isnan(answer) || (answer >= 0 && answer <= 1), "a probability outside [0, 1]");
}

// How large a sum of leaves can be.
double scale_of(const PlainModel& model) {
  double scale = 0;
  for (const double base : model.base_margins) scale += std::fabs(base);
  for (const double offset : model.sum.offsets) scale += std::fabs(offset);
  for (const Tree& tree : model.trees) {
    double largest = 0;
    for (const TreeNode& node : tree.nodes)
      if (node.left < 0) largest = std::max(largest, std::fabs(node.value));
    for (const double value : tree.vectors) largest = std::max(largest, std::fabs(value));
    scale += largest;
  }
  return scale;
}

// Contributions add up to the margin, whatever the covers say.
void explain_rows(const PlainModel& plain, std::string_view package, uint64_t seed) {
  const auto explainer = Explainer::load(package);
  if (!explainer.ok()) return;
  constexpr size_t kRows = 3;
  wb::Prng prng(seed);
  const size_t features = plain.features.size();
  const size_t outputs = plain.outputs_count();
  const std::vector<double> rows = testing::nasty_wide_rows(prng, plain, kRows);
  std::vector<double> contributions(kRows * outputs * (features + 1));
  explainer->explain(rows, kRows, contributions);
  const double scale = scale_of(plain);
  if (plain.linear || plain.sum.divisor || plain.sum.factor || scale > 1e30) return;
  for (size_t row = 0; row < kRows; ++row) {
    const auto margins = reference_margins(plain, std::span<const double>(rows).subspan(row * features, features));
    for (size_t output = 0; output < outputs; ++output) {
      double sum = 0;
      for (size_t i = 0; i <= features; ++i) sum += contributions[(row * outputs + output) * (features + 1) + i];
      WB_HOLDS(std::fabs(sum - margins[output]) <= 1e-3 * scale + 1e-30, "contributions do not add up to the margin");
    }
  }
}

}  // namespace

WB_FUZZ_TARGET(model) {
  (void)Model::load(bytes);
  const std::string package = with_checksum(bytes);
  const auto plain = unpack(package);
  const auto model = Model::load(package);
  WB_HOLDS(plain.ok() == model.ok(), "load and unpack disagree");
  if (!plain.ok()) return;
  const auto again = pack(*plain);
  WB_HOLDS(again.ok(), again.ok() ? "" : again.error().text);
  WB_HOLDS(*again == package, "a second encoding of the same model");
  (void)model->verify_self_test();
  compare_predictors(*plain, *model, wb::crc32c(bytes));
  explain_rows(*plain, package, wb::crc32c(bytes));
}

WB_FUZZ_SEEDS(model) {
  const auto seed = [&](PlainModel model) {
    const auto package = pack(model);
    if (package.ok()) put(package->substr(0, package->size() - format::kTrailerBytes));
  };
  for (uint64_t number = 1; number <= 24; ++number) seed(testing::wild_model(number));
  seed(testing::random_model(1, 1, 1, 1, 1));
  seed(testing::random_model(2, 3, 1, 2, 9));
  seed(testing::random_model(3, 4, 3, 6, 15));
  PlainModel full = testing::random_model(4, 2, 2, 4, 7);
  full.missing_allowed = true;
  const std::vector<float> values = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  for (const std::string& name : full.features) full.sketches.push_back(make_sketch(name, values, 4));
  full.self_test.rows = {1, 2, 3, 4};
  full.notes = {{"trainer", "xgboost"}, {"rows", "10"}};
  testing::answer_self_test(full);
  seed(full);
  PlainModel binary = testing::random_model(5, 2, 1, 3, 7);
  binary.objective = Objective::kLogistic;
  binary.labels = {"no", "yes"};
  binary.reference_scores.label_counts = {1, 2};
  seed(binary);
}
