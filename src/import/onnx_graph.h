#pragma once
// The graph of an ONNX file on its way to a description: what each name in it stands for. onnx.cpp follows the
// operators, onnx_before.cpp takes those before the predictor, onnx_dense.cpp the linear models and the layers of
// networks, onnx_behind.cpp what passes on the answers.

#include <map>
#include <optional>

#include "import/onnx_internal.h"

namespace wb::imports::onnx {

constexpr size_t kColumnsMax = engine::limits::kColumnsMax;

// What a name behind the predictor stands for.
enum class Said : uint8_t {
  kAnswers,  // probabilities or values
  kUnits,    // what the last layer so far gives
  kRest,     // 1 - the one probability
  kPlace,    // which answer is the largest
  kLabel,
  kPassed,  // no more what the model says: the graph went on from it
};

// A chain of dense layers as far as it has been followed.
struct Chain {
  std::vector<engine::Layer> layers;
  Type type = Type::kFloat;
  bool biased = false;  // the last layer has its bias
  enum class End : uint8_t { kOpen, kSoftmax, kExponential };
  End end = End::kOpen;
  bool activated = false;  // the last layer has its activation
  size_t units() const { return layers.back().biases.size(); }
};

class Graph {
 public:
  explicit Graph(const Model& file) : file_(file) {}
  Status follow();
  engine::PlainModel out;

 private:
  Status take_input(const Input& input);
  Status name_features();
  Status take(const Node& node);
  Status take_before(const Node& node, const Columns& columns);

  Status cast(const Node& node, Columns columns);
  Status scale(const Node& node, Columns columns);
  Status arithmetic(const Node& node, Columns columns);
  Status impute(const Node& node, Columns columns);
  Status encode(const Node& node, Columns columns);
  Status one_hot(const Node& node, const Columns& columns);
  Status choose(const Node& node, const Columns& columns);
  Status concat(const Node& node);
  Status reshape(const Node& node, Columns columns);

  // The predictor. begin() refuses a second one and writes the steps.
  Status begin(const Node& node, const Columns& columns);
  Status predict_trees(const Node& node, const Columns& columns);
  Status predict_linear(const Node& node, const Columns& columns);
  Status start_chain(const Node& node, const Columns& columns);
  Status take_units(const Node& node);
  Status add_layer(const Node& node);
  Status add_bias(const Node& node);
  Status activate(const Node& node);
  Status finish_chain();
  Status check_outputs() const;
  void say(const Node& node, Said first, Said second);

  Status take_behind(const Node& node);
  Status pass_label(const Node& node);
  Status pass_answers(const Node& node);
  Status pass_units(const Node& node);
  void go_on();  // the chain does, from whatever was said so far
  Status extend(const Node& node);
  Status label_place(const Node& node, const Tensor& labels);
  Status name_labels(const Node& node, std::vector<std::string> labels);
  Status cannot_pass(const Node& node) const;

  const Columns* rows(std::string_view name) const;
  const Tensor* constant(std::string_view name) const;
  Status give(const Node& node, Columns columns);  // its first output

  const Model& file_;
  std::map<std::string_view, Columns> rows_;
  std::map<std::string_view, const Tensor*> constants_;
  std::map<std::string_view, Said> said_;
  Categories categories_;
  std::vector<std::pair<std::string_view, size_t>> widths_;  // of the inputs
  size_t changes_count_ = 0;
  const Node* predictor_ = nullptr;
  std::optional<Chain> chain_;
  bool two_sided_ = false;  // 1 - p stands beside p
};

inline int64_t whole_or(const Node& node, std::string_view name, int64_t otherwise) {
  const Attribute* attribute = node.find(name);
  return attribute == nullptr ? otherwise : attribute->whole;
}
inline std::string_view text_or(const Node& node, std::string_view name, std::string_view otherwise) {
  const Attribute* attribute = node.find(name);
  return attribute == nullptr ? otherwise : attribute->text;
}
inline bool is_whole(Type type) { return type == Type::kInt32 || type == Type::kInt64; }
inline std::vector<double> widened(const std::vector<float>& numbers) { return {numbers.begin(), numbers.end()}; }
// Labels, from lists of texts or whole numbers by these names.
std::vector<std::string> labels_of(const Node& node, std::string_view texts, std::string_view wholes);
// One number for each column, or one for all.
Status spread(const Node& node, std::vector<double> numbers, size_t width, std::vector<double>& into);

}  // namespace wb::imports::onnx
