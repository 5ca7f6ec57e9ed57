#pragma once
// format: the bytes of the outbox's rows (docs/formats/outbox.md). Everything is big-endian and versioned; a decoder
// trusts nothing it reads.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/store_op.h"
#include "edge/outbox/thresholds.h"
#include "record/record.h"

namespace wb::outbox {

inline constexpr std::string_view kCountersKey = "outbox/counters";
inline constexpr std::string_view kBudgetKey = "outbox/budget";
std::string thresholds_key(size_t pool);  // "outbox/thresholds/0"
std::string sent_key(Lane lane);          // "outbox/sent/2"

struct RecordHead {
  Rule rule = Rule::kSample;
  uint64_t q = 0;
  uint64_t arrival = 0;
  double probability = 1;
  double value = 1;
  int64_t taken_unix_ms = 0;
  uint32_t bytes = 0;
};

// A number that no node reaches. A row that has it is damaged: going on behind it would soon leave what the store takes
// as a key.
inline constexpr uint64_t kSeqMax = 1ULL << 55;  // of the next number to be given out

std::string record_key(Lane lane, uint64_t seq);
struct RecordPlace {
  Lane lane = Lane::kLive;
  uint64_t seq = 0;
};
std::optional<RecordPlace> read_record_key(std::string_view key);

std::string encode_head(const RecordHead& head);  // at most kRecordHeadBytes
size_t head_bytes(std::string_view head);         // of the version that its first byte names
// `value_bytes` is the size of the whole row value: head and record.
std::optional<RecordHead> decode_head(std::string_view head, uint64_t value_bytes);

struct Sent {
  uint64_t seq = 0;
  std::optional<uint64_t> evicted_count;  // of the numbers up to seq that are not acked; nullopt in a row of version 1
  Thresholds thresholds;
};
std::string encode_sent(uint64_t seq, uint64_t evicted_count, const Thresholds& thresholds);
std::optional<Sent> decode_sent(std::string_view bytes);

// What a row takes of the store's file: SQLite's cell in a 4 KiB page, with what cannot be used beside it.
uint64_t row_cost_bytes(uint32_t record_bytes);

}  // namespace wb::outbox
