// ONNX: the graph is followed operator by operator, from its inputs to one predictor, and from there to its outputs.
// Before the predictor an operator may choose columns or change them one by one, as the engine's steps do; behind it it
// may only pass on what the predictor said. Whatever else stands in the graph is refused by its name.
//
// What is exact: the margins are those of onnxruntime on one thread, or for at most 50 rows at a time. Beyond that it
// splits the trees among threads, and its own sums depend on how many there are.
#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "import/onnx_graph.h"

namespace wb::imports {
namespace onnx {
namespace {

constexpr size_t kChangesMax = 2'000'000;  // columns and changes of them in all that the graph names

}  // namespace

const Columns* Graph::rows(std::string_view name) const {
  const auto found = rows_.find(name);
  return found == rows_.end() ? nullptr : &found->second;
}
const Tensor* Graph::constant(std::string_view name) const {
  const auto found = constants_.find(name);
  return found == constants_.end() ? nullptr : found->second;
}

Status Graph::give(const Node& node, Columns columns) {
  if (node.outputs.empty() || rows_.contains(node.outputs[0]))
    return fault(node, "has no output, or one that is there already");
  if (columns.columns.empty()) return refuse(node, "gives no column");
  if (columns.columns.size() > kColumnsMax)
    return refuse(node, "gives more than ", std::to_string(kColumnsMax), " columns");
  for (const Column& column : columns.columns) changes_count_ += 1 + column.changes.size();
  if (changes_count_ > kChangesMax) return refuse(node, "the graph up to here computes with too many columns");
  rows_.emplace(node.outputs[0], std::move(columns));
  return ok_status();
}

// ---- Inputs.
Status Graph::take_input(const Input& input) {
  if (constants_.contains(input.name)) return ok_status();  // an initializer may stand among the inputs
  const std::string where = "input '" + valid_text(input.name, 64) + "' (byte " + std::to_string(input.offset) + "): ";
  if (input.type == Type::kText)
    return fail(Code::kUnsupported, where, "takes texts; the engine's rows are numbers: encode them before the model");
  if (input.type != Type::kFloat && input.type != Type::kDouble && input.type != Type::kInt32 &&
      input.type != Type::kInt64)
    return fail(Code::kUnsupported, where, "takes ", type_name(input.type),
                "; rows of float, double, int32 or int64 can be carried");
  if (input.shape.size() != 2 || input.shape[1] < 1 ||
      input.shape[1] > static_cast<int64_t>(engine::limits::kFeaturesMax))
    return fail(Code::kUnsupported, where, "must have the shape [rows, n] with a fixed n of 1 to ",
                std::to_string(engine::limits::kFeaturesMax), "; say how many columns there are when converting");
  Columns columns;
  columns.type = input.type;
  columns.narrowed = input.type == Type::kFloat;
  size_t first = 0;
  for (const auto& [name, width] : widths_) first += width;
  for (size_t i = 0; i < static_cast<size_t>(input.shape[1]); ++i)
    columns.columns.push_back({static_cast<uint32_t>(first + i), {}});
  if (!rows_.emplace(input.name, std::move(columns)).second) return fail(Code::kInvalid, where, "stands twice");
  widths_.emplace_back(input.name, input.shape[1]);
  return ok_status();
}

Status Graph::name_features() {
  std::vector<std::string>& features = out.features;
  for (const auto& [name, width] : widths_) {
    for (size_t i = 0; i < width; ++i) {
      const std::string number = std::to_string(i);
      if (width == 1) features.emplace_back(name);
      if (width > 1) features.push_back(widths_.size() == 1 ? "f" + number : std::string(name) + "_" + number);
    }
    if (features.size() > engine::limits::kFeaturesMax)
      return fail(Code::kUnsupported, "more than ", std::to_string(engine::limits::kFeaturesMax), " input columns");
  }
  return ok_status();
}

namespace {

// Why what is often met is not read.
std::string_view reason_of(std::string_view operation) {
  struct Reason {
    std::string_view operation;
    std::string_view text;
  };
  constexpr Reason kReasons[] = {
      {"SVMClassifier", "the engine has no support vector machines"},
      {"SVMRegressor", "the engine has no support vector machines"},
      {"Normalizer", "it divides by the length of the row, which no step of the engine does"},
      {"Scan", "the engine runs no loops"},
      {"Conv", "the engine's networks have dense layers only"},
      {"LSTM", "the engine's networks have dense layers only"},
      {"Loop", "the engine runs no loops"},
  };
  for (const Reason& reason : kReasons) {
    if (reason.operation == operation) return reason.text;
  }
  return "no operator of this name is read";
}

}  // namespace

Status Graph::take_before(const Node& node, const Columns& columns) {
  const std::string_view operation = node.operation;
  const bool dense = operation == "MatMul" || operation == "Gemm";
  const bool linear = operation == "LinearClassifier" || operation == "LinearRegressor";
  const bool trees = operation.starts_with("TreeEnsemble");
  if (dense || linear || trees) {
    WB_CHECK(begin(node, columns));
    return dense ? start_chain(node, columns) : linear ? predict_linear(node, columns) : predict_trees(node, columns);
  }
  if (operation == "Reshape") return reshape(node, columns);
  if (operation == "Identity") return give(node, columns);
  if (operation == "Concat") return concat(node);
  if (columns.cube > 0) return refuse(node, "takes a cube of one-hot columns; a Reshape is due before it");
  if (operation == "Cast") return cast(node, columns);
  if (operation == "Scaler") return scale(node, columns);
  if (operation == "Add" || operation == "Sub" || operation == "Mul" || operation == "Div")
    return arithmetic(node, columns);
  if (operation == "Imputer") return impute(node, columns);
  if (operation == "LabelEncoder") return encode(node, columns);
  if (operation == "OneHotEncoder") return one_hot(node, columns);
  if (operation == "Gather" || operation == "ArrayFeatureExtractor") return choose(node, columns);
  return refuse(node, reason_of(operation));
}

// ---- The predictor.
Status Graph::begin(const Node& node, const Columns& columns) {
  if (predictor_ != nullptr)
    return refuse(node, "is a second predictor beside ", predictor_->where(), "; one can be carried");
  if (columns.cube > 0) return refuse(node, "takes a cube of one-hot columns; a Reshape is due before it");
  if (node.inputs.empty() || rows(node.inputs[0]) == nullptr) return refuse(node, "does not take rows first");
  predictor_ = &node;
  return write_steps(columns, categories_, out);
}

Status Graph::predict_trees(const Node& node, const Columns& columns) {
  const bool classifies = node.operation == "TreeEnsembleClassifier";
  if (classifies) WB_CHECK(read_tree_classifier(node, columns, out));
  if (node.operation == "TreeEnsembleRegressor") WB_CHECK(read_tree_regressor(node, columns, out));
  if (node.operation == "TreeEnsemble") WB_CHECK(read_tree_ensemble(node, columns, out));
  if (out.base_margins.empty()) return refuse(node, reason_of(node.operation));
  say(node, classifies ? Said::kLabel : Said::kAnswers, Said::kAnswers);
  return ok_status();
}

void Graph::say(const Node& node, Said first, Said second) {
  for (size_t i = 0; i < node.outputs.size(); ++i)
    if (!node.outputs[i].empty()) said_[node.outputs[i]] = i == 0 ? first : second;
}

Status Graph::take(const Node& node) {
  if (!node.domain.empty() && node.domain != "ai.onnx" && node.domain != "ai.onnx.ml")
    return refuse(node, "is of the domain '", valid_text(node.domain, 64), "'; only ONNX's own operators are read");
  if (node.operation == "Constant") {
    const Attribute* value = node.find("value");
    if (value == nullptr || value->tensors.empty() || node.outputs.empty())
      return refuse(node, "has no tensor as its value");
    constants_[node.outputs[0]] = &value->tensors[0];
    return ok_status();
  }
  for (const std::string_view input : node.inputs)
    if (said_.contains(input)) return take_behind(node);
  const Columns* columns = nullptr;
  for (const std::string_view input : node.inputs) {
    if (columns == nullptr) columns = rows(input);
    if (rows(input) == nullptr && constant(input) == nullptr && !input.empty())
      return fault(node, "takes '", valid_text(input, 64), "', which no operator before it gives");
  }
  if (columns == nullptr) return refuse(node, "takes constants only; simplify the graph before importing");
  return take_before(node, *columns);
}

// All that the graph gives is what the model answers, or follows from it: a place or a label does if there are labels.
Status Graph::check_outputs() const {
  if (file_.outputs.empty()) return fail(Code::kInvalid, "the graph has no output");
  for (const std::string_view name : file_.outputs) {
    const auto found = said_.find(name);
    const Said said = found == said_.end() ? Said::kPassed : found->second;
    if (said == Said::kPassed || said == Said::kRest)
      return fail(Code::kUnsupported, "output '", valid_text(name, 64), "' is not what ", predictor_->where(),
                  " and the operators behind it answer in the end; convert the model without it");
    if ((said == Said::kPlace || said == Said::kLabel) && out.labels.empty())
      return fail(Code::kUnsupported, "output '", valid_text(name, 64),
                  "' is the place of the largest of values that are no probabilities; convert the model without it");
  }
  return ok_status();
}

Status Graph::follow() {
  for (const Tensor& tensor : file_.initializers) constants_[tensor.name] = &tensor;
  for (const Opset& opset : file_.opsets) {
    if (opset.domain == "ai.onnx.ml" && opset.version > 5)
      return fail(Code::kUnsupported, "written for version ", std::to_string(opset.version),
                  " of ai.onnx.ml; up to 5 is read");
  }
  for (const Input& input : file_.inputs) WB_CHECK(take_input(input));
  WB_CHECK(name_features());
  for (const Node& node : file_.nodes) WB_CHECK(take(node));
  if (predictor_ == nullptr)
    return fail(Code::kUnsupported, "there is no ensemble of trees, linear model or network in the graph");
  if (chain_) WB_CHECK(finish_chain());
  WB_CHECK(check_outputs());
  out.notes.emplace_back("library", "onnx, by " + valid_text(file_.producer, 64));
  out.notes.emplace_back("objective", valid_text(predictor_->operation, 64));
  return ok_status();
}

}  // namespace onnx

Result<engine::PlainModel> read_onnx(std::string_view bytes, const Options& /*options*/) {
  WB_TRY(const onnx::Model file, onnx::read_model(bytes));
  onnx::Graph graph(file);
  WB_CHECK(graph.follow());
  return std::move(graph.out);
}

}  // namespace wb::imports
