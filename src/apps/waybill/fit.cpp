// waybill fit DATA.csv --target COLUMN -o MODEL.wbm: from a table to a model package, and an honest report about it.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/waybill/commands.h"
#include "apps/waybill/fit_data.h"
#include "apps/waybill/output.h"
#include "base/bytes.h"

namespace wb::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct FitOptions {
  std::string data;
  std::string model;
  std::string task = "auto";
  Format output = Format::kTable;
  DataOptions columns;
  TrainOptions train;
  double holdout = 0.2;
};

struct FitReport {
  const FitOptions* options = nullptr;
  size_t rows = 0;
  size_t train_rows = 0;
  size_t held_out_rows = 0;
  Quality quality;
  std::vector<std::string> labels;
  size_t features = 0;
  size_t trees = 0;
  size_t nodes = 0;
  size_t model_bytes = 0;
  size_t compared_rows = 0;
  double train_seconds = 0;
  double latency_us = 0;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string decimals(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string grouped(uint64_t value) {  // 58,000
  std::string text = std::to_string(value);
  for (auto at = static_cast<ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<size_t>(at), 1, ',');
  return text;
}

// A bar that redraws itself on a terminal; a few plain lines elsewhere. To stderr, so that stdout stays the report.
void show_progress(int done, int of) {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  if (!terminal) {
    if (done == of || done * 4 / of != (done - 1) * 4 / of)
      std::fprintf(stderr, "training: round %d of %d\n", done, of);
    return;
  }
  constexpr int kWidth = 30;
  std::string bar;
  for (int i = 0; i < kWidth; ++i) bar += i < done * kWidth / of ? "█" : "░";
  std::fprintf(stderr, "\r  training %s %d/%d%s", bar.c_str(), done, of, done == of ? "\r\x1b[K" : "");
  std::fflush(stderr);
}

template <class T>
T or_exit(Result<T> result, int code = kFailed) {
  if (!result.ok()) throw Exit{code, result.error().text};
  return std::move(result).value();
}

// The median of single-row calls, as an agent with one reading at a time would see it.
double single_row_latency_us(const engine::Model& model, const Dataset& data) {
  constexpr size_t kCalls = 4'000;
  std::vector<float> margins(model.outputs_count());
  std::vector<double> times;
  for (size_t call = 0; call < kCalls; ++call) {
    const auto start = Clock::now();
    model.predict_margins(data.row(call % data.rows_count()), 1, margins);
    times.push_back(seconds_since(start) * 1e6);
  }
  std::nth_element(times.begin(), times.begin() + kCalls / 2, times.end());
  return times[kCalls / 2];
}

// XGBoost's own answer is the reference: one different bit and no model is written.
size_t require_equal_margins(const Booster& booster, const engine::Model& model, const Dataset& data) {
  const std::vector<float> theirs = or_exit(booster.margins(data.rows, data.rows_count()));
  std::vector<float> ours(theirs.size());
  model.predict_margins(data.rows, data.rows_count(), ours);
  for (size_t i = 0; i < ours.size(); ++i) {
    if (std::bit_cast<uint32_t>(ours[i]) != std::bit_cast<uint32_t>(theirs[i])) {
      throw Exit{kFailed, "margins equal XGBoost's bit for bit: no, row " +
                              std::to_string(i / model.outputs_count() + 1) + " of the data differs (" +
                              shortest(ours[i]) + " against " + shortest(theirs[i]) +
                              "). No model was written; this is a fault of Waybill, please report it with the data"};
    }
  }
  return data.rows_count();
}

// What the package carries beside the trees.
void complete(engine::PlainModel& plain, const Booster& booster, const Dataset& train, const FitOptions& options) {
  plain.features = train.features;
  plain.labels = train.labels;
  plain.missing_allowed = train.has_missing;
  constexpr size_t kBins = 20;
  std::vector<float> column(train.rows_count());
  for (size_t feature = 0; feature < train.features.size(); ++feature) {
    for (size_t row = 0; row < train.rows_count(); ++row) column[row] = train.row(row)[feature];
    plain.sketches.push_back(engine::make_sketch(train.features[feature], column, kBins));
  }
  plain.reference_scores.label_counts.assign(train.labels.size(), 0);
  const std::vector<float> tests = self_test_rows(train);
  const std::vector<float> margins = or_exit(booster.margins(tests, tests.size() / train.features.size()));
  plain.self_test.rows.assign(tests.begin(), tests.end());
  plain.self_test.margins.assign(margins.begin(), margins.end());
  plain.notes = {{"trainer", Booster::version()},
                 {"target", options.columns.target.substr(0, 128)},
                 {"trees", std::to_string(options.train.trees)},
                 {"depth", std::to_string(options.train.depth)},
                 {"learning_rate", shortest(options.train.learning_rate)},
                 {"seed", std::to_string(options.train.seed)},
                 {"train_rows", std::to_string(train.rows_count())}};
}

// Said before an hour of training, not after it.
void require_writable(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (::access(folder.c_str(), W_OK | X_OK) != 0)
    throw Exit{kFailed, path + " cannot be written: " + folder + ": " + std::strerror(errno)};
}

FitReport fit(const FitOptions& options) {
  require_writable(options.model);
  const CsvTable table = or_exit(CsvTable::read(options.data));
  const Dataset data = or_exit(make_dataset(table, options.columns));
  const Split split = split_rows(data, options.holdout, options.train.seed);
  const Dataset train = data.subset(split.train);
  const Dataset held_out = data.subset(split.held_out);
  TrainOptions training = options.train;
  training.objective = data.objective;
  training.classes = data.labels.size();
  if (data.labels.empty()) {
    double sum = 0;
    for (const float target : train.targets) sum += static_cast<double>(target);
    training.base_score = static_cast<float>(sum / static_cast<double>(train.rows_count()));
  }
  const auto start = Clock::now();
  const Booster booster = or_exit(
      Booster::train({train.rows, train.features.size(), train.targets, train.weights}, training, show_progress));
  FitReport report;
  report.train_seconds = seconds_since(start);
  engine::PlainModel plain = or_exit(booster.trees());
  complete(plain, booster, train, options);
  plain.reference_scores = judge(or_exit(engine::Model::load(or_exit(engine::pack(plain)))), held_out).reference;
  const std::string bytes = or_exit(engine::pack(plain));
  const engine::Model model = or_exit(engine::Model::load(bytes));
  or_exit(model.verify_self_test());
  report.compared_rows = require_equal_margins(booster, model, data);
  report.quality = judge(model, held_out);
  report.latency_us = single_row_latency_us(model, data);
  or_exit(write_file(options.model, bytes));
  report.options = &options;
  report.rows = data.rows_count();
  report.train_rows = train.rows_count();
  report.held_out_rows = held_out.rows_count();
  report.labels = data.labels;
  report.features = data.features.size();
  report.trees = model.trees_count();
  report.nodes = model.nodes_count();
  report.model_bytes = bytes.size();
  return report;
}

// The model's file name without folder and ending, for the names of what comes next.
std::string stem(const std::string& path) {
  std::string name = path.substr(path.find_last_of('/') + 1);
  name.resize(std::min(name.rfind('.'), name.size()));
  return name;
}

std::string try_command(const FitOptions& options) {
  return "waybill predict " + options.model + " --data " + options.data;
}
std::string next_command(const FitOptions& options) {
  const std::string name = stem(options.model);
  return "waybill release build --name " + name + " --version 1 --pipeline " + name + ".yaml --model " + options.model +
         " --key KEY";
}

void print_classes(const FitReport& report) {
  size_t width = 5;
  for (const std::string& label : report.labels) width = std::max(width, label.size());
  std::printf("  %-*s  held out   correct  accuracy     F1\n", static_cast<int>(width), "class");
  for (const ClassScore& score : report.quality.classes) {
    const std::string accuracy =
        score.rows == 0 ? "-" : decimals(static_cast<double>(score.correct) / static_cast<double>(score.rows), 4);
    std::printf("  %-*s  %8s  %8s  %8s  %5s\n", static_cast<int>(width), score.label.c_str(),
                grouped(score.rows).c_str(), grouped(score.correct).c_str(), accuracy.c_str(),
                score.rows == 0 ? "-" : decimals(score.f1(), 3).c_str());
  }
  std::printf("  all    accuracy %s · macro F1 %s\n", decimals(report.quality.accuracy, 4).c_str(),
              decimals(report.quality.macro_f1, 3).c_str());
  constexpr size_t kShown = 5;
  std::string mistakes;
  for (size_t i = 0; i < std::min(report.quality.confusions.size(), kShown); ++i) {
    const Confusion& one = report.quality.confusions[i];
    mistakes += (i == 0 ? "" : " · ") + report.labels[one.truth] + " taken for " + report.labels[one.answer] + " ×" +
                std::to_string(one.count);
  }
  if (report.quality.confusions.size() > kShown)
    mistakes += " · and " + std::to_string(report.quality.confusions.size() - kShown) + " more kinds";
  std::printf("  wrong  %s\n", mistakes.empty() ? "none" : mistakes.c_str());
}

void print_table(const FitReport& report) {
  const FitOptions& options = *report.options;
  std::printf("  data   %s  %s rows × %zu features · %s to train, %s held out\n", options.data.c_str(),
              grouped(report.rows).c_str(), report.features, grouped(report.train_rows).c_str(),
              grouped(report.held_out_rows).c_str());
  if (report.labels.empty()) {
    std::printf("  error  RMSE %s · mean absolute %s · R² %s\n", decimals(report.quality.rmse, 4).c_str(),
                decimals(report.quality.mae, 4).c_str(), decimals(report.quality.r2, 4).c_str());
  } else {
    print_classes(report);
  }
  std::printf("  model  %s  %s · %s trees, %s nodes · trained in %s s\n", options.model.c_str(),
              format_size_bytes(static_cast<int64_t>(report.model_bytes)).c_str(), grouped(report.trees).c_str(),
              grouped(report.nodes).c_str(), decimals(report.train_seconds, 1).c_str());
  std::printf("  speed  %s µs a row (median of single rows)\n", decimals(report.latency_us, 2).c_str());
  std::printf("  exact  margins equal XGBoost's bit for bit on %s rows: yes\n", grouped(report.compared_rows).c_str());
  std::printf("  try:   %s\n  next:  %s\n", try_command(options).c_str(), next_command(options).c_str());
}

nlohmann::ordered_json to_json(const FitReport& report) {
  nlohmann::ordered_json json;
  json["data"] = report.options->data;
  json["rows"] = report.rows;
  json["train_rows"] = report.train_rows;
  json["held_out_rows"] = report.held_out_rows;
  json["features"] = report.features;
  if (report.labels.empty()) {
    json["rmse"] = report.quality.rmse;
    json["mae"] = report.quality.mae;
    json["r2"] = report.quality.r2;
  } else {
    json["accuracy"] = report.quality.accuracy;
    json["macro_f1"] = report.quality.macro_f1;
    for (const ClassScore& score : report.quality.classes) {
      json["classes"].push_back({{"label", score.label},
                                 {"held_out", score.rows},
                                 {"correct", score.correct},
                                 {"answered", score.answered},
                                 {"f1", score.f1()}});
    }
    json["confusions"] = nlohmann::ordered_json::array();
    for (const Confusion& one : report.quality.confusions) {
      json["confusions"].push_back(
          {{"label", report.labels[one.truth]}, {"answer", report.labels[one.answer]}, {"count", one.count}});
    }
  }
  json["model"] = report.options->model;
  json["model_bytes"] = report.model_bytes;
  json["trees"] = report.trees;
  json["nodes"] = report.nodes;
  json["train_seconds"] = report.train_seconds;
  json["latency_us"] = report.latency_us;
  json["exact_rows"] = report.compared_rows;
  json["next"] = next_command(*report.options);
  return json;
}

}  // namespace

void add_fit(CLI::App& app) {
  auto options = std::make_shared<FitOptions>();
  CLI::App* command = app.add_subcommand("fit", "Train a model on a CSV file and write a model package");
  command->add_option("data", options->data, "CSV file; the first row names the columns")->required();
  command->add_option("--target", options->columns.target, "column to learn")->required();
  command->add_option("-o,--model", options->model, "package to write (.wbm)")->required()->check(an_output_file());
  command->add_option("--task", options->task, "what the target is; auto: text or few whole numbers are classes")
      ->check(CLI::IsMember({"auto", "classification", "regression"}))
      ->capture_default_str();
  command->add_option("--drop", options->columns.drop, "columns that are not features")->delimiter(',');
  command->add_option("--weight", options->columns.weight, "column of sample weights, e.g. 1 / inclusion probability");
  command->add_option("--trees", options->train.trees, "boosting rounds; with k classes each adds k trees")
      ->check(CLI::Range(1, 5'000))
      ->capture_default_str();
  command->add_option("--depth", options->train.depth, "levels of splits in a tree")
      ->check(CLI::Range(1, 14))
      ->capture_default_str();
  command->add_option("--learning-rate", options->train.learning_rate, "how far each round goes")
      ->check(CLI::Range(0.0001, 1.0))
      ->capture_default_str();
  command->add_option("--holdout", options->holdout, "share of rows kept back to judge the model")
      ->check(CLI::Range(0.01, 0.9))
      ->capture_default_str();
  command->add_option("--seed", options->train.seed, "the same seed, data and threads give the same bytes")
      ->capture_default_str();
  command->add_option("--threads", options->train.threads, "threads to train with; another count may give other bytes")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  add_output_option(*command, options->output);
  command->callback([options] {
    options->columns.task = options->task == "classification" ? Task::kClassification
                            : options->task == "regression"   ? Task::kRegression
                                                              : Task::kAuto;
    const FitReport report = fit(*options);
    if (!print_structured(options->output, to_json(report))) print_table(report);
  });
}

}  // namespace wb::cli
