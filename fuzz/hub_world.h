#pragma once
// A small hub with everything in it, for the targets that start from one: two nodes, a token, a trusted key, a release,
// a rollout, records, events, answers kept for retries.

#include "base/memory_rows.h"
#include "hub/api/http.h"

namespace wb::fuzz {

inline constexpr Moment kHubNow{{10 * kNsPerSecond}, 1'700'000'000'000};
// Its rows, made once. `digest` is the release's.
const MemoryRows::Snapshot& hub_rows();
const std::string& hub_release_digest();
const std::string& hub_release_artifact();
// A report as node n1 would give it.
wire::ExchangeRequest hub_report();

}  // namespace wb::fuzz
