#pragma once
// JSON and UBJSON (ubjson.org, draft 12) as one tree of values: what XGBoost, CatBoost and others save models in.
//
// A list of numbers is one packed vector, so that a model of a million nodes costs eight bytes a number. Nesting and
// counts are bounded (import.h, limits); a length that the bytes cannot hold is refused before anything is allocated. A
// key that stands twice in one object is refused: readers disagree on which one counts.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace wb::imports {

struct Json;
struct JsonNull {};
using JsonNumbers = std::vector<double>;  // a list of nothing but numbers, true (1) and false (0); also the empty list
using JsonList = std::vector<Json>;       // any other list
struct JsonObject {
  std::vector<std::string> keys;  // ascending
  std::vector<Json> values;       // values[i] stands under keys[i]
};
struct Json {
  size_t offset = 0;  // of its first byte in the file
  std::variant<JsonNull, bool, double, std::string, JsonNumbers, JsonList, JsonObject> value;
};

// How a number written with a point or an exponent is read: straight to the nearest f32, or to the nearest f64.
// Reading to f64 first and rounding again is not always the nearest f32.
enum class Decimals : uint8_t { kF32, kF64 };

// NaN, Infinity and -Infinity are numbers, because libraries write them.
Result<Json> parse_json(std::string_view bytes, Decimals decimals);
Result<Json> parse_ubjson(std::string_view bytes);

// The keys of the outermost object hold `key`: a quick look that takes no memory and judges nothing.
bool json_has_key(std::string_view bytes, std::string_view key);

// A value and the way to it. Every fault says both: "/learner/objective (byte 1203): …".
class JsonView {
 public:
  explicit JsonView(const Json& json, std::string path = "") : json_(&json), path_(std::move(path)) {}

  bool has(std::string_view key) const { return find(key) != nullptr; }
  Result<JsonView> field(std::string_view key) const;  // of an object; kInvalid if it is not there
  Result<std::string_view> text() const;
  Result<double> number() const;
  Result<uint64_t> count(uint64_t max) const;       // a number, or a text that is one: whole, 0 to max
  Result<std::span<const double>> numbers() const;  // a list of numbers
  Result<std::vector<JsonView>> items() const;      // a list of anything but numbers
  bool is_null() const { return std::holds_alternative<JsonNull>(json_->value); }
  bool is_text() const { return std::holds_alternative<std::string>(json_->value); }
  bool is_number() const { return std::holds_alternative<double>(json_->value); }
  const Json& json() const { return *json_; }

  template <class... Parts>
  Error fault(const Parts&... parts) const {
    return fail(Code::kInvalid, where(), parts...);
  }
  template <class... Parts>
  Error unsupported(const Parts&... parts) const {
    return fail(Code::kUnsupported, where(), parts...);
  }

 private:
  const Json* find(std::string_view key) const;
  std::string where() const;

  const Json* json_;
  std::string path_;
};

}  // namespace wb::imports
