#pragma once
// CSV (RFC 4180) for the command line: a header row, then cells. Every complaint names file, row and column. Rows are
// counted as an editor counts lines when no quoted cell spans lines: the header is row 1.

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wb::cli {

class CsvTable {
 public:
  static constexpr size_t kColumnsMax = 4'096;
  static constexpr size_t kFileBytesMax = size_t{4} << 30;

  static Result<CsvTable> read(const std::string& path);
  // `name` stands for the file in errors.
  static Result<CsvTable> parse(std::string text, std::string name);

  const std::string& name() const { return name_; }
  const std::vector<std::string>& header() const { return header_; }
  size_t rows_count() const { return header_.empty() ? 0 : cells_.size() / header_.size(); }
  std::optional<size_t> column(std::string_view name) const;
  std::string_view cell(size_t row, size_t column) const { return cells_[row * header_.size() + column]; }
  // The column as f32, NaN where a cell is empty or says NA, NaN or null. Refuses text, infinities and what overflows
  // f32.
  Result<std::vector<float>> numbers(size_t column) const;
  // The column as f64, NaN where a cell is missing; infinities may be written out ("inf", "-inf").
  Result<std::vector<double>> doubles(size_t column) const;
  // "data.csv: row 3, column 's1'": the place of a cell for a person.
  std::string place(size_t row, size_t column) const;

 private:
  friend class CsvParser;
  std::string name_;
  std::deque<std::string> storage_;  // the text, and cells that had doubled quotes; cells_ points into it
  std::vector<std::string> header_;
  std::vector<std::string_view> cells_;  // row-major
};

// A cell that says "no value here": empty, NA, NaN or null, in any case.
bool is_missing_cell(std::string_view cell);
// One field as CSV wants it: quoted if it holds a comma, quote or line end.
std::string csv_field(std::string_view text);

// Whole files, for models and reports. Errors say the path and what the system said.
Result<std::string> read_file(const std::string& path, size_t bytes_max);
// Written beside, then renamed: a reader sees the old file or the new one.
Status write_file(const std::string& path, std::string_view bytes);

}  // namespace wb::cli
