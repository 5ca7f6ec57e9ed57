// ONNX's ensembles of trees: TreeEnsembleClassifier and TreeEnsembleRegressor of versions 1 and 3, whose nodes and
// leaves are parallel lists, and TreeEnsemble of version 5, whose leaves stand apart.
//
// What onnxruntime does with them, found by holding its answers against this reading: it starts from 0 and adds the
// leaves in the order in which the trees first appear, in f32 (f64 if the input is double), divides by the number of
// trees for AVERAGE, and adds the base value last. A condition that asks for > or >= is mirrored; one that excludes its
// threshold becomes one that includes the number before it, in the same precision, unless all exclude it.
#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/utf8.h"
#include "import/onnx_graph.h"

namespace wb::imports::onnx {
namespace {

using engine::Compare;
using engine::Description;
using engine::Objective;
using engine::Tree;
using engine::TreeNode;

constexpr size_t kNodesMax = engine::limits::kModelNodesMax;
constexpr size_t kVectorNumbersMax = 16U << 20;

enum class Mode : uint8_t { kLessEqual = 0, kLess = 1, kGreaterEqual = 2, kGreater = 3, kLeaf = 16 };
bool excludes(Mode mode) { return mode == Mode::kLess || mode == Mode::kGreaterEqual; }  // on the side that is ours
bool mirrored(Mode mode) { return mode == Mode::kGreaterEqual || mode == Mode::kGreater; }

struct Weight {
  size_t target = 0;
  double value = 0;
};

// ---- Attributes.
// A list as long as `count`, and so long only.
Result<std::span<const int64_t>> wholes(const Node& node, std::string_view name, size_t count) {
  const Attribute* attribute = node.find(name);
  if (attribute == nullptr || attribute->wholes.size() != count)
    return fault(node, name, " has ", std::to_string(attribute == nullptr ? 0 : attribute->wholes.size()), " numbers, ",
                 std::to_string(count), " are due");
  return std::span<const int64_t>(attribute->wholes);
}

// Numbers of a list, or of the tensor of the same name that double models have. None: there is neither.
Result<std::vector<double>> reals(const Node& node, const std::string& name, bool wide) {
  const Attribute* tensor = node.find(name + "_as_tensor");
  if (tensor == nullptr || tensor->tensors.empty()) {
    const Attribute* list = node.find(name);
    if (list == nullptr) return std::vector<double>();
    return std::vector<double>(list->numbers.begin(), list->numbers.end());
  }
  const Tensor& numbers = tensor->tensors[0];
  if (numbers.type != (wide ? Type::kDouble : Type::kFloat))
    return refuse(node, name, "_as_tensor is of ", type_name(numbers.type),
                  ", which onnxruntime refuses beside its input");
  return numbers.numbers;
}

Result<Mode> mode_of(const Node& node, std::string_view text) {
  if (text == "LEAF") return Mode::kLeaf;
  if (text == "BRANCH_LEQ") return Mode::kLessEqual;
  if (text == "BRANCH_LT") return Mode::kLess;
  if (text == "BRANCH_GTE") return Mode::kGreaterEqual;
  if (text == "BRANCH_GT") return Mode::kGreater;
  return refuse(node, "has a node of mode '", valid_text(text, 32),
                "'; nodes that order (BRANCH_LEQ, LT, GTE, GT) can be carried, not ones that compare for equality");
}

// ---- Building trees.
class Builder {
 public:
  Builder(const Node& node, const Columns& columns, size_t outputs, Description& model);

  void choose_compare(bool includes);  // whether some condition includes its threshold
  bool wide() const { return wide_; }
  struct Split {
    Mode mode = Mode::kLessEqual;
    int64_t feature = 0;
    double threshold = 0;
    bool missing_true = false;
    int32_t on_true = 0;
    int32_t on_false = 0;
  };
  Result<TreeNode> split(const Split& split) const;
  // Leaf i of the tree has leaves[i]; each knows its node.
  struct Leaf {
    size_t node = 0;
    std::vector<Weight> weights;
  };
  Status finish_tree(Tree tree, const std::vector<Leaf>& leaves);
  // Whether each row is given something for each output, whatever its leaves: onnxruntime treats what got nothing
  // apart.
  bool all_reached() const { return std::find(reached_.begin(), reached_.end(), false) == reached_.end(); }
  bool opposite() const { return opposite_; }  // each leaf has two weights, one the other's negative

 private:
  const Node& node_;
  const Columns& columns_;
  size_t outputs_;
  Description& model_;
  bool wide_;
  size_t nodes_count_ = 0;
  size_t vector_numbers_ = 0;
  std::vector<bool> reached_;  // one per output
  bool opposite_ = true;
};

Builder::Builder(const Node& node, const Columns& columns, size_t outputs, Description& model)
    : node_(node),
      columns_(columns),
      outputs_(outputs),
      model_(model),
      wide_(columns.type == Type::kDouble),
      reached_(outputs, false) {
  model_.base_margins.assign(outputs, 0);
  model_.sum.precision = wide_ ? engine::Precision::kF64 : engine::Precision::kF32;
}

void Builder::choose_compare(bool includes) {
  model_.compare = wide_ && !columns_.narrowed ? Compare::kF64LessEqual
                   : wide_ || includes         ? Compare::kF32LessEqual
                                               : Compare::kF32Less;
}

Result<TreeNode> Builder::split(const Split& split) const {
  if (split.feature < 0 || split.feature >= static_cast<int64_t>(columns_.columns.size()))
    return fault(node_, "splits on column ", std::to_string(split.feature), " of ",
                 std::to_string(columns_.columns.size()), "; they count from 0");
  TreeNode out;
  out.feature = static_cast<uint32_t>(split.feature);
  out.value = split.threshold;
  if (excludes(split.mode) && model_.compare != Compare::kF32Less) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    if (out.value == -kInfinity) return refuse(node_, "asks whether a number is below minus infinity");
    out.value = wide_ ? std::nextafter(out.value, -kInfinity)
                      : std::nextafter(static_cast<float>(out.value), -std::numeric_limits<float>::infinity());
  }
  const bool turned = mirrored(split.mode);
  out.left = turned ? split.on_false : split.on_true;
  out.right = turned ? split.on_true : split.on_false;
  out.default_left = split.missing_true != turned;
  return out;
}

Status Builder::finish_tree(Tree tree, const std::vector<Leaf>& leaves) {
  nodes_count_ += tree.nodes.size();
  if (nodes_count_ > kNodesMax || model_.trees.size() == engine::limits::kTreesMax)
    return refuse(node_, "has more than ", std::to_string(kNodesMax), " nodes, or more than ",
                  std::to_string(engine::limits::kTreesMax), " trees");
  bool scalar = true;
  for (const Leaf& leaf : leaves) {
    if (leaf.weights.empty())
      return fault(node_, "tree ", std::to_string(model_.trees.size()), " has a leaf with no weight");
    for (const Weight& weight : leaf.weights)
      if (weight.target >= outputs_)
        return fault(node_, "adds to output ", std::to_string(weight.target), ", which is not there");
    scalar = scalar && leaf.weights.size() == 1 && leaf.weights[0].target == leaves[0].weights[0].target;
    opposite_ = opposite_ && leaf.weights.size() == 2 && leaf.weights[0].value == -leaf.weights[1].value;
  }
  if (scalar) {
    tree.output = static_cast<uint32_t>(leaves[0].weights[0].target);
    reached_[tree.output] = true;
    for (const Leaf& leaf : leaves) tree.nodes[leaf.node].value = leaf.weights[0].value;
  } else {
    vector_numbers_ += leaves.size() * outputs_;
    if (vector_numbers_ > kVectorNumbersMax) return refuse(node_, "has too many leaves of many outputs");
    tree.vectors.assign(leaves.size() * outputs_, 0);
    std::vector<bool> given(tree.vectors.size(), false);
    for (size_t i = 0; i < leaves.size(); ++i) {
      tree.nodes[leaves[i].node].feature = static_cast<uint32_t>(i);
      for (const Weight& weight : leaves[i].weights) {
        const size_t at = i * outputs_ + weight.target;
        if (given[at]) return refuse(node_, "has a leaf that adds to one output twice");
        given[at] = true;
        tree.vectors[at] = weight.value;
      }
    }
    for (size_t output = 0; output < outputs_; ++output) {
      bool always = true;
      for (size_t i = output; i < given.size(); i += outputs_) always = always && given[i];
      reached_[output] = reached_[output] || always;
    }
  }
  model_.trees.push_back(std::move(tree));
  return ok_status();
}

// ---- Versions 1 and 3: nodes and weights as parallel lists.
// What a list of nodes holds in every version.
struct Branches {
  std::span<const int64_t> features, on_true, on_false, missing;
  std::vector<double> thresholds;
};

Status read_branches(const Node& node, size_t count, Branches& out) {
  WB_TRY(out.features, wholes(node, "nodes_featureids", count));
  WB_TRY(out.on_true, wholes(node, "nodes_truenodeids", count));
  WB_TRY(out.on_false, wholes(node, "nodes_falsenodeids", count));
  const Attribute* missing = node.find("nodes_missing_value_tracks_true");
  if (missing == nullptr || missing->wholes.empty()) return ok_status();
  WB_TRY(out.missing, wholes(node, "nodes_missing_value_tracks_true", count));
  return ok_status();
}

struct Lists : Branches {
  std::vector<Mode> modes;
  std::span<const int64_t> trees, ids;
  // weights, in the order of (tree, node)
  std::vector<size_t> order;
  std::span<const int64_t> weight_trees, weight_nodes, weight_targets;
  std::vector<double> weights;
};

Status read_nodes(const Node& node, bool wide, Lists& lists) {
  const Attribute* modes = node.find("nodes_modes");
  const size_t count = modes == nullptr ? 0 : modes->texts.size();
  if (count == 0 || count > kNodesMax)
    return refuse(node, "has ", std::to_string(count), " nodes; 1 to ", std::to_string(kNodesMax), " can be carried");
  for (const std::string_view text : modes->texts) {
    WB_TRY(const Mode mode, mode_of(node, text));
    lists.modes.push_back(mode);
  }
  WB_TRY(lists.trees, wholes(node, "nodes_treeids", count));
  WB_TRY(lists.ids, wholes(node, "nodes_nodeids", count));
  WB_CHECK(read_branches(node, count, lists));
  WB_TRY(lists.thresholds, reals(node, "nodes_values", wide));
  if (lists.thresholds.size() != count)
    return fault(node, "has ", std::to_string(lists.thresholds.size()), " thresholds for ", std::to_string(count),
                 " nodes");
  return ok_status();
}

// `kind`: "class" or "target".
Status read_weights(const Node& node, const std::string& kind, bool wide, Lists& lists) {
  WB_TRY(lists.weights, reals(node, kind + "_weights", wide));
  const size_t count = lists.weights.size();
  if (count > kVectorNumbersMax) return refuse(node, "has more than ", std::to_string(kVectorNumbersMax), " weights");
  WB_TRY(lists.weight_trees, wholes(node, kind + "_treeids", count));
  WB_TRY(lists.weight_nodes, wholes(node, kind + "_nodeids", count));
  WB_TRY(lists.weight_targets, wholes(node, kind + "_ids", count));
  for (size_t i = 0; i < count; ++i) lists.order.push_back(i);
  std::sort(lists.order.begin(), lists.order.end(), [&](size_t a, size_t b) {
    return std::tuple(lists.weight_trees[a], lists.weight_nodes[a], a) <
           std::tuple(lists.weight_trees[b], lists.weight_nodes[b], b);
  });
  return ok_status();
}

Result<std::vector<Weight>> weights_of(const Node& node, const Lists& lists, int64_t tree, int64_t id) {
  const auto key = [&](size_t i) { return std::pair(lists.weight_trees[i], lists.weight_nodes[i]); };
  auto at = std::lower_bound(lists.order.begin(), lists.order.end(), std::pair(tree, id),
                             [&](size_t i, const auto& wanted) { return key(i) < wanted; });
  std::vector<Weight> out;
  for (; at != lists.order.end() && key(*at) == std::pair(tree, id); ++at) {
    if (lists.weight_targets[*at] < 0) return fault(node, "adds to output ", std::to_string(lists.weight_targets[*at]));
    out.push_back({static_cast<size_t>(lists.weight_targets[*at]), lists.weights[*at]});
  }
  return out;
}

// The nodes [from, to) are one tree, whose root is the first.
Status read_listed_tree(const Node& node, const Lists& lists, std::pair<size_t, size_t> range, Builder& builder) {
  const auto [from, to] = range;
  std::vector<std::pair<int64_t, int32_t>> places;  // node id → position
  for (size_t i = from; i < to; ++i) places.emplace_back(lists.ids[i], static_cast<int32_t>(i - from));
  std::sort(places.begin(), places.end());
  const std::string tree_name = "tree " + std::to_string(lists.trees[from]);
  for (size_t i = 1; i < places.size(); ++i)
    if (places[i].first == places[i - 1].first) return fault(node, tree_name, " has two nodes of one id");
  const auto place_of = [&](int64_t id) {
    const auto found = std::lower_bound(places.begin(), places.end(), std::pair(id, int32_t{0}));
    return found == places.end() || found->first != id ? -1 : found->second;
  };
  Tree tree;
  std::vector<Builder::Leaf> leaves;
  for (size_t i = from; i < to; ++i) {
    if (lists.modes[i] == Mode::kLeaf) {
      WB_TRY(std::vector<Weight> weights, weights_of(node, lists, lists.trees[i], lists.ids[i]));
      leaves.push_back({i - from, std::move(weights)});
      tree.nodes.emplace_back();
      continue;
    }
    const bool missing = !lists.missing.empty() && lists.missing[i] == 1;
    const Builder::Split split{lists.modes[i], lists.features[i],          lists.thresholds[i],
                               missing,        place_of(lists.on_true[i]), place_of(lists.on_false[i])};
    if (split.on_true < 0 || split.on_false < 0)
      return fault(node, tree_name, ", node ", std::to_string(lists.ids[i]), ": a child is not in the tree");
    WB_TRY(const TreeNode made, builder.split(split));
    tree.nodes.push_back(made);
  }
  if (leaves.empty()) return fault(node, tree_name, " has no leaf");
  return builder.finish_tree(std::move(tree), leaves);
}

Status read_listed_trees(const Node& node, const Lists& lists, Builder& builder) {
  const bool includes = std::any_of(lists.modes.begin(), lists.modes.end(),
                                    [](Mode mode) { return mode != Mode::kLeaf && !excludes(mode); });
  builder.choose_compare(includes);
  std::vector<int64_t> seen;
  for (size_t from = 0; from < lists.modes.size();) {
    size_t to = from;
    while (to < lists.modes.size() && lists.trees[to] == lists.trees[from]) ++to;
    seen.push_back(lists.trees[from]);
    WB_CHECK(read_listed_tree(node, lists, {from, to}, builder));
    from = to;
  }
  std::sort(seen.begin(), seen.end());
  if (std::adjacent_find(seen.begin(), seen.end()) != seen.end())
    return refuse(node, "the nodes of a tree do not stand together");
  return ok_status();
}

Status set_aggregate(const Node& node, std::string_view function, Description& model) {
  if (function == "AVERAGE") model.sum.divisor = static_cast<double>(model.trees.size());
  const bool one = model.trees.size() == 1;  // the least of one is that one
  if (function == "SUM" || function == "AVERAGE" || one) return ok_status();
  return refuse(node, "takes the ", valid_text(function, 16), " of its trees; SUM and AVERAGE can be carried");
}

Status set_base(const Node& node, bool wide, size_t outputs, Description& model) {
  WB_TRY(std::vector<double> base, reals(node, "base_values", wide));
  if (base.empty()) return ok_status();
  if (base.size() != outputs)
    return refuse(node, "has ", std::to_string(base.size()), " base values for ", std::to_string(outputs),
                  " outputs, where onnxruntime and the standard differ");
  model.sum.offsets = std::move(base);
  return ok_status();
}

Status read_outputs_count(const Node& node, size_t& outputs) {
  const int64_t targets = whole_or(node, "n_targets", 0);
  if (targets < 1 || targets > static_cast<int64_t>(engine::limits::kOutputsMax))
    return refuse(node, "has ", std::to_string(targets), " targets; 1 to ", std::to_string(engine::limits::kOutputsMax),
                  " can be carried");
  outputs = static_cast<size_t>(targets);
  return ok_status();
}

// ---- Classes.
Status set_labels(const Node& node, Description& model) {
  model.labels = labels_of(node, "classlabels_strings", "classlabels_int64s");
  if (model.labels.size() < 2 || model.labels.size() > engine::limits::kClassesMax)
    return refuse(node, "has ", std::to_string(model.labels.size()), " classes; 2 to ",
                  std::to_string(engine::limits::kClassesMax), " can be carried");
  return ok_status();
}

// What onnxruntime makes of one score for two classes depends on whether some weight is below 0.
Result<Objective> binary_objective(const Node& node, std::string_view transform, bool all_positive) {
  if (transform == "LOGISTIC" && !all_positive) return Objective::kLogistic;
  if (transform == "NONE" && all_positive) return Objective::kOneVote;
  if (transform == "LOGISTIC")
    return refuse(node, "has no weight below 0, for which onnxruntime leaves out the LOGISTIC that the file asks for");
  return refuse(node, "has the post_transform ", valid_text(transform, 16),
                " and two classes on one score: NONE can be carried where no weight is below 0, LOGISTIC where one is");
}

Result<Objective> many_objective(const Node& node, std::string_view transform, bool all_positive) {
  if (transform == "SOFTMAX") return Objective::kSoftprob;
  if (transform == "LOGISTIC") return Objective::kIndependent;
  if (transform == "NONE" && all_positive) return Objective::kVotes;
  return refuse(
      node, "has the post_transform ", valid_text(transform, 16),
      "; SOFTMAX and LOGISTIC can be carried, and NONE where no weight is below 0, so that scores are shares");
}

Status require_no_transform(const Node& node, bool none) {
  return none ? ok_status()
              : Status(refuse(node,
                              "has a post_transform, which onnxruntime heeds for several targets and ignores for one; "
                              "only NONE can be carried"));
}

}  // namespace

Status read_tree_classifier(const Node& node, const Columns& columns, Description& model) {
  WB_CHECK(set_labels(node, model));
  Lists lists;
  const bool wide = columns.type == Type::kDouble;
  WB_CHECK(read_nodes(node, wide, lists));
  WB_CHECK(read_weights(node, "class", wide, lists));
  const std::string_view transform = text_or(node, "post_transform", "NONE");
  const bool positive = std::all_of(lists.weights.begin(), lists.weights.end(), [](double w) { return w >= 0; });
  const auto& targets = lists.weight_targets;
  const bool first_only = std::all_of(targets.begin(), targets.end(), [](int64_t id) { return id == 0; });
  const bool second_only = std::all_of(targets.begin(), targets.end(), [](int64_t id) { return id == 1; });
  const bool two = model.labels.size() == 2;
  if (two && second_only && !targets.empty())
    return refuse(node, "adds to the second of two classes only, where onnxruntime and the standard differ");
  const bool binary = two && first_only;
  WB_TRY(model.objective,
         binary ? binary_objective(node, transform, positive) : many_objective(node, transform, positive));
  const size_t outputs = binary ? 1 : model.labels.size();
  Builder builder(node, columns, outputs, model);
  WB_CHECK(read_listed_trees(node, lists, builder));
  WB_CHECK(set_base(node, wide, outputs, model));
  if (two && !binary && !model.sum.offsets.empty())
    return refuse(node, "has base values for two classes with two scores, where onnxruntime and the standard differ");
  if (two && !binary && !builder.opposite())
    return refuse(node,
                  "has two scores for two classes that are not each other's negative: onnxruntime answers with the ",
                  "second class whenever its score is above 0, whatever the first has");
  if (model.objective != Objective::kVotes && !builder.all_reached())
    return refuse(node, "has a class that some rows add nothing to; onnxruntime never answers with it then");
  return ok_status();
}

Status read_tree_regressor(const Node& node, const Columns& columns, Description& model) {
  if (columns.type != Type::kFloat && columns.type != Type::kDouble)
    return refuse(node, "takes ", type_name(columns.type), ", which onnxruntime does not");
  size_t outputs = 0;
  WB_CHECK(read_outputs_count(node, outputs));
  WB_CHECK(require_no_transform(node, text_or(node, "post_transform", "NONE") == "NONE"));
  Lists lists;
  const bool wide = columns.type == Type::kDouble;
  WB_CHECK(read_nodes(node, wide, lists));
  WB_CHECK(read_weights(node, "target", wide, lists));
  model.objective = Objective::kRegression;
  Builder builder(node, columns, outputs, model);
  WB_CHECK(read_listed_trees(node, lists, builder));
  WB_CHECK(set_base(node, wide, outputs, model));
  if (!model.sum.offsets.empty() && !builder.all_reached())
    return refuse(node, "has a target that some rows add nothing to; onnxruntime leaves out its base value then");
  return set_aggregate(node, text_or(node, "aggregate_function", "SUM"), model);
}

// ---- Version 5.
namespace {

struct Listed5 : Branches {
  std::span<const int64_t> true_leafs, false_leafs, targets;
  std::vector<double> modes, weights;
};

Result<std::vector<double>> tensor(const Node& node, std::string_view name, std::optional<Type> type) {
  const Attribute* attribute = node.find(name);
  if (attribute == nullptr || attribute->tensors.empty()) return fault(node, "has no ", name);
  if (type && attribute->tensors[0].type != *type)
    return refuse(node, name, " is of ", type_name(attribute->tensors[0].type), ", its input of ", type_name(*type));
  return attribute->tensors[0].numbers;
}

Status read_lists(const Node& node, Type type, Listed5& out) {
  WB_TRY(out.thresholds, tensor(node, "nodes_splits", type));
  WB_TRY(out.weights, tensor(node, "leaf_weights", type));
  WB_TRY(out.modes, tensor(node, "nodes_modes", std::nullopt));
  const size_t count = out.thresholds.size();
  if (out.modes.size() != count)
    return fault(node, "has ", std::to_string(out.modes.size()), " modes for ", std::to_string(count), " nodes");
  WB_CHECK(read_branches(node, count, out));
  WB_TRY(out.true_leafs, wholes(node, "nodes_trueleafs", count));
  WB_TRY(out.false_leafs, wholes(node, "nodes_falseleafs", count));
  WB_TRY(out.targets, wholes(node, "leaf_targetids", out.weights.size()));
  for (const double mode : out.modes)
    if (!(mode >= 0 && mode <= 3))
      return refuse(node, "has a node of a mode that is none of LEQ, LT, GTE and GT (0 to 3), which order");
  return ok_status();
}

// From the root down; a node that two others lead to is written out twice.
Status read_rooted_tree(const Node& node, const Listed5& lists, int64_t root, Builder& builder) {
  Tree tree;
  std::vector<Builder::Leaf> leaves;
  struct Due {
    int64_t index;
    bool leaf;
  };
  std::vector<Due> due{{root, false}};  // due[i] becomes tree.nodes[i]
  for (size_t at = 0; at < due.size(); ++at) {
    const auto [index, leaf] = due[at];
    const size_t there = leaf ? lists.weights.size() : lists.thresholds.size();
    if (index < 0 || static_cast<size_t>(index) >= there) return fault(node, "a child or a root is not there");
    const auto i = static_cast<size_t>(index);
    if (leaf) {
      if (lists.targets[i] < 0) return fault(node, "adds to output ", std::to_string(lists.targets[i]));
      leaves.push_back({at, {{static_cast<size_t>(lists.targets[i]), lists.weights[i]}}});
      tree.nodes.emplace_back();
      continue;
    }
    if (due.size() + 2 > engine::limits::kTreeNodesMax)
      return refuse(node, "a tree has more than ", std::to_string(engine::limits::kTreeNodesMax),
                    " nodes, or leads back to itself");
    const auto next = static_cast<int32_t>(due.size());
    due.push_back({lists.on_true[i], lists.true_leafs[i] != 0});
    due.push_back({lists.on_false[i], lists.false_leafs[i] != 0});
    const bool missing = !lists.missing.empty() && lists.missing[i] == 1;
    WB_TRY(const TreeNode made, builder.split({static_cast<Mode>(lists.modes[i]), lists.features[i],
                                               lists.thresholds[i], missing, next, next + 1}));
    tree.nodes.push_back(made);
  }
  return builder.finish_tree(std::move(tree), leaves);
}

}  // namespace

Status read_tree_ensemble(const Node& node, const Columns& columns, Description& model) {
  if (columns.type != Type::kFloat && columns.type != Type::kDouble)
    return refuse(node, "takes ", type_name(columns.type), "; float and double can be carried");
  size_t outputs = 0;
  WB_CHECK(read_outputs_count(node, outputs));
  WB_CHECK(require_no_transform(node, whole_or(node, "post_transform", 0) == 0));
  Listed5 lists;
  WB_CHECK(read_lists(node, columns.type, lists));
  model.objective = Objective::kRegression;
  Builder builder(node, columns, outputs, model);
  builder.choose_compare(std::any_of(lists.modes.begin(), lists.modes.end(),
                                     [](double mode) { return !excludes(static_cast<Mode>(mode)); }));
  const Attribute* roots = node.find("tree_roots");
  if (roots == nullptr || roots->wholes.empty()) return fault(node, "has no tree_roots");
  for (const int64_t root : roots->wholes) WB_CHECK(read_rooted_tree(node, lists, root, builder));
  constexpr std::string_view kFunctions[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  const int64_t function = whole_or(node, "aggregate_function", 1);
  if (function < 0 || function > 3) return fault(node, "has the aggregate_function ", std::to_string(function));
  return set_aggregate(node, kFunctions[function], model);
}

}  // namespace wb::imports::onnx
