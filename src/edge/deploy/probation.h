#pragma once
// The probation gate: may the candidate, which has run as a shadow beside the incumbent on live data, take its place?
//
// Both saw the same records, so the incumbent is the control: weather, load and a broken sensor move both. A retrained
// model may well differ from the incumbent, and a drifted world differs from every training set; so a distribution
// counts against the candidate only if it is far from the incumbent AND far from what the release itself says it should
// look like (its reference sketch). A first release has no incumbent and is compared with its reference alone.
//
// Distances: labels have no order, so total variation (half the sum of |p - q|). Confidence and novelty bins are
// ordered, so the earth mover's distance in bins (the sum of |CDF difference|): a peak that moves to the next bin is a
// small change there and would be a total one under total variation. All in integers (parts per million), so every node
// decides alike.

#include <cstdint>
#include <string>

#include "wire/wire.h"

namespace wb::deploy {

// Each with the harm it prevents. Chosen coarse on purpose: the gate exists to catch a release that is broken on this
// node; finer judgement over many nodes is the rollout's.
struct Thresholds {
  // Below this many scored records nothing is decided at all (promise F4): no data is never a verdict.
  uint64_t records_min = 30;
  // A failure may be decided early from this many on, or from probation_records if that is less.
  uint64_t early_records = 200;
  // Tolerated extra errors: this share of the records, plus three standard deviations (Poisson) of what the incumbent
  // made.
  uint64_t error_ppm = 10'000;
  // Median latency may be this many powers of two slower than the incumbent's: 4 = sixteen times. The median, because
  // among thirty records one batch that had to wait for its processor is more than the slowest twentieth.
  uint64_t latency_bins = 4;
  // Half the sum of label share differences: 0.20 = one record in five gets another label.
  uint64_t label_ppm = 200'000;
  // Mean displacement of confidence: 3 bins = 0.15.
  uint64_t confidence_bins_ppm = 3'000'000;
  // Mean displacement of novelty: 4 bins = 1.0.
  uint64_t novelty_bins_ppm = 4'000'000;
};

struct Probation {
  const wire::ScoreSketch* candidate = nullptr;  // cumulative since probation began
  const wire::ScoreSketch* incumbent = nullptr;  // over the same records; nullptr or empty = there is none
  const wire::ScoreSketch* reference = nullptr;  // of the release; may be empty
  uint64_t records_wanted = 0;                   // probation_records of the desired state
  bool time_is_up = false;                       // probation_ms has passed
};

struct Verdict {
  enum class Kind : uint8_t { kWait, kPass, kFail };
  Kind kind = Kind::kWait;
  std::string code;  // of a failure: "DEPLOY_FAILED/PROBATION/SCORE_DRIFT"
  std::string text;  // for a person: what was measured against what, or what is waited for
};

Verdict judge(const Probation& probation, const Thresholds& thresholds);

// Distances, for the judge and its tests. Parts per million; kNoDistance if either side is empty.
inline constexpr uint64_t kNoDistance = ~uint64_t{0};
uint64_t label_distance_ppm(const wire::ScoreSketch& a, const wire::ScoreSketch& b);
uint64_t confidence_distance_ppm(const wire::ScoreSketch& a, const wire::ScoreSketch& b);  // ppm of one bin
uint64_t novelty_distance_ppm(const wire::ScoreSketch& a, const wire::ScoreSketch& b);     // ppm of one bin

}  // namespace wb::deploy
