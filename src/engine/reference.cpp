// XGBoost's own arithmetic, said as plainly as possible: start from the base margin, walk each tree in order, add its
// leaf.
#include "engine/reference.h"

#include <cmath>

namespace wb::engine {

std::vector<float> reference_margins(const PlainModel& model, std::span<const float> row) {
  std::vector<float> margins = model.base_margins;
  for (const Tree& tree : model.trees) {
    size_t at = 0;
    while (tree.nodes[at].left >= 0) {
      const TreeNode& node = tree.nodes[at];
      const float x = row[node.feature];
      const bool left = std::isnan(x) ? node.default_left : x < node.value;
      at = static_cast<size_t>(left ? node.left : node.right);
    }
    margins[tree.output] += tree.nodes[at].value;
  }
  return margins;
}

}  // namespace wb::engine
