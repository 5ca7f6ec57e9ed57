#pragma once
// What of a model goes into the tables of an exported source: positions that hold the keys of a row, tests of them, and
// trees in preorder without their leaves.
//
// A tree of n splits has n + 1 leaves. A split says how many splits its left side has, k: the left side follows it, the
// right side begins k splits later and has k + 1 leaves more before it. So a walk that counts needs no leaf in between
// and no second child.

#include <compare>
#include <cstdint>
#include <vector>

#include "engine/model.h"

namespace wb::engine {

// A step on cells: columns that are moved by the steps stay where they are, only what they are called changes.
struct CellStep {
  enum class Kind : uint8_t { kCopy, kScale, kImpute, kOrdinal, kOneHot };
  Kind kind = Kind::kCopy;
  Scale::Form form = Scale::Form::kShiftDivide;
  std::vector<uint32_t> cells;  // copy: from, to; scale, impute: each; ordinal: one; one-hot: from, first to
  std::vector<double> a;        // scale a; impute: values; ordinal, one-hot: categories
  std::vector<double> b;        // scale b; ordinal: unknown
};

struct Position {  // one key of a row
  bool categorical = false;
  uint32_t cell = 0;
  Missing missing = Missing::kNan;
  bool left = false;  // where a missing value goes
  friend auto operator<=>(const Position&, const Position&) = default;
};

struct Layout {
  bool wide_cells = false;             // the numbers that are compared are f64 before their keys are taken
  bool wide_keys = false;              // 64 bits
  size_t cells_count = 0;              // features, and what the steps add
  std::vector<uint32_t> linear_cells;  // of each column, for a linear part
  std::vector<CellStep> steps;

  std::vector<Position> positions;  // ascending: numbers, then categories
  size_t number_positions = 0;
  std::vector<uint32_t> categories;        // of all columns behind each other, each ascending
  std::vector<uint32_t> categories_begin;  // of each categorical position
  std::vector<uint32_t> categories_end;
  std::vector<uint8_t> set_bits;  // bit 0: unknown, 0; bit 1: missing and goes left, 1; bit 2 + i: category i

  // Of each test: goes left if the key is <= limit; of categories: if the key's bit from byte `limit` on is set.
  std::vector<uint32_t> test_position;
  std::vector<int64_t> test_limit;
  std::vector<uint32_t> split_test;  // empty: split i has test i
  std::vector<uint32_t> split_left;  // splits of its left side
  std::vector<uint32_t> tree_splits;
  std::vector<uint32_t> tree_output;  // outputs_count: its leaves are vectors
  std::vector<double> leaves;         // of scalar trees
  std::vector<uint32_t> leaf_value;   // into leaves; empty: leaf i has value i
  std::vector<double> vectors;        // f64[vector leaves, outputs]
};

// Of a checked description.
Layout lay_out(const Description& model, bool f64_rows);

// The integer that sorts as x does, x not NaN; ±0 are 0.
int64_t key_of(double x, bool wide);
// Bytes of an unsigned integer that holds `most`: 1, 2 or 4.
size_t bytes_for(uint64_t most);
uint64_t largest_of(const std::vector<uint32_t>& values);

}  // namespace wb::engine
