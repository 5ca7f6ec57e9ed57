// Stream: cuts bytes that arrive in pieces into complete rows and gives them to the readers.
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "edge/source/parser_impl.h"

namespace wb::source {

namespace {
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
}

Stream::Stream(ParserConfig config) : parser_(std::move(config)) {
  WB_ASSERT(parser_.config().format != Format::kJson);  // a JSON document has no end before its last byte
}

bool Stream::pending() const { return start_ < cut_; }
uint64_t Stream::consumed_bytes() const { return consumed_; }
uint64_t Stream::rows_seen() const { return rows_; }
std::string_view Stream::csv_header() const { return parser_.impl_->csv.header(); }

bool Stream::at_start() const { return consumed_ == 0 && rows_ == 0 && csv_header().empty(); }

void Stream::restart() { resume("", 0); }

void Stream::resume(std::string_view csv_header, uint64_t rows_before) {
  buffer_.clear();
  start_ = cut_ = scanned_ = 0;
  at_ = At::kCellBegin;
  skipping_ = false;
  consumed_ = 0;
  rows_ = rows_before;
  parser_.impl_->csv.set_header(csv_header, parser_.impl_->rows);
}

// Moves cut_ to the end of the last complete row in the buffer. For CSV a newline inside quotes ends no row. What is no
// row is found by the reader's own rules, and followed by what the reader takes for the next row.
void Stream::scan() {
  if (parser_.config().format != Format::kCsv) {
    const size_t last = buffer_.rfind('\n');
    if (last != std::string::npos && last >= scanned_) cut_ = last + 1;
    scanned_ = buffer_.size();
    return;
  }
  while (scanned_ < buffer_.size()) {
    const char c = buffer_[scanned_];
    const bool ends = c == '\n' && at_ != At::kQuoted;
    const bool over_long = scanned_ - cut_ >= kRowBytesMax && !ends;
    if (at_ != At::kFaulty && (over_long || !allowed(at_, c))) {
      fault();
      continue;
    }
    at_ = after(at_, c);
    ++scanned_;
    if (ends) cut_ = scanned_;
    if (scanned_ == kByteOrderMark.size() && cut_ == 0 && at_start() && buffer_.starts_with(kByteOrderMark))
      at_ = At::kCellBegin;
  }
}

bool Stream::allowed(At at, char c) {
  if (at == At::kPlain) return c != '"';
  if (at == At::kReturn) return c == '\n';
  return at != At::kClosed || c == '"' || c == ',' || c == '\n' || c == '\r';
}

Stream::At Stream::after(At at, char c) {
  if (at == At::kQuoted) return c == '"' ? At::kClosed : at;
  if (c == '\n') return At::kCellBegin;
  if (at == At::kFaulty) return at;
  if (c == '"') return At::kQuoted;  // at the beginning of a cell, or the second of an escaped one
  if (c == ',') return At::kCellBegin;
  return at == At::kClosed ? At::kReturn : At::kPlain;
}

// The reader goes on at the first newline of what is no row, which may lie behind us, inside quotes.
void Stream::fault() {
  const size_t newline = buffer_.find('\n', cut_);
  at_ = At::kFaulty;
  if (newline >= scanned_) return;
  cut_ = scanned_ = newline + 1;
  at_ = At::kCellBegin;
}

// Nothing complete is in the buffer and it is longer than a row may be.
void Stream::skip_long_line(ParseOutcome& out) {
  const size_t newline = buffer_.find('\n', start_);
  if (newline != std::string::npos) {  // CSV: an open quote; the reader says so and goes on at the next line
    cut_ = scanned_ = newline + 1;
    at_ = At::kCellBegin;
    return;
  }
  std::string where = "CSV header";
  CsvReader& csv = parser_.impl_->csv;
  const bool is_header = parser_.config().format == Format::kCsv && !csv.header_known();
  if (!is_header) where = "row " + std::to_string(++rows_);
  ++out.faults_count;
  out.faults.push_back(
      RowFault{is_header ? 0 : rows_, "",
               where + ": no newline after " + std::to_string(kRowBytesMax) + " bytes; skipped up to the next one",
               buffer_.substr(start_, kRawBytesMax)});
  if (is_header) csv.refuse_header(out.faults.back().text);
  consumed_ += buffer_.size() - start_;
  buffer_.clear();
  start_ = cut_ = scanned_ = 0;
  at_ = At::kCellBegin;
  skipping_ = true;
}

ParseOutcome Stream::take(int64_t now_unix_ms) {
  Parser::Impl& impl = *parser_.impl_;
  const std::string_view ready = std::string_view(buffer_).substr(start_, cut_ - start_);
  impl.rows.begin(now_unix_ms, rows_, impl.guess_rows(ready));
  const size_t used = impl.read(ready, at_start() ? Part::kFirst : Part::kLater);
  rows_ += impl.rows.taken();
  start_ += used;
  consumed_ += used;
  return impl.rows.finish();
}

ParseOutcome Stream::feed(std::string_view bytes, int64_t now_unix_ms) {
  WB_ASSERT(bytes.size() <= kBodyBytesMax && (bytes.empty() || !pending()));
  if (start_ > 0) {
    buffer_.erase(0, start_);
    cut_ -= start_;
    scanned_ -= start_;
    start_ = 0;
  }
  if (skipping_) {
    const size_t newline = bytes.find('\n');
    const size_t dropped = newline == std::string_view::npos ? bytes.size() : newline + 1;
    consumed_ += dropped;
    bytes.remove_prefix(dropped);
    skipping_ = newline == std::string_view::npos;
  }
  buffer_.append(bytes);
  scan();
  ParseOutcome skipped;
  if (!pending() && buffer_.size() > kRowBytesMax) skip_long_line(skipped);
  ParseOutcome out = take(now_unix_ms);
  for (RowFault& fault : skipped.faults) out.faults.push_back(std::move(fault));
  out.faults_count += skipped.faults_count;
  return out;
}

ParseOutcome Stream::finish(int64_t now_unix_ms) {
  cut_ = scanned_ = buffer_.size();
  at_ = At::kCellBegin;
  return take(now_unix_ms);
}

}  // namespace wb::source
