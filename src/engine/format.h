#pragma once
// The byte grammar of a .wbm package, shared by pack.cpp and unpack.cpp. docs/formats/model.md is the page for people.

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/engine.h"

namespace wb::engine::format {

// Persisted (since 0.1). The magic never changes; a reader refuses a version that it does not know.
inline constexpr std::string_view kMagic = "WBM\x1a";
inline constexpr uint8_t kVersion = 1;
inline constexpr size_t kHeadBytes = 6;     // magic, version, one byte kept 0
inline constexpr size_t kTrailerBytes = 4;  // CRC32C of all before, little-endian

// Sections stand in this order, each once: tag byte, length varint, payload. Persisted (since 0.1): add, never
// renumber.
enum class Tag : uint8_t {
  kAbout = 1,
  kThresholds = 2,
  kTrees = 3,
  kSketches = 4,
  kScores = 5,
  kSelfTest = 6,
  kNotes = 7
};

// Every rule that does not depend on bytes: names, counts, finite values, what an objective asks for.
Status check_model(const PlainModel& model);

inline void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}
inline void put_u32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}
inline void put_f32(std::string& out, float value) { put_u32(out, std::bit_cast<uint32_t>(value)); }
inline void put_f64(std::string& out, double value) {
  const auto bits = std::bit_cast<uint64_t>(value);
  put_u32(out, static_cast<uint32_t>(bits));
  put_u32(out, static_cast<uint32_t>(bits >> 32));
}
inline void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out.append(text);
}

// Bits, least significant first.
class BitWriter {
 public:
  void put(uint32_t value, unsigned bits) {
    pending_ |= static_cast<uint64_t>(value) << held_;
    for (held_ += bits; held_ >= 8; held_ -= 8, pending_ >>= 8) bytes_.push_back(static_cast<char>(pending_));
  }
  std::string finish() {
    if (held_ > 0) bytes_.push_back(static_cast<char>(pending_));
    return std::move(bytes_);
  }

 private:
  std::string bytes_;
  uint64_t pending_ = 0;
  unsigned held_ = 0;  // < 8 between calls
};

class BitReader {
 public:
  explicit BitReader(std::string_view bytes) : bytes_(bytes) {}
  // Past the end it gives zeros and ok() is false from then on.
  uint32_t get(unsigned bits) {
    while (held_ < bits) {
      const bool more = at_ < bytes_.size();
      ok_ = ok_ && more;
      pending_ |= static_cast<uint64_t>(more ? static_cast<uint8_t>(bytes_[at_++]) : 0) << held_;
      held_ += 8;
    }
    const auto value = static_cast<uint32_t>(pending_ & ((uint64_t{1} << bits) - 1));
    pending_ >>= bits;
    held_ -= bits;
    return value;
  }
  bool ok() const { return ok_; }
  // All bytes were read and what is left of the last one is zero.
  bool finished() const { return ok_ && at_ == bytes_.size() && held_ < 8 && pending_ == 0; }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  uint64_t pending_ = 0;
  unsigned held_ = 0;
  bool ok_ = true;
};

// How many bits say which of `splits` different (feature, threshold) pairs a node uses.
inline unsigned split_bits(size_t splits) {
  return splits <= 1 ? 0 : static_cast<unsigned>(std::bit_width(splits - 1));
}

}  // namespace wb::engine::format
