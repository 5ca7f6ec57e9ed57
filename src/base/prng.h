#pragma once
// Prng: the only source of chance in the core (SplitMix64, Steele, Lea, Flood 2014: "Fast splittable pseudorandom
// number generators"). Integer-only, so every compiler draws the same. Not for secrets: those come from world/ as
// bytes.

#include <cstdint>
#include <string_view>

namespace wb {

__extension__ typedef unsigned __int128 Uint128;

class Prng {
 public:
  explicit Prng(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  // Uniform in [0, bound); bound > 0. Multiply-shift: bias below 2^-32 for the bounds used here (< 2^32).
  uint64_t below(uint64_t bound) { return static_cast<uint64_t>((static_cast<Uint128>(next()) * bound) >> 64); }
  // True with probability per_million / 1e6.
  bool chance(uint32_t per_million) { return below(1'000'000) < per_million; }
  Prng split() { return Prng(next()); }

 private:
  uint64_t state_;
};

// 64 uniform bits that depend only on (key, bytes): the same record is sampled the same way after a restart, in any
// order and however often it is delivered (promise B3).
uint64_t keyed_hash(uint64_t key, std::string_view bytes);
// The top 53 bits as a double in [0, 1).
double unit_interval(uint64_t hash);

}  // namespace wb
