#include "apps/waybill/fit_compare.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "apps/waybill/csv.h"
#include "apps/waybill/output.h"
#include "base/bytes.h"
#include "fit/package.h"

namespace wb::cli {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Energy of the whole processor package since some start, where the kernel tells it (Intel's RAPL).
std::optional<double> joules_now() {
  const auto text = read_file("/sys/class/powercap/intel-rapl:0/energy_uj", 64);
  if (!text.ok()) return std::nullopt;
  const auto value = parse_double(trim(*text));
  if (!value) return std::nullopt;
  return *value * 1e-6;
}

// Of the processor while it does nothing but this; what it takes at rest is in it, because a node pays that too.
std::optional<double> row_joules(const engine::Model& model, const fit::Dataset& data) {
  const auto before = joules_now();
  if (!before) return std::nullopt;
  std::vector<float> margins(model.outputs_count());
  size_t rows = 0;
  for (const auto start = Clock::now(); seconds_since(start) < 0.2; ++rows)
    model.predict_margins(data.row(rows % data.rows_count()), 1, margins);
  const auto after = joules_now();
  if (!after || *after < *before) return std::nullopt;  // the counter began anew
  return (*after - *before) / static_cast<double>(rows);
}

std::string over(const Compared& one, const CompareOptions& options) {
  if (options.bytes_max && one.trial.package_bytes > *options.bytes_max)
    return "over " + format_size_bytes(static_cast<int64_t>(*options.bytes_max));
  if (options.row_us_max && one.trial.row_us > *options.row_us_max)
    return "over " + shortest(*options.row_us_max) + " µs";
  return "";
}

// Nothing is small or fast enough: what came closest.
Error nothing_fits(const std::vector<Compared>& candidates) {
  const auto smallest = std::min_element(
      candidates.begin(), candidates.end(),
      [](const Compared& a, const Compared& b) { return a.trial.package_bytes < b.trial.package_bytes; });
  const auto fastest = std::min_element(candidates.begin(), candidates.end(), [](const Compared& a, const Compared& b) {
    return a.trial.row_us < b.trial.row_us;
  });
  char us[32];
  std::snprintf(us, sizeof us, "%.2f", fastest->trial.row_us);
  return fail(Code::kInvalid, "no candidate is within --max-bytes and --max-us: the smallest is '",
              smallest->trial.candidate.name(), "' with ", std::to_string(smallest->trial.package_bytes),
              " bytes, the fastest '", fastest->trial.candidate.name(), "' with ", us,
              " µs a row. No model was written");
}

}  // namespace

std::vector<fit::Trial> Comparison::trials() const {
  std::vector<fit::Trial> out;
  for (const Compared& one : candidates) out.push_back(one.trial);
  return out;
}

double single_row_us(const engine::Model& model, const fit::Dataset& data) {
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

void show_progress(std::string_view what, size_t done, size_t of) {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  const std::string name(what);
  if (!terminal) {
    if (done == of || done * 4 / of != (done - 1) * 4 / of)
      std::fprintf(stderr, "%s: %zu of %zu\n", name.c_str(), done, of);
    return;
  }
  constexpr size_t kWidth = 30;
  std::string bar;
  for (size_t i = 0; i < kWidth; ++i) bar += i < done * kWidth / of ? "█" : "░";
  std::fprintf(stderr, "\r  %s %s %zu/%zu%s", name.c_str(), bar.c_str(), done, of, done == of ? "\r\x1b[K" : "");
  std::fflush(stderr);
}

Result<Comparison> compare(const fit::Dataset& data, const CompareOptions& options, const TrainSettings& settings,
                           const Complete& complete) {
  Comparison out;
  out.metric = options.metric.value_or(fit::default_metric(data));
  const fit::MetricInfo& metric = fit::info(out.metric);
  if (metric.of_classes == data.labels.empty()) {
    return fail(Code::kInvalid, "the metric '", metric.name, "' is for ", metric.of_classes ? "classes" : "quantities",
                ", and the target is ", data.labels.empty() ? "a quantity" : "one of classes",
                "; use another --metric, or say --task");
  }
  out.folds = options.folds;
  out.repeats = !data.times.empty() ? 1 : options.repeats > 0 ? options.repeats : fit::usual_repeats(data);
  WB_TRY(const std::vector<fit::Fold> folds,
         fit::make_folds(data, {.folds = out.folds, .repeats = out.repeats, .seed = settings.seed}));
  const std::vector<fit::Candidate> ladder = fit::ladder(data);
  const fit::Trainer trainer = [&](const fit::Candidate& candidate,
                                   const fit::Dataset& part) -> Result<engine::PlainModel> {
    WB_TRY(Trained trained, train(candidate, part, settings, {}));
    return std::move(trained.plain);
  };
  const fit::Dataset columns = fit::one_hot(data);
  size_t done = 0;
  const auto step = [&] { show_progress("comparing", ++done, ladder.size() * (folds.size() + 1)); };
  for (const fit::Candidate& candidate : ladder) {
    Compared one;
    WB_TRY(one.trial, fit::judge(candidate, data, folds, out.folds, out.metric, trainer, step));
    const auto start = Clock::now();
    WB_TRY(one.trained, train(candidate, data, settings, {}));
    one.train_seconds = seconds_since(start);
    const engine::PlainModel& plain = one.trained.plain;
    WB_TRY(const engine::Model model, complete(candidate, plain));
    one.trial.package_bytes = model.bytes().size();
    one.trial.row_us = single_row_us(model, data);
    one.trial.excluded = over(one, options);
    const double questions = fit::questions_a_row(plain, columns);
    one.m4_us = fit::estimated_us(fit::kCortexM4, plain, questions);
    one.a53_us = fit::estimated_us(fit::kCortexA53, plain, questions);
    one.row_joules = row_joules(model, data);
    out.candidates.push_back(std::move(one));
    step();
  }
  const auto choice = fit::choose(out.trials(), fit::info(out.metric).more_is_better);
  if (!choice) return nothing_fits(out.candidates);
  out.choice = *choice;
  return out;
}

}  // namespace wb::cli
