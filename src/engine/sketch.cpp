// Quantile sketches of training data: small enough to travel with every release, good enough to say "this is new".
#include <algorithm>
#include <cmath>

#include "engine/engine.h"

namespace wb::engine {

FeatureSketch make_sketch(std::string name, std::span<const float> values, size_t bins) {
  FeatureSketch sketch;
  sketch.name = std::move(name);
  std::vector<float> sorted;
  for (const float value : values) {
    if (std::isfinite(value)) sorted.push_back(value);
  }
  sketch.missing = values.size() - sorted.size();
  std::sort(sorted.begin(), sorted.end());
  bins = std::clamp<size_t>(bins, 1, limits::kSketchEdgesMax + 1);
  if (!sorted.empty()) {
    sketch.min = sorted.front();
    sketch.max = sorted.back();
    for (size_t bin = 1; bin < bins; ++bin) {
      const double edge = sorted[sorted.size() * bin / bins];
      // An edge at the minimum would leave an empty first bin; repeated values give one edge.
      if (edge > sketch.min && (sketch.edges.empty() || edge > sketch.edges.back())) sketch.edges.push_back(edge);
    }
  }
  sketch.counts.assign(sketch.edges.size() + 1, 0);
  for (const float value : sorted) {
    const auto bin = std::upper_bound(sketch.edges.begin(), sketch.edges.end(), static_cast<double>(value));
    ++sketch.counts[static_cast<size_t>(bin - sketch.edges.begin())];
  }
  return sketch;
}

size_t confidence_bin(double confidence) {
  if (!(confidence > 0)) return 0;
  const double scaled = confidence * static_cast<double>(ReferenceScores::kConfidenceBins);
  return std::min<size_t>(static_cast<size_t>(std::min(scaled, 1e6)), ReferenceScores::kConfidenceBins - 1);
}

}  // namespace wb::engine
