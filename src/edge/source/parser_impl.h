#pragma once
// What stands behind Parser; Stream drives the same readers over pieces.

#include "edge/source/rows.h"

namespace wb::source {

struct Parser::Impl {
  explicit Impl(ParserConfig given);
  // Reads rows from the front of `bytes`; how many bytes that were.
  size_t read(std::string_view bytes, Part part);
  size_t guess_rows(std::string_view bytes) const;

  ParserConfig config;
  Rows rows;
  JsonReader json;
  CsvReader csv;
};

}  // namespace wb::source
