// Leaves that are lines, and the bytes of whatever is no ensemble.
#include <algorithm>

#include "engine/format.h"
#include "engine/predictors.h"
#include "engine/reference.h"

namespace wb::engine {

Status check_lines(const Description& model, size_t width) {
  size_t numbers = 0;
  for (size_t i = 0; i < model.lines.size(); ++i) {
    const Line& line = model.lines[i];
    const std::string where = "line " + std::to_string(i) + ": ";
    if (line.columns.size() != line.weights.size())
      return fail(Code::kInvalid, where, "has not one weight for each column");
    for (const uint32_t column : line.columns) {
      if (column >= width)
        return fail(Code::kInvalid, where, "takes column ", std::to_string(column), " of ", std::to_string(width),
                    "; they count from 0");
    }
    numbers += 1 + line.columns.size();
    if (numbers > limits::kLineNumbersMax)
      return fail(Code::kInvalid, "the leaves' lines have more than ", std::to_string(limits::kLineNumbersMax),
                  " numbers");
    WB_CHECK(check_computed(std::span(&line.constant, 1), model, where + "constant"));
    WB_CHECK(check_computed(line.weights, model, where + "weight"));
  }
  return ok_status();
}

template <class Column, class Out>
void predict_lines(const Description& model, std::span<const Column> rows, std::span<Out> margins) {
  const size_t outputs = model.outputs_count();
  const size_t n = margins.size() / outputs;
  const size_t width = n == 0 ? 0 : rows.size() / n;
  std::vector<double> columns(width);
  for (size_t row = 0; row < n; ++row) {
    const auto of_row = rows.subspan(row * width, width);
    columns.assign(of_row.begin(), of_row.end());
    const std::vector<double> sums = reference_of_columns(model, columns);
    for (size_t i = 0; i < outputs; ++i) margins[row * outputs + i] = static_cast<Out>(sums[i]);
  }
}
template void predict_lines(const Description&, std::span<const float>, std::span<float>);
template void predict_lines(const Description&, std::span<const double>, std::span<float>);
template void predict_lines(const Description&, std::span<const double>, std::span<double>);

namespace format {

std::string pack_lines(const Description& model) {
  std::string out;
  for (const Tree& tree : model.trees) {
    preorder(tree, [&](const TreeNode& leaf) {
      if (leaf.left >= 0) return;
      if (leaf.set < 0) return put_varint(out, 0);
      const Line& line = model.lines[static_cast<size_t>(leaf.set)];
      put_varint(out, line.columns.size() + 1);
      put_number(out, line.constant, model.sum.precision);
      for (const uint32_t column : line.columns) put_varint(out, column);
      for (const double weight : line.weights) put_number(out, weight, model.sum.precision);
    });
  }
  return out;
}

Status read_lines(ReaderView in, Description& model) {
  const Precision precision = model.sum.precision;
  for (Tree& tree : model.trees) {
    for (TreeNode& leaf : tree.nodes) {
      if (leaf.left >= 0) continue;
      const size_t count = in.count(limits::kColumnsMax + 1, 1);
      if (!in.ok()) return in.damaged("");
      if (count == 0) continue;
      if (!tree.vectors.empty()) return in.damaged("a line in a tree whose leaves are vectors");
      leaf.set = static_cast<int32_t>(model.lines.size());
      Line& line = model.lines.emplace_back();
      line.constant = in.number(precision);
      line.columns.resize(count - 1);
      for (uint32_t& column : line.columns) column = static_cast<uint32_t>(std::min<uint64_t>(in.varint(), UINT32_MAX));
      line.weights.resize(count - 1);
      for (double& weight : line.weights) weight = in.number(precision);
    }
  }
  if (model.lines.empty()) return in.damaged("not one line");
  WB_CHECK(in.close());
  const Status sound = check_lines(model, columns_count(model));
  return sound.ok() ? ok_status() : Status(in.damaged(sound.error().text));
}

std::string pack_predictor(const Description& model) {
  std::string out;
  const auto* network = std::get_if<Network>(&model.predictor);
  put_byte(out, static_cast<uint8_t>(network != nullptr ? PredictorKind::kNetwork : PredictorKind::kNeighbours));
  if (network != nullptr) pack_network(*network, model.sum.precision, out);
  if (network == nullptr) pack_neighbours(*std::get_if<Neighbours>(&model.predictor), model, out);
  return out;
}

Status read_predictor(ReaderView in, Description& model) {
  const auto kind = static_cast<PredictorKind>(in.byte());
  if (kind == PredictorKind::kNetwork) {
    WB_TRY(model.predictor, read_network(in, model));
  } else if (kind == PredictorKind::kNeighbours) {
    WB_TRY(model.predictor, read_neighbours(in, model));
  } else {
    return in.damaged("an unknown kind of predictor");
  }
  return in.close();
}

}  // namespace format
}  // namespace wb::engine
