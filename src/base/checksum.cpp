#include "base/checksum.h"

#include <openssl/evp.h>

#include <utility>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/prng.h"

namespace wb {
namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc & 1U) != 0 ? (crc >> 1) ^ 0x82F63B78U : crc >> 1;  // Castagnoli, reflected
    table[i] = crc;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

}  // namespace

uint32_t crc32c(std::string_view bytes, uint32_t seed) {
  uint32_t crc = ~seed;
  for (unsigned char byte : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ byte) & 0xFFU];
  return ~crc;
}

Sha256 sha256(std::string_view bytes) {
  Sha256 out{};
  unsigned length = 0;
  WB_ASSERT(EVP_Digest(bytes.data(), bytes.size(), out.data(), &length, EVP_sha256(), nullptr) == 1);
  return out;
}

std::string sha256_hex(std::string_view bytes) {
  const Sha256 digest = sha256(bytes);
  return hex_encode(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  WB_ASSERT(context_ != nullptr);
  WB_ASSERT(EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha256(), nullptr) == 1);
}
Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }
Sha256Stream::Sha256Stream(Sha256Stream&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
Sha256Stream& Sha256Stream::operator=(Sha256Stream&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}
void Sha256Stream::update(std::string_view bytes) {
  WB_ASSERT(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), bytes.data(), bytes.size()) == 1);
}
std::string Sha256Stream::finish_hex() {
  std::array<unsigned char, 32> out{};
  WB_ASSERT(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), out.data(), nullptr) == 1);
  return hex_encode(std::string_view(reinterpret_cast<const char*>(out.data()), out.size()));
}

void Fnv64::update(std::string_view bytes) {
  for (unsigned char byte : bytes) hash_ = (hash_ ^ byte) * 0x100000001B3ULL;
}
void Fnv64::update(uint64_t value) {
  for (int shift = 0; shift < 64; shift += 8) hash_ = (hash_ ^ ((value >> shift) & 0xFFU)) * 0x100000001B3ULL;
}

uint64_t keyed_hash(uint64_t key, std::string_view bytes) {
  Fnv64 fnv;
  fnv.update(key);
  fnv.update(bytes);
  return Prng(fnv.value()).next();  // SplitMix64's finaliser spreads FNV's weak high bits
}

double unit_interval(uint64_t hash) { return static_cast<double>(hash >> 11) * 0x1.0p-53; }

}  // namespace wb
