// waybill model export MODEL.wbm --target c -o pump.c: the model as source text for a microcontroller, with its sizes;
// with a budget, a refusal that says how many trees would fit and what that loses.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <optional>

#include "apps/waybill/commands.h"
#include "apps/waybill/model_rows.h"
#include "apps/waybill/output.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "engine/export_c.h"

namespace wb::cli {
namespace {

using engine::PlainModel;

struct ExportCommand {
  std::string model;
  std::string target = "c";
  std::string output;
  std::string rows = "f32";
  std::string budget_flash;
  std::string budget_ram;
  std::string data;
  std::optional<size_t> trees;
};

// In the unit that budgets are given in, rounded up.
std::string kib(size_t bytes) {
  if (bytes < 1'024) return std::to_string(bytes) + " bytes";
  const size_t tenths = (bytes * 10 + 1'023) / 1'024;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " KiB";
}

struct Budget {
  size_t flash = SIZE_MAX;
  size_t ram = SIZE_MAX;
  bool holds(const engine::ExportSizes& sizes) const { return sizes.flash() <= flash && sizes.ram() <= ram; }
};

size_t budget_of(const std::string& text, std::string_view option) {
  if (text.empty()) return SIZE_MAX;
  const auto bytes = parse_size_bytes(text);
  if (!bytes.ok()) throw Exit{kUsage, std::string(option) + ": " + bytes.error().text};
  return static_cast<size_t>(*bytes);
}

// Rows to compare two models on: of --data, else those of the self-test. f64[rows, features]
struct Sample {
  std::vector<double> rows;
  size_t count = 0;
  std::string name;
};

Sample sample_of(const ExportCommand& options, const engine::Model& model) {
  const size_t features = model.features_count();
  if (options.data.empty()) {
    const std::vector<double>& rows = model.self_test().rows;
    return {rows, rows.size() / features, "the package's self-test"};
  }
  const CsvTable table = or_exit(CsvTable::read(options.data));
  return {or_exit(feature_rows(table, model, true)), table.rows_count(), options.data};
}

struct Predicted {
  std::vector<double> margins;
  std::vector<size_t> labels;
};

Predicted predicted(const PlainModel& plain, const Sample& sample) {
  const engine::Model model = or_exit(engine::Model::load(or_exit(engine::pack(plain), "pack")), "load");
  Predicted out{margins_of(model, sample.rows), {}};
  if (plain.labels.empty()) return out;
  const std::vector<double> answers = answers_of(model, out.margins);
  const auto width = static_cast<ptrdiff_t>(model.answers_count());
  for (auto from = answers.begin(); from != answers.end(); from += width)
    out.labels.push_back(static_cast<size_t>(std::max_element(from, from + width) - from));
  return out;
}

// How far a smaller model departs from the whole one. That is no error rate: nobody says here what is true.
std::string loss_of(const PlainModel& whole, const PlainModel& kept, const Sample& sample) {
  if (sample.count == 0) return "there are no rows to say what that changes: give some with --data";
  const Predicted before = predicted(whole, sample);
  const Predicted after = predicted(kept, sample);
  double most = 0;
  double squares = 0;
  for (size_t i = 0; i < before.margins.size(); ++i) {
    const double change = std::fabs(before.margins[i] - after.margins[i]);
    most = std::max(most, change);
    squares += change * change;
  }
  char text[160];
  std::snprintf(text, sizeof text, "margins change by %.3g (root mean square), %.3g at most",
                std::sqrt(squares / static_cast<double>(before.margins.size())), most);
  std::string out =
      "beside the whole model, on " + std::to_string(sample.count) + " rows of " + sample.name + ", " + text;
  if (whole.labels.empty()) return out;
  size_t others = 0;
  for (size_t row = 0; row < sample.count; ++row) others += before.labels[row] == after.labels[row] ? 0 : 1;
  return out + ", and " + std::to_string(others) + " rows get another label";
}

class Exporter {
 public:
  explicit Exporter(const ExportCommand& command) : command_(command), model_(load_model(command.model)) {
    whole_ = or_exit(engine::unpack(model_.bytes()), command.model);
    budget_ = {budget_of(command.budget_flash, "--budget-flash"), budget_of(command.budget_ram, "--budget-ram")};
  }

  void run() const {
    const PlainModel kept = command_.trees ? or_exit(engine::first_trees(whole_, *command_.trees), "--trees") : whole_;
    const engine::CExport made = exported(kept);
    if (!budget_.holds(made.sizes)) throw Exit{kFailed, refusal(kept, made.sizes)};
    write(made);
    say(kept, made.sizes);
  }

 private:
  engine::CExport exported(const PlainModel& model) const {
    engine::ExportOptions options;
    options.cpp_header = command_.target == "cpp-header";
    options.f64_rows = command_.rows == "f64";
    options.name = stem();
    options.model_sha256 = sha256_hex(model_.bytes());
    if (model.trees.size() < whole_.trees.size())
      options.made_from = "the first " + std::to_string(model.trees.size()) + " of its " +
                          std::to_string(whole_.trees.size()) + " trees";
    return or_exit(engine::export_c(model, options), command_.model);
  }

  std::string stem() const {
    const std::string file = command_.output.substr(command_.output.rfind('/') + 1);
    return file.substr(0, file.rfind('.'));
  }
  std::string header_file() const { return command_.output.substr(0, command_.output.rfind('.')) + ".h"; }

  void write(const engine::CExport& made) const {
    const bool one = command_.target == "cpp-header";
    Status written = write_file(command_.output, one ? made.header : made.source);
    if (written.ok() && !one) written = write_file(header_file(), made.header);
    if (!written.ok()) throw Exit{kFailed, written.error().text};
  }

  void say(const PlainModel& kept, const engine::ExportSizes& sizes) const {
    const std::string files =
        command_.target == "cpp-header" ? command_.output : command_.output + ", " + header_file();
    std::printf("%s: %zu trees\n", files.c_str(), kept.trees.size());
    std::printf("  flash  %zu bytes of tables, at most %zu of code for margins%s\n", sizes.tables, sizes.margins_code,
                sizes.answers_code > 0
                    ? (" and " + std::to_string(sizes.answers_code) + " for answers and label").c_str()
                    : "");
    std::printf("  RAM    at most %zu bytes of stack, %zu for row, margins and answers\n", sizes.stack, sizes.caller);
    std::printf("         (gcc 12 -Os, Cortex-M4 without an FPU, what it needs of libgcc included)\n");
    if (command_.rows == "f32" && whole_.compare == engine::Compare::kF64LessEqual)
      std::printf(
          "  rows   f32: the library compares in f64, and answers alike where a number is an f32; for more digits "
          "--rows f64\n");
    if (kept.trees.size() < whole_.trees.size())
      std::printf("  loss   %s\n", loss_of(whole_, kept, sample_of(command_, model_)).c_str());
  }

  // What the first trees alone would need, and lose.
  std::string refusal(const PlainModel& kept, const engine::ExportSizes& sizes) const {
    std::string out =
        command_.model + ": needs " + kib(sizes.flash()) + " of flash and " + kib(sizes.ram()) + " of RAM;";
    if (budget_.flash != SIZE_MAX) out += " the budget is " + kib(budget_.flash) + " of flash";
    if (budget_.ram != SIZE_MAX)
      out += std::string(budget_.flash != SIZE_MAX ? " and " : " the budget is ") + kib(budget_.ram) + " of RAM";
    const size_t round = engine::trees_in_round(kept);
    size_t fits = 0;  // rounds: none is known to fit, `too_many` is known not to
    size_t too_many = kept.trees.size() / round;
    while (fits + 1 < too_many) {
      const size_t middle = (fits + too_many) / 2;
      const auto fewer = engine::first_trees(kept, middle * round);
      if (!fewer.ok()) return out + "; " + fewer.error().text;
      (budget_.holds(exported(*fewer).sizes) ? fits : too_many) = middle;
    }
    if (fits == 0) return out + "; not even one tree of each output fits: train a smaller model";
    const PlainModel fewer = or_exit(engine::first_trees(kept, fits * round), command_.model);
    const engine::ExportSizes smaller = exported(fewer).sizes;
    return out + ".\n  Its first " + std::to_string(fewer.trees.size()) + " of " + std::to_string(whole_.trees.size()) +
           " trees fit (" + kib(smaller.flash()) + " and " + kib(smaller.ram()) +
           "): " + loss_of(whole_, fewer, sample_of(command_, model_)) + ".\n  To take them: --trees " +
           std::to_string(fewer.trees.size());
  }

  const ExportCommand& command_;
  engine::Model model_;
  PlainModel whole_;
  Budget budget_;
};

void run_export(const ExportCommand& command) {
  if (command.target == "c" && !command.output.ends_with(".c"))
    throw Exit{kUsage, "-o " + command.output + ": name a .c file; its header is written beside it"};
  Exporter(command).run();
}

}  // namespace

void add_model_export(CLI::App& model) {
  auto options = std::make_shared<ExportCommand>();
  CLI::App* command = model.add_subcommand(
      "export",
      "Write a model as C99 or as a C++17 header for a microcontroller: const tables, no heap, the same bits");
  command->add_option("model", options->model, "model package (.wbm)")->required();
  command->add_option("--target", options->target, "c: a .c file and its .h; cpp-header: one header")
      ->check(CLI::IsMember({"c", "cpp-header"}));
  command->add_option("-o,--out", options->output, "file to write; its name without the ending is the name in C")
      ->required()
      ->check(an_output_file());
  command->add_option("--rows", options->rows, "the numbers of a row: f32, or f64 for models that compare in f64")
      ->check(CLI::IsMember({"f32", "f64"}));
  command->add_option("--trees", options->trees, "only the first N trees");
  command->add_option("--budget-flash", options->budget_flash, "fail if tables and code take more, such as 16KiB");
  command->add_option("--budget-ram", options->budget_ram, "fail if stack, row, margins and answers take more");
  command->add_option("--data", options->data,
                      "CSV file: rows on which fewer trees are compared with all of them (default: the self-test's)");
  command->callback([options] { run_export(*options); });
}

}  // namespace wb::cli
