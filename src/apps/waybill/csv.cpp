// One pass over the text; cells are views into it, so a table costs 16 bytes a cell beside the file itself.
#include "apps/waybill/csv.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "base/bytes.h"

namespace wb::cli {

class CsvParser {
 public:
  CsvParser(CsvTable& table, std::string_view text) : table_(table), text_(text) {}

  Status run() {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;  // what spreadsheets put in front
    std::vector<std::string_view> row;
    // Rows are counted as a source counts them: from the first one below the header, without the blank lines.
    for (size_t number = 0; at_ < text_.size();) {
      row.clear();
      WB_CHECK(read_row(number, row));
      if (row.size() == 1 && row[0].empty()) continue;  // a blank line
      ++number;
      if (table_.header_.empty()) {
        WB_CHECK(take_header(row));
        continue;
      }
      if (row.size() != table_.header_.size()) {
        return fail(Code::kInvalid, table_.name_, ": row ", std::to_string(number - 1), " has ",
                    std::to_string(row.size()), " cells, the header has ", std::to_string(table_.header_.size()));
      }
      table_.cells_.insert(table_.cells_.end(), row.begin(), row.end());
    }
    if (table_.header_.empty())
      return fail(Code::kInvalid, table_.name_, ": the file is empty; the first row must name the columns");
    return ok_status();
  }

 private:
  Status take_header(const std::vector<std::string_view>& row) {
    if (row.size() > CsvTable::kColumnsMax) {
      return fail(Code::kInvalid, table_.name_, ": more than ", std::to_string(CsvTable::kColumnsMax), " columns");
    }
    for (const std::string_view cell : row) {
      const std::string name(trim(cell));
      const std::string where = table_.name_ + ": header, column " + std::to_string(table_.header_.size() + 1);
      if (name.empty()) return fail(Code::kInvalid, where, ": the name is empty; the first row must name the columns");
      if (table_.column(name)) return fail(Code::kInvalid, where, ": the name '", name, "' stands twice");
      table_.header_.push_back(name);
    }
    return ok_status();
  }

  // Reads to the end of the row and past its line end.
  Status read_row(size_t number, std::vector<std::string_view>& row) {
    while (true) {
      if (at_ < text_.size() && text_[at_] == '"') {
        WB_CHECK(read_quoted(number, row));
      } else {
        const size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
        row.push_back(text_.substr(at_, end - at_));
        at_ = end;
      }
      if (row.size() > CsvTable::kColumnsMax)
        return fail(Code::kInvalid, table_.name_, ": row ", std::to_string(number), " has too many cells");
      if (at_ >= text_.size()) return ok_status();
      const char stop = text_[at_++];
      if (stop == ',') continue;
      if (stop == '\r' && at_ < text_.size() && text_[at_] == '\n') ++at_;
      return ok_status();
    }
  }

  Status read_quoted(size_t number, std::vector<std::string_view>& row) {
    const size_t begin = ++at_;
    std::string unquoted;
    size_t copied = begin;
    bool doubled = false;
    while (true) {
      const size_t quote = text_.find('"', at_);
      if (quote == std::string_view::npos) {
        return fail(Code::kInvalid, table_.name_, ": row ", std::to_string(number), ", cell ",
                    std::to_string(row.size() + 1), ": the quote is never closed");
      }
      at_ = quote + 1;
      if (at_ >= text_.size() || text_[at_] != '"') {
        if (doubled) {
          unquoted.append(text_.substr(copied, quote - copied));
          table_.storage_.push_back(std::move(unquoted));
        }
        row.push_back(doubled ? std::string_view(table_.storage_.back()) : text_.substr(begin, quote - begin));
        break;
      }
      doubled = true;
      unquoted.append(text_.substr(copied, at_ - copied));
      copied = ++at_;
    }
    if (at_ < text_.size() && std::string_view(",\r\n").find(text_[at_]) == std::string_view::npos) {
      return fail(Code::kInvalid, table_.name_, ": row ", std::to_string(number), ", cell ", std::to_string(row.size()),
                  ": text after the closing quote; double a quote that belongs to the cell");
    }
    return ok_status();
  }

  CsvTable& table_;
  std::string_view text_;
  size_t at_ = 0;
};

Result<CsvTable> CsvTable::parse(std::string text, std::string name) {
  CsvTable table;
  table.name_ = std::move(name);
  table.storage_.push_back(std::move(text));  // a deque never moves what it holds, also when itself is moved
  WB_CHECK(CsvParser(table, table.storage_.front()).run());
  return table;
}

Result<CsvTable> CsvTable::read(const std::string& path) {
  WB_TRY(std::string text, read_file(path, kFileBytesMax));
  return parse(std::move(text), path);
}

std::optional<size_t> CsvTable::column(std::string_view name) const {
  const auto found = std::find(header_.begin(), header_.end(), name);
  if (found == header_.end()) return std::nullopt;
  return static_cast<size_t>(found - header_.begin());
}

std::string CsvTable::place(size_t row, size_t column) const {
  return name_ + ": row " + std::to_string(row + 1) + ", column '" + header_[column] + "'";
}

Result<std::vector<double>> CsvTable::doubles(size_t column) const {
  std::vector<double> values;
  values.reserve(rows_count());
  for (size_t row = 0; row < rows_count(); ++row) {
    const std::string_view text = trim(cell(row, column));
    const bool missing = is_missing_cell(text);
    const std::optional<double> value = missing ? std::numeric_limits<double>::quiet_NaN() : parse_double(text);
    if (!value) return fail(Code::kInvalid, place(row, column), ": '", text.substr(0, 40), "' is not a number");
    values.push_back(*value);
  }
  return values;
}

Result<std::vector<float>> CsvTable::numbers(size_t column) const {
  WB_TRY(const std::vector<double> wide, doubles(column));
  std::vector<float> values;
  values.reserve(wide.size());
  for (size_t row = 0; row < wide.size(); ++row) {
    const auto narrow = static_cast<float>(wide[row]);
    if (std::isinf(narrow)) {
      return fail(Code::kInvalid, place(row, column), ": '", trim(cell(row, column)).substr(0, 40),
                  "' is not a finite 32-bit float; leave the cell empty if it is missing");
    }
    values.push_back(narrow);
  }
  return values;
}

bool is_missing_cell(std::string_view cell) {
  const std::string_view text = trim(cell);
  if (text.empty()) return true;
  if (text.size() > 4) return false;
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return lower == "na" || lower == "nan" || lower == "null";
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + '"';
}

Result<std::string> read_file(const std::string& path, size_t bytes_max) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return fail(Code::kNotFound, path, ": ", std::strerror(errno));
  std::string bytes;
  std::vector<char> block(size_t{1} << 20);
  for (size_t got = 0; (got = std::fread(block.data(), 1, block.size(), file)) > 0;) {
    bytes.append(block.data(), got);
    if (bytes.size() > bytes_max) break;
  }
  const bool failed = std::ferror(file) != 0;
  const int reason = errno;
  std::fclose(file);
  if (failed) return fail(Code::kUnavailable, path, ": ", std::strerror(reason));
  if (bytes.size() > bytes_max)
    return fail(Code::kInvalid, path, ": larger than ", format_size_bytes(static_cast<int64_t>(bytes_max)));
  return bytes;
}

Status write_file(const std::string& path, std::string_view bytes) {
  const std::string beside = path + ".part";
  std::FILE* file = std::fopen(beside.c_str(), "wb");
  if (file == nullptr) return fail(Code::kUnavailable, beside, ": ", std::strerror(errno));
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  const bool closed = std::fclose(file) == 0;
  if (!written || !closed || std::rename(beside.c_str(), path.c_str()) != 0) {
    const Error error = fail(Code::kUnavailable, path, ": ", std::strerror(errno));
    std::remove(beside.c_str());
    return error;
  }
  return ok_status();
}

}  // namespace wb::cli
