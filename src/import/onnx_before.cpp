// What stands before the predictor: columns are chosen, or changed one by one.
#include <algorithm>
#include <cmath>
#include <limits>

#include "import/onnx_graph.h"

namespace wb::imports::onnx {
namespace {

// Whole numbers below it are f32s, and what is not below it rounds to nothing below it.
constexpr double kWholeMax = 1 << 24;

}  // namespace

Status Graph::cast(const Node& node, Columns columns) {
  const auto to = static_cast<Type>(whole_or(node, "to", 0));
  if (to != Type::kFloat && to != Type::kDouble && !(is_whole(to) && is_whole(columns.type)))
    return refuse(
        node, "turns ", type_name(columns.type), " into ", type_name(to),
        is_whole(to) ? ", which cuts off fractions, as no step of the engine does; declare the input as int64" : "");
  columns.narrowed = columns.narrowed || to == Type::kFloat;
  columns.type = to;
  return give(node, std::move(columns));
}

Status spread(const Node& node, std::vector<double> numbers, size_t width, std::vector<double>& into) {
  if (numbers.size() == 1) numbers.resize(width, numbers[0]);
  if (numbers.size() != width)
    return fault(node, std::to_string(numbers.size()), " numbers for ", std::to_string(width), " columns");
  into = std::move(numbers);
  return ok_status();
}

namespace {

// The next thing that is computed, if it is so in the precision of what came before.
Status note_computed(const Node& node, Columns& columns) {
  const bool wide = columns.type == Type::kDouble;
  const Computed now = wide ? Computed::kF64 : Computed::kF32;
  if ((wide && columns.narrowed) || (columns.computed != Computed::kNot && columns.computed != now))
    return refuse(node,
                  "computes in another precision than its column had before; the engine's steps have one for all");
  columns.computed = now;
  return ok_status();
}

Status change(const Node& node, Columns& columns, engine::Scale::Form form, const std::vector<double>& a,
              const std::vector<double>& b) {
  WB_CHECK(note_computed(node, columns));
  for (size_t i = 0; i < columns.columns.size(); ++i) {
    std::vector<Change>& changes = columns.columns[i].changes;
    if (!changes.empty() && changes.back().kind == Change::Kind::kOneHot)
      return refuse(node, "computes with one-hot columns, which only trees may take");
    Change next;
    next.form = form;
    next.a = a[i];
    next.b = b[i];
    changes.push_back(next);
  }
  return ok_status();
}

}  // namespace

Status Graph::scale(const Node& node, Columns columns) {
  const Attribute* offset = node.find("offset");
  const Attribute* factor = node.find("scale");
  if (offset == nullptr || factor == nullptr) return fault(node, "needs an offset and a scale");
  if (columns.type == Type::kDouble)
    return refuse(node, "computes in f64 and stores f32, as no step of the engine does");
  std::vector<double> a;
  std::vector<double> b;
  WB_CHECK(spread(node, widened(offset->numbers), columns.columns.size(), a));
  WB_CHECK(spread(node, widened(factor->numbers), columns.columns.size(), b));
  WB_CHECK(change(node, columns, engine::Scale::Form::kShiftMultiply, a, b));
  columns.type = Type::kFloat;
  columns.narrowed = true;
  return give(node, std::move(columns));
}

// Add, Sub, Mul and Div with a constant: exactly one rounding each, also as half of a step.
Status Graph::arithmetic(const Node& node, Columns columns) {
  const Tensor* other = node.inputs.size() == 2 ? constant(node.inputs[1]) : nullptr;
  if (other == nullptr || rows(node.inputs[0]) == nullptr)
    return refuse(node, "does not stand between a column and a constant");
  const bool row =
      other->shape.empty() || other->shape.size() == 1 || (other->shape.size() == 2 && other->shape[0] == 1);
  if (!row) return refuse(node, "takes a constant that is no single row");
  if (is_whole(columns.type)) return refuse(node, "computes with whole numbers, as no step of the engine does");
  if (other->type != columns.type) return fault(node, "takes a constant of another type than its columns");
  using Form = engine::Scale::Form;
  const size_t width = columns.columns.size();
  std::vector<double> numbers;
  WB_CHECK(spread(node, other->numbers, width, numbers));
  const std::vector<double> zeros(width, 0);
  const std::vector<double> ones(width, 1);
  if (node.operation == "Add") WB_CHECK(change(node, columns, Form::kMultiplyShift, ones, numbers));
  if (node.operation == "Sub") WB_CHECK(change(node, columns, Form::kShiftMultiply, numbers, ones));
  if (node.operation == "Mul") WB_CHECK(change(node, columns, Form::kMultiplyShift, numbers, zeros));
  if (node.operation == "Div") WB_CHECK(change(node, columns, Form::kShiftDivide, zeros, numbers));
  return give(node, std::move(columns));
}

Status Graph::impute(const Node& node, Columns columns) {
  if (is_whole(columns.type)) return refuse(node, "replaces whole numbers; only NaN can be carried");
  const Attribute* values = node.find("imputed_value_floats");
  const Attribute* replaced = node.find("replaced_value_float");
  if (values == nullptr || replaced == nullptr)
    return fault(node, "needs imputed_value_floats and replaced_value_float");
  if (!std::isnan(replaced->number))
    return refuse(node, "replaces a number that is not NaN, as no step of the engine does");
  if (columns.type != Type::kFloat) return refuse(node, "takes double, which onnxruntime does not");
  std::vector<double> numbers;
  WB_CHECK(spread(node, widened(values->numbers), columns.columns.size(), numbers));
  for (size_t i = 0; i < numbers.size(); ++i) {
    std::vector<Change>& changes = columns.columns[i].changes;
    if (!changes.empty() && changes.back().kind == Change::Kind::kOneHot) continue;  // never NaN
    Change next;
    next.kind = Change::Kind::kImpute;
    next.a = numbers[i];
    changes.push_back(next);
  }
  return give(node, std::move(columns));
}

// A LabelEncoder that numbers its keys is the engine's ordinal step.
Status Graph::encode(const Node& node, Columns columns) {
  const Attribute* keys = node.find(is_whole(columns.type) ? "keys_int64s" : "keys_floats");
  const Attribute* wholes = node.find("values_int64s");
  const Attribute* reals = node.find("values_floats");
  if (keys == nullptr || (wholes == nullptr) == (reals == nullptr))
    return refuse(node, "does not turn numbers into numbers by lists of them");
  const std::vector<double> from =
      is_whole(columns.type) ? std::vector<double>(keys->wholes.begin(), keys->wholes.end()) : widened(keys->numbers);
  const std::vector<double> to =
      wholes != nullptr ? std::vector<double>(wholes->wholes.begin(), wholes->wholes.end()) : widened(reals->numbers);
  if (from.size() != to.size() || from.empty() || from.size() > engine::limits::kStepCategoriesMax)
    return fault(node, "needs as many values as keys, 1 to ", std::to_string(engine::limits::kStepCategoriesMax));
  constexpr double kUnset = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> categories(from.size(), kUnset);
  double above = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    const bool position = to[i] >= 0 && to[i] < static_cast<double>(to.size()) && to[i] == std::floor(to[i]);
    if (!position || !std::isfinite(from[i]) || !std::isnan(categories[static_cast<size_t>(to[i])]))
      return refuse(node, "does not number its keys from 0, which is all that a step of the engine does");
    categories[static_cast<size_t>(to[i])] = from[i];
    above = std::max(above, std::fabs(from[i]));
    if (above >= kWholeMax && is_whole(columns.type)) return refuse(node, "has a key of 2^24 or more");
  }
  if (columns.type == Type::kDouble) return refuse(node, "takes double");
  if (!is_whole(columns.type)) WB_CHECK(note_computed(node, columns));
  Change next;
  next.kind = Change::Kind::kOrdinal;
  next.a = -1;
  if (wholes != nullptr) next.a = static_cast<double>(whole_or(node, "default_int64", -1));
  if (reals != nullptr) next.a = node.find("default_float") == nullptr ? -0.0 : node.find("default_float")->number;
  next.categories = categories_.size();
  categories_.push_back(std::move(categories));
  Change unknown;  // NaN is one more unknown here; the engine's ordinal step would pass it on
  unknown.kind = Change::Kind::kImpute;
  unknown.a = static_cast<double>(static_cast<float>(2 * above + 1));
  if (!std::isfinite(unknown.a) || unknown.a <= above) return refuse(node, "has a key that is too large");
  for (Column& column : columns.columns) {
    if (!column.changes.empty() && column.changes.back().kind == Change::Kind::kOneHot)
      return refuse(node, "takes one-hot columns, which only trees may take");
    if (!is_whole(columns.type)) column.changes.push_back(unknown);
    column.changes.push_back(next);
  }
  columns.type = wholes != nullptr ? Type::kInt64 : Type::kFloat;
  columns.narrowed = columns.narrowed || reals != nullptr;
  return give(node, std::move(columns));
}

Status Graph::one_hot(const Node& node, const Columns& columns) {
  const Attribute* keys = node.find("cats_int64s");
  if (keys == nullptr || keys->wholes.empty() || keys->wholes.size() > engine::limits::kStepCategoriesMax)
    return refuse(node, "needs 1 to ", std::to_string(engine::limits::kStepCategoriesMax),
                  " whole numbers as categories");
  if (!is_whole(columns.type))
    return refuse(node, "cuts off the fractions of ", type_name(columns.type),
                  ", as no step of the engine does; declare the input as int64");
  for (const int64_t key : keys->wholes)
    if (std::fabs(static_cast<double>(key)) >= kWholeMax) return refuse(node, "has a category of 2^24 or more");
  if (whole_or(node, "zeros", 1) != 1)
    return refuse(node, "fails for an unknown category (zeros = 0); convert with zeros = 1");
  if (columns.columns.size() * keys->wholes.size() > kColumnsMax)
    return refuse(node, "gives more than ", std::to_string(kColumnsMax), " columns");
  Columns made = columns;
  made.columns.clear();
  for (const Column& column : columns.columns) {
    Change next;
    next.kind = Change::Kind::kOneHot;
    next.categories = categories_.size();
    for (next.category = 0; next.category < keys->wholes.size(); ++next.category) {
      made.columns.push_back(column);
      if (!column.changes.empty() && column.changes.back().kind == Change::Kind::kOneHot)
        return refuse(node, "takes one-hot columns");
      made.columns.back().changes.push_back(next);
    }
    categories_.emplace_back(keys->wholes.begin(), keys->wholes.end());
  }
  made.type = Type::kFloat;
  made.narrowed = true;
  made.cube = columns.columns.size();
  return give(node, std::move(made));
}

// Gather along the columns, or ArrayFeatureExtractor, which does nothing else.
Status Graph::choose(const Node& node, const Columns& columns) {
  const Tensor* indices = node.inputs.size() == 2 ? constant(node.inputs[1]) : nullptr;
  if (indices == nullptr) return refuse(node, "does not choose columns by constants");
  if (node.operation == "Gather" && (whole_or(node, "axis", 0) != 1 || indices->shape.size() != 1))
    return refuse(node, "does not choose columns by a list");
  Columns made = columns;
  made.columns.clear();
  for (const double wanted : indices->numbers) {
    const double index = wanted < 0 ? wanted + static_cast<double>(columns.columns.size()) : wanted;
    if (!(index >= 0) || index >= static_cast<double>(columns.columns.size()))
      return fault(node, "chooses a column that is not there");
    if (made.columns.size() == kColumnsMax)
      return refuse(node, "chooses more than ", std::to_string(kColumnsMax), " columns");
    made.columns.push_back(columns.columns[static_cast<size_t>(index)]);
  }
  return give(node, std::move(made));
}

Status Graph::concat(const Node& node) {
  const int64_t axis = whole_or(node, "axis", 1);
  Columns made;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Columns* next = rows(node.inputs[i]);
    // One-hots of single columns lie side by side also before they are reshaped.
    const bool beside = next != nullptr && (axis == -1 || axis == (next->cube == 1 ? 2 : 1)) && next->cube <= 1;
    if (!beside || (i > 0 && next->cube != made.cube)) return refuse(node, "does not put columns beside columns");
    if (i == 0) {
      made = *next;
      continue;
    }
    const bool one =
        made.computed == next->computed || made.computed == Computed::kNot || next->computed == Computed::kNot;
    if (next->type != made.type || !one || (made.type == Type::kDouble && next->narrowed != made.narrowed))
      return refuse(node, "puts columns together that were computed in different precisions");
    made.computed = std::max(made.computed, next->computed);
    made.narrowed = made.narrowed && next->narrowed;
    if (made.columns.size() + next->columns.size() > kColumnsMax)
      return refuse(node, "gives more than ", std::to_string(kColumnsMax), " columns");
    made.columns.insert(made.columns.end(), next->columns.begin(), next->columns.end());
  }
  return give(node, std::move(made));
}

Status Graph::reshape(const Node& node, Columns columns) {
  const Tensor* shape = node.inputs.size() == 2 ? constant(node.inputs[1]) : nullptr;
  const auto width = static_cast<double>(columns.columns.size());
  const bool flat = shape != nullptr && shape->numbers.size() == 2 &&
                    (shape->numbers[0] == -1 || shape->numbers[0] == 0) &&
                    (shape->numbers[1] == width || (shape->numbers[1] == -1 && shape->numbers[0] == 0));
  if (!flat) return refuse(node, "does not leave one row of columns for each row");
  columns.cube = 0;
  return give(node, std::move(columns));
}

}  // namespace wb::imports::onnx
