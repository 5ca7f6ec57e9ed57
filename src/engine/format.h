#pragma once
// The byte grammar of a .wbm package, shared by pack and unpack. docs/formats/model.md is the page for people.

#include <bit>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "engine/ranked.h"

namespace wb::engine::format {

// Persisted (since 0.1). The magic never changes; a reader refuses a version that it does not know. Version 1 (before
// the first release) held XGBoost's trees only.
inline constexpr std::string_view kMagic = "WBM\x1a";
inline constexpr uint8_t kVersion = 2;
inline constexpr size_t kHeadBytes = 6;     // magic, version, one byte kept 0
inline constexpr size_t kTrailerBytes = 4;  // CRC32C of all before, little-endian

// Sections stand in this order: tag byte, length varint, payload. Up to kNotes each is there once; those behind it are
// there if the model has what they hold. Persisted (since 0.1): add, never renumber.
enum class Tag : uint8_t {
  kAbout = 1,
  kSteps = 2,
  kSlots = 3,
  kTrees = 4,
  kCalibration = 5,
  kSketches = 6,
  kScores = 7,
  kSelfTest = 8,
  kNotes = 9,
  // From here on a section is there only if it says something.
  kLinear = 10,
  kCovers = 11,
  kTexts = 12,
  kLines = 13,
  kPredictor = 14,
};
inline constexpr size_t kSectionsAlways = 9;
inline constexpr size_t kSectionsCount = 14;
std::string_view section_name(Tag tag);

// Bits of the flags byte in the about section.
inline constexpr uint8_t kMissingAllowed = 1;
inline constexpr uint8_t kStepsInF32 = 2;
inline constexpr uint8_t kSumInF64 = 4;
inline constexpr uint8_t kDivisor = 8;
inline constexpr uint8_t kFactor = 16;
inline constexpr uint8_t kOffsets = 32;
inline constexpr uint8_t kSlope = 64;
inline constexpr uint8_t kFlagsUnknown = 128;

// What tells the steps, and the curves of a calibration, apart.
enum class StepKind : uint8_t { kSelect = 1, kScale = 2, kImpute = 3, kOrdinal = 4, kOneHot = 5 };
enum class CurveKind : uint8_t { kPlatt = 1, kIsotonic = 2 };
// What makes the margins, where it is no ensemble.
enum class PredictorKind : uint8_t { kNetwork = 1, kNeighbours = 2 };

// Bits of the first byte in the linear section.
inline constexpr uint8_t kSkipsMissing = 1;
inline constexpr uint8_t kMeans = 2;

// How covers are written: the first of these that holds all of them.
enum class CoverKind : uint8_t { kWhole = 1, kF32 = 2, kF64 = 3 };
CoverKind cover_kind(std::span<const double> covers);

// A slot's kind byte: bits 0-1 the rule for missing values, bit 2 categories, bits 3-4 the side.
inline constexpr uint8_t kCategorical = 4;
inline constexpr unsigned kSideShift = 3;

// The NaN of a self-test; rows of others are refused.
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Every rule that does not depend on bytes: the description's, and what travels beside it.
Status check_model(const PlainModel& model);
std::string pack_slots(const RankedForest& forest, const Description& model);
std::string pack_trees(const RankedForest& forest, const Description& model);
std::string pack_covers(const RankedForest& forest);

inline void put_byte(std::string& out, uint8_t value) { out.push_back(static_cast<char>(value)); }
inline void put_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) put_byte(out, static_cast<uint8_t>(value | 0x80));
  put_byte(out, static_cast<uint8_t>(value));
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
// f32 or f64; the caller knows that the number fits.
inline void put_number(std::string& out, double value, Precision precision) {
  if (precision == Precision::kF32) put_f32(out, static_cast<float>(value));
  if (precision == Precision::kF64) put_f64(out, value);
}
inline void put_text(std::string& out, std::string_view text) {
  put_varint(out, text.size());
  out.append(text);
}

// A threshold as a whole number in the same order, so that neighbours have small gaps and round values end in zeros:
// the magnitude's bits, with its sign. NaN and -0 are none.
inline int64_t ordered(double value, bool f64) {
  const uint64_t magnitude =
      f64 ? std::bit_cast<uint64_t>(value) & INT64_MAX : std::bit_cast<uint32_t>(static_cast<float>(value)) & INT32_MAX;
  return value < 0 ? -static_cast<int64_t>(magnitude) : static_cast<int64_t>(magnitude);
}
inline double from_ordered(int64_t number, bool f64) {
  const uint64_t magnitude = static_cast<uint64_t>(number < 0 ? -number : number);
  const double value = f64 ? std::bit_cast<double>(magnitude)
                           : static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(magnitude)));
  return number < 0 ? -value : value;
}
// How many bits all of them leave 0 at their end.
unsigned common_shift(const std::vector<double>& thresholds, bool f64);

// Bits, least significant first.
class BitWriter {
 public:
  void put(uint64_t value, unsigned bits) {  // at most 64
    for (; bits > 32; bits -= 32, value >>= 32) put_some(static_cast<uint32_t>(value), 32);
    put_some(static_cast<uint32_t>(value), bits);
  }
  std::string finish() {  // the last byte filled with zeros
    if (held_ > 0) bytes_.push_back(static_cast<char>(pending_));
    return std::move(bytes_);
  }

 private:
  void put_some(uint32_t value, unsigned bits) {
    pending_ |= (value & ((uint64_t{1} << bits) - 1)) << held_;
    for (held_ += bits; held_ >= 8; held_ -= 8, pending_ >>= 8) bytes_.push_back(static_cast<char>(pending_));
  }
  std::string bytes_;
  uint64_t pending_ = 0;
  unsigned held_ = 0;  // < 8 between calls
};

class BitReader {
 public:
  explicit BitReader(std::string_view bytes) : bytes_(bytes) {}
  // At most 64. Past the end it gives zeros and ok() is false from then on.
  uint64_t get(unsigned bits) {
    if (bits <= 32) return get_some(bits);
    const uint64_t low = get_some(32);
    return low | get_some(bits - 32) << 32;
  }
  bool ok() const { return ok_; }
  size_t bytes_used() const { return at_; }
  bool rest_is_zero() const { return pending_ == 0; }  // of the last byte that was begun

 private:
  uint64_t get_some(unsigned bits) {
    while (held_ < bits) {
      const bool more = at_ < bytes_.size();
      ok_ = ok_ && more;
      pending_ |= static_cast<uint64_t>(more ? static_cast<uint8_t>(bytes_[at_++]) : 0) << held_;
      held_ += 8;
    }
    const uint64_t value = pending_ & ((uint64_t{1} << bits) - 1);
    pending_ >>= bits;
    held_ -= bits;
    return value;
  }
  std::string_view bytes_;
  size_t at_ = 0;
  uint64_t pending_ = 0;
  unsigned held_ = 0;
  bool ok_ = true;
};

}  // namespace wb::engine::format
