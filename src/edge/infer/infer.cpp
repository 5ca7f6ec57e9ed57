#include "edge/infer/infer.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/bytes.h"

namespace wb::infer {

Result<Inferrer> Inferrer::build(engine::Model model, const Schema& in, Position at, Problems& problems) {
  const size_t before = problems.items().size();
  Inferrer out(std::move(model));
  if (out.model_.answers_count() > 1 && out.model_.labels().empty()) {
    problems.add(at, "infer: the model answers " + std::to_string(out.model_.answers_count()) +
                         " values a row, and a pipeline routes by one; use a model with one output");
  }
  const std::vector<std::string> names = in.names();
  for (size_t i = 0; i < out.model_.features_count(); ++i) {
    const std::string& name = out.model_.features()[i];
    const bool text = !out.model_.texts(i).empty();
    const int column = in.index_of(name);
    if (column < 0) {
      problems.add(at, std::string("infer: the model needs a ") + (text ? "text" : "number") + " column '" + name +
                           "', which does not arrive here" + suggestion(name, names));
      continue;
    }
    if ((in.fields[static_cast<size_t>(column)].type == ColumnType::kText) != text) {
      problems.add(at, "infer: the model needs column '" + name + "' as " +
                           (text ? "text, but it is a number" : "a number, but it is text") +
                           "; add a cast before infer");
      continue;
    }
    Feature feature;
    feature.column = static_cast<size_t>(column);
    out.features_.push_back(std::move(feature));
  }
  if (problems.items().size() > before) return fail(Code::kInvalid, "the columns do not fit the model");
  out.learn_sketches();
  return out;
}

// Turns each sketch into bits per bin, so that a row costs one search per feature.
void Inferrer::learn_sketches() {
  const std::vector<engine::FeatureSketch>& sketches = model_.sketches();
  if (sketches.size() != features_.size()) return;
  double variance_sum = 0;
  for (size_t i = 0; i < features_.size(); ++i) {
    const engine::FeatureSketch& sketch = sketches[i];
    Feature& feature = features_[i];
    double total = 0;
    for (const uint64_t count : sketch.counts) total += static_cast<double>(count);
    const double cells =
        total + 0.5 * static_cast<double>(sketch.counts.size());  // Krichevsky–Trofimov: no bin is impossible
    double expected = 0;
    double squares = 0;
    for (const uint64_t count : sketch.counts) {
      const double probability = (static_cast<double>(count) + 0.5) / cells;
      const double bits = -std::log2(probability);
      feature.excess_bits.push_back(bits);
      expected += probability * bits;
      squares += probability * bits * bits;
    }
    for (double& bits : feature.excess_bits) bits -= expected;
    variance_sum += std::max(squares - expected * expected, kNoveltySpreadMin * kNoveltySpreadMin);
    feature.edges = sketch.edges;
    feature.min = sketch.min;
    feature.max = sketch.max;
    feature.outside_bits = std::log2(total + 1) - expected;
  }
  spread_ = std::sqrt(variance_sum);
}

const std::vector<std::string>& Inferrer::labels() const { return model_.labels(); }

// Columns → f32 rows, and which rows the model may be asked about.
void Inferrer::gather(const Batch& batch, Scored& out) {
  const size_t rows = batch.rows_count();
  const size_t width = features_.size();
  const bool missing_allowed = model_.missing_allowed();
  inputs_.resize(rows * width);
  if (model_.computes_f64()) wide_inputs_.resize(rows * width);
  out.finite.assign(rows, 1);
  for (size_t i = 0; i < width; ++i) {
    const Column& column = batch.columns[features_[i].column];
    const std::span<const std::string> texts = model_.texts(i);
    for (size_t row = 0; row < rows; ++row) {
      const double number = texts.empty() ? column.numbers[row] : engine::text_number(texts, column.texts[row]);
      // A double beyond f32's range has no defined conversion: it is an infinity to the model.
      const bool fits = std::abs(number) <= static_cast<double>(std::numeric_limits<float>::max());
      const bool usable = fits || (missing_allowed && std::isnan(number));
      if (!usable) out.finite[row] = 0;
      inputs_[row * width + i] = fits ? static_cast<float>(number) : std::numeric_limits<float>::quiet_NaN();
      if (model_.computes_f64()) wide_inputs_[row * width + i] = number;
    }
  }
}

float Inferrer::novelty_of(const float* row) const {
  if (!(spread_ > 0)) return 0;
  double bits = 0;
  for (size_t i = 0; i < features_.size(); ++i) {
    const double number = static_cast<double>(row[i]);
    const Feature& feature = features_[i];
    if (std::isnan(number) || feature.excess_bits.empty()) continue;  // an expected missing value is not news
    if (number < feature.min || number > feature.max) {
      const double distance = number < feature.min ? feature.min - number : number - feature.max;
      const double range = feature.max - feature.min;
      bits += feature.outside_bits + std::log2(1 + (range > 0 ? distance / range : 1));
      continue;
    }
    const auto bin = std::upper_bound(feature.edges.begin(), feature.edges.end(), number) - feature.edges.begin();
    bits += feature.excess_bits[static_cast<size_t>(bin)];
  }
  return bits > 0 ? static_cast<float>(bits / spread_) : 0;
}

void Inferrer::judge(size_t row, Scored& out) const {
  const size_t answers = model_.answers_count();
  const double* probabilities = answers_.data() + row * answers;
  if (model_.labels().empty()) {
    out.score[row] = static_cast<float>(probabilities[0]);
    out.confidence[row] = 1;
  } else {
    size_t best = 0;
    for (size_t i = 1; i < answers; ++i)
      if (probabilities[i] > probabilities[best]) best = i;
    out.label[row] = static_cast<int32_t>(best);
    out.score[row] = static_cast<float>(probabilities[best]);
    out.confidence[row] = std::clamp(out.score[row], 0.0F, 1.0F);
  }
  out.novelty[row] = novelty_of(inputs_.data() + row * features_.size());
  if (!std::isfinite(out.score[row])) out.finite[row] = 0;
}

// The label is what is largest in the precision of the model's library.
void Inferrer::ask(size_t rows) {
  answers_.resize(rows * model_.answers_count());
  if (model_.computes_f64()) {
    wide_margins_.resize(rows * model_.outputs_count());
    model_.predict_margins(wide_inputs_, rows, wide_margins_);
    model_.probabilities(wide_margins_, answers_);
    return;
  }
  margins_.resize(rows * model_.outputs_count());
  narrow_answers_.resize(answers_.size());
  model_.predict_margins(inputs_, rows, margins_);
  model_.probabilities(margins_, narrow_answers_);
  std::copy(narrow_answers_.begin(), narrow_answers_.end(), answers_.begin());
}

void Inferrer::run(const Batch& batch, Scored& out) {
  const size_t rows = batch.rows_count();
  gather(batch, out);
  ask(rows);
  out.label.assign(rows, -1);
  out.score.assign(rows, 0);
  out.confidence.assign(rows, 0);
  out.novelty.assign(rows, 0);
  out.not_finite_count = 0;
  for (size_t row = 0; row < rows; ++row) {
    if (out.finite[row] != 0) judge(row, out);
    if (out.finite[row] != 0) continue;
    out.label[row] = -1;
    out.score[row] = out.confidence[row] = out.novelty[row] = 0;
    ++out.not_finite_count;
  }
}

}  // namespace wb::infer
