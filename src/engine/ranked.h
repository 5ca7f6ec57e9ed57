#pragma once
// The forest in ranks: what a package holds and what the fast predictor runs on.
//
// All that a split asks of a number is how many thresholds of its column lie below it. So the different thresholds of a
// column are sorted once, into slots of at most 255; a number becomes, per slot, a rank in one byte; and a split
// becomes two small numbers, slot and rank. Every comparison of every library is then `rank of x <= rank of the
// split`, and what differed between them is in how a number is ranked:
//
//   x <  t goes left: the rank of x is how many thresholds are <= x
//   x <= t goes left: the rank of x is how many thresholds are <  x
//
// A slot belongs to one column, one rule for missing values, and numbers or categories. A column with more than 255
// thresholds, or whose splits do not agree on what is missing, has several. In a slot of categories, the rank of a
// split says which of the slot's sets holds what goes left.

#include <cstdint>
#include <vector>

#include "engine/model.h"

namespace wb::engine {

inline constexpr size_t kSlotRanksMax = 255;  // ranks of x are 0 to 255
inline constexpr size_t kPositionsMax = 32'767;
inline constexpr size_t kSlotsMax = kPositionsMax;

// Persisted (since 0.1): add, never renumber.
enum class Side : uint8_t { kRight = 0, kLeft = 1, kEither = 2 };

struct Slot {
  uint32_t column = 0;
  bool categorical = false;
  Missing missing = Missing::kNan;
  Side side = Side::kRight;        // where missing values go, at every split of the slot; kEither: each split says
  std::vector<double> thresholds;  // of numbers: 1 to 255, ascending; exact f32 unless compared in f64
  std::vector<std::vector<uint32_t>> sets;  // of categories: 1 to 255, ascending, as in Description::sets
};

// Nodes of all trees behind each other, each tree in preorder: a split, all of its left side, all of its right side.
struct RankedForest {
  std::vector<Slot> slots;        // ascending by column, numbers before categories, rule, content
  std::vector<uint32_t> outputs;  // u32[trees]; outputs_count: a tree whose leaves are vectors
  std::vector<bool> leaf;         // [nodes]
  std::vector<uint16_t> slot;     // u16[splits]
  std::vector<uint8_t> rank;      // u8[splits]
  std::vector<bool> left;         // [splits]: where a missing value goes
  std::vector<double> values;     // of the leaves: one each, or one for each output
  std::vector<double> covers;     // f64[leaves], or none
};

// Where the ranks of a row stand: one position for each slot of numbers and for each set, two if missing values may go
// to either side there. A model has at most kPositionsMax, so that a row's ranks fit on a stack.
size_t positions_count(const Slot& slot);
size_t positions_count(const std::vector<Slot>& slots);

// Visits the nodes that can be reached, in preorder.
template <class Visit>
void preorder(const Tree& tree, const Visit& visit) {
  std::vector<int32_t> waiting{0};
  while (!waiting.empty()) {
    const TreeNode& node = tree.nodes[static_cast<size_t>(waiting.back())];
    waiting.pop_back();
    visit(node);
    if (node.left < 0) continue;
    waiting.push_back(node.right);
    waiting.push_back(node.left);
  }
}

// Of a checked description. Loses what no row can tell: node order, thresholds beyond f32 where x is an f32, the sign
// of a threshold of 0. kFull if it takes more than kPositionsMax positions.
Result<RankedForest> rank_forest(const Description& model);
// The inverse: fills trees and sets. `model` knows its outputs.
void expand_forest(const RankedForest& forest, Description& model);

}  // namespace wb::engine
