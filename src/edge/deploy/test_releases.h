#pragma once
// Small signed releases for tests.

#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/signature.h"
#include "edge/deploy/deploy.h"

namespace wb::deploy {

inline const std::string kTestSeed(32, 's');

inline Bytes test_release(const std::string& version, const wire::ScoreSketch& reference = {},
                          size_t padding = 100'000) {
  wire::ReleaseContent content;
  content.manifest.set_name("pump");
  content.manifest.set_version(version);
  *content.manifest.mutable_reference_scores() = reference;
  content.contents = {{"pipeline.yaml", "name: pump\n# " + version + "\n"}, {"padding", std::string(padding, 'p')}};
  return *wire::build_release(std::move(content), kTestSeed);
}

inline wire::Desired test_desired(uint64_t generation, const std::string& version, const Bytes& artifact) {
  wire::Desired desired;
  desired.set_generation(generation);
  desired.set_digest(sha256_hex(artifact));
  desired.set_name("pump@" + version);
  desired.set_size_bytes(artifact.size());
  desired.set_probation_records(100);
  desired.set_probation_ms(60'000);
  return desired;
}

// n records: labels "1".."7" by percent, confidence around `confidence` percent, novelty in quarter units.
inline wire::ScoreSketch test_scores(uint64_t n, const std::vector<uint64_t>& label_percent,
                                     uint64_t confidence_percent, uint64_t novelty_bin, uint64_t errors = 0) {
  wire::ScoreSketch sketch;
  sketch.set_records(n);
  sketch.set_errors(errors);
  const uint64_t scored = n - errors;
  for (size_t i = 0; i < label_percent.size(); ++i) {
    sketch.add_labels(std::to_string(i + 1));
    sketch.add_label_counts(scored * label_percent[i] / 100);
  }
  for (int i = 0; i < 20; ++i) sketch.add_confidence_bins(0);
  const int peak = static_cast<int>(std::min<uint64_t>(confidence_percent / 5, 19));
  sketch.set_confidence_bins(peak, scored * 8 / 10);
  sketch.set_confidence_bins(std::max(peak - 2, 0), sketch.confidence_bins(std::max(peak - 2, 0)) + scored * 2 / 10);
  for (int i = 0; i < 20; ++i) sketch.add_novelty_bins(static_cast<uint64_t>(i) == novelty_bin ? scored : 0);
  for (int i = 0; i < 24; ++i) sketch.add_latency_bins_us(i == 4 ? scored : 0);
  return sketch;
}

}  // namespace wb::deploy
