// waybill predict MODEL.wbm --data FILE.csv: one line per row, in shortest decimals that read back as the same numbers.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <memory>

#include "apps/waybill/commands.h"
#include "apps/waybill/fit_data.h"
#include "base/bytes.h"

namespace wb::cli {
namespace {

struct PredictOptions {
  std::string model;
  std::string data;
  bool margin = false;
  bool allow_missing = false;
};

// The model's features, found by name in the table: f32[rows, features].
Result<std::vector<float>> feature_rows(const CsvTable& table, const engine::Model& model, bool allow_missing) {
  const size_t features = model.features_count();
  std::vector<float> rows(table.rows_count() * features);
  for (size_t feature = 0; feature < features; ++feature) {
    const std::string& name = model.features()[feature];
    const auto column = table.column(name);
    if (!column) {
      return fail(Code::kNotFound, table.name(), ": the model needs a column '", name, "' and the file has none",
                  suggestion(name, table.header()));
    }
    WB_TRY(const std::vector<float> values, table.numbers(*column));
    for (size_t row = 0; row < values.size(); ++row) {
      if (std::isnan(values[row]) && !allow_missing) {
        return fail(Code::kInvalid, table.place(row, *column),
                    ": the value is missing, and this model saw no missing values in training; fill it in, or answer "
                    "anyway with --allow-missing");
      }
      rows[row * features + feature] = values[row];
    }
  }
  return rows;
}

void append_margins(std::string& out, std::span<const float> margins) {
  for (size_t i = 0; i < margins.size(); ++i) {
    if (i > 0) out += ',';
    out += shortest(margins[i]);
  }
}

void append_answer(std::string& out, const engine::Model& model, std::span<const float> probs) {
  if (model.labels().empty()) {
    out += shortest(probs[0]);
    return;
  }
  const size_t best = largest(probs);
  out += csv_field(model.labels()[best]) + ',' + shortest(probs[best]);
}

void predict(const PredictOptions& options) {
  const auto bytes = read_file(options.model, engine::limits::kModelBytesMax);
  if (!bytes.ok()) throw Exit{kFailed, bytes.error().text};
  const auto model = engine::Model::load(*bytes);
  if (!model.ok()) throw Exit{kFailed, options.model + ": " + model.error().text};
  const Status test = model->verify_self_test();
  if (!test.ok()) throw Exit{kFailed, options.model + ": " + test.error().text};
  const auto table = CsvTable::read(options.data);
  if (!table.ok()) throw Exit{kFailed, table.error().text};
  const auto rows = feature_rows(*table, *model, options.allow_missing || model->missing_allowed());
  if (!rows.ok()) throw Exit{kFailed, rows.error().text};
  const size_t outputs = model->outputs_count();
  const size_t answers = model->answers_count();
  std::vector<float> margins(table->rows_count() * outputs);
  model->predict_margins(*rows, table->rows_count(), margins);
  std::vector<float> probs(table->rows_count() * answers);
  model->probabilities(margins, probs);
  std::string out;
  for (size_t row = 0; row < table->rows_count(); ++row) {
    if (options.margin) {
      append_margins(out, std::span(margins).subspan(row * outputs, outputs));
    } else {
      append_answer(out, *model, std::span(probs).subspan(row * answers, answers));
    }
    out += '\n';
    const bool last = row + 1 == table->rows_count();
    if (out.size() < (size_t{64} << 10) && !last) continue;
    if (std::fwrite(out.data(), 1, out.size(), stdout) != out.size() || (last && std::fflush(stdout) != 0)) {
      throw Exit{kFailed, "could not write the answers: the reader of the output went away, or the disk is full"};
    }
    out.clear();
  }
}

}  // namespace

void add_predict(CLI::App& app) {
  auto options = std::make_shared<PredictOptions>();
  CLI::App* command =
      app.add_subcommand("predict", "Answer the rows of a CSV file: 'label,probability' (or the value) a line");
  command->add_option("model", options->model, "model package (.wbm)")->required();
  command->add_option("--data", options->data, "CSV file; columns are matched by name, others are ignored")->required();
  command->add_flag("--margin", options->margin, "print the raw margins, comma-separated, instead");
  command->add_flag("--allow-missing", options->allow_missing,
                    "answer rows with missing values as XGBoost would, though none were seen in training");
  command->callback([options] { predict(*options); });
}

}  // namespace wb::cli
