// waybill model import FILE -o MODEL: a model that another library trained becomes a package, and is held against
// recorded rows if there are some. waybill model show MODEL: what a package holds.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <memory>

#include "apps/waybill/commands.h"
#include "apps/waybill/listing.h"
#include "apps/waybill/model_rows.h"
#include "base/bytes.h"
#include "import/import.h"

namespace wb::cli {
namespace {

using Json = nlohmann::ordered_json;

struct ImportOptions {
  std::string file;
  std::string out;
  std::string format;
  std::string trees = "best";
  std::vector<std::string> labels;
  bool category_codes = false;
  bool explain = false;
  std::string rows;
  std::string expect;
  std::string expect_answers;
  Format output = Format::kTable;
};

// Recorded outputs by position: one column for each output, whatever it is called.
struct Recorded {
  CsvTable table;
  size_t rows_count = 0;
  std::vector<double> numbers;  // f64[rows, columns]
};

Recorded read_recorded(const std::string& path, size_t columns, size_t rows, std::string_view what) {
  CsvTable table = or_exit(CsvTable::read(path));
  if (table.header().size() != columns)
    throw Exit{kFailed, path + ": has " + std::to_string(table.header().size()) + " columns, the model gives " +
                            std::to_string(columns) + " " + std::string(what) + " a row"};
  if (table.rows_count() != rows)
    throw Exit{kFailed, path + ": has " + std::to_string(table.rows_count()) + " rows, there are " +
                            std::to_string(rows) + " recorded rows"};
  std::vector<double> numbers(columns * rows);
  for (size_t column = 0; column < columns; ++column) {
    const std::vector<double> values = or_exit(table.doubles(column));
    for (size_t row = 0; row < rows; ++row) numbers[row * columns + column] = values[row];
  }
  return {std::move(table), rows, std::move(numbers)};
}

// How many numbers lie between two of a precision; the sign of zero counts.
template <class Number, class Bits>
uint64_t distance(Number a, Number b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b) ? 0 : ~uint64_t{0};
  const auto key = [](Number value) {  // ascending with the value
    constexpr Bits kSign = Bits{1} << (sizeof(Bits) * 8 - 1);
    const auto bits = std::bit_cast<Bits>(value);
    return static_cast<Bits>((bits & kSign) != 0 ? ~bits : bits | kSign);
  };
  return key(a) > key(b) ? key(a) - key(b) : key(b) - key(a);
}

void require_equal(const engine::Model& model, const std::vector<double>& ours, const Recorded& recorded,
                   uint64_t ulps_max, std::string_view what) {
  const size_t columns = recorded.table.header().size();
  for (size_t i = 0; i < ours.size(); ++i) {
    const double theirs = recorded.numbers[i];
    const uint64_t ulps = model.sums_f64()
                              ? distance<double, uint64_t>(ours[i], theirs)
                              : distance<float, uint32_t>(static_cast<float>(ours[i]), static_cast<float>(theirs));
    if (ulps <= ulps_max) continue;
    throw Exit{kFailed, "no model was written: it does not reproduce what was recorded; " +
                            recorded.table.place(i / columns, i % columns) + ": recorded " +
                            number_text(model, theirs) + ", the model's " + std::string(what) + " is " +
                            number_text(model, ours[i]) + " (difference " + shortest(ours[i] - theirs) + ")"};
  }
}

// Of two labels over one margin a library answers for the second alone, and anyone takes the first as what is left
// to 1.
std::vector<double> recorded_answers(const engine::Model& model, std::vector<double> answers) {
  if (model.outputs_count() != 1 || model.answers_count() != 2) return answers;
  for (size_t row = 0; row < answers.size() / 2; ++row) answers[row] = answers[row * 2 + 1];
  answers.resize(answers.size() / 2);
  return answers;
}

// Some of the recorded rows travel with the package: a node runs them before it serves.
engine::SelfTest self_test_of(const engine::Model& model, const std::vector<double>& rows) {
  constexpr size_t kRows = 32;
  const size_t features = model.features_count();
  const size_t n = rows.size() / features;
  const size_t taken = std::min(n, kRows);
  engine::SelfTest test;
  for (size_t i = 0; i < taken; ++i) {
    const auto row = std::span(rows).subspan(i * n / taken * features, features);
    for (const double value : row)
      test.rows.push_back(model.computes_f64() ? value : static_cast<double>(static_cast<float>(value)));
  }
  test.margins = margins_of(model, test.rows);
  return test;
}

// Returns how many rows were held against the model.
size_t hold_against(const ImportOptions& options, engine::PlainModel& plain) {
  if (options.rows.empty()) return 0;
  const engine::Model model = or_exit(engine::Model::load(or_exit(engine::pack(plain))));
  const CsvTable table = or_exit(CsvTable::read(options.rows));
  const std::vector<double> rows = or_exit(feature_rows(table, model, true));
  const size_t n = table.rows_count();
  if (n == 0) throw Exit{kFailed, options.rows + ": has no rows"};
  const std::vector<double> margins = margins_of(model, rows);
  if (!options.expect.empty())
    require_equal(model, margins, read_recorded(options.expect, model.outputs_count(), n, "margins"), 0, "margin");
  if (!options.expect_answers.empty()) {
    const uint64_t ulps_max = model.sums_f64() ? 4 : 2;  // in f64 the exponentials of C libraries differ by steps
    const std::vector<double> answers = recorded_answers(model, answers_of(model, margins));
    require_equal(model, answers, read_recorded(options.expect_answers, answers.size() / n, n, "recorded answers"),
                  ulps_max, "answer");
  }
  plain.self_test = self_test_of(model, rows);
  return n;
}

size_t depth_of(const engine::Tree& tree) {
  size_t deepest = 0;
  std::vector<std::pair<int32_t, size_t>> waiting{{0, 0}};
  while (!waiting.empty()) {
    const auto [index, depth] = waiting.back();
    waiting.pop_back();
    const engine::TreeNode& node = tree.nodes[static_cast<size_t>(index)];
    deepest = std::max(deepest, depth);
    if (node.left < 0) continue;
    waiting.emplace_back(node.left, depth + 1);
    waiting.emplace_back(node.right, depth + 1);
  }
  return deepest;
}

std::string_view compare_name(engine::Compare compare) {
  switch (compare) {
    case engine::Compare::kF32Less: return "f32 <";
    case engine::Compare::kF32LessEqual: return "f32 <=";
    case engine::Compare::kF64LessEqual: return "f64 <=";
  }
  return "";
}

// "trees", "a linear model", "3 layers of 8, 4 and 1 units", …
std::string predictor_name(const engine::PlainModel& model) {
  if (const auto* network = std::get_if<engine::Network>(&model.predictor)) {
    std::string units;
    for (const engine::Layer& layer : network->layers)
      units += (units.empty() ? "" : ", ") + std::to_string(layer.biases.size());
    return "a network with layers of " + units + " units";
  }
  if (const auto* all = std::get_if<engine::Neighbours>(&model.predictor))
    return std::to_string(all->count) + " nearest of " +
           std::to_string(all->points.size() / engine::columns_count(model)) + " points";
  const std::string_view trees = model.lines.empty() ? "trees" : "trees whose leaves are lines";
  if (!model.linear) return model.trees.empty() ? "a constant" : std::string(trees);
  return model.trees.empty() ? "a linear model" : "a linear model with " + std::string(trees);
}

// With what stands before it: "trees behind 2 steps".
std::string kind_of(const engine::PlainModel& model) {
  const size_t steps = model.steps.size();
  if (steps == 0) return predictor_name(model);
  return predictor_name(model) + " behind " + std::to_string(steps) + (steps == 1 ? " step" : " steps");
}

Json describe(const std::string& path, const engine::Model& model) {
  const engine::PlainModel plain = or_exit(engine::unpack(model.bytes()));
  size_t depth = 0;
  for (const engine::Tree& tree : plain.trees) depth = std::max(depth, depth_of(tree));
  const double per_node = static_cast<double>(model.bytes().size()) / static_cast<double>(model.nodes_count());
  Json json;
  json["model"] = path;
  for (const auto& [key, text] : plain.notes) json["notes"][key] = text;
  json["kind"] = kind_of(plain);
  json["objective"] = engine::objective_name(plain.objective);
  json["trees"] = model.trees_count();
  json["nodes"] = model.nodes_count();
  json["depth"] = depth;
  json["bytes"] = model.bytes().size();
  if (model.nodes_count() > 0) json["bytes_per_node"] = std::round(per_node * 100) / 100;
  json["memory_bytes"] = model.forest_memory_bytes();
  json["compares"] = compare_name(plain.compare);
  json["sums"] = model.sums_f64() ? "f64" : "f32";
  json["outputs"] = model.outputs_count();
  json["steps"] = plain.steps.size();
  json["explains"] = engine::Explainer::load(model.bytes()).ok();
  json["calibrated"] = plain.calibration.has_value();
  json["missing_allowed"] = model.missing_allowed();
  json["self_test_rows"] = plain.self_test.rows.size() / model.features_count();
  json["features"] = model.features();
  for (size_t i = 0; i < plain.texts.size(); ++i)
    if (!plain.texts[i].empty()) json["texts"][plain.features[i]] = plain.texts[i];
  json["labels"] = model.labels();
  return json;
}

void print_model(const Json& json) {
  const std::vector<FieldView> fields = {{"model", "/model"},
                                         {"library", "/notes/library"},
                                         {"trained by", "/notes/trainer"},
                                         {"trained for", "/notes/objective"},
                                         {"left out", "/notes/left out"},
                                         {"folded", "/notes/folded"},
                                         {"margins", "/notes/margins"},
                                         {"answers", "/notes/answers"},
                                         {"kind", "/kind"},
                                         {"objective", "/objective"},
                                         {"trees", "/trees"},
                                         {"nodes", "/nodes"},
                                         {"depth", "/depth"},
                                         {"size", "/bytes", FieldView::As::kBytes},
                                         {"bytes a node", "/bytes_per_node"},
                                         {"in memory", "/memory_bytes", FieldView::As::kBytes},
                                         {"compares", "/compares"},
                                         {"sums", "/sums"},
                                         {"outputs", "/outputs"},
                                         {"explains", "/explains"},
                                         {"self-test", "/self_test_rows"},
                                         {"features", "/features"},
                                         {"labels", "/labels"}};
  std::vector<FieldView> shown;
  for (const FieldView& field : fields) {
    const bool note = field.pointer.starts_with("/notes/");
    if (!note || json.contains(Json::json_pointer(field.pointer))) shown.push_back(field);
  }
  print_detail(json, shown);
}

void import_file(const ImportOptions& options) {
  if (options.rows.empty() != (options.expect.empty() && options.expect_answers.empty()))
    throw Exit{kUsage, "--rows goes with --expect or --expect-answers: what the library answered on those rows"};
  imports::Options how;
  if (!options.format.empty()) how.format = imports::format_by_name(options.format);
  how.best_only = options.trees == "best";
  how.labels = options.labels;
  how.category_codes = options.category_codes;
  how.covers = options.explain;
  const std::string bytes = or_exit(read_file(options.file, imports::limits::kFileBytesMax));
  auto imported = imports::import_model(bytes, how);
  if (!imported.ok()) throw Exit{kFailed, options.file + ": " + imported.error().text};
  const size_t compared = hold_against(options, *imported);
  const engine::Model model = or_exit(engine::Model::load(or_exit(engine::pack(*imported))));
  or_exit(write_file(options.out, model.bytes()));
  Json json = describe(options.out, model);
  json["compared_rows"] = compared;
  if (print_structured(options.output, json)) return;
  print_model(json);
  if (compared > 0) std::printf("exact: reproduces %zu recorded rows\n", compared);
  std::printf("try:   waybill predict %s --data FILE.csv\n", options.out.c_str());
}

struct ShowOptions {
  std::string model;
  Format output = Format::kTable;
};

}  // namespace

void add_model_import(CLI::App& model) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App* command = model.add_subcommand("import", "Turn a model that another library saved into a package");
  command
      ->add_option("file", options->file,
                   "what the library saved: XGBoost's JSON or UBJSON, LightGBM's text, CatBoost's JSON, ONNX")
      ->required();
  command->add_option("-o,--model", options->out, "package to write (.wbm)")->required()->check(an_output_file());
  command->add_option("--format", options->format, "what the file is; without it, its content says")
      ->check(CLI::IsMember(imports::format_names()));
  command
      ->add_option("--trees", options->trees,
                   "best: leave out the trees after the best round, if the file names it; all: keep every tree")
      ->check(CLI::IsMember({"best", "all"}))
      ->capture_default_str();
  command->add_option("--labels", options->labels, "names of the classes, in their order")->delimiter(',');
  command->add_flag("--category-codes", options->category_codes,
                    "LightGBM with pandas categories: rows will hold the codes, not the categories");
  command->add_flag("--explain", options->explain,
                    "keep what `waybill predict --explain` needs: how many rows reached each leaf");
  command->add_option("--rows", options->rows, "CSV file of recorded rows, columns by name");
  command->add_option("--expect", options->expect, "CSV file: the library's margins on those rows, to be equal");
  command->add_option("--expect-answers", options->expect_answers,
                      "CSV file: the library's answers on those rows, to be equal but for the last bits");
  add_output_option(*command, options->output);
  command->callback([options] { import_file(*options); });
}

void add_model_show(CLI::App& model) {
  auto options = std::make_shared<ShowOptions>();
  CLI::App* command = model.add_subcommand("show", "What a model package holds");
  command->add_option("model", options->model, "model package (.wbm)")->required();
  add_output_option(*command, options->output);
  command->callback([options] {
    const Json json = describe(options->model, load_model(options->model));
    if (!print_structured(options->output, json)) print_model(json);
  });
}

}  // namespace wb::cli
