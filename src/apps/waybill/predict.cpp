// waybill predict MODEL.wbm --data FILE.csv: one line per row, in shortest decimals that read back as the same numbers.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "apps/waybill/commands.h"
#include "apps/waybill/model_rows.h"

namespace wb::cli {
namespace {

struct PredictOptions {
  std::string model;
  std::string data;
  bool margin = false;
  bool all = false;
  bool allow_missing = false;
};

void append_numbers(std::string& out, const engine::Model& model, std::span<const double> numbers) {
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (i > 0) out += ',';
    out += number_text(model, numbers[i]);
  }
}

// "label,probability" where one label is the answer.
void append_answer(std::string& out, const engine::Model& model, std::span<const double> answers) {
  if (model.labels().empty() || model.objective() == engine::Objective::kIndependent) {
    append_numbers(out, model, answers);
    return;
  }
  const auto best = std::max_element(answers.begin(), answers.end());
  out += csv_field(model.labels()[static_cast<size_t>(best - answers.begin())]) + ',' + number_text(model, *best);
}

void predict(const PredictOptions& options) {
  const engine::Model model = load_model(options.model);
  const auto table = CsvTable::read(options.data);
  if (!table.ok()) throw Exit{kFailed, table.error().text};
  const auto rows = feature_rows(*table, model, options.allow_missing || model.missing_allowed());
  if (!rows.ok()) throw Exit{kFailed, rows.error().text};
  const std::vector<double> margins = margins_of(model, *rows);
  const std::vector<double> answers = answers_of(model, margins);
  const size_t outputs = model.outputs_count();
  const size_t width = model.answers_count();
  std::string out;
  for (size_t row = 0; row < table->rows_count(); ++row) {
    const auto of_row = std::span(answers).subspan(row * width, width);
    if (options.margin) {
      append_numbers(out, model, std::span(margins).subspan(row * outputs, outputs));
    } else if (options.all) {
      append_numbers(out, model, of_row);
    } else {
      append_answer(out, model, of_row);
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
  CLI::App* command = app.add_subcommand(
      "predict", "Answer the rows of a CSV file: 'label,probability' a line, or the value or values");
  command->add_option("model", options->model, "model package (.wbm)")->required();
  command->add_option("--data", options->data, "CSV file; columns are matched by name, others are ignored")->required();
  auto* margin = command->add_flag("--margin", options->margin, "print the raw margins, comma-separated, instead");
  command->add_flag("--all", options->all, "print every answer, comma-separated: one probability per label")
      ->excludes(margin);
  command->add_flag("--allow-missing", options->allow_missing,
                    "answer rows with missing values as XGBoost would, though none were seen in training");
  command->callback([options] { predict(*options); });
}

}  // namespace wb::cli
