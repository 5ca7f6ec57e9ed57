#include "edge/outbox/thresholds.h"

#include <algorithm>

#include "base/bytes.h"

namespace wb::outbox {
namespace {

constexpr uint8_t kVersion = 1;  // persisted (since 0.1)

}  // namespace

std::optional<Thresholds::Merge> Thresholds::push(uint64_t q) {
  while (!entries_.empty() && entries_.back().q >= q) entries_.pop_back();
  entries_.push_back(Entry{next_event_++, q});
  return merge_if_full();
}

std::vector<Thresholds::Merge> Thresholds::absorb(const Thresholds& older) {
  std::vector<Entry> all = older.entries_;
  all.insert(all.end(), entries_.begin(), entries_.end());
  std::sort(all.begin(), all.end(),
            [](const Entry& a, const Entry& b) { return a.event != b.event ? a.event < b.event : a.q < b.q; });
  entries_.clear();
  for (const Entry& entry : all) {
    while (!entries_.empty() && entries_.back().q >= entry.q) entries_.pop_back();
    if (entries_.empty() || entries_.back().event != entry.event) entries_.push_back(entry);
  }
  std::vector<Merge> merges;
  while (const auto merge = merge_if_full()) merges.push_back(*merge);
  return merges;
}

// Merges the neighbours whose thresholds are nearest to each other: the fewest records fall between them.
std::optional<Thresholds::Merge> Thresholds::merge_if_full() {
  if (entries_.size() <= kThresholdsMax) return std::nullopt;
  size_t best = 0;
  for (size_t i = 1; i + 1 < entries_.size(); ++i)
    if (entries_[i + 1].q - entries_[i].q < entries_[best + 1].q - entries_[best].q) best = i;
  const Merge merge{entries_[best].event, entries_[best + 1].event, entries_[best].q};
  entries_[best].event = merge.through_event;
  entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(best) + 1);
  return merge;
}

uint64_t Thresholds::min_since(uint64_t event) const {
  const auto first = std::lower_bound(entries_.begin(), entries_.end(), event,
                                      [](const Entry& entry, uint64_t wanted) { return entry.event < wanted; });
  return first == entries_.end() ? kNoThreshold : first->q;
}

void Thresholds::forget_before(uint64_t event) {
  size_t count = 0;
  while (count < entries_.size() && entries_[count].event < event) ++count;
  entries_.erase(entries_.begin(), entries_.begin() + static_cast<ptrdiff_t>(count));
}

std::string Thresholds::encode() const {
  std::string out(1, static_cast<char>(kVersion));
  append_u64_be(out, next_event_);
  for (const Entry& entry : entries_) {
    append_u64_be(out, entry.event);
    append_u64_be(out, entry.q);
  }
  return out;
}

std::optional<Thresholds> Thresholds::decode(std::string_view bytes) {
  if (bytes.size() < 9 || static_cast<uint8_t>(bytes[0]) != kVersion || (bytes.size() - 9) % 16 != 0)
    return std::nullopt;
  if ((bytes.size() - 9) / 16 > kThresholdsMax) return std::nullopt;
  Thresholds out;
  out.next_event_ = read_u64_be(bytes.substr(1));
  for (size_t at = 9; at < bytes.size(); at += 16) {
    const Entry entry{read_u64_be(bytes.substr(at)), read_u64_be(bytes.substr(at + 8))};
    if (entry.event >= out.next_event_) return std::nullopt;
    if (!out.entries_.empty() && (out.entries_.back().event >= entry.event || out.entries_.back().q >= entry.q))
      return std::nullopt;
    out.entries_.push_back(entry);
  }
  return out;
}

}  // namespace wb::outbox
