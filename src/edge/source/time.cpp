// RFC 3339 timestamps → Unix milliseconds, without the C library's time zones and locale.
#include "base/civil_days.h"
#include "edge/source/source.h"

namespace wb::source {

namespace {

int64_t days_in_month(int64_t year, int64_t month) {
  static constexpr int64_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? 29 : kDays[month - 1];
}

// A cursor over fixed-width digits and marks.
struct Cursor {
  std::string_view text;
  size_t at = 0;
  bool good = true;

  int64_t digits(size_t count, int64_t low, int64_t high) {
    int64_t value = 0;
    for (size_t i = 0; i < count; ++i, ++at) {
      if (at >= text.size() || text[at] < '0' || text[at] > '9') return good = false, 0;
      value = value * 10 + (text[at] - '0');
    }
    if (value < low || value > high) good = false;
    return value;
  }
  bool mark(std::string_view allowed) {
    if (at >= text.size() || allowed.find(text[at]) == std::string_view::npos) return good = false;
    ++at;
    return true;
  }
  char peek() const { return at < text.size() ? text[at] : '\0'; }
};

}  // namespace

std::optional<int64_t> parse_rfc3339_ms(std::string_view text) {
  Cursor in{text};
  const int64_t year = in.digits(4, 0, 9999);
  in.mark("-");
  const int64_t month = in.digits(2, 1, 12);
  in.mark("-");
  const int64_t day = in.digits(2, 1, 31);
  in.mark("Tt ");
  const int64_t hour = in.digits(2, 0, 23);
  in.mark(":");
  const int64_t minute = in.digits(2, 0, 59);
  in.mark(":");
  const int64_t second = in.digits(2, 0, 60);  // 60: a leap second, taken as the second after
  if (!in.good || day > days_in_month(year, month)) return std::nullopt;
  int64_t ms = 0;
  if (in.peek() == '.') {
    ++in.at;
    int64_t weight = 100;
    const size_t first = in.at;
    for (; in.peek() >= '0' && in.peek() <= '9'; ++in.at, weight /= 10) ms += weight * (in.peek() - '0');
    if (in.at == first) return std::nullopt;
  }
  int64_t offset_minutes = 0;
  const char zone = in.peek();
  if (!in.mark("Zz+-")) return std::nullopt;
  if (zone == '+' || zone == '-') {
    offset_minutes = in.digits(2, 0, 23) * 60;
    in.mark(":");
    offset_minutes += in.digits(2, 0, 59);
    if (zone == '-') offset_minutes = -offset_minutes;
  }
  if (!in.good || in.at != text.size()) return std::nullopt;
  const int64_t seconds = days_from_civil(year, month, day) * 86'400 + hour * 3'600 + minute * 60 + second;
  return (seconds - offset_minutes * 60) * 1000 + ms;
}

}  // namespace wb::source
