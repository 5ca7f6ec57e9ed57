#include "base/spec.h"

#include "base/assert.h"
#include "base/bytes.h"

namespace wb {

std::string Problems::format(std::string_view file) const {
  std::string out;
  for (const Problem& problem : items_) {
    out += file;
    if (problem.at.line > 0) out += ":" + std::to_string(problem.at.line) + ":" + std::to_string(problem.at.column);
    out += ": " + problem.text + "\n";
  }
  return out;
}

bool Values::has(std::string_view name) const {
  for (const Value& value : values_)
    if (value.name == name) return true;
  return false;
}
const Values::Value& Values::get(std::string_view name) const {
  for (const Value& value : values_)
    if (value.name == name) return value;
  WB_ASSERT(!"field asked for is neither given nor defaulted: ask has() first");
}
const std::string& Values::text(std::string_view name) const { return get(name).text; }
double Values::number(std::string_view name) const { return get(name).number; }
int64_t Values::integer(std::string_view name) const { return get(name).integer; }
bool Values::flag(std::string_view name) const { return get(name).flag; }
const std::vector<std::string>& Values::list(std::string_view name) const { return get(name).list; }
const std::vector<std::pair<std::string, std::string>>& Values::map(std::string_view name) const {
  return get(name).map;
}
const Document& Values::document(std::string_view name) const {
  const Value& value = get(name);
  WB_ASSERT(value.document != nullptr);
  return *value.document;
}
Position Values::at(std::string_view name) const { return has(name) ? get(name).at : at_; }

namespace {

std::string_view type_word(FieldType type) {
  switch (type) {
    case FieldType::kText: return "text";
    case FieldType::kNumber: return "a number";
    case FieldType::kInteger: return "a whole number";
    case FieldType::kBool: return "true or false";
    case FieldType::kDuration: return "a duration such as 5s";
    case FieldType::kSize: return "a size such as 16MiB";
    case FieldType::kTextList: return "a list";
    case FieldType::kTextMap: return "a map of name to value";
    case FieldType::kDocument: return "a value";
  }
  return "a value";
}

// What a scalar means under a field's type; the reason if it means nothing.
std::optional<std::string> read_scalar(const Field& field, std::string_view text, double& number, int64_t& integer,
                                       bool& flag) {
  const std::string shown(text.substr(0, 60));
  switch (field.type) {
    case FieldType::kNumber: {
      const auto parsed = parse_double(text);
      if (!parsed) return "'" + shown + "' is not a number";
      number = *parsed;
      break;
    }
    case FieldType::kInteger: {
      const auto parsed = parse_int(text);
      if (!parsed) return "'" + shown + "' is not a whole number";
      integer = *parsed;
      number = static_cast<double>(integer);
      break;
    }
    case FieldType::kDuration:
    case FieldType::kSize: {
      const auto parsed = field.type == FieldType::kDuration ? parse_duration_ms(text) : parse_size_bytes(text);
      if (!parsed.ok()) return parsed.error().text;
      integer = *parsed;
      number = static_cast<double>(integer);
      break;
    }
    case FieldType::kBool:
      if (text != "true" && text != "false") return "'" + shown + "' is not true or false";
      flag = text == "true";
      return std::nullopt;
    default: return std::nullopt;
  }
  if (!(number >= field.min && number <= field.max)) {
    std::string reason = "'" + shown + "' is out of range: it must be";
    if (field.min > -std::numeric_limits<double>::infinity()) reason += " at least " + shortest(field.min);
    if (field.max < std::numeric_limits<double>::infinity()) reason += " at most " + shortest(field.max);
    if (field.type == FieldType::kDuration) reason += " (milliseconds)";
    if (field.type == FieldType::kSize) reason += " (bytes)";
    return reason;
  }
  return std::nullopt;
}

bool wants_scalar(FieldType type) {
  return type != FieldType::kTextList && type != FieldType::kTextMap && type != FieldType::kDocument;
}

}  // namespace

Values check_fields(const Spec& spec, const Document& body, Problems& problems) {
  Values out;
  out.at_ = body.at;
  std::vector<std::string> names;
  for (const Field& field : spec.fields) names.push_back(field.name);

  if (!body.is_map() && body.kind != Document::Kind::kNull) {
    problems.add(body.at, spec.name + ": expected a map of its settings" +
                              (names.empty() ? std::string(" (it has none)") : suggestion("", names)));
    return out;
  }
  for (size_t i = 0; i < body.entries.size(); ++i) {
    const Document::Entry& entry = body.entries[i];
    for (size_t j = 0; j < i; ++j)
      if (body.entries[j].key == entry.key) problems.add(entry.at, spec.name + ": '" + entry.key + "' is given twice");
    bool known = false;
    for (const std::string& name : names) known = known || name == entry.key;
    if (!known) problems.add(entry.at, spec.name + ": unknown key '" + entry.key + "'" + suggestion(entry.key, names));
  }
  for (const Field& field : spec.fields) {
    const Document* given = body.find(field.name);
    const std::string where = spec.name + "." + field.name + ": ";
    if (given == nullptr || given->kind == Document::Kind::kNull) {
      if (field.required) problems.add(body.at, where + "is required: " + field.summary);
      if (field.fallback.empty()) continue;
    }
    Values::Value value;
    value.name = field.name;
    if (given == nullptr || given->kind == Document::Kind::kNull) {
      value.at = body.at;
      value.text = field.fallback;
      if (field.type == FieldType::kTextList) value.list = {field.fallback};
      const auto fault = read_scalar(field, value.text, value.number, value.integer, value.flag);
      WB_ASSERT(!fault);  // a default that its own field refuses is a bug in the Spec
      out.values_.push_back(std::move(value));
      continue;
    }
    value.at = given->at;
    value.document = given;
    if (field.type == FieldType::kTextList) {
      if (given->is_scalar())
        value.list.push_back(given->text);
      else if (!given->is_list())
        problems.add(given->at, where + "expected a list");
      for (const Document& item : given->items) {
        if (!item.is_scalar()) problems.add(item.at, where + "expected plain values in the list");
        value.list.push_back(item.text);
      }
    } else if (field.type == FieldType::kTextMap) {
      if (!given->is_map()) problems.add(given->at, where + "expected a map of name to value");
      for (const Document::Entry& entry : given->entries) {
        if (!entry.value.is_scalar()) problems.add(entry.at, where + "'" + entry.key + "' must have a plain value");
        value.map.emplace_back(entry.key, entry.value.text);
      }
    } else if (wants_scalar(field.type)) {
      if (!given->is_scalar()) {
        problems.add(given->at, where + "expected " + std::string(type_word(field.type)));
        continue;
      }
      value.text = given->text;
      if (const auto fault = read_scalar(field, given->text, value.number, value.integer, value.flag))
        problems.add(given->at, where + *fault);
      bool allowed = field.choices.empty();
      for (const std::string& choice : field.choices) allowed = allowed || choice == value.text;
      if (!allowed)
        problems.add(given->at, where + "unknown value '" + value.text + "'" + suggestion(value.text, field.choices));
    }
    out.values_.push_back(std::move(value));
  }
  return out;
}

const Document::Entry* single_key(const Document& component, Problems& problems) {
  if (!component.is_map()) {
    problems.add(component.at, "expected a component: one key with its settings");
    return nullptr;
  }
  const Document::Entry* found = nullptr;
  for (const Document::Entry& entry : component.entries) {
    if (entry.key == "label") continue;
    if (found != nullptr) {
      problems.add(entry.at, "a component has one key; '" + found->key + "' and '" + entry.key +
                                 "' need a list item each (a missing '-' or wrong indentation?)");
      return nullptr;
    }
    found = &entry;
  }
  if (found == nullptr) problems.add(component.at, "empty component: expected one key with its settings");
  return found;
}

}  // namespace wb
