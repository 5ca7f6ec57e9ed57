#pragma once
// infer: features → scores with a confidence. Takes the columns that the model names out of a batch, converts them to
// f32 (a text to its number in the model; one that it does not know is unlike all that it has seen), predicts, and says
// for each row what the model answered, how sure it is, and how unlike the training data the row is.
//
// A row with NaN or an infinity in a feature (also one that overflows f32) is "not finite": label -1, confidence 0,
// never confident; the router sends it by its own rule. NaN passes as "missing" only if the model says that it expects
// missing.
//
// Novelty, ≥ 0, in standard deviations of surprise: each feature's surprise is −log2 of the probability of its quantile
// bin in the training sketch; a value outside the training range [min, max] counts as log2(N + 1) bits (rule of
// succession) plus log2(1 + distance / range). The sum over features minus its expectation, divided by its standard
// deviation (at least kNoveltySpreadMin bits a feature), cut at 0. A model without sketches has novelty 0 for every
// row.
//
// One caller at a time: run() reuses buffers of the Inferrer.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/document.h"
#include "base/result.h"
#include "engine/engine.h"
#include "record/record.h"

namespace wb::infer {

inline constexpr double kNoveltySpreadMin = 0.5;

// Columns, one entry per row of the batch.
struct Scored {
  std::vector<int32_t> label;     // index into Inferrer::labels(); -1: regression, or not finite
  std::vector<float> score;       // probability of the label, or the value for regression; 0 if not finite
  std::vector<float> confidence;  // in [0, 1]: the top probability; 1 for regression; 0 if not finite
  std::vector<float> novelty;     // ≥ 0
  std::vector<uint8_t> finite;    // 0 or 1
  uint64_t not_finite_count = 0;
};

class Inferrer {
 public:
  // Features are matched by name; a missing or non-number column is a problem at `at` with the nearest name.
  static Result<Inferrer> build(engine::Model model, const Schema& in, Position at, Problems& problems);

  void run(const Batch& batch, Scored& out);       // batch.schema is the one given to build()
  const std::vector<std::string>& labels() const;  // empty for regression
  const engine::Model& model() const { return model_; }

 private:
  struct Feature {
    size_t column = 0;
    double min = 0, max = 0;          // training range
    double outside_bits = 0;          // surprise of a value outside it, minus expectation
    std::vector<double> edges;        // ascending inner edges of the bins
    std::vector<double> excess_bits;  // [edges + 1] surprise of the bin minus expectation
  };
  explicit Inferrer(engine::Model model) : model_(std::move(model)) {}
  void learn_sketches();
  void gather(const Batch& batch, Scored& out);
  void ask(size_t rows);
  void judge(size_t row, Scored& out) const;
  float novelty_of(const float* row) const;

  engine::Model model_;
  std::vector<Feature> features_;
  double spread_ = 0;           // standard deviation of the summed surprise; 0: no sketches
  std::vector<float> inputs_;   // f32[rows, features], row-major, NaN = missing
  std::vector<float> margins_;  // f32[rows, outputs]
  std::vector<float> narrow_answers_;
  std::vector<double> wide_inputs_;   // f64[rows, features]: for a model that computes in f64
  std::vector<double> wide_margins_;  // f64[rows, outputs]
  std::vector<double> answers_;       // f64[rows, answers]
};

}  // namespace wb::infer
