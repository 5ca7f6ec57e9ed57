#pragma once
// Small ONNX and CatBoost files made by hand: what tests and fuzz seeds start from. Real ones are compared in
// tests/interop.

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wb::imports::testing {

// A message of protocol buffers.
class Message {
 public:
  Message& whole(uint32_t field, int64_t value) { return varint(field << 3).varint(static_cast<uint64_t>(value)); }
  Message& text(uint32_t field, std::string_view bytes) {
    varint(field << 3 | 2).varint(bytes.size());
    bytes_.append(bytes);
    return *this;
  }
  Message& message(uint32_t field, const Message& inner) { return text(field, inner.bytes_); }
  Message& real(uint32_t field, float value) {
    varint(field << 3 | 5);
    for (int i = 0; i < 4; ++i) bytes_.push_back(static_cast<char>(std::bit_cast<uint32_t>(value) >> (8 * i)));
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  Message& varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
    bytes_.push_back(static_cast<char>(value));
    return *this;
  }
  std::string bytes_;
};

// An operator of ONNX.
class Operator {
 public:
  Operator(std::string_view operation, std::vector<std::string_view> inputs, std::vector<std::string_view> outputs)
      : outputs_(std::move(outputs)) {
    for (const auto input : inputs) node_.text(1, input);
    for (const auto output : outputs_) node_.text(2, output);
    node_.text(3, "n").text(4, operation);
  }
  Operator& wholes(std::string_view name, std::vector<int64_t> values) {
    Message attribute;
    attribute.text(1, name);
    for (const int64_t value : values) attribute.whole(8, value);
    return put(attribute);
  }
  Operator& reals(std::string_view name, std::vector<float> values) {
    Message attribute;
    attribute.text(1, name);
    for (const float value : values) attribute.real(7, value);
    return put(attribute);
  }
  Operator& texts(std::string_view name, std::vector<std::string_view> values) {
    Message attribute;
    attribute.text(1, name);
    for (const auto value : values) attribute.text(9, value);
    return put(attribute);
  }
  Operator& whole(std::string_view name, int64_t value) { return put(Message().text(1, name).whole(3, value)); }
  Operator& real(std::string_view name, float value) { return put(Message().text(1, name).real(2, value)); }
  Operator& text(std::string_view name, std::string_view value) { return put(Message().text(1, name).text(4, value)); }
  // kind: 1 float, 2 uint8, 11 double, …; raw: the numbers' bytes
  Operator& tensor(std::string_view name, int64_t kind, std::string_view raw, std::vector<int64_t> shape = {}) {
    Message tensor;
    for (const int64_t size : shape) tensor.whole(1, size);
    return put(Message().text(1, name).message(5, tensor.whole(2, kind).text(9, raw)));
  }
  // A constant of texts.
  Operator& words(std::vector<std::string_view> values) {
    Message tensor;
    for (const auto value : values) tensor.text(6, value);
    return put(Message().text(1, "value").message(5, tensor.whole(2, 8)));
  }
  const Message& message() const { return node_; }
  const std::vector<std::string_view>& outputs() const { return outputs_; }

 private:
  Operator& put(const Message& attribute) {
    node_.message(5, attribute);
    return *this;
  }
  Message node_;
  std::vector<std::string_view> outputs_;
};

// A model with an input "x" of `width` columns of a type (1 float, 7 int64, 11 double), which gives `outputs`, or what
// its last operator gives.
inline std::string onnx_model(const std::vector<Operator>& operators, int64_t width = 2, int64_t type = 1,
                              const std::vector<std::string_view>& outputs = {}) {
  const Message rows = Message().text(2, "N");
  const Message shape = Message().message(1, rows).message(1, Message().whole(1, width));
  const Message tensor = Message().whole(1, type).message(2, shape);
  Message graph;
  for (const Operator& one : operators) graph.message(1, one.message());
  graph.message(11, Message().text(1, "x").message(2, Message().message(1, tensor)));
  for (const auto name : outputs.empty() ? operators.back().outputs() : outputs)
    graph.message(12, Message().text(1, name));
  Message model;
  model.whole(1, 8).text(2, "hand").message(7, graph);
  return model.message(8, Message().text(1, "ai.onnx.ml").whole(2, 3)).bytes();
}

// Tree 0: x0 <mode> 0.5 (missing: true side) → 2, else x1 <= 0 → -1, else 4. Tree 1: 0.25. What it adds to: target 0.
inline Operator onnx_trees(std::string_view mode = "BRANCH_LEQ", std::string_view from = "x") {
  Operator trees("TreeEnsembleRegressor", {from}, {"y"});
  trees.wholes("nodes_treeids", {0, 0, 0, 0, 0, 1}).wholes("nodes_nodeids", {0, 1, 2, 3, 4, 0});
  trees.wholes("nodes_featureids", {0, 0, 1, 0, 0, 0}).reals("nodes_values", {0.5F, 0, 0, 0, 0, 0});
  trees.texts("nodes_modes", {mode, "LEAF", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"});
  trees.wholes("nodes_truenodeids", {1, 0, 3, 0, 0, 0}).wholes("nodes_falsenodeids", {2, 0, 4, 0, 0, 0});
  trees.wholes("nodes_missing_value_tracks_true", {1, 0, 0, 0, 0, 0});
  trees.wholes("target_treeids", {0, 0, 0, 1})
      .wholes("target_nodeids", {1, 3, 4, 0})
      .wholes("target_ids", {0, 0, 0, 0});
  trees.reals("target_weights", {2, -1, 4, 0.25F});
  return trees;
}

// One tree for three classes, whose leaves add to all.
inline Operator onnx_classes(std::string_view transform = "SOFTMAX") {
  Operator trees("TreeEnsembleClassifier", {"x"}, {"label", "y"});
  trees.wholes("nodes_treeids", {0, 0, 0}).wholes("nodes_nodeids", {0, 1, 2}).wholes("nodes_featureids", {1, 0, 0});
  trees.reals("nodes_values", {0.5F, 0, 0}).texts("nodes_modes", {"BRANCH_LT", "LEAF", "LEAF"});
  trees.wholes("nodes_truenodeids", {1, 0, 0}).wholes("nodes_falsenodeids", {2, 0, 0});
  trees.wholes("class_treeids", {0, 0, 0, 0, 0, 0}).wholes("class_nodeids", {1, 1, 1, 2, 2, 2});
  trees.wholes("class_ids", {0, 1, 2, 0, 1, 2}).reals("class_weights", {1, 0, 0, 0.25F, 0.25F, 0.5F});
  trees.texts("classlabels_strings", {"a", "b", "c"}).text("post_transform", transform);
  return trees;
}

// Three classes over two columns.
inline Operator onnx_linear(std::string_view transform = "SOFTMAX", std::string_view from = "x") {
  Operator linear("LinearClassifier", {from}, {"label", "y"});
  linear.reals("coefficients", {1, 2, -1, 0.5F, 0, 4}).reals("intercepts", {0.25F, 0, -1});
  return linear.wholes("classlabels_ints", {0, 1, 2}).text("post_transform", transform);
}

inline std::string bytes_of(std::vector<float> values) {
  std::string out;
  for (const float value : values)
    for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>(std::bit_cast<uint32_t>(value) >> (8 * i)));
  return out;
}

inline Operator onnx_constant(std::string_view name, std::vector<float> values, std::vector<int64_t> shape) {
  Operator constant("Constant", {}, {name});
  return constant.tensor("value", 1, bytes_of(std::move(values)), std::move(shape));
}

// Two columns, two hidden units, one output or what `last` makes of it: as skl2onnx writes an MLP.
inline std::vector<Operator> onnx_network(std::string_view activation, std::vector<Operator> last = {}) {
  std::vector<Operator> out = {onnx_constant("w", {1, -1, 0.5F, 2}, {2, 2}), onnx_constant("b", {0.5F, 0}, {1, 2}),
                               onnx_constant("v", {2, -4}, {2, 1}), onnx_constant("c", {0.25F}, {1, 1})};
  out.push_back(Operator("MatMul", {"x", "w"}, {"h"}));
  out.push_back(Operator("Add", {"h", "b"}, {"h2"}));
  out.push_back(Operator(activation, {"h2"}, {"h3"}));
  out.push_back(Operator("MatMul", {"h3", "v"}, {"o"}));
  out.push_back(Operator("Add", {"o", "c"}, {"y"}));
  out.insert(out.end(), last.begin(), last.end());
  return out;
}
// How skl2onnx goes on behind two classes, 5 and 7 or texts.
inline std::vector<Operator> onnx_two_sides(bool texts = false) {
  Operator classes("Constant", {}, {"classes"});
  if (!texts) classes.tensor("value", 7, std::string("\x05\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0", 16), {2});
  if (texts) classes.words({"no", "yes"});
  return {onnx_constant("one", {1}, {}),
          classes,
          Operator("Sigmoid", {"y"}, {"p"}),
          Operator("Sub", {"one", "p"}, {"q"}),
          Operator("Concat", {"q", "p"}, {"both"}).whole("axis", 1),
          Operator("ArgMax", {"both"}, {"place"}).whole("axis", 1),
          Operator("ArrayFeatureExtractor", {"classes", "place"}, {"label"})};
}

// The first tree of onnx_trees() as version 5 has it.
inline Operator onnx_trees_5() {
  Operator trees("TreeEnsemble", {"x"}, {"y"});
  trees.wholes("nodes_featureids", {0, 1}).tensor("nodes_splits", 1, bytes_of({0.5F, 0}));
  trees.tensor("nodes_modes", 2, std::string(2, '\0')).wholes("tree_roots", {0}).whole("n_targets", 1);
  trees.wholes("nodes_truenodeids", {0, 1}).wholes("nodes_trueleafs", {1, 1});
  trees.wholes("nodes_falsenodeids", {1, 2}).wholes("nodes_falseleafs", {0, 1});
  trees.wholes("nodes_missing_value_tracks_true", {1, 0}).wholes("leaf_targetids", {0, 0, 0});
  trees.tensor("leaf_weights", 1, bytes_of({2, -1, 4}));
  return trees;
}

// x0 > 0.5 decides bit 0, x1 > 0 bit 1; NaN is false in x0, true in x1. The sum is multiplied with 2, and 0.25 added.
inline std::string catboost_json() {
  return R"({"features_info":{"float_features":[
{"borders":[0.5],"feature_id":"","feature_index":0,"flat_feature_index":0,"has_nans":true,"nan_value_treatment":"AsFalse"},
{"borders":[0],"feature_id":"b","feature_index":1,"flat_feature_index":1,"has_nans":true,"nan_value_treatment":"AsTrue"}]},
"model_info":{"class_params":{"class_label_type":"String","class_names":["no","yes"],"class_to_label":[0,1]},
"params":{"loss_function":{"params":{},"type":"Logloss"}}},
"oblivious_trees":[{"leaf_values":[1,2,3,4],"splits":[
{"border":0.5,"float_feature_index":0,"split_index":0,"split_type":"FloatFeature"},
{"border":0,"float_feature_index":1,"split_index":1,"split_type":"FloatFeature"}]},{"leaf_values":[0.5],"splits":null}],
"scale_and_bias":[2,[0.25]]})";
}
// The same first tree, grown freely.
inline std::string catboost_free_json() {
  std::string text = catboost_json();
  const size_t from = text.find("\"oblivious_trees\"");
  return text.substr(0, from) + R"("trees":[{"split":{"border":0.5,"float_feature_index":0,"split_type":"FloatFeature"},
"left":{"split":{"border":0,"float_feature_index":1,"split_type":"FloatFeature"},"left":{"value":1},"right":{"value":3}},
"right":{"split":{"border":0,"float_feature_index":1,"split_type":"FloatFeature"},"left":{"value":2},"right":{"value":4}}}],
"scale_and_bias":[2,[1.25]]})";
}

}  // namespace wb::imports::testing
