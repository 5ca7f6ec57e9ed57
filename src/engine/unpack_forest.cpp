// The forest's sections. Whatever the bytes say, a tree read in preorder ends, has no cycle and no child outside;
// all counts are compared with the bytes that are there before anything of their size is made.
#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "engine/format.h"
#include "engine/reader.h"

namespace wb::engine::format {
namespace {

Status read_thresholds(ReaderView& in, size_t count, bool f64, std::vector<double>& out) {
  BitReader bits(in.rest());
  const unsigned width_bits = f64 ? 6 : 5;
  const auto shift = static_cast<unsigned>(bits.get(width_bits));
  const double first = f64 ? std::bit_cast<double>(bits.get(64))
                           : static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits.get(32))));
  if (std::isnan(first) || (first == 0 && std::signbit(first))) return in.damaged("a first threshold of NaN or -0");
  out.push_back(first);
  const int64_t infinity = ordered(std::numeric_limits<double>::infinity(), f64);
  int64_t at = ordered(first, f64);
  for (size_t i = 1; i < count; ++i) {
    const auto width = static_cast<unsigned>(bits.get(width_bits));
    const uint64_t gap = (uint64_t{1} << width) | bits.get(width);
    const uint64_t room = static_cast<uint64_t>(infinity) - static_cast<uint64_t>(at);
    if (!bits.ok() || gap > room >> shift) return in.damaged("a threshold beyond infinity, or beyond the section");
    at = static_cast<int64_t>(static_cast<uint64_t>(at) + (gap << shift));
    out.push_back(from_ordered(at, f64));
  }
  if (!bits.ok() || !bits.rest_is_zero() || shift != common_shift(out, f64))
    return in.damaged("thresholds that end too early or are not in their shortest form");
  in.take(bits.bytes_used());
  return ok_status();
}

// Ascending, different, and each category in some set.
Status read_sets(ReaderView& in, size_t sets_count, std::vector<std::vector<uint32_t>>& out) {
  std::vector<uint32_t> categories(in.count(limits::kCategoryMax + size_t{1}, 1));
  uint64_t next = 0;
  for (uint32_t& category : categories) {
    next += in.varint();
    if (next > limits::kCategoryMax) return in.damaged("a category beyond the limit");
    category = static_cast<uint32_t>(next++);
  }
  const size_t set_bytes = (categories.size() + 7) / 8;
  std::vector<bool> used(categories.size(), false);
  for (size_t i = 0; i < sets_count; ++i) {
    const std::string_view bytes = in.take(set_bytes);
    if (!in.ok()) return in.damaged("");
    BitReader bits(bytes);
    std::vector<uint32_t> set;
    for (size_t j = 0; j < categories.size(); ++j) {
      if (bits.get(1) == 0) continue;
      set.push_back(categories[j]);
      used[j] = true;
    }
    if (set.empty() || !bits.rest_is_zero() || (!out.empty() && !(out.back() < set)))
      return in.damaged("category sets that are empty, out of order or not in their shortest form");
    out.push_back(std::move(set));
  }
  const bool all = std::find(used.begin(), used.end(), false) == used.end();
  return all && in.ok() ? ok_status() : Status(in.damaged("a category that no set holds"));
}

// Slots stand in the order that rank_forest() gives them, and only a full one is followed by another of its kind.
bool in_order(const Slot& before, const Slot& slot) {
  const auto key = [](const Slot& of) { return std::tuple(of.column, of.categorical, of.missing); };
  if (key(before) != key(slot)) return key(before) < key(slot);
  if (slot.categorical) return before.sets.size() == kSlotRanksMax && before.sets.back() < slot.sets.front();
  return before.thresholds.size() == kSlotRanksMax && before.thresholds.back() < slot.thresholds.front();
}

// Which nodes are leaves, and how many values the leaves hold together. Every tree must end just where its bits do.
Status read_structure(ReaderView& in, size_t nodes, const Description& model, RankedForest& forest, size_t& values) {
  const std::string_view bytes = in.take((nodes + 7) / 8);
  if (!in.ok()) return in.damaged("");
  BitReader bits(bytes);
  forest.leaf.reserve(nodes);
  for (const uint32_t output : forest.outputs) {
    const size_t tree_begin = forest.leaf.size();
    std::vector<bool> right_side;  // of each split above: is this its right side?
    while (true) {
      const size_t tree_nodes = forest.leaf.size() - tree_begin;
      if (forest.leaf.size() == nodes || tree_nodes == limits::kTreeNodesMax)
        return in.damaged("a tree with more nodes than there are");
      const bool leaf = bits.get(1) == 1;
      forest.leaf.push_back(leaf);
      if (!leaf) {
        if (right_side.size() == limits::kTreeDepthMax) return in.damaged("a tree that is too deep");
        right_side.push_back(false);
        continue;
      }
      values += output == model.outputs_count() ? output : 1;
      while (!right_side.empty() && right_side.back()) right_side.pop_back();
      if (right_side.empty()) break;
      right_side.back() = true;
    }
  }
  return forest.leaf.size() == nodes && bits.rest_is_zero() ? ok_status()
                                                            : Status(in.damaged("nodes that belong to no tree"));
}

Status read_splits(ReaderView& in, size_t splits, RankedForest& forest) {
  const bool wide = forest.slots.size() > 256;
  const size_t slots_offset = in.offset();
  const std::string_view slots = in.take(splits * (wide ? 2 : 1));
  const size_t ranks_offset = in.offset();
  const std::string_view ranks = in.take(splits);
  if (!in.ok()) return in.damaged("");
  std::vector<std::vector<bool>> used;
  for (const Slot& slot : forest.slots) used.emplace_back(slot.categorical ? slot.sets.size() : slot.thresholds.size());
  forest.slot.resize(splits);
  forest.rank.resize(splits);
  for (size_t i = 0; i < splits; ++i) {
    const auto low = static_cast<uint8_t>(slots[wide ? 2 * i : i]);
    const auto slot = static_cast<uint16_t>(low | (wide ? static_cast<uint8_t>(slots[2 * i + 1]) << 8 : 0));
    const auto rank = static_cast<uint8_t>(ranks[i]);
    if (slot >= used.size())
      return in.damaged_at(slots_offset + (wide ? 2 * i : i),
                           "a split on slot " + std::to_string(slot) + " of " + std::to_string(used.size()));
    if (rank >= used[slot].size())
      return in.damaged_at(ranks_offset + i, "a split at rank " + std::to_string(rank) + " of slot " +
                                                 std::to_string(slot) + ", which has " +
                                                 std::to_string(used[slot].size()));
    forest.slot[i] = slot;
    forest.rank[i] = rank;
    used[slot][rank] = true;
  }
  for (const auto& ranks_used : used) {
    if (std::find(ranks_used.begin(), ranks_used.end(), false) != ranks_used.end())
      return in.damaged("a threshold or category set that no split uses");
  }
  return ok_status();
}

// Where missing values go: one bit for each split of a slot in which splits differ, and they must differ.
Status read_sides(ReaderView& in, RankedForest& forest) {
  size_t open = 0;
  for (const uint16_t slot : forest.slot) open += forest.slots[slot].side == Side::kEither ? 1 : 0;
  const std::string_view bytes = in.take((open + 7) / 8);
  if (!in.ok()) return in.damaged("");
  BitReader bits(bytes);
  std::vector<uint8_t> seen(forest.slots.size(), 0);  // bit 0: right, bit 1: left
  forest.left.reserve(forest.slot.size());
  for (const uint16_t slot : forest.slot) {
    const Side side = forest.slots[slot].side;
    const bool left = side == Side::kEither ? bits.get(1) == 1 : side == Side::kLeft;
    forest.left.push_back(left);
    seen[slot] = static_cast<uint8_t>(seen[slot] | (left ? 2 : 1));
  }
  for (size_t i = 0; i < seen.size(); ++i) {
    if (forest.slots[i].side == Side::kEither && seen[i] != 3) return in.damaged("sides that do not differ");
  }
  return bits.rest_is_zero() ? ok_status() : Status(in.damaged("bits are left over"));
}

}  // namespace

Result<std::vector<Slot>> read_slots(ReaderView in, const Description& model) {
  const bool f64 = model.compare == Compare::kF64LessEqual;
  const size_t columns = columns_count(model);
  std::vector<Slot> slots(in.count(kSlotsMax, 5));
  for (size_t i = 0; i < slots.size(); ++i) {
    Slot& slot = slots[i];
    const uint64_t column = in.varint();
    const uint8_t kind = in.byte();
    const size_t ranks = in.byte();
    slot.column = static_cast<uint32_t>(column);
    slot.missing = static_cast<Missing>(kind & 3U);
    slot.categorical = (kind & kCategorical) != 0;
    slot.side = static_cast<Side>(kind >> kSideShift);
    const bool no_side = slot.missing == Missing::kNanIsZero && slot.side != Side::kRight;
    if (!in.ok() || column >= columns || (kind & 3U) == 0 || slot.side > Side::kEither || no_side || ranks == 0)
      return in.damaged("slot " + std::to_string(i) +
                        " is of an unknown kind, empty, or of a column that is not there");
    WB_CHECK(slot.categorical ? read_sets(in, ranks, slot.sets) : read_thresholds(in, ranks, f64, slot.thresholds));
    if (i > 0 && !in_order(slots[i - 1], slot)) return in.damaged("slot " + std::to_string(i) + " is out of order");
  }
  if (positions_count(slots) > kPositionsMax) return in.damaged("more ranks of a row than the limit");
  WB_CHECK(in.close());
  return slots;
}

Status read_trees(ReaderView in, const Description& model, RankedForest& forest) {
  const size_t trees = in.count(limits::kTreesMax, 1 + 4);
  const size_t nodes = in.count(limits::kModelNodesMax, 1);  // n leaves of 4 bytes and n - 1 splits of 2
  for (size_t i = 0; i < trees; ++i) {
    const uint64_t output = in.varint();
    if (output > model.outputs_count()) return in.damaged("a tree for an output that is not there");
    forest.outputs.push_back(static_cast<uint32_t>(output));
  }
  size_t values = 0;
  WB_CHECK(read_structure(in, nodes, model, forest, values));
  WB_CHECK(read_splits(in, (nodes - trees) / 2, forest));
  WB_CHECK(read_sides(in, forest));
  const size_t value_bytes = model.sum.precision == Precision::kF32 ? 4 : 8;
  if (values * value_bytes != in.rest().size()) return in.damaged("leaves that do not fill the section");
  forest.values.resize(values);
  for (double& value : forest.values) value = in.number(model.sum.precision);
  const auto wrong =
      std::find_if(forest.values.begin(), forest.values.end(), [](double v) { return !std::isfinite(v); });
  if (wrong == forest.values.end()) return in.close();
  const auto index = static_cast<size_t>(wrong - forest.values.begin());
  return in.damaged_at(in.offset() - (values - index) * value_bytes, "a leaf that is not finite");
}

namespace {

Status read_cover_numbers(ReaderView& in, CoverKind kind, std::vector<double>& covers) {
  for (double& cover : covers) {
    const size_t at = in.offset();
    if (kind == CoverKind::kWhole) {
      const uint64_t whole = in.varint();
      if (whole > uint64_t{1} << 53) return in.damaged_at(at, "a cover beyond 2^53");
      cover = static_cast<double>(whole);
    }
    if (kind == CoverKind::kF32) cover = static_cast<double>(in.f32());
    if (kind == CoverKind::kF64) cover = in.f64();
    if (!in.ok()) return in.damaged("");
  }
  return ok_status();
}

}  // namespace

Status read_covers(ReaderView in, RankedForest& forest) {
  const auto kind = static_cast<CoverKind>(in.byte());
  if (kind < CoverKind::kWhole || kind > CoverKind::kF64) return in.damaged("an unknown kind of covers");
  if (forest.outputs.empty()) return in.damaged("covers of no trees");
  const auto leaves = static_cast<size_t>(std::count(forest.leaf.begin(), forest.leaf.end(), true));
  const size_t bytes_each = kind == CoverKind::kWhole ? 1 : kind == CoverKind::kF32 ? 4 : 8;
  if (in.rest().size() / bytes_each < leaves) return in.damaged("fewer covers than leaves");
  std::vector<double>& covers = forest.covers;
  covers.resize(leaves);
  WB_CHECK(read_cover_numbers(in, kind, covers));
  size_t node = 0;
  size_t from = 0;
  for (size_t tree = 0; tree < forest.outputs.size(); ++tree) {
    size_t to = from;
    for (size_t due = 1; due > 0; ++node) {  // nodes whose turn comes
      due = forest.leaf[node] ? due - 1 : due + 1;
      to += forest.leaf[node] ? 1 : 0;
    }
    const Status sound = check_covers(std::span(covers).subspan(from, to - from));
    if (!sound.ok()) return in.damaged("tree " + std::to_string(tree) + ": " + sound.error().text);
    from = to;
  }
  if (kind != cover_kind(covers)) return in.damaged("covers that are not in their shortest form");
  return in.close();
}

}  // namespace wb::engine::format
