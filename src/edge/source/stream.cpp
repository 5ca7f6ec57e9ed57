// Stream: cuts bytes that arrive in pieces into complete rows and gives them to the readers.
#include <cstring>
#include <utility>

#include "base/assert.h"
#include "edge/source/parser_impl.h"

namespace wb::source {

Stream::Stream(ParserConfig config) : parser_(std::move(config)) {
  WB_ASSERT(parser_.config().format != Format::kJson);  // a JSON document has no end before its last byte
}

bool Stream::pending() const { return start_ < cut_; }
uint64_t Stream::consumed_bytes() const { return consumed_; }
uint64_t Stream::rows_seen() const { return rows_; }
std::string_view Stream::csv_header() const { return parser_.impl_->csv.header(); }

void Stream::restart() { resume("", 0); }

void Stream::resume(std::string_view csv_header, uint64_t rows_before) {
  buffer_.clear();
  start_ = cut_ = scanned_ = 0;
  in_quotes_ = after_quote_ = skipping_ = false;
  consumed_ = 0;
  rows_ = rows_before;
  parser_.impl_->csv.set_header(csv_header, parser_.impl_->rows);
}

// Moves cut_ to the end of the last complete row in the buffer. For CSV a newline inside quotes ends no row; a quote
// opens a cell only at its beginning (or right after a closing quote, where it is an escaped one).
void Stream::scan() {
  if (parser_.config().format != Format::kCsv) {
    const size_t last = buffer_.rfind('\n');
    if (last != std::string::npos && last >= scanned_) cut_ = last + 1;
    scanned_ = buffer_.size();
    return;
  }
  for (; scanned_ < buffer_.size(); ++scanned_) {
    const char c = buffer_[scanned_];
    const bool escaped = std::exchange(after_quote_, false);
    if (c == '"') {
      const char before = scanned_ > start_ ? buffer_[scanned_ - 1] : '\n';
      if (in_quotes_)
        after_quote_ = true, in_quotes_ = false;
      else
        in_quotes_ = before == ',' || before == '\n' || escaped;
    } else if (c == '\n' && !in_quotes_) {
      cut_ = scanned_ + 1;
    }
  }
}

// Nothing complete is in the buffer and it is longer than a row may be.
void Stream::skip_long_line(ParseOutcome& out) {
  const size_t newline = buffer_.find('\n', start_);
  if (newline != std::string::npos) {  // CSV: an open quote; the reader says so and goes on at the next line
    cut_ = scanned_ = newline + 1;
    in_quotes_ = after_quote_ = false;
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
  in_quotes_ = after_quote_ = false;
  skipping_ = true;
}

ParseOutcome Stream::take(int64_t now_unix_ms) {
  Parser::Impl& impl = *parser_.impl_;
  const std::string_view ready = std::string_view(buffer_).substr(start_, cut_ - start_);
  impl.rows.begin(now_unix_ms, rows_, impl.guess_rows(ready));
  const bool at_start = consumed_ == 0 && rows_ == 0 && impl.csv.header().empty();
  const size_t used = impl.read(ready, at_start ? Part::kFirst : Part::kLater);
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
  in_quotes_ = after_quote_ = false;
  return take(now_unix_ms);
}

}  // namespace wb::source
