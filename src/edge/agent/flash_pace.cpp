#include "edge/agent/flash_pace.h"

#include <algorithm>

#include "base/prng.h"

namespace wb::agent {
namespace {

// Measured with wb_soak (docs/operations/crash-points.md): the pages of counters, tree, free list and header with their
// rest of a sector, whatever is in the commit; and each byte of a row 2.2 times: in the log, in the log again when its
// page is given back, and now and then in the file.
constexpr uint64_t kPageBytes = 4'096;
constexpr uint64_t kPagesPerCommit = 6;
constexpr uint64_t kRowBytes = 16;  // beside key and value
constexpr int64_t kDayNs = 86'400 * kNsPerSecond;
constexpr int64_t kDebtMax = int64_t{kFlashBurstBytes};

}  // namespace

uint64_t FlashPace::cost_bytes(const std::vector<StoreOp>& ops) {
  uint64_t bytes = 0;
  for (const StoreOp& op : ops)
    if (op.table == NodeTable::kRecords && !op.erase) bytes += op.value.size() + kRowBytes;
  return kPagesPerCommit * kPageBytes + bytes * 22 / 10;
}

void FlashPace::refill(Instant now) {
  const int64_t passed_ns = std::clamp<int64_t>(now.ns - filled_at_.ns, 0, kDayNs);
  filled_at_ = now;
  const auto more = static_cast<int64_t>(Uint128{bytes_per_day_} * static_cast<uint64_t>(passed_ns) / kDayNs);
  left_bytes_ = std::min<int64_t>(left_bytes_ + more, kFlashBurstBytes);
}

bool FlashPace::is_spent(Instant now) {
  if (bytes_per_day_ == 0) return false;
  refill(now);
  return left_bytes_ <= 0;
}

void FlashPace::spend(Instant now, const std::vector<StoreOp>& ops) {
  if (bytes_per_day_ == 0 || ops.empty()) return;
  refill(now);
  left_bytes_ = std::max(left_bytes_ - static_cast<int64_t>(cost_bytes(ops)), -kDebtMax);
}

}  // namespace wb::agent
