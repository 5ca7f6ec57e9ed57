#pragma once
// The vector kernels of the fast predictor, one source for SSE2 to AVX-512, NEON and plain C++ (Highway picks by the
// processor when the first of them is called). All they do is compare numbers and count: there is no rounding in it, so
// that every processor gets the same ranks and leaves. Sums stay where they are made one by one, in forest.cpp.
//
// Two ideas:
// - How many thresholds lie below a number: two counts over sixteen, each a handful of compares (ranker.h).
// - Rows in byte lanes: the ranks of up to 64 rows stand side by side for each position, so that one node is asked for
//   all of them by one compare of bytes. All nodes of a tree are asked, from the leaves up: a leaf's number rises to
//   the node above if the node's answer chooses its side. For trees up to depth 8 that is less work than 64 walks.

#include <cstddef>
#include <cstdint>

#include "engine/model.h"

namespace wb::engine::kernels {

inline constexpr size_t kRows = 64;         // of a block: the bytes of the widest vector
inline constexpr size_t kLaneDepthMax = 8;  // the number of a leaf fits in a byte
inline constexpr uint16_t kNowhere = UINT16_MAX;
inline constexpr size_t kLadderBlock = 16;

// One slot of the forest: where its ladder is, and where its ranks go.
struct Rung {
  uint32_t column = 0;
  uint32_t begin = 0;         // of its ladder: 16 tops, then blocks of 16 thresholds; of its sets: the first of them
  uint16_t count = 0;         // of blocks, or of sets
  uint16_t right = kNowhere;  // position where a missing value is 255; of categories: the first of `count`
  uint16_t left = kNowhere;   // position where it is 0
  Missing missing = Missing::kNan;
  bool categorical = false;
};

// One row, or the rows of a block. Column is float or double.
template <class Column>
struct RowsView {
  const Column* columns = nullptr;  // [count, stride]
  size_t stride = 0;
  size_t count = 0;
};

// Where ranks go: ranks[position · stride + row]. One row: stride 1 and flip 0. A block: stride kRows and flip 128,
// because vector units compare signed bytes.
struct RanksView {
  uint8_t* ranks = nullptr;
  size_t stride = 1;
  uint8_t flip = 0;
};
inline constexpr uint8_t kBlockFlip = 128;

// Ranks of all rungs but the categorical ones. compare says which of the ladders are there.
struct Ladders {
  const Rung* rungs = nullptr;
  size_t count = 0;
  Compare compare = Compare::kF32Less;
  const float* f32 = nullptr;
  const double* f64 = nullptr;
};
void rank_numbers(const Ladders& ladders, RowsView<float> rows, RanksView out);
void rank_numbers(const Ladders& ladders, RowsView<double> rows, RanksView out);

// places: u8[kRows], the leaf that each row reaches in a heap of at most kLaneDepthMax levels. Nodes are position |
// rank << 8, or position | rank << 16.
void find_places(const uint16_t* nodes, size_t depth, const uint8_t* ranks, size_t rows, uint8_t* places);
void find_places(const uint32_t* nodes, size_t depth, const uint8_t* ranks, size_t rows, uint8_t* places);

}  // namespace wb::engine::kernels
