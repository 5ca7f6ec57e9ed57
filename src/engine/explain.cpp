// Shapley values of trees by quadrature: explain.h tells the idea, this file walks.
#include "engine/explain.h"

#include <algorithm>
#include <cmath>

#include "base/assert.h"
#include "engine/engine.h"
#include "engine/reference.h"

namespace wb::engine {
namespace {

// Gauss-Legendre on [0, 1]: n points are exact for polynomials of degree 2n - 1. By Newton's method on the Legendre
// polynomial when this is compiled, so that no library's cosine decides a bit.
template <size_t kPoints>
struct Quadrature {
  std::array<double, kPoints> points{};
  std::array<double, kPoints> weights{};
  std::array<double, kPoints> inverse_rest{};  // 1 / (1 - point)

  constexpr Quadrature() {
    constexpr double kPi = 3.14159265358979323846;
    constexpr auto n = static_cast<double>(kPoints);
    for (size_t i = 0; i < kPoints / 2; ++i) {
      const double angle = kPi * (static_cast<double>(i) + 0.75) / (n + 0.5);
      const double square = angle * angle;  // a cosine to start from
      double x = 1 - square / 2 * (1 - square / 12 * (1 - square / 30 * (1 - square / 56 * (1 - square / 90))));
      double slope = 1;
      for (int round = 0; round < 8; ++round) {
        double before = 1;
        double value = x;
        for (size_t degree = 2; degree <= kPoints; ++degree) {
          const auto k = static_cast<double>(degree);
          const double next = ((2 * k - 1) * x * value - (k - 1) * before) / k;
          before = value;
          value = next;
        }
        slope = n * (x * value - before) / (x * x - 1);
        x -= value / slope;
      }
      const double weight = 1 / ((1 - x * x) * slope * slope);
      place(i, (1 - x) / 2, weight);
      place(kPoints - 1 - i, (1 + x) / 2, weight);
    }
  }

 private:
  constexpr void place(size_t i, double point, double weight) {
    points[i] = point;
    weights[i] = weight;
    inverse_rest[i] = 1 / (1 - point);
  }
};
template <size_t kPoints>
constexpr Quadrature<kPoints> kQuadrature;

// Which feature each column was made of.
std::vector<uint32_t> features_of(const Description& model) {
  std::vector<uint32_t> from(model.features.size());
  for (uint32_t i = 0; i < from.size(); ++i) from[i] = i;
  for (const Step& step : model.steps) {
    if (const auto* select = std::get_if<Select>(&step)) {
      std::vector<uint32_t> taken;
      for (const uint32_t column : select->columns) taken.push_back(from[column]);
      from = std::move(taken);
    } else if (const auto* one_hot = std::get_if<OneHot>(&step)) {
      const uint32_t feature = from[one_hot->column];
      from.erase(from.begin() + one_hot->column);
      from.resize(from.size() + one_hot->categories.size(), feature);
    }
  }
  return from;
}

// What the leaf that is node `at` adds to an output.
double leaf_value(const Tree& tree, size_t at, size_t output, size_t outputs) {
  const TreeNode& leaf = tree.nodes[at];
  return tree.vectors.empty() ? leaf.value : tree.vectors[leaf.feature * outputs + output];
}

constexpr size_t kPointsMax = limits::kTreeDepthMax / 2;

}  // namespace

// The edges of one tree, and what its leaves are worth to somebody who knows nothing.
class Explainer::Builder {
 public:
  Builder(Explainer& out, const Tree& tree) : out_(out), tree_(tree), edges_(tree.nodes.size()) {}

  void add() {
    sum_covers();
    std::vector<double> weights{1};  // of the nodes on the path to here
    for (size_t node = 0; node < tree_.nodes.size(); ++node) {
      while (!path_.empty() && edges_[path_.back()].end <= node) path_.pop_back();
      weights.resize(std::max<size_t>(path_.size(), 1));
      if (node > 0) weights.push_back(weights.back() * set_edge(node));
      path_.push_back(node);
      if (tree_.nodes[node].left < 0) add_bias(node, weights.back());
    }
    out_.edges_.push_back(std::move(edges_));
    constexpr uint8_t kPoints[] = {2, 4, 8, 16, 32};  // that add_tree() knows
    static_assert(kPoints[std::size(kPoints) - 1] == kPointsMax);
    out_.points_.push_back(*std::lower_bound(std::begin(kPoints), std::end(kPoints), (features_most_ + 1) / 2));
  }

 private:
  // From behind: both sides of a split are done before it.
  void sum_covers() {
    covers_ = tree_.covers;
    for (size_t node = covers_.size(); node-- > 0;) {
      const TreeNode& at = tree_.nodes[node];
      edges_[node].end = static_cast<uint32_t>(node + 1);
      if (at.left < 0) continue;
      covers_[node] = covers_[static_cast<size_t>(at.left)] + covers_[static_cast<size_t>(at.right)];
      edges_[node].end = edges_[static_cast<size_t>(at.right)].end;
    }
  }

  // Returns the weight of the edge alone. The path ends at the node above.
  double set_edge(size_t node) {
    const double whole = covers_[path_.back()];
    const double weight = whole > 0 ? covers_[node] / whole : 0;
    Edge& edge = edges_[node];
    edge.feature = static_cast<uint16_t>(out_.features_[tree_.nodes[path_.back()].feature]);
    size_t above = path_.size() - 1;
    while (above > 0 && edges_[path_[above]].feature != edge.feature) --above;
    edge.above = static_cast<uint8_t>(above);
    edge.share = weight * edges_[path_[above]].share;
    size_t different = above == 0 ? 1 : 0;
    for (size_t depth = 1; depth < path_.size(); ++depth) different += edges_[path_[depth]].above == 0 ? 1 : 0;
    features_most_ = std::max(features_most_, different);
    return weight;
  }

  void add_bias(size_t node, double weight) {
    const size_t outputs = out_.outputs_count();
    for (size_t output = 0; output < outputs; ++output) {
      if (tree_.vectors.empty() && output != tree_.output) continue;
      out_.biases_[output] += weight * leaf_value(tree_, node, output, outputs);
    }
  }

  Explainer& out_;
  const Tree& tree_;
  std::vector<double> covers_;  // of splits too
  std::vector<Edge> edges_;
  std::vector<size_t> path_;  // from the root down
  size_t features_most_ = 0;
};

// Rows through trees. What stands at each depth is kept from tree to tree, because clearing it would take longer than a
// small tree.
class Explainer::Walk {
 public:
  explicit Walk(const Explainer& explainer) : explainer_(explainer) {
    levels_[0].share = 1;
    levels_[0].follows = true;
    levels_[0].known.fill(1);
  }

  // One row through one tree, for one output.
  template <size_t kPoints>
  void add(size_t tree, size_t output, std::span<const double> columns, std::span<double> contributions) {
    const std::vector<TreeNode>& nodes = explainer_.model_.trees[tree].nodes;
    const std::vector<Edge>& edges = explainer_.edges_[tree];
    std::copy_n(kQuadrature<kPoints>.weights.begin(), kPoints, levels_[0].product.begin());
    size_t node = 0;
    size_t depth = 0;
    do {
      Level& level = levels_[depth];
      level.node = node;
      level.reached = depth == 0 || enter<kPoints>(edges[node], depth);
      std::fill_n(level.sum.begin(), kPoints, 0.0);
      if (level.reached && nodes[node].left >= 0) {
        level.left = goes_left(explainer_.model_, nodes[node], columns[nodes[node].feature]);
        ++node;
        ++depth;
        continue;
      }
      if (level.reached) {
        const double value = leaf_value(explainer_.model_.trees[tree], node, output, explainer_.outputs_count());
        for (size_t i = 0; i < kPoints; ++i) level.sum[i] = level.product[i] * value;
      }
      node = edges[node].end;
      // What ends here: this node, and whatever it is the right side of.
      for (; depth > 0; --depth) {
        leave<kPoints>(edges[levels_[depth].node], depth, contributions);
        if (node < edges[levels_[depth - 1].node].end) break;
      }
    } while (depth > 0);
  }

 private:
  // Of the node at some depth of the path that is walked, and of the edge that leads to it.
  struct Level {
    size_t node = 0;
    bool reached = false;                      // somebody's knowledge leads here
    bool left = false;                         // which side of the node the row takes
    bool follows = false;                      // the row takes all edges of this edge's feature down to here
    double share = 1;                          // the edge's
    std::array<double, kPointsMax> known{};    // if it follows: 1 / (t + share · (1 - t))
    std::array<double, kPointsMax> product{};  // the integrand without v, times the weights of the points
    std::array<double, kPointsMax> sum{};      // of product · v over the leaves below
  };

  template <size_t kPoints>
  bool enter(const Edge& edge, size_t depth) {
    Level& level = levels_[depth];
    const Level& parent = levels_[depth - 1];
    const Level& above = levels_[edge.above];
    const bool is_left = level.node == parent.node + 1;
    level.follows = above.follows && is_left == parent.left;
    level.share = edge.share;
    if (!level.follows && edge.share == 0) return false;
    const auto& points = kQuadrature<kPoints>.points;
    for (size_t i = 0; i < kPoints; ++i) {
      const double unknown = edge.share * (1 - points[i]);
      if (level.follows) {
        const double known = points[i] + unknown;
        level.known[i] = 1 / known;
        level.product[i] = parent.product[i] * above.known[i] * known;
      } else if (above.follows) {
        level.product[i] = parent.product[i] * above.known[i] * unknown;
      } else {
        level.product[i] = parent.product[i] * (edge.share / above.share);
      }
    }
    return true;
  }

  // The leaves below have this edge's share and no longer that of the edge above: the difference is added. Once a
  // feature's edges are not followed, (o - z) / (o · t + z · (1 - t)) is -1 / (1 - t), whatever the share.
  template <size_t kPoints>
  void leave(const Edge& edge, size_t depth, std::span<double> contributions) {
    const Level& level = levels_[depth];
    const Level& above = levels_[edge.above];
    Level& parent = levels_[depth - 1];
    if (!level.reached) return;
    double sum = 0;
    for (size_t i = 0; i < kPoints; ++i) {
      const double before = (1 - above.share) * above.known[i];
      const double now = level.follows ? (1 - level.share) * level.known[i] : -kQuadrature<kPoints>.inverse_rest[i];
      if (above.follows) sum += level.sum[i] * (now - before);
      parent.sum[i] += level.sum[i];
    }
    contributions[edge.feature] += sum;
  }

  const Explainer& explainer_;
  std::array<Level, limits::kTreeDepthMax + 1> levels_{};
};

namespace {

constexpr std::string_view kAdvice = "; import or fit the model again with --explain";

Status check_needs(const Description& model) {
  if (!model.trees.empty() && !has_covers(model))
    return fail(Code::kUnsupported,
                "the package does not hold how many rows reached each leaf, of which contributions are made", kAdvice);
  if (model.linear && model.linear->means.empty())
    return fail(Code::kUnsupported, "the package does not hold the means that a linear model is explained against",
                kAdvice);
  return ok_status();
}

}  // namespace

Status Explainer::serves(const Description& model) {
  if (!model.is_ensemble())
    return fail(Code::kUnsupported,
                "contributions are made of trees and linear models, not of networks and neighbours");
  if (!model.lines.empty())
    return fail(Code::kUnsupported, "trees whose leaves are linear models have no contributions, in LightGBM neither");
  return ok_status();
}

Result<Explainer> Explainer::load(std::string_view package) {
  WB_TRY(PlainModel plain, unpack(package));
  WB_CHECK(serves(plain));
  WB_CHECK(check_needs(plain));
  Explainer out;
  out.model_ = std::move(plain);  // what is not a description's is dropped
  out.features_ = features_of(out.model_);
  out.biases_.assign(out.outputs_count(), 0);
  for (Tree& tree : out.model_.trees) {
    Builder(out, tree).add();
    tree.covers = {};
  }
  return out;
}

size_t Explainer::memory_bytes() const {
  size_t bytes = 0;
  for (size_t tree = 0; tree < edges_.size(); ++tree) {
    bytes += edges_[tree].size() * (sizeof(Edge) + sizeof(TreeNode));
    bytes += model_.trees[tree].vectors.size() * sizeof(double);
  }
  return bytes;
}

void Explainer::explain(std::span<const double> rows, size_t n, std::span<double> contributions) const {
  const size_t features = features_count();
  const size_t width = outputs_count() * (features + 1);
  WB_ASSERT(rows.size() == n * features && contributions.size() == n * width);
  Walk walk(*this);
  std::vector<double> columns;
  for (size_t row = 0; row < n; ++row) {
    const auto from = rows.subspan(row * features, features);
    columns.assign(from.begin(), from.end());
    prepare_row(model_, columns);
    explain_row(walk, columns, contributions.subspan(row * width, width));
  }
}

void Explainer::explain_row(Walk& walk, std::span<const double> columns, std::span<double> contributions) const {
  const size_t features = features_count();
  std::fill(contributions.begin(), contributions.end(), 0.0);
  for (size_t output = 0; output < outputs_count(); ++output) {
    const auto part = contributions.subspan(output * (features + 1), features + 1);
    part[features] = model_.base_margins[output] + biases_[output];
    if (model_.linear) add_linear(output, columns, part);
    for (size_t tree = 0; tree < edges_.size(); ++tree) {
      const bool adds = !model_.trees[tree].vectors.empty() || model_.trees[tree].output == output;
      if (adds) add_tree(walk, tree, output, columns, part);
    }
    const Sum& sum = model_.sum;
    for (double& contribution : part) {
      if (sum.divisor) contribution /= *sum.divisor;
      if (sum.factor) contribution *= *sum.factor;
    }
    if (!sum.offsets.empty()) part[features] += sum.offsets[output];
  }
}

void Explainer::add_tree(Walk& walk, size_t tree, size_t output, std::span<const double> columns,
                         std::span<double> contributions) const {
  switch (points_[tree]) {
    case 2: return walk.add<2>(tree, output, columns, contributions);
    case 4: return walk.add<4>(tree, output, columns, contributions);
    case 8: return walk.add<8>(tree, output, columns, contributions);
    case 16: return walk.add<16>(tree, output, columns, contributions);
    default: return walk.add<32>(tree, output, columns, contributions);
  }
}

void Explainer::add_linear(size_t output, std::span<const double> columns, std::span<double> contributions) const {
  const Linear& linear = *model_.linear;
  for (size_t i = 0; i < columns.size(); ++i) {
    const double weight = linear.weights[output * columns.size() + i];
    const double x = model_.sum.precision == Precision::kF32 ? static_cast<float>(columns[i]) : columns[i];
    const double mean = weight * linear.means[i];
    contributions[features_[i]] += (linear.skips_missing && std::isnan(x) ? 0 : weight * x) - mean;
    contributions.back() += mean;
  }
}

}  // namespace wb::engine
