// One pass by recursive descent. The text of a number goes to std::from_chars as it stands.
#include "import/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/bytes.h"
#include "base/utf8.h"
#include "import/import.h"
#include "import/json_budget.h"

namespace wb::imports {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_number_char(char c) {
  return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

class Parser {
 public:
  Parser(std::string_view bytes, Decimals decimals) : bytes_(bytes), decimals_(decimals) {}

  Result<Json> document() {
    skip_spaces();
    WB_TRY(Json json, value(0));
    skip_spaces();
    if (at_ != bytes_.size()) return fault("text after the end of the model");
    return json;
  }

 private:
  Error fault(std::string_view what) const { return fail(Code::kInvalid, "byte ", std::to_string(at_), ": ", what); }
  char peek() const { return at_ < bytes_.size() ? bytes_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c || at_ >= bytes_.size()) return false;
    ++at_;
    return true;
  }
  bool take_word(std::string_view word) {
    if (!bytes_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }
  void skip_spaces() {
    while (at_ < bytes_.size() && is_space(bytes_[at_])) ++at_;
  }

  Result<Json> value(size_t depth) {
    WB_CHECK(budget_.value(at_, depth));
    Json json;
    json.offset = at_;
    switch (peek()) {
      case '{': {
        WB_TRY(json.value, object(depth));
        return json;
      }
      case '[': {
        WB_CHECK(list(depth, json));
        return json;
      }
      case '"': {
        WB_TRY(json.value, text());
        return json;
      }
      default: break;
    }
    if (take_word("null")) return json;
    if (take_word("true")) {
      json.value = true;
    } else if (take_word("false")) {
      json.value = false;
    } else {
      WB_TRY(json.value, number());
    }
    return json;
  }

  Result<JsonObject> object(size_t depth) {
    ++at_;
    std::vector<std::pair<std::string, Json>> members;
    skip_spaces();
    while (!take('}')) {
      if (!members.empty() && !take(',')) return fault("expected ',' or '}'");
      skip_spaces();
      if (peek() != '"') return fault("expected a key in quotes");
      WB_TRY(std::string key, text());
      skip_spaces();
      if (!take(':')) return fault("expected ':'");
      skip_spaces();
      WB_TRY(Json item, value(depth + 1));
      members.emplace_back(std::move(key), std::move(item));
      skip_spaces();
    }
    return sorted_object(std::move(members));
  }

  // Packed as long as everything is a number.
  Status list(size_t depth, Json& json) {
    ++at_;
    JsonNumbers numbers;
    JsonList items;
    bool packed = true;
    size_t count = 0;
    skip_spaces();
    for (; !take(']'); ++count) {
      if (count > 0 && !take(',')) return fault("expected ',' or ']'");
      skip_spaces();
      packed = packed && starts_packable();
      if (packed) {
        WB_TRY(const double number, packable());
        WB_CHECK(budget_.numbers(at_, 1));
        numbers.push_back(number);
      } else {
        WB_CHECK(unpack(json.offset, numbers, items));
        WB_TRY(Json item, value(depth + 1));
        items.push_back(std::move(item));
      }
      skip_spaces();
    }
    if (packed) {
      json.value = std::move(numbers);
    } else {
      json.value = std::move(items);
    }
    return ok_status();
  }

  // A list that turned out to hold more than numbers.
  Status unpack(size_t offset, JsonNumbers& numbers, JsonList& items) {
    for (const double number : numbers) {
      WB_CHECK(budget_.value(at_, 0));
      items.push_back({offset, number});
    }
    numbers = {};
    return ok_status();
  }

  bool starts_packable() const {
    const char c = peek();
    return is_number_char(c) || c == 'N' || c == 'I' || c == 't' || c == 'f';
  }
  Result<double> packable() {
    if (take_word("true")) return 1.0;
    if (take_word("false")) return 0.0;
    return number();
  }

  Result<double> number() {
    if (take_word("NaN")) return std::nan("");
    if (take_word("Infinity")) return HUGE_VAL;
    if (take_word("-Infinity")) return -HUGE_VAL;
    size_t end = at_;
    while (end < bytes_.size() && is_number_char(bytes_[end])) ++end;
    const std::string_view text = bytes_.substr(at_, end - at_);
    if (text.empty()) return fault(at_ < bytes_.size() ? "expected a value" : "the file ends in the middle");
    const std::optional<double> read = read_number(text);
    if (!read) return fault("'" + valid_text(text, 40) + "' is not a number, or too large for one");
    at_ = end;
    return *read;
  }

  std::optional<double> read_number(std::string_view text) const {
    const bool decimal = text.find_first_of(".eE") != std::string_view::npos;
    if (decimal && decimals_ == Decimals::kF32) {
      float value = 0;
      const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
      return static_cast<double>(value);
    }
    return text.front() == '+' ? std::nullopt : parse_double(text);
  }

  Result<std::string> text() {
    const size_t start = at_++;
    std::string out;
    while (true) {
      const size_t stop = bytes_.find_first_of("\"\\", at_);
      if (stop == std::string_view::npos) {
        at_ = start;
        return fault("a text that is never closed");
      }
      out.append(bytes_.substr(at_, stop - at_));
      at_ = stop + 1;
      if (bytes_[stop] == '"') return out;
      WB_CHECK(escape(out));
    }
  }

  Status escape(std::string& out) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    const size_t name = kNames.find(peek());
    if (at_ < bytes_.size() && name != std::string_view::npos) {
      out.push_back(kMeanings[name]);
      ++at_;
      return ok_status();
    }
    if (!take('u')) return fault("an escape that JSON does not have");
    WB_TRY(uint32_t code, hex4());
    if (code >= 0xD800 && code < 0xDC00 && take_word("\\u")) {
      WB_TRY(const uint32_t low, hex4());
      if (low < 0xDC00 || low >= 0xE000) return fault("half a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code >= 0xD800 && code < 0xE000) return fault("half a surrogate pair");
    append_utf8(code, out);
    return ok_status();
  }

  Result<uint32_t> hex4() {
    uint32_t code = 0;
    const std::string_view digits = bytes_.substr(at_, 4);
    const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() != 4 || ec != std::errc() || end != digits.data() + 4) return fault("\\u needs four hex digits");
    at_ += 4;
    return code;
  }

  static void append_utf8(uint32_t code, std::string& out) {
    const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (code < 0x80) return put(code);
    if (code < 0x800) {
      put(0xC0 | (code >> 6));
    } else if (code < 0x10000) {
      put(0xE0 | (code >> 12));
      put(0x80 | ((code >> 6) & 0x3F));
    } else {
      put(0xF0 | (code >> 18));
      put(0x80 | ((code >> 12) & 0x3F));
      put(0x80 | ((code >> 6) & 0x3F));
    }
    put(0x80 | (code & 0x3F));
  }

  std::string_view bytes_;
  Decimals decimals_;
  JsonBudget budget_;
  size_t at_ = 0;
};

}  // namespace

Result<JsonObject> sorted_object(std::vector<std::pair<std::string, Json>> members) {
  std::sort(members.begin(), members.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  JsonObject object;
  object.keys.reserve(members.size());
  object.values.reserve(members.size());
  for (auto& [key, item] : members) {
    if (!object.keys.empty() && object.keys.back() == key)
      return fail(Code::kInvalid, "byte ", std::to_string(item.offset), ": the key '", valid_text(key, 40),
                  "' stands twice in one object");
    object.keys.push_back(std::move(key));
    object.values.push_back(std::move(item));
  }
  return object;
}

Status JsonBudget::value(size_t offset, size_t depth) {
  if (depth > limits::kNestingMax)
    return fail(Code::kInvalid, "byte ", std::to_string(offset), ": nested deeper than ",
                std::to_string(limits::kNestingMax));
  if (values_ == limits::kValuesMax)
    return fail(Code::kInvalid, "byte ", std::to_string(offset), ": more than ", std::to_string(limits::kValuesMax),
                " values");
  ++values_;
  return ok_status();
}

Status JsonBudget::numbers(size_t offset, uint64_t count) {
  if (count > limits::kNumbersMax - numbers_)
    return fail(Code::kInvalid, "byte ", std::to_string(offset), ": more than ", std::to_string(limits::kNumbersMax),
                " numbers");
  numbers_ += count;
  return ok_status();
}

Result<Json> parse_json(std::string_view bytes, Decimals decimals) { return Parser(bytes, decimals).document(); }

bool json_has_key(std::string_view bytes, std::string_view key) {
  size_t depth = 0;
  for (size_t at = 0; at < bytes.size(); ++at) {
    const char c = bytes[at];
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && depth > 0) --depth;
    if (c != '"') continue;
    size_t end = at + 1;
    while (end < bytes.size() && bytes[end] != '"') end += bytes[end] == '\\' ? 2 : 1;
    size_t next = end + 1;
    while (next < bytes.size() && is_space(bytes[next])) ++next;
    const bool is_key = depth == 1 && next < bytes.size() && bytes[next] == ':';
    if (is_key && bytes.substr(at + 1, end - at - 1) == key) return true;
    at = end;
  }
  return false;
}

const Json* JsonView::find(std::string_view key) const {
  const auto* object = std::get_if<JsonObject>(&json_->value);
  if (object == nullptr) return nullptr;
  const auto found = std::lower_bound(object->keys.begin(), object->keys.end(), key);
  if (found == object->keys.end() || *found != key) return nullptr;
  return &object->values[static_cast<size_t>(found - object->keys.begin())];
}

std::string JsonView::where() const {
  return (path_.empty() ? std::string("/") : path_) + " (byte " + std::to_string(json_->offset) + "): ";
}

Result<JsonView> JsonView::field(std::string_view key) const {
  const Json* found = find(key);
  if (found == nullptr) return fault("has no '", key, "'");
  return JsonView(*found, path_ + "/" + std::string(key));
}

Result<std::string_view> JsonView::text() const {
  const auto* text = std::get_if<std::string>(&json_->value);
  if (text == nullptr) return fault("is no text");
  return std::string_view(*text);
}

Result<double> JsonView::number() const {
  const auto* number = std::get_if<double>(&json_->value);
  if (number == nullptr) return fault("is no number");
  return *number;
}

Result<uint64_t> JsonView::count(uint64_t max) const {
  const auto* number = std::get_if<double>(&json_->value);
  const auto* text = std::get_if<std::string>(&json_->value);
  std::optional<double> value;
  if (number != nullptr) value = *number;
  if (text != nullptr) value = parse_double(*text);
  if (!value || !(*value >= 0) || *value != std::floor(*value)) return fault("is no whole number from 0");
  if (*value > static_cast<double>(max)) return fault("is above ", std::to_string(max));
  return static_cast<uint64_t>(*value);
}

Result<std::span<const double>> JsonView::numbers() const {
  const auto* numbers = std::get_if<JsonNumbers>(&json_->value);
  if (numbers == nullptr) return fault("is no list of numbers");
  return std::span<const double>(*numbers);
}

Result<std::vector<JsonView>> JsonView::items() const {
  std::vector<JsonView> views;
  if (const auto* numbers = std::get_if<JsonNumbers>(&json_->value); numbers != nullptr && numbers->empty())
    return views;
  const auto* list = std::get_if<JsonList>(&json_->value);
  if (list == nullptr) return fault("is no list");
  views.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) views.emplace_back((*list)[i], path_ + "/" + std::to_string(i));
  return views;
}

}  // namespace wb::imports
