// The sections that hold the forest. Each kind of byte has a run of its own (structure, slots, ranks, leaves), so
// that new leaves move nothing and a compressor sees like beside like.
#include <algorithm>
#include <cmath>

#include "engine/format.h"

namespace wb::engine::format {
namespace {

// The first threshold whole, then gaps, each with its own width: as many bits as the gap has, less the top one, which
// is always 1.
std::string threshold_bits(const std::vector<double>& thresholds, bool f64) {
  const unsigned shift = common_shift(thresholds, f64);
  const unsigned width_bits = f64 ? 6 : 5;
  BitWriter bits;
  bits.put(shift, width_bits);
  int64_t before = ordered(thresholds[0], f64);
  bits.put(f64 ? std::bit_cast<uint64_t>(thresholds[0]) : std::bit_cast<uint32_t>(static_cast<float>(thresholds[0])),
           f64 ? 64 : 32);
  for (size_t i = 1; i < thresholds.size(); ++i) {
    const int64_t next = ordered(thresholds[i], f64);
    const uint64_t gap = (static_cast<uint64_t>(next) - static_cast<uint64_t>(before)) >> shift;
    const auto width = static_cast<unsigned>(std::bit_width(gap));
    bits.put(width - 1, width_bits);
    bits.put(gap, width - 1);
    before = next;
  }
  return bits.finish();
}

std::string category_bytes(const std::vector<std::vector<uint32_t>>& sets) {
  std::vector<uint32_t> categories;
  for (const auto& set : sets) categories.insert(categories.end(), set.begin(), set.end());
  std::sort(categories.begin(), categories.end());
  categories.erase(std::unique(categories.begin(), categories.end()), categories.end());
  std::string out;
  put_varint(out, categories.size());
  for (size_t i = 0; i < categories.size(); ++i)
    put_varint(out, i == 0 ? categories[0] : categories[i] - categories[i - 1] - 1);
  for (const auto& set : sets) {
    BitWriter bits;
    for (const uint32_t category : categories)
      bits.put(std::binary_search(set.begin(), set.end(), category) ? 1 : 0, 1);
    out += bits.finish();
  }
  return out;
}

}  // namespace

unsigned common_shift(const std::vector<double>& thresholds, bool f64) {
  uint64_t all = 0;
  for (const double threshold : thresholds) all |= static_cast<uint64_t>(std::abs(ordered(threshold, f64)));
  return all == 0 ? 0 : static_cast<unsigned>(std::countr_zero(all));
}

std::string pack_slots(const RankedForest& forest, const Description& model) {
  const bool f64 = model.compare == Compare::kF64LessEqual;
  std::string out;
  put_varint(out, forest.slots.size());
  for (const Slot& slot : forest.slots) {
    put_varint(out, slot.column);
    const auto side = static_cast<uint8_t>(static_cast<uint8_t>(slot.side) << kSideShift);
    put_byte(out,
             static_cast<uint8_t>(static_cast<uint8_t>(slot.missing) | (slot.categorical ? kCategorical : 0) | side));
    put_byte(out, static_cast<uint8_t>(slot.categorical ? slot.sets.size() : slot.thresholds.size()));
    out += slot.categorical ? category_bytes(slot.sets) : threshold_bits(slot.thresholds, f64);
  }
  return out;
}

std::string pack_trees(const RankedForest& forest, const Description& model) {
  std::string out;
  put_varint(out, forest.outputs.size());
  put_varint(out, forest.leaf.size());
  for (const uint32_t output : forest.outputs) put_varint(out, output);
  BitWriter structure;
  for (const bool leaf : forest.leaf) structure.put(leaf ? 1 : 0, 1);
  out += structure.finish();
  const bool wide = forest.slots.size() > 256;
  for (const uint16_t slot : forest.slot) {
    put_byte(out, static_cast<uint8_t>(slot));
    if (wide) put_byte(out, static_cast<uint8_t>(slot >> 8));
  }
  for (const uint8_t rank : forest.rank) put_byte(out, rank);
  BitWriter sides;
  for (size_t i = 0; i < forest.left.size(); ++i) {
    if (forest.slots[forest.slot[i]].side == Side::kEither) sides.put(forest.left[i] ? 1 : 0, 1);
  }
  out += sides.finish();
  for (const double value : forest.values) put_number(out, value, model.sum.precision);
  return out;
}

// Counts of rows take a byte or two; sums of second derivatives are f32 in the libraries that have them.
CoverKind cover_kind(std::span<const double> covers) {
  constexpr double kExact = static_cast<double>(uint64_t{1} << 53);
  const auto whole = [&](double cover) { return cover <= kExact && cover == std::floor(cover); };
  const auto f32 = [](double cover) { return static_cast<double>(static_cast<float>(cover)) == cover; };
  if (std::all_of(covers.begin(), covers.end(), whole)) return CoverKind::kWhole;
  return std::all_of(covers.begin(), covers.end(), f32) ? CoverKind::kF32 : CoverKind::kF64;
}

std::string pack_covers(const RankedForest& forest) {
  const CoverKind kind = cover_kind(forest.covers);
  std::string out;
  put_byte(out, static_cast<uint8_t>(kind));
  for (const double cover : forest.covers) {
    if (kind == CoverKind::kWhole) put_varint(out, static_cast<uint64_t>(cover));
    if (kind == CoverKind::kF32) put_f32(out, static_cast<float>(cover));
    if (kind == CoverKind::kF64) put_f64(out, cover);
  }
  return out;
}

}  // namespace wb::engine::format
