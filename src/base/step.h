#pragma once
// The contract of every machine in the pure core. A machine takes one event and returns effects; world/ performs them
// for real, sim/ performs them on a virtual clock. Neither decides anything.
//
// 1. Inputs are everything: event, moment, and the Prng given at birth. Same inputs, same outputs, on every compiler.
// 2. Completions come in order: Stored{n} says that all tickets up to n are durable. A crash leaves a prefix.
// 3. What must be durable before it is said is sent only after its Stored.
// 4. One timer per machine; each step replaces it; a wake may be late or spurious.
// 5. A send may be lost, doubled, reordered or late. Nothing else may.
// 6. Every container in a core has a named maximum; reaching it is an outcome with a name, counted in the View.
// 7. Recovery is construction. There is no second start-up path.
// 8. Cores decide in integers; floats live in the data plane and the engine. No iteration over unordered containers,
//    no std distributions, no two draws in one expression.

#include <cstdint>
#include <limits>
#include <vector>

namespace wb {

// Monotonic nanoseconds since this boot. Means nothing after a reboot.
struct Instant {
  int64_t ns = 0;
  friend auto operator<=>(const Instant&, const Instant&) = default;
};

inline constexpr Instant kNever{std::numeric_limits<int64_t>::max()};
inline constexpr int64_t kNsPerMs = 1'000'000;
inline constexpr int64_t kNsPerSecond = 1'000'000'000;

// Saturating, so that "now + a hostile duration" is kNever and not the past.
constexpr Instant after_ms(Instant from, int64_t ms) {
  if (ms >= (kNever.ns - from.ns) / kNsPerMs) return kNever;
  return Instant{from.ns + ms * kNsPerMs};
}
constexpr Instant earlier(Instant a, Instant b) { return a < b ? a : b; }

// unix_ms may jump or read 1970: it stamps records, it never drives a timer (promise T1, T3).
struct Moment {
  Instant mono;
  int64_t unix_ms = 0;
};

template <class Effect>
struct Step {
  std::vector<Effect> effects;
  Instant wake_at = kNever;
};

}  // namespace wb
