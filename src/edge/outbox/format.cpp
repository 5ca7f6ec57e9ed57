#include "edge/outbox/format.h"

#include <algorithm>
#include <bit>

#include "base/bytes.h"
#include "base/planted.h"
#include "edge/outbox/outbox.h"

namespace wb::outbox {
namespace {

constexpr uint8_t kHeadVersion = 2;           // persisted (since 0.1)
constexpr uint8_t kHeadVersionFirst = 1;      // before version 2, still read
constexpr uint8_t kSentVersion = 2;           // persisted (since 0.1)
constexpr uint8_t kSentVersionUncounted = 1;  // read, not written: without the count of the evicted
constexpr size_t kHeadBytes = 34;
constexpr size_t kHeadBytesFirst = 64;
static_assert(kHeadBytes <= kRecordHeadBytes && kHeadBytesFirst <= kRecordHeadBytes);
constexpr size_t kShortBytes = 6;  // of a number that never needs more
constexpr int64_t kShortMax = (int64_t{1} << (8 * kShortBytes - 1)) - 1;

void append_short(std::string& out, int64_t value) {
  std::string whole;
  append_u64_be(whole, static_cast<uint64_t>(std::clamp(value, -kShortMax, kShortMax)));
  out.append(whole, 8 - kShortBytes);
}
int64_t read_short(std::string_view bytes) {
  std::string whole((bytes[0] & 0x80) != 0 ? "\xFF\xFF" : std::string(2, '\0'));
  whole.append(bytes, 0, kShortBytes);
  return static_cast<int64_t>(read_u64_be(whole));
}

constexpr uint64_t kPageBytes = 4'096;
constexpr uint64_t kPageUsableBytes = 4'088;  // of a leaf page
constexpr uint64_t kCellBytes = 24;           // row id, lengths, CRC, cell pointer
// SQLite's file format, section 1.6: a larger payload keeps a part in its page and continues on overflow pages.
constexpr uint64_t kPayloadLocalMax = kPageBytes - 35;
constexpr uint64_t kPayloadLocalMin = (kPageBytes - 12) * 32 / 255 - 23;
constexpr uint64_t kOverflowBytes = kPageBytes - 4;

}  // namespace

std::string thresholds_key(size_t pool) { return "outbox/thresholds/" + std::to_string(pool); }
std::string sent_key(Lane lane) { return "outbox/sent/" + std::to_string(static_cast<int>(lane)); }

std::string record_key(Lane lane, uint64_t seq) {
  std::string key(1, static_cast<char>(lane));
  append_u64_be(key, seq);
  return key;
}

std::optional<RecordPlace> read_record_key(std::string_view key) {
  if (key.size() != 9) return std::nullopt;
  const auto lane = static_cast<uint8_t>(key[0]);
  if (lane < 1 || lane > kLanesCount) return std::nullopt;
  const RecordPlace place{static_cast<Lane>(lane), read_u64_be(key.substr(1))};
  if (place.seq == 0 || place.seq >= kSeqMax - 1) return std::nullopt;
  return place;
}

std::string encode_head(const RecordHead& head) {
  std::string out;
  out.reserve(kHeadBytes);
  out.push_back(static_cast<char>(kHeadVersion));
  out.push_back(static_cast<char>(head.rule));
  const auto value = std::bit_cast<uint32_t>(static_cast<float>(head.value));
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>((value >> shift) & 0xFFU));
  append_u64_be(out, head.q);
  append_u64_be(out, std::bit_cast<uint64_t>(head.probability));
  append_short(out, static_cast<int64_t>(std::min<uint64_t>(head.arrival, kShortMax)));
  append_short(out, head.taken_unix_ms);
  return out;
}

namespace {

void read_first(std::string_view bytes, RecordHead& head) {
  head.q = read_u64_be(bytes.substr(8));
  head.arrival = read_u64_be(bytes.substr(16));
  head.probability = std::bit_cast<double>(read_u64_be(bytes.substr(24)));
  head.value = std::bit_cast<double>(read_u64_be(bytes.substr(32)));
  head.taken_unix_ms = static_cast<int64_t>(read_u64_be(bytes.substr(40)));
}

void read_second(std::string_view bytes, RecordHead& head) {
  uint32_t value = 0;
  for (size_t i = 2; i < 6; ++i) value = (value << 8) | static_cast<uint8_t>(bytes[i]);
  head.value = static_cast<double>(std::bit_cast<float>(value));
  head.q = read_u64_be(bytes.substr(6));
  head.probability = std::bit_cast<double>(read_u64_be(bytes.substr(14)));
  head.arrival = static_cast<uint64_t>(read_short(bytes.substr(22)));
  head.taken_unix_ms = read_short(bytes.substr(28));
}

}  // namespace

size_t head_bytes(std::string_view head) {
  return !head.empty() && static_cast<uint8_t>(head[0]) == kHeadVersionFirst ? kHeadBytesFirst : kHeadBytes;
}

std::optional<RecordHead> decode_head(std::string_view bytes, uint64_t value_bytes) {
  const size_t size = head_bytes(bytes);
  if (bytes.size() < size || value_bytes <= size || value_bytes > size + kRecordBytesMax) return std::nullopt;
  const auto version = static_cast<uint8_t>(bytes[0]);
  const auto rule = static_cast<uint8_t>(bytes[1]);
  if ((version != kHeadVersion && version != kHeadVersionFirst) || rule < 1 || rule > kRulesCount) return std::nullopt;
  RecordHead head;
  head.rule = static_cast<Rule>(rule);
  head.bytes = static_cast<uint32_t>(value_bytes - size);
  if (version == kHeadVersionFirst)
    read_first(bytes, head);
  else
    read_second(bytes, head);
  if (!(head.probability > 0 && head.probability <= 1) || !(head.value >= 1 / kValueMax && head.value <= kValueMax))
    return std::nullopt;
  return head;
}

std::string encode_sent(uint64_t seq, uint64_t evicted_count, const Thresholds& thresholds) {
  std::string out(1, static_cast<char>(kSentVersion));
  append_u64_be(out, seq);
  append_u64_be(out, evicted_count);
  return out + thresholds.encode();
}

std::optional<Sent> decode_sent(std::string_view bytes) {
  if (bytes.empty()) return std::nullopt;
  const auto version = static_cast<uint8_t>(bytes[0]);
  if (version != kSentVersion && version != kSentVersionUncounted) return std::nullopt;
  const size_t head_bytes = version == kSentVersion ? 17 : 9;
  if (bytes.size() < head_bytes) return std::nullopt;
  Sent sent;
  sent.seq = read_u64_be(bytes.substr(1));
  if (version == kSentVersion) sent.evicted_count = read_u64_be(bytes.substr(9));
  auto thresholds = Thresholds::decode(bytes.substr(head_bytes));
  if (!thresholds) return std::nullopt;
  sent.thresholds = std::move(*thresholds);
  return sent;
}

uint64_t row_cost_bytes(uint32_t record_bytes) {
  if (planted(Bug::kOverheadFree)) return record_bytes;
  uint64_t local = kCellBytes + kHeadBytes + record_bytes;
  uint64_t overflow_pages = 0;
  if (local > kPayloadLocalMax) {
    const uint64_t rest = local - kPayloadLocalMin;
    const uint64_t tail = kPayloadLocalMin + rest % kOverflowBytes;
    overflow_pages = rest / kOverflowBytes + (tail > kPayloadLocalMax ? 1 : 0);
    local = tail > kPayloadLocalMax ? kPayloadLocalMin : tail;
  }
  return overflow_pages * kPageBytes + kPageBytes / (kPageUsableBytes / local) + 1;
}

}  // namespace wb::outbox
