// UBJSON: a byte says the type of what follows, numbers are big-endian. Lists and objects may give their count and the
// type of all items in front; lists of one number type, which XGBoost writes, become packed numbers at once.
#include <algorithm>
#include <bit>

#include "import/import.h"
#include "import/json_budget.h"

namespace wb::imports {
namespace {

// Bytes of a number after its type; 0: no number.
size_t number_bytes(char type) {
  switch (type) {
    case 'i':
    case 'U': return 1;
    case 'I': return 2;
    case 'l':
    case 'd': return 4;
    case 'L':
    case 'D': return 8;
    default: return 0;
  }
}

class Parser {
 public:
  explicit Parser(std::string_view bytes) : bytes_(bytes) {}

  Result<Json> document() {
    WB_TRY(const char type, next_type());
    WB_TRY(Json json, value(type, 0));
    while (at_ < bytes_.size() && bytes_[at_] == 'N') ++at_;
    if (at_ != bytes_.size()) return fault("bytes after the end of the model");
    return json;
  }

 private:
  // What stands in front of a list or an object: "$type" and "#count".
  struct Head {
    char type = '\0';
    std::optional<uint64_t> count;
  };

  Error fault(std::string_view what) const { return fail(Code::kInvalid, "byte ", std::to_string(at_), ": ", what); }
  size_t left() const { return bytes_.size() - at_; }

  Result<char> byte() {
    if (left() == 0) return fault("the file ends in the middle");
    return bytes_[at_++];
  }
  Result<char> next_type() {
    while (left() > 0 && bytes_[at_] == 'N') ++at_;  // no operation
    return byte();
  }

  Result<double> number(char type) {
    const size_t size = number_bytes(type);
    if (left() < size) return fault("the file ends in the middle");
    uint64_t bits = 0;
    for (size_t i = 0; i < size; ++i) bits = (bits << 8) | static_cast<uint8_t>(bytes_[at_ + i]);
    at_ += size;
    switch (type) {
      case 'i': return static_cast<double>(static_cast<int8_t>(bits));
      case 'I': return static_cast<double>(static_cast<int16_t>(bits));
      case 'l': return static_cast<double>(static_cast<int32_t>(bits));
      case 'L': return static_cast<double>(static_cast<int64_t>(bits));
      case 'd': return static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits)));
      case 'D': return std::bit_cast<double>(bits);
      default: return static_cast<double>(bits);
    }
  }

  Result<uint64_t> length() {
    WB_TRY(const char type, byte());
    if (number_bytes(type) == 0 || type == 'd' || type == 'D') return fault("expected a length");
    WB_TRY(const double value, number(type));
    if (value < 0) return fault("a length below 0");
    return static_cast<uint64_t>(value);
  }

  Result<std::string> text() {
    WB_TRY(const uint64_t size, length());
    if (size > left()) return fault("a text that is longer than the file");
    std::string out(bytes_.substr(at_, size));
    at_ += size;
    return out;
  }

  Result<Json> value(char type, size_t depth) {
    Json json;
    json.offset = at_ - 1;
    WB_CHECK(budget_.value(json.offset, depth));
    switch (type) {
      case 'Z': return json;
      case 'T':
      case 'F': json.value = type == 'T'; return json;
      case 'C': {
        WB_TRY(const char c, byte());
        json.value = std::string(1, c);
        return json;
      }
      case 'S': {
        WB_TRY(json.value, text());
        return json;
      }
      case '{': {
        WB_TRY(json.value, object(depth));
        return json;
      }
      case '[': {
        WB_CHECK(list(depth, json));
        return json;
      }
      default: break;
    }
    if (number_bytes(type) == 0) return fault("a type that is not known, or not read here");
    WB_TRY(json.value, number(type));
    return json;
  }

  // Counts are held against the bytes that are left: an item takes one at least.
  Result<Head> head() {
    Head head;
    if (left() > 0 && bytes_[at_] == '$') {
      ++at_;
      WB_TRY(head.type, byte());
      if (left() == 0 || bytes_[at_] != '#') return fault("a type of all items without their count");
      if (number_bytes(head.type) == 0 && std::string_view("SC{[").find(head.type) == std::string_view::npos)
        return fault("a list of what takes no bytes, or of a type that is not known");
    }
    if (left() > 0 && bytes_[at_] == '#') {
      ++at_;
      WB_TRY(head.count, length());
      if (*head.count > left() / std::max<size_t>(number_bytes(head.type), 1))
        return fault("a count that the file is too short for");
    }
    return head;
  }

  Result<char> item_type(const Head& head) { return head.type != '\0' ? Result<char>(head.type) : next_type(); }
  // Whether a list or object that says no count ends here.
  bool ends(const Head& head, size_t count, char close) {
    if (head.count) return count == *head.count;
    while (left() > 0 && bytes_[at_] == 'N') ++at_;
    if (left() == 0 || bytes_[at_] != close) return false;
    ++at_;
    return true;
  }

  Result<JsonObject> object(size_t depth) {
    WB_TRY(const Head head, this->head());
    std::vector<std::pair<std::string, Json>> members;
    while (!ends(head, members.size(), '}')) {
      WB_TRY(std::string key, text());
      WB_TRY(const char type, item_type(head));
      WB_TRY(Json item, value(type, depth + 1));
      members.emplace_back(std::move(key), std::move(item));
    }
    return sorted_object(std::move(members));
  }

  static bool is_packable(char type) { return number_bytes(type) > 0 || type == 'T' || type == 'F'; }

  Status list(size_t depth, Json& json) {
    WB_TRY(const Head head, this->head());
    JsonNumbers numbers;
    JsonList items;
    if (head.count && number_bytes(head.type) > 0) {
      WB_CHECK(budget_.numbers(at_, *head.count));
      numbers.reserve(*head.count);
    }
    bool packed = true;
    for (size_t count = 0; !ends(head, count, ']'); ++count) {
      WB_TRY(const char type, item_type(head));
      packed = packed && is_packable(type);
      if (packed) {
        if (head.type == '\0') WB_CHECK(budget_.numbers(at_, 1));
        WB_TRY(const double item, type == 'T' || type == 'F' ? Result<double>(type == 'T' ? 1.0 : 0.0) : number(type));
        numbers.push_back(item);
        continue;
      }
      for (const double number : numbers) {
        WB_CHECK(budget_.value(at_, 0));
        items.push_back({json.offset, number});
      }
      numbers = {};
      WB_TRY(Json item, value(type, depth + 1));
      items.push_back(std::move(item));
    }
    if (packed) {
      json.value = std::move(numbers);
    } else {
      json.value = std::move(items);
    }
    return ok_status();
  }

  std::string_view bytes_;
  JsonBudget budget_;
  size_t at_ = 0;
};

}  // namespace

Result<Json> parse_ubjson(std::string_view bytes) { return Parser(bytes).document(); }

}  // namespace wb::imports
