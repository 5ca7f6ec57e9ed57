#pragma once
// The releases that the simulated operator ships: a small real model, a retrained one, and one with its columns
// swapped.

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/prng.h"
#include "base/result.h"

namespace wb::sim {

enum class Kind : uint8_t {
  kGood,
  kRetrained,
  kSwapped,  // its model was trained with the columns in the wrong order
  kDeadly,   // the process does not live long with it (the simulated node ends it)
  kPicky,    // needs what the agents on some nodes do not know: does not load there
};
inline constexpr std::string_view kPickyMark = "# needs a newer agent";

// 32 bytes: the simulated publisher's private key.
const std::string& publisher_seed();
Result<Bytes> make_release(Kind kind, const std::string& version);

// What a dead letter says before the number of its reading.
inline constexpr std::string_view kUnreadable = "unreadable ";

// One reading: NDJSON-like columns heat in [0, 100), spin in [200, 300), id exact up to 2^53.
struct Reading {
  double heat = 0;
  double spin = 0;
};
Reading draw_reading(Prng& prng);

}  // namespace wb::sim
