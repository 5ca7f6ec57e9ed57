#pragma once
// Days since 1970-01-01 of a date in the proleptic Gregorian calendar, without the C library's time zones and locale
// (H. Hinnant, "chrono-compatible low-level date algorithms").

#include <cstdint>

namespace wb {

inline constexpr int64_t days_from_civil(int64_t year, int64_t month, int64_t day) {
  year -= month <= 2 ? 1 : 0;
  const int64_t era = (year >= 0 ? year : year - 399) / 400;
  const int64_t year_of_era = year - era * 400;
  const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

}  // namespace wb
