#pragma once
// Thresholds: the memory of what was evicted, so that what survived still stands for it (promises B4, Q8).
//
// Every eviction is an event with a number and a threshold t: the priority q of the record that went. The records that
// were present and stayed had q < t. A record that arrived at event a therefore survived min{t of events ≥ a}. Of the
// events only those matter whose t is smaller than every later one, so the list is a stack in which numbers and
// thresholds both rise; with nothing sent in between it has one entry, and each "drained for a while, overflowed again"
// adds one.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wb::outbox {

inline constexpr size_t kThresholdsMax = 64;
inline constexpr uint64_t kNoThreshold = std::numeric_limits<uint64_t>::max();

class Thresholds {
 public:
  struct Entry {
    uint64_t event = 0;
    uint64_t q = 0;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  // Two entries became one: records that arrived in (after_event, through_event] must now also have q < `q`, and the
  // caller evicts those that have not. Only then is the coarser list still exact.
  struct Merge {
    uint64_t after_event = 0;
    uint64_t through_event = 0;
    uint64_t q = 0;
  };

  uint64_t next_event() const { return next_event_; }
  const std::vector<Entry>& entries() const { return entries_; }

  // One eviction. Returns a merge if the list was full.
  std::optional<Merge> push(uint64_t q);
  // Adds the events of an older copy of this list.
  std::vector<Merge> absorb(const Thresholds& older);
  // The smallest threshold of the events a record that arrived at `event` has seen; kNoThreshold if none.
  uint64_t min_since(uint64_t event) const;
  // Forgets events that no record from `event` on has seen.
  void forget_before(uint64_t event);
  // After damage: events start beyond everything seen.
  void start_at(uint64_t event) { next_event_ = event > next_event_ ? event : next_event_; }

  std::string encode() const;
  static std::optional<Thresholds> decode(std::string_view bytes);  // nullopt if the bytes are not a list

 private:
  std::optional<Merge> merge_if_full();

  uint64_t next_event_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace wb::outbox
