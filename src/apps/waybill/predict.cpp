// waybill predict MODEL.wbm --data FILE.csv: one line per row, in shortest decimals that read back as the same numbers.
// With --explain or --path, why.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <memory>

#include "apps/waybill/commands.h"
#include "apps/waybill/model_rows.h"
#include "base/bytes.h"

namespace wb::cli {
namespace {

struct PredictOptions {
  std::string model;
  std::string data;
  bool margin = false;
  bool all = false;
  bool allow_missing = false;
  bool explain = false;
  bool path = false;
  std::string of;  // a label, or the number of an output
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

// Prints in large pieces.
class Printer {
 public:
  std::string text;
  void line_done() {
    text += '\n';
    if (text.size() >= (size_t{64} << 10)) write();
  }
  void finish() {
    write();
    if (std::fflush(stdout) != 0) refuse();
  }

 private:
  void write() {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) refuse();
    text.clear();
  }
  [[noreturn]] static void refuse() {
    throw Exit{kFailed, "could not write the answers: the reader of the output went away, or the disk is full"};
  }
};

void print_answers(const PredictOptions& options, const engine::Model& model, const std::vector<double>& rows) {
  const std::vector<double> margins = margins_of(model, rows);
  const std::vector<double> answers = answers_of(model, margins);
  const size_t outputs = model.outputs_count();
  const size_t width = model.answers_count();
  Printer print;
  for (size_t row = 0; row < rows.size() / model.features_count(); ++row) {
    const auto of_row = std::span(answers).subspan(row * width, width);
    if (options.margin) {
      append_numbers(print.text, model, std::span(margins).subspan(row * outputs, outputs));
    } else if (options.all) {
      append_numbers(print.text, model, of_row);
    } else {
      append_answer(print.text, model, of_row);
    }
    print.line_done();
  }
  print.finish();
}

// A margin's name: its label where each label has one, else its number.
std::string output_name(const engine::Model& model, size_t output) {
  return model.labels().size() == model.outputs_count() ? model.labels()[output] : std::to_string(output);
}

// Which margins to explain.
std::vector<size_t> wanted_outputs(const PredictOptions& options, const engine::Model& model) {
  std::vector<size_t> out;
  std::vector<std::string> names;
  for (size_t output = 0; output < model.outputs_count(); ++output) {
    names.push_back(output_name(model, output));
    if (options.of.empty() || names.back() == options.of) out.push_back(output);
  }
  if (out.empty())
    throw Exit{kUsage, "--of " + options.of + ": " + options.model + " has no such output" +
                           suggestion(options.of, names) + "; it has " + std::to_string(names.size()) + ": " +
                           names.front() + (names.size() > 1 ? " to " + names.back() : "")};
  return out;
}

// A header, then a line for each row and output: a contribution for each feature, and the bias.
void print_contributions(const PredictOptions& options, const engine::Model& model, const std::vector<double>& rows) {
  const auto explainer = engine::Explainer::load(model.bytes());
  if (!explainer.ok()) throw Exit{kFailed, options.model + ": " + explainer.error().text};
  const std::vector<size_t> outputs = wanted_outputs(options, model);
  const bool named = options.of.empty() && model.outputs_count() > 1;
  const size_t features = model.features_count();
  Printer print;
  if (named) print.text += "output,";
  for (const std::string& name : model.features()) print.text += csv_field(name) + ',';
  print.text += "bias";
  print.line_done();
  std::vector<double> contributions(model.outputs_count() * (features + 1));
  for (size_t row = 0; row < rows.size() / features; ++row) {
    explainer->explain(std::span(rows).subspan(row * features, features), 1, contributions);
    for (const size_t output : outputs) {
      if (named) print.text += csv_field(output_name(model, output)) + ',';
      for (size_t i = 0; i <= features; ++i)
        print.text += (i > 0 ? "," : "") + number_text(model, contributions[output * (features + 1) + i]);
      print.line_done();
    }
  }
  print.finish();
}

// A line a row: the conditions that led to its leaf.
void print_paths(const PredictOptions& options, const engine::Model& model, const std::vector<double>& rows) {
  const engine::PlainModel plain = or_exit(engine::unpack(model.bytes()));
  if (plain.trees.size() != 1)
    throw Exit{kFailed, options.model + ": has " + std::to_string(plain.trees.size()) +
                            " trees, and --path tells the way through one; what each feature adds: --explain"};
  const size_t features = model.features_count();
  Printer print;
  for (size_t row = 0; row < rows.size() / features; ++row) {
    const auto path = engine::decision_path(plain, 0, std::span(rows).subspan(row * features, features));
    for (size_t i = 0; i < path.size(); ++i) print.text += (i > 0 ? " and " : "") + path[i];
    print.line_done();
  }
  print.finish();
}

void predict(const PredictOptions& options) {
  if (!options.of.empty() && !options.explain) throw Exit{kUsage, "--of goes with --explain: whose margin it tells of"};
  const engine::Model model = load_model(options.model);
  const CsvTable table = or_exit(CsvTable::read(options.data));
  const std::vector<double> rows =
      or_exit(feature_rows(table, model, options.allow_missing || model.missing_allowed()));
  if (options.explain) return print_contributions(options, model, rows);
  if (options.path) return print_paths(options, model, rows);
  print_answers(options, model, rows);
}

}  // namespace

void add_predict(CLI::App& app) {
  auto options = std::make_shared<PredictOptions>();
  CLI::App* command = app.add_subcommand(
      "predict", "Answer the rows of a CSV file: 'label,probability' a line, or the value or values");
  command->add_option("model", options->model, "model package (.wbm)")->required();
  command->add_option("--data", options->data, "CSV file; columns are matched by name, others are ignored")->required();
  auto* margin = command->add_flag("--margin", options->margin, "print the raw margins, comma-separated, instead");
  auto* all = command->add_flag("--all", options->all, "print every answer, comma-separated: one probability per label")
                  ->excludes(margin);
  auto* explain = command
                      ->add_flag("--explain", options->explain,
                                 "print what each feature adds to the margin (Shapley values) and the bias instead")
                      ->excludes(margin)
                      ->excludes(all);
  command->add_option("--of", options->of, "with --explain and several outputs: of this label or number alone");
  command
      ->add_flag("--path", options->path, "of a model of one tree: print the conditions that led to the leaf instead")
      ->excludes(margin)
      ->excludes(all)
      ->excludes(explain);
  command->add_flag("--allow-missing", options->allow_missing,
                    "answer rows with missing values as XGBoost would, though none were seen in training");
  command->callback([options] { predict(*options); });
}

}  // namespace wb::cli
