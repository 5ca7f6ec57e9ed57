#pragma once
// Checksums and digests. CRC32C guards rows at rest; SHA-256 names artifacts; Fnv64 makes trace hashes of the
// simulator.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace wb {

uint32_t crc32c(std::string_view bytes, uint32_t seed = 0);

using Sha256 = std::array<uint8_t, 32>;
Sha256 sha256(std::string_view bytes);
std::string sha256_hex(std::string_view bytes);  // 64 lower-case hex digits

// Incremental, for artifacts that arrive in ranges.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(Sha256Stream&&) noexcept;
  Sha256Stream& operator=(Sha256Stream&&) noexcept;
  void update(std::string_view bytes);
  std::string finish_hex();

 private:
  void* context_;
};

// FNV-1a over the event and effect stream: one number says whether two runs were the same run.
class Fnv64 {
 public:
  void update(std::string_view bytes);
  void update(uint64_t value);
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xCBF29CE484222325ULL;
};

}  // namespace wb
