// Builder: a model from arrays. Python walks a fitted estimator (sdk/python/waybill/scikit_learn.py) and says here,
// piece by piece, what engine/model.h holds; what does not fit together is refused by check_description() when it is
// built. Sums and steps are in f64, as NumPy's are.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <vector>

#include "python/package.h"

namespace nb = nanobind;
using nb::literals::operator""_a;

namespace wb::python {
namespace {

template <class Number>
using List = nb::ndarray<const Number, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Columns = std::vector<uint32_t>;
using Numbers = std::vector<double>;

engine::Objective objective_by_name(const std::string& name) {
  for (int number = 1; number < 256; ++number) {
    const auto objective = static_cast<engine::Objective>(number);
    if (engine::objective_name(objective) == name) return objective;
  }
  throw std::invalid_argument("there is no objective '" + name + "'");
}

engine::Compare compare_by_name(const std::string& name) {
  if (name == "f32 <=") return engine::Compare::kF32LessEqual;
  if (name == "f64 <=") return engine::Compare::kF64LessEqual;
  throw std::invalid_argument("there is no comparison '" + name + "'");
}

engine::Scale::Form form_by_name(const std::string& name) {
  if (name == "shift divide") return engine::Scale::Form::kShiftDivide;
  if (name == "multiply shift") return engine::Scale::Form::kMultiplyShift;
  throw std::invalid_argument("there is no scaling '" + name + "'");
}

class Builder {
 public:
  Builder(const std::string& objective, const std::string& compare, std::vector<std::string> features,
          std::vector<std::string> labels, Numbers base_margins) {
    model_.objective = objective_by_name(objective);
    model_.compare = compare_by_name(compare);
    model_.features = std::move(features);
    model_.labels = std::move(labels);
    model_.base_margins = std::move(base_margins);
    model_.sum.precision = engine::Precision::kF64;
    model_.reference_scores.label_counts.assign(model_.labels.size(), 0);
  }

  void select(Columns columns) { model_.steps.emplace_back(engine::Select{std::move(columns)}); }
  void scale(const std::string& form, Columns columns, Numbers a, Numbers b) {
    model_.steps.emplace_back(engine::Scale{form_by_name(form), std::move(columns), std::move(a), std::move(b)});
  }
  void impute(Columns columns, Numbers values) {
    model_.steps.emplace_back(engine::Impute{std::move(columns), std::move(values)});
  }
  void ordinal(uint32_t column, Numbers categories, double unknown) {
    model_.steps.emplace_back(engine::Ordinal{column, std::move(categories), unknown});
  }
  void one_hot(uint32_t column, Numbers categories) {
    model_.steps.emplace_back(engine::OneHot{column, std::move(categories)});
  }

  // Arrays of one number a node; left < 0 is a leaf. `values`:
  // f64[nodes, 1], what a leaf adds to `output`, or f64[nodes, outputs], what it adds to each.
  void tree(uint32_t output, const List<int64_t>& left, const List<int64_t>& right, const List<int64_t>& feature,
            const List<double>& threshold, const List<uint8_t>& default_left, const List<double>& covers,
            const Rows<double>& values);
  void linear(const Rows<double>& weights) {
    if (weights.shape(0) != model_.outputs_count())
      throw std::invalid_argument("not one row of weights for each output");
    model_.linear.emplace();
    model_.linear->weights.assign(weights.data(), weights.data() + weights.size());
  }

  // Before the first tree: whether what explanations need comes along.
  void keep_covers(bool keeps) { keeps_covers_ = keeps; }
  void divide(double divisor) { model_.sum.divisor = divisor; }
  void set_slope(double slope) { model_.slope = slope; }
  void allow_missing(bool allowed) { model_.missing_allowed = allowed; }
  void note(const std::string& key, const std::string& text) { model_.notes.emplace_back(key, text); }
  engine::Model build() const { return loaded(model_); }

 private:
  engine::PlainModel model_;
  bool keeps_covers_ = false;
};

void Builder::tree(uint32_t output, const List<int64_t>& left, const List<int64_t>& right, const List<int64_t>& feature,
                   const List<double>& threshold, const List<uint8_t>& default_left, const List<double>& covers,
                   const Rows<double>& values) {
  const size_t n = left.size();
  const size_t width = values.shape(1);
  for (const size_t size : {right.size(), feature.size(), threshold.size(), default_left.size(), values.shape(0)}) {
    if (size != n || (covers.size() != n && (keeps_covers_ || covers.size() > 0)))
      throw std::invalid_argument("a tree's arrays differ in length");
  }
  if (width != 1 && width != model_.outputs_count())
    throw std::invalid_argument("leaves do not have the outputs' width");
  engine::Tree tree;
  tree.output = output;
  if (keeps_covers_) tree.covers.assign(covers.data(), covers.data() + n);
  for (size_t i = 0; i < n; ++i) {
    engine::TreeNode node;
    const std::span<const double> value(values.data() + i * width, width);
    if (left.data()[i] >= 0) {
      node.left = static_cast<int32_t>(left.data()[i]);
      node.right = static_cast<int32_t>(right.data()[i]);
      node.feature = static_cast<uint32_t>(feature.data()[i]);
      node.value = threshold.data()[i];
      node.default_left = default_left.data()[i] != 0;
    } else if (width == 1) {
      node.value = value[0];
    } else {
      node.feature = static_cast<uint32_t>(tree.vectors.size() / width);
      tree.vectors.insert(tree.vectors.end(), value.begin(), value.end());
    }
    tree.nodes.push_back(node);
  }
  model_.trees.push_back(std::move(tree));
}

}  // namespace

void bind_builder(nb::module_& module) {
  nb::class_<Builder>(module, "Builder", "A model from arrays: engine/model.h, piece by piece.")
      .def(nb::init<const std::string&, const std::string&, std::vector<std::string>, std::vector<std::string>,
                    Numbers>(),
           "objective"_a, "compare"_a, "features"_a, "labels"_a, "base_margins"_a)
      .def("select", &Builder::select, "columns"_a)
      .def("scale", &Builder::scale, "form"_a, "columns"_a, "a"_a, "b"_a)
      .def("impute", &Builder::impute, "columns"_a, "values"_a)
      .def("ordinal", &Builder::ordinal, "column"_a, "categories"_a, "unknown"_a)
      .def("one_hot", &Builder::one_hot, "column"_a, "categories"_a)
      .def("tree", &Builder::tree, "output"_a, "left"_a, "right"_a, "feature"_a, "threshold"_a, "default_left"_a,
           "covers"_a, "values"_a)
      .def("linear", &Builder::linear, "weights"_a)
      .def("keep_covers", &Builder::keep_covers, "keeps"_a)
      .def("divide", &Builder::divide, "divisor"_a)
      .def("slope", &Builder::set_slope, "slope"_a)
      .def("allow_missing", &Builder::allow_missing, "allowed"_a)
      .def("note", &Builder::note, "key"_a, "text"_a)
      .def("build", &Builder::build);
}

}  // namespace wb::python
