// Positions first, because tests name them; then every tree in preorder, its tests looked up on the way.
#include "engine/export_layout.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

namespace wb::engine {
namespace {

// ---- Steps: which cell each column is, after each step.
class Cells {
 public:
  Cells(const Description& model, Layout& out) : out_(out), cell_(model.features.size()) {
    std::iota(cell_.begin(), cell_.end(), 0U);
    out_.cells_count = cell_.size();
    for (const Step& step : model.steps) take(step);
  }
  uint32_t of_column(uint32_t column) const { return cell_[column]; }
  const std::vector<uint32_t>& all() const { return cell_; }

 private:
  uint32_t new_cell() { return static_cast<uint32_t>(out_.cells_count++); }
  std::vector<uint32_t> of_columns(const std::vector<uint32_t>& columns) const {
    std::vector<uint32_t> cells;
    for (const uint32_t column : columns) cells.push_back(cell_[column]);
    return cells;
  }
  void take(const Step& step) {
    if (const auto* chosen = std::get_if<Select>(&step)) select(*chosen);
    if (const auto* scale = std::get_if<Scale>(&step))
      out_.steps.push_back({CellStep::Kind::kScale, scale->form, of_columns(scale->columns), scale->a, scale->b});
    if (const auto* impute = std::get_if<Impute>(&step))
      out_.steps.push_back({CellStep::Kind::kImpute, {}, of_columns(impute->columns), impute->values, {}});
    if (const auto* ordinal = std::get_if<Ordinal>(&step))
      out_.steps.push_back(
          {CellStep::Kind::kOrdinal, {}, {cell_[ordinal->column]}, ordinal->categories, {ordinal->unknown}});
    if (const auto* one_hot = std::get_if<OneHot>(&step)) expand(*one_hot);
  }
  // A column that is taken twice is copied, because a later step may change one of the two.
  void select(const Select& step) {
    std::vector<uint32_t> selected;
    for (const uint32_t column : step.columns) {
      const uint32_t from = cell_[column];
      const bool taken = std::find(selected.begin(), selected.end(), from) != selected.end();
      selected.push_back(taken ? new_cell() : from);
      if (taken) out_.steps.push_back({CellStep::Kind::kCopy, {}, {from, selected.back()}, {}, {}});
    }
    cell_ = std::move(selected);
  }
  void expand(const OneHot& step) {
    const uint32_t from = cell_[step.column];
    const auto first = static_cast<uint32_t>(out_.cells_count);
    out_.steps.push_back({CellStep::Kind::kOneHot, {}, {from, first}, step.categories, {}});
    cell_.erase(cell_.begin() + step.column);
    for (size_t i = 0; i < step.categories.size(); ++i) cell_.push_back(new_cell());
  }

  Layout& out_;
  std::vector<uint32_t> cell_;
};

// The largest f32 that is not above x.
float floor_f32(double x) {
  auto rounded = static_cast<float>(x);
  if (static_cast<double>(rounded) > x) rounded = std::nextafter(rounded, -std::numeric_limits<float>::infinity());
  return rounded;
}

int64_t limit_of(double threshold, Compare compare, bool wide) {
  if (wide) return key_of(threshold, true);
  const int64_t key = key_of(static_cast<double>(floor_f32(threshold)), false);
  return compare == Compare::kF32Less ? key - 1 : key;  // that threshold is an f32
}

class Builder {
 public:
  Builder(const Description& model, Layout& out) : model_(model), out_(out), cells_(model, out) {}

  void build() {
    for (const Tree& tree : model_.trees) visit_splits(tree, 0, [&](const TreeNode& node) { collect(node); });
    number_positions();
    number_categories();
    for (const Tree& tree : model_.trees) visit_splits(tree, 0, [&](const TreeNode& node) { add_test(node); });
    number_tests();
    for (const Tree& tree : model_.trees) add_tree(tree);
    if (model_.linear) out_.linear_cells = cells_.all();
  }

 private:
  using Test = std::pair<uint32_t, int64_t>;  // position, limit

  // Depth is limited (kTreeDepthMax), so recursion is.
  template <class Visit>
  void visit_splits(const Tree& tree, int32_t index, const Visit& visit) {
    const TreeNode& node = tree.nodes[static_cast<size_t>(index)];
    if (node.left < 0) return;
    visit(node);
    visit_splits(tree, node.left, visit);
    visit_splits(tree, node.right, visit);
  }

  Position position_of(const TreeNode& node) const {
    const bool left = node.default_left && node.missing != Missing::kNanIsZero;
    return {node.set >= 0, cells_.of_column(node.feature), node.missing, left};
  }

  void collect(const TreeNode& node) {
    const Position position = position_of(node);
    position_index_[position] = 0;
    if (node.set < 0) return;
    const std::vector<uint32_t>& set = model_.sets[static_cast<size_t>(node.set)];
    std::vector<uint32_t>& known = known_[position.cell].categories;
    known.insert(known.end(), set.begin(), set.end());
  }

  void number_positions() {
    for (auto& [position, index] : position_index_) {
      index = static_cast<uint32_t>(out_.positions.size());
      out_.positions.push_back(position);
      if (!position.categorical) ++out_.number_positions;
    }
  }

  void number_categories() {
    for (auto& [cell, known] : known_) {
      std::sort(known.categories.begin(), known.categories.end());
      known.categories.erase(std::unique(known.categories.begin(), known.categories.end()), known.categories.end());
      known.begin = static_cast<uint32_t>(out_.categories.size());
      out_.categories.insert(out_.categories.end(), known.categories.begin(), known.categories.end());
    }
    for (const Position& position : out_.positions) {
      if (!position.categorical) continue;
      const Known& known = known_[position.cell];
      out_.categories_begin.push_back(known.begin);
      out_.categories_end.push_back(known.begin + static_cast<uint32_t>(known.categories.size()));
    }
  }

  // Where the bits of a set begin; equal bits stand once.
  int64_t set_offset(const TreeNode& node) {
    const std::vector<uint32_t>& known = known_[cells_.of_column(node.feature)].categories;
    std::vector<uint8_t> bits((known.size() + 2 + 7) / 8);
    bits[0] = 2;
    for (const uint32_t category : model_.sets[static_cast<size_t>(node.set)]) {
      const auto bit = static_cast<size_t>(std::lower_bound(known.begin(), known.end(), category) - known.begin()) + 2;
      bits[bit / 8] = static_cast<uint8_t>(bits[bit / 8] | (1U << (bit % 8)));
    }
    const auto [at, fresh] = bits_offset_.try_emplace(bits, static_cast<int64_t>(out_.set_bits.size()));
    if (fresh) out_.set_bits.insert(out_.set_bits.end(), bits.begin(), bits.end());
    return at->second;
  }

  void add_test(const TreeNode& node) {
    const int64_t limit = node.set >= 0 ? set_offset(node) : limit_of(node.value, model_.compare, out_.wide_keys);
    split_tests_.emplace_back(position_index_.at(position_of(node)), limit);
  }

  // Each different test once and a number for each split, or each split's own test, whichever is smaller.
  void number_tests() {
    std::vector<Test> tests = split_tests_;
    std::sort(tests.begin(), tests.end());
    tests.erase(std::unique(tests.begin(), tests.end()), tests.end());
    const size_t position_bytes = out_.positions.size() > 1 ? bytes_for(out_.positions.size() - 1) : 0;
    const size_t test_bytes = position_bytes + (out_.wide_keys ? 8 : 4);
    const size_t shared = tests.size() * test_bytes + split_tests_.size() * bytes_for(tests.size());
    if (shared < split_tests_.size() * test_bytes) {
      for (const Test& test : split_tests_) {
        const auto at = std::lower_bound(tests.begin(), tests.end(), test) - tests.begin();
        out_.split_test.push_back(static_cast<uint32_t>(at));
      }
    } else {
      tests = split_tests_;
    }
    for (const auto& [position, limit] : tests) {
      out_.test_position.push_back(position);
      out_.test_limit.push_back(limit);
    }
  }

  void add_tree(const Tree& tree) {
    const size_t outputs = model_.outputs_count();
    const size_t before = out_.split_left.size();
    add_node(tree, 0);
    out_.tree_splits.push_back(static_cast<uint32_t>(out_.split_left.size() - before));
    out_.tree_output.push_back(tree.vectors.empty() ? tree.output : static_cast<uint32_t>(outputs));
  }

  void add_node(const Tree& tree, int32_t index) {
    const TreeNode& node = tree.nodes[static_cast<size_t>(index)];
    if (node.left >= 0) {
      const size_t at = out_.split_left.size();
      out_.split_left.push_back(0);
      add_node(tree, node.left);
      out_.split_left[at] = static_cast<uint32_t>(out_.split_left.size() - at - 1);
      add_node(tree, node.right);
    } else if (tree.vectors.empty()) {
      out_.leaves.push_back(node.value);
    } else {
      const size_t outputs = model_.outputs_count();
      const auto vector = tree.vectors.begin() + static_cast<ptrdiff_t>(node.feature * outputs);
      out_.vectors.insert(out_.vectors.end(), vector, vector + static_cast<ptrdiff_t>(outputs));
    }
  }

  struct Known {
    std::vector<uint32_t> categories;
    uint32_t begin = 0;
  };
  const Description& model_;
  Layout& out_;
  Cells cells_;
  std::map<Position, uint32_t> position_index_;
  std::map<uint32_t, Known> known_;  // of each cell with categories
  std::map<std::vector<uint8_t>, int64_t> bits_offset_;
  std::vector<Test> split_tests_;  // of each split, in order
};

// Each different leaf once and a number for each, if that is smaller.
void share_leaves(Layout& out, size_t value_bytes) {
  std::vector<uint64_t> bits;
  for (const double leaf : out.leaves) bits.push_back(std::bit_cast<uint64_t>(leaf));
  const std::vector<uint64_t> all = bits;
  std::sort(bits.begin(), bits.end());
  bits.erase(std::unique(bits.begin(), bits.end()), bits.end());
  if (bits.size() * value_bytes + all.size() * bytes_for(bits.size()) >= all.size() * value_bytes) return;
  for (const uint64_t leaf : all)
    out.leaf_value.push_back(static_cast<uint32_t>(std::lower_bound(bits.begin(), bits.end(), leaf) - bits.begin()));
  out.leaves.clear();
  for (const uint64_t leaf : bits) out.leaves.push_back(std::bit_cast<double>(leaf));
}

}  // namespace

int64_t key_of(double x, bool wide) {
  if (wide) {
    const auto magnitude = static_cast<int64_t>(std::bit_cast<uint64_t>(std::fabs(x)));
    return x < 0 ? -magnitude : magnitude;
  }
  const auto magnitude = static_cast<int64_t>(std::bit_cast<uint32_t>(std::fabs(static_cast<float>(x))));
  return x < 0 ? -magnitude : magnitude;
}

size_t bytes_for(uint64_t most) { return most < 256 ? 1 : most < 65'536 ? 2 : 4; }

uint64_t largest_of(const std::vector<uint32_t>& values) {
  return values.empty() ? 0 : *std::max_element(values.begin(), values.end());
}

Layout lay_out(const Description& model, bool f64_rows) {
  Layout out;
  out.wide_cells = model.steps.empty() ? f64_rows : model.steps_precision == Precision::kF64;
  out.wide_keys = out.wide_cells && model.compare == Compare::kF64LessEqual;
  Builder(model, out).build();
  share_leaves(out, model.sum.precision == Precision::kF64 ? 8 : 4);
  return out;
}

}  // namespace wb::engine
