// Dense layers: all units of a layer side by side, input after input, so that each unit adds in the order of its inputs
// and a compiler may take several units at once.
#include <algorithm>
#include <array>

#include "engine/format.h"
#include "engine/predictors.h"

namespace wb::engine {
namespace {

template <class Number>
using Units = std::array<Number, limits::kLayerUnitsMax>;

template <class Number, class Input>
void take_layer(const Layer& layer, std::span<const Input> inputs, Units<Number>& out) {
  const size_t units = layer.biases.size();
  std::fill_n(out.begin(), units, Number{0});
  const double* weights = layer.weights.data();
  for (const Input input : inputs) {
    const auto x = static_cast<Number>(input);
    for (size_t unit = 0; unit < units; ++unit) out[unit] += static_cast<Number>(*weights++) * x;
  }
  for (size_t unit = 0; unit < units; ++unit) {
    out[unit] += static_cast<Number>(layer.biases[unit]);
    if (layer.activation == Activation::kIdentity) continue;
    out[unit] = static_cast<Number>(activated(layer.activation, static_cast<double>(out[unit])));
  }
}

template <class Number, class Column, class Out>
void predict_row(const Network& network, std::span<const Column> columns, Out* margins) {
  Units<Number> here;
  Units<Number> next;
  take_layer(network.layers[0], columns, here);
  for (size_t i = 1; i < network.layers.size(); ++i) {
    take_layer(network.layers[i], std::span<const Number>(here).first(network.layers[i - 1].biases.size()), next);
    std::swap(here, next);
  }
  const size_t outputs = network.layers.back().biases.size();
  for (size_t i = 0; i < outputs; ++i) margins[i] = static_cast<Out>(here[i]);
}

}  // namespace

Status check_network(const Description& model, const Network& network, size_t width) {
  if (network.layers.empty() || network.layers.size() > limits::kLayersMax)
    return fail(Code::kInvalid, "a network needs 1 to ", std::to_string(limits::kLayersMax), " layers");
  size_t weights = 0;
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const Layer& layer = network.layers[i];
    const std::string where = "layer " + std::to_string(i) + ": ";
    if (layer.activation < Activation::kIdentity || layer.activation > Activation::kLogistic)
      return fail(Code::kInvalid, where, "the activation is unknown");
    const size_t units = layer.biases.size();
    if (units == 0 || units > limits::kLayerUnitsMax)
      return fail(Code::kInvalid, where, "has ", std::to_string(units), " units; 1 to ",
                  std::to_string(limits::kLayerUnitsMax), " can be carried");
    if (layer.weights.size() != width * units)
      return fail(Code::kInvalid, where, "has ", std::to_string(layer.weights.size()), " weights for ",
                  std::to_string(width), " inputs and ", std::to_string(units), " units");
    weights += layer.weights.size();
    if (weights > limits::kLayerWeightsMax)
      return fail(Code::kInvalid, "the network has more than ", std::to_string(limits::kLayerWeightsMax), " weights");
    WB_CHECK(check_computed(layer.weights, model, where + "weight"));
    WB_CHECK(check_computed(layer.biases, model, where + "bias"));
    width = units;
  }
  if (width == model.outputs_count()) return ok_status();
  return fail(Code::kInvalid, "the last layer has ", std::to_string(width), " units for ",
              std::to_string(model.outputs_count()), " outputs");
}

template <class Column, class Out>
void predict_network(const Description& model, std::span<const Column> rows, std::span<Out> margins) {
  const Network& network = *std::get_if<Network>(&model.predictor);
  const size_t outputs = model.outputs_count();
  const size_t n = margins.size() / outputs;
  const size_t width = n == 0 ? 0 : rows.size() / n;
  for (size_t row = 0; row < n; ++row) {
    const auto columns = rows.subspan(row * width, width);
    Out* into = margins.data() + row * outputs;
    if (model.sum.precision == Precision::kF32) predict_row<float>(network, columns, into);
    if (model.sum.precision == Precision::kF64) predict_row<double>(network, columns, into);
  }
}
template void predict_network(const Description&, std::span<const float>, std::span<float>);
template void predict_network(const Description&, std::span<const double>, std::span<float>);
template void predict_network(const Description&, std::span<const double>, std::span<double>);

namespace format {

void pack_network(const Network& network, Precision precision, std::string& out) {
  put_varint(out, network.layers.size());
  for (const Layer& layer : network.layers) {
    put_byte(out, static_cast<uint8_t>(layer.activation));
    put_varint(out, layer.biases.size());
    for (const double weight : layer.weights) put_number(out, weight, precision);
    for (const double bias : layer.biases) put_number(out, bias, precision);
  }
}

Result<Network> read_network(ReaderView& in, const Description& model) {
  const Precision precision = model.sum.precision;
  const size_t bytes = precision == Precision::kF32 ? 4 : 8;
  Network network;
  size_t width = columns_count(model);
  const size_t layers = in.count(limits::kLayersMax, 2 + bytes);
  for (size_t i = 0; i < layers; ++i) {
    Layer layer;
    layer.activation = static_cast<Activation>(in.byte());
    layer.biases.resize(in.count(limits::kLayerUnitsMax, bytes));
    const size_t weights = width * layer.biases.size();
    if (weights * bytes > in.rest().size()) return in.damaged("more weights than bytes");
    layer.weights.resize(weights);
    for (double& weight : layer.weights) weight = in.number(precision);
    for (double& bias : layer.biases) bias = in.number(precision);
    if (!in.ok()) return in.damaged("");
    width = layer.biases.size();
    network.layers.push_back(std::move(layer));
  }
  return network;
}

}  // namespace format
}  // namespace wb::engine
