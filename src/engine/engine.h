#pragma once
// The engine: one trained tree ensemble, read from a `.wbm` package (docs/formats/model.md) and asked for answers.
//
// The promise is exactness: margins are the same bits as XGBoost's own, on every row, on every machine. XGBoost
// compares with `<` in f32, sends missing values along each node's default side, and adds leaves in tree order starting
// from the base margin; so do we, whatever the fast path does in between. reference.h is the slow obvious twin it is
// tested against.
//
// Model is immutable after load(): any number of threads may predict at once. Nothing here allocates while predicting.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/model.h"

namespace wb::engine {

// What one number looked like in training: quantile bins. Bin i holds values v with edges[i-1] <= v < edges[i].
struct FeatureSketch {
  std::string name;
  std::vector<double> edges;     // strictly ascending inner edges
  std::vector<uint64_t> counts;  // edges + 1
  double min = 0;                // of the finite values; min <= max
  double max = 0;
  uint64_t missing = 0;  // NaN cells
  friend bool operator==(const FeatureSketch&, const FeatureSketch&) = default;
};

// Sketch of f32[values] with at most `bins` bins of about equal count (fewer if values repeat).
FeatureSketch make_sketch(std::string name, std::span<const float> values, size_t bins);

// What the model answered on rows it was not trained on.
struct ReferenceScores {
  static constexpr size_t kConfidenceBins = 20;  // equal bins over [0, 1]; confidence 1 is in the last
  uint64_t records = 0;
  std::array<uint64_t, kConfidenceBins> confidence_bins{};  // of the highest probability; all 0 for regression
  std::vector<uint64_t> label_counts;                       // answers given, one per label
  FeatureSketch prediction;                                 // of the answers; used for regression, else empty
  friend bool operator==(const ReferenceScores&, const ReferenceScores&) = default;
};
// The bin of ReferenceScores::confidence_bins; NaN is in the first.
size_t confidence_bin(double confidence);

// Rows and the margins that they must give, bit for bit, wherever the model is loaded.
struct SelfTest {
  std::vector<float> rows;            // f32[rows_count, features], row-major, NaN = missing
  std::vector<uint32_t> margin_bits;  // u32[rows_count, outputs], the bits of f32
  friend bool operator==(const SelfTest&, const SelfTest&) = default;
};

// Everything that a package holds, as plain values: what pack() takes and unpack() gives. A description, and what
// travels beside it.
struct PlainModel : Description {
  bool missing_allowed = false;         // NaN was seen, as "missing", in training
  std::vector<FeatureSketch> sketches;  // one per feature, or none
  ReferenceScores reference_scores;
  SelfTest self_test;
  std::vector<std::pair<std::string, std::string>> notes;  // for people: "trainer", "rows", …
};

// The package's bytes. The same model gives the same bytes, everywhere. Refuses what unpack() would refuse.
Result<std::string> pack(const PlainModel& model);
// Checks every byte and count before it allocates; kCorrupt or kUnsupported say what is wrong and where.
Result<PlainModel> unpack(std::string_view bytes);

class Model {
 public:
  // The .wbm package. Does not run the self-test: verify_self_test() does.
  static Result<Model> load(std::string_view bytes);

  const std::vector<std::string>& features() const { return about_.features; }
  const std::vector<std::string>& labels() const { return about_.labels; }
  Objective objective() const { return about_.objective; }
  bool missing_allowed() const { return about_.missing_allowed; }
  size_t features_count() const { return about_.features.size(); }
  size_t outputs_count() const { return about_.base_margins.size(); }  // margins per row
  size_t answers_count() const {
    return about_.answers_count();
  }  // probabilities per row: one per label, or 1 for regression
  size_t trees_count() const { return trees_.size(); }
  size_t nodes_count() const { return nodes_.size(); }

  // rows: f32[n, features], row-major, NaN = missing. margins: f32[n, outputs]. Sizes are asserted.
  void predict_margins(std::span<const float> rows, size_t n, std::span<float> margins) const;
  // margins: f32[n, outputs] → probs: f32[n, answers]. For regression a copy. Same bits on every machine: the
  // exponential is our own, because libm's differ.
  void probabilities(std::span<const float> margins, std::span<float> probs) const;

  const std::vector<FeatureSketch>& sketches() const { return about_.sketches; }
  const ReferenceScores& reference_scores() const { return about_.reference_scores; }
  const SelfTest& self_test() const { return about_.self_test; }
  const std::vector<std::pair<std::string, std::string>>& notes() const { return about_.notes; }
  // Runs the self-test rows; kCorrupt names the first row whose margins differ in any bit.
  Status verify_self_test() const { return verify(about_.self_test); }
  Status verify(const SelfTest& test) const;

  const std::string& bytes() const { return bytes_; }  // the package as it was loaded

 private:
  // 8 bytes. The left child is the next node; the right child is `right` nodes further on. A leaf has right = 0 and
  // reads the extra slot behind the features, which holds +inf: +inf < value never holds, so a leaf steps onto itself
  // and a walk needs no test for leaves, only the tree's depth.
  struct Node {
    float value;
    uint16_t feature;
    uint16_t right;
  };
  struct FlatTree {
    uint32_t root;
    uint16_t output;
    uint16_t depth;
  };
  Model() = default;
  void flatten(const Tree& tree);
  void predict_block(const float* rows, float* margins) const;
  void predict_one(const float* row, float* margins) const;
  void predict_missing(const float* row, float* margins) const;

  PlainModel about_;  // its trees are moved into the flat form below
  std::vector<Node> nodes_;
  std::vector<bool> default_left_;  // by node
  std::vector<FlatTree> trees_;
  std::string bytes_;
};

}  // namespace wb::engine
