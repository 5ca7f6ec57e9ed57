#pragma once
// The vector kernels of the fast predictor, one source for SSE2 to AVX-512, NEON and plain C++ (Highway picks by the
// processor when the first of them is called). All they do is compare, count and select: there is no rounding in it, so
// that every processor gets the same ranks and leaves. Sums stay where they are made one by one, in trees_*.cpp.
//
// Three ideas:
// - How many thresholds lie below a number: two counts over fifteen, each a handful of compares (rank_numbers).
// - One row: the ranks that a tree's nodes ask for are looked up in a table that stands in registers, all 63 at once,
//   and compared at once; the 63 answers are bits of one word, in which a leaf is two look-ups away (find_exits).
// - Rows in byte lanes: the ranks of up to 64 rows stand side by side for each position, so that one node is asked for
//   all of them by one compare of bytes. All nodes are asked, from the exits up: an exit's number rises to the node
//   above if the node's answer chooses its side (find_places).

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/model.h"

namespace wb::engine::kernels {

inline constexpr size_t kRows = 64;  // of a block: the bytes of the widest vector

// The top six levels of a tree, whose 63 nodes are asked at once. They stand in pieces of three levels, each a heap of
// seven: the top piece first, then the eight below it from left to right. Where the tree has no node, the question is
// one that every rank answers with left.
inline constexpr size_t kCrownLevels = 6;
inline constexpr size_t kCrownExits = size_t{1} << kCrownLevels;
inline constexpr size_t kPieceNodes = 7;
template <class Position>  // u8 or u16
struct alignas(64) Crown {
  Position positions[kCrownExits] = {};  // of the rank that a node asks for; the last belongs to no node
  int8_t ranks[kCrownExits] = {};        // a node goes right where the row's rank is above
};

// Which of its eight exits a piece leads to. `answers`: bit i is set where node i goes right.
constexpr size_t exit_of_piece(size_t answers) {
  size_t at = 0;
  while (at < kPieceNodes) at = 2 * at + 1 + ((answers >> at) & 1U);
  return at - kPieceNodes;
}
// The same, looked up: for a lower piece its exit; for the top piece also where the answers of the piece below begin.
struct ExitTables {
  std::array<uint8_t, 128> low = {};
  std::array<uint16_t, 128> top = {};  // the first bit of the lower piece | 8 · exit << 8
};
constexpr ExitTables make_exit_tables() {
  ExitTables tables;
  for (size_t answers = 0; answers < 128; ++answers) {
    const size_t exit = exit_of_piece(answers);
    tables.low[answers] = static_cast<uint8_t>(exit);
    tables.top[answers] = static_cast<uint16_t>(kPieceNodes * (1 + exit) | (8 * exit) << 8);
  }
  return tables;
}
inline constexpr ExitTables kExitTables = make_exit_tables();

// Sixteen places for fifteen numbers, which ascend; NaN wherever there is none.
inline constexpr size_t kStepsCount = 16;
template <class Number>
struct alignas(64) Steps {
  Number numbers[kStepsCount] = {};
};

// A slot of numbers: where its ladder is, and where its ranks go. A ladder of t[1], t[2], … begins with its tops t[16],
// t[32], …; then come its blocks t[1] to t[15], t[17] to t[31], …
struct Rung {
  uint32_t column = 0;
  uint32_t begin = 0;  // of its ladder, in Steps
  uint16_t right = 0;  // position where a missing value is above every rank
  uint16_t left = 0;   // position where it is below
};

// One row, or the rows of a block. Column is float or double.
template <class Column>
struct RowsView {
  const Column* columns = nullptr;  // [count, stride]
  size_t stride = 0;
  size_t count = 0;
};

// Where ranks go: ranks[position · stride + row]. A rank is stored less 128, because vector units compare signed bytes.
struct RanksView {
  int8_t* ranks = nullptr;
  size_t stride = 1;  // 1 for one row, kRows for a block
};
constexpr int8_t stored_rank(size_t rank) { return static_cast<int8_t>(static_cast<int>(rank) - 128); }
inline constexpr int8_t kRankLowest = -128;
inline constexpr int8_t kRankHighest = 127;

struct Ladders {
  std::array<std::span<const Rung>, 3> rungs = {};  // by what is Missing: kNan, kNanOrZero, kNanIsZero
  Compare compare = Compare::kF32Less;              // says which of the ladders are there
  const Steps<float>* f32 = nullptr;
  const Steps<double>* f64 = nullptr;
};
void rank_numbers(const Ladders& ladders, RowsView<float> rows, RanksView out);
void rank_numbers(const Ladders& ladders, RowsView<double> rows, RanksView out);

// One row in `count` crowns: exits[count]. ranks: [positions], and readable up to the next multiple of 64.
template <class Position>
struct CrownsView {
  const Crown<Position>* crowns = nullptr;
  size_t count = 0;
};
void find_exits(CrownsView<uint8_t> crowns, const int8_t* ranks, size_t positions, uint8_t* exits);
void find_exits(CrownsView<uint16_t> crowns, const int8_t* ranks, size_t positions, uint8_t* exits);

// Rows of a block in the first `levels` of a crown: places[kRows], below 2^levels.
void find_places(const Crown<uint8_t>& crown, size_t levels, const int8_t* ranks, size_t rows, uint8_t* places);
void find_places(const Crown<uint16_t>& crown, size_t levels, const int8_t* ranks, size_t rows, uint8_t* places);

// For tests: which kinds of processor this machine can stand in for, the best (which is what it does) first, and to do
// so.
size_t processors_count();
const char* stand_in_for(size_t processor);  // its name

}  // namespace wb::engine::kernels
