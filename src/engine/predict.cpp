// The door's side of predicting: rows in, margins and answers out, each row prepared if the model asks for it.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "engine/engine.h"
#include "engine/predictors.h"
#include "engine/reader.h"

namespace wb::engine {

Result<Model> Model::load(std::string_view bytes) {
  WB_TRY(format::Unpacked unpacked, format::read_package(bytes));
  Model model;
  model.forest_ = Forest(unpacked.forest, unpacked.model);
  model.about_ = std::move(unpacked.model);
  model.bytes_ = bytes;
  return model;
}

template <class Column, class Number>
void Model::predict_columns(std::span<const Column> rows, size_t n, std::span<Number> margins) const {
  if (!about_.lines.empty()) return predict_lines(about_, rows, margins);
  if (about_.is_ensemble()) return forest_.predict(rows, n, margins);
  if (std::holds_alternative<Network>(about_.predictor)) return predict_network(about_, rows, margins);
  predict_neighbours(about_, rows, margins);
}

template <class Number>
void Model::predict_rows(std::span<const Number> rows, size_t n, std::span<Number> margins) const {
  const size_t features = features_count();
  const size_t outputs = outputs_count();
  WB_ASSERT(rows.size() == n * features && margins.size() == n * outputs);
  if (about_.steps.empty()) return predict_columns(rows, n, margins);
  // As many rows at once as a block has.
  std::vector<double> row;
  std::vector<double> prepared;
  for (size_t first = 0; first < n; first += kernels::kRows) {
    const size_t count = std::min(kernels::kRows, n - first);
    prepared.clear();
    for (size_t i = first; i < first + count; ++i) {
      const std::span<const Number> from = rows.subspan(i * features, features);
      row.assign(from.begin(), from.end());
      prepare_row(about_, row);
      prepared.insert(prepared.end(), row.begin(), row.end());
    }
    predict_columns(std::span<const double>(prepared), count, margins.subspan(first * outputs, count * outputs));
  }
}

void Model::predict_margins(std::span<const float> rows, size_t n, std::span<float> margins) const {
  predict_rows(rows, n, margins);
}
void Model::predict_margins(std::span<const double> rows, size_t n, std::span<double> margins) const {
  predict_rows(rows, n, margins);
}

void Model::probabilities(std::span<const double> margins, std::span<double> probs) const {
  answers_of(about_, margins, probs);
}

void Model::probabilities(std::span<const float> margins, std::span<float> probs) const {
  const size_t outputs = outputs_count();
  const size_t answers = answers_count();
  const size_t n = margins.size() / outputs;
  WB_ASSERT(margins.size() == n * outputs && probs.size() == n * answers);
  std::array<double, limits::kOutputsMax> from;
  std::array<double, limits::kOutputsMax> into;
  static_assert(limits::kOutputsMax >= 2);  // the two answers of one logistic margin
  for (size_t row = 0; row < n; ++row) {
    std::copy_n(margins.begin() + static_cast<ptrdiff_t>(row * outputs), outputs, from.begin());
    answers_of(about_, std::span(from).first(outputs), std::span(into).first(answers));
    for (size_t i = 0; i < answers; ++i) probs[row * answers + i] = static_cast<float>(into[i]);
  }
}

Status Model::verify(const SelfTest& test) const {
  const size_t rows = test.margins.size() / outputs_count();
  if (test.margins.size() != rows * outputs_count() || test.rows.size() != rows * features_count()) {
    return fail(Code::kInvalid, "self-test: rows and margins do not match the model's shape");
  }
  std::vector<double> margins(test.margins.size());
  if (computes_f64()) {
    predict_margins(test.rows, rows, margins);
  } else {
    std::vector<float> narrow_rows;
    for (const double value : test.rows) narrow_rows.push_back(static_cast<float>(value));
    std::vector<float> narrow(margins.size());
    predict_margins(narrow_rows, rows, narrow);
    std::copy(narrow.begin(), narrow.end(), margins.begin());
  }
  for (size_t i = 0; i < margins.size(); ++i) {
    const bool both_nan = std::isnan(margins[i]) && std::isnan(test.margins[i]);
    if (!both_nan && std::bit_cast<uint64_t>(margins[i]) != std::bit_cast<uint64_t>(test.margins[i])) {
      return fail(Code::kCorrupt, "self-test: row ", std::to_string(i / outputs_count()), ", output ",
                  std::to_string(i % outputs_count()), " differs from what was recorded; this model must not run here");
    }
  }
  return ok_status();
}

}  // namespace wb::engine
