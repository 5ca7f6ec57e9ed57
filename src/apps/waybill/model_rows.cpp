#include "apps/waybill/model_rows.h"

#include <cmath>

#include "apps/waybill/commands.h"
#include "base/bytes.h"

namespace wb::cli {

engine::Model load_model(const std::string& path) {
  const auto bytes = read_file(path, engine::limits::kModelBytesMax);
  if (!bytes.ok()) throw Exit{kFailed, bytes.error().text};
  auto model = engine::Model::load(*bytes);
  if (!model.ok()) throw Exit{kFailed, path + ": " + model.error().text};
  const Status test = model->verify_self_test();
  if (!test.ok()) throw Exit{kFailed, path + ": " + test.error().text};
  return std::move(model).value();
}

std::vector<double> text_numbers(const CsvTable& table, size_t column, std::span<const std::string> texts) {
  std::vector<double> values;
  for (size_t row = 0; row < table.rows_count(); ++row) {
    const std::string_view cell = trim(table.cell(row, column));
    values.push_back(engine::text_number(texts, is_missing_cell(cell) ? "" : cell));
  }
  return values;
}

Result<std::vector<double>> feature_rows(const CsvTable& table, const engine::Model& model, bool allow_missing) {
  const size_t features = model.features_count();
  std::vector<double> rows(table.rows_count() * features);
  for (size_t feature = 0; feature < features; ++feature) {
    const std::string& name = model.features()[feature];
    const auto column = table.column(name);
    if (!column) {
      return fail(Code::kNotFound, table.name(), ": the model needs a column '", name, "' and the file has none",
                  suggestion(name, table.header()));
    }
    const std::span<const std::string> texts = model.texts(feature);
    WB_TRY(const std::vector<double> values,
           texts.empty() ? table.doubles(*column) : text_numbers(table, *column, texts));
    for (size_t row = 0; row < values.size(); ++row) {
      const double value = values[row];
      if (std::isnan(value) && !allow_missing) {
        return fail(Code::kInvalid, table.place(row, *column),
                    ": the value is missing, and this model saw no missing values in training; fill it in, or answer "
                    "anyway with --allow-missing");
      }
      if (!model.computes_f64() && std::isfinite(value) && std::isinf(static_cast<float>(value)))
        return fail(Code::kInvalid, table.place(row, *column), ": '", shortest(value),
                    "' is too large for the 32-bit floats that this model computes in");
      rows[row * features + feature] = value;
    }
  }
  return rows;
}

std::string number_text(const engine::Model& model, double value) {
  return model.sums_f64() ? shortest(value) : shortest(static_cast<float>(value));
}

std::vector<double> margins_of(const engine::Model& model, const std::vector<double>& rows) {
  const size_t n = rows.size() / model.features_count();
  std::vector<double> margins(n * model.outputs_count());
  model.predict_margins(rows, n, margins);
  return margins;
}

std::vector<double> answers_of(const engine::Model& model, const std::vector<double>& margins) {
  std::vector<double> answers(margins.size() / model.outputs_count() * model.answers_count());
  model.probabilities(margins, answers);
  if (model.sums_f64()) return answers;
  for (double& answer : answers) answer = static_cast<double>(static_cast<float>(answer));
  return answers;
}

}  // namespace wb::cli
