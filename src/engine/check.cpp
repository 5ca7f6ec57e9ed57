// What a description must be before anything is made from it. One function per part; each says what and where.
#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "engine/predictors.h"

namespace wb::engine {
namespace {

std::string at(std::string_view what, size_t index) { return std::string(what) + " " + std::to_string(index); }

Status check_names(const std::vector<std::string>& names, std::string_view what, size_t names_max) {
  if (names.size() > names_max) return fail(Code::kInvalid, "more than ", std::to_string(names_max), " ", what, "s");
  for (const std::string& name : names) {
    if (name.empty() || name.size() > limits::kNameBytesMax) {
      return fail(Code::kInvalid, "a ", what, " name must have 1 to ", std::to_string(limits::kNameBytesMax),
                  " bytes: '", valid_text(name, 32), "'");
    }
    if (utf8_fault(name)) return fail(Code::kInvalid, "the ", what, " '", valid_text(name, 32), "' is not UTF-8");
  }
  std::vector<std::string_view> sorted(names.begin(), names.end());
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) return fail(Code::kInvalid, "the ", what, " '", *twice, "' stands twice");
  return ok_status();
}

bool is_f32(double value) {
  return std::fabs(value) <= static_cast<double>(std::numeric_limits<float>::max()) &&
         static_cast<double>(static_cast<float>(value)) == value;
}
bool fits(double value, Precision precision) {
  return precision == Precision::kF64 ? std::isfinite(value) : is_f32(value);
}

// Numbers that are summed: finite, and exact in the precision that they are summed in.
Status check_number(double value, Precision precision, const std::string& where) {
  if (!std::isfinite(value)) return fail(Code::kInvalid, where, " is not finite");
  if (!fits(value, precision)) return fail(Code::kInvalid, where, " is no f32, and margins are summed in f32");
  return ok_status();
}

Status check_shape(const Description& model) {
  const size_t outputs = model.outputs_count();
  const size_t labels = model.labels.size();
  bool shaped = outputs >= 1 && outputs <= limits::kOutputsMax;
  switch (model.objective) {
    case Objective::kSoftprob:
    case Objective::kOneVsRest:
    case Objective::kIndependent:
    case Objective::kVotes: shaped = shaped && labels >= 2 && outputs == labels; break;
    case Objective::kLogistic:
    case Objective::kOneVote: shaped = shaped && labels == 2 && outputs == 1; break;
    case Objective::kRegression:
    case Objective::kExponential:
    case Objective::kIsolation:
    case Objective::kSignedSquare:
    case Objective::kNormality:
    case Objective::kSigmoid: shaped = shaped && labels == 0; break;
    default:
      return fail(Code::kInvalid, "objective ", std::to_string(static_cast<int>(model.objective)), " is unknown");
  }
  if (!shaped) {
    return fail(Code::kInvalid, objective_name(model.objective), " does not go with ", std::to_string(labels),
                " labels and ", std::to_string(outputs), " outputs");
  }
  if (!std::isfinite(model.slope) || model.slope <= 0) return fail(Code::kInvalid, "the slope is not above 0");
  const bool shifts = model.objective == Objective::kNormality;
  if (!std::isfinite(model.shift) || (!shifts && model.shift != 0))
    return fail(Code::kInvalid, "the shift is not finite, or there is one beside ", objective_name(model.objective));
  return ok_status();
}

Status check_sum(const Description& model) {
  const Sum& sum = model.sum;
  for (size_t i = 0; i < model.base_margins.size(); ++i)
    WB_CHECK(check_number(model.base_margins[i], sum.precision, at("base margin", i)));
  if (sum.divisor) {
    WB_CHECK(check_number(*sum.divisor, sum.precision, "the divisor"));
    if (!(*sum.divisor > 0)) return fail(Code::kInvalid, "the divisor is not above 0");
  }
  if (sum.factor) WB_CHECK(check_number(*sum.factor, sum.precision, "the factor"));
  if (!sum.offsets.empty() && sum.offsets.size() != model.outputs_count())
    return fail(Code::kInvalid, "there must be no offset, or one for each output");
  for (size_t i = 0; i < sum.offsets.size(); ++i)
    WB_CHECK(check_number(sum.offsets[i], sum.precision, at("offset", i)));
  return ok_status();
}

Status check_texts(const Description& model) {
  if (model.texts.empty()) return ok_status();
  if (model.texts.size() != model.features.size())
    return fail(Code::kInvalid, "there must be no list of texts, or one for each feature");
  if (std::all_of(model.texts.begin(), model.texts.end(), [](const auto& one) { return one.empty(); }))
    return fail(Code::kInvalid, "there are lists of texts, and no text");
  for (size_t i = 0; i < model.texts.size(); ++i) {
    const Status sound = check_names(model.texts[i], "text", limits::kStepCategoriesMax);
    if (!sound.ok()) return sound.error().within(at("feature", i));
  }
  return ok_status();
}

// ---- Steps: how many columns each leaves, or what is wrong with it.
Status check_columns(const std::vector<uint32_t>& columns, size_t width, bool unique) {
  if (columns.empty() || columns.size() > limits::kColumnsMax) return fail(Code::kInvalid, "no columns, or too many");
  for (const uint32_t column : columns) {
    if (column >= width)
      return fail(Code::kInvalid, at("takes column", column), " of ", std::to_string(width), "; they count from 0");
  }
  if (!unique) return ok_status();
  std::vector<uint32_t> sorted = columns;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) return fail(Code::kInvalid, at("takes column", *twice), " twice");
  return ok_status();
}

Status check_numbers(const std::vector<double>& numbers, size_t wanted, Precision precision, std::string_view what) {
  if (numbers.size() != wanted) return fail(Code::kInvalid, "has not one ", what, " for each column");
  for (const double number : numbers) {
    if (!fits(number, precision)) return fail(Code::kInvalid, "has a ", what, " that is not finite or does not fit");
  }
  return ok_status();
}

Status check_categories(const std::vector<double>& categories, Precision precision) {
  if (categories.empty() || categories.size() > limits::kStepCategoriesMax)
    return fail(Code::kInvalid, "needs 1 to ", std::to_string(limits::kStepCategoriesMax), " categories");
  WB_CHECK(check_numbers(categories, categories.size(), precision, "category"));
  std::vector<double> sorted = categories;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return fail(Code::kInvalid, "has a category twice");
  return ok_status();
}

Result<size_t> check_step(const Step& step, size_t width, Precision precision) {
  if (const auto* select = std::get_if<Select>(&step)) {
    WB_CHECK(check_columns(select->columns, width, false));
    return select->columns.size();
  }
  if (const auto* scale = std::get_if<Scale>(&step)) {
    WB_CHECK(check_columns(scale->columns, width, true));
    WB_CHECK(check_numbers(scale->a, scale->columns.size(), precision, "number a"));
    WB_CHECK(check_numbers(scale->b, scale->columns.size(), precision, "number b"));
    const bool divides = scale->form == Scale::Form::kShiftDivide;
    if (divides && std::find(scale->b.begin(), scale->b.end(), 0.0) != scale->b.end())
      return fail(Code::kInvalid, "divides by 0");
    return width;
  }
  if (const auto* impute = std::get_if<Impute>(&step)) {
    WB_CHECK(check_columns(impute->columns, width, true));
    WB_CHECK(check_numbers(impute->values, impute->columns.size(), precision, "value"));
    return width;
  }
  if (const auto* ordinal = std::get_if<Ordinal>(&step)) {
    WB_CHECK(check_columns({ordinal->column}, width, true));
    WB_CHECK(check_categories(ordinal->categories, precision));
    if (!std::isnan(ordinal->unknown)) WB_CHECK(check_numbers({ordinal->unknown}, 1, precision, "unknown value"));
    return width;
  }
  const auto& one_hot = *std::get_if<OneHot>(&step);
  WB_CHECK(check_columns({one_hot.column}, width, true));
  WB_CHECK(check_categories(one_hot.categories, precision));
  return width - 1 + one_hot.categories.size();
}

Result<size_t> check_steps(const Description& model) {
  size_t width = model.features.size();
  if (model.steps.size() > limits::kStepsMax)
    return fail(Code::kInvalid, "more than ", std::to_string(limits::kStepsMax), " steps");
  for (size_t i = 0; i < model.steps.size(); ++i) {
    auto left = check_step(model.steps[i], width, model.steps_precision);
    if (!left.ok()) return left.error().within(at("step", i));
    width = *left;
    if (width > limits::kColumnsMax)
      return fail(Code::kInvalid, at("step", i), " leaves more than ", std::to_string(limits::kColumnsMax), " columns");
  }
  return width;
}

Status check_linear(const Description& model, size_t width) {
  if (!model.linear) return ok_status();
  const std::vector<double>& weights = model.linear->weights;
  if (weights.size() != width * model.outputs_count())
    return fail(Code::kInvalid, "there are ", std::to_string(weights.size()),
                " weights; there must be one for each output and column, ",
                std::to_string(width * model.outputs_count()));
  for (size_t i = 0; i < weights.size(); ++i) WB_CHECK(check_number(weights[i], model.sum.precision, at("weight", i)));
  const std::vector<double>& means = model.linear->means;
  if (!means.empty() && means.size() != width)
    return fail(Code::kInvalid, "there are ", std::to_string(means.size()), " means for ", std::to_string(width),
                " columns");
  for (size_t i = 0; i < means.size(); ++i) WB_CHECK(check_number(means[i], Precision::kF64, at("mean", i)));
  return ok_status();
}

// ---- Trees.
Status check_sets(const Description& model) {
  for (size_t i = 0; i < model.sets.size(); ++i) {
    const std::vector<uint32_t>& set = model.sets[i];
    const bool ascending = std::adjacent_find(set.begin(), set.end(), std::greater_equal<>()) == set.end();
    if (set.empty() || !ascending || set.back() > limits::kCategoryMax)
      return fail(Code::kInvalid, at("category set", i), " is not ascending, is empty, or goes beyond ",
                  std::to_string(limits::kCategoryMax));
  }
  return ok_status();
}

Status check_split(const Description& model, const TreeNode& node, size_t width) {
  if (node.feature >= width)
    return fail(Code::kInvalid, at("splits on column", node.feature), " of ", std::to_string(width),
                "; they count from 0");
  if (node.missing < Missing::kNan || node.missing > Missing::kNanIsZero)
    return fail(Code::kInvalid, "has an unknown rule for missing values");
  if (node.set >= 0)
    return static_cast<size_t>(node.set) < model.sets.size()
               ? ok_status()
               : Status(fail(Code::kInvalid, at("splits by category set", static_cast<size_t>(node.set)),
                             ", which is not there"));
  if (std::isnan(node.value)) return fail(Code::kInvalid, "a threshold is not a number");
  const bool exact = model.compare != Compare::kF32Less || std::isinf(node.value) || is_f32(node.value);
  return exact ? ok_status() : Status(fail(Code::kInvalid, "the threshold is no f32, but is compared as one"));
}

Status check_leaf(const Description& model, const Tree& tree, const TreeNode& leaf) {
  if (leaf.set >= 0 && (!tree.vectors.empty() || static_cast<size_t>(leaf.set) >= model.lines.size()))
    return fail(Code::kInvalid, at("adds line", static_cast<size_t>(leaf.set)), ", which is not there");
  if (tree.vectors.empty()) return check_number(leaf.value, model.sum.precision, "a leaf");
  const size_t vectors = tree.vectors.size() / model.outputs_count();
  return leaf.feature < vectors ? ok_status()
                                : Status(fail(Code::kInvalid, at("takes leaf vector", leaf.feature), " of ",
                                              std::to_string(vectors), "; they count from 0"));
}

}  // namespace

// A leaf that no row reached is no fault: CatBoost's symmetric trees have many.
Status check_covers(std::span<const double> covers) {
  double sum = 0;
  for (const double cover : covers) {
    if (!(cover >= 0) || cover > limits::kCoverMax || std::signbit(cover))
      return fail(Code::kInvalid, "a cover is not finite, below 0 or too large");
    sum += cover;
  }
  return sum > 0 ? ok_status() : Status(fail(Code::kInvalid, "no leaf has a cover above 0"));
}

namespace {

// Walks what can be reached, left side first. Refuses cycles, shared children and indices that lead nowhere.
Status check_tree(const Description& model, const Tree& tree, size_t width, size_t& reached) {
  if (tree.output >= model.outputs_count()) return fail(Code::kInvalid, "adds to an output that is not there");
  if (!tree.vectors.empty() && (tree.output != 0 || tree.vectors.size() % model.outputs_count() != 0))
    return fail(Code::kInvalid, "its leaf vectors do not have one value for each output");
  for (const double value : tree.vectors)
    WB_CHECK(check_number(value, model.sum.precision, "a value of a leaf vector"));
  if (!tree.covers.empty() && tree.covers.size() != tree.nodes.size())
    return fail(Code::kInvalid, "it has not one cover for each node");
  std::vector<double> covers;
  std::vector<std::pair<int32_t, size_t>> waiting{{0, 0}};
  size_t seen = 0;
  while (!waiting.empty()) {
    const auto [index, depth] = waiting.back();
    waiting.pop_back();
    if (index < 0 || static_cast<size_t>(index) >= tree.nodes.size())
      return fail(Code::kInvalid, "a child is not in the tree");
    if (seen == tree.nodes.size()) return fail(Code::kInvalid, "two nodes share a child");
    if (++seen > limits::kTreeNodesMax)
      return fail(Code::kInvalid, "more than ", std::to_string(limits::kTreeNodesMax),
                  " nodes in a tree; train with less depth");
    const TreeNode& node = tree.nodes[static_cast<size_t>(index)];
    const bool leaf = node.left < 0;
    const Status sound = leaf ? check_leaf(model, tree, node) : check_split(model, node, width);
    if (!sound.ok()) return sound.error().within(at("node", static_cast<size_t>(index)));
    if (leaf && !tree.covers.empty()) covers.push_back(tree.covers[static_cast<size_t>(index)]);
    if (leaf) continue;
    if (depth == limits::kTreeDepthMax)
      return fail(Code::kInvalid, "deeper than ", std::to_string(limits::kTreeDepthMax));
    waiting.emplace_back(node.right, depth + 1);
    waiting.emplace_back(node.left, depth + 1);
  }
  reached += seen;
  return tree.covers.empty() ? ok_status() : check_covers(covers);
}

Status check_trees(const Description& model, size_t width) {
  if (model.trees.size() > limits::kTreesMax)
    return fail(Code::kInvalid, "more than ", std::to_string(limits::kTreesMax), " trees");
  WB_CHECK(check_sets(model));
  size_t nodes = 0;
  for (size_t i = 0; i < model.trees.size(); ++i) {
    const Status sound = check_tree(model, model.trees[i], width, nodes);
    if (!sound.ok()) return sound.error().within(at("tree", i));
    if (model.trees[i].covers.empty() == has_covers(model))
      return fail(Code::kInvalid, at("tree", i), " and tree 0 differ in whether they have covers");
    if (nodes > limits::kModelNodesMax)
      return fail(Code::kInvalid, "more than ", std::to_string(limits::kModelNodesMax), " nodes");
  }
  return ok_status();
}

Status check_predictor(const Description& model, size_t width) {
  if (model.is_ensemble()) return check_trees(model, width);
  const Sum& sum = model.sum;
  const bool based = std::any_of(model.base_margins.begin(), model.base_margins.end(), [](double m) { return m != 0; });
  if (model.linear || !model.trees.empty() || !model.sets.empty() || !model.lines.empty() || based || sum.divisor ||
      sum.factor || !sum.offsets.empty())
    return fail(Code::kInvalid, "weights, trees or sums stand beside a predictor that has no use for them");
  if (const auto* network = std::get_if<Network>(&model.predictor)) return check_network(model, *network, width);
  return check_neighbours(model, *std::get_if<Neighbours>(&model.predictor), width);
}

Status check_curve(const Curve& curve) {
  if (const auto* platt = std::get_if<Platt>(&curve)) {
    const bool finite = std::isfinite(platt->a) && std::isfinite(platt->b);
    return finite ? ok_status() : Status(fail(Code::kInvalid, "a number is not finite"));
  }
  const auto& isotonic = *std::get_if<Isotonic>(&curve);
  const std::vector<double>& x = isotonic.x;
  const std::vector<double>& y = isotonic.y;
  if (x.empty() || x.size() > limits::kCurvePointsMax || x.size() != y.size())
    return fail(Code::kInvalid, "needs 1 to ", std::to_string(limits::kCurvePointsMax), " points, each with x and y");
  for (size_t i = 0; i < x.size(); ++i) {
    const bool in_order = i == 0 || (x[i - 1] < x[i] && y[i - 1] <= y[i]);
    if (!std::isfinite(x[i]) || !(y[i] >= 0) || !(y[i] <= 1) || !in_order)
      return fail(Code::kInvalid, at("point", i), " is out of order, or outside [0, 1]");
  }
  return ok_status();
}

Status check_calibration(const Description& model) {
  if (!model.calibration) return ok_status();
  if (model.labels.empty()) return fail(Code::kInvalid, "a calibration needs labels");
  if (model.calibration->curves.size() != model.outputs_count())
    return fail(Code::kInvalid, "a calibration needs one curve for each output");
  for (size_t i = 0; i < model.calibration->curves.size(); ++i) {
    const Status sound = check_curve(model.calibration->curves[i]);
    if (!sound.ok()) return sound.error().within(at("calibration curve", i));
  }
  return ok_status();
}

}  // namespace

Status check_computed(std::span<const double> numbers, const Description& model, std::string_view what) {
  for (size_t i = 0; i < numbers.size(); ++i) WB_CHECK(check_number(numbers[i], model.sum.precision, at(what, i)));
  return ok_status();
}

std::string_view objective_name(Objective objective) {
  switch (objective) {
    case Objective::kSoftprob: return "softprob";
    case Objective::kLogistic: return "logistic";
    case Objective::kRegression: return "regression";
    case Objective::kExponential: return "exponential";
    case Objective::kOneVsRest: return "one-vs-rest";
    case Objective::kIndependent: return "independent";
    case Objective::kVotes: return "votes";
    case Objective::kIsolation: return "isolation";
    case Objective::kSignedSquare: return "signed-square";
    case Objective::kOneVote: return "one-vote";
    case Objective::kSigmoid: return "sigmoid";
    case Objective::kNormality: return "normality";
  }
  return "unknown";
}

Status check_description(const Description& model) {
  if (model.features.empty()) return fail(Code::kInvalid, "a model needs at least one feature");
  WB_CHECK(check_names(model.features, "feature", limits::kFeaturesMax));
  WB_CHECK(check_texts(model));
  WB_CHECK(check_names(model.labels, "label", limits::kClassesMax));
  WB_CHECK(check_shape(model));
  WB_CHECK(check_sum(model));
  WB_TRY(const size_t width, check_steps(model));
  WB_CHECK(check_linear(model, width));
  WB_CHECK(check_lines(model, width));
  WB_CHECK(check_predictor(model, width));
  return check_calibration(model);
}

}  // namespace wb::engine
