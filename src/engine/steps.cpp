// Preparing a row: features → columns. In the precision that the description names, each operation rounded once, in the
// order in which the library does them.
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/model.h"

namespace wb::engine {
namespace {

// NaN stays NaN.
template <class Number>
double scaled(double value, const Scale& scale, size_t i) {
  const auto x = static_cast<Number>(value);
  const auto a = static_cast<Number>(scale.a[i]);
  const auto b = static_cast<Number>(scale.b[i]);
  switch (scale.form) {
    case Scale::Form::kShiftDivide: return static_cast<double>((x - a) / b);
    case Scale::Form::kShiftMultiply: return static_cast<double>((x - a) * b);
    case Scale::Form::kMultiplyShift: return static_cast<double>(x * a + b);
  }
  return value;
}

// The position of a category, or how many there are.
size_t position_of(double value, const std::vector<double>& categories) {
  return static_cast<size_t>(std::find(categories.begin(), categories.end(), value) - categories.begin());
}

void take(const Step& step, Precision precision, std::vector<double>& row) {
  if (const auto* select = std::get_if<Select>(&step)) {
    std::vector<double> taken;
    taken.reserve(select->columns.size());
    for (const uint32_t column : select->columns) taken.push_back(row[column]);
    row = std::move(taken);
  } else if (const auto* scale = std::get_if<Scale>(&step)) {
    for (size_t i = 0; i < scale->columns.size(); ++i) {
      double& value = row[scale->columns[i]];
      value = precision == Precision::kF32 ? scaled<float>(value, *scale, i) : scaled<double>(value, *scale, i);
    }
  } else if (const auto* impute = std::get_if<Impute>(&step)) {
    for (size_t i = 0; i < impute->columns.size(); ++i) {
      double& value = row[impute->columns[i]];
      if (std::isnan(value)) value = impute->values[i];
    }
  } else if (const auto* ordinal = std::get_if<Ordinal>(&step)) {
    double& value = row[ordinal->column];
    const size_t position = position_of(value, ordinal->categories);
    const bool missing = std::isnan(value);
    if (!missing) value = position < ordinal->categories.size() ? static_cast<double>(position) : ordinal->unknown;
  } else if (const auto* one_hot = std::get_if<OneHot>(&step)) {
    const size_t position = position_of(row[one_hot->column], one_hot->categories);
    row.erase(row.begin() + one_hot->column);
    row.resize(row.size() + one_hot->categories.size(), 0.0);
    if (position < one_hot->categories.size()) row[row.size() - one_hot->categories.size() + position] = 1.0;
  }
}

}  // namespace

double text_number(std::span<const std::string> texts, std::string_view text) {
  if (text.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto found = std::find(texts.begin(), texts.end(), text);
  return found == texts.end() ? kUnknownText : static_cast<double>(found - texts.begin());
}

bool computes_f64(const Description& model) {
  const bool prepares = !model.steps.empty() && model.steps_precision == Precision::kF64;
  return prepares || model.compare == Compare::kF64LessEqual || model.sum.precision == Precision::kF64;
}

size_t columns_count(const Description& model) {
  size_t width = model.features.size();
  for (const Step& step : model.steps) {
    if (const auto* select = std::get_if<Select>(&step)) width = select->columns.size();
    if (const auto* one_hot = std::get_if<OneHot>(&step)) width += one_hot->categories.size() - 1;
  }
  return width;
}

void prepare_row(const Description& model, std::vector<double>& row) {
  if (model.steps.empty()) return;
  if (model.steps_precision == Precision::kF32) {
    for (double& value : row) value = static_cast<double>(static_cast<float>(value));
  }
  for (const Step& step : model.steps) take(step, model.steps_precision, row);
}

}  // namespace wb::engine
