// Every refusal here says what to do next: a person stands before it with a file that somebody else made.
#include "apps/waybill/fit_data.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "apps/waybill/model_rows.h"
#include "base/bytes.h"
#include "base/utf8.h"
#include "fit/package.h"

namespace wb::cli {
namespace {

Result<size_t> find_column(const CsvTable& table, std::string_view name, std::string_view option) {
  if (const auto found = table.column(name)) return *found;
  return fail(Code::kNotFound, table.name(), ": there is no column '", name, "' (", option, ")",
              suggestion(name, table.header()));
}

Result<std::vector<std::string>> distinct_values(const CsvTable& table, size_t column) {
  std::map<std::string, size_t, std::less<>> seen;
  for (size_t row = 0; row < table.rows_count(); ++row) {
    const std::string_view value = trim(table.cell(row, column));
    if (is_missing_cell(value)) {
      return fail(Code::kInvalid, table.place(row, column), ": the target is missing; remove the row or fill it in");
    }
    if (utf8_fault(value))
      return fail(Code::kInvalid, table.place(row, column), ": the label '", valid_text(value, 40),
                  "' is not UTF-8; save the file as UTF-8");
    if (!seen.contains(value)) seen.emplace(value, seen.size());
  }
  std::vector<std::string> values;
  values.reserve(seen.size());
  for (const auto& [value, order] : seen) values.push_back(value);
  return values;
}

Status set_classes(const CsvTable& table, size_t column, std::vector<std::string> labels, Dataset& data) {
  const std::string where = table.name() + ": the target '" + table.header()[column] + "'";
  if (labels.size() > engine::limits::kClassesMax) {
    return fail(Code::kInvalid, where, " has ", std::to_string(labels.size()), " different values, at most ",
                std::to_string(engine::limits::kClassesMax),
                " classes are possible; if it is a quantity, use --task regression");
  }
  fit::sort_labels(labels);
  std::map<std::string_view, float> index;
  for (size_t i = 0; i < labels.size(); ++i) index[labels[i]] = static_cast<float>(i);
  for (size_t row = 0; row < table.rows_count(); ++row) data.targets.push_back(index.at(trim(table.cell(row, column))));
  data.objective = labels.size() == 2 ? engine::Objective::kLogistic : engine::Objective::kSoftprob;
  data.labels = std::move(labels);
  return ok_status();
}

Status set_target(const CsvTable& table, size_t column, Task task, Dataset& data) {
  WB_TRY(std::vector<std::string> values, distinct_values(table, column));
  if (values.size() < 2) {
    return fail(Code::kInvalid, table.name(), ": the target '", table.header()[column], "' is always '", values[0],
                "'; there is nothing to learn. Give data with at least two different outcomes, or another --target");
  }
  if (task == Task::kAuto)
    task = fit::are_classes(values, table.rows_count()) ? Task::kClassification : Task::kRegression;
  if (task == Task::kClassification) return set_classes(table, column, std::move(values), data);
  WB_TRY(data.targets, table.numbers(column));
  data.objective = engine::Objective::kRegression;
  return ok_status();
}

Status set_weights(const CsvTable& table, size_t column, Dataset& data) {
  WB_TRY(data.weights, table.numbers(column));
  for (size_t row = 0; row < data.weights.size(); ++row) {
    if (!(data.weights[row] > 0)) {
      return fail(Code::kInvalid, table.place(row, column),
                  ": a weight must be above 0 (it is 1 / inclusion probability)");
    }
  }
  return ok_status();
}

// What a categorical column may say, ascending; numbers if all of its cells are. Rare ones count: they may be the
// fault.
struct Categories {
  std::vector<std::string> texts;  // none: numbers
  std::vector<double> numbers;     // of the texts, their places
};

Result<Categories> categories_of(const CsvTable& table, size_t column) {
  std::vector<std::string> seen;
  for (size_t row = 0; row < table.rows_count(); ++row) {
    const std::string_view value = trim(table.cell(row, column));
    if (is_missing_cell(value)) continue;
    const auto at = std::lower_bound(seen.begin(), seen.end(), value);
    if (at != seen.end() && *at == value) continue;
    if (utf8_fault(value) || value.size() > engine::limits::kNameBytesMax)
      return fail(Code::kInvalid, table.place(row, column), ": '", valid_text(value, 40),
                  "' is not UTF-8, or longer than ", std::to_string(engine::limits::kNameBytesMax), " bytes");
    if (seen.size() == Dataset::kCategoriesMax)
      return fail(Code::kInvalid, table.place(row, column), ": more than ", std::to_string(Dataset::kCategoriesMax),
                  " different categories; call the rare ones by one name, or leave the column out with --drop");
    seen.emplace(at, value);
  }
  if (seen.size() < 2)
    return fail(Code::kInvalid, table.name(), ": the categorical column '", table.header()[column],
                "' says always the same; leave it out with --drop");
  Categories out;
  for (const std::string& value : seen)
    if (const auto number = parse_double(value))
      out.numbers.push_back(static_cast<double>(static_cast<float>(*number)));
  std::sort(out.numbers.begin(), out.numbers.end());
  out.numbers.erase(std::unique(out.numbers.begin(), out.numbers.end()), out.numbers.end());  // 1 and 1.0
  if (out.numbers.size() > 1 && std::all_of(seen.begin(), seen.end(), parse_double)) return out;
  out.numbers.clear();
  for (size_t i = 0; i < seen.size(); ++i) out.numbers.push_back(static_cast<double>(i));
  out.texts = std::move(seen);
  return out;
}

Status set_features(const CsvTable& table, const std::vector<bool>& taken, const std::vector<bool>& categorical,
                    Dataset& data) {
  std::vector<std::vector<float>> columns;
  for (size_t column = 0; column < table.header().size(); ++column) {
    if (taken[column]) continue;
    const std::string& name = table.header()[column];
    Categories categories;
    if (categorical[column]) {
      WB_TRY(categories, categories_of(table, column));
    }
    Result<std::vector<float>> values = std::vector<float>();
    if (categories.texts.empty()) {
      values = table.numbers(column);
    } else {
      const std::vector<double> numbers = text_numbers(table, column, categories.texts);
      values = std::vector<float>(numbers.begin(), numbers.end());
    }
    if (!values.ok()) {
      if (!values.error().text.ends_with("is not a number")) return values.error();
      return Error{values.error().code, values.error().text +
                                            "; if the column says what kind a row is, take it with "
                                            "--categorical " +
                                            name + ", else leave it out with --drop " + name};
    }
    data.features.push_back(name);
    data.texts.push_back(std::move(categories.texts));
    data.categories.push_back(std::move(categories.numbers));
    columns.push_back(std::move(values).value());
  }
  if (std::all_of(data.texts.begin(), data.texts.end(), [](const auto& one) { return one.empty(); }))
    data.texts.clear();
  if (columns.empty()) return fail(Code::kInvalid, table.name(), ": no feature column is left beside the target");
  if (columns.size() > engine::limits::kFeaturesMax) {
    return fail(Code::kInvalid, table.name(), ": ", std::to_string(columns.size()), " feature columns, at most ",
                std::to_string(engine::limits::kFeaturesMax), " are possible; leave some out with --drop");
  }
  data.rows.resize(table.rows_count() * columns.size());
  for (size_t column = 0; column < columns.size(); ++column) {
    for (size_t row = 0; row < table.rows_count(); ++row) {
      data.rows[row * columns.size() + column] = columns[column][row];
      data.has_missing = data.has_missing || std::isnan(columns[column][row]);
    }
  }
  return ok_status();
}

// Each category becomes a column, and what trains takes only so many.
Status check_width(const CsvTable& table, const Dataset& data) {
  size_t width = 0;
  for (const std::vector<double>& kinds : data.categories) width += std::max<size_t>(kinds.size(), 1);
  if (width <= engine::limits::kFeaturesMax) return ok_status();
  return fail(Code::kInvalid, table.name(), ": categories and numbers become ", std::to_string(width),
              " columns, at most ", std::to_string(engine::limits::kFeaturesMax),
              " can be learnt from; call rare categories by one name, or leave columns out with --drop");
}

void set_groups(const CsvTable& table, size_t column, Dataset& data) {
  std::map<std::string_view, uint32_t> groups;
  for (size_t row = 0; row < table.rows_count(); ++row) {
    const auto [group, is_new] = groups.emplace(table.cell(row, column), static_cast<uint32_t>(groups.size()));
    data.groups.push_back(group->second);
  }
}

Status set_times(const CsvTable& table, size_t column, Dataset& data) {
  for (size_t row = 0; row < table.rows_count(); ++row) {
    const auto time = parse_double(trim(table.cell(row, column)));
    if (!time || std::isnan(*time)) {
      return fail(Code::kInvalid, table.place(row, column), ": '", valid_text(table.cell(row, column), 40),
                  "' is no time; --time takes a column of numbers that grow, such as seconds since 1970");
    }
    data.times.push_back(*time);
  }
  return ok_status();
}

// A column that only says which row it is lets a model learn the rows by heart.
Status refuse_row_numbers(const CsvTable& table, const std::vector<std::string>& allowed, const Dataset& data) {
  const std::optional<std::string> name = fit::row_number(data, allowed);
  if (!name) return ok_status();
  return fail(Code::kInvalid, table.name(), ": the column '", *name,
              "' only numbers the rows (whole, all different): a model would learn rows by heart. Leave it out with "
              "--drop ",
              *name, ", or keep it with --allow-id ", *name);
}

void judge_classes(const std::vector<float>& answers, const Dataset& held_out, Quality& quality) {
  const size_t classes = held_out.labels.size();
  for (const std::string& label : held_out.labels) quality.classes.push_back(ClassScore{label});
  std::vector<uint64_t> confusion(classes * classes, 0);
  for (size_t row = 0; row < held_out.rows_count(); ++row) {
    const auto answer = std::span(answers).subspan(row * classes, classes);
    const auto best = static_cast<size_t>(std::max_element(answer.begin(), answer.end()) - answer.begin());
    const auto truth = static_cast<size_t>(held_out.targets[row]);
    ++quality.classes[truth].rows;
    ++quality.classes[best].answered;
    quality.classes[truth].correct += best == truth ? 1 : 0;
    ++confusion[truth * classes + best];
  }
  for (size_t i = 0; i < classes; ++i)
    for (size_t j = 0; j < classes; ++j)
      if (i != j && confusion[i * classes + j] > 0)
        quality.confusions.push_back(Confusion{i, j, confusion[i * classes + j]});
  std::stable_sort(quality.confusions.begin(), quality.confusions.end(),
                   [](const Confusion& a, const Confusion& b) { return a.count > b.count; });
  quality.accuracy = fit::score(fit::Metric::kAccuracy, held_out, answers);
  quality.macro_f1 = fit::score(fit::Metric::kMacroF1, held_out, answers);
}

}  // namespace

Result<Dataset> make_dataset(const CsvTable& table, const DataOptions& options) {
  if (table.rows_count() < Dataset::kRowsMin) {
    return fail(Code::kInvalid, table.name(), ": ", std::to_string(table.rows_count()), " rows of data; at least ",
                std::to_string(Dataset::kRowsMin), " are needed to train and to check");
  }
  std::vector<bool> taken(table.header().size(), false);
  WB_TRY(const size_t target, find_column(table, options.target, "--target"));
  taken[target] = true;
  // A column with a task of its own is no feature.
  const auto take = [&](const std::string& name, const std::string& option) -> Result<size_t> {
    WB_TRY(const size_t column, find_column(table, name, option));
    if (column == target) return fail(Code::kInvalid, "'", name, "' is both --target and ", option);
    taken[column] = true;
    return column;
  };
  Dataset data;
  for (const std::string& name : options.drop) WB_CHECK(take(name, "--drop"));
  std::vector<bool> categorical(table.header().size(), false);
  for (const std::string& name : options.categorical) {
    WB_TRY(const size_t column, find_column(table, name, "--categorical"));
    if (taken[column])
      return fail(Code::kInvalid, "'", name, "' is --categorical, and left out or the target; say one of them");
    categorical[column] = true;
  }
  if (!options.weight.empty()) {
    WB_TRY(const size_t column, take(options.weight, "--weight"));
    WB_CHECK(set_weights(table, column, data));
  }
  if (!options.group.empty()) {
    WB_TRY(const size_t column, take(options.group, "--group"));
    set_groups(table, column, data);
  }
  if (!options.time.empty()) {
    WB_TRY(const size_t column, take(options.time, "--time"));
    WB_CHECK(set_times(table, column, data));
  }
  WB_CHECK(set_target(table, target, options.task, data));
  if (options.balanced && data.labels.empty())
    return fail(Code::kInvalid, "--balanced is for classes, and the target is a quantity");
  if (options.balanced) fit::balance(data);
  WB_CHECK(set_features(table, taken, categorical, data));
  WB_CHECK(check_width(table, data));
  WB_CHECK(refuse_row_numbers(table, options.allow_id, data));
  return data;
}

Quality judge(const engine::Model& model, const Dataset& held_out) {
  const std::vector<float> answers = fit::answers_of(model, held_out);
  Quality quality;
  if (!held_out.labels.empty()) {
    judge_classes(answers, held_out, quality);
    return quality;
  }
  quality.rmse = fit::score(fit::Metric::kRmse, held_out, answers);
  quality.mae = fit::score(fit::Metric::kMae, held_out, answers);
  const double r2 = fit::score(fit::Metric::kR2, held_out, answers);
  quality.r2 = std::isnan(r2) ? 0 : r2;
  return quality;
}

}  // namespace wb::cli
