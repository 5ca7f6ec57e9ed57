// Small texts that people, devices and files give: durations, sizes, times, numbers, tokens, labels,
// positions. The first byte chooses. What is read and can be written again must be read back as the same.
#include <cmath>

#include "apps/agent/token.h"
#include "base/bytes.h"
#include "base/json_text.h"
#include "base/utf8.h"
#include "edge/source/source.h"
#include "fuzz/fuzz.h"
#include "hub/api/dataset.h"
#include "wire/labels.h"
#include "wire/limits.h"

namespace {

constexpr int64_t kNow = 1'700'000'000'000;

void numbers(std::string_view text) {
  if (const auto value = wb::parse_double(text); value && !std::isnan(*value))
    WB_HOLDS(wb::parse_double(wb::shortest(*value)) == *value, text);
  if (const auto value = wb::parse_int(text)) WB_HOLDS(wb::parse_int(std::to_string(*value)) == *value, text);
  for (const auto& parsed : {wb::parse_duration_ms(text), wb::parse_size_bytes(text)}) {
    WB_HOLDS(!parsed.ok() || *parsed >= 0, text);
    if (!parsed.ok()) continue;
    (void)wb::format_duration_ms(*parsed);
    (void)wb::format_size_bytes(*parsed);
  }
}

void times(std::string_view text) {
  if (const auto ms = wb::source::parse_rfc3339_ms(text))
    WB_HOLDS(*ms > -70'000'000'000'000 && *ms < 260'000'000'000'000, text);
  const auto ms = wb::hub::parse_time(text, kNow);
  if (!ms.ok()) return;
  const std::string shown = wb::hub::format_time(*ms);
  if (*ms >= -62'135'596'800'000 && *ms < 253'402'300'800'000)  // years 1 to 9999
    WB_HOLDS(wb::hub::parse_time(shown, kNow).ok() && *wb::hub::parse_time(shown, kNow) == *ms, shown);
}

void text_of(std::string_view text) {
  const auto fault = wb::utf8_fault(text);
  const std::string valid = wb::valid_text(text, 100);
  WB_HOLDS(!wb::utf8_fault(valid) && valid.size() <= 100, valid);
  if (!fault && text.size() <= 100) WB_HOLDS(valid == text, valid);
  std::string json;
  wb::append_json_text(text, json);
  WB_HOLDS(!wb::utf8_fault(json), json);
  if (const auto raw = wb::hex_decode(text); raw.ok()) WB_HOLDS(raw->size() * 2 == text.size(), text);
  WB_HOLDS(*wb::hex_decode(wb::hex_encode(text)) == text, text);
  (void)wb::source::format_by_content_type(text);
}

void tokens(std::string_view text) {
  if (const auto token = wb::agentapp::parse_token(text); token.ok())
    WB_HOLDS(!token->secret.empty() && token->pin.size() == 32, text);
}

void positions(std::string_view text) {
  using State = wb::source::FileTail::State;
  const auto state = State::decode(text);
  if (!state.ok()) return;
  WB_HOLDS(state->csv_header.size() <= wb::source::kRowBytesMax, text);
  const auto again = State::decode(state->encode());
  WB_HOLDS(again.ok() && again->encode() == state->encode(), state->encode());
}

void labels(std::string_view text) {
  wb::fuzz::Feed feed(text);
  std::map<std::string, std::string> given;
  while (!feed.empty()) {
    const std::string key(feed.text());
    given[key] = feed.text();
  }
  if (wb::wire::check_labels(given).ok()) WB_HOLDS(given.size() <= wb::limits::kLabelsMax, text);
}

void similar(std::string_view text) {
  const size_t middle = text.size() / 2;
  const std::vector<std::string> candidates = {std::string(text.substr(0, middle)), "filter", "", "select"};
  (void)wb::suggestion(text.substr(middle), candidates);
  (void)wb::split(text, ',');
  (void)wb::trim(text);
}

constexpr void (*kParsers[])(std::string_view) = {numbers, times, text_of, tokens, positions, labels, similar};

}  // namespace

WB_FUZZ_TARGET(text) {
  wb::fuzz::Feed feed(bytes);
  kParsers[feed.byte() % std::size(kParsers)](feed.rest());
}

WB_FUZZ_SEEDS(text) {
  const auto seed = [&](uint8_t parser, std::string_view text) {
    put(wb::fuzz::FeedWriter().byte(parser).rest(text).bytes());
  };
  for (const char* text : {"12", "-1.5e308", "9223372036854775807", "250ms", "7d", "16MiB", "nan", "+inf", "0x10"})
    seed(0, text);
  for (const char* text : {"2026-11-23T14:00:00Z", "2026-11-23T14:00:00.25+01:00", "2026-11-23", "7d", "1700000000000"})
    seed(1, text);
  for (const char* text :
       {"text/csv; charset=utf-8", "application/x-ndjson", "00ff", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"})
    seed(2, text);
  seed(3, "wb1-0123456789abcdef-0123456789abcdef0123456789abcdef");
  for (const char* text : {"1", "1 2049 17 4096 12\na,b\n", "1 18446744073709551615 1 18446744073709551615 0\n"})
    seed(4, text);
  seed(5, wb::fuzz::FeedWriter().text("site").text("lyon").text("x").text("").bytes());
  seed(6, "filtfiler");
}
