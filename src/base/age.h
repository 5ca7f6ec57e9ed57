#pragma once
// How long ago something was, by a clock that may jump to any value and a stamp that may be any bytes: saturating, so
// that the difference is never an overflow. Negative if the stamp lies ahead of the clock.

#include <cstdint>
#include <limits>

namespace wb {

constexpr int64_t age_ms(int64_t now_ms, int64_t then_ms) {
  int64_t age = 0;
  if (!__builtin_sub_overflow(now_ms, then_ms, &age)) return age;
  return then_ms < 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
}
static_assert(age_ms(5, 3) == 2 && age_ms(3, 5) == -2);
static_assert(age_ms(1, INT64_MIN) == INT64_MAX && age_ms(-2, INT64_MAX) == INT64_MIN);

}  // namespace wb
