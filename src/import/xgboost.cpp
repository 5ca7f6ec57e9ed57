// XGBoost's saved models, JSON and UBJSON, as versions 1.7 to 3.x write them.
//
// What XGBoost computes: margins start from the base score as a margin, each tree's leaf is added in order, all in f32.
// Numbers are compared in f32, `<` goes left. A categorical split holds the categories that go right, and everything
// else, known or not, goes left: here the children are exchanged, because our sets hold what goes left. The base score
// is kept as the objective's answer (a probability, a rate), so it goes back through the objective's link with
// XGBoost's own f32 operations.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/bytes.h"
#include "import/formats.h"

namespace wb::imports {
namespace {

using engine::Objective;

// From the answer that a base score is to the margin that sums start from.
enum class Link : uint8_t { kIdentity, kLogit, kLog };

struct KnownObjective {
  std::string_view name;
  Objective objective;
  Link link;
};
constexpr KnownObjective kObjectives[] = {
    {"binary:logistic", Objective::kLogistic, Link::kLogit},
    {"binary:logitraw", Objective::kRegression, Link::kIdentity},
    {"count:poisson", Objective::kExponential, Link::kLog},
    {"multi:softmax", Objective::kSoftprob, Link::kIdentity},
    {"multi:softprob", Objective::kSoftprob, Link::kIdentity},
    {"rank:map", Objective::kRegression, Link::kIdentity},
    {"rank:ndcg", Objective::kRegression, Link::kIdentity},
    {"rank:pairwise", Objective::kRegression, Link::kIdentity},
    {"reg:absoluteerror", Objective::kRegression, Link::kIdentity},
    {"reg:gamma", Objective::kExponential, Link::kLog},
    {"reg:linear", Objective::kRegression, Link::kIdentity},
    {"reg:logistic", Objective::kSigmoid, Link::kLogit},
    {"reg:pseudohubererror", Objective::kRegression, Link::kIdentity},
    {"reg:quantileerror", Objective::kRegression, Link::kIdentity},
    {"reg:squarederror", Objective::kRegression, Link::kIdentity},
    {"reg:squaredlogerror", Objective::kRegression, Link::kIdentity},
    {"reg:tweedie", Objective::kExponential, Link::kLog},
};

struct Refused {
  std::string_view name;
  std::string_view reason;
};
constexpr Refused kRefused[] = {
    {"binary:hinge", "its answer is a step of the margin, which the engine does not have; train with binary:logistic"},
    {"survival:aft", "survival times are not carried"},
    {"survival:cox", "hazard ratios are not carried"},
};

float margin_of(float base_score, Link link, bool bounded) {
  switch (link) {
    case Link::kIdentity: return base_score;
    case Link::kLog: return std::log(base_score);
    case Link::kLogit: break;
  }
  constexpr float kBound = 1e-6F;  // 3.1 and later keep the logarithm finite
  if (bounded) base_score = std::min(std::max(base_score, kBound), 1.0F - kBound);
  return -std::log(1.0F / base_score - 1.0F);
}

// The model as the file has it.
struct Source {
  JsonView learner;
  JsonView trees;  // the gbtree model, also inside a dart booster; the gblinear model
  KnownObjective objective;
  size_t features = 0;
  size_t classes = 0;
  size_t targets = 0;
  std::vector<float> drop_weights = {};  // DART: what each tree counts
  bool linear = false;                   // gblinear

  size_t outputs() const { return std::max(std::max<size_t>(classes, 1), targets); }
};

Result<KnownObjective> read_objective(const JsonView& learner) {
  WB_TRY(const JsonView objective, learner.field("objective"));
  WB_TRY(const JsonView name_field, objective.field("name"));
  WB_TRY(const std::string_view name, name_field.text());
  for (const KnownObjective& known : kObjectives) {
    if (known.name == name) return known;
  }
  for (const Refused& refused : kRefused) {
    if (refused.name == name) return name_field.unsupported("the objective ", name, ": ", refused.reason);
  }
  return name_field.unsupported("the objective '", name.substr(0, 60), "' is not known, so its answers are not either");
}

Result<Source> read_source(const JsonView& file) {
  WB_TRY(JsonView learner, file.field("learner"));
  WB_TRY(JsonView booster, learner.field("gradient_booster"));
  WB_TRY(const JsonView name_field, booster.field("name"));
  WB_TRY(const std::string_view name, name_field.text());
  const bool linear = name == "gblinear";
  if (!linear && name != "gbtree" && name != "dart")
    return name_field.unsupported("the booster '", name.substr(0, 40), "' is not known");
  WB_TRY(const KnownObjective objective, read_objective(learner));
  std::vector<float> weights;
  if (name == "dart") {
    WB_TRY(const JsonView field, booster.field("weight_drop"));
    WB_TRY(const auto numbers, field.numbers());
    weights.assign(numbers.begin(), numbers.end());
    WB_TRY(booster, booster.field("gbtree"));
  }
  WB_TRY(JsonView trees, booster.field("model"));
  Source source{std::move(learner), std::move(trees), objective};
  source.drop_weights = std::move(weights);
  source.linear = linear;
  WB_TRY(const JsonView param, source.learner.field("learner_model_param"));
  WB_TRY(const JsonView features, param.field("num_feature"));
  WB_TRY(source.features, features.count(engine::limits::kFeaturesMax));
  WB_TRY(const JsonView classes, param.field("num_class"));
  WB_TRY(source.classes, classes.count(engine::limits::kClassesMax));
  source.targets = 1;
  if (param.has("num_target")) {
    WB_TRY(const JsonView targets, param.field("num_target"));
    WB_TRY(source.targets, targets.count(engine::limits::kOutputsMax));
  }
  if (source.classes > 1 && source.targets > 1) return param.unsupported("classes for several targets are not carried");
  return source;
}

// ---- Names and objective.
Result<std::vector<std::string>> read_features(const Source& source) {
  std::vector<std::string> names;
  if (source.learner.has("feature_names")) {
    WB_TRY(const JsonView field, source.learner.field("feature_names"));
    WB_TRY(const std::vector<JsonView> items, field.items());
    for (const JsonView& item : items) {
      WB_TRY(const std::string_view name, item.text());
      names.emplace_back(name);
    }
    if (!names.empty() && names.size() != source.features)
      return field.fault("has ", std::to_string(names.size()), " names for ", std::to_string(source.features),
                         " features");
  }
  for (size_t i = names.size(); i < source.features; ++i) names.push_back("f" + std::to_string(i));
  return names;
}

Status set_objective(const Source& source, engine::Description& model) {
  model.objective = source.objective.objective;
  const bool several = source.targets > 1;
  if (model.objective == Objective::kLogistic && several) model.objective = Objective::kIndependent;
  if (model.objective == Objective::kSoftprob && source.classes < 2)
    return source.learner.fault("has ", std::to_string(source.classes), " classes for ", source.objective.name);
  size_t labels = 0;
  if (model.objective == Objective::kLogistic) labels = 2;
  if (model.objective == Objective::kSoftprob) labels = source.classes;
  if (model.objective == Objective::kIndependent) labels = source.targets;
  for (size_t i = 0; i < labels; ++i) model.labels.push_back(std::to_string(i));
  return ok_status();
}

// ---- The base score: "5E-1", or "[5E-1]" and "[1E0,2E0]" from 3.1 on.
Result<std::vector<double>> read_base_margins(const Source& source) {
  WB_TRY(const JsonView param, source.learner.field("learner_model_param"));
  WB_TRY(const JsonView field, param.field("base_score"));
  WB_TRY(std::string_view text, field.text());
  const bool list = text.starts_with('[') && text.ends_with(']') && text.size() >= 2;
  if (list) text = text.substr(1, text.size() - 2);
  const std::vector<std::string_view> parts = split(text, ',');
  if (parts.size() != 1 && parts.size() != source.outputs())
    return field.fault("has ", std::to_string(parts.size()), " scores for ", std::to_string(source.outputs()),
                       " outputs");
  std::vector<double> margins;
  for (const std::string_view part : parts) {
    float score = 0;
    const auto [end, ec] = std::from_chars(part.data(), part.data() + part.size(), score);
    if (ec != std::errc() || end != part.data() + part.size())
      return field.fault("'", part.substr(0, 40), "' is no number");
    margins.push_back(static_cast<double>(margin_of(score, source.objective.link, list)));
    if (!std::isfinite(margins.back()))
      return field.fault("a base score of '", part.substr(0, 40), "' has no margin with ", source.objective.name);
  }
  margins.resize(source.outputs(), margins.front());
  return margins;
}

// ---- Trees.
struct TreeArrays {
  std::span<const double> left, right, conditions, features, default_left, split_type;
};

Result<std::span<const double>> numbers_of(const JsonView& tree, std::string_view key, size_t count) {
  WB_TRY(const JsonView field, tree.field(key));
  WB_TRY(const auto numbers, field.numbers());
  if (numbers.size() != count)
    return field.fault("has ", std::to_string(numbers.size()), " numbers for ", std::to_string(count), " nodes");
  return numbers;
}

Result<TreeArrays> read_arrays(const JsonView& tree) {
  TreeArrays out;
  WB_TRY(const JsonView left, tree.field("left_children"));
  WB_TRY(out.left, left.numbers());
  const size_t count = out.left.size();
  if (count == 0) return left.fault("has no node");
  WB_TRY(out.right, numbers_of(tree, "right_children", count));
  WB_TRY(out.conditions, numbers_of(tree, "split_conditions", count));
  WB_TRY(out.features, numbers_of(tree, "split_indices", count));
  WB_TRY(out.default_left, numbers_of(tree, "default_left", count));
  if (tree.has("split_type")) {
    WB_TRY(out.split_type, numbers_of(tree, "split_type", count));
  }
  return out;
}

bool is_index(double value) { return value >= 0 && value < 0x7FFFFFFF && value == std::floor(value); }

// The sets of a tree's categorical splits: for each node its index in model.sets, or -1. The segments must follow each
// other, so that the sets take no more memory than the file.
Result<std::vector<int32_t>> read_sets(const JsonView& tree, size_t nodes, engine::Description& model) {
  std::vector<int32_t> set_of(nodes, -1);
  if (!tree.has("categories_nodes")) return set_of;
  WB_TRY(const JsonView owners_field, tree.field("categories_nodes"));
  WB_TRY(const auto owners, owners_field.numbers());
  WB_TRY(const auto starts, numbers_of(tree, "categories_segments", owners.size()));
  WB_TRY(const auto sizes, numbers_of(tree, "categories_sizes", owners.size()));
  WB_TRY(const JsonView categories_field, tree.field("categories"));
  WB_TRY(const auto categories, categories_field.numbers());
  size_t at = 0;
  for (size_t i = 0; i < owners.size(); ++i) {
    if (!is_index(owners[i]) || owners[i] >= static_cast<double>(nodes))
      return owners_field.fault("item ", std::to_string(i), " is no node of the tree");
    if (starts[i] != static_cast<double>(at) || !is_index(sizes[i]) ||
        sizes[i] > static_cast<double>(categories.size() - at))
      return categories_field.fault("is not what categories_segments and categories_sizes say");
    std::vector<uint32_t> set;
    for (const double category : categories.subspan(at, static_cast<size_t>(sizes[i]))) {
      if (!is_index(category) || category > engine::limits::kCategoryMax)
        return categories_field.fault("holds what is no category");
      set.push_back(static_cast<uint32_t>(category));
    }
    at += set.size();
    set_of[static_cast<size_t>(owners[i])] = static_cast<int32_t>(model.sets.size());
    model.sets.push_back(std::move(set));
  }
  return set_of;
}

// Where a tree with a value for each output keeps them: a list of its own from 3.1 on, else behind each node.
struct LeafVectors {
  size_t width = 0;  // 0: leaves are single values
  bool own_list = false;
  std::span<const double> values = {};
};

Result<LeafVectors> read_leaf_vectors(const JsonView& tree, size_t nodes, size_t outputs) {
  LeafVectors vectors;
  WB_TRY(const JsonView param, tree.field("tree_param"));
  if (!param.has("size_leaf_vector")) return vectors;
  WB_TRY(const JsonView size_field, param.field("size_leaf_vector"));
  WB_TRY(const uint64_t width, size_field.count(engine::limits::kOutputsMax));
  if (width <= 1) return vectors;
  if (width != outputs) return size_field.fault("is not the number of outputs, ", std::to_string(outputs));
  vectors.width = width;
  vectors.own_list = tree.has("leaf_weights");
  if (vectors.own_list) {
    WB_TRY(const JsonView field, tree.field("leaf_weights"));
    WB_TRY(vectors.values, field.numbers());
  } else {
    WB_TRY(vectors.values, numbers_of(tree, "base_weights", nodes * width));
  }
  return vectors;
}

Status set_leaf(const JsonView& view, const LeafVectors& vectors, size_t index, engine::Tree& tree) {
  engine::TreeNode& node = tree.nodes.back();
  if (vectors.width == 0) return ok_status();
  if (!is_index(static_cast<double>(index)) || (index + 1) * vectors.width > vectors.values.size())
    return view.fault("a leaf's values are not in leaf_weights");
  node.feature = static_cast<uint32_t>(tree.vectors.size() / vectors.width);
  node.value = 0;
  const auto values = vectors.values.subspan(index * vectors.width, vectors.width);
  tree.vectors.insert(tree.vectors.end(), values.begin(), values.end());
  return ok_status();
}

// A node that nothing points to (what pruning left behind) may hold anything: the checks look at what is reached.
Result<engine::Tree> read_tree(const JsonView& view, size_t outputs, engine::Description& model) {
  WB_TRY(const TreeArrays in, read_arrays(view));
  const size_t count = in.left.size();
  WB_TRY(const LeafVectors vectors, read_leaf_vectors(view, count, outputs));
  WB_TRY(const std::vector<int32_t> set_of, read_sets(view, count, model));
  engine::Tree tree;
  tree.nodes.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    engine::TreeNode& node = tree.nodes.emplace_back();
    node.value = in.conditions[i];
    if (in.left[i] == -1) {
      const double index = vectors.own_list ? in.right[i] : static_cast<double>(i);
      if (!is_index(index)) return view.fault("the leaf ", std::to_string(i), " has no values");
      WB_CHECK(set_leaf(view, vectors, static_cast<size_t>(index), tree));
      continue;
    }
    if (!is_index(in.left[i]) || !is_index(in.right[i]))
      return view.fault("a child of node ", std::to_string(i), " is no node");
    node.left = static_cast<int32_t>(in.left[i]);
    node.right = static_cast<int32_t>(in.right[i]);
    node.feature = is_index(in.features[i]) ? static_cast<uint32_t>(in.features[i]) : UINT32_MAX;
    node.default_left = in.default_left[i] != 0;
    if (in.split_type.empty() || in.split_type[i] == 0) continue;
    if (set_of[i] < 0) return view.fault("node ", std::to_string(i), " splits by categories and has none");
    node.set = set_of[i];
    node.value = 0;
    std::swap(node.left, node.right);
    node.default_left = !node.default_left;
  }
  return tree;
}

// DART multiplies a leaf each time in f32, so a leaf may be multiplied once.
void fold_weight(engine::Tree& tree, float weight) {
  for (engine::TreeNode& node : tree.nodes) {
    if (node.left < 0) node.value = static_cast<double>(static_cast<float>(node.value) * weight);
  }
}

// How many trees count, and what to say about the others.
Result<size_t> kept_trees(const Source& source, const Options& options, size_t count, engine::PlainModel& out) {
  if (!options.best_only || !source.learner.has("attributes")) return count;
  WB_TRY(const JsonView attributes, source.learner.field("attributes"));
  if (!attributes.has("best_iteration")) return count;
  WB_TRY(const JsonView best_field, attributes.field("best_iteration"));
  WB_TRY(const uint64_t best, best_field.count(engine::limits::kTreesMax));
  size_t kept = 0;
  if (source.trees.has("iteration_indptr")) {
    WB_TRY(const JsonView ends_field, source.trees.field("iteration_indptr"));
    WB_TRY(const auto ends, ends_field.numbers());
    if (best + 1 >= ends.size() || !is_index(ends[best + 1]))
      return best_field.fault("names a round that is not there");
    kept = static_cast<size_t>(ends[best + 1]);
  } else {
    WB_TRY(const JsonView param, source.trees.field("gbtree_model_param"));
    WB_TRY(const JsonView parallel_field, param.field("num_parallel_tree"));
    WB_TRY(const uint64_t parallel, parallel_field.count(engine::limits::kTreesMax));
    kept = (best + 1) * parallel * source.outputs();
  }
  if (kept > count) return best_field.fault("names a round that is not there");
  if (kept < count)
    out.notes.emplace_back("left out", std::to_string(count - kept) + " of " + std::to_string(count) +
                                           " trees, grown after the best round " + std::to_string(best));
  return kept;
}

// gblinear: for each feature its weights for all outputs, then the biases. XGBoost starts from bias + base score (of
// several, which 3.1 and later write, the first for all outputs), adds feature after feature in f32, and passes over
// missing values.
Status read_weights(const Source& source, const Options& options, engine::PlainModel& out) {
  WB_TRY(const JsonView field, source.trees.field("weights"));
  WB_TRY(const auto numbers, field.numbers());
  const size_t outputs = source.outputs();
  if (numbers.size() != (source.features + 1) * outputs)
    return field.fault("has ", std::to_string(numbers.size()), " numbers for ", std::to_string(source.features),
                       " features, a bias and ", std::to_string(outputs), " outputs");
  const auto base = static_cast<float>(out.base_margins[0]);
  engine::Linear& linear = out.linear.emplace();
  linear.skips_missing = true;
  if (options.covers) linear.means.assign(source.features, 0);  // pred_contribs compares with a row of zeros
  for (size_t output = 0; output < outputs; ++output) {
    for (size_t feature = 0; feature < source.features; ++feature)
      linear.weights.push_back(numbers[feature * outputs + output]);
    const auto bias = static_cast<float>(numbers[source.features * outputs + output]);
    out.base_margins[output] = static_cast<double>(bias + base);
  }
  return ok_status();
}

Status read_trees(const Source& source, const Options& options, engine::PlainModel& out) {
  WB_TRY(const JsonView list, source.trees.field("trees"));
  WB_TRY(const std::vector<JsonView> items, list.items());
  WB_TRY(const JsonView groups_field, source.trees.field("tree_info"));
  WB_TRY(const auto groups, groups_field.numbers());
  if (groups.size() != items.size()) return groups_field.fault("has not one number for each tree");
  if (!source.drop_weights.empty() && source.drop_weights.size() != items.size())
    return list.fault("has not one tree for each number of weight_drop");
  WB_TRY(const size_t kept, kept_trees(source, options, items.size(), out));
  if (kept > engine::limits::kTreesMax)
    return list.fault("has more than ", std::to_string(engine::limits::kTreesMax), " trees");
  for (size_t i = 0; i < kept; ++i) {
    WB_TRY(engine::Tree tree, read_tree(items[i], source.outputs(), out));
    if (!is_index(groups[i])) return groups_field.fault("item ", std::to_string(i), " is no output");
    tree.output = static_cast<uint32_t>(groups[i]);
    if (options.covers && items[i].has("sum_hessian")) {
      WB_TRY(const auto covers, numbers_of(items[i], "sum_hessian", tree.nodes.size()));
      tree.covers.assign(covers.begin(), covers.end());
    }
    if (!source.drop_weights.empty()) {
      if (!tree.vectors.empty()) return items[i].unsupported("dart with a vector in each leaf is not carried");
      fold_weight(tree, source.drop_weights[i]);
    }
    out.trees.push_back(std::move(tree));
  }
  if (!source.drop_weights.empty()) out.notes.emplace_back("folded", "DART weights into the leaves");
  return ok_status();
}

Result<std::string> read_version(const JsonView& file) {
  WB_TRY(const JsonView field, file.field("version"));
  WB_TRY(const auto parts, field.numbers());
  std::string text = "xgboost ";
  for (size_t i = 0; i < parts.size() && i < 3; ++i) {
    if (!is_index(parts[i])) return field.fault("is no version");
    text += (i > 0 ? "." : "") + std::to_string(static_cast<uint32_t>(parts[i]));
  }
  if (parts.size() != 3) return field.fault("is no version");
  if (parts[0] < 1 || (parts[0] == 1 && parts[1] < 7))
    return field.unsupported("saved by ", text, "; versions from 1.7 on are read: load it there and save it again");
  return text;
}

Result<engine::PlainModel> read_learner(const Json& json, const Options& options) {
  const JsonView file(json);
  engine::PlainModel out;
  WB_TRY(std::string version, read_version(file));
  out.notes.emplace_back("library", std::move(version));
  WB_TRY(const Source source, read_source(file));
  out.notes.emplace_back("objective", source.objective.name);
  engine::Description& model = out;
  WB_TRY(model.features, read_features(source));
  WB_CHECK(set_objective(source, model));
  WB_TRY(model.base_margins, read_base_margins(source));
  model.compare = engine::Compare::kF32Less;
  model.category = engine::Category::kNonNegative;
  model.sum.precision = engine::Precision::kF32;
  WB_CHECK(source.linear ? read_weights(source, options, out) : read_trees(source, options, out));
  return out;
}

}  // namespace

Result<engine::PlainModel> read_xgboost_json(std::string_view bytes, const Options& options) {
  WB_TRY(const Json json, parse_json(bytes, Decimals::kF32));
  return read_learner(json, options);
}

Result<engine::PlainModel> read_xgboost_ubjson(std::string_view bytes, const Options& options) {
  WB_TRY(const Json json, parse_ubjson(bytes));
  return read_learner(json, options);
}

}  // namespace wb::imports
