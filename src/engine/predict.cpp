// The fast path. Three walks, one arithmetic: eight rows abreast through one tree, one row through eight trees abreast,
// and a plain walk for rows with missing values. Abreast, because a single walk waits for each load; eight hide the
// waiting. Leaves are always added in tree order, so every walk gives the bits of reference.cpp.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "engine/engine.h"

namespace wb::engine {
namespace {

constexpr size_t kAbreast = 8;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

bool has_missing(std::span<const float> row) {
  bool missing = false;
  for (const float x : row) missing |= std::isnan(x);
  return missing;
}

// How far a walk steps: 1 to the left, `right` to the right. Arithmetic on purpose: written with ?: compilers make it a
// branch, which guesses wrong half of the time (measured: 4 times slower).
inline uint32_t stride_of(bool left, uint32_t right) {
  return right ^ ((right ^ 1U) & (0U - static_cast<uint32_t>(left)));
}

// Does `step` for 0 to 7, unrolled under every compiler and optimisation level.
template <class Step, size_t... kIndex>
inline void abreast_of(const Step& step, std::index_sequence<kIndex...>) {
  (step(kIndex), ...);
}
template <class Step>
inline void abreast(const Step& step) {
  abreast_of(step, std::make_index_sequence<kAbreast>());
}

}  // namespace

Result<Model> Model::load(std::string_view bytes) {
  WB_TRY(PlainModel plain, unpack(bytes));
  Model model;
  size_t nodes = 0;
  for (const Tree& tree : plain.trees) nodes += tree.nodes.size();
  model.nodes_.reserve(nodes);
  model.default_left_.reserve(nodes);
  model.about_.features = plain.features;
  for (const Tree& tree : plain.trees) model.flatten(tree);
  plain.trees.clear();
  plain.trees.shrink_to_fit();
  model.about_ = std::move(plain);
  model.bytes_ = bytes;
  return model;
}

// unpack() gives preorder, so the left child of node i is i + 1 and only the right one needs a distance.
void Model::flatten(const Tree& tree) {
  FlatTree flat{static_cast<uint32_t>(nodes_.size()), static_cast<uint16_t>(tree.output), 0};
  std::vector<uint16_t> depth(tree.nodes.size(), 0);
  for (size_t i = 0; i < tree.nodes.size(); ++i) {
    const TreeNode& node = tree.nodes[i];
    flat.depth = std::max(flat.depth, depth[i]);
    default_left_.push_back(node.default_left);
    if (node.left < 0) {
      nodes_.push_back(Node{static_cast<float>(node.value), static_cast<uint16_t>(about_.features.size()), 0});
      continue;
    }
    const auto right = static_cast<size_t>(node.right);
    depth[i + 1] = depth[right] = static_cast<uint16_t>(depth[i] + 1);
    nodes_.push_back(
        Node{static_cast<float>(node.value), static_cast<uint16_t>(node.feature), static_cast<uint16_t>(right - i)});
  }
  trees_.push_back(flat);
}

void Model::predict_margins(std::span<const float> rows, size_t n, std::span<float> margins) const {
  const size_t features = features_count();
  const size_t outputs = outputs_count();
  WB_ASSERT(rows.size() == n * features && margins.size() == n * outputs);
  for (size_t row = 0; row < n; ++row) {
    for (size_t i = 0; i < outputs; ++i) margins[row * outputs + i] = static_cast<float>(about_.base_margins[i]);
  }
  std::array<float, kAbreast*(limits::kFeaturesMax + 1)>
      block;  // rows with the extra slot behind each; 32 KiB of stack
  const size_t stride = features + 1;
  for (size_t row = 0; row < n;) {
    size_t taken = 0;
    for (; taken < kAbreast && row + taken < n; ++taken) {
      const std::span<const float> source = rows.subspan((row + taken) * features, features);
      if (has_missing(source)) break;
      std::copy(source.begin(), source.end(), block.begin() + static_cast<ptrdiff_t>(taken * stride));
      block[taken * stride + features] = kInfinity;
    }
    float* into = margins.data() + row * outputs;
    if (taken == kAbreast) {
      predict_block(block.data(), into);
    } else if (taken > 0) {
      for (size_t i = 0; i < taken; ++i) predict_one(block.data() + i * stride, into + i * outputs);
    } else {
      predict_missing(rows.data() + row * features, into);
      taken = 1;
    }
    row += taken;
  }
}

// rows: f32[8, features + 1], no NaN; margins: f32[8, outputs], holding the base margins.
void Model::predict_block(const float* rows, float* margins) const {
  const size_t stride = features_count() + 1;
  const size_t outputs = outputs_count();
  for (const FlatTree& tree : trees_) {
    const Node* at[kAbreast];
    for (const Node*& node : at) node = &nodes_[tree.root];
    for (uint16_t level = 0; level < tree.depth; ++level) {
      abreast([&](size_t i) { at[i] += stride_of(rows[i * stride + at[i]->feature] < at[i]->value, at[i]->right); });
    }
    for (size_t i = 0; i < kAbreast; ++i) margins[i * outputs + tree.output] += at[i]->value;
  }
}

// row: f32[features + 1], no NaN.
void Model::predict_one(const float* row, float* margins) const {
  for (size_t first = 0; first < trees_.size(); first += kAbreast) {
    const size_t count = std::min(kAbreast, trees_.size() - first);
    const Node* at[kAbreast];
    uint16_t depth = 0;
    for (size_t i = 0; i < kAbreast; ++i) {
      const FlatTree& tree = trees_[first + std::min(i, count - 1)];
      at[i] = &nodes_[tree.root];
      depth = std::max(depth, tree.depth);
    }
    for (uint16_t level = 0; level < depth; ++level) {
      abreast([&](size_t i) { at[i] += stride_of(row[at[i]->feature] < at[i]->value, at[i]->right); });
    }
    for (size_t i = 0; i < count; ++i) margins[trees_[first + i].output] += at[i]->value;
  }
}

// row: f32[features] with NaN somewhere.
void Model::predict_missing(const float* row, float* margins) const {
  for (const FlatTree& tree : trees_) {
    size_t at = tree.root;
    while (nodes_[at].right != 0) {
      const float x = row[nodes_[at].feature];
      const bool left = std::isnan(x) ? default_left_[at] : x < nodes_[at].value;
      at += left ? 1 : nodes_[at].right;
    }
    margins[tree.output] += nodes_[at].value;
  }
}

void Model::probabilities(std::span<const float> margins, std::span<float> probs) const {
  const size_t outputs = outputs_count();
  const size_t answers = answers_count();
  const size_t n = margins.size() / outputs;
  WB_ASSERT(margins.size() == n * outputs && probs.size() == n * answers);
  std::array<double, limits::kOutputsMax> from;
  std::array<double, limits::kOutputsMax> into;
  static_assert(limits::kOutputsMax >= 2);  // the two answers of one logistic margin
  for (size_t row = 0; row < n; ++row) {
    std::copy_n(margins.begin() + static_cast<ptrdiff_t>(row * outputs), outputs, from.begin());
    answers_of(about_, std::span(from).first(outputs), std::span(into).first(answers));
    for (size_t i = 0; i < answers; ++i) probs[row * answers + i] = static_cast<float>(into[i]);
  }
}

Status Model::verify(const SelfTest& test) const {
  const size_t rows = test.margin_bits.size() / outputs_count();
  if (test.margin_bits.size() != rows * outputs_count() || test.rows.size() != rows * features_count()) {
    return fail(Code::kInvalid, "self-test: rows and margins do not match the model's shape");
  }
  std::vector<float> margins(test.margin_bits.size());
  predict_margins(test.rows, rows, margins);
  for (size_t i = 0; i < margins.size(); ++i) {
    if (std::bit_cast<uint32_t>(margins[i]) != test.margin_bits[i]) {
      return fail(Code::kCorrupt, "self-test: row ", std::to_string(i / outputs_count()), ", output ",
                  std::to_string(i % outputs_count()), " differs from what was recorded; this model must not run here");
    }
  }
  return ok_status();
}

}  // namespace wb::engine
