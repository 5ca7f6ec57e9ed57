// Plain model → package: everything but the forest's two sections, which are in pack_forest.cpp.
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/bytes.h"
#include "base/checksum.h"
#include "engine/format.h"
#include "engine/predictors.h"

namespace wb::engine {
namespace format {
namespace {

Status check_sketch(const FeatureSketch& sketch) {
  const bool empty = sketch.counts.empty() && sketch.edges.empty();
  if (!empty && sketch.counts.size() != sketch.edges.size() + 1) {
    return fail(Code::kInvalid, "sketch '", sketch.name, "': counts must be edges + 1");
  }
  if (sketch.edges.size() > limits::kSketchEdgesMax)
    return fail(Code::kInvalid, "sketch '", sketch.name, "': too many edges");
  for (size_t i = 0; i < sketch.edges.size(); ++i) {
    const bool ascending = i == 0 || sketch.edges[i - 1] < sketch.edges[i];
    if (!std::isfinite(sketch.edges[i]) || !ascending) {
      return fail(Code::kInvalid, "sketch '", sketch.name, "': edges must be finite and ascending");
    }
  }
  if (!std::isfinite(sketch.min) || !std::isfinite(sketch.max) || sketch.min > sketch.max) {
    return fail(Code::kInvalid, "sketch '", sketch.name, "': min and max must be finite and in order");
  }
  return ok_status();
}

Status check_self_test(const PlainModel& model) {
  const SelfTest& test = model.self_test;
  const size_t rows = test.margins.size() / model.base_margins.size();
  if (rows > limits::kSelfTestRowsMax || test.rows.size() != rows * model.features.size() ||
      test.margins.size() != rows * model.base_margins.size()) {
    return fail(Code::kInvalid, "self-test rows and margins do not match the model's shape");
  }
  if (computes_f64(model)) return ok_status();
  const auto is_f32 = [](double value) {
    const double limit = static_cast<double>(std::numeric_limits<float>::max());
    return !(std::fabs(value) <= limit) ? !std::isfinite(value)
                                        : static_cast<double>(static_cast<float>(value)) == value;
  };
  if (!std::all_of(test.rows.begin(), test.rows.end(), is_f32) ||
      !std::all_of(test.margins.begin(), test.margins.end(), is_f32)) {
    return fail(Code::kInvalid, "the self-test has a number that is no f32, and this model computes in f32");
  }
  return ok_status();
}

}  // namespace

Status check_model(const PlainModel& model) {
  WB_CHECK(check_description(model));
  if (!model.sketches.empty() && model.sketches.size() != model.features.size()) {
    return fail(Code::kInvalid, "sketches must be one per feature, or none");
  }
  for (size_t i = 0; i < model.sketches.size(); ++i) {
    if (model.sketches[i].name != model.features[i]) return fail(Code::kInvalid, "sketches must be in feature order");
    WB_CHECK(check_sketch(model.sketches[i]));
  }
  WB_CHECK(check_sketch(model.reference_scores.prediction));
  if (model.reference_scores.label_counts.size() != model.labels.size()) {
    return fail(Code::kInvalid, "reference scores must count every label");
  }
  WB_CHECK(check_self_test(model));
  if (model.notes.size() > limits::kNotesMax) return fail(Code::kInvalid, "too many notes");
  for (const auto& [key, value] : model.notes) {
    if (key.empty() || key.size() > limits::kNoteBytesMax || value.size() > limits::kNoteBytesMax) {
      return fail(Code::kInvalid, "note '", std::string_view(key).substr(0, 32), "' is empty or too long");
    }
  }
  return ok_status();
}

}  // namespace format

namespace {

using namespace format;

uint8_t flags_of(const PlainModel& model) {
  unsigned flags = 0;
  if (model.missing_allowed) flags |= kMissingAllowed;
  if (model.steps_precision == Precision::kF32) flags |= kStepsInF32;
  if (model.sum.precision == Precision::kF64) flags |= kSumInF64;
  if (model.sum.divisor) flags |= kDivisor;
  if (model.sum.factor) flags |= kFactor;
  if (!model.sum.offsets.empty()) flags |= kOffsets;
  if (model.slope != 1) flags |= kSlope;
  return static_cast<uint8_t>(flags);
}

std::string pack_about(const PlainModel& model) {
  std::string out;
  put_byte(out, static_cast<uint8_t>(model.objective));
  put_byte(out, flags_of(model));
  put_byte(out, static_cast<uint8_t>(model.compare));
  put_byte(out, static_cast<uint8_t>(model.category));
  if (model.slope != 1) put_f64(out, model.slope);
  if (model.objective == Objective::kNormality) put_f64(out, model.shift);
  put_varint(out, model.features.size());
  for (const std::string& name : model.features) put_text(out, name);
  put_varint(out, model.labels.size());
  for (const std::string& label : model.labels) put_text(out, label);
  const Sum& sum = model.sum;
  put_varint(out, model.base_margins.size());
  for (const double margin : model.base_margins) put_number(out, margin, sum.precision);
  if (sum.divisor) put_number(out, *sum.divisor, sum.precision);
  if (sum.factor) put_number(out, *sum.factor, sum.precision);
  for (const double offset : sum.offsets) put_number(out, offset, sum.precision);
  return out;
}

void put_columns(std::string& out, const std::vector<uint32_t>& columns) {
  put_varint(out, columns.size());
  for (const uint32_t column : columns) put_varint(out, column);
}
void put_numbers(std::string& out, const std::vector<double>& numbers) {
  for (const double number : numbers) put_f64(out, number);
}
void put_categories(std::string& out, uint32_t column, const std::vector<double>& categories) {
  put_varint(out, column);
  put_varint(out, categories.size());
  put_numbers(out, categories);
}

void put_step(std::string& out, const Step& step) {
  const auto kind = [&](StepKind is) { put_byte(out, static_cast<uint8_t>(is)); };
  if (const auto* select = std::get_if<Select>(&step)) {
    kind(StepKind::kSelect);
    put_columns(out, select->columns);
  } else if (const auto* scale = std::get_if<Scale>(&step)) {
    kind(StepKind::kScale);
    put_byte(out, static_cast<uint8_t>(scale->form));
    put_columns(out, scale->columns);
    put_numbers(out, scale->a);
    put_numbers(out, scale->b);
  } else if (const auto* impute = std::get_if<Impute>(&step)) {
    kind(StepKind::kImpute);
    put_columns(out, impute->columns);
    put_numbers(out, impute->values);
  } else if (const auto* ordinal = std::get_if<Ordinal>(&step)) {
    kind(StepKind::kOrdinal);
    put_categories(out, ordinal->column, ordinal->categories);
    put_f64(out, ordinal->unknown);
  } else if (const auto* one_hot = std::get_if<OneHot>(&step)) {
    kind(StepKind::kOneHot);
    put_categories(out, one_hot->column, one_hot->categories);
  }
}

std::string pack_steps(const PlainModel& model) {
  std::string out;
  put_varint(out, model.steps.size());
  for (const Step& step : model.steps) put_step(out, step);
  return out;
}

std::string pack_calibration(const PlainModel& model) {
  std::string out;
  if (!model.calibration) return std::string(1, '\0');
  put_byte(out, model.calibration->of_margins ? 2 : 1);
  for (const Curve& curve : model.calibration->curves) {
    if (const auto* platt = std::get_if<Platt>(&curve)) {
      put_byte(out, static_cast<uint8_t>(CurveKind::kPlatt));
      put_numbers(out, {platt->a, platt->b});
    } else if (const auto* isotonic = std::get_if<Isotonic>(&curve)) {
      put_byte(out, static_cast<uint8_t>(CurveKind::kIsotonic));
      put_varint(out, isotonic->x.size());
      put_numbers(out, isotonic->x);
      put_numbers(out, isotonic->y);
    }
  }
  return out;
}

void put_sketch(std::string& out, const FeatureSketch& sketch) {
  put_varint(out, sketch.counts.size());
  for (const double edge : sketch.edges) put_f64(out, edge);
  for (const uint64_t count : sketch.counts) put_varint(out, count);
  put_f64(out, sketch.min);
  put_f64(out, sketch.max);
  put_varint(out, sketch.missing);
}

std::string pack_scores(const ReferenceScores& scores) {
  std::string out;
  put_varint(out, scores.records);
  for (const uint64_t count : scores.confidence_bins) put_varint(out, count);
  for (const uint64_t count : scores.label_counts) put_varint(out, count);
  put_sketch(out, scores.prediction);
  return out;
}

std::string pack_linear(const PlainModel& model) {
  std::string out;
  const Linear& linear = *model.linear;
  put_byte(out, static_cast<uint8_t>((linear.skips_missing ? kSkipsMissing : 0) | (linear.means.empty() ? 0 : kMeans)));
  for (const double weight : linear.weights) put_number(out, weight, model.sum.precision);
  put_numbers(out, linear.means);
  return out;
}

std::string pack_texts(const PlainModel& model) {
  std::string out;
  for (const std::vector<std::string>& texts : model.texts) {
    put_varint(out, texts.size());
    for (const std::string& text : texts) put_text(out, text);
  }
  return out;
}

// Every NaN alike, so that one model has one encoding.
std::string pack_self_test(const PlainModel& model) {
  const Precision precision = computes_f64(model) ? Precision::kF64 : Precision::kF32;
  std::string out;
  put_varint(out, model.self_test.margins.size() / model.base_margins.size());
  for (const std::vector<double>* numbers : {&model.self_test.rows, &model.self_test.margins}) {
    for (const double number : *numbers) put_number(out, std::isnan(number) ? kNan : number, precision);
  }
  return out;
}

void put_section(std::string& out, Tag tag, std::string_view payload) {
  out.push_back(static_cast<char>(tag));
  put_text(out, payload);
}

}  // namespace

Result<std::string> pack(const PlainModel& model) {
  WB_CHECK(check_model(model));
  WB_TRY(const RankedForest forest, rank_forest(model));
  std::string out(kMagic);
  put_byte(out, kVersion);
  put_byte(out, 0);
  put_section(out, Tag::kAbout, pack_about(model));
  put_section(out, Tag::kSteps, pack_steps(model));
  put_section(out, Tag::kSlots, pack_slots(forest, model));
  put_section(out, Tag::kTrees, pack_trees(forest, model));
  put_section(out, Tag::kCalibration, pack_calibration(model));
  std::string sketches;
  put_varint(sketches, model.sketches.size());
  for (const FeatureSketch& sketch : model.sketches) put_sketch(sketches, sketch);
  put_section(out, Tag::kSketches, sketches);
  put_section(out, Tag::kScores, pack_scores(model.reference_scores));
  put_section(out, Tag::kSelfTest, pack_self_test(model));
  std::string notes;
  put_varint(notes, model.notes.size());
  for (const auto& [key, value] : model.notes) {
    put_text(notes, key);
    put_text(notes, value);
  }
  put_section(out, Tag::kNotes, notes);
  if (model.linear) put_section(out, Tag::kLinear, pack_linear(model));
  if (!forest.covers.empty()) put_section(out, Tag::kCovers, pack_covers(forest));
  if (!model.texts.empty()) put_section(out, Tag::kTexts, pack_texts(model));
  if (!model.lines.empty()) put_section(out, Tag::kLines, pack_lines(model));
  if (!model.is_ensemble()) put_section(out, Tag::kPredictor, pack_predictor(model));
  put_u32(out, crc32c(out));
  if (out.size() > limits::kModelBytesMax) {
    return fail(Code::kFull, "the package has ", std::to_string(out.size()), " bytes, the limit is ",
                std::to_string(limits::kModelBytesMax), "; train fewer or smaller trees");
  }
  return out;
}

}  // namespace wb::engine
