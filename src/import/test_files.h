#pragma once
// Small model files of the libraries, made by hand: what tests and fuzz seeds start from. Real ones are compared in
// tests/interop.

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace wb::imports::testing {

// The first `from` in `text` becomes `to`.
inline std::string with(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  return at == std::string::npos ? std::string() : text.replace(at, from.size(), to);
}

// Two features, base score 0.25: x0 < 0.5 or missing: -0.5, else x1 in {1, 3}: 2, else (also missing): 1.
inline std::string xgboost_json() {
  return R"({"learner":{"attributes":{},"feature_names":[],"feature_types":[],"gradient_booster":{"model":{
"gbtree_model_param":{"num_parallel_tree":"1","num_trees":"1"},"iteration_indptr":[0,1],"tree_info":[0],"trees":[{
"base_weights":[0,0,0,0,0],"categories":[1,3],"categories_nodes":[2],"categories_segments":[0],"categories_sizes":[2],
"default_left":[1,0,1,0,0],"id":0,"left_children":[1,-1,3,-1,-1],"right_children":[2,-1,4,-1,-1],
"parents":[2147483647,0,0,2,2],"split_conditions":[5E-1,-5E-1,NaN,1E0,2E0],"split_indices":[0,0,1,0,0],
"split_type":[0,0,1,0,0],"tree_param":{"num_deleted":"0","num_feature":"2","num_nodes":"5","size_leaf_vector":"1"}}]},
"name":"gbtree"},"learner_model_param":{"base_score":"2.5E-1","boost_from_average":"1","num_class":"0","num_feature":"2",
"num_target":"1"},"objective":{"name":"reg:squarederror","reg_loss_param":{"scale_pos_weight":"1"}}},"version":[2,1,4]})";
}

// Three features, of which two outputs have weights and a bias.
inline std::string xgboost_linear_json() {
  return R"({"learner":{"attributes":{},"feature_names":["a","b","c"],"feature_types":[],"gradient_booster":{"model":{
"boosted_rounds":3,"weights":[1,-1,2,-2,0.5,0.25,10,20]},"name":"gblinear"},"learner_model_param":{"base_score":"2.5E-1",
"num_class":"2","num_feature":"3","num_target":"1"},"objective":{"name":"multi:softprob"}},"version":[3,2,0]})";
}

// The part of the UBJSON of xgboost_json() that a reader looks at, with packed lists as XGBoost writes them.
class UbjsonWriter {
 public:
  UbjsonWriter& begin() { return raw("{"); }
  UbjsonWriter& end() { return raw("}"); }
  UbjsonWriter& key(std::string_view key) { return length(key.size()).raw(key); }
  UbjsonWriter& text(std::string_view text) { return raw("S").length(text.size()).raw(text); }
  UbjsonWriter& floats(std::initializer_list<float> values) {
    raw("[$d#").length(values.size());
    for (const float value : values) big_endian(std::bit_cast<uint32_t>(value), 4);
    return *this;
  }
  UbjsonWriter& integers(std::initializer_list<int32_t> values) {
    raw("[$l#").length(values.size());
    for (const int32_t value : values) big_endian(static_cast<uint32_t>(value), 4);
    return *this;
  }
  UbjsonWriter& raw(std::string_view bytes) {
    out_.append(bytes);
    return *this;
  }
  const std::string& bytes() const { return out_; }

 private:
  UbjsonWriter& length(size_t size) {
    raw("L");
    big_endian(size, 8);
    return *this;
  }
  void big_endian(uint64_t value, size_t bytes) {
    for (size_t i = bytes; i-- > 0;) out_.push_back(static_cast<char>(value >> (8 * i)));
  }
  std::string out_;
};

inline std::string xgboost_ubjson() {
  UbjsonWriter w;
  w.begin().key("learner").begin().key("gradient_booster").begin().key("model").begin();
  w.key("gbtree_model_param").begin().key("num_parallel_tree").text("1").end();
  w.key("iteration_indptr").integers({0, 1}).key("tree_info").integers({0}).key("trees").raw("[").begin();
  w.key("categories").integers({1, 3}).key("categories_nodes").integers({2});
  w.key("categories_segments").integers({0}).key("categories_sizes").integers({2});
  w.key("default_left").integers({1, 0, 1, 0, 0});
  w.key("left_children").integers({1, -1, 3, -1, -1}).key("right_children").integers({2, -1, 4, -1, -1});
  w.key("split_conditions").floats({0.5F, -0.5F, 0.0F, 1.0F, 2.0F}).key("split_indices").integers({0, 0, 1, 0, 0});
  w.key("split_type").integers({0, 0, 1, 0, 0});
  w.key("tree_param").begin().key("size_leaf_vector").text("1").end().end().raw("]").end();
  w.key("name").text("gbtree").end();
  w.key("learner_model_param").begin().key("base_score").text("2.5E-1").key("num_class").text("0");
  w.key("num_feature").text("2").key("num_target").text("1").end();
  w.key("objective").begin().key("name").text("reg:squarederror").end().end();
  w.key("version").integers({2, 1, 4}).end();
  return w.bytes();
}

// Two features: x0 <= 1.5 (NaN left): -1, else c in {0, 33} (x1): 2.5, else 0.25. Then a tree of one leaf, 0.5.
inline std::string lightgbm_text() {
  return R"(tree
version=v4
num_class=1
num_tree_per_iteration=1
label_index=0
max_feature_idx=1
objective=binary sigmoid:2
feature_names=x0 c
feature_infos=[0:3] 0:1:33
tree_sizes=1 1

Tree=0
num_leaves=3
num_cat=1
split_feature=0 1
split_gain=1 1
threshold=1.5 0
decision_type=10 1
left_child=-1 -2
right_child=1 -3
leaf_value=-1 2.5 0.25
cat_boundaries=0 2
cat_threshold=1 2
is_linear=0
shrinkage=1


Tree=1
num_leaves=1
num_cat=0
leaf_value=0.5
shrinkage=1


end of trees

feature_importances:
x0=1

parameters:
[boosting: gbdt]
end of parameters

pandas_categorical:null
)";
}

// The same with a line in each leaf of the first tree.
inline std::string lightgbm_linear_text() {
  return with(lightgbm_text(), "is_linear=0",
              "is_linear=1\nleaf_const=10 20 30\nnum_features=2 0 1\nleaf_features=0 1   1  \nleaf_coeff=2 0.5   3  ");
}

}  // namespace wb::imports::testing
