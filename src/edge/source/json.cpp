// JSON rows through simdjson's DOM, one row at a time.
//
// A body is never parsed as one document: an array is cut into its elements by bracket depth, NDJSON by lines, and each
// row is parsed alone. So a broken row costs only itself, and memory is bounded by the longest row and not by the body.
// Rows are read in place where simdjson may read a little past their end, and copied only at the end of the buffer.
#include <simdjson.h>

#include <cstring>

#include "base/assert.h"
#include "base/bytes.h"
#include "edge/source/rows.h"

namespace wb::source {

struct JsonReader::Dom {
  simdjson::dom::parser parser;
};

namespace {

using simdjson::dom::element_type;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::string_view without_bom(std::string_view bytes) {
  return bytes.substr(0, 3) == "\xEF\xBB\xBF" ? bytes.substr(3) : bytes;
}

// Which field's number simdjson refused; "" if that cannot be told. Only asked after a fault, so it may be slow.
std::string_view field_of_bad_number(std::string_view row) {
  std::string_view key;
  for (size_t i = 0; i < row.size(); ++i) {
    if (row[i] == '"') {
      const size_t begin = ++i;
      while (i < row.size() && row[i] != '"') i += row[i] == '\\' ? 2 : 1;
      if (i >= row.size()) return {};
      size_t next = i + 1;
      while (next < row.size() && is_space(row[next])) ++next;
      if (next < row.size() && row[next] == ':') key = row.substr(begin, i - begin);
    } else if ((row[i] >= '0' && row[i] <= '9') || row[i] == '-' || row[i] == '+' || row[i] == '.') {
      const size_t begin = i;
      while (i < row.size() && !is_space(row[i]) && std::strchr(",]}", row[i]) == nullptr) ++i;
      const std::string_view token = row.substr(begin, i - begin);
      const size_t digits = token.front() == '-' ? 1 : 0;
      const bool leading_zero =
          token.size() > digits + 1 && token[digits] == '0' && token[digits + 1] >= '0' && token[digits + 1] <= '9';
      const bool integer = token.find_first_of(".eE") == std::string_view::npos;
      if (!parse_double(token) || leading_zero || (integer && token.size() > 19)) return key;
    }
  }
  return {};
}

std::string reason_of(simdjson::error_code code) {
  switch (code) {
    case simdjson::NUMBER_ERROR: return "a number is malformed or out of range";
    case simdjson::DEPTH_ERROR: return "nested deeper than " + std::to_string(kJsonDepthMax);
    case simdjson::UTF8_ERROR: return "the text is not UTF-8";
    case simdjson::UNCLOSED_STRING: return "not valid JSON: a text is not closed by a quote";
    case simdjson::UNESCAPED_CHARS: return "not valid JSON: a control character inside a text";
    case simdjson::STRING_ERROR: return "not valid JSON: a malformed text or escape";
    case simdjson::T_ATOM_ERROR:
    case simdjson::F_ATOM_ERROR:
    case simdjson::N_ATOM_ERROR: return "not valid JSON: a word that is not true, false or null";
    case simdjson::EMPTY: return "is empty";
    default: return "not valid JSON: expected {\"name\": value, …}";
  }
}

bool read_value(Rows& rows, int slot, simdjson::dom::element value) {
  switch (value.type()) {
    case element_type::DOUBLE: return rows.number(slot, value.get_double().value_unsafe());
    case element_type::INT64: return rows.number(slot, static_cast<double>(value.get_int64().value_unsafe()));
    case element_type::UINT64: return rows.number(slot, static_cast<double>(value.get_uint64().value_unsafe()));
    case element_type::STRING: return rows.text(slot, value.get_string().value_unsafe());
    case element_type::NULL_VALUE: return rows.missing(slot);
    default: break;
  }
  std::string got = "an object";
  if (value.type() == element_type::BOOL) got = value.get_bool().value_unsafe() ? "true" : "false";
  if (value.type() == element_type::ARRAY) got = "an array";
  const Slot& wanted = rows.slot(slot);
  const bool number = wanted.type == ColumnType::kNumber;
  return rows.fault(wanted.name, std::string(wanted.time ? "expected a time"
                                             : number    ? "expected a number"
                                                         : "expected text") +
                                     ", got " + got);
}

}  // namespace

JsonReader::JsonReader(const ParserConfig& config) : dom_(std::make_unique<Dom>()), refuse_extra_(config.refuse_extra) {
  // Room for ordinary rows; simdjson grows it to the longest row seen, at most kRowBytesMax.
  const auto code = dom_->parser.allocate(4096, kJsonDepthMax);
  WB_ASSERT(code == simdjson::SUCCESS);
}
JsonReader::~JsonReader() = default;

static void refuse_long_row(std::string_view row, Rows& rows) {
  rows.open(row);
  rows.fault("", "a row of " + std::to_string(row.size()) + " bytes, at most " + std::to_string(kRowBytesMax));
}

void JsonReader::read_row(std::string_view row, const char* readable_end, Rows& rows) {
  if (row.size() > kRowBytesMax) {
    refuse_long_row(row, rows);
    return;
  }
  rows.open(row);
  if (static_cast<size_t>(readable_end - (row.data() + row.size())) < simdjson::SIMDJSON_PADDING) {
    scratch_.assign(row);
    scratch_.append(simdjson::SIMDJSON_PADDING, '\0');
    row = std::string_view(scratch_.data(), row.size());
    // The fault's raw text is taken from the caller's bytes, which stay as they are.
  }
  simdjson::dom::element root;
  if (const auto code = dom_->parser.parse(row.data(), row.size(), false).get(root)) {
    rows.fault(code == simdjson::NUMBER_ERROR ? field_of_bad_number(row) : std::string_view(), reason_of(code));
    return;
  }
  simdjson::dom::object object;
  if (root.get_object().get(object)) {
    rows.fault("", "expected an object {\"name\": value, …}");
    return;
  }
  size_t place = 0;
  for (const auto& [key, value] : object) {
    if (place == order_.size()) order_.push_back(-1);
    int slot = order_[place];
    if (slot < 0 || rows.slot(slot).name != key) slot = order_[place] = rows.find(key);
    ++place;
    if (slot < 0) {
      if (!refuse_extra_) continue;
      rows.unknown_field(key);
      return;
    }
    if (rows.given(slot)) {
      rows.fault(key, "is given twice");
      return;
    }
    if (!read_value(rows, slot, value)) return;
  }
  rows.close();
}

size_t JsonReader::read_lines(std::string_view bytes, Part part, Rows& rows) {
  const char* end = bytes.data() + bytes.size();
  size_t begin = 0;  // of the line with a byte order mark, at: without
  size_t at = part == Part::kLater ? 0 : bytes.size() - without_bom(bytes).size();
  while (at < bytes.size() && rows.taken() < Batch::kRowsMax) {
    const auto* newline = static_cast<const char*>(std::memchr(bytes.data() + at, '\n', bytes.size() - at));
    const size_t stop = newline == nullptr ? bytes.size() : static_cast<size_t>(newline - bytes.data());
    const std::string_view line = trim(bytes.substr(at, stop - at));
    if (stop - begin > kRowBytesMax)
      refuse_long_row(bytes.substr(begin, stop - begin), rows);
    else if (!line.empty())
      read_row(line, end, rows);
    begin = at = newline == nullptr ? stop : stop + 1;
  }
  return at;
}

size_t JsonReader::read_document(std::string_view bytes, Rows& rows) {
  size_t at = bytes.size() - without_bom(bytes).size();
  while (at < bytes.size() && is_space(bytes[at])) ++at;
  if (at < bytes.size() && bytes[at] == '[') return read_array(bytes, at + 1, rows);
  const std::string_view body = trim(bytes.substr(at));
  if (body.empty())
    rows.body_fault("", "the body is empty; expected a JSON object or an array of objects");
  else if (body.front() != '{')
    rows.body_fault(body, "expected a JSON object or an array of objects, got \"" + shown(body) + "\"");
  else
    read_row(body, bytes.data() + bytes.size(), rows);
  return bytes.size();
}

// Past one value that begins at `at`: by brackets outside of texts, or up to the next ',' or ']'. npos: it does not
// end.
static size_t value_end(std::string_view bytes, size_t at) {
  size_t depth = 0;
  bool text = false;
  for (size_t i = at; i < bytes.size(); ++i) {
    const char c = bytes[i];
    if (text) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        text = false;
      continue;
    }
    if (c == '"')
      text = true;
    else if (c == '{' || c == '[')
      ++depth;
    else if (c == '}' || c == ']') {
      if (depth == 0) return i;
      if (--depth == 0) return i + 1;
    } else if (c == ',' && depth == 0)
      return i;
  }
  return std::string_view::npos;
}

size_t JsonReader::read_array(std::string_view bytes, size_t at, Rows& rows) {
  const char* end = bytes.data() + bytes.size();
  const auto skip_space = [&] {
    while (at < bytes.size() && is_space(bytes[at])) ++at;
  };
  skip_space();
  bool closed = at < bytes.size() && bytes[at] == ']';
  if (closed) ++at;
  while (!closed && rows.taken() < Batch::kRowsMax) {
    skip_space();
    const size_t stop = at < bytes.size() ? value_end(bytes, at) : std::string_view::npos;
    if (stop == std::string_view::npos) {
      rows.open(bytes.substr(std::min(at, bytes.size())));
      rows.fault("", "the array ends in the middle of this row: a bracket or quote is not closed");
      return bytes.size();
    }
    read_row(trim(bytes.substr(at, stop - at)), end, rows);
    at = stop;
    skip_space();
    closed = at < bytes.size() && bytes[at] == ']';
    if (at < bytes.size() && (closed || bytes[at] == ',')) {
      ++at;
      continue;
    }
    rows.body_fault(bytes.substr(at),
                    "expected ',' or ']' after row " + std::to_string(rows.taken()) + "; the rest was not read");
    return bytes.size();
  }
  if (!closed) return at;
  skip_space();
  if (at < bytes.size())
    rows.body_fault(bytes.substr(at), "there is text after the closing ']': \"" + shown(bytes.substr(at)) + "\"");
  return bytes.size();
}

}  // namespace wb::source
