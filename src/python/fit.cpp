// fit(): what `waybill fit` does with a table, with arrays. The candidates, folds, scores and the choice are src/fit's;
// boosted trees are trained by the XGBoost that Python has, through a function that Python gives.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <bit>
#include <exception>
#include <optional>

#include "base/bytes.h"
#include "fit/fit.h"
#include "fit/package.h"
#include "import/import.h"
#include "python/package.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace wb::python {
namespace {

using fit::Candidate;
using fit::Dataset;
using fit::Family;

// What Python says of the work; names are those of the command's options.
struct Settings {
  std::string metric, family, target;  // "": the usual one; compare all
  size_t folds = 5, repeats = 0, trees = 0, depth = 0, bytes_max = 0;
  double learning_rate = 0.3, holdout = 0.2;
  uint32_t seed = 1;
  int threads = 1;
  bool balanced = false, explain = false;
  std::vector<std::string> allow_id;
};

// A trained candidate, and for boosting the library's own margins: a function of f32[n, features].
struct Trained {
  engine::PlainModel plain;
  nb::object margins;
  std::string trainer = "waybill fit";
};

nb::object as_rows(std::span<const float> rows, size_t width) {
  return nb::cast(
      nb::ndarray<nb::numpy, const float, nb::ndim<2>>(rows.data(), {rows.size() / width, width}, nb::handle()),
      nb::rv_policy::copy);
}
nb::object as_list(std::span<const float> numbers) {
  if (numbers.empty()) return nb::none();
  return nb::cast(nb::ndarray<nb::numpy, const float, nb::ndim<1>>(numbers.data(), {numbers.size()}, nb::handle()),
                  nb::rv_policy::copy);
}

class Fitter {
 public:
  Fitter(const Dataset& data, const Settings& settings, nb::callable boost)
      : data_(data), settings_(settings), boost_(std::move(boost)) {}

  nb::dict run();

 private:
  struct Compared {
    fit::Trial trial;
    Trained trained;
  };

  Result<Trained> train(const Candidate& candidate, const Dataset& data);
  Result<Trained> boosted(const Candidate& candidate, const Dataset& data);
  Result<Trained> train_columns(const Candidate& candidate, const Dataset& data);
  // Calls Python; what it raises waits in raised_, because src/fit lets no exception through.
  template <class Call>
  Status in_python(const Call& call);
  std::vector<float> library_margins(const Trained& trained, std::span<const float> rows);
  std::vector<Compared> compared(const Dataset& data, const Dataset& held_out, const fit::MetricInfo& metric);
  engine::PlainModel completed(const Trained& trained, const Candidate& candidate, const Dataset& train,
                               const Dataset& held_out);
  void require_equal_margins(const Trained& trained, const engine::Model& model);
  void name_work(engine::PlainModel& plain, const Candidate& candidate, const Trained& trained, size_t rows) const;
  template <class T>
  T or_raise(Result<T> result) {
    if (raised_) std::rethrow_exception(raised_);
    return or_throw(std::move(result));
  }

  const Dataset& data_;
  const Settings& settings_;
  nb::callable boost_;
  std::exception_ptr raised_;
};

template <class Call>
Status Fitter::in_python(const Call& call) {
  try {
    call();
    return ok_status();
  } catch (...) {
    raised_ = std::current_exception();
    return fail(Code::kInternal, "Python raised an error");
  }
}

Result<Trained> Fitter::boosted(const Candidate& candidate, const Dataset& data) {
  const float base = data.labels.empty() ? static_cast<float>(fit::constant(data).base_margins[0]) : 0.5F;
  std::string bytes;
  Trained trained;
  WB_CHECK(in_python([&] {
    nb::dict how;
    how["classes"] = data.objective == engine::Objective::kSoftprob ? data.labels.size() : 0;
    how["values"] = data.labels.empty();
    how["rounds"] = candidate.trees;
    how["max_depth"] = candidate.depth;
    how["eta"] = shortest(candidate.learning_rate);
    how["base_score"] = shortest(base);
    how["seed"] = settings_.seed;
    how["nthread"] = settings_.threads;
    const auto made = nb::cast<nb::tuple>(
        boost_(as_rows(data.rows, data.features.size()), as_list(data.targets), as_list(data.weights), how));
    const auto saved = nb::cast<nb::bytes>(made[0]);
    bytes.assign(static_cast<const char*>(saved.data()), saved.size());
    trained.margins = made[1];
    trained.trainer = nb::cast<std::string>(made[2]);
  }));
  imports::Options options;
  options.format = imports::Format::kXgboostUbjson;
  options.best_only = false;  // its margins count every tree
  options.covers = true;
  WB_TRY(trained.plain, imports::import_model(bytes, options));
  trained.plain.features = data.features;
  trained.plain.labels = data.labels;
  trained.plain.notes.clear();
  trained.plain.reference_scores.label_counts.assign(data.labels.size(), 0);
  return trained;
}

Result<Trained> Fitter::train(const Candidate& candidate, const Dataset& data) {
  WB_TRY(Trained trained, train_columns(candidate, fit::one_hot(data)));
  fit::begin_with_one_hot(data, trained.plain);
  return trained;
}

Result<Trained> Fitter::train_columns(const Candidate& candidate, const Dataset& data) {
  switch (candidate.family) {
    case Family::kConstant: return Trained{fit::constant(data), {}};
    case Family::kLinear:
      if (!fit::linear_is_possible(data))
        return fail(Code::kInvalid, "a linear model of ", std::to_string(data.rows_count()), " rows and ",
                    std::to_string(data.features.size()), " features takes too long; leave features out");
      return Trained{fit::linear(data), {}};
    case Family::kBoosting: return boosted(candidate, data);
    case Family::kTree:
    case Family::kForest: break;
  }
  return Trained{fit::grow(data, {.trees = candidate.trees, .depth = candidate.depth, .seed = settings_.seed}), {}};
}

std::vector<float> Fitter::library_margins(const Trained& trained, std::span<const float> rows) {
  const std::vector<float> columns =
      data_.has_categories() ? fit::one_hot_rows(data_, rows) : std::vector<float>(rows.begin(), rows.end());
  const size_t n = rows.size() / data_.features.size();
  std::vector<float> out;
  or_raise(in_python([&] {
    const auto made = nb::cast<nb::ndarray<const float, nb::c_contig, nb::device::cpu>>(
        trained.margins(as_rows(columns, columns.size() / n)));
    out.assign(made.data(), made.data() + made.size());
  }));
  return out;
}

engine::PlainModel Fitter::completed(const Trained& trained, const Candidate& candidate, const Dataset& train,
                                     const Dataset& held_out) {
  engine::PlainModel plain = trained.plain;
  if (!settings_.explain) engine::drop_covers(plain);
  plain.missing_allowed = train.has_missing;
  plain.sketches = fit::sketches_of(train);
  const std::vector<float> rows = fit::self_test_rows(train);
  std::vector<float> margins(rows.size() / train.features.size() * plain.outputs_count());
  if (trained.margins.is_valid())
    margins = library_margins(trained, rows);
  else
    or_throw(fit::loaded(plain)).predict_margins(rows, rows.size() / train.features.size(), margins);
  plain.self_test.rows.assign(rows.begin(), rows.end());
  plain.self_test.margins.assign(margins.begin(), margins.end());
  name_work(plain, candidate, trained, train.rows_count());
  plain.reference_scores = fit::reference_scores(or_throw(fit::loaded(plain)), held_out);
  return plain;
}

void Fitter::require_equal_margins(const Trained& trained, const engine::Model& model) {
  const std::vector<float> theirs = library_margins(trained, data_.rows);
  std::vector<float> ours(theirs.size());
  model.predict_margins(data_.rows, data_.rows_count(), ours);
  for (size_t i = 0; i < ours.size(); ++i) {
    if (std::bit_cast<uint32_t>(ours[i]) != std::bit_cast<uint32_t>(theirs[i]))
      throw Refusal("margins equal XGBoost's bit for bit: no, row " + std::to_string(i / model.outputs_count()) +
                    " differs (" + shortest(ours[i]) + " against " + shortest(theirs[i]) +
                    "). No model was made; this is a fault of Waybill, please report it with the data");
  }
}

std::vector<Fitter::Compared> Fitter::compared(const Dataset& data, const Dataset& held_out,
                                               const fit::MetricInfo& metric) {
  const size_t repeats = !data.times.empty() ? 1 : settings_.repeats > 0 ? settings_.repeats : fit::usual_repeats(data);
  const std::vector<fit::Fold> folds =
      or_throw(fit::make_folds(data, {.folds = settings_.folds, .repeats = repeats, .seed = settings_.seed}));
  const fit::Trainer trainer = [&](const Candidate& candidate, const Dataset& part) -> Result<engine::PlainModel> {
    WB_TRY(Trained trained, train(candidate, part));
    return std::move(trained.plain);
  };
  std::vector<Compared> out;
  for (const Candidate& candidate : fit::ladder(data)) {
    Compared one;
    one.trial = or_raise(fit::judge(candidate, data, folds, settings_.folds, metric.metric, trainer, [] {}));
    one.trained = or_raise(train(candidate, data));
    one.trial.package_bytes = or_throw(fit::loaded(completed(one.trained, candidate, data, held_out))).bytes().size();
    if (settings_.bytes_max > 0 && one.trial.package_bytes > settings_.bytes_max)
      one.trial.excluded = "over " + std::to_string(settings_.bytes_max) + " bytes";
    out.push_back(std::move(one));
  }
  return out;
}

void Fitter::name_work(engine::PlainModel& plain, const Candidate& candidate, const Trained& trained,
                       size_t rows) const {
  plain.notes = {{"trainer", trained.trainer},
                 {"target", settings_.target},
                 {"trees", std::to_string(candidate.trees)},
                 {"depth", std::to_string(candidate.depth)},
                 {"seed", std::to_string(settings_.seed)},
                 {"train_rows", std::to_string(rows)}};
  if (candidate.family == Family::kBoosting)
    plain.notes.emplace_back("learning_rate", shortest(candidate.learning_rate));
}

std::optional<Candidate> wanted(const Settings& settings) {
  if (settings.family.empty()) return std::nullopt;
  const auto or_usual = [](size_t given, size_t usual) { return given > 0 ? given : usual; };
  if (settings.family == "constant") return Candidate{Family::kConstant};
  if (settings.family == "linear") return Candidate{Family::kLinear};
  if (settings.family == "tree") return Candidate{Family::kTree, 1, or_usual(settings.depth, 5)};
  if (settings.family == "forest")
    return Candidate{Family::kForest, or_usual(settings.trees, 40), or_usual(settings.depth, 8)};
  if (settings.family == "boosting")
    return Candidate{Family::kBoosting, or_usual(settings.trees, 50), or_usual(settings.depth, 6),
                     settings.learning_rate};
  throw std::invalid_argument("candidate is '" + settings.family +
                              "'; it is one of constant, linear, tree, forest, boosting");
}

const fit::MetricInfo& metric_of(const Settings& settings, const Dataset& data) {
  if (settings.metric.empty()) return fit::info(fit::default_metric(data));
  std::string names;
  for (const fit::MetricInfo& one : fit::metrics()) {
    if (one.name == settings.metric && one.of_classes != data.labels.empty()) return one;
    if (one.of_classes != data.labels.empty()) names += " " + std::string(one.name);
  }
  throw std::invalid_argument("metric is '" + settings.metric + "'; for this target it is one of" + names);
}

nb::dict Fitter::run() {
  const fit::MetricInfo& metric = metric_of(settings_, data_);
  const std::optional<Candidate> only = wanted(settings_);
  const fit::Fold split = or_throw(fit::hold_out(data_, settings_.holdout, settings_.seed));
  if (split.test.empty()) throw Refusal("every class has one row only, so that none is left to judge on");
  const Dataset learnt_from = data_.subset(split.train);
  const Dataset held_out = data_.subset(split.test);
  nb::dict out;
  nb::list rows;
  Candidate candidate;
  Trained trained;
  if (only) {
    candidate = *only;
    trained = or_raise(train(candidate, learnt_from));
  } else {
    std::vector<Compared> all = compared(learnt_from, held_out, metric);
    std::vector<fit::Trial> trials;
    for (const Compared& one : all) trials.push_back(one.trial);
    const auto choice = fit::choose(trials, metric.more_is_better);
    if (!choice)
      throw Refusal("no candidate is within max_bytes; the smallest has " +
                    std::to_string(
                        std::min_element(trials.begin(), trials.end(),
                                         [](const auto& a, const auto& b) { return a.package_bytes < b.package_bytes; })
                            ->package_bytes) +
                    " bytes");
    for (size_t i = 0; i < trials.size(); ++i) {
      nb::dict row;
      row["candidate"] = trials[i].candidate.name();
      row["score"] = trials[i].mean;
      row["error"] = trials[i].error;
      row["bytes"] = trials[i].package_bytes;
      row["excluded"] = trials[i].excluded;
      row["best"] = i == choice->best;
      row["chosen"] = i == choice->chosen;
      rows.append(row);
    }
    candidate = trials[choice->chosen].candidate;
    trained = std::move(all[choice->chosen].trained);
  }
  const engine::PlainModel plain = completed(trained, candidate, learnt_from, held_out);
  engine::Model model = loaded(plain);
  if (trained.margins.is_valid()) require_equal_margins(trained, model);
  out["candidate"] = candidate.name();
  out["candidates"] = rows;
  out["metric"] = std::string(metric.name);
  out["score"] = fit::score(metric.metric, held_out, fit::answers_of(model, held_out));
  out["train_rows"] = learnt_from.rows_count();
  out["held_out_rows"] = held_out.rows_count();
  out["package"] = nb::cast(std::move(model));
  return out;
}

// A dict of what waybill.Fit holds, but for the model, which is a "package" there.
nb::object fit_arrays(Dataset& data, const Settings& settings, const nb::object& boost) {
  if (data.rows_count() < Dataset::kRowsMin)
    throw Refusal(std::to_string(data.rows_count()) + " rows of data; at least " + std::to_string(Dataset::kRowsMin) +
                  " are needed to train and to check");
  if (settings.balanced) {
    if (data.labels.empty()) throw std::invalid_argument("balanced is for classes, and the target is a quantity");
    fit::balance(data);
  }
  if (const auto name = fit::row_number(data, settings.allow_id))
    throw Refusal("the column '" + *name +
                  "' only numbers the rows (whole, all different): a model would learn rows by heart. " +
                  "Leave it out, or keep it with allow_id=['" + *name + "']");
  return Fitter(data, settings, nb::cast<nb::callable>(boost)).run();
}

}  // namespace

void bind_fit(nb::module_& module) {
  nb::class_<Settings>(module, "FitSettings")
      .def(nb::init<>())
      .def_rw("metric", &Settings::metric)
      .def_rw("family", &Settings::family)
      .def_rw("target", &Settings::target)
      .def_rw("folds", &Settings::folds)
      .def_rw("repeats", &Settings::repeats)
      .def_rw("trees", &Settings::trees)
      .def_rw("depth", &Settings::depth)
      .def_rw("bytes_max", &Settings::bytes_max)
      .def_rw("learning_rate", &Settings::learning_rate)
      .def_rw("holdout", &Settings::holdout)
      .def_rw("seed", &Settings::seed)
      .def_rw("threads", &Settings::threads)
      .def_rw("balanced", &Settings::balanced)
      .def_rw("explain", &Settings::explain)
      .def_rw("allow_id", &Settings::allow_id);
  nb::class_<Dataset>(module, "Dataset")
      .def(
          "__init__",
          [](Dataset* data, std::vector<std::string> features, std::vector<std::string> labels, const Rows<float>& rows,
             std::vector<float> targets) {
            new (data) Dataset();
            data->objective = labels.empty()       ? engine::Objective::kRegression
                              : labels.size() == 2 ? engine::Objective::kLogistic
                                                   : engine::Objective::kSoftprob;
            data->features = std::move(features);
            data->labels = std::move(labels);
            data->rows.assign(rows.data(), rows.data() + rows.size());
            data->targets = std::move(targets);
            data->has_missing = std::any_of(data->rows.begin(), data->rows.end(), [](float x) { return x != x; });
          },
          "features"_a, "labels"_a, "rows"_a, "targets"_a)
      .def_rw("weights", &Dataset::weights)
      .def_rw("groups", &Dataset::groups)
      .def_rw("texts", &Dataset::texts)
      .def_rw("categories", &Dataset::categories)
      .def_rw("times", &Dataset::times);
  module.def("fit", &fit_arrays, "data"_a, "settings"_a, "boost"_a);
}

}  // namespace wb::python
