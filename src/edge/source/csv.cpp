// CSV as RFC 4180 has it: a header row, cells split by commas, quotes around cells that hold commas, quotes or
// newlines, LF or CRLF. Three additions: spaces around numbers and header names are ignored, blank lines are skipped,
// and a number that is empty, NA, NaN or null is missing (`waybill fit` reads the same words so).
//
// A row without quotes (the usual case) is split in place. A row with quotes goes through a small state machine; if its
// quotes are wrong the row is a fault and reading goes on at the next newline, so an open quote cannot swallow the
// file.
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "base/bytes.h"
#include "edge/source/rows.h"

namespace wb::source {

namespace {

size_t find_newline(std::string_view bytes, size_t at) {
  const auto* found = static_cast<const char*>(std::memchr(bytes.data() + at, '\n', bytes.size() - at));
  return found == nullptr ? bytes.size() : static_cast<size_t>(found - bytes.data());
}

std::string_view without_return(std::string_view line) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

std::string_view without_spaces(std::string_view cell) {
  while (!cell.empty() && (cell.front() == ' ' || cell.front() == '\t')) cell.remove_prefix(1);
  while (!cell.empty() && (cell.back() == ' ' || cell.back() == '\t')) cell.remove_suffix(1);
  return cell;
}

// Rows::number's counterpart of a number that is well formed and does not fit: too large is refused, too small is 0.
enum class Number : uint8_t { kGood, kNotNumber, kTooLarge };
Number read_number(std::string_view cell, double& value) {
  if (cell.front() == '+' && cell.size() > 1 && cell[1] != '-') cell.remove_prefix(1);
  const auto [end, code] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (end != cell.data() + cell.size() || code == std::errc::invalid_argument) return Number::kNotNumber;
  if (code == std::errc()) return Number::kGood;
  const size_t exponent = cell.find_first_of("eE");
  const bool tiny =
      exponent != std::string_view::npos ? cell.substr(exponent + 1, 1) == "-" : cell.find_first_not_of("-0.") >= 300;
  if (!tiny) return Number::kTooLarge;
  value = cell.front() == '-' ? -0.0 : 0.0;
  return Number::kGood;
}

bool means_missing(std::string_view cell) {
  const auto is = [cell](std::string_view word) {
    return cell.size() == word.size() && std::equal(cell.begin(), cell.end(), word.begin(), [](char a, char b) {
             return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
           });
  };
  return cell.empty() || is("na") || is("nan") || is("null");
}

// A header of one cell that holds another separator: "; …" or "".
std::string other_separator(std::string_view only_name) {
  for (const char separator : {';', '\t', '|'})
    if (only_name.find(separator) != std::string_view::npos)
      return std::string("; its cells seem to be split by ") +
             (separator == '\t' ? "tabs" : std::string("'") + separator + "'") + ": split them by ','";
  return "";
}

}  // namespace

CsvReader::CsvReader(const ParserConfig& config) : refuse_extra_(config.refuse_extra) {}

void CsvReader::forget_header() {
  header_known_ = false;
  header_.clear();
  header_fault_.clear();
}

void CsvReader::set_header(std::string_view line, Rows& rows) {
  forget_header();
  if (line.empty()) return;
  size_t end = 0;
  header_fault_ = split_quoted(line, 0, kRowBytesMax, end);
  if (header_fault_.empty()) header_fault_ = map_header(rows);
  header_ = line;
  header_known_ = true;
}

void CsvReader::refuse_header(std::string reason) {
  forget_header();
  header_fault_ = std::move(reason);
  header_known_ = true;
}

void CsvReader::split_plain(std::string_view line) {
  cells_.clear();
  unquoted_count_ = 0;
  size_t at = 0;
  while (true) {
    const size_t comma = line.find(',', at);
    cells_.push_back(Cell{line.substr(at, comma == std::string_view::npos ? comma : comma - at)});
    if (comma == std::string_view::npos) return;
    at = comma + 1;
  }
}

// Splits the row that begins at `at`, may run over several lines and has its newline at `limit` at the latest. "" and
// the end (past the newline), or the reason.
std::string CsvReader::split_quoted(std::string_view bytes, size_t at, size_t limit, size_t& end) {
  cells_.clear();
  unquoted_count_ = 0;
  limit = std::min(bytes.size(), limit);
  while (true) {
    if (at < limit && bytes[at] == '"') {
      if (unquoted_count_ == unquoted_.size()) unquoted_.emplace_back();
      std::string& text = unquoted_[unquoted_count_];
      text.clear();
      ++at;
      while (true) {
        const size_t quote = bytes.substr(0, limit).find('"', at);
        if (quote == std::string_view::npos) return "a quoted cell is not closed";
        text.append(bytes.substr(at, quote - at));
        at = quote + 1;
        if (at >= limit || bytes[at] != '"') break;
        text.push_back('"');
        ++at;
      }
      cells_.push_back(Cell{{}, unquoted_count_++});
      if (at + 1 < bytes.size() && bytes[at] == '\r' && bytes[at + 1] == '\n') ++at;
      if (at < bytes.size() && bytes[at] != ',' && bytes[at] != '\n') return "text after the closing quote of a cell";
    } else {
      size_t stop = at;
      while (stop < limit && bytes[stop] != ',' && bytes[stop] != '\n' && bytes[stop] != '"') ++stop;
      if (stop < limit && bytes[stop] == '"')
        return "a quote inside a cell that does not begin with one (write \"a \"\"b\"\"\")";
      std::string_view cell = bytes.substr(at, stop - at);
      if (stop == bytes.size() || bytes[stop] == '\n') cell = without_return(cell);
      cells_.push_back(Cell{cell});
      at = stop;
    }
    const bool ends = at >= bytes.size() || bytes[at] == '\n';
    if (at > limit || (at == limit && !ends)) return "a row of more than " + std::to_string(kRowBytesMax) + " bytes";
    if (ends) return end = std::min(at + 1, bytes.size()), "";
    ++at;
  }
}

// Which cell goes to which slot; "" or what is wrong with the header.
std::string CsvReader::map_header(Rows& rows) {
  slots_.clear();
  std::vector<bool> found(rows.slots_count(), false);
  std::vector<std::string> present;
  for (const Cell& cell : cells_) {
    const std::string_view name =
        without_spaces(cell.unquoted == Cell::kInPlace ? cell.text : unquoted_[cell.unquoted]);
    present.push_back(shown(name));
    const int slot = rows.find(name);
    slots_.push_back(slot);
    if (slot < 0 && refuse_extra_)
      return "CSV header: column '" + shown(name) + "' is not in the schema" + suggestion(name, rows.names());
    if (slot < 0) continue;
    if (found[static_cast<size_t>(slot)]) return "CSV header: column '" + shown(name) + "' stands there twice";
    found[static_cast<size_t>(slot)] = true;
  }
  for (size_t i = 0; i < found.size(); ++i)
    if (!found[i]) {
      const std::string separator = cells_.size() == 1 ? other_separator(cells_[0].text) : "";
      return "CSV header: column '" + rows.slot(static_cast<int>(i)).name + "' is missing" +
             (separator.empty() ? suggestion(rows.slot(static_cast<int>(i)).name, present) : separator);
    }
  return "";
}

bool CsvReader::read_cell(Rows& rows, int slot, std::string_view cell) {
  const Slot& wanted = rows.slot(slot);
  if (wanted.type == ColumnType::kText && wanted.column >= 0) {
    return cell.empty() ? rows.missing(slot) : rows.text(slot, cell);
  }
  cell = without_spaces(cell);
  if (means_missing(cell)) return rows.missing(slot);
  double value = 0;
  switch (read_number(cell, value)) {
    case Number::kGood: return rows.number(slot, value);
    case Number::kTooLarge: return rows.fault(wanted.name, "'" + shown(cell) + "' is out of range of a number");
    case Number::kNotNumber: break;
  }
  return rows.text(slot, cell);  // an RFC 3339 event time, or the fault "expected a number"
}

void CsvReader::read_cells(Rows& rows) {
  if (!header_fault_.empty()) {
    rows.fault("", header_fault_);
    return;
  }
  if (cells_.size() != slots_.size()) {
    rows.fault("",
               std::to_string(cells_.size()) + " cells, the header has " + std::to_string(slots_.size()) + " columns");
    return;
  }
  for (size_t i = 0; i < cells_.size(); ++i) {
    if (slots_[i] < 0) continue;
    const Cell& cell = cells_[i];
    if (!read_cell(rows, slots_[i],
                   cell.unquoted == Cell::kInPlace ? cell.text : std::string_view(unquoted_[cell.unquoted])))
      return;
  }
  rows.close();
}

size_t CsvReader::read(std::string_view bytes, Part part, Rows& rows) {
  const bool whole_body = part == Part::kWhole;
  size_t begin = 0;  // of the row with a byte order mark, at: without
  size_t at = part != Part::kLater && bytes.substr(0, 3) == "\xEF\xBB\xBF" ? 3 : 0;
  const bool all_utf8 = simdjson::validate_utf8(bytes.data(), bytes.size());
  while (at < bytes.size() && rows.taken() < Batch::kRowsMax) {
    const size_t newline = find_newline(bytes, at);
    std::string_view line = without_return(bytes.substr(at, newline - at));
    size_t end = std::min(newline + 1, bytes.size());
    if (line.empty()) {
      begin = at = end;
      continue;
    }
    std::string fault;
    if (line.find('"') != std::string_view::npos) {
      fault = split_quoted(bytes, at, begin + kRowBytesMax, end);
      if (fault.empty()) line = bytes.substr(at, end - at);
    } else if (newline - begin > kRowBytesMax) {
      fault = "a row of " + std::to_string(newline - begin) + " bytes, at most " + std::to_string(kRowBytesMax);
    } else {
      split_plain(line);
    }
    if (fault.empty() && !all_utf8 && !simdjson::validate_utf8(line.data(), line.size()))
      fault = "the text is not UTF-8";
    if (!header_known_) {
      header_fault_ = fault.empty() ? map_header(rows) : "CSV header: " + fault;
      header_ = header_fault_.empty() ? bytes.substr(at, end - at) : std::string_view();
      header_known_ = true;
      if (!header_fault_.empty()) rows.body_fault(bytes.substr(at), header_fault_);
      if (!header_fault_.empty() && whole_body) return bytes.size();
    } else {
      rows.open(line);
      if (fault.empty())
        read_cells(rows);
      else
        rows.fault("", fault);
    }
    begin = at = end;
  }
  if (whole_body && !header_known_) rows.body_fault("", "the body is empty; expected a CSV header row");
  return at;
}

}  // namespace wb::source
