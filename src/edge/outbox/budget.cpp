#include "edge/outbox/budget.h"

#include <algorithm>

#include "base/bytes.h"

namespace wb::outbox {
namespace {

constexpr uint8_t kVersion = 1;  // persisted (since 0.1)
constexpr size_t kRowBytes = 25;

}  // namespace

std::string Budget::encode() const {
  std::string out(1, static_cast<char>(kVersion));
  append_u64_be(out, spent_bytes_);
  append_u64_be(out, static_cast<uint64_t>(elapsed_ms_));
  append_u64_be(out, static_cast<uint64_t>(day_hub_unix_ms_));
  return out;
}

std::optional<Budget> Budget::decode(std::string_view bytes, uint64_t bytes_per_day, Instant now) {
  if (bytes.size() != kRowBytes || static_cast<uint8_t>(bytes[0]) != kVersion) return std::nullopt;
  Budget out(bytes_per_day, now);
  out.spent_bytes_ = read_u64_be(bytes.substr(1));
  out.elapsed_ms_ = static_cast<int64_t>(read_u64_be(bytes.substr(9)));
  out.day_hub_unix_ms_ = static_cast<int64_t>(read_u64_be(bytes.substr(17)));
  if (out.elapsed_ms_ < 0 || out.elapsed_ms_ >= kDayMs || out.day_hub_unix_ms_ < 0) return std::nullopt;
  out.saved_elapsed_ms_ = out.elapsed_ms_;
  return out;
}

void Budget::new_day() {
  spent_bytes_ = 0;
  ++day_;
  elapsed_ms_ = 0;
  saved_elapsed_ms_ = 0;
  day_hub_unix_ms_ = 0;  // learnt again at the next contact: later than the true start, so the day is never too short
}

void Budget::count_time(Instant now) {
  if (now <= counted_at_) return;
  const int64_t passed_ms = (now.ns - counted_at_.ns) / kNsPerMs;
  counted_at_.ns += passed_ms * kNsPerMs;  // the rest of the millisecond counts next time
  if (passed_ms >= kDayMs - elapsed_ms_) {
    new_day();
  } else {
    elapsed_ms_ += passed_ms;
  }
}

bool Budget::hub_time(Instant now, int64_t hub_unix_ms) {
  count_time(now);
  if (hub_unix_ms <= 0) return false;
  if (day_hub_unix_ms_ != 0 && hub_unix_ms - day_hub_unix_ms_ < kDayMs) return false;
  if (day_hub_unix_ms_ != 0) new_day();
  day_hub_unix_ms_ = hub_unix_ms;
  return true;
}

uint64_t Budget::left_bytes() const {
  if (bytes_per_day_ == kNoBudget) return kNoBudget;
  return bytes_per_day_ - std::min(spent_bytes_, bytes_per_day_);
}

bool Budget::reserve(uint64_t bytes) {
  if (bytes > left_bytes()) return false;
  spent_bytes_ += bytes;
  return true;
}

void Budget::refund(uint64_t bytes, uint64_t day) {
  if (day == day_) spent_bytes_ -= std::min(bytes, spent_bytes_);
}

}  // namespace wb::outbox
