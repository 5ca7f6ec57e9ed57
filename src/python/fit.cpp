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

// A trained candidate, and for boosting the library's own margins: a function of f32[n, columns].
struct Trained {
  engine::PlainModel plain;
  nb::object margins;
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

  // `margins` becomes the library's, if one trained.
  Result<engine::PlainModel> train(const Candidate& candidate, const Dataset& data, nb::object& margins);
  Result<engine::PlainModel> boosted(const Candidate& candidate, const Dataset& columns, nb::object& margins);
  // Calls Python; what it raises waits in raised_, because src/fit lets no exception through.
  template <class Call>
  Status in_python(const Call& call);
  fit::LibraryMargins library_margins(const Trained& trained);
  std::vector<Compared> compared(const fit::Parts& parts, const fit::MetricInfo& metric);
  template <class T>
  T or_raise(Result<T> result) {
    if (raised_) std::rethrow_exception(raised_);
    return or_throw(std::move(result));
  }

  const Dataset& data_;
  const Settings& settings_;
  nb::callable boost_;
  fit::Work work_ = {settings_.target, "", settings_.seed, settings_.explain};
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

Result<engine::PlainModel> Fitter::boosted(const Candidate& candidate, const Dataset& columns, nb::object& margins) {
  const float base = columns.labels.empty() ? static_cast<float>(fit::constant(columns).base_margins[0]) : 0.5F;
  std::string bytes;
  WB_CHECK(in_python([&] {
    nb::dict how;
    how["classes"] = columns.objective == engine::Objective::kSoftprob ? columns.labels.size() : 0;
    how["values"] = columns.labels.empty();
    how["rounds"] = candidate.trees;
    how["max_depth"] = candidate.depth;
    how["eta"] = shortest(candidate.learning_rate);
    how["base_score"] = shortest(base);
    how["seed"] = settings_.seed;
    how["nthread"] = settings_.threads;
    const auto made = nb::cast<nb::tuple>(boost_(as_rows(columns.rows, columns.features.size()),
                                                 as_list(columns.targets), as_list(columns.weights), how));
    const auto saved = nb::cast<nb::bytes>(made[0]);
    bytes.assign(static_cast<const char*>(saved.data()), saved.size());
    margins = made[1];
    work_.booster = nb::cast<std::string>(made[2]);
  }));
  imports::Options options;
  options.format = imports::Format::kXgboostUbjson;
  options.best_only = false;  // its margins count every tree
  options.covers = true;
  WB_TRY(engine::PlainModel plain, imports::import_model(bytes, options));
  plain.features = columns.features;
  plain.labels = columns.labels;
  plain.notes.clear();
  plain.reference_scores.label_counts.assign(columns.labels.size(), 0);
  return plain;
}

Result<engine::PlainModel> Fitter::train(const Candidate& candidate, const Dataset& data, nb::object& margins) {
  return fit::train(candidate, data, settings_.seed,
                    [&](const Candidate& one, const Dataset& columns) { return boosted(one, columns, margins); });
}

fit::LibraryMargins Fitter::library_margins(const Trained& trained) {
  if (!trained.margins.is_valid()) return {};
  return [this, &trained](std::span<const float> columns, size_t n) -> Result<std::vector<float>> {
    std::vector<float> out;
    WB_CHECK(in_python([&] {
      const auto made = nb::cast<nb::ndarray<const float, nb::c_contig, nb::device::cpu>>(
          trained.margins(as_rows(columns, columns.size() / n)));
      out.assign(made.data(), made.data() + made.size());
    }));
    return out;
  };
}

std::vector<Fitter::Compared> Fitter::compared(const fit::Parts& parts, const fit::MetricInfo& metric) {
  const Dataset& data = parts.learnt_from;
  const size_t repeats = !data.times.empty() ? 1 : settings_.repeats > 0 ? settings_.repeats : fit::usual_repeats(data);
  const std::vector<fit::Fold> folds =
      or_throw(fit::make_folds(data, {.folds = settings_.folds, .repeats = repeats, .seed = settings_.seed}));
  const fit::Trainer trainer = [&](const Candidate& candidate, const Dataset& part) {
    nb::object margins;
    return train(candidate, part, margins);
  };
  std::vector<Compared> out;
  for (const Candidate& candidate : fit::ladder(data)) {
    Compared one;
    one.trial = or_raise(fit::judge(candidate, data, folds, settings_.folds, metric.metric, trainer, [] {}));
    one.trained.plain = or_raise(train(candidate, data, one.trained.margins));
    const engine::PlainModel plain = or_throw(fit::completed(one.trained.plain, candidate, parts, work_, {}));
    one.trial.package_bytes = or_throw(fit::loaded(plain)).bytes().size();
    if (settings_.bytes_max > 0 && one.trial.package_bytes > settings_.bytes_max)
      one.trial.excluded = "over " + std::to_string(settings_.bytes_max) + " bytes";
    out.push_back(std::move(one));
  }
  return out;
}

std::optional<Candidate> wanted(const Settings& settings) {
  if (settings.family.empty()) return std::nullopt;
  const auto given = [](size_t number) { return number > 0 ? std::optional(number) : std::nullopt; };
  auto candidate =
      fit::candidate_by_name(settings.family, given(settings.trees), given(settings.depth), settings.learning_rate);
  if (!candidate.ok()) throw std::invalid_argument(candidate.error().text);
  return *candidate;
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
  const fit::Parts parts = or_throw(fit::part(data_, settings_.holdout, settings_.seed));
  nb::dict out;
  nb::list rows;
  Candidate candidate;
  Trained trained;
  if (only) {
    candidate = *only;
    trained.plain = or_raise(train(candidate, parts.learnt_from, trained.margins));
  } else {
    std::vector<Compared> all = compared(parts, metric);
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
  const fit::LibraryMargins theirs = library_margins(trained);
  engine::Model model = loaded(or_raise(fit::completed(trained.plain, candidate, parts, work_, theirs)));
  if (theirs) or_raise(fit::require_equal_margins(model, data_, theirs));
  out["candidate"] = candidate.name();
  out["candidates"] = rows;
  out["metric"] = std::string(metric.name);
  out["score"] = fit::score(metric.metric, parts.held_out, fit::answers_of(model, parts.held_out));
  out["train_rows"] = parts.learnt_from.rows_count();
  out["held_out_rows"] = parts.held_out.rows_count();
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
  module.attr("CATEGORIES_MAX") = Dataset::kCategoriesMax;
  module.attr("NAME_BYTES_MAX") = engine::limits::kNameBytesMax;
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
  module.def("are_classes", &fit::are_classes, "values"_a, "rows"_a);
  module.def(
      "sorted_labels",
      [](std::vector<std::string> labels) {
        fit::sort_labels(labels);
        return labels;
      },
      "labels"_a);
  module.def("fit", &fit_arrays, "data"_a, "settings"_a, "boost"_a);
}

}  // namespace wb::python
