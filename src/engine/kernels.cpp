// Compiled once for each kind of processor: Highway includes this file again for every target.
#include "engine/kernels.h"

#include <cmath>
#include <type_traits>

// Ice Lake and Zen 4, whose byte permutation across a whole vector is what find_exits() is best served by.
#ifndef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL
#endif
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/kernels.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace wb::engine::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// ---- Ranks

// What of 16 ascending thresholds, NaN at their end, x lies beyond. kLess: a split's condition is x < t.
template <bool kLess, class Number>
HWY_INLINE size_t count_of(const Steps<Number>& steps, Number x) {
  const hn::CappedTag<Number, kStepsCount> d;
  const auto all = hn::Set(d, x);
  size_t count = 0;
  for (size_t i = 0; i < kStepsCount; i += hn::Lanes(d)) {
    const auto some = hn::Load(d, steps.numbers + i);
    count += hn::CountTrue(d, kLess ? hn::Le(some, all) : hn::Lt(some, all));
  }
  return count;
}

// Blocks without NaN are common enough to have a way of their own.
template <class Column>
HWY_INLINE bool any_nan(RowsView<Column> rows) {
  const hn::CappedTag<Column, 64 / sizeof(Column)> d;
  const size_t count = rows.count * rows.stride;
  auto found = hn::MaskFromVec(hn::Zero(d));
  size_t i = 0;
  for (; i + hn::Lanes(d) <= count; i += hn::Lanes(d)) {
    found = hn::Or(found, hn::IsNaN(hn::LoadU(d, rows.columns + i)));
  }
  bool rest = false;
  for (; i < count; ++i) rest = rest || std::isnan(rows.columns[i]);
  return rest || !hn::AllFalse(d, found);
}

// What is missing: nothing where there is no NaN, or what a rule says.
enum class Care : uint8_t { kNothing, kNan, kNanOrZero, kNanIsZero };

// In arithmetic on purpose: whether a value is missing is nothing that a branch predictor could know.
template <bool kLess, Care kCare, class Number>
HWY_INLINE void rank_number(const Steps<Number>* tops, Number x, int8_t* right, int8_t* left) {
  bool missing = false;
  if (kCare == Care::kNan) missing = std::isnan(x);
  if (kCare == Care::kNanOrZero) missing = !(std::fabs(static_cast<double>(x)) > kZeroMax);
  if (kCare == Care::kNanIsZero) x = std::isnan(x) ? Number{0} : x;
  const size_t block = count_of<kLess>(tops[0], x);
  const size_t rank = kStepsCount * block + count_of<kLess>(tops[1 + block], x);
  const size_t mask = size_t{0} - static_cast<size_t>(missing);
  *right = stored_rank((rank | mask) & 255U);
  *left = stored_rank(kCare == Care::kNanOrZero ? rank & ~mask : rank);  // NaN lies beyond nothing
}

template <bool kLess, Care kCare, class Number, class Column>
HWY_INLINE void rank_in(std::span<const Rung> rungs, const Steps<Number>* steps, RowsView<Column> rows, RanksView out) {
  if (rows.count == 1 && out.stride == 1) {  // what a loop costs is felt here
    for (const Rung& rung : rungs) {
      const auto x = static_cast<Number>(rows.columns[rung.column]);
      rank_number<kLess, kCare>(steps + rung.begin, x, out.ranks + rung.right, out.ranks + rung.left);
    }
    return;
  }
  for (const Rung& rung : rungs) {
    const Steps<Number>* tops = steps + rung.begin;
    const Column* from = rows.columns + rung.column;
    int8_t* right = out.ranks + rung.right * out.stride;
    int8_t* left = out.ranks + rung.left * out.stride;
    for (size_t row = 0; row < rows.count; ++row, from += rows.stride)
      rank_number<kLess, kCare>(tops, static_cast<Number>(*from), right + row, left + row);
  }
}

template <bool kLess, class Number, class Column>
HWY_INLINE void rank_all(const Ladders& ladders, const Steps<Number>* steps, RowsView<Column> rows, RanksView out) {
  const auto& [nan, nan_or_zero, nan_is_zero] = ladders.rungs;
  if (any_nan(rows)) {
    rank_in<kLess, Care::kNan>(nan, steps, rows, out);
    rank_in<kLess, Care::kNanIsZero>(nan_is_zero, steps, rows, out);
  } else {
    rank_in<kLess, Care::kNothing>(nan, steps, rows, out);
    rank_in<kLess, Care::kNothing>(nan_is_zero, steps, rows, out);
  }
  rank_in<kLess, Care::kNanOrZero>(nan_or_zero, steps, rows, out);
}

template <class Column>
HWY_INLINE void rank_any(const Ladders& ladders, RowsView<Column> rows, RanksView out) {
  switch (ladders.compare) {
    case Compare::kF32Less: return rank_all<true>(ladders, ladders.f32, rows, out);
    case Compare::kF32LessEqual: return rank_all<false>(ladders, ladders.f32, rows, out);
    case Compare::kF64LessEqual: return rank_all<false>(ladders, ladders.f64, rows, out);
  }
}

void rank_f32(const Ladders& ladders, RowsView<float> rows, RanksView out) { rank_any(ladders, rows, out); }
void rank_f64(const Ladders& ladders, RowsView<double> rows, RanksView out) { rank_any(ladders, rows, out); }

// ---- Crowns, node by node

// `stride` and `ranks` are those of a row in a RanksView.
template <class Position>
HWY_INLINE size_t walk_piece(const Crown<Position>& crown, size_t piece, const int8_t* ranks, size_t stride) {
  size_t at = 0;
  for (int level = 0; level < 3; ++level) {
    const size_t node = kPieceNodes * piece + at;
    at = 2 * at + 1 + static_cast<size_t>(ranks[crown.positions[node] * stride] > crown.ranks[node]);
  }
  return at - kPieceNodes;
}

template <class Position>
HWY_INLINE uint8_t exit_of(const Crown<Position>& crown, const int8_t* ranks, size_t stride) {
  const size_t piece = walk_piece(crown, 0, ranks, stride);
  return static_cast<uint8_t>(8 * piece + walk_piece(crown, 1 + piece, ranks, stride));
}

template <class Position>
HWY_INLINE void walk_crowns(CrownsView<Position> crowns, const int8_t* ranks, uint8_t* exits) {
  for (size_t i = 0; i < crowns.count; ++i) exits[i] = exit_of(crowns.crowns[i], ranks, 1);
}

#if HWY_TARGET == HWY_SCALAR

void exits_small(CrownsView<uint8_t> crowns, const int8_t* ranks, size_t, uint8_t* exits) {
  walk_crowns(crowns, ranks, exits);
}

template <class Position>
HWY_INLINE void places_in(const Crown<Position>& crown, size_t levels, const int8_t* ranks, size_t rows,
                          uint8_t* places) {
  for (size_t row = 0; row < rows; ++row) {
    const size_t exit = exit_of(crown, ranks + row, kRows);
    places[row] = static_cast<uint8_t>(exit >> (kCrownLevels - levels));
  }
}

#else  // HWY_TARGET

using Bytes = hn::CappedTag<uint8_t, kRows>;
using Signed = hn::RebindToSigned<Bytes>;
using VBytes = hn::Vec<Bytes>;

// ---- Crowns, all nodes at once

// An index within 16 bytes as it is, and one beyond them with its top bit set: that gives 0. Any other gives what the
// instruction likes, which is not the same on x86 and on Arm.
HWY_INLINE VBytes within_chunk(VBytes index) {
  const Bytes d;
  return hn::And(hn::SaturatedAdd(index, hn::Set(d, 0x70)), hn::Set(d, 0x8F));
}

// Looks bytes up in a table of 16 · kChunks, chunk after chunk.
template <size_t kChunks>
HWY_INLINE VBytes look_up_in_chunks(const uint8_t* table, VBytes positions) {
  const Bytes d;
  auto found = hn::TableLookupBytes(hn::LoadDup128(d, table), positions);
  if (kChunks == 1) return found;
  found = hn::TableLookupBytesOr0(hn::LoadDup128(d, table), within_chunk(positions));
  for (size_t i = 1; i < kChunks; ++i) {
    const auto nearer = hn::Xor(positions, hn::Set(d, static_cast<uint8_t>(16 * i)));
    found = hn::Or(found, hn::TableLookupBytesOr0(hn::LoadDup128(d, table + 16 * i), within_chunk(nearer)));
  }
  return found;
}

#if HWY_TARGET == HWY_AVX3_DL
// kTable: its bytes. An index is taken modulo 64 or 128 by the instruction.
template <size_t kTable>
HWY_INLINE VBytes look_up(const uint8_t* table, VBytes positions) {
  const Bytes d;
  const auto part = [&](size_t i) { return hn::LoadU(d, table + 64 * i).raw; };
  if (kTable == 64) return VBytes{_mm512_permutexvar_epi8(positions.raw, part(0))};
  const VBytes low{_mm512_permutex2var_epi8(part(0), positions.raw, part(1))};
  if (kTable == 128) return low;
  const VBytes high{_mm512_permutex2var_epi8(part(2), positions.raw, part(3))};
  return hn::IfThenElse(hn::MaskFromVec(positions), high, low);
}
#else
template <size_t kTable>
HWY_INLINE VBytes look_up(const uint8_t* table, VBytes positions) {
  return look_up_in_chunks<kTable / 16>(table, positions);
}
#endif

// Bit i: whether node i goes right.
template <size_t kTable>
HWY_INLINE uint64_t answers_of(const Crown<uint8_t>& crown, const uint8_t* table) {
  const Bytes d;
  const Signed ds;
  constexpr size_t kLanes = HWY_LANES(uint8_t);
  using Bits = std::conditional_t<kLanes == 64, uint64_t, std::conditional_t<kLanes == 32, uint32_t, uint16_t>>;
  uint64_t answers = 0;
  for (size_t i = 0; i < kCrownExits; i += kLanes) {
    const auto ranks = hn::BitCast(ds, look_up<kTable>(table, hn::Load(d, crown.positions + i)));
    Bits bits = 0;
    hn::StoreMaskBits(ds, hn::Gt(ranks, hn::Load(ds, crown.ranks + i)), reinterpret_cast<uint8_t*>(&bits));
    answers |= static_cast<uint64_t>(bits) << i;
  }
  return answers;
}

template <size_t kTable>
HWY_INLINE void exits_in(CrownsView<uint8_t> crowns, const int8_t* ranks, uint8_t* exits) {
  HWY_ALIGN uint8_t table[kTable];
  for (size_t i = 0; i < kTable; i += 16) {
    const hn::Full128<uint8_t> d;
    hn::Store(hn::LoadU(d, reinterpret_cast<const uint8_t*>(ranks) + i), d, table + i);
  }
  for (size_t i = 0; i < crowns.count; ++i) {
    const uint64_t answers = answers_of<kTable>(crowns.crowns[i], table);
    const size_t piece = kExitTables.top[answers & 127U];
    exits[i] = static_cast<uint8_t>((piece >> 8) + kExitTables.low[(answers >> (piece & 63U)) & 127U]);
  }
}

void exits_small(CrownsView<uint8_t> crowns, const int8_t* ranks, size_t positions, uint8_t* exits) {
#if HWY_TARGET == HWY_AVX3_DL
  if (positions <= 64) return exits_in<64>(crowns, ranks, exits);
  if (positions <= 128) return exits_in<128>(crowns, ranks, exits);
  return exits_in<256>(crowns, ranks, exits);
#else
  // What stands in for vectors on a processor without them is slower than walking.
  if (HWY_TARGET == HWY_EMU128) return walk_crowns(crowns, ranks, exits);
  if (positions <= 16) return exits_in<16>(crowns, ranks, exits);
  if (positions <= 32) return exits_in<32>(crowns, ranks, exits);
  if (positions <= 64) return exits_in<64>(crowns, ranks, exits);
  walk_crowns(crowns, ranks, exits);
#endif
}

// ---- Rows in byte lanes

// Asks one node for as many rows as a vector has bytes.
template <class Position>
HWY_INLINE hn::Mask<Bytes> goes_right(const Crown<Position>& crown, size_t node, const int8_t* ranks) {
  const Signed d;
  const auto of_rows = hn::Load(d, ranks + crown.positions[node] * kRows);
  return hn::RebindMask(Bytes(), hn::Lt(hn::Set(d, crown.ranks[node]), of_rows));
}

template <class Position>
HWY_INLINE VBytes choose(const Crown<Position>& crown, size_t node, const int8_t* ranks, VBytes left, VBytes right) {
  return hn::IfThenElse(goes_right(crown, node, ranks), right, left);
}

// The exit below a node: `left` or the one behind it.
template <class Position>
HWY_INLINE VBytes exit_below(const Crown<Position>& crown, size_t node, const int8_t* ranks, uint8_t left) {
  const Bytes d;
  const auto right = goes_right(crown, node, ranks);
  if (HWY_TARGET <= HWY_AVX3)
    return hn::IfThenElse(right, hn::Set(d, static_cast<uint8_t>(left + 1)), hn::Set(d, left));
  return hn::Sub(hn::Set(d, left), hn::VecFromMask(d, right));  // a mask that is a vector is -1
}

// Of the first kLevels of the piece whose nodes begin at `node`, counted within the piece.
template <size_t kLevels, class Position>
HWY_INLINE VBytes exit_of_lanes(const Crown<Position>& crown, size_t node, const int8_t* ranks) {
  const auto below = [&](size_t at, uint8_t exit) { return exit_below(crown, node + at, ranks, exit); };
  if (kLevels == 0) return hn::Zero(Bytes());
  if (kLevels == 1) return below(0, 0);
  if (kLevels == 2) return choose(crown, node, ranks, below(1, 0), below(2, 2));
  const auto a = choose(crown, node + 1, ranks, below(3, 0), below(4, 2));
  const auto b = choose(crown, node + 2, ranks, below(5, 4), below(6, 6));
  return choose(crown, node, ranks, a, b);
}

// All of the top piece and kLevels of those below it.
template <size_t kLevels, class Position>
HWY_INLINE VBytes place_of_lanes(const Crown<Position>& crown, const int8_t* ranks) {
  const Bytes d;
  const auto ask = [&](size_t node) { return goes_right(crown, node, ranks); };
  const auto below = [&](size_t i) { return exit_of_lanes<kLevels>(crown, kPieceNodes * (1 + i), ranks); };
  const auto step = [&](size_t pieces) { return hn::Set(d, static_cast<uint8_t>(pieces << kLevels)); };
  // The pieces below a node, left and right of it, and what those to the right are further on.
  const auto join = [&](hn::Mask<Bytes> right, VBytes a, VBytes b, size_t pieces) {
    return hn::IfThenElse(right, hn::Add(b, step(pieces)), a);
  };
  const auto a = join(ask(1), join(ask(3), below(0), below(1), 1), join(ask(4), below(2), below(3), 1), 2);
  const auto b = join(ask(2), join(ask(5), below(4), below(5), 1), join(ask(6), below(6), below(7), 1), 2);
  return join(ask(0), a, b, 4);
}

template <class Position>
HWY_INLINE void places_in(const Crown<Position>& crown, size_t levels, const int8_t* ranks, size_t rows,
                          uint8_t* places) {
  const Bytes d;
  const auto each = [&](const auto& place_of) {
    for (size_t row = 0; row < rows; row += hn::Lanes(d)) hn::StoreU(place_of(ranks + row), d, places + row);
  };
  switch (levels) {
    case 0: return each([&](const int8_t*) { return hn::Zero(d); });
    case 1: return each([&](const int8_t* at) { return exit_of_lanes<1>(crown, 0, at); });
    case 2: return each([&](const int8_t* at) { return exit_of_lanes<2>(crown, 0, at); });
    case 3: return each([&](const int8_t* at) { return exit_of_lanes<3>(crown, 0, at); });
    case 4: return each([&](const int8_t* at) { return place_of_lanes<1>(crown, at); });
    case 5: return each([&](const int8_t* at) { return place_of_lanes<2>(crown, at); });
    default: return each([&](const int8_t* at) { return place_of_lanes<3>(crown, at); });
  }
}

#endif  // HWY_TARGET

void exits_wide(CrownsView<uint16_t> crowns, const int8_t* ranks, size_t, uint8_t* exits) {
  walk_crowns(crowns, ranks, exits);
}
void places_small(const Crown<uint8_t>& crown, size_t levels, const int8_t* ranks, size_t rows, uint8_t* places) {
  places_in(crown, levels, ranks, rows, places);
}
void places_wide(const Crown<uint16_t>& crown, size_t levels, const int8_t* ranks, size_t rows, uint8_t* places) {
  places_in(crown, levels, ranks, rows, places);
}

}  // namespace wb::engine::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace wb::engine::kernels {

HWY_EXPORT(rank_f32);
HWY_EXPORT(rank_f64);
HWY_EXPORT(exits_small);
HWY_EXPORT(exits_wide);
HWY_EXPORT(places_small);
HWY_EXPORT(places_wide);

void rank_numbers(const Ladders& ladders, RowsView<float> rows, RanksView out) {
  HWY_DYNAMIC_DISPATCH(rank_f32)(ladders, rows, out);
}
void rank_numbers(const Ladders& ladders, RowsView<double> rows, RanksView out) {
  HWY_DYNAMIC_DISPATCH(rank_f64)(ladders, rows, out);
}
void find_exits(CrownsView<uint8_t> crowns, const int8_t* ranks, size_t positions, uint8_t* exits) {
  HWY_DYNAMIC_DISPATCH(exits_small)(crowns, ranks, positions, exits);
}
void find_exits(CrownsView<uint16_t> crowns, const int8_t* ranks, size_t positions, uint8_t* exits) {
  HWY_DYNAMIC_DISPATCH(exits_wide)(crowns, ranks, positions, exits);
}
void find_places(const Crown<uint8_t>& crown, size_t levels, const int8_t* ranks, size_t rows, uint8_t* places) {
  HWY_DYNAMIC_DISPATCH(places_small)(crown, levels, ranks, rows, places);
}
void find_places(const Crown<uint16_t>& crown, size_t levels, const int8_t* ranks, size_t rows, uint8_t* places) {
  HWY_DYNAMIC_DISPATCH(places_wide)(crown, levels, ranks, rows, places);
}

size_t processors_count() { return hwy::SupportedAndGeneratedTargets().size(); }
const char* stand_in_for(size_t processor) {
  const int64_t target = hwy::SupportedAndGeneratedTargets()[processor];
  hwy::GetChosenTarget().Update(target);
  return hwy::TargetName(target);
}

}  // namespace wb::engine::kernels
#endif
