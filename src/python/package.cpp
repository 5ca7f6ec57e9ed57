#include "python/package.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <type_traits>
#include <vector>

#include "import/import.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace wb::python {
namespace {

using engine::Model;

constexpr size_t kBlockRows = 1'024;  // what is widened or narrowed on the way goes in blocks of so many rows

template <class To, class From>
void copy_numbers(std::span<const From> from, std::span<To> to) {
  std::transform(from.begin(), from.end(), to.begin(), [](From number) { return static_cast<To>(number); });
}

// Calls `compute(in, n, out)` over f64 blocks of what is f32 on either side.
template <class In, class Out, class Compute>
void through_f64(std::span<const In> in, std::span<Out> out, size_t rows, const Compute& compute) {
  const size_t in_width = in.size() / rows;
  const size_t out_width = out.size() / rows;
  std::vector<double> wide_in(kBlockRows * in_width);
  std::vector<double> wide_out(kBlockRows * out_width);
  for (size_t row = 0; row < rows; row += kBlockRows) {
    const size_t n = std::min(kBlockRows, rows - row);
    const auto block_in = std::span(wide_in).first(n * in_width);
    const auto block_out = std::span(wide_out).first(n * out_width);
    copy_numbers<double>(in.subspan(row * in_width, n * in_width), block_in);
    compute(std::span<const double>(block_in), n, block_out);
    copy_numbers<Out>(std::span<const double>(block_out), out.subspan(row * out_width, n * out_width));
  }
}

// f32 goes as f32 where that gives the same bits; else everything is f64 and the margins are rounded to what `out`
// holds.
template <class In, class Out>
void margins(const Model& model, const Rows<In>& rows, const Into<Out>& out) {
  const size_t n = rows.shape(0);
  if (rows.shape(1) != model.features_count() || out.shape(0) != n || out.shape(1) != model.outputs_count())
    throw std::invalid_argument("rows or margins do not have the model's shape");
  const std::span<const In> in(rows.data(), n * model.features_count());
  const std::span<Out> answers(out.data(), n * model.outputs_count());
  const nb::gil_scoped_release unlocked;
  if (n == 0) return;
  if constexpr (std::is_same_v<In, Out>) {
    if (std::is_same_v<In, double> || !model.computes_f64()) return model.predict_margins(in, n, answers);
  }
  through_f64(in, answers, n, [&](std::span<const double> x, size_t count, std::span<double> y) {
    model.predict_margins(x, count, y);
  });
}

// Always by way of f64, as `waybill predict` does.
template <class Number>
void answers(const Model& model, const Rows<Number>& given, const Into<Number>& out) {
  const size_t n = given.shape(0);
  if (given.shape(1) != model.outputs_count() || out.shape(0) != n || out.shape(1) != model.answers_count())
    throw std::invalid_argument("margins or answers do not have the model's shape");
  const std::span<const Number> in(given.data(), n * model.outputs_count());
  const std::span<Number> to(out.data(), n * model.answers_count());
  const nb::gil_scoped_release unlocked;
  if (n == 0) return;
  through_f64(in, to, n, [&](std::span<const double> x, size_t, std::span<double> y) { model.probabilities(x, y); });
}

// (row, column) of the first NaN.
template <class Number>
std::optional<std::pair<size_t, size_t>> first_missing(const Rows<Number>& rows) {
  const size_t width = rows.shape(1);
  const std::span<const Number> in(rows.data(), rows.shape(0) * width);
  const nb::gil_scoped_release unlocked;
  const auto at = std::find_if(in.begin(), in.end(), [](Number number) { return std::isnan(number); });
  if (at == in.end()) return std::nullopt;
  const auto index = static_cast<size_t>(at - in.begin());
  return std::pair(index / width, index % width);
}

// out: f64[rows, outputs · (features + 1)]
void explain(const engine::Explainer& explainer, const Rows<double>& rows, const Into<double>& out) {
  const size_t width = explainer.outputs_count() * (explainer.features_count() + 1);
  const size_t n = rows.shape(0);
  if (rows.shape(1) != explainer.features_count() || out.shape(0) != n || out.shape(1) != width)
    throw std::invalid_argument("rows or contributions do not have the model's shape");
  const nb::gil_scoped_release unlocked;
  explainer.explain(std::span<const double>(rows.data(), rows.size()), n, std::span<double>(out.data(), out.size()));
}

Model load(const nb::bytes& bytes) {
  const std::string_view view(static_cast<const char*>(bytes.data()), bytes.size());
  const nb::gil_scoped_release unlocked;
  Model model = or_throw(Model::load(view));
  or_throw(model.verify_self_test());
  return model;
}

struct ImportSettings {
  std::string format;
  bool best_only = true;
  std::vector<std::string> labels;
  bool category_codes = false;
  bool explain = false;
};

Model import_model(const nb::bytes& bytes, const ImportSettings& settings) {
  imports::Options options;
  options.format = imports::format_by_name(settings.format);
  if (!options.format && !settings.format.empty()) {
    std::string names;
    for (const std::string& name : imports::format_names()) names += " " + name;
    throw std::invalid_argument("format is '" + settings.format + "'; it is one of" + names);
  }
  options.best_only = settings.best_only;
  options.labels = settings.labels;
  options.category_codes = settings.category_codes;
  options.covers = settings.explain;
  const std::string_view view(static_cast<const char*>(bytes.data()), bytes.size());
  const nb::gil_scoped_release unlocked;
  return loaded(or_throw(imports::import_model(view, options)));
}

// The same model with some rows that every node runs before it serves; their margins are the model's own.
Model with_self_test(const Model& model, const Rows<double>& rows) {
  if (rows.shape(1) != model.features_count()) throw std::invalid_argument("rows do not have the model's shape");
  const std::span<const double> in(rows.data(), rows.shape(0) * rows.shape(1));
  const nb::gil_scoped_release unlocked;
  engine::PlainModel plain = or_throw(engine::unpack(model.bytes()));
  engine::SelfTest test;
  for (const double number : in)
    test.rows.push_back(model.computes_f64() ? number : static_cast<double>(static_cast<float>(number)));
  test.margins.resize(rows.shape(0) * model.outputs_count());
  model.predict_margins(test.rows, rows.shape(0), test.margins);
  plain.self_test = std::move(test);
  return loaded(plain);
}

}  // namespace

engine::Model loaded(const engine::PlainModel& plain) {
  Model model = or_throw(Model::load(or_throw(engine::pack(plain))));
  or_throw(model.verify_self_test());
  return model;
}

void bind_package(nb::module_& module) {
  nb::class_<Model>(module, "Package", "A model as its package says it. waybill.Model is what people hold.")
      .def_prop_ro("features", &Model::features)
      .def_prop_ro("labels", &Model::labels)
      .def(
          "texts",
          [](const Model& model, size_t feature) {
            if (feature >= model.features_count()) throw std::out_of_range("no such feature");
            const auto texts = model.texts(feature);
            return std::vector<std::string>(texts.begin(), texts.end());
          },
          "feature"_a)
      .def_prop_ro("objective",
                   [](const Model& model) { return std::string(engine::objective_name(model.objective())); })
      .def_prop_ro("notes", &Model::notes)
      .def_prop_ro("missing_allowed", &Model::missing_allowed)
      .def_prop_ro("sums_f64", &Model::sums_f64)
      .def_prop_ro("outputs", &Model::outputs_count)
      .def_prop_ro("answers_count", &Model::answers_count)
      .def_prop_ro("trees", &Model::trees_count)
      .def_prop_ro("nodes", &Model::nodes_count)
      .def_prop_ro("data", [](const Model& model) { return nb::bytes(model.bytes().data(), model.bytes().size()); })
      .def("with_self_test", &with_self_test, "rows"_a)
      .def("margins", &margins<float, float>, "rows"_a.noconvert(), "out"_a.noconvert())
      .def("margins", &margins<double, double>, "rows"_a.noconvert(), "out"_a.noconvert())
      .def("margins", &margins<float, double>, "rows"_a.noconvert(), "out"_a.noconvert())
      .def("margins", &margins<double, float>, "rows"_a.noconvert(), "out"_a.noconvert())
      .def("answers", &answers<float>, "margins"_a.noconvert(), "out"_a.noconvert())
      .def("answers", &answers<double>, "margins"_a.noconvert(), "out"_a.noconvert());
  nb::class_<engine::Explainer>(module, "Explainer", "What contributions are computed from; loaded beside a package.")
      .def(
          "__init__",
          [](engine::Explainer* explainer, const Model& model) {
            new (explainer) engine::Explainer(or_throw(engine::Explainer::load(model.bytes())));
          },
          "package"_a)
      .def("explain", &explain, "rows"_a.noconvert(), "out"_a.noconvert());
  module.def("first_missing", &first_missing<float>, "rows"_a.noconvert());
  module.def("first_missing", &first_missing<double>, "rows"_a.noconvert());
  module.def("load", &load, "data"_a);
  module.def(
      "import_model",
      [](const nb::bytes& data, const std::string& format, bool best_only, const std::vector<std::string>& labels,
         bool category_codes, bool explain) {
        return import_model(data, {format, best_only, labels, category_codes, explain});
      },
      "data"_a, "format"_a, "best_only"_a = true, "labels"_a = std::vector<std::string>{}, "category_codes"_a = false,
      "explain"_a = false);
}

}  // namespace wb::python
