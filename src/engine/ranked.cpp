// Ladders of thresholds and of category sets, cut into slots; then every split looks itself up.
#include "engine/ranked.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>

namespace wb::engine {
namespace {

using SlotKey = std::tuple<uint32_t, bool, Missing>;  // column, categorical, missing
SlotKey key_of(const TreeNode& node) { return {node.feature, node.set >= 0, node.missing}; }

// The threshold that every row compares with alike. An f32 is <= t just if it is <= the largest f32 that is <= t.
double canonical(double threshold, Compare compare) {
  if (threshold == 0) return 0;  // -0 and +0 split alike
  if (compare != Compare::kF32LessEqual) return threshold;
  auto rounded = static_cast<float>(threshold);
  if (static_cast<double>(rounded) > threshold)
    rounded = std::nextafter(rounded, -std::numeric_limits<float>::infinity());
  return rounded == 0 ? 0 : static_cast<double>(rounded);
}

// What the splits of one key ask for, sorted and without repetition, and where its slots begin.
template <class Content>
struct Ladder {
  std::vector<Content> steps;
  size_t first_slot = 0;
  void settle() {
    std::sort(steps.begin(), steps.end());
    steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
  }
  size_t slots_count() const { return (steps.size() + kSlotRanksMax - 1) / kSlotRanksMax; }
  size_t index_of(const Content& content) const {
    return static_cast<size_t>(std::lower_bound(steps.begin(), steps.end(), content) - steps.begin());
  }
  std::vector<Content> part(size_t slot) const {
    const auto from = steps.begin() + static_cast<ptrdiff_t>(slot * kSlotRanksMax);
    const auto to = steps.begin() + static_cast<ptrdiff_t>(std::min(steps.size(), (slot + 1) * kSlotRanksMax));
    return std::vector<Content>(from, to);
  }
};
struct Ladders {
  std::map<SlotKey, Ladder<double>> numbers;
  std::map<SlotKey, Ladder<std::vector<uint32_t>>> sets;
};

Ladders collect(const Description& model) {
  Ladders all;
  for (const Tree& tree : model.trees) {
    preorder(tree, [&](const TreeNode& node) {
      if (node.left < 0) return;
      if (node.set >= 0) all.sets[key_of(node)].steps.push_back(model.sets[static_cast<size_t>(node.set)]);
      if (node.set < 0) all.numbers[key_of(node)].steps.push_back(canonical(node.value, model.compare));
    });
  }
  for (auto& [key, ladder] : all.numbers) ladder.settle();
  for (auto& [key, ladder] : all.sets) ladder.settle();
  return all;
}

// Slots of both kinds, merged in the order of their keys.
std::vector<Slot> make_slots(Ladders& all) {
  std::vector<Slot> slots;
  std::vector<SlotKey> keys;
  for (const auto& [key, ladder] : all.numbers) keys.push_back(key);
  for (const auto& [key, ladder] : all.sets) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  for (const SlotKey& key : keys) {
    const auto& [column, categorical, missing] = key;
    Slot slot{column, categorical, missing, Side::kRight, {}, {}};
    if (categorical) {
      auto& ladder = all.sets[key];
      ladder.first_slot = slots.size();
      for (size_t i = 0; i < ladder.slots_count(); ++i) {
        slot.sets = ladder.part(i);
        slots.push_back(slot);
      }
    } else {
      auto& ladder = all.numbers[key];
      ladder.first_slot = slots.size();
      for (size_t i = 0; i < ladder.slots_count(); ++i) {
        slot.thresholds = ladder.part(i);
        slots.push_back(slot);
      }
    }
  }
  return slots;
}

void add_split(const Description& model, const Ladders& all, const TreeNode& node, RankedForest& out) {
  size_t index = 0;
  size_t first = 0;
  if (node.set >= 0) {
    const auto& ladder = all.sets.at(key_of(node));
    index = ladder.index_of(model.sets[static_cast<size_t>(node.set)]);
    first = ladder.first_slot;
  } else {
    const auto& ladder = all.numbers.at(key_of(node));
    index = ladder.index_of(canonical(node.value, model.compare));
    first = ladder.first_slot;
  }
  out.slot.push_back(static_cast<uint16_t>(first + index / kSlotRanksMax));
  out.rank.push_back(static_cast<uint8_t>(index % kSlotRanksMax));
  out.left.push_back(node.default_left && node.missing != Missing::kNanIsZero);
}

void add_leaf(const Tree& tree, const TreeNode& leaf, size_t outputs, RankedForest& out) {
  if (tree.vectors.empty()) {
    out.values.push_back(leaf.value);
    return;
  }
  const auto vector = tree.vectors.begin() + static_cast<ptrdiff_t>(leaf.feature * outputs);
  out.values.insert(out.values.end(), vector, vector + static_cast<ptrdiff_t>(outputs));
}

void settle_sides(RankedForest& forest) {
  std::vector<bool> seen(forest.slots.size(), false);
  for (size_t i = 0; i < forest.slot.size(); ++i) {
    Slot& slot = forest.slots[forest.slot[i]];
    const Side side = forest.left[i] ? Side::kLeft : Side::kRight;
    slot.side = !seen[forest.slot[i]] || slot.side == side ? side : Side::kEither;
    seen[forest.slot[i]] = true;
  }
}

Error too_many(size_t positions) {
  return fail(Code::kFull, "the splits take ", std::to_string(positions), " ranks of a row, the limit is ",
              std::to_string(kPositionsMax), "; train fewer or smaller trees, or with fewer categories");
}

}  // namespace

size_t positions_count(const Slot& slot) {
  return (slot.categorical ? slot.sets.size() : 1) * (slot.side == Side::kEither ? 2 : 1);
}
size_t positions_count(const std::vector<Slot>& slots) {
  size_t count = 0;
  for (const Slot& slot : slots) count += positions_count(slot);
  return count;
}

Result<RankedForest> rank_forest(const Description& model) {
  Ladders all = collect(model);
  RankedForest out;
  out.slots = make_slots(all);
  if (positions_count(out.slots) > kPositionsMax) return too_many(positions_count(out.slots));
  const size_t outputs = model.outputs_count();
  for (const Tree& tree : model.trees) {
    out.outputs.push_back(tree.vectors.empty() ? tree.output : static_cast<uint32_t>(outputs));
    preorder(tree, [&](const TreeNode& node) {
      out.leaf.push_back(node.left < 0);
      if (node.left < 0 && !tree.covers.empty())
        out.covers.push_back(tree.covers[static_cast<size_t>(&node - tree.nodes.data())]);
      if (node.left < 0) add_leaf(tree, node, outputs, out);
      if (node.left >= 0) add_split(model, all, node, out);
    });
  }
  settle_sides(out);
  const size_t positions = positions_count(out.slots);
  return positions <= kPositionsMax ? Result<RankedForest>(std::move(out)) : too_many(positions);
}

void expand_forest(const RankedForest& forest, Description& model) {
  const size_t outputs = model.outputs_count();
  std::vector<int32_t> first_set;
  for (const Slot& slot : forest.slots) {
    first_set.push_back(static_cast<int32_t>(model.sets.size()));
    model.sets.insert(model.sets.end(), slot.sets.begin(), slot.sets.end());
  }
  size_t node = 0;
  size_t split = 0;
  size_t value = 0;
  size_t leaf = 0;
  for (const uint32_t output : forest.outputs) {
    const bool vectors = output == outputs;
    Tree& tree = model.trees.emplace_back();
    tree.output = vectors ? 0 : output;
    std::vector<size_t> open;  // splits whose right side is due
    while (true) {
      const size_t at = tree.nodes.size();
      TreeNode& next = tree.nodes.emplace_back();
      if (!forest.leaf[node++]) {
        const Slot& slot = forest.slots[forest.slot[split]];
        next.left = static_cast<int32_t>(at + 1);
        next.feature = slot.column;
        next.missing = slot.missing;
        next.default_left = forest.left[split];
        if (slot.categorical) next.set = first_set[forest.slot[split]] + forest.rank[split];
        if (!slot.categorical) next.value = slot.thresholds[forest.rank[split]];
        ++split;
        open.push_back(at);
        continue;
      }
      if (vectors) {
        next.feature = static_cast<uint32_t>(tree.vectors.size() / outputs);
        for (size_t i = 0; i < outputs; ++i) tree.vectors.push_back(forest.values[value++]);
      } else {
        next.value = forest.values[value++];
      }
      if (!forest.covers.empty()) {
        tree.covers.resize(at + 1, 0.0);  // those of splits say nothing
        tree.covers[at] = forest.covers[leaf++];
      }
      if (open.empty()) break;
      tree.nodes[open.back()].right = static_cast<int32_t>(at + 1);
      open.pop_back();
    }
  }
}

}  // namespace wb::engine
