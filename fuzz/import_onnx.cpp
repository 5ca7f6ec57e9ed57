// ONNX files.
#include "fuzz/import_model.h"
#include "import/test_onnx.h"

using namespace wb;
using imports::testing::onnx_model;
using imports::testing::Operator;

namespace {

Operator trees(std::string_view mode, std::string_view from) {
  return imports::testing::onnx_trees(mode, from).whole("n_targets", 1);
}

}  // namespace

WB_FUZZ_TARGET(import_onnx) { fuzz::take_model(bytes, imports::Format::kOnnx); }

WB_FUZZ_SEEDS(import_onnx) {
  for (const std::string_view mode : {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT"}) {
    put(onnx_model({trees(mode, "x")}));
    put(onnx_model({trees(mode, "x")}, 2, 11));
  }
  for (const std::string_view transform : {"SOFTMAX", "LOGISTIC", "NONE"})
    put(onnx_model({imports::testing::onnx_classes(transform)}));
  put(onnx_model({imports::testing::onnx_trees_5()}));
  const Operator imputed =
      Operator("Imputer", {"x"}, {"i"}).reals("imputed_value_floats", {9}).real("replaced_value_float", NAN);
  const Operator scaled = Operator("Scaler", {"i"}, {"s"}).reals("offset", {1, 2}).reals("scale", {0.5F, 4});
  put(onnx_model({imputed, scaled, trees("BRANCH_LEQ", "s")}));
  const Operator names =
      Operator("LabelEncoder", {"x"}, {"l"}).reals("keys_floats", {1, 2}).wholes("values_int64s", {1, 0});
  put(onnx_model({names, Operator("Cast", {"l"}, {"c"}).whole("to", 1), trees("BRANCH_GT", "c")}));
  const Operator sides = Operator("OneHotEncoder", {"x"}, {"o"}).wholes("cats_int64s", {3, 5}).whole("zeros", 1);
  for (const std::string_view transform : {"SOFTMAX", "LOGISTIC"})
    put(onnx_model(
        {imports::testing::onnx_linear(transform), Operator("Normalizer", {"y"}, {"z"}).text("norm", "L1")}));
  for (const std::string_view activation : {"Relu", "Tanh", "Sigmoid"})
    put(onnx_model(imports::testing::onnx_network(activation, imports::testing::onnx_two_sides(activation == "Tanh"))));
  put(onnx_model({imports::testing::onnx_constant("w", {1, -1, 0.5F, 2}, {2, 2}),
                  Operator("Gemm", {"x", "w"}, {"h"}).whole("transB", 1), Operator("Softmax", {"h"}, {"y"})}));
  Operator shape("Constant", {}, {"shape"});
  shape.tensor("value", 7, std::string(8, '\xff') + std::string("\x02\0\0\0\0\0\0\0", 8));
  put(onnx_model({shape, sides, Operator("Reshape", {"o", "shape"}, {"r"}), trees("BRANCH_GT", "r")}, 1, 7));
}
