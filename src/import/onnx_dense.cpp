// Predictors that are sums of products: LinearClassifier, LinearRegressor, and chains of MatMul or Gemm, Add and an
// activation, which are linear models (one layer) or networks (several).
//
// onnxruntime leaves the products to a library whose order changes with the processor and the number of rows; so there
// are no bits to be equal to, and a note says so. Ours are added in the order of the columns, the bias last, in f32
// (f64 if the operator takes double). What the answers become (softmax, logistic) is kept as the model's objective, so
// that the margins are what comes before it.
#include <algorithm>

#include "import/onnx_graph.h"

namespace wb::imports::onnx {
namespace {

using engine::Activation;
using engine::Objective;

constexpr std::string_view kMarginsNote =
    "summed in the order of the columns; onnxruntime's order depends on its processor, so they agree but for rounding";

Status check_precision(const Node& node, const Columns& columns) {
  if (columns.type != Type::kFloat && columns.type != Type::kDouble)
    return refuse(node, "takes ", type_name(columns.type), "; float and double can be carried");
  if (columns.type == Type::kDouble && columns.narrowed)
    return refuse(node, "computes in f64 with what was rounded to f32 before, as no step of the engine does");
  return ok_status();
}

// Of a classifier. onnxruntime takes two scores for two classes, or one.
Result<Objective> objective_of(const Node& node, std::string_view transform, size_t outputs) {
  if (transform == "SOFTMAX" && outputs > 1) return Objective::kSoftprob;
  if (transform == "LOGISTIC") return outputs == 1 ? Objective::kLogistic : Objective::kIndependent;
  if (transform == "SOFTMAX") return refuse(node, "has a softmax of one score");
  if (transform == "NONE")
    return refuse(node,
                  "has the post_transform NONE, whose scores are no probabilities; calibrate the model before "
                  "converting it, or use logistic regression");
  return refuse(node, "has the post_transform ", transform.substr(0, 16), "; SOFTMAX and LOGISTIC can be carried");
}

// Two scores of two classes, one the other's negative, are one margin.
void join_opposite(engine::Description& model) {
  std::vector<double>& weights = model.linear->weights;
  std::vector<double>& offsets = model.sum.offsets;
  const size_t width = weights.size() / 2;
  bool opposite = offsets[0] == -offsets[1];
  for (size_t i = 0; i < width; ++i) opposite = opposite && weights[i] == -weights[width + i];
  if (!opposite || model.objective != Objective::kIndependent) return;
  weights.erase(weights.begin(), weights.begin() + static_cast<ptrdiff_t>(width));
  offsets.erase(offsets.begin());
  model.base_margins.resize(1);
  model.objective = Objective::kLogistic;
}

}  // namespace

Status Graph::predict_linear(const Node& node, const Columns& columns) {
  const bool classifies = node.operation == "LinearClassifier";
  if (!classifies) WB_CHECK(check_precision(node, columns));
  if (!classifies && columns.type == Type::kDouble) return refuse(node, "takes double, which onnxruntime does not");
  const Attribute* weights = node.find("coefficients");
  const Attribute* biases = node.find("intercepts");
  const size_t width = columns.columns.size();
  const size_t numbers = weights == nullptr ? 0 : weights->numbers.size();
  const size_t outputs = width == 0 ? 0 : numbers / width;
  if (outputs == 0 || outputs > engine::limits::kOutputsMax || outputs * width != numbers)
    return fault(node, "has ", std::to_string(numbers), " coefficients for ", std::to_string(width), " columns");
  if (biases != nullptr && !biases->numbers.empty() && biases->numbers.size() != outputs)
    return fault(node, "has ", std::to_string(biases->numbers.size()), " intercepts for ", std::to_string(outputs),
                 " rows of coefficients");
  engine::Description& model = out;
  model.linear = engine::Linear{widened(weights->numbers)};
  model.base_margins.assign(outputs, 0);
  model.sum.offsets.assign(outputs, 0);
  if (biases != nullptr && !biases->numbers.empty()) model.sum.offsets = widened(biases->numbers);
  model.objective = Objective::kRegression;
  const std::string_view transform = text_or(node, "post_transform", "NONE");
  if (!classifies && transform != "NONE") return refuse(node, "has a post_transform; only NONE can be carried");
  if (!classifies && whole_or(node, "targets", 1) != static_cast<int64_t>(outputs))
    return fault(node, "has coefficients for ", std::to_string(outputs), " targets");
  if (classifies) {
    model.labels = labels_of(node, "classlabels_strings", "classlabels_ints");
    WB_TRY(model.objective, objective_of(node, transform, outputs));
    if (model.labels.size() != std::max<size_t>(outputs, 2))
      return fault(node, "has ", std::to_string(model.labels.size()), " classes and ", std::to_string(outputs),
                   " rows of coefficients");
    if (outputs == 2) join_opposite(model);
  }
  out.notes.emplace_back("margins", kMarginsNote);
  say(node, classifies ? Said::kLabel : Said::kAnswers, Said::kAnswers);
  return ok_status();
}

// ---- Chains of layers.
Status Graph::start_chain(const Node& node, const Columns& columns) {
  WB_CHECK(check_precision(node, columns));
  chain_.emplace().type = columns.type;
  chain_->layers.emplace_back().biases.resize(columns.columns.size());  // what the first layer takes
  WB_CHECK(add_layer(node));
  chain_->layers.erase(chain_->layers.begin());
  return ok_status();
}

// Whoever asks later for what was said before asks for what stands in the middle of the chain.
void Graph::go_on() {
  for (auto& [name, said] : said_) said = Said::kPassed;
  out.labels.clear();
}
Status Graph::extend(const Node& node) {
  if (node.outputs.empty()) return fault(node, "has no output");
  go_on();
  said_[node.outputs[0]] = Said::kUnits;
  return ok_status();
}

// One number for each unit, as a row or one for all.
Status Graph::add_bias(const Node& node) {
  const bool first = said_.contains(node.inputs[0]);
  const Tensor* numbers = node.inputs.size() >= 2 ? constant(node.inputs[first ? 1 : 0]) : nullptr;
  const size_t units = chain_->units();
  if (numbers == nullptr || numbers->type != chain_->type)
    return refuse(node, "does not add a constant of its layer's type");
  const bool row = numbers->shape.size() <= 1 || (numbers->shape.size() == 2 && numbers->shape[0] == 1);
  if (!row || chain_->biased || chain_->activated)
    return refuse(node, "adds to a layer what is no single row, or not right behind its products");
  WB_CHECK(spread(node, numbers->numbers, units, chain_->layers.back().biases));
  chain_->biased = true;
  return ok_status();
}

Status Graph::add_layer(const Node& node) {
  const bool gemm = node.operation == "Gemm";
  const Tensor* matrix = node.inputs.size() >= 2 ? constant(node.inputs[1]) : nullptr;
  if (matrix == nullptr || constant(node.inputs[0]) != nullptr)
    return refuse(node, "is no product of a layer with a constant on its right");
  if (matrix->type != chain_->type) return fault(node, "takes a constant of another type than its layer");
  const Attribute* alpha = gemm ? node.find("alpha") : nullptr;
  const Attribute* beta = gemm ? node.find("beta") : nullptr;
  if ((alpha != nullptr && alpha->number != 1) || (beta != nullptr && beta->number != 1) ||
      (gemm && whole_or(node, "transA", 0) != 0))
    return refuse(node, "scales or turns over what it multiplies; alpha 1, beta 1 and transA 0 can be carried");
  const bool turned = gemm && whole_or(node, "transB", 0) != 0;
  const size_t inputs = chain_->units();
  const size_t units = inputs == 0 ? 0 : matrix->numbers.size() / inputs;
  const std::vector<int64_t> due =
      turned ? std::vector<int64_t>{static_cast<int64_t>(units), static_cast<int64_t>(inputs)}
             : std::vector<int64_t>{static_cast<int64_t>(inputs), static_cast<int64_t>(units)};
  const bool column = !gemm && matrix->shape.size() == 1 && units == 1;
  if (units == 0 || units * inputs != matrix->numbers.size() || (!column && matrix->shape != due))
    return fault(node, "takes a constant whose shape does not go with ", std::to_string(inputs), " inputs");
  if (units > engine::limits::kLayerUnitsMax || chain_->layers.size() >= engine::limits::kLayersMax)
    return refuse(node, "makes a layer of ", std::to_string(units), " units; at most ",
                  std::to_string(engine::limits::kLayersMax), " layers of ",
                  std::to_string(engine::limits::kLayerUnitsMax), " units can be carried");
  engine::Layer layer;
  layer.weights = matrix->numbers;
  for (size_t i = 0; turned && i < inputs; ++i)
    for (size_t unit = 0; unit < units; ++unit) layer.weights[i * units + unit] = matrix->numbers[unit * inputs + i];
  layer.biases.assign(units, 0);
  chain_->layers.push_back(std::move(layer));
  chain_->biased = chain_->activated = false;
  if (gemm && node.inputs.size() == 3 && !node.inputs[2].empty()) {
    const Tensor* bias = constant(node.inputs[2]);
    const bool row = bias != nullptr && (bias->shape.size() <= 1 || (bias->shape.size() == 2 && bias->shape[0] == 1));
    if (!row || bias->type != chain_->type) return refuse(node, "adds what is no constant row");
    WB_CHECK(spread(node, bias->numbers, units, chain_->layers.back().biases));
    chain_->biased = true;
  }
  return extend(node);
}

Status Graph::activate(const Node& node) {
  struct Known {
    std::string_view operation;
    Activation activation;
  };
  constexpr Known kKnown[] = {
      {"Relu", Activation::kRelu}, {"Tanh", Activation::kTanh}, {"Sigmoid", Activation::kLogistic}};
  if (chain_->activated) return refuse(node, "comes behind another activation");
  chain_->activated = true;
  for (const Known& known : kKnown)
    if (known.operation == node.operation) chain_->layers.back().activation = known.activation;
  if (node.operation == "Exp") chain_->end = Chain::End::kExponential;
  if (node.operation == "Softmax") {
    const int64_t axis = whole_or(node, "axis", -1);  // of two dimensions, also where versions before 13 mean 1
    if (axis != 1 && axis != -1) return refuse(node, "does not go along the row");
    chain_->end = Chain::End::kSoftmax;
  }
  return ok_status();
}

// The next operator on what the chain gives.
Status Graph::take_units(const Node& node) {
  const std::string_view operation = node.operation;
  const bool activation = operation == "Relu" || operation == "Tanh" || operation == "Sigmoid" ||
                          operation == "Softmax" || operation == "Exp";
  if (chain_->end != Chain::End::kOpen) return cannot_pass(node);
  if (operation == "MatMul" || operation == "Gemm") return add_layer(node);
  if (operation == "Add") WB_CHECK(add_bias(node));
  if (activation) WB_CHECK(activate(node));
  if (operation != "Add" && !activation) return cannot_pass(node);
  return extend(node);
}

// What the last layer's activation is to the answers.
Status Graph::finish_chain() {
  engine::Description& model = out;
  engine::Layer& last = chain_->layers.back();
  const size_t units = chain_->units();
  const bool labelled = !model.labels.empty() || two_sided_;
  model.objective = Objective::kRegression;
  if (chain_->end == Chain::End::kSoftmax) model.objective = Objective::kSoftprob;
  if (chain_->end == Chain::End::kExponential) model.objective = Objective::kExponential;
  if (last.activation == Activation::kLogistic) {
    model.objective = two_sided_ ? Objective::kLogistic : labelled ? Objective::kIndependent : Objective::kSigmoid;
    last.activation = Activation::kIdentity;
  }
  if (labelled && (model.objective == Objective::kRegression || model.objective == Objective::kExponential))
    return refuse(*predictor_, "and what follows it give scores that are no probabilities to classes");
  const size_t labels = two_sided_ ? 2 : units;
  const bool classes = labelled || model.objective == Objective::kSoftprob;
  const bool unnamed = model.labels.empty();
  for (size_t i = 0; classes && unnamed && i < labels; ++i) model.labels.push_back(std::to_string(i));
  if (classes && (model.labels.size() != labels || labels < 2))
    return refuse(*predictor_, "and what follows it give ", std::to_string(units), " units for ",
                  std::to_string(model.labels.size()), " classes");
  model.sum.precision = chain_->type == Type::kDouble ? engine::Precision::kF64 : engine::Precision::kF32;
  model.base_margins.assign(units, 0);
  out.notes.emplace_back("margins", kMarginsNote);
  if (chain_->layers.size() > 1 || last.activation != Activation::kIdentity) {
    model.predictor = engine::Network{std::move(chain_->layers)};
    return ok_status();
  }
  const size_t inputs = last.weights.size() / units;
  std::vector<double> weights;
  for (size_t unit = 0; unit < units; ++unit)
    for (size_t i = 0; i < inputs; ++i) weights.push_back(last.weights[i * units + unit]);
  model.linear = engine::Linear{std::move(weights)};
  model.sum.offsets = last.biases;
  return ok_status();
}

}  // namespace wb::imports::onnx
