#include "import/onnx_proto.h"

#include <bit>
#include <cmath>

#include "base/utf8.h"

namespace wb::imports::onnx {
namespace {

// What a field holds: a number, or bytes.
struct Field {
  uint32_t number = 0;
  uint8_t wire = 0;  // 0 varint, 1 eight bytes, 2 a length and as many bytes, 5 four bytes
  uint64_t value = 0;
  std::string_view bytes;
  size_t offset = 0;  // of what it holds, in the file
};

Error broken(size_t offset, std::string_view what) {
  return fail(Code::kInvalid, "byte ", std::to_string(offset), ": ", what);
}

class Wire {
 public:
  Wire(std::string_view bytes, size_t offset) : bytes_(bytes), offset_(offset) {}
  explicit Wire(const Field& message) : Wire(message.bytes, message.offset) {}

  bool more() const { return at_ < bytes_.size(); }
  Result<Field> next();
  size_t offset() const { return offset_ + at_; }
  Result<uint64_t> varint();
  Result<uint64_t> fixed(size_t bytes_count);

 private:
  std::string_view bytes_;
  size_t offset_;
  size_t at_ = 0;
};

Result<uint64_t> Wire::varint() {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (!more()) return broken(offset(), "the file ends within a number");
    const auto byte = static_cast<uint8_t>(bytes_[at_++]);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  return broken(offset(), "a number of more than ten bytes");
}

Result<uint64_t> Wire::fixed(size_t bytes_count) {
  if (bytes_.size() - at_ < bytes_count) return broken(offset(), "the file ends within a number");
  uint64_t value = 0;
  for (size_t i = 0; i < bytes_count; ++i)
    value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes_[at_ + i])) << (8 * i);
  at_ += bytes_count;
  return value;
}

Result<Field> Wire::next() {
  WB_TRY(const uint64_t tag, varint());
  Field field;
  field.number = static_cast<uint32_t>(tag >> 3);
  field.wire = static_cast<uint8_t>(tag & 7);
  if (tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) return broken(offset(), "a field with no valid number");
  field.offset = offset();
  if (field.wire == 0) {
    WB_TRY(field.value, varint());
  } else if (field.wire == 1 || field.wire == 5) {
    WB_TRY(field.value, fixed(field.wire == 1 ? 8 : 4));
  } else if (field.wire == 2) {
    WB_TRY(const uint64_t size, varint());
    if (size > bytes_.size() - at_) return broken(offset(), "a length that goes beyond what holds it");
    field.offset = offset();
    field.bytes = bytes_.substr(at_, size);
    at_ += size;
  } else {
    return broken(offset(), "a wire type that no ONNX file has");
  }
  return field;
}

// What the whole file may cost.
struct Budget {
  size_t numbers = limits::kNumbersMax;
  size_t names = limits::kNamesMax;
  Status take(size_t& rest, size_t count, size_t offset, std::string_view what) const {
    if (count > rest)
      return fail(Code::kUnsupported, "byte ", std::to_string(offset), ": too many ", what, " in one file");
    rest -= count;
    return ok_status();
  }
  Status take_numbers(size_t count, size_t offset) { return take(numbers, count, offset, "numbers"); }
  Status take_name(size_t offset) { return take(names, 1, offset, "names and attributes"); }
};

Status expect(const Field& field, uint8_t wire) {
  return field.wire == wire ? ok_status() : Status(broken(field.offset, "a field of another type than ONNX gives it"));
}
Result<std::string_view> text_of(const Field& field) {
  WB_CHECK(expect(field, 2));
  return field.bytes;
}
Result<int64_t> whole_of(const Field& field) {
  WB_CHECK(expect(field, 0));
  return static_cast<int64_t>(field.value);
}

// A repeated number stands alone, or many in one field ("packed").
template <class Number>
Status add_wholes(const Field& field, Budget& budget, std::vector<Number>& out) {
  if (field.wire == 0) {
    WB_CHECK(budget.take_numbers(1, field.offset));
    out.push_back(static_cast<Number>(static_cast<int64_t>(field.value)));
    return ok_status();
  }
  WB_CHECK(expect(field, 2));
  for (Wire wire(field); wire.more();) {
    WB_CHECK(budget.take_numbers(1, wire.offset()));
    WB_TRY(const uint64_t value, wire.varint());
    out.push_back(static_cast<Number>(static_cast<int64_t>(value)));
  }
  return ok_status();
}

// Coded is float or double.
template <class Coded, class Number>
Status add_reals(const Field& field, Budget& budget, std::vector<Number>& out) {
  constexpr bool kNarrow = sizeof(Coded) == 4;
  const auto push = [&](uint64_t bits) {
    if constexpr (kNarrow) out.push_back(static_cast<Number>(std::bit_cast<float>(static_cast<uint32_t>(bits))));
    if constexpr (!kNarrow) out.push_back(static_cast<Number>(std::bit_cast<double>(bits)));
  };
  if (field.wire == (kNarrow ? 5 : 1)) {
    WB_CHECK(budget.take_numbers(1, field.offset));
    push(field.value);
    return ok_status();
  }
  WB_CHECK(expect(field, 2));
  if (field.bytes.size() % sizeof(Coded) != 0) return broken(field.offset, "a list whose last number is cut off");
  WB_CHECK(budget.take_numbers(field.bytes.size() / sizeof(Coded), field.offset));
  out.reserve(out.size() + field.bytes.size() / sizeof(Coded));
  for (Wire wire(field); wire.more();) {
    WB_TRY(const uint64_t bits, wire.fixed(sizeof(Coded)));
    push(bits);
  }
  return ok_status();
}

// ---- Messages.
size_t raw_size(int64_t type) {
  switch (type) {
    case 1:
    case 6: return 4;
    case 2:
    case 3:
    case 9: return 1;
    case 7:
    case 11: return 8;
    default: return 0;
  }
}
double raw_number(int64_t type, uint64_t bits) {
  switch (type) {
    case 1: return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    case 3: return static_cast<double>(static_cast<int8_t>(bits));
    case 6: return static_cast<double>(static_cast<int32_t>(static_cast<uint32_t>(bits)));
    case 7: return static_cast<double>(static_cast<int64_t>(bits));
    case 11: return std::bit_cast<double>(bits);
    default: return static_cast<double>(bits);
  }
}

Status read_raw(const Field& raw, int64_t type, Budget& budget, Tensor& out) {
  const size_t size = raw_size(type);
  if (size == 0)
    return fail(Code::kUnsupported, "byte ", std::to_string(raw.offset), ": a tensor of ONNX's element type ",
                std::to_string(type), ", which is not read");
  if (raw.bytes.size() % size != 0) return broken(raw.offset, "a tensor whose last number is cut off");
  WB_CHECK(budget.take_numbers(raw.bytes.size() / size, raw.offset));
  out.numbers.reserve(raw.bytes.size() / size);
  for (Wire wire(raw); wire.more();) {
    WB_TRY(const uint64_t bits, wire.fixed(size));
    out.numbers.push_back(raw_number(type, bits));
  }
  return ok_status();
}

Result<Tensor> read_tensor(const Field& message, Budget& budget) {
  WB_CHECK(expect(message, 2));
  Tensor out;
  out.offset = message.offset;
  Field raw;
  int64_t type = 0;
  for (Wire wire(message); wire.more();) {
    WB_TRY(const Field field, wire.next());
    switch (field.number) {
      case 1: WB_CHECK(add_wholes(field, budget, out.shape)); break;
      case 2: {
        WB_TRY(type, whole_of(field));
        break;
      }
      case 4: WB_CHECK(add_reals<float>(field, budget, out.numbers)); break;
      case 5:
      case 7:
      case 11: WB_CHECK(add_wholes(field, budget, out.numbers)); break;
      case 6: {
        WB_CHECK(budget.take_name(field.offset));
        WB_TRY(const std::string_view text, text_of(field));
        out.texts.push_back(text);
        break;
      }
      case 8: {
        WB_TRY(out.name, text_of(field));
        break;
      }
      case 9:
        WB_CHECK(expect(field, 2));
        raw = field;
        break;
      case 10: WB_CHECK(add_reals<double>(field, budget, out.numbers)); break;
      case 13:
      case 14:
        return fail(Code::kUnsupported, "byte ", std::to_string(field.offset),
                    ": a tensor that lies in another file; save the model as one file");
      default: break;
    }
  }
  out.type = static_cast<Type>(type);
  if (!raw.bytes.empty()) WB_CHECK(read_raw(raw, type, budget, out));
  return out;
}

Result<Attribute> read_attribute(const Field& message, Budget& budget) {
  WB_CHECK(expect(message, 2));
  WB_CHECK(budget.take_name(message.offset));
  Attribute out;
  out.offset = message.offset;
  for (Wire wire(message); wire.more();) {
    WB_TRY(const Field field, wire.next());
    switch (field.number) {
      case 1: {
        WB_TRY(out.name, text_of(field));
        break;
      }
      case 2:
        WB_CHECK(expect(field, 5));
        out.number = static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(field.value)));
        break;
      case 3: {
        WB_TRY(out.whole, whole_of(field));
        break;
      }
      case 4: {
        WB_TRY(out.text, text_of(field));
        break;
      }
      case 5: {
        if (!out.tensors.empty()) return broken(field.offset, "an attribute with two tensors");
        WB_TRY(Tensor tensor, read_tensor(field, budget));
        out.tensors.push_back(std::move(tensor));
        break;
      }
      case 7: WB_CHECK(add_reals<float>(field, budget, out.numbers)); break;
      case 8: WB_CHECK(add_wholes(field, budget, out.wholes)); break;
      case 9: {
        WB_CHECK(budget.take_numbers(1, field.offset));
        WB_TRY(const std::string_view text, text_of(field));
        out.texts.push_back(text);
        break;
      }
      default: break;
    }
  }
  return out;
}

Result<Node> read_node(const Field& message, Budget& budget) {
  WB_CHECK(expect(message, 2));
  Node out;
  out.offset = message.offset;
  for (Wire wire(message); wire.more();) {
    WB_TRY(const Field field, wire.next());
    if (field.number == 1 || field.number == 2) {
      WB_CHECK(budget.take_name(field.offset));
      WB_TRY(const std::string_view name, text_of(field));
      (field.number == 1 ? out.inputs : out.outputs).push_back(name);
    } else if (field.number == 3) {
      WB_TRY(out.name, text_of(field));
    } else if (field.number == 4) {
      WB_TRY(out.operation, text_of(field));
    } else if (field.number == 5) {
      WB_TRY(Attribute attribute, read_attribute(field, budget));
      if (out.find(attribute.name) != nullptr || out.attributes.size() == limits::kAttributesMax)
        return broken(field.offset, "an attribute stands twice, or there are too many");
      out.attributes.push_back(std::move(attribute));
    } else if (field.number == 7) {
      WB_TRY(out.domain, text_of(field));
    }
  }
  return out;
}

Result<std::vector<int64_t>> read_shape(const Field& message, Budget& budget) {
  WB_CHECK(expect(message, 2));
  std::vector<int64_t> out;
  for (Wire wire(message); wire.more();) {
    WB_TRY(const Field dimension, wire.next());
    if (dimension.number != 1) continue;
    WB_CHECK(expect(dimension, 2));
    WB_CHECK(budget.take_numbers(1, dimension.offset));
    out.push_back(-1);
    for (Wire inner(dimension); inner.more();) {
      WB_TRY(const Field field, inner.next());
      if (field.number == 1) {
        WB_TRY(out.back(), whole_of(field));
      }
    }
  }
  return out;
}

// Its name, and its type if that is a tensor.
Result<Input> read_value_info(const Field& message, Budget& budget) {
  WB_CHECK(expect(message, 2));
  WB_CHECK(budget.take_name(message.offset));
  Input out;
  out.offset = message.offset;
  for (Wire wire(message); wire.more();) {
    WB_TRY(const Field field, wire.next());
    if (field.number == 1) {
      WB_TRY(out.name, text_of(field));
    }
    if (field.number != 2) continue;
    WB_CHECK(expect(field, 2));
    for (Wire kinds(field); kinds.more();) {
      WB_TRY(const Field kind, kinds.next());
      if (kind.number != 1) continue;
      WB_CHECK(expect(kind, 2));
      for (Wire parts(kind); parts.more();) {
        WB_TRY(const Field part, parts.next());
        if (part.number == 1) {
          WB_TRY(const int64_t type, whole_of(part));
          out.type = static_cast<Type>(type);
        }
        if (part.number == 2) {
          WB_TRY(out.shape, read_shape(part, budget));
        }
      }
    }
  }
  return out;
}

Status read_graph(const Field& message, Budget& budget, Model& out) {
  WB_CHECK(expect(message, 2));
  for (Wire wire(message); wire.more();) {
    WB_TRY(const Field field, wire.next());
    if (field.number == 1) {
      if (out.nodes.size() == limits::kNodesMax)
        return fail(Code::kUnsupported, "byte ", std::to_string(field.offset), ": more than ",
                    std::to_string(limits::kNodesMax), " operators");
      WB_TRY(Node node, read_node(field, budget));
      out.nodes.push_back(std::move(node));
    } else if (field.number == 5) {
      WB_CHECK(budget.take_name(field.offset));
      WB_TRY(Tensor tensor, read_tensor(field, budget));
      out.initializers.push_back(std::move(tensor));
    } else if (field.number == 11) {
      WB_TRY(Input input, read_value_info(field, budget));
      out.inputs.push_back(std::move(input));
    } else if (field.number == 12) {
      WB_TRY(const Input output, read_value_info(field, budget));
      out.outputs.push_back(output.name);
    }
  }
  return ok_status();
}

Result<Opset> read_opset(const Field& message) {
  WB_CHECK(expect(message, 2));
  Opset out;
  for (Wire wire(message); wire.more();) {
    WB_TRY(const Field field, wire.next());
    if (field.number == 1) {
      WB_TRY(out.domain, text_of(field));
    }
    if (field.number == 2) {
      WB_TRY(out.version, whole_of(field));
    }
  }
  return out;
}

}  // namespace

std::string_view type_name(Type type) {
  switch (type) {
    case Type::kFloat: return "float";
    case Type::kInt32: return "int32";
    case Type::kInt64: return "int64";
    case Type::kText: return "string";
    case Type::kBool: return "bool";
    case Type::kDouble: return "double";
    default: return "another type";
  }
}

const Attribute* Node::find(std::string_view attribute) const {
  for (const Attribute& one : attributes) {
    if (one.name == attribute) return &one;
  }
  return nullptr;
}

std::string Node::where() const {
  return valid_text(operation, 64) + " '" + valid_text(name, 64) + "' (byte " + std::to_string(offset) + ")";
}

// The version of the format, which is a small number and comes first, then another field of the outermost message.
bool looks_like_model(std::string_view bytes) {
  constexpr std::string_view kNext = "\x12\x1a\x22\x28\x32\x3a\x42";
  return bytes.size() > 2 && bytes[0] == 8 && bytes[1] > 0 && bytes[1] < 64 && kNext.find(bytes[2]) != kNext.npos;
}

Result<Model> read_model(std::string_view bytes) {
  Model out;
  Budget budget;
  bool graph = false;
  for (Wire wire(bytes, 0); wire.more();) {
    WB_TRY(const Field field, wire.next());
    if (field.number == 2) {
      WB_TRY(out.producer, text_of(field));
    } else if (field.number == 7) {
      if (graph) return broken(field.offset, "a second graph");
      graph = true;
      WB_CHECK(read_graph(field, budget, out));
    } else if (field.number == 8) {
      WB_CHECK(budget.take_name(field.offset));
      WB_TRY(const Opset opset, read_opset(field));
      out.opsets.push_back(opset);
    }
  }
  if (!graph) return fail(Code::kInvalid, "there is no graph in it");
  return out;
}

}  // namespace wb::imports::onnx
