// Package → plain model. The bytes are hostile until proven otherwise: the CRC finds accidents, every count is compared
// with what the remaining bytes can hold before anything is allocated, and what is wrong is said with its offset.
#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "base/checksum.h"
#include "engine/format.h"
#include "engine/predictors.h"
#include "engine/reader.h"

namespace wb::engine {
namespace format {
namespace {

void read_sum(ReaderView& in, uint8_t flags, Description& model) {
  Sum& sum = model.sum;
  sum.precision = (flags & kSumInF64) != 0 ? Precision::kF64 : Precision::kF32;
  model.base_margins.resize(in.count(limits::kOutputsMax, 4));
  for (double& margin : model.base_margins) margin = in.number(sum.precision);
  if ((flags & kDivisor) != 0) sum.divisor = in.number(sum.precision);
  if ((flags & kFactor) != 0) sum.factor = in.number(sum.precision);
  if ((flags & kOffsets) == 0 || !in.ok()) return;
  sum.offsets.resize(model.base_margins.size());
  for (double& offset : sum.offsets) offset = in.number(sum.precision);
}

Status read_about(ReaderView in, PlainModel& model) {
  model.objective = static_cast<Objective>(in.byte());
  const uint8_t flags = in.byte();
  const uint8_t compare = in.byte();
  const uint8_t category = in.byte();
  if (compare < 1 || compare > 3 || category < 1 || category > 2) return in.damaged("an unknown rule");
  model.missing_allowed = (flags & kMissingAllowed) != 0;
  model.steps_precision = (flags & kStepsInF32) != 0 ? Precision::kF32 : Precision::kF64;
  if ((flags & kFlagsUnknown) != 0) return in.damaged("an unknown flag");
  model.compare = static_cast<Compare>(compare);
  model.category = static_cast<Category>(category);
  if ((flags & kSlope) != 0) model.slope = in.f64();
  if ((flags & kSlope) != 0 && model.slope == 1) return in.damaged("a slope that need not be said");
  if (model.objective == Objective::kNormality) model.shift = in.f64();
  model.features.resize(in.count(limits::kFeaturesMax, 2));
  for (std::string& name : model.features) name = in.text(limits::kNameBytesMax);
  model.labels.resize(in.count(limits::kClassesMax, 2));
  for (std::string& label : model.labels) label = in.text(limits::kNameBytesMax);
  read_sum(in, flags, model);
  if (model.base_margins.empty()) return in.damaged("no output");
  return in.close();
}

std::vector<uint32_t> read_columns(ReaderView& in) {
  std::vector<uint32_t> columns(in.count(limits::kColumnsMax, 1));
  for (uint32_t& column : columns) column = static_cast<uint32_t>(std::min<uint64_t>(in.varint(), UINT32_MAX));
  return columns;
}
std::vector<double> read_numbers(ReaderView& in, size_t count) {
  std::vector<double> numbers;
  for (size_t i = 0; i < count && in.ok(); ++i) numbers.push_back(in.f64());
  return numbers;
}

Result<Step> read_step(ReaderView& in) {
  const auto kind = static_cast<StepKind>(in.byte());
  if (kind == StepKind::kSelect) return Step(Select{read_columns(in)});
  if (kind == StepKind::kScale) {
    Scale scale;
    const uint8_t form = in.byte();
    if (form < 1 || form > 3) return in.damaged("an unknown form of scaling");
    scale.form = static_cast<Scale::Form>(form);
    scale.columns = read_columns(in);
    scale.a = read_numbers(in, scale.columns.size());
    scale.b = read_numbers(in, scale.columns.size());
    return Step(std::move(scale));
  }
  if (kind == StepKind::kImpute) {
    Impute impute;
    impute.columns = read_columns(in);
    impute.values = read_numbers(in, impute.columns.size());
    return Step(std::move(impute));
  }
  if (kind != StepKind::kOrdinal && kind != StepKind::kOneHot) return in.damaged("an unknown kind of step");
  const auto column = static_cast<uint32_t>(std::min<uint64_t>(in.varint(), UINT32_MAX));
  std::vector<double> categories = read_numbers(in, in.count(limits::kStepCategoriesMax, 8));
  if (kind == StepKind::kOneHot) return Step(OneHot{column, std::move(categories)});
  return Step(Ordinal{column, std::move(categories), in.f64()});
}

Status read_steps(ReaderView in, PlainModel& model) {
  const size_t steps = in.count(limits::kStepsMax, 3);
  for (size_t i = 0; i < steps; ++i) {
    WB_TRY(Step step, read_step(in));
    if (!in.ok()) return in.damaged("");
    model.steps.push_back(std::move(step));
  }
  return in.close();
}

Status read_calibration(ReaderView in, PlainModel& model) {
  const uint8_t of = in.byte();
  if (of > 2) return in.damaged("a calibration of something unknown");
  if (of == 0) return in.close();
  Calibration& calibration = model.calibration.emplace();
  calibration.of_margins = of == 2;
  for (size_t i = 0; i < model.outputs_count(); ++i) {
    const auto kind = static_cast<CurveKind>(in.byte());
    if (kind == CurveKind::kPlatt) {
      const double a = in.f64();
      calibration.curves.emplace_back(Platt{a, in.f64()});
    } else if (kind == CurveKind::kIsotonic) {
      const size_t points = in.count(limits::kCurvePointsMax, 16);
      std::vector<double> x = read_numbers(in, points);
      calibration.curves.emplace_back(Isotonic{std::move(x), read_numbers(in, points)});
    } else {
      return in.damaged("an unknown kind of curve");
    }
    if (!in.ok()) return in.damaged("");
  }
  return in.close();
}

void read_sketch(ReaderView& in, FeatureSketch& sketch) {
  const size_t counts = in.count(limits::kSketchEdgesMax + 1, 1);
  sketch.edges.resize(counts == 0 ? 0 : counts - 1);
  for (double& edge : sketch.edges) edge = in.f64();
  sketch.counts.resize(counts);
  for (uint64_t& count : sketch.counts) count = in.varint();
  sketch.min = in.f64();
  sketch.max = in.f64();
  sketch.missing = in.varint();
}

Status read_sketches(ReaderView in, PlainModel& model) {
  const size_t count = in.count(limits::kFeaturesMax, 18);
  if (count != 0 && count != model.features.size()) return in.damaged("neither one for each feature nor none");
  model.sketches.resize(count);
  for (size_t i = 0; i < count; ++i) {
    model.sketches[i].name = model.features[i];
    read_sketch(in, model.sketches[i]);
  }
  return in.close();
}

Status read_scores(ReaderView in, PlainModel& model) {
  ReferenceScores& scores = model.reference_scores;
  scores.records = in.varint();
  for (uint64_t& count : scores.confidence_bins) count = in.varint();
  scores.label_counts.resize(model.labels.size());
  for (uint64_t& count : scores.label_counts) count = in.varint();
  read_sketch(in, scores.prediction);
  return in.close();
}

Status read_self_test(ReaderView in, PlainModel& model) {
  const size_t row_numbers = model.features.size() + model.base_margins.size();
  const bool f64 = computes_f64(model);
  const size_t rows = in.count(limits::kSelfTestRowsMax, (f64 ? 8 : 4) * row_numbers);
  model.self_test.rows.resize(rows * model.features.size());
  model.self_test.margins.resize(rows * model.base_margins.size());
  for (std::vector<double>* numbers : {&model.self_test.rows, &model.self_test.margins}) {
    for (double& number : *numbers) {
      const uint64_t bits = f64 ? in.u64() : in.u32();
      number =
          f64 ? std::bit_cast<double>(bits) : static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits)));
      const uint64_t nan = f64 ? std::bit_cast<uint64_t>(kNan) : std::bit_cast<uint32_t>(static_cast<float>(kNan));
      if (std::isnan(number) && bits != nan) return in.damaged("a NaN that is written otherwise than all others");
    }
  }
  return in.close();
}

Status read_notes(ReaderView in, PlainModel& model) {
  model.notes.resize(in.count(limits::kNotesMax, 2));
  for (auto& [key, value] : model.notes) {
    key = in.text(limits::kNoteBytesMax);
    value = in.text(limits::kNoteBytesMax);
  }
  return in.close();
}

// The steps are known by now, but not whether they make sense.
Status read_linear(ReaderView in, PlainModel& model) {
  const uint8_t flags = in.byte();
  if (flags > (kSkipsMissing | kMeans)) return in.damaged("an unknown flag");
  model.linear.emplace().skips_missing = (flags & kSkipsMissing) != 0;
  const size_t means = (flags & kMeans) != 0 ? columns_count(model) : 0;
  if (means > in.rest().size() / 8) return in.damaged("fewer means than columns");
  const size_t number_bytes = model.sum.precision == Precision::kF32 ? 4 : 8;
  model.linear->weights.resize((in.rest().size() - means * 8) / number_bytes);
  for (double& weight : model.linear->weights) weight = in.number(model.sum.precision);
  model.linear->means = read_numbers(in, means);
  return in.close();
}

Status read_texts(ReaderView in, PlainModel& model) {
  for (size_t feature = 0; feature < model.features.size() && in.ok(); ++feature) {
    std::vector<std::string>& texts = model.texts.emplace_back(in.count(limits::kStepCategoriesMax, 2));
    for (std::string& text : texts) text = in.text(limits::kNameBytesMax);
  }
  return in.close();
}

Status check_envelope(std::string_view bytes) {
  if (bytes.size() > limits::kModelBytesMax) {
    return fail(Code::kInvalid, "model package: ", std::to_string(bytes.size()), " bytes, the limit is ",
                std::to_string(limits::kModelBytesMax));
  }
  if (bytes.size() < kHeadBytes + kTrailerBytes || bytes.substr(0, kMagic.size()) != kMagic) {
    return fail(Code::kInvalid,
                "this is not a model package (.wbm): it does not begin with 'WBM'; make one with `waybill fit`");
  }
  const auto version = static_cast<uint8_t>(bytes[kMagic.size()]);
  if (version != kVersion) {
    return fail(Code::kUnsupported, "model package: byte 4: format version ", std::to_string(version),
                ", this build reads ", std::to_string(kVersion), "; ",
                version < kVersion ? "fit the model again" : "update Waybill or fit the model again");
  }
  ReaderView trailer(bytes.substr(bytes.size() - kTrailerBytes), "checksum", bytes.size() - kTrailerBytes);
  if (crc32c(bytes.substr(0, bytes.size() - kTrailerBytes)) != trailer.u32()) {
    return fail(Code::kCorrupt,
                "model package: the checksum does not match; the file is damaged or cut off, copy it again");
  }
  return ok_status();
}

// A reader for each section, by its tag.
Result<std::vector<std::optional<ReaderView>>> split_sections(std::string_view bytes) {
  ReaderView in(bytes.substr(0, bytes.size() - kTrailerBytes), "head", 0);
  in.take(kHeadBytes - 1);
  if (in.byte() != 0) return in.damaged("the byte behind the version is not 0");
  std::vector<std::optional<ReaderView>> sections;
  for (size_t i = 1; i <= kSectionsCount; ++i) {
    const auto tag = static_cast<Tag>(i);
    const bool here = !in.rest().empty() && static_cast<uint8_t>(in.rest().front()) == i;
    if (!here && i > kSectionsAlways) {
      sections.emplace_back();
      continue;
    }
    if (in.byte() != i) return in.damaged("the " + std::string(section_name(tag)) + " section is not where it must be");
    const std::string_view payload = in.take(in.count(limits::kModelBytesMax, 1));
    sections.emplace_back(ReaderView(payload, section_name(tag), in.offset() - payload.size()));
    if (!in.ok()) return in.damaged("");
  }
  WB_CHECK(in.close());
  return sections;
}

}  // namespace

std::string_view section_name(Tag tag) {
  constexpr std::array<std::string_view, kSectionsCount> kNames = {
      "about",     "steps", "slots",  "trees",  "calibration", "sketches", "scores",
      "self-test", "notes", "linear", "covers", "texts",       "lines",    "predictor"};
  return kNames[static_cast<size_t>(tag) - 1];
}

Result<Unpacked> read_package(std::string_view bytes) {
  WB_CHECK(check_envelope(bytes));
  WB_TRY(const std::vector<std::optional<ReaderView>> sections, split_sections(bytes));
  const auto there = [&](Tag tag) { return sections[static_cast<size_t>(tag) - 1].has_value(); };
  const auto section = [&](Tag tag) { return *sections[static_cast<size_t>(tag) - 1]; };
  Unpacked out;
  PlainModel& model = out.model;
  WB_CHECK(read_about(section(Tag::kAbout), model));
  WB_CHECK(read_steps(section(Tag::kSteps), model));
  WB_CHECK(read_calibration(section(Tag::kCalibration), model));
  WB_CHECK(read_sketches(section(Tag::kSketches), model));
  WB_CHECK(read_scores(section(Tag::kScores), model));
  WB_CHECK(read_self_test(section(Tag::kSelfTest), model));
  WB_CHECK(read_notes(section(Tag::kNotes), model));
  if (there(Tag::kLinear)) WB_CHECK(read_linear(section(Tag::kLinear), model));
  if (there(Tag::kTexts)) WB_CHECK(read_texts(section(Tag::kTexts), model));
  // All but the trees, whose bytes are checked as they are read: the columns of a slot, and the numbers of a predictor,
  // need steps that make sense.
  Status sound = check_model(model);
  if (sound.ok() && there(Tag::kPredictor)) {
    WB_CHECK(read_predictor(section(Tag::kPredictor), model));
    sound = check_model(model);
  }
  if (!sound.ok()) return fail(Code::kCorrupt, "model package: ", sound.error().text);
  WB_TRY(out.forest.slots, read_slots(section(Tag::kSlots), model));
  WB_CHECK(read_trees(section(Tag::kTrees), model, out.forest));
  if (there(Tag::kCovers)) WB_CHECK(read_covers(section(Tag::kCovers), out.forest));
  if (!model.is_ensemble() && !out.forest.leaf.empty())
    return section(Tag::kTrees).damaged("trees beside a predictor of another kind");
  if (!there(Tag::kLines)) return out;
  expand_forest(out.forest, model);
  WB_CHECK(read_lines(section(Tag::kLines), model));
  return out;
}

}  // namespace format

Result<PlainModel> unpack(std::string_view bytes) {
  WB_TRY(format::Unpacked unpacked, format::read_package(bytes));
  if (unpacked.model.lines.empty()) expand_forest(unpacked.forest, unpacked.model);
  return std::move(unpacked.model);
}

}  // namespace wb::engine
