#pragma once
// Budget: record bytes per day (promise B2). Bytes are reserved durably before they are sent, so a crash can waste
// budget but never spend it twice. A resend reserves again: it is on the air again.
//
// A day is 24 h of counted time. Counted is the monotonic time this machine ran; switched-off time is counted only on
// the hub's authenticated clock. The local wall clock counts for nothing: it may read 1970 or jump, and a jump would
// grant a second budget. What that costs: a node that is switched off and never reaches a hub has a longer day.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/step.h"

namespace wb::outbox {

inline constexpr uint64_t kNoBudget = UINT64_MAX;  // unlimited
inline constexpr int64_t kDayMs = 86'400'000;

class Budget {
 public:
  Budget(uint64_t bytes_per_day, Instant now) : bytes_per_day_(bytes_per_day), counted_at_(now) {}
  // nullopt if the bytes are no budget row. The caller then starts with a spent day: the safe side.
  static std::optional<Budget> decode(std::string_view bytes, uint64_t bytes_per_day, Instant now);
  std::string encode() const;

  void set_limit(uint64_t bytes_per_day) { bytes_per_day_ = bytes_per_day; }
  void set_spent(uint64_t bytes) { spent_bytes_ = bytes; }
  void count_time(Instant now);                     // call before left_bytes(); a new day starts by itself
  bool hub_time(Instant now, int64_t hub_unix_ms);  // authenticated only (T2); true: changed what is worth saving
  uint64_t left_bytes() const;
  bool reserve(uint64_t bytes);  // false: not enough left, nothing changed
  // Reserved on that day, and certainly not one byte was sent. Another day's bytes are not given back to this one.
  void refund(uint64_t bytes, uint64_t day);
  uint64_t day() const { return day_; }
  int64_t next_day_in_ms() const { return kDayMs - elapsed_ms_; }
  // True once so much time was counted that losing it in a crash would matter: the row is then worth a write.
  bool worth_saving() const { return elapsed_ms_ - saved_elapsed_ms_ >= kDayMs / 144; }
  void saved() { saved_elapsed_ms_ = elapsed_ms_; }

 private:
  void new_day();

  uint64_t bytes_per_day_;
  uint64_t spent_bytes_ = 0;
  uint64_t day_ = 0;        // counts new days since start
  int64_t elapsed_ms_ = 0;  // counted in this day, [0, kDayMs)
  int64_t saved_elapsed_ms_ = 0;
  int64_t day_hub_unix_ms_ = 0;  // hub's time at the day's start or later; 0 = not known
  Instant counted_at_;           // up to here time is counted
};

}  // namespace wb::outbox
