#include "fit/cost.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"

namespace wb::fit {
namespace {

size_t questions(const engine::Tree& tree, engine::Compare compare, std::span<const float> row) {
  size_t count = 0;
  for (size_t at = 0; tree.nodes[at].left >= 0; ++count) {
    const engine::TreeNode& node = tree.nodes[at];
    const auto x = static_cast<double>(row[node.feature]);
    bool left = compare == engine::Compare::kF32Less ? x < node.value : x <= node.value;
    if (std::isnan(x)) left = node.default_left;
    at = static_cast<size_t>(left ? node.left : node.right);
  }
  return count;
}

}  // namespace

double questions_a_row(const engine::PlainModel& model, const Dataset& data) {
  WB_ASSERT(model.sets.empty() && data.rows_count() > 0);
  const size_t rows = std::min<size_t>(data.rows_count(), 1'000);
  size_t sum = 0;
  for (size_t i = 0; i < rows; ++i)
    for (const engine::Tree& tree : model.trees)
      sum += questions(tree, model.compare, data.row(i * data.rows_count() / rows));
  return static_cast<double>(sum) / static_cast<double>(rows);
}

double estimated_us(const Machine& machine, const engine::PlainModel& model, double questions) {
  double sums = 0;  // trees, and once more for each further output of a leaf with several
  for (const engine::Tree& tree : model.trees)
    sums += tree.vectors.empty() ? 1.0 : static_cast<double>(model.outputs_count());
  double products = 0;
  if (model.linear) products = static_cast<double>(model.linear->weights.size() + 2 * engine::columns_count(model));
  const double cycles = machine.cycles_a_row + machine.cycles_a_question * questions + machine.cycles_a_tree * sums +
                        machine.cycles_a_product * products;
  return cycles / machine.mhz;
}

}  // namespace wb::fit
