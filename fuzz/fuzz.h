#pragma once
// What every fuzz target shares. A target is one function over hostile bytes plus the seeds it starts from:
//
//   WB_FUZZ_TARGET(selector) { … bytes … }        must not crash, loop, leak, or break a WB_HOLDS
//   WB_FUZZ_SEEDS(selector) { put("site=lyon"); }  made from the real encoders, so that they never lag behind a format
//
// libFuzzer drives it under clang++ with sanitizers (tools/fuzz); replay_main.cpp drives the same function over seeds,
// corpus and regressions in every ordinary build (ctest -R fuzz_). docs/operations/fuzzing.md is the page for people.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace wb::fuzz {

using Put = std::function<void(std::string bytes)>;

// Says what did not hold and ends the process, so that libFuzzer keeps the input.
[[noreturn]] void broken(const char* file, int line, const char* what, std::string_view detail);

// Takes structured pieces from the front of the input. Past its end everything is zero or empty, so any input is valid.
class Feed {
 public:
  explicit Feed(std::string_view bytes) : rest_(bytes) {}
  bool empty() const { return rest_.empty(); }
  uint64_t number(size_t bytes_count) {  // big-endian
    uint64_t value = 0;
    for (size_t i = 0; i < bytes_count; ++i) value = (value << 8) | byte();
    return value;
  }
  uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  std::string_view text() {                              // two bytes of length, then as much of it as is there
    const auto wanted = static_cast<size_t>(number(2));  // first: it takes from the rest
    const size_t size = std::min(wanted, rest_.size());
    const std::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  std::string_view rest() { return std::exchange(rest_, {}); }

 private:
  std::string_view rest_;
};

// The inverse, for seeds.
class FeedWriter {
 public:
  FeedWriter& number(uint64_t value, size_t bytes_count) {
    for (size_t i = bytes_count; i-- > 0;) out_.push_back(static_cast<char>(value >> (8 * i)));
    return *this;
  }
  FeedWriter& byte(uint8_t value) { return number(value, 1); }
  FeedWriter& text(std::string_view text) {
    number(text.size(), 2);
    out_.append(text.substr(0, 0xFFFF));
    return *this;
  }
  FeedWriter& rest(std::string_view text) {
    out_.append(text);
    return *this;
  }
  const std::string& bytes() const { return out_; }

 private:
  std::string out_;
};

}  // namespace wb::fuzz

#define WB_HOLDS(condition, detail) \
  ((condition) ? static_cast<void>(0) : ::wb::fuzz::broken(__FILE__, __LINE__, #condition, (detail)))
#define WB_FUZZ_TARGET(name)                       \
  void fuzz_target_##name(std::string_view bytes); \
  void fuzz_target_##name([[maybe_unused]] std::string_view bytes)
#define WB_FUZZ_SEEDS(name)                           \
  void fuzz_seeds_##name(const ::wb::fuzz::Put& put); \
  void fuzz_seeds_##name([[maybe_unused]] const ::wb::fuzz::Put& put)
