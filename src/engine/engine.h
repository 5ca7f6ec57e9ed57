#pragma once
// The engine: one trained model, read from a `.wbm` package (docs/formats/model.md) and asked for answers.
//
// The promise is exactness: margins are the same bits as those of the library that trained the model, on every row and
// every machine. model.h says how libraries differ, reference.h is the slow obvious twin that follows it, ranked.h and
// forest.h are the fast way to the same bits. explain.h says why: contributions of features to a margin.
//
// Model is immutable after load(): any number of threads may predict at once. Nothing here allocates while predicting,
// unless the model prepares its rows (steps) or has leaves that are lines.

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/explain.h"
#include "engine/forest.h"
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

// Rows and the margins that they must give, bit for bit, wherever the model is loaded. Numbers of a model that computes
// in f32 are f32 (computes_f64() in model.h). One NaN is like another: which bits it has depends on the processor.
struct SelfTest {
  std::vector<double> rows;     // f64[rows_count, features], row-major, NaN = missing
  std::vector<double> margins;  // f64[rows_count, outputs]
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
  // What feature i may say if it is a text (Description::texts); nothing if it is a number.
  std::span<const std::string> texts(size_t i) const {
    return about_.texts.empty() ? std::span<const std::string>() : about_.texts[i];
  }
  const std::vector<std::string>& labels() const { return about_.labels; }
  Objective objective() const { return about_.objective; }
  bool missing_allowed() const { return about_.missing_allowed; }
  bool computes_f64() const { return engine::computes_f64(about_); }  // then ask with f64
  // Whether margins are sums in f64: their shortest decimals are then those of an f64.
  bool sums_f64() const { return about_.sum.precision == Precision::kF64; }
  size_t features_count() const { return about_.features.size(); }
  size_t outputs_count() const { return about_.base_margins.size(); }  // margins per row
  size_t answers_count() const {
    return about_.answers_count();
  }  // probabilities per row: one per label, or 1 for regression
  const Predictor& predictor() const { return about_.predictor; }
  size_t lines_count() const { return about_.lines.size(); }  // leaves that are lines
  size_t trees_count() const { return forest_.trees_count(); }
  size_t nodes_count() const { return forest_.nodes_count(); }
  size_t forest_memory_bytes() const { return forest_.memory_bytes(); }

  // rows: [n, features], row-major, NaN = missing. margins: [n, outputs]. Sizes are asserted. The model computes in the
  // precision of its library; what is asked in f32 loses nothing unless it computes_f64().
  void predict_margins(std::span<const float> rows, size_t n, std::span<float> margins) const;
  void predict_margins(std::span<const double> rows, size_t n, std::span<double> margins) const;
  // margins: [n, outputs] → answers: [n, answers]: probabilities, or values for models without labels.
  void probabilities(std::span<const float> margins, std::span<float> probs) const;
  void probabilities(std::span<const double> margins, std::span<double> probs) const;

  const std::vector<FeatureSketch>& sketches() const { return about_.sketches; }
  const ReferenceScores& reference_scores() const { return about_.reference_scores; }
  const SelfTest& self_test() const { return about_.self_test; }
  const std::vector<std::pair<std::string, std::string>>& notes() const { return about_.notes; }
  // Runs the self-test rows, in f64 if the model computes_f64(), else in f32: as a node does. kCorrupt names the first
  // row whose margins differ in any bit.
  Status verify_self_test() const { return verify(about_.self_test); }
  Status verify(const SelfTest& test) const;

  const std::string& bytes() const { return bytes_; }  // the package as it was loaded

 private:
  Model() = default;
  template <class Column, class Number>
  void predict_columns(std::span<const Column> rows, size_t n, std::span<Number> margins) const;
  template <class Number>
  void predict_rows(std::span<const Number> rows, size_t n, std::span<Number> margins) const;

  PlainModel about_;  // without its trees, unless their leaves are lines
  Forest forest_;
  std::string bytes_;
};

}  // namespace wb::engine
