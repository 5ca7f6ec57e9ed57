#include "apps/waybill/fit_print.h"

#include <algorithm>
#include <cstdio>

#include "base/bytes.h"
#include "fit/report.h"

namespace wb::cli {
namespace {

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

// The model's name with another ending.
std::string beside(const std::string& model, std::string_view ending) {
  const size_t slash = model.find_last_of('/');
  const size_t dot = model.rfind('.');
  const bool has_ending = dot != std::string::npos && (slash == std::string::npos || dot > slash + 1);
  return model.substr(0, has_ending ? dot : model.size()) + std::string(ending);
}
std::string deals(size_t repeats) {
  return repeats == 1 ? "dealt once" : "dealt " + std::to_string(repeats) + " times";
}

std::string energy(const std::optional<double>& joules) {
  return joules ? decimals(*joules * 1e6, 2) + " µJ" : "not measurable here";
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
  std::printf("  all    accuracy %s · macro F1 %s%s\n", decimals(report.quality.accuracy, 4).c_str(),
              decimals(report.quality.macro_f1, 3).c_str(), report.weighted ? " · weighted" : "");
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

// Columns by hand and not by TextTable: "±", "µ" and "×" are two bytes and one place wide.
std::string padded(const std::string& text, size_t width, bool right) {
  size_t places = 0;
  for (const char c : text) places += (static_cast<uint8_t>(c) & 0xC0U) != 0x80U ? 1 : 0;
  const std::string room(width > places ? width - places : 0, ' ');
  return right ? room + text : text + room;
}

void print_comparison(const Comparison& comparison) {
  const auto line = [](const std::vector<std::string>& cells) {
    constexpr size_t kWidths[] = {26, 18, 10, 8, 12, 12};
    std::string out = cells[0] == "▸" ? "▸ " : "  ";
    for (size_t i = 1; i < cells.size() - 1; ++i) out += padded(cells[i], kWidths[i - 1], i > 1) + "  ";
    out += cells.back();
    out.erase(out.find_last_not_of(' ') + 1);
    std::printf("%s\n", out.c_str());
  };
  line({"", "candidate", std::string(fit::info(comparison.metric).title), "package", "µs/row", "Cortex-M4",
        "Cortex-A53", ""});
  for (size_t i = 0; i < comparison.candidates.size(); ++i) {
    const Compared& one = comparison.candidates[i];
    const bool chosen = i == comparison.choice.chosen;
    std::string remark = chosen && i == comparison.choice.best ? "← best, and none smaller is as good"
                         : chosen                              ? "← smallest within one standard error of the best"
                         : i == comparison.choice.best         ? "best"
                                                               : one.trial.excluded;
    line({chosen ? "▸" : "", one.trial.candidate.name(),
          decimals(one.trial.mean, 4) + " ± " + decimals(one.trial.error, 4),
          format_size_bytes(static_cast<int64_t>(one.trial.package_bytes)), decimals(one.trial.row_us, 2),
          "~" + decimals(one.m4_us, 1) + " µs", "~" + decimals(one.a53_us, 2) + " µs", remark});
  }
  std::printf("  energy a row: %s · scores from %zu folds, %s; ~ is estimated\n\n",
              energy(comparison.candidates[comparison.choice.chosen].row_joules).c_str(), comparison.folds,
              deals(comparison.repeats).c_str());
}

nlohmann::ordered_json to_json(const Comparison& comparison) {
  nlohmann::ordered_json json;
  json["metric"] = fit::info(comparison.metric).name;
  json["folds"] = comparison.folds;
  json["repeats"] = comparison.repeats;
  for (size_t i = 0; i < comparison.candidates.size(); ++i) {
    const Compared& one = comparison.candidates[i];
    nlohmann::ordered_json row = {
        {"candidate", one.trial.candidate.name()},  {"score", one.trial.mean},    {"standard_error", one.trial.error},
        {"package_bytes", one.trial.package_bytes}, {"row_us", one.trial.row_us}, {"cortex_m4_us_estimated", one.m4_us},
        {"cortex_a53_us_estimated", one.a53_us}};
    row["row_joules"] = one.row_joules ? nlohmann::ordered_json(*one.row_joules) : nlohmann::ordered_json();
    if (!one.trial.excluded.empty()) row["excluded"] = one.trial.excluded;
    row["best"] = i == comparison.choice.best;
    row["chosen"] = i == comparison.choice.chosen;
    json["candidates"].push_back(row);
  }
  return json;
}

}  // namespace

std::string report_path(const FitOptions& options) {
  return options.report.empty() ? beside(options.model, ".html") : options.report;
}

void print_table(const FitReport& report) {
  const FitOptions& options = *report.options;
  std::printf("  data   %s  %s rows × %zu features · %s to train, %s held out\n", options.data.c_str(),
              grouped(report.rows).c_str(), report.features, grouped(report.train_rows).c_str(),
              grouped(report.held_out_rows).c_str());
  if (report.comparison) print_comparison(*report.comparison);
  if (report.labels.empty()) {
    std::printf("  error  RMSE %s · mean absolute %s · R² %s%s\n", decimals(report.quality.rmse, 4).c_str(),
                decimals(report.quality.mae, 4).c_str(), decimals(report.quality.r2, 4).c_str(),
                report.weighted ? " · weighted" : "");
  } else {
    print_classes(report);
  }
  std::printf("  model  %s  %s · %s tree%s, %s nodes · trained in %s s\n", options.model.c_str(),
              format_size_bytes(static_cast<int64_t>(report.model_bytes)).c_str(), grouped(report.trees).c_str(),
              report.trees == 1 ? "" : "s", grouped(report.nodes).c_str(), decimals(report.train_seconds, 1).c_str());
  std::printf("  speed  %s µs a row (median of single rows)\n", decimals(report.latency_us, 2).c_str());
  if (report.compared_rows > 0)
    std::printf("  exact  margins equal XGBoost's bit for bit on %s rows: yes\n",
                grouped(report.compared_rows).c_str());
  if (report.comparison) std::printf("  report %s\n", report_path(options).c_str());
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
  if (report.comparison) {
    json["comparison"] = to_json(*report.comparison);
    json["report"] = report_path(*report.options);
  }
  json["candidate"] = report.candidate.name();
  json["model"] = report.options->model;
  json["model_bytes"] = report.model_bytes;
  json["trees"] = report.trees;
  json["nodes"] = report.nodes;
  json["train_seconds"] = report.train_seconds;
  json["latency_us"] = report.latency_us;
  if (report.compared_rows > 0) json["exact_rows"] = report.compared_rows;
  json["next"] = next_command(*report.options);
  return json;
}

std::string page(const FitReport& report, const engine::Model& model, const Dataset& held_out) {
  const Comparison& comparison = *report.comparison;
  fit::Report out;
  out.title = report.options->data + " → " + report.options->columns.target;
  out.facts = {{"rows", grouped(report.rows) + ", of them " + grouped(report.held_out_rows) + " held out of it all"},
               {"features", std::to_string(report.features)},
               {"folds", std::to_string(comparison.folds) + ", " + deals(comparison.repeats)},
               {"seed", std::to_string(report.options->train.seed)},
               {"taken", report.candidate.name() + ", " + grouped(report.model_bytes) + " bytes"}};
  out.metric = comparison.metric;
  out.trials = comparison.trials();
  out.cost_heads = {"µs a row here", "about, Cortex-M4", "about, Cortex-A53", "energy a row"};
  for (const Compared& one : comparison.candidates)
    out.costs.push_back(
        {decimals(one.trial.row_us, 2), decimals(one.m4_us, 1), decimals(one.a53_us, 2), energy(one.row_joules)});
  out.choice = comparison.choice;
  out.labels = report.labels;
  const std::vector<float> answers = fit::answers_of(model, held_out);
  if (!report.labels.empty()) {
    out.confusion.assign(report.labels.size(), std::vector<uint64_t>(report.labels.size(), 0));
    for (size_t i = 0; i < report.labels.size(); ++i) out.confusion[i][i] = report.quality.classes[i].correct;
    for (const Confusion& one : report.quality.confusions) out.confusion[one.truth][one.answer] = one.count;
    out.calibration = fit::calibration(held_out, answers);
  }
  constexpr size_t kPoints = 1'000;
  for (size_t row = 0; report.labels.empty() && row < held_out.rows_count(); row += 1 + held_out.rows_count() / kPoints)
    out.values.emplace_back(held_out.targets[row], answers[row]);
  const std::vector<double> losses = fit::importance(model, held_out, comparison.metric, report.options->train.seed);
  for (size_t i = 0; i < losses.size(); ++i) out.importance.emplace_back(held_out.features[i], losses[i]);
  return fit::html(out);
}

}  // namespace wb::cli
