// CatBoost's own JSON: model.save_model(file, format="json").
//
// What CatBoost does with it, found by holding its predictions against this reading: a row's numbers are f32; a split
// holds where x > border, so its left side is x <= border, and NaN goes left unless the feature's treatment is AsTrue;
// leaves are added in f64 from 0 in the order of the trees, for one row and for batches alike; the sum is multiplied
// with the scale and the bias is added. A symmetric tree asks the same question at each level: question i decides bit i
// of the leaf's number.
//
// Refused: what needs the text of a category (hashes, counters), because CatBoost keeps those tables to itself.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "import/formats.h"
#include "import/import.h"
#include "import/json.h"

namespace wb::imports {
namespace {

using engine::Description;
using engine::Objective;
using engine::Tree;
using engine::TreeNode;

struct Loss {
  std::string_view name;
  Objective objective;
};
// CatBoost's losses whose answers follow from the margins as the engine's objectives say.
constexpr std::array kLosses = {
    Loss{"Logloss", Objective::kLogistic},
    Loss{"CrossEntropy", Objective::kLogistic},
    Loss{"Focal", Objective::kLogistic},
    Loss{"MultiClass", Objective::kSoftprob},
    Loss{"MultiClassOneVsAll", Objective::kIndependent},
    Loss{"MultiLogloss", Objective::kIndependent},
    Loss{"MultiCrossEntropy", Objective::kIndependent},
    Loss{"Poisson", Objective::kExponential},
    Loss{"Tweedie", Objective::kExponential},
    Loss{"RMSE", Objective::kRegression},
    Loss{"MAE", Objective::kRegression},
    Loss{"Quantile", Objective::kRegression},
    Loss{"MultiQuantile", Objective::kRegression},
    Loss{"GroupQuantile", Objective::kRegression},
    Loss{"LogLinQuantile", Objective::kRegression},  // CatBoost's predict() gives the margin
    Loss{"Expectile", Objective::kRegression},
    Loss{"MAPE", Objective::kRegression},
    Loss{"Lq", Objective::kRegression},
    Loss{"Huber", Objective::kRegression},
    Loss{"LogCosh", Objective::kRegression},
    Loss{"MultiRMSE", Objective::kRegression},
    Loss{"MultiRMSEWithMissingValues", Objective::kRegression},
    Loss{"Cox", Objective::kRegression},
    Loss{"SurvivalAft", Objective::kRegression},
    Loss{"QueryRMSE", Objective::kRegression},
    Loss{"QuerySoftMax", Objective::kRegression},
    Loss{"QueryCrossEntropy", Objective::kRegression},
    Loss{"PairLogit", Objective::kRegression},
    Loss{"PairLogitPairwise", Objective::kRegression},
    Loss{"YetiRank", Objective::kRegression},
    Loss{"YetiRankPairwise", Objective::kRegression},
    Loss{"StochasticRank", Objective::kRegression},
    Loss{"StochasticFilter", Objective::kRegression},
    Loss{"LambdaMart", Objective::kRegression},
};

// What a split's float_feature_index means.
struct Feature {
  uint64_t index = 0;
  uint32_t column = 0;
  bool nan_right = false;
};

struct Reader {
  const Options& options;
  engine::PlainModel out = {};
  std::vector<Feature> features = {};  // by index
  size_t outputs = 1;
  size_t nodes_count = 0;

  Status read_features(const JsonView& info);
  Status read_feature(const JsonView& feature, std::vector<std::string>& names);
  Status read_objective(const JsonView& info);
  Status read_labels(const JsonView& info);
  Status read_scale_and_bias(const JsonView& pair);
  Status read_symmetric(const JsonView& tree);
  Status read_free(const JsonView& tree);
  Result<int32_t> read_free_node(const JsonView& node, Tree& tree, size_t depth);
  Status read_leaf(const JsonView& node, Tree& tree, size_t at) const;
  Status read_split(const JsonView& split, TreeNode& node) const;
  Status count_nodes(const JsonView& tree, size_t more);
};

std::string shortest(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value);
  return std::string(text.data(), end.ptr);
}

// ---- Features.
Status refuse_other_kinds(const JsonView& info) {
  struct Kind {
    std::string_view key;
    std::string_view what;
    std::string_view why;
  };
  constexpr std::array kKinds = {
      Kind{"categorical_features", "categorical",
           "CatBoost compares hashes of its text and counts kept in its own tables"},
      Kind{"text_features", "text", "CatBoost takes it apart with its own dictionaries"},
      Kind{"embedding_features", "an embedding", "CatBoost projects it with its own calculators"},
  };
  for (const Kind& kind : kKinds) {
    if (!info.has(kind.key)) continue;
    WB_TRY(const JsonView list, info.field(kind.key));
    if (list.is_null()) continue;
    WB_TRY(const std::vector<JsonView> items, list.items());
    if (items.empty()) continue;
    std::string name;
    if (items[0].has("feature_id")) {
      WB_TRY(const JsonView id, items[0].field("feature_id"));
      WB_TRY(name, id.text());
    }
    return items[0].unsupported("the feature '", name, "' is ", kind.what, ", and ", kind.why,
                                "; turn it into numbers before training");
  }
  return ok_status();
}

Status Reader::read_feature(const JsonView& feature, std::vector<std::string>& names) {
  WB_TRY(const JsonView index, feature.field("feature_index"));
  WB_TRY(const JsonView flat, feature.field("flat_feature_index"));
  WB_TRY(const uint64_t number, index.count(engine::limits::kFeaturesMax - 1));
  WB_TRY(const uint64_t column, flat.count(engine::limits::kFeaturesMax - 1));
  if (column >= names.size())
    return flat.fault("column ", std::to_string(column), " of ", std::to_string(names.size()));
  if (!names[column].empty()) return flat.fault("column ", std::to_string(column), " stands twice");

  WB_TRY(const JsonView treatment, feature.field("nan_value_treatment"));
  WB_TRY(const std::string_view nan, treatment.text());
  if (nan != "AsIs" && nan != "AsFalse" && nan != "AsTrue")
    return treatment.fault("'", nan, "' is no treatment; known are AsIs, AsFalse, AsTrue");
  std::string_view name;
  if (feature.has("feature_id")) {
    WB_TRY(const JsonView id, feature.field("feature_id"));
    WB_TRY(name, id.text());
  }
  names[column] = name.empty() ? "f" + std::to_string(column) : std::string(name);
  features.push_back({number, static_cast<uint32_t>(column), nan == "AsTrue"});
  return ok_status();
}

Status Reader::read_features(const JsonView& info) {
  WB_CHECK(refuse_other_kinds(info));
  WB_TRY(const JsonView list, info.field("float_features"));
  WB_TRY(const std::vector<JsonView> items, list.items());
  if (items.empty() || items.size() > engine::limits::kFeaturesMax)
    return list.fault(std::to_string(items.size()), " features; 1 to ", std::to_string(engine::limits::kFeaturesMax),
                      " can be carried");
  std::vector<std::string> names(items.size());
  for (const JsonView& item : items) WB_CHECK(read_feature(item, names));
  std::sort(features.begin(), features.end(), [](const Feature& a, const Feature& b) { return a.index < b.index; });
  for (size_t i = 1; i < features.size(); ++i) {
    if (features[i].index == features[i - 1].index)
      return list.fault("feature_index ", std::to_string(features[i].index), " stands twice");
  }
  out.features = std::move(names);
  return ok_status();
}

// ---- Objective and labels.
Result<std::string> loss_type(const JsonView& loss) {
  WB_TRY(const JsonView type, loss.field("type"));
  WB_TRY(const std::string_view name, type.text());
  return std::string(name);
}

// A trained model has it among its parameters, a sum of models as a text that is JSON itself.
Result<std::string> loss_name(const JsonView& info) {
  if (info.has("params")) {
    WB_TRY(const JsonView params, info.field("params"));
    WB_TRY(const JsonView loss, params.field("loss_function"));
    return loss_type(loss);
  }
  WB_TRY(const JsonView loss, info.field("loss_function"));
  WB_TRY(const std::string_view text, loss.text());
  WB_TRY(const Json json, parse_json(text, Decimals::kF64));
  return loss_type(JsonView(json, "/model_info/loss_function"));
}

Status Reader::read_objective(const JsonView& info) {
  WB_TRY(const std::string name, loss_name(info));
  out.notes.emplace_back("objective", name);
  if (info.has("binclass_probability_threshold")) {
    return info.unsupported(
        "the model decides at a probability threshold of its own; an engine's model names the likelier label. Save it "
        "without set_probability_threshold and compare the probability where it is used");
  }
  if (name == "RMSEWithUncertainty")
    return info.unsupported("the objective RMSEWithUncertainty answers with e to twice its second margin, which an ",
                            "engine's model does not");
  const auto* known = std::find_if(kLosses.begin(), kLosses.end(), [&](const Loss& loss) { return loss.name == name; });
  if (known == kLosses.end())
    return info.unsupported("the objective '", name, "' is not known, and so not how its margins become answers");
  out.objective = known->objective;
  const bool classes = known->objective != Objective::kRegression && known->objective != Objective::kExponential;
  return classes ? read_labels(info) : ok_status();
}

Result<std::vector<std::string>> class_names(const JsonView& params) {
  std::vector<std::string> names;
  WB_TRY(const JsonView list, params.field("class_names"));
  WB_TRY(const JsonView type_field, params.field("class_label_type"));
  WB_TRY(const std::string_view type, type_field.text());
  if (type == "String") {
    WB_TRY(const std::vector<JsonView> items, list.items());
    for (const JsonView& item : items) {
      WB_TRY(const std::string_view name, item.text());
      names.emplace_back(name);
    }
    return names;
  }
  WB_TRY(const std::span<const double> numbers, list.numbers());
  for (const double number : numbers)
    names.push_back(type == "Boolean" ? (number != 0 ? "True" : "False") : shortest(number));
  return names;
}

Status Reader::read_labels(const JsonView& info) {
  const size_t wanted = out.objective == Objective::kLogistic ? 2 : outputs;
  std::vector<std::string>& labels = out.labels;
  if (info.has("class_params")) {
    WB_TRY(const JsonView params, info.field("class_params"));
    WB_TRY(labels, class_names(params));
    if (labels.size() != wanted) labels.clear();
  }
  // Targets that are probabilities have no names.
  for (size_t i = labels.size(); i < wanted; ++i) labels.push_back(std::to_string(i));
  return ok_status();
}

// ---- Trees.
Status Reader::read_scale_and_bias(const JsonView& pair) {
  WB_TRY(const std::vector<JsonView> both, pair.items());
  if (both.size() != 2) return pair.fault("is not a scale and a list of biases");
  WB_TRY(const double scale, both[0].number());
  WB_TRY(const std::span<const double> biases, both[1].numbers());
  outputs = biases.size();
  if (outputs == 0 || outputs > engine::limits::kOutputsMax)
    return both[1].fault(std::to_string(outputs), " outputs; 1 to ", std::to_string(engine::limits::kOutputsMax),
                         " can be carried");
  Description& model = out;
  model.base_margins.assign(outputs, 0);
  model.sum.precision = engine::Precision::kF64;
  const bool moves = std::any_of(biases.begin(), biases.end(), [](double bias) { return bias != 0; });
  if (scale == 1 && !moves) return ok_status();  // CatBoost leaves the sum alone
  if (scale != 1) model.sum.factor = scale;
  model.sum.offsets.assign(biases.begin(), biases.end());
  return ok_status();
}

Status Reader::read_split(const JsonView& split, TreeNode& node) const {
  WB_TRY(const JsonView type_field, split.field("split_type"));
  WB_TRY(const std::string_view type, type_field.text());
  if (type != "FloatFeature")
    return type_field.unsupported(
        "a split of type '", type,
        "' asks for a category, whose hashes and counts are CatBoost's own; only FloatFeature can be carried");
  WB_TRY(const JsonView index_field, split.field("float_feature_index"));
  WB_TRY(const uint64_t index, index_field.count(std::numeric_limits<uint32_t>::max()));
  const auto feature = std::lower_bound(features.begin(), features.end(), index,
                                        [](const Feature& one, uint64_t wanted) { return one.index < wanted; });
  if (feature == features.end() || feature->index != index)
    return index_field.fault("there is no float feature ", std::to_string(index));
  WB_TRY(const JsonView border_field, split.field("border"));
  WB_TRY(const double border, border_field.number());
  if (!(std::fabs(border) <= static_cast<double>(std::numeric_limits<float>::max())))
    return border_field.fault("the border is no finite f32");
  node.feature = feature->column;
  node.value = static_cast<double>(static_cast<float>(border));
  node.default_left = !feature->nan_right;
  return ok_status();
}

Status Reader::count_nodes(const JsonView& tree, size_t more) {
  nodes_count += more;
  if (nodes_count > engine::limits::kModelNodesMax)
    return tree.unsupported("more than ", std::to_string(engine::limits::kModelNodesMax), " nodes up to here");
  return ok_status();
}

// Written out level by level: node k has its children at 2k + 1 and 2k + 2, and the last question stands at the root,
// so that the leaves come in the order of their numbers.
Status Reader::read_symmetric(const JsonView& tree) {
  WB_TRY(const JsonView splits_field, tree.field("splits"));
  std::vector<JsonView> splits;
  if (!splits_field.is_null()) {
    WB_TRY(splits, splits_field.items());
  }
  constexpr size_t kDepthMax = 15;
  static_assert((size_t{2} << kDepthMax) - 1 <= engine::limits::kTreeNodesMax);
  if (splits.size() > kDepthMax)
    return splits_field.unsupported("a symmetric tree of depth ", std::to_string(splits.size()), "; at most ",
                                    std::to_string(kDepthMax), " can be carried");
  WB_TRY(const JsonView values_field, tree.field("leaf_values"));
  WB_TRY(const std::span<const double> values, values_field.numbers());
  const size_t leaves = size_t{1} << splits.size();
  if (values.size() != leaves * outputs)
    return values_field.fault(std::to_string(values.size()), " leaf values where ", std::to_string(leaves), " × ",
                              std::to_string(outputs), " are due");
  WB_CHECK(count_nodes(tree, 2 * leaves - 1));
  Tree made;
  made.nodes.resize(2 * leaves - 1);
  for (size_t level = 0, node = 0; level < splits.size(); ++level) {
    TreeNode asked;
    WB_CHECK(read_split(splits[splits.size() - 1 - level], asked));
    for (const size_t end = 2 * node + 1; node < end; ++node) {
      made.nodes[node] = asked;
      made.nodes[node].left = static_cast<int32_t>(2 * node + 1);
      made.nodes[node].right = static_cast<int32_t>(2 * node + 2);
    }
  }
  for (size_t leaf = 0; leaf < leaves; ++leaf) {
    TreeNode& node = made.nodes[leaves - 1 + leaf];
    if (outputs == 1) node.value = values[leaf];
    if (outputs > 1) node.feature = static_cast<uint32_t>(leaf);
  }
  if (outputs > 1) made.vectors.assign(values.begin(), values.end());
  if (options.covers && tree.has("leaf_weights")) {
    WB_TRY(const JsonView weights_field, tree.field("leaf_weights"));
    WB_TRY(const std::span<const double> weights, weights_field.numbers());
    if (weights.size() != leaves)
      return weights_field.fault(std::to_string(weights.size()), " weights of ", std::to_string(leaves), " leaves");
    made.covers.assign(leaves - 1, 0);
    made.covers.insert(made.covers.end(), weights.begin(), weights.end());
  }
  out.trees.push_back(std::move(made));
  return ok_status();
}

Status Reader::read_leaf(const JsonView& node, Tree& tree, size_t at) const {
  if (options.covers && node.has("weight")) {
    WB_TRY(const JsonView weight, node.field("weight"));
    tree.covers.resize(at + 1, 0);
    WB_TRY(tree.covers[at], weight.number());
  }
  WB_TRY(const JsonView value_field, node.field("value"));
  if (outputs == 1) {
    WB_TRY(tree.nodes[at].value, value_field.number());
    return ok_status();
  }
  WB_TRY(const std::span<const double> values, value_field.numbers());
  if (values.size() != outputs)
    return value_field.fault(std::to_string(values.size()), " values in a leaf of ", std::to_string(outputs),
                             " outputs");
  tree.nodes[at].feature = static_cast<uint32_t>(tree.vectors.size() / outputs);
  tree.vectors.insert(tree.vectors.end(), values.begin(), values.end());
  return ok_status();
}

// Depthwise and Lossguide growth: nodes inside nodes.
Result<int32_t> Reader::read_free_node(const JsonView& node, Tree& tree, size_t depth) {  // NOLINT(misc-no-recursion)
  const size_t at = tree.nodes.size();
  if (depth > engine::limits::kTreeDepthMax || at >= engine::limits::kTreeNodesMax)
    return node.unsupported("a tree deeper than ", std::to_string(engine::limits::kTreeDepthMax),
                            " levels, or of more than ", std::to_string(engine::limits::kTreeNodesMax), " nodes");
  tree.nodes.emplace_back();
  if (!node.has("split")) {
    WB_CHECK(read_leaf(node, tree, at));
    return static_cast<int32_t>(at);
  }
  WB_TRY(const JsonView split, node.field("split"));
  WB_TRY(const JsonView left_field, node.field("left"));
  WB_TRY(const JsonView right_field, node.field("right"));
  TreeNode made;
  WB_CHECK(read_split(split, made));
  WB_TRY(made.left, read_free_node(left_field, tree, depth + 1));
  WB_TRY(made.right, read_free_node(right_field, tree, depth + 1));
  tree.nodes[at] = made;
  return static_cast<int32_t>(at);
}

Status Reader::read_free(const JsonView& tree) {
  Tree made;
  WB_CHECK(read_free_node(tree, made, 0));
  WB_CHECK(count_nodes(tree, made.nodes.size()));
  out.trees.push_back(std::move(made));
  return ok_status();
}

Status read_trees(const JsonView& root, Reader& reader) {
  const bool symmetric = root.has("oblivious_trees");
  WB_TRY(const JsonView list, root.field(symmetric ? "oblivious_trees" : "trees"));
  WB_TRY(const std::vector<JsonView> trees, list.items());
  if (trees.size() > engine::limits::kTreesMax)
    return list.unsupported("more than ", std::to_string(engine::limits::kTreesMax), " trees");
  for (const JsonView& tree : trees) WB_CHECK(symmetric ? reader.read_symmetric(tree) : reader.read_free(tree));
  return ok_status();
}

}  // namespace

Result<engine::PlainModel> read_catboost(std::string_view bytes, const Options& options) {
  WB_TRY(const Json json, parse_json(bytes, Decimals::kF64));
  const JsonView root(json);
  Reader reader{options};
  reader.out.notes.emplace_back("library", "catboost");
  reader.out.compare = engine::Compare::kF32LessEqual;
  WB_TRY(const JsonView features, root.field("features_info"));
  WB_TRY(const JsonView about, root.field("model_info"));
  WB_TRY(const JsonView scale_and_bias, root.field("scale_and_bias"));
  WB_CHECK(reader.read_features(features));
  WB_CHECK(reader.read_scale_and_bias(scale_and_bias));
  WB_CHECK(reader.read_objective(about));
  WB_CHECK(read_trees(root, reader));
  return std::move(reader.out);
}

}  // namespace wb::imports
