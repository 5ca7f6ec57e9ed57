#pragma once
// Spec: what a component's configuration may say. One Spec serves four uses: checking a file (closed schema, nearest
// name), the reference page in docs, the JSON schema for editors, and the defaults. A component declares its Spec next
// to its logic.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/document.h"

namespace wb {

enum class FieldType : uint8_t {
  kText,
  kNumber,   // double
  kInteger,  // int64
  kBool,
  kDuration,  // "5s"; value in ms
  kSize,      // "16MiB"; value in bytes
  kTextList,  // list of scalars; one scalar is taken as a list of one
  kTextMap,   // map of scalar to scalar, in file order
  kDocument,  // the component checks the inside itself
};

struct Field {
  std::string name;
  FieldType type = FieldType::kText;
  std::string summary;
  bool required = false;
  std::string fallback = {};  // the default, as it would be written in the file; empty = absent
  double min = -std::numeric_limits<double>::infinity();  // for numbers, durations (ms), sizes (bytes)
  double max = std::numeric_limits<double>::infinity();
  std::vector<std::string> choices = {};  // of a text; empty = any
};

struct Spec {
  std::string name;     // the key in the pipeline file
  std::string summary;  // one sentence
  std::vector<Field> fields;
  std::string example;  // YAML
  std::string costs;    // what the component costs in delivery, memory or privacy
};

// The checked values of one component. Getters assert that the field exists in the Spec with that type; optional
// fields without a default are absent: ask has() first.
class Values {
 public:
  bool has(std::string_view name) const;
  const std::string& text(std::string_view name) const;
  double number(std::string_view name) const;
  int64_t integer(std::string_view name) const;  // kInteger, kDuration (ms) or kSize (bytes)
  bool flag(std::string_view name) const;
  const std::vector<std::string>& list(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& map(std::string_view name) const;
  const Document& document(std::string_view name) const;
  Position at(std::string_view name) const;  // where the value stands, or the component if it was defaulted

 private:
  friend Values check_fields(const Spec&, const Document&, Problems&);
  struct Value {
    std::string name;
    Position at;
    std::string text;
    double number = 0;
    int64_t integer = 0;
    bool flag = false;
    std::vector<std::string> list;
    std::vector<std::pair<std::string, std::string>> map;
    const Document* document = nullptr;  // into the Document given to check_fields, which must outlive this
  };
  const Value& get(std::string_view name) const;
  std::vector<Value> values_;
  Position at_;
};

// Checks `body` (a map, or null for "all defaults") against the Spec. Every fault goes to `problems` with its place;
// the returned Values are usable only if no problem was added.
Values check_fields(const Spec& spec, const Document& body, Problems& problems);

// A component as it is written: a map with exactly one key, plus an optional `label`. Returns the entry, or adds a
// problem.
const Document::Entry* single_key(const Document& component, Problems& problems);

}  // namespace wb
