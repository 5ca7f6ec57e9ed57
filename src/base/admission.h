#pragma once
// Admission: what the queue in front of one worker takes in, so that an overload costs those who are served nothing.
//
// A queue that takes in all comers answers late, then too late: its clients have given up, come again, and the work is
// done for nobody. So a call is taken in only if, at the pace of late, its turn comes within the time that its class
// may wait; the rest are told at once when to come back. Classes: what steers (reported state, an operator) may wait
// longest and so is refused last; records are refused before; enrolments, which cost most, before them. `Retry-After`
// follows the overload: doubled each second in which more was refused than served, halved when little was.
//
// Pure: time comes in. One thread, or under the caller's lock.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/step.h"

namespace wb {

class Admission {
 public:
  enum class Class : uint8_t { kControl, kRecords, kEnrolment };
  struct Limits {
    size_t queue_max = 8'192;  // calls, whatever the pace
    uint32_t control_wait_ms = 4'000;
    uint32_t records_wait_ms = 2'000;
    uint32_t enrolment_wait_ms = 1'000;
  };
  static constexpr uint32_t kRetryAfterMinS = 2;
  static constexpr uint32_t kRetryAfterMaxS = 30;

  explicit Admission(const Limits& limits) : limits_(limits) {}

  // What waits already: calls that are served before this one, and calls of its class.
  struct Queue {
    size_t before = 0;
    size_t alike = 0;
  };
  // 0: take it in. Otherwise: come back after so many seconds.
  uint32_t offer(Instant now, Class kind, const Queue& queue) {
    turn(now);
    if (full(kind, queue)) {
      ++refused_;
      return retry_after_s_;
    }
    ++taken_;
    return 0;
  }
  // Would a call of this class be refused now? Nothing is counted.
  bool full(Class kind, const Queue& queue) const {
    const uint32_t wait_max_ms = kind == Class::kControl   ? limits_.control_wait_ms
                                 : kind == Class::kRecords ? limits_.records_wait_ms
                                                           : limits_.enrolment_wait_ms;
    return queue.alike >= count_max(kind) || wait_ms(queue.before) > wait_max_ms;
  }
  uint32_t retry_after_s() const { return retry_after_s_; }

  // A batch of calls took so long. A small one says little about the pace of a full queue: most of its time is the one
  // commit that it waited for.
  void served(size_t calls, int64_t took_ns) {
    if (calls < kTellingBatch) return;
    const int64_t each_ns = std::max<int64_t>(0, took_ns) / static_cast<int64_t>(calls);
    each_ns_ = each_ns_ == 0 ? each_ns : each_ns_ + (each_ns - each_ns_) / 8;
  }
  // How full the queue is for records, 0 … 1000: what the hub's grants shrink with.
  uint32_t load_permille(const Queue& records) const {
    const uint64_t by_count = records.alike * 1'000 / count_max(Class::kRecords);
    const uint64_t by_time = wait_ms(records.before) * 1'000 / std::max(1U, limits_.records_wait_ms);
    return static_cast<uint32_t>(std::min<uint64_t>(1'000, std::max(by_count, by_time)));
  }

 private:
  size_t count_max(Class kind) const {
    const size_t share = kind == Class::kControl   ? limits_.queue_max
                         : kind == Class::kRecords ? limits_.queue_max * 3 / 4
                                                   : limits_.queue_max / 32;
    return std::max<size_t>(1, share);
  }
  uint64_t wait_ms(size_t queued) const {
    return static_cast<uint64_t>(each_ns_) * queued / static_cast<uint64_t>(kNsPerMs);
  }
  void turn(Instant now) {
    if (now.ns - second_.ns < kNsPerSecond) return;
    if (refused_ > taken_)
      retry_after_s_ = std::min(retry_after_s_ * 2, kRetryAfterMaxS);
    else if (refused_ * 4 < taken_ || refused_ + taken_ == 0)
      retry_after_s_ = std::max(retry_after_s_ / 2, kRetryAfterMinS);
    second_ = now;
    refused_ = taken_ = 0;
  }

  static constexpr size_t kTellingBatch = 64;
  Limits limits_;
  int64_t each_ns_ = 0;  // of late; 0 = nothing served yet
  Instant second_{0};
  uint64_t refused_ = 0, taken_ = 0;  // in this second
  uint32_t retry_after_s_ = kRetryAfterMinS;
};

}  // namespace wb
