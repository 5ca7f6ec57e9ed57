#include "edge/source/rows.h"

#include <simdjson.h>

#include <cmath>
#include <limits>

#include "base/bytes.h"

namespace wb::source {

namespace {
constexpr size_t kShownBytesMax = 60;
constexpr double kTimeMsMax = 253'402'300'799'999.0;  // the end of year 9999, as in RFC 3339

std::string number_text(double value) { return shortest(value); }
}  // namespace

std::string shown(std::string_view text) {
  const bool cut = text.size() > kShownBytesMax;
  std::string out(text.substr(0, kShownBytesMax));
  // A cut may stand inside a UTF-8 sequence: take its bytes away.
  if (cut) {
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xC0U) == 0x80U) out.pop_back();
    if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xC0U) out.pop_back();
  }
  const bool valid = simdjson::validate_utf8(out.data(), out.size());
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && !valid)) c = '?';
  }
  if (cut) out += "…";
  return out;
}

Rows::Rows(const ParserConfig& config) : config_(config) {
  for (size_t i = 0; i < config.schema.fields.size(); ++i) {
    const FieldDef& field = config.schema.fields[i];
    slots_.push_back(Slot{field.name, static_cast<int>(i), field.type, field.name == config.event_time});
  }
  if (!config.event_time.empty() && config.schema.index_of(config.event_time) < 0)
    slots_.push_back(Slot{config.event_time, -1, ColumnType::kNumber, true});
  for (size_t i = 0; i < slots_.size(); ++i) {
    names_.push_back(slots_[i].name);
    by_name_.emplace(slots_[i].name, static_cast<int>(i));
  }
  seen_.assign(slots_.size(), 0);
  numbers_.assign(config.schema.fields.size(), 0);
  texts_.assign(config.schema.fields.size(), {});
}

void Rows::begin(int64_t now_unix_ms, uint64_t rows_before, size_t rows_guess) {
  out_ = ParseOutcome{};
  out_.batch = Batch::with_schema(config_.schema);
  now_ms_ = now_unix_ms;
  row_ = rows_before;
  taken_ = 0;
  const size_t reserve = std::min(rows_guess, Batch::kRowsMax);
  for (Column& column : out_.batch.columns) {
    if (column.type == ColumnType::kNumber)
      column.numbers.reserve(reserve);
    else
      column.texts.reserve(reserve);
  }
  out_.batch.event_time_ms.reserve(reserve);
}

int Rows::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? -1 : found->second;
}

void Rows::open(std::string_view raw) {
  raw_ = raw;
  ++row_;
  ++taken_;
  ++stamp_;
  given_count_ = 0;
  time_ms_ = now_ms_;
}

void Rows::mark(int slot) {
  seen_[static_cast<size_t>(slot)] = stamp_;
  ++given_count_;
}

bool Rows::number(int slot, double value) {
  const Slot& wanted = slots_[static_cast<size_t>(slot)];
  mark(slot);
  if (wanted.time) {
    if (!(value >= 0 && value <= kTimeMsMax))
      return fault(wanted.name,
                   "expected the event time in Unix milliseconds up to year 9999, got " + number_text(value));
    time_ms_ = static_cast<int64_t>(value);
  }
  if (wanted.column < 0) return true;
  if (wanted.type != ColumnType::kNumber)
    return fault(wanted.name, "expected text, got the number " + number_text(value));
  numbers_[static_cast<size_t>(wanted.column)] = value;
  return true;
}

bool Rows::text(int slot, std::string_view value) {
  const Slot& wanted = slots_[static_cast<size_t>(slot)];
  mark(slot);
  if (wanted.time) {
    const auto time = parse_rfc3339_ms(value);
    if (!time || *time < 0)
      return fault(wanted.name,
                   "expected the event time as RFC 3339 text or Unix milliseconds, got \"" + shown(value) + "\"");
    time_ms_ = *time;
  }
  if (wanted.column < 0) return true;
  if (wanted.type != ColumnType::kText) return fault(wanted.name, "expected a number, got \"" + shown(value) + "\"");
  if (value.size() > kTextBytesMax)
    return fault(wanted.name,
                 "text of " + std::to_string(value.size()) + " bytes, at most " + std::to_string(kTextBytesMax));
  texts_[static_cast<size_t>(wanted.column)] = value;
  return true;
}

bool Rows::missing(int slot) {
  const Slot& wanted = slots_[static_cast<size_t>(slot)];
  mark(slot);
  if (wanted.time) return fault(wanted.name, "the event time is empty");
  if (wanted.type == ColumnType::kNumber)
    numbers_[static_cast<size_t>(wanted.column)] = std::numeric_limits<double>::quiet_NaN();
  else
    texts_[static_cast<size_t>(wanted.column)] = {};
  return true;
}

bool Rows::close() {
  if (given_count_ != slots_.size()) {
    for (size_t i = 0; i < slots_.size(); ++i)
      if (seen_[i] != stamp_) return fault(slots_[i].name, "is missing");
  }
  for (size_t i = 0; i < numbers_.size(); ++i) {
    Column& column = out_.batch.columns[i];
    if (column.type == ColumnType::kNumber)
      column.numbers.push_back(numbers_[i]);
    else
      column.texts.emplace_back(texts_[i]);
  }
  out_.batch.event_time_ms.push_back(time_ms_);
  return true;
}

void Rows::add_fault(RowFault fault) {
  ++out_.faults_count;
  if (out_.faults.size() < kFaultsMax) out_.faults.push_back(std::move(fault));
}

bool Rows::fault(std::string_view field, std::string_view reason) {
  std::string text = "row " + std::to_string(row_) + ": ";
  if (!field.empty()) text += "field '" + shown(field) + "': ";
  text += reason;
  add_fault(RowFault{row_, field.size() <= Schema::kNameBytesMax ? std::string(field) : shown(field), std::move(text),
                     std::string(raw_.substr(0, kRawBytesMax))});
  return false;
}

void Rows::body_fault(std::string_view raw, std::string_view reason) {
  add_fault(RowFault{0, "", std::string(reason), std::string(raw.substr(0, kRawBytesMax))});
}

void Rows::refuse(std::string_view raw, std::string_view reason) {
  begin(now_ms_, row_ - taken_, 0);
  body_fault(raw, reason);
}

bool Rows::unknown_field(std::string_view name) {
  return fault(name, "is not in the schema" + suggestion(name, names_));
}

}  // namespace wb::source
