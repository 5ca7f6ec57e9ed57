#pragma once
// What the parts of the ONNX importer share: onnx.cpp follows the graph (onnx_graph.h), onnx_before.cpp takes what
// stands before the predictor, which onnx_steps.cpp writes as steps, onnx_trees.cpp and onnx_dense.cpp read the
// predictor, and onnx_behind.cpp takes what passes on its answers.

#include <string>
#include <vector>

#include "import/formats.h"
#include "import/onnx_proto.h"

namespace wb::imports::onnx {

// A column on its way through the graph: a feature, and what is done to it, one thing after the other.
struct Change {
  enum class Kind : uint8_t { kScale, kImpute, kOrdinal, kOneHot };
  Kind kind = Kind::kScale;
  engine::Scale::Form form = engine::Scale::Form::kShiftDivide;
  double a = 0;  // of kScale; of kImpute, the value; of kOrdinal, what the unknown becomes
  double b = 0;
  size_t categories = 0;  // of kOrdinal and kOneHot: into Columns::categories
  size_t category = 0;    // of kOneHot: which
  friend bool operator==(const Change&, const Change&) = default;
};
struct Column {
  uint32_t feature = 0;
  std::vector<Change> changes;  // kOneHot stands last
};
// In which precision something was computed from them, if anything was: a description has one for all of its steps.
enum class Computed : uint8_t { kNot, kF32, kF64 };
// What a name of the graph stands for, when it is rows of numbers.
struct Columns {
  std::vector<Column> columns;
  Type type = Type::kFloat;  // as which the numbers are stored there
  bool narrowed = false;     // each was an f32 at some point
  Computed computed = Computed::kNot;
  size_t cube = 0;  // not 0: of the shape [rows, cube, categories], so that a Reshape is due

  engine::Precision steps_precision() const {
    const bool wide = computed == Computed::kF64 || (computed == Computed::kNot && type == Type::kDouble && !narrowed);
    return wide ? engine::Precision::kF64 : engine::Precision::kF32;
  }
};

using Categories = std::vector<std::vector<double>>;

// Where the steps stand in the description after this: none if the columns are the features as they come.
Status write_steps(const Columns& columns, const Categories& categories, engine::Description& model);

// How the trees' attributes are read into the description: objective, labels, sum and trees. `columns` is what the
// operator takes; its node thresholds decide how the trees compare.
Status read_tree_classifier(const Node& node, const Columns& columns, engine::Description& model);
Status read_tree_regressor(const Node& node, const Columns& columns, engine::Description& model);
Status read_tree_ensemble(const Node& node, const Columns& columns, engine::Description& model);  // of version 5

template <class... Parts>
Error refuse(const Node& node, const Parts&... parts) {
  return fail(Code::kUnsupported, node.where(), ": ", parts...);
}
template <class... Parts>
Error fault(const Node& node, const Parts&... parts) {
  return fail(Code::kInvalid, node.where(), ": ", parts...);
}

}  // namespace wb::imports::onnx
