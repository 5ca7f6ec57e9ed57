#pragma once
// FlashPace: keeps what a node writes per day inside what its flash bears (W1). Every commit costs some pages whatever
// is in it, so a producer that waits for each record can wear a card out with a trickle of data. Commits spend from a
// bucket that fills evenly over the day. While there is something in it nobody waits; when it is empty, what producers
// bring is held for up to kHoldMs and committed together. Commits that control needs are never held, only counted.

#include <cstdint>
#include <vector>

#include "base/step.h"
#include "base/store_op.h"

namespace wb::agent {

// A producer of one batch a second gets by with half the commits.
inline constexpr int64_t kHoldMs = 1'500;
inline constexpr uint64_t kHeldBytesMax = 1U << 20;      // more than that is committed at once
inline constexpr uint64_t kFlashBurstBytes = 64U << 20;  // in the bucket at most, and at the start
inline constexpr uint64_t kFlashPercent = 80;            // of the budget: the rest is for what is not foreseen

class FlashPace {
 public:
  explicit FlashPace(uint64_t bytes_per_day)  // 0 = no limit
      : bytes_per_day_(bytes_per_day / 100 * kFlashPercent) {}
  bool is_spent(Instant now);
  void spend(Instant now, const std::vector<StoreOp>& ops);
  // What a commit of these makes the flash write: log, file and the erasing later on, in whole pages.
  static uint64_t cost_bytes(const std::vector<StoreOp>& ops);

 private:
  void refill(Instant now);

  uint64_t bytes_per_day_;
  int64_t left_bytes_ = kFlashBurstBytes;  // below 0 once control has written more than there was
  Instant filled_at_{0};
};

}  // namespace wb::agent
