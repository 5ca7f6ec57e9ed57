#include "fit/package.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string_view>

#include "base/bytes.h"
#include "fit/folds.h"

namespace wb::fit {
namespace {

constexpr size_t kBins = 20;  // of a sketch

bool names_rows(std::string name) {
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const std::string_view word :
       {"id", "index", "idx", "row", "nr", "no", "number", "key", "serial", "uuid", "time", "timestamp", "date"}) {
    if (!name.ends_with(word)) continue;
    const size_t before = name.size() - word.size();
    if (before == 0 || name[before - 1] == '_' || name[before - 1] == '-' || name[before - 1] == ' ') return true;
  }
  return name.empty() || name.starts_with("unnamed");  // what pandas calls an index that was saved
}

std::vector<engine::FeatureSketch> sketches_of(const Dataset& train) {
  std::vector<engine::FeatureSketch> sketches;
  std::vector<float> column(train.rows_count());
  for (size_t feature = 0; feature < train.features.size(); ++feature) {
    for (size_t row = 0; row < train.rows_count(); ++row) column[row] = train.row(row)[feature];
    sketches.push_back(engine::make_sketch(train.features[feature], column, kBins));
  }
  return sketches;
}

// Rows that show every part of a model: a spread of real ones, one of zeros and one that is all missing. f32[n,
// features]
std::vector<float> self_test_rows(const Dataset& data) {
  constexpr size_t kSpread = 32;
  std::vector<float> rows;
  for (size_t i = 0; i < kSpread; ++i) {
    const std::span<const float> row = data.row(i * data.rows_count() / kSpread);
    rows.insert(rows.end(), row.begin(), row.end());
  }
  rows.resize(rows.size() + data.features.size(), 0.0F);
  rows.resize(rows.size() + data.features.size(), std::numeric_limits<float>::quiet_NaN());
  return rows;
}

std::vector<std::pair<std::string, std::string>> notes_of(const Candidate& candidate, const Dataset& train,
                                                          const Work& work) {
  const bool boosted = candidate.family == Family::kBoosting;
  std::vector<std::pair<std::string, std::string>> notes = {{"trainer", boosted ? work.booster : "waybill fit"},
                                                            {"target", work.target.substr(0, 128)},
                                                            {"trees", std::to_string(candidate.trees)},
                                                            {"depth", std::to_string(candidate.depth)},
                                                            {"seed", std::to_string(work.seed)},
                                                            {"train_rows", std::to_string(train.rows_count())}};
  if (boosted) notes.emplace_back("learning_rate", shortest(candidate.learning_rate));
  return notes;
}

}  // namespace

Result<Parts> part(const Dataset& data, double holdout, uint32_t seed) {
  WB_TRY(const Fold split, hold_out(data, holdout, seed));
  if (split.test.empty())
    return fail(Code::kInvalid,
                "every class of the target has one row only, so that none is left to judge on. Give more rows of each, "
                "or say that it is a quantity");
  Parts parts{data.subset(split.train), data.subset(split.test), {}};
  parts.sketches = sketches_of(parts.learnt_from);
  return parts;
}

Result<engine::PlainModel> completed(engine::PlainModel plain, const Candidate& candidate, const Parts& parts,
                                     const Work& work, const LibraryMargins& theirs) {
  const Dataset& train = parts.learnt_from;
  if (!work.explain) engine::drop_covers(plain);
  plain.missing_allowed = train.has_missing;
  plain.sketches = parts.sketches;
  WB_TRY(const engine::Model model, loaded(plain));
  const std::vector<float> rows = self_test_rows(train);
  const size_t n = rows.size() / train.features.size();
  std::vector<float> margins(n * plain.outputs_count());
  if (theirs) {
    WB_TRY(margins, theirs(one_hot_rows(train, rows), n));
  } else {
    model.predict_margins(rows, n, margins);
  }
  plain.self_test.rows.assign(rows.begin(), rows.end());
  plain.self_test.margins.assign(margins.begin(), margins.end());
  plain.notes = notes_of(candidate, train, work);
  plain.reference_scores = reference_scores(model, parts.held_out);
  return plain;
}

Status require_equal_margins(const engine::Model& model, const Dataset& data, const LibraryMargins& theirs) {
  WB_TRY(const std::vector<float> wanted, theirs(one_hot_rows(data, data.rows), data.rows_count()));
  std::vector<float> ours(wanted.size());
  model.predict_margins(data.rows, data.rows_count(), ours);
  for (size_t i = 0; i < ours.size(); ++i) {
    if (std::bit_cast<uint32_t>(ours[i]) == std::bit_cast<uint32_t>(wanted[i])) continue;
    return fail(Code::kInternal, "margins equal XGBoost's bit for bit: no, row ",
                std::to_string(i / model.outputs_count() + 1), " of the data differs (", shortest(ours[i]), " against ",
                shortest(wanted[i]),
                "). No model was made; this is a fault of Waybill, please report it with the data");
  }
  return ok_status();
}

engine::ReferenceScores reference_scores(const engine::Model& model, const Dataset& held_out) {
  const std::vector<float> answers = answers_of(model, held_out);
  engine::ReferenceScores scores;
  scores.records = held_out.rows_count();
  scores.label_counts.assign(held_out.labels.size(), 0);
  if (held_out.labels.empty()) {
    scores.prediction = engine::make_sketch("", answers, kBins);
    return scores;
  }
  const size_t classes = held_out.labels.size();
  for (size_t row = 0; row < held_out.rows_count(); ++row) {
    const auto answer = std::span(answers).subspan(row * classes, classes);
    const auto best = static_cast<size_t>(std::max_element(answer.begin(), answer.end()) - answer.begin());
    ++scores.confidence_bins[engine::confidence_bin(answer[best])];
    ++scores.label_counts[best];
  }
  return scores;
}

bool are_classes(const std::vector<std::string>& values, size_t rows) {
  bool whole = true;
  for (const std::string& value : values) {
    const auto number = parse_double(value);
    if (!number) return true;
    whole = whole && *number == std::floor(*number);
  }
  return whole && values.size() <= Dataset::kAutoClassesMax && values.size() * 4 <= rows;
}

void sort_labels(std::vector<std::string>& labels) {
  const bool numeric = std::all_of(labels.begin(), labels.end(),
                                   [](const std::string& label) { return parse_double(label).has_value(); });
  std::sort(labels.begin(), labels.end(), [&](const std::string& a, const std::string& b) {
    if (!numeric) return a < b;
    const double x = *parse_double(a);
    const double y = *parse_double(b);
    return x != y ? x < y : a < b;
  });
}

void balance(Dataset& data) {
  std::vector<double> sums(data.classes_count(), 0.0);
  double all = 0;
  for (size_t row = 0; row < data.rows_count(); ++row) {
    sums[static_cast<size_t>(data.targets[row])] += data.weight(row);
    all += data.weight(row);
  }
  std::vector<float> weights;
  for (size_t row = 0; row < data.rows_count(); ++row) {
    const double share = sums[static_cast<size_t>(data.targets[row])] * static_cast<double>(sums.size());
    weights.push_back(static_cast<float>(data.weight(row) * all / share));
  }
  data.weights = std::move(weights);
}

size_t usual_repeats(const Dataset& data) { return data.rows_count() < 5'000 ? 3 : 1; }

std::optional<std::string> row_number(const Dataset& data, const std::vector<std::string>& allowed) {
  for (size_t feature = 0; feature < data.features.size(); ++feature) {
    const std::string& name = data.features[feature];
    if (!names_rows(name) || std::find(allowed.begin(), allowed.end(), name) != allowed.end()) continue;
    std::vector<float> values;
    for (size_t row = 0; row < data.rows_count(); ++row) values.push_back(data.row(row)[feature]);
    const auto whole = [](float value) { return value == std::floor(value); };  // NaN is not
    if (!std::all_of(values.begin(), values.end(), whole)) continue;
    std::sort(values.begin(), values.end());
    if (std::adjacent_find(values.begin(), values.end()) == values.end()) return name;
  }
  return std::nullopt;
}

}  // namespace wb::fit
