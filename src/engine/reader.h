#pragma once
// Reads a package's bytes forward, and knows where it is: whatever is wrong is said with its offset in the file.

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "engine/ranked.h"

namespace wb::engine::format {

// After the first fault every read gives zero and ok() stays false.
class ReaderView {
 public:
  // `name` and `offset` say which section this is and where in the file it begins.
  ReaderView(std::string_view bytes, std::string_view name, size_t offset)
      : name_(name), rest_(bytes), end_(offset + bytes.size()) {}

  bool ok() const { return ok_; }
  bool finished() const { return ok_ && rest_.empty(); }
  std::string_view rest() const { return rest_; }
  size_t offset() const { return ok_ ? end_ - rest_.size() : fault_; }

  std::string_view take(uint64_t size) {
    if (!ok_ || size > rest_.size()) {
      spoil();
      return {};
    }
    const std::string_view taken = rest_.substr(0, static_cast<size_t>(size));
    rest_.remove_prefix(static_cast<size_t>(size));
    return taken;
  }
  uint8_t byte() {
    const std::string_view one = take(1);
    return one.empty() ? 0 : static_cast<uint8_t>(one[0]);
  }
  uint32_t u32() {
    const std::string_view four = take(4);
    uint32_t value = 0;
    for (size_t i = 0; i < four.size(); ++i) value |= static_cast<uint32_t>(static_cast<uint8_t>(four[i])) << (8 * i);
    return value;
  }
  float f32() { return std::bit_cast<float>(u32()); }
  uint64_t u64() {
    const uint64_t low = u32();
    const uint64_t high = u32();
    return low | high << 32;
  }
  double f64() { return std::bit_cast<double>(u64()); }
  double number(Precision precision) { return precision == Precision::kF32 ? static_cast<double>(f32()) : f64(); }
  // Only the shortest form of a number is taken, so that one model has one encoding.
  uint64_t varint() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const uint8_t next = byte();
      if (shift == 63 && next > 1) break;
      value |= static_cast<uint64_t>(next & 0x7F) << shift;
      if (next < 0x80) {
        if (next == 0 && shift > 0) break;
        return ok_ ? value : 0;
      }
    }
    spoil();
    return 0;
  }
  // A count of things that take at least `bytes_each` bytes here and are at most `max`.
  size_t count(size_t max, size_t bytes_each) {
    const uint64_t value = varint();
    if (value > max || value * bytes_each > rest_.size()) spoil();
    return ok_ ? static_cast<size_t>(value) : 0;
  }
  std::string text(size_t max) { return std::string(take(count(max, 1))); }

  // "model package: byte 107, trees: a split on slot 9 of 4".
  Error damaged(std::string_view what) const {
    constexpr std::string_view kEnds = "it ends too early, or a number is too large or not in its shortest form";
    return damaged_at(offset(), ok_ ? what : kEnds);
  }
  Error damaged_at(size_t at, std::string_view what) const {
    return fail(Code::kCorrupt, "model package: byte ", std::to_string(at), ", ", name_, ": ", what);
  }
  // The end of a section: nothing may be left.
  Status close() const {
    if (finished()) return ok_status();
    return damaged("bytes are left over");
  }

 private:
  void spoil() {
    if (ok_) fault_ = end_ - rest_.size();
    ok_ = false;
  }
  std::string_view name_;
  std::string_view rest_;
  size_t end_;
  size_t fault_ = 0;
  bool ok_ = true;
};

Result<std::vector<Slot>> read_slots(ReaderView in, const Description& model);
// Fills all of `forest` but its slots, which it has.
Status read_trees(ReaderView in, const Description& model, RankedForest& forest);

// Of the leaves that `forest` has.
Status read_covers(ReaderView in, RankedForest& forest);

// All of a package but the trees, and the trees in ranks. Where leaves are lines, the trees stand in `model` too.
struct Unpacked {
  PlainModel model;
  RankedForest forest;
};
Result<Unpacked> read_package(std::string_view bytes);

}  // namespace wb::engine::format
