// waybill fit DATA.csv --target COLUMN -o MODEL.wbm: from a table to a model package, and an honest report about it.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

#include "apps/waybill/commands.h"
#include "apps/waybill/fit_print.h"
#include "apps/waybill/output.h"
#include "base/bytes.h"
#include "fit/package.h"

namespace wb::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Said before an hour of training, not after it.
void require_writable(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    throw Exit{kFailed, path + " cannot be written: " + folder + ": " + std::strerror(errno)};
}

FitReport run_fit(const FitOptions& options) {
  require_writable(options.model);
  const CsvTable table = or_exit(CsvTable::read(options.data));
  const Dataset data = or_exit(make_dataset(table, options.columns));
  const fit::Parts parts = or_exit(fit::part(data, options.holdout, options.train.seed), options.data);
  const fit::Work work{options.columns.target, Booster::version(), options.train.seed, options.explain};
  FitReport report;
  report.options = &options;
  if (!options.only) {
    const Complete complete = [&](const fit::Candidate& candidate, engine::PlainModel plain) -> Result<engine::Model> {
      WB_TRY(plain, fit::completed(std::move(plain), candidate, parts, work, {}));
      return fit::loaded(plain);
    };
    report.comparison = or_exit(compare(parts.learnt_from, options.compare, options.train, complete));
  }
  Trained trained;
  if (report.comparison) {
    Compared& chosen = report.comparison->candidates[report.comparison->choice.chosen];
    report.candidate = chosen.trial.candidate;
    report.train_seconds = chosen.train_seconds;
    trained = std::move(chosen.trained);
  } else {
    report.candidate = *options.only;
    const auto start = Clock::now();
    trained = or_exit(train(report.candidate, parts.learnt_from, options.train, [](int done, int of) {
      show_progress("training", static_cast<size_t>(done), static_cast<size_t>(of));
    }));
    report.train_seconds = seconds_since(start);
  }
  const fit::LibraryMargins theirs = trained.library_margins();
  const engine::Model model =
      or_exit(fit::loaded(or_exit(fit::completed(std::move(trained.plain), report.candidate, parts, work, theirs))));
  or_exit(model.verify_self_test());
  if (theirs) {
    or_exit(fit::require_equal_margins(model, data, theirs));
    report.compared_rows = data.rows_count();
  }
  report.quality = judge(model, parts.held_out);
  report.latency_us = single_row_us(model, data);
  report.rows = data.rows_count();
  report.train_rows = parts.learnt_from.rows_count();
  report.held_out_rows = parts.held_out.rows_count();
  report.labels = data.labels;
  report.features = data.features.size();
  report.trees = model.trees_count();
  report.nodes = model.nodes_count();
  report.weighted = !data.weights.empty();
  report.model_bytes = model.bytes().size();
  or_exit(write_file(options.model, model.bytes()));
  if (report.comparison) or_exit(write_file(report_path(options), page(report, model, parts.held_out)));
  return report;
}

void add_candidate_options(CLI::App& command, FitOptions& options) {
  command.add_option("--candidate", options.family, "train this family alone and compare nothing")
      ->check(CLI::IsMember({"constant", "linear", "tree", "forest", "boosting"}));
  command
      .add_option("--trees", options.trees,
                  "trees of a forest, or boosting rounds; with k > 2 classes each adds k trees")
      ->check(CLI::Range(1, 5'000));
  command.add_option("--depth", options.depth, "levels of splits in a tree")->check(CLI::Range(1, 14));
  command.add_option("--learning-rate", options.learning_rate, "how far each round of boosting goes")
      ->check(CLI::Range(0.0001, 1.0))
      ->capture_default_str();
}

void add_compare_options(CLI::App& command, FitOptions& options) {
  std::vector<std::string> names;
  for (const fit::MetricInfo& one : fit::metrics()) names.emplace_back(one.name);
  command
      .add_option("--metric", options.metric,
                  "what a good answer is; macro-f1 for classes, rmse for values if not given")
      ->check(CLI::IsMember(names));
  command.add_option("--folds", options.compare.folds, "parts that the rows are dealt into; each judges once")
      ->check(CLI::Range(2, 20))
      ->capture_default_str();
  command.add_option("--repeats", options.compare.repeats, "deals; 3 below 5,000 rows and 1 above if not given")
      ->check(CLI::Range(1, 20));
  command.add_option("--max-bytes", options.bytes_max, "largest package that a node has room for, e.g. 16KiB");
  command.add_option("--max-us", options.compare.row_us_max,
                     "longest time for one row on this machine, in microseconds");
  command.add_option("--report", options.report, "HTML page about the comparison; beside the model if not given");
}

std::optional<fit::Metric> wanted_metric(std::string_view name) {
  for (const fit::MetricInfo& one : fit::metrics())
    if (one.name == name) return one.metric;
  return std::nullopt;
}

// What --candidate, --trees, --depth and --learning-rate ask for; nothing: compare. Trees or depth alone mean boosting.
std::optional<fit::Candidate> wanted_candidate(const CLI::App& command, const FitOptions& options) {
  const bool shaped = options.trees || options.depth || command.count("--learning-rate") > 0;
  if (options.family.empty() && !shaped) return std::nullopt;
  for (const char* name : {"--metric", "--folds", "--repeats", "--max-bytes", "--max-us", "--report"}) {
    if (command.count(name) == 0) continue;
    throw Exit{kUsage, std::string(name) +
                           " belongs to a comparison, and --candidate, --trees, --depth or "
                           "--learning-rate ask for one model; leave one of them out"};
  }
  return or_exit(fit::candidate_by_name(options.family.empty() ? "boosting" : options.family, options.trees,
                                        options.depth, options.learning_rate));
}

}  // namespace

void add_fit(CLI::App& app) {
  auto options = std::make_shared<FitOptions>();
  CLI::App* command =
      app.add_subcommand("fit", "Find the simplest model for a CSV file, train it and write a model package");
  command->add_option("data", options->data, "CSV file; the first row names the columns")->required();
  command->add_option("--target", options->columns.target, "column to learn")->required();
  command->add_option("-o,--model", options->model, "package to write (.wbm)")->required()->check(an_output_file());
  command->add_option("--task", options->task, "what the target is; auto: text or few whole numbers are classes")
      ->check(CLI::IsMember({"auto", "classification", "regression"}))
      ->capture_default_str();
  command->add_option("--drop", options->columns.drop, "columns that are not features")->delimiter(',');
  command
      ->add_option("--categorical", options->columns.categorical,
                   "columns that say a kind, not an amount: texts, or numbers that only name something")
      ->delimiter(',');
  command->add_option("--weight", options->columns.weight, "column of sample weights, e.g. 1 / inclusion probability");
  command->add_option("--group", options->columns.group, "column whose equal cells stay together, e.g. the machine");
  command->add_option("--time", options->columns.time, "column of numbers: judge on what came later")
      ->excludes(command->get_option("--group"));
  command->add_flag("--balanced", options->columns.balanced, "every class weighs the same, however rare");
  command->add_option("--allow-id", options->columns.allow_id, "columns that look like row numbers and are features")
      ->delimiter(',');
  add_candidate_options(*command, *options);
  add_compare_options(*command, *options);
  command->add_flag("--explain", options->explain,
                    "keep what `waybill predict --explain` needs: how many rows reached each leaf");
  command->add_option("--holdout", options->holdout, "share of rows kept back to judge the model")
      ->check(CLI::Range(0.01, 0.9))
      ->capture_default_str();
  command->add_option("--seed", options->train.seed, "the same seed, data and threads give the same bytes")
      ->capture_default_str();
  command->add_option("--threads", options->train.threads, "threads to train with; another count may give other bytes")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  add_output_option(*command, options->output);
  command->callback([options, command] {
    options->columns.task = options->task == "classification" ? Task::kClassification
                            : options->task == "regression"   ? Task::kRegression
                                                              : Task::kAuto;
    options->only = wanted_candidate(*command, *options);
    options->compare.metric = wanted_metric(options->metric);
    if (!options->bytes_max.empty()) {
      const auto bytes = parse_size_bytes(options->bytes_max);
      if (!bytes.ok()) throw Exit{kUsage, "--max-bytes: " + bytes.error().text};
      options->compare.bytes_max = static_cast<size_t>(*bytes);
    }
    const FitReport report = run_fit(*options);
    if (!print_structured(options->output, to_json(report))) print_table(report);
  });
}

}  // namespace wb::cli
