#pragma once
// A model as C99 (or one C++17 header) for a microcontroller: const tables and one scalar walker, no heap, no library
// but memcpy, and the same bits as reference.h.
//
// A comparison of floats is a comparison of integers once their sign and magnitude are two's complement; so a row
// becomes such keys once, and a split is one integer comparison, with or without an FPU. The side that a missing value
// takes is in its key: below all limits where it goes left, above all where it goes right. Leaves are added in the
// precision and order of the library; a part without an FPU does that in software and gets the same bits.
//
// Rows are f32, or f64 where asked. A model that compares in f64 is exact for f32 rows too: of every threshold stands
// the largest f32 that is not above it, and no f32 tells the two apart.

#include <string>
#include <string_view>

#include "base/result.h"
#include "engine/engine.h"

namespace wb::engine {

struct ExportOptions {
  bool cpp_header = false;  // else C: a source and a header
  bool f64_rows = false;
  std::string name;          // a C identifier: prefix of every symbol, or the namespace
  std::string model_sha256;  // for the comment at the head
  std::string made_from;     // for the same: "the first 40 of 100 trees of this model"; may be empty
};

// Bytes on a 32-bit part. Code is what gcc 12 -Os makes of it for a Cortex-M4 without an FPU, rounded up, with the
// floating-point functions of libgcc that it calls.
struct ExportSizes {
  size_t tables = 0;  // exact
  size_t margins_code = 0;
  size_t answers_code = 0;  // on top: for probabilities; 0 where margins are the answers
  size_t stack = 0;         // of the call that takes more
  size_t caller = 0;        // a row, its margins and its answers, which the caller holds
  size_t flash() const { return tables + margins_code + answers_code; }
  size_t ram() const { return stack + caller; }
};

struct CExport {
  std::string source;  // of C
  std::string header;
  ExportSizes sizes;
};

// The same model and options give the same text. kInvalid: a name that is no identifier, a model that
// check_description() refuses. kUnsupported: a network, nearest neighbours, leaves that are lines.
Result<CExport> export_c(const PlainModel& model, const ExportOptions& options);

// The model of the first trees alone: of boosted trees the answers of an earlier round, of averaged trees (a divisor)
// the average of those. Without a self-test, which was the whole model's. kUnsupported where neither holds.
Result<PlainModel> first_trees(const PlainModel& model, size_t count);
// How many trees belong together: a boosted round has one for each output.
size_t trees_in_round(const PlainModel& model);

}  // namespace wb::engine
