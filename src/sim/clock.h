#pragma once
// The virtual clock: what happens at a time, and the draws that say whether and when. Order of scheduling breaks ties,
// so a history has one order.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/prng.h"
#include "base/step.h"

namespace wb::sim {

inline constexpr int64_t kMinuteMs = 60'000;
inline constexpr int64_t kHourMs = 60 * kMinuteMs;
inline constexpr int64_t kDayMs = 24 * kHourMs;
inline constexpr int64_t kEpochMs = 1'780'000'000'000;  // what the hub's wall clock reads when a history begins

class Clock {
 public:
  void at(int64_t ns, std::function<void()> what) {
    queue_.emplace(std::make_pair(ns < now_ ? now_ : ns, order_++), std::move(what));
  }
  void in_ms(int64_t ms, std::function<void()> what) { at(now_ + ms * kNsPerMs, std::move(what)); }
  int64_t now_ns() const { return now_; }
  int64_t now_ms() const { return now_ / kNsPerMs; }
  bool run_one(int64_t until_ns) {
    if (queue_.empty() || queue_.begin()->first.first > until_ns) {
      now_ = until_ns;
      return false;
    }
    auto node = queue_.extract(queue_.begin());
    now_ = node.key().first;
    node.mapped()();
    return true;
  }

 private:
  int64_t now_ = 0;
  uint64_t order_ = 0;
  std::map<std::pair<int64_t, uint64_t>, std::function<void()>> queue_;
};

inline bool hits(Prng& prng, int64_t per_million) { return prng.chance(static_cast<uint32_t>(per_million)); }
// Evenly in [0, max_ms].
inline int64_t draw_ms(Prng& prng, int64_t max_ms) {
  return static_cast<int64_t>(prng.below(static_cast<uint64_t>(max_ms) + 1));
}
// Is it now, looked at once in `step_ms`, for something that happens every `mean_ms`? 0 = never.
inline bool is_due(Prng& prng, int64_t step_ms, int64_t mean_ms) {
  return hits(prng, mean_ms <= 0 ? 0 : std::min<int64_t>(1'000'000, 1'000'000 * step_ms / mean_ms));
}

}  // namespace wb::sim
