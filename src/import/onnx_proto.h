#pragma once
// An ONNX file as plain values: as much of its messages as the importer looks at. The format is protocol buffers, read
// here field by field (protobuf.dev, "Encoding"): names and texts are views into the file, lists of numbers are bounded
// before they are stored, nothing recurses, and each fault says at which byte it is. Fields that are not named here are
// passed over, as the format asks.
//
// The numbers of fields and types are those of onnx.proto (github.com/onnx/onnx); they never change there.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wb::imports::onnx {

namespace limits {
inline constexpr size_t kNodesMax = 10'000;   // operators in a graph
inline constexpr size_t kNamesMax = 100'000;  // inputs and outputs of operators, initializers, attributes
inline constexpr size_t kAttributesMax = 64;  // of one operator
inline constexpr size_t kNumbersMax = 64U << 20;
}  // namespace limits

enum class Type : int32_t { kNone = 0, kFloat = 1, kInt32 = 6, kInt64 = 7, kText = 8, kBool = 9, kDouble = 11 };
std::string_view type_name(Type type);

struct Tensor {
  size_t offset = 0;  // of the message in the file
  std::string_view name;
  Type type = Type::kNone;
  std::vector<int64_t> shape;
  std::vector<double> numbers;          // kFloat, kInt32, kInt64 up to 2^53, kDouble, and the small whole types
  std::vector<std::string_view> texts;  // kText
};

struct Attribute {
  size_t offset = 0;
  std::string_view name;
  double number = 0;  // f
  int64_t whole = 0;  // i
  std::string_view text;
  std::vector<float> numbers;
  std::vector<int64_t> wholes;
  std::vector<std::string_view> texts;
  std::vector<Tensor> tensors;  // none or one
};

struct Node {
  size_t offset = 0;
  std::string_view name;
  std::string_view operation;
  std::string_view domain;
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::vector<Attribute> attributes;

  const Attribute* find(std::string_view attribute) const;
  std::string where() const;  // "TreeEnsembleRegressor 'trees' (byte 120)"
};

struct Input {
  size_t offset = 0;
  std::string_view name;
  Type type = Type::kNone;     // kNone: no tensor
  std::vector<int64_t> shape;  // -1: not fixed
};

struct Opset {
  std::string_view domain;
  int64_t version = 0;
};

struct Model {
  std::string_view producer;
  std::vector<Opset> opsets;
  std::vector<Node> nodes;  // each after what it takes from
  std::vector<Tensor> initializers;
  std::vector<Input> inputs;
  std::vector<std::string_view> outputs;
};

bool looks_like_model(std::string_view bytes);  // takes no memory and judges nothing
Result<Model> read_model(std::string_view bytes);

}  // namespace wb::imports::onnx
