// Behind the predictor: its answers may be passed on, named, and the largest of them chosen, which is what waybill
// itself does with answers. Anything that computes with them is refused.
#include <algorithm>
#include <cmath>

#include "base/utf8.h"
#include "import/onnx_graph.h"

namespace wb::imports::onnx {
namespace {

// What `node` reshapes to, if a row stays a row.
bool keeps_rows(const Tensor* shape, size_t width) {
  if (shape == nullptr || shape->numbers.empty() || shape->numbers.size() > 2) return false;
  const std::vector<double>& to = shape->numbers;
  if (to.size() == 1) return to[0] == -1 && width == 1;
  return (to[0] == -1 && to[1] == static_cast<double>(width)) || (to[0] == 0 && to[1] == -1);
}

}  // namespace

std::vector<std::string> labels_of(const Node& node, std::string_view texts, std::string_view wholes) {
  std::vector<std::string> labels;
  if (const Attribute* list = node.find(texts)) labels.assign(list->texts.begin(), list->texts.end());
  if (const Attribute* list = node.find(wholes); list != nullptr && labels.empty())
    for (const int64_t label : list->wholes) labels.push_back(std::to_string(label));
  return labels;
}

Status Graph::cannot_pass(const Node& node) const {
  return refuse(node, "computes with what ", predictor_->where(),
                " said, which can only be passed on (Identity, Cast, ZipMap, the label of the largest)");
}

Status Graph::name_labels(const Node& node, std::vector<std::string> labels) {
  if (out.labels.empty() && chain_)
    out.labels = std::move(labels);
  else if (labels != out.labels)
    return refuse(node, "names the classes otherwise than ", predictor_->where());
  return ok_status();
}

Status Graph::pass_label(const Node& node) {
  const std::string_view operation = node.operation;
  const auto to = static_cast<Type>(whole_or(node, "to", 0));
  const bool passes = operation == "Identity" ||
                      (operation == "Reshape" && keeps_rows(constant(node.inputs.back()), 1)) ||
                      (operation == "Cast" && (is_whole(to) || to == Type::kText));
  if (!passes || node.outputs.empty()) return cannot_pass(node);
  said_[node.outputs[0]] = said_.at(node.inputs[0]);
  return ok_status();
}

// Probabilities or values.
Status Graph::pass_answers(const Node& node) {
  const std::string_view operation = node.operation;
  const auto to = static_cast<Type>(whole_or(node, "to", 0));
  const size_t width = chain_ ? (two_sided_ ? 2 : chain_->units()) : out.answers_count();
  Said now = Said::kAnswers;
  bool passes = operation == "Identity" || (operation == "Cast" && (to == Type::kFloat || to == Type::kDouble)) ||
                (operation == "Reshape" && node.inputs.size() == 2 && keeps_rows(constant(node.inputs[1]), width));
  if (operation == "ZipMap") {
    WB_CHECK(name_labels(node, labels_of(node, "classlabels_strings", "classlabels_int64s")));
    passes = true;
  }
  if (operation == "ArgMax" && whole_or(node, "axis", 0) == 1 && whole_or(node, "select_last_index", 0) == 0) {
    passes = true;
    now = Said::kPlace;
  }
  // scikit-learn's one-vs-rest divides by the sum; what is a softmax already has the sum 1.
  if (operation == "Normalizer" && text_or(node, "norm", "MAX") == "L1" && !chain_) {
    passes = out.objective == engine::Objective::kIndependent || out.objective == engine::Objective::kSoftprob ||
             out.objective == engine::Objective::kLogistic;
  }
  if (!passes || node.outputs.empty()) return cannot_pass(node);
  if (operation == "Normalizer" && out.objective == engine::Objective::kIndependent) {
    out.objective = engine::Objective::kOneVsRest;
    for (auto& [name, said] : said_)  // the largest stays the largest
      if (said == Said::kAnswers) said = Said::kPassed;
  }
  said_[node.outputs[0]] = now;
  return ok_status();
}

// What a network's last layer gives: on to the next layer, or it is the answer.
Status Graph::pass_units(const Node& node) {
  const std::string_view operation = node.operation;
  const bool logistic = chain_->layers.back().activation == engine::Activation::kLogistic && chain_->units() == 1;
  if (operation == "Sub" && logistic && node.inputs.size() == 2 && said_.contains(node.inputs[1])) {
    const Tensor* one = constant(node.inputs[0]);
    if (one == nullptr || one->numbers != std::vector<double>{1} || node.outputs.empty()) return cannot_pass(node);
    said_[node.outputs[0]] = Said::kRest;
    return ok_status();
  }
  if (operation == "Concat") return cannot_pass(node);
  if (operation == "Identity" || operation == "Reshape" || operation == "Cast" || operation == "ZipMap" ||
      operation == "ArgMax") {
    WB_CHECK(pass_answers(node));
    const bool casts =
        operation == "Cast" && static_cast<Type>(whole_or(node, "to", 0)) != chain_->type;  // to another precision
    if (casts && chain_->end == Chain::End::kOpen && !chain_->activated)
      return refuse(node, "changes the precision in the middle of a network");
    if (operation != "ZipMap" && operation != "ArgMax" && !casts) said_[node.outputs[0]] = Said::kUnits;
    return ok_status();
  }
  return take_units(node);
}

// The label of the largest: from a list of all, by its place.
Status Graph::label_place(const Node& node, const Tensor& labels) {
  std::vector<std::string> names(labels.texts.begin(), labels.texts.end());
  if (labels.type != Type::kText && !is_whole(labels.type))
    return refuse(node, "gives labels of ", type_name(labels.type), "; texts and whole numbers can be carried");
  for (const double label : labels.numbers) {
    constexpr double kExactMax = 1LL << 53;
    if (!(std::fabs(label) < kExactMax)) return refuse(node, "has a label of 2^53 or more");
    names.push_back(std::to_string(static_cast<int64_t>(label)));
  }
  said_[node.outputs[0]] = Said::kLabel;
  return name_labels(node, std::move(names));
}

Status Graph::take_behind(const Node& node) {
  const auto said = [&](size_t i) { return i < node.inputs.size() ? said_.find(node.inputs[i]) : said_.end(); };
  const auto is = [&](size_t i, Said what) { return said(i) != said_.end() && said(i)->second == what; };
  for (size_t i = 0; i < node.inputs.size(); ++i)
    if (is(i, Said::kPassed))
      return refuse(node, "takes '", valid_text(node.inputs[i], 64),
                    "', from which the graph has gone on elsewhere; branches cannot be carried");
  if (node.operation == "Concat" && node.inputs.size() == 2 && is(0, Said::kRest) && is(1, Said::kUnits) &&
      whole_or(node, "axis", 0) == 1 && !node.outputs.empty()) {
    two_sided_ = true;
    go_on();  // p alone is no more what the model says
    said_[node.outputs[0]] = Said::kAnswers;
    return ok_status();
  }
  if (node.operation == "ArrayFeatureExtractor" && is(1, Said::kPlace) && constant(node.inputs[0]) != nullptr &&
      !node.outputs.empty())
    return label_place(node, *constant(node.inputs[0]));
  const bool units_second =
      !is(0, Said::kUnits) && is(1, Said::kUnits) && (node.operation == "Add" || node.operation == "Sub");
  for (size_t i = 1; i < node.inputs.size(); ++i)
    if (said(i) != said_.end() && !units_second) return cannot_pass(node);
  if (units_second || is(0, Said::kUnits)) return pass_units(node);
  if (is(0, Said::kAnswers)) return pass_answers(node);
  if (is(0, Said::kLabel) || is(0, Said::kPlace)) return pass_label(node);
  return cannot_pass(node);
}

}  // namespace wb::imports::onnx
