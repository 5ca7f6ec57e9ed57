#include "apps/waybill/pipeline_docs.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "edge/agent/pipeline.h"

namespace wb::cli {
namespace {

using Json = nlohmann::ordered_json;

// A value may also come from the environment: "${NAME:default}" is text to an editor.
Json or_environment(Json schema) {
  return {{"anyOf", Json::array({std::move(schema), Json{{"type", "string"}, {"pattern", "\\$\\{"}}})}};
}

Json limits(const Field& field, Json schema) {
  if (std::isfinite(field.min)) schema["minimum"] = field.min;
  if (std::isfinite(field.max)) schema["maximum"] = field.max;
  return schema;
}

Json field_schema(const Field& field) {
  const Json scalar{{"type", Json::array({"string", "number", "boolean"})}};
  switch (field.type) {
    case FieldType::kText: return field.choices.empty() ? scalar : or_environment(Json{{"enum", field.choices}});
    case FieldType::kNumber: return or_environment(limits(field, {{"type", "number"}}));
    case FieldType::kInteger: return or_environment(limits(field, {{"type", "integer"}}));
    case FieldType::kBool: return or_environment({{"type", "boolean"}});
    case FieldType::kDuration:
      return or_environment({{"type", Json::array({"string", "integer"})}, {"pattern", "^([0-9]+(ms|s|m|h|d)|0)$"}});
    case FieldType::kSize:
      return or_environment({{"type", Json::array({"string", "integer"})}, {"pattern", "^[0-9]+(KiB|MiB|GiB)?$"}});
    case FieldType::kTextList: return {{"anyOf", Json::array({scalar, Json{{"type", "array"}, {"items", scalar}}})}};
    case FieldType::kTextMap: return {{"type", "object"}, {"additionalProperties", scalar}};
    case FieldType::kDocument: break;
  }
  return Json::object();
}

Json map_schema(const Spec& spec) {
  Json out{{"type", "object"},
           {"description", spec.summary},
           {"additionalProperties", false},
           {"properties", Json::object()}};
  Json required = Json::array();
  for (const Field& field : spec.fields) {
    Json property = field_schema(field);
    property["description"] = field.summary;
    if (!field.fallback.empty()) property["default"] = field.fallback;
    out["properties"][field.name] = std::move(property);
    if (field.required) required.push_back(field.name);
  }
  if (required.empty())
    out["type"] = Json::array({"object", "null"});  // "all: {}" may also be written "all:"
  else
    out["required"] = std::move(required);
  return out;
}

Json component_schema(const Spec& spec) {
  return {{"type", "object"},
          {"additionalProperties", false},
          {"required", Json::array({spec.name})},
          {"properties", {{spec.name, map_schema(spec)}, {"label", {{"type", "string"}}}}}};
}

Json section_schema(const Pipeline::Section& section) {
  if (!section.components) {
    Json map = map_schema(section.specs.front());
    return section.name == "schema" ? Json{{"type", "array"}, {"items", std::move(map)}} : map;
  }
  Json any = Json::array();
  for (const Spec& spec : section.specs) any.push_back(component_schema(spec));
  return {{"type", "array"}, {"items", {{"anyOf", std::move(any)}}}};
}

std::string_view type_name(FieldType type) {
  switch (type) {
    case FieldType::kText: return "text";
    case FieldType::kNumber: return "number";
    case FieldType::kInteger: return "whole number";
    case FieldType::kBool: return "true or false";
    case FieldType::kDuration: return "duration";
    case FieldType::kSize: return "size";
    case FieldType::kTextList: return "list";
    case FieldType::kTextMap: return "map";
    case FieldType::kDocument: return "section";
  }
  return "";
}

std::string shown_limit(const Field& field, double limit) {
  if (field.type == FieldType::kDuration) return std::to_string(static_cast<int64_t>(limit)) + " ms";
  if (field.type == FieldType::kSize) return format_size_bytes(static_cast<int64_t>(limit));
  return shortest(limit);
}

std::string cell(std::string text) {
  for (size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

void append_fields(const Spec& spec, std::string& out) {
  if (spec.fields.empty()) {
    out += "It has no fields.\n\n";
    return;
  }
  out += "| field | type | default | meaning |\n| --- | --- | --- | --- |\n";
  for (const Field& field : spec.fields) {
    std::string meaning = field.summary;
    if (!field.choices.empty()) {
      meaning += "; one of:";
      for (const std::string& choice : field.choices) meaning += " `" + choice + "`";
    }
    if (std::isfinite(field.min)) meaning += "; at least " + shown_limit(field, field.min);
    if (std::isfinite(field.max)) meaning += "; at most " + shown_limit(field, field.max);
    const std::string fallback = field.required           ? "required"
                                 : field.fallback.empty() ? "–"
                                                          : "`" + field.fallback + "`";
    out += "| `" + field.name + "` | " + std::string(type_name(field.type)) + " | " + fallback + " | " + cell(meaning) +
           " |\n";
  }
  out += "\n";
}

void append_spec(const Spec& spec, std::string& out) {
  out += spec.summary + "\n\n";
  append_fields(spec, out);
  if (!spec.example.empty())
    out += "```yaml\n" + spec.example + (spec.example.back() == '\n' ? "```\n\n" : "\n```\n\n");
  if (!spec.costs.empty()) out += "Costs: " + spec.costs + "\n\n";
}

std::string counted(size_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

}  // namespace

std::string json_schema() {
  Json out;
  for (const Pipeline::Section& section : Pipeline::sections()) {
    if (section.name == "pipeline") {
      out = map_schema(section.specs.front());
      continue;
    }
    // "sync.rules" belongs under properties/sync/properties/rules.
    Json* at = &out;
    for (const std::string_view part : split(section.name, '.')) at = &(*at)["properties"][std::string(part)];
    *at = section_schema(section);
  }
  Json head{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "Waybill pipeline"}};
  head.update(out);
  return head.dump(2);
}

std::string reference_page() {
  std::string out =
      "# Pipeline reference\n\nGenerated by `waybill pipeline reference` from the components' own specs; do not "
      "edit.\n\n";
  for (const Pipeline::Section& section : Pipeline::sections()) {
    out += "## " + section.name + "\n\n";
    for (const Spec& spec : section.specs) {
      if (section.components) out += "### " + spec.name + "\n\n";
      append_spec(spec, out);
    }
  }
  while (out.size() > 1 && out[out.size() - 2] == '\n') out.pop_back();
  return out;
}

std::string summary_of(const Pipeline& pipeline) {
  std::string out = counted(pipeline.input_schema().fields.size(), "field");
  if (!(pipeline.record_schema() == pipeline.input_schema()))
    out += " → " + counted(pipeline.record_schema().fields.size(), "column");
  if (pipeline.has_model())
    out +=
        pipeline.labels().empty() ? " → a value" : " → one of " + std::to_string(pipeline.labels().size()) + " classes";
  out += " → " + counted(pipeline.actions().size(), "local action");
  out += pipeline.uploads() ? ", at most " + format_size_bytes(pipeline.budget_bytes_per_day()) + " a day upstream"
                            : ", nothing is sent upstream";
  return out;
}

}  // namespace wb::cli
