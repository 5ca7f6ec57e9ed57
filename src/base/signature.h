#pragma once
// Ed25519 (RFC 8032). Verification is a pure function, so the core and the simulator check real signatures.
// Making keys needs entropy and lives in world/; signing is deterministic and lives here.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace wb {

inline constexpr size_t kEd25519KeyBytes = 32;
inline constexpr size_t kEd25519SignatureBytes = 64;

// True only if `signature` (64 bytes) over `message` was made by the owner of `public_key` (32 raw bytes).
bool ed25519_verify(std::string_view public_key, std::string_view message, std::string_view signature);
// seed: 32 raw bytes, the private key. kInvalid if it is not 32 bytes.
Result<std::string> ed25519_sign(std::string_view seed, std::string_view message);
Result<std::string> ed25519_public_key(std::string_view seed);

}  // namespace wb
