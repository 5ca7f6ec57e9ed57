// From a Document to a runnable Pipeline. Every section is checked even if an earlier one is wrong, as far as that
// makes sense: a person wants the whole list of faults, not the first.
#include <algorithm>

#include "edge/agent/pipeline_parts.h"

namespace wb {
namespace {

constexpr size_t kNameBytesMax = 64;

const Spec& pipeline_spec() {
  static const Spec spec{
      "pipeline",
      "One file: what comes in, what is computed, what is decided here and what goes upstream.",
      {{.name = "name",
        .type = FieldType::kText,
        .summary = "lower-case letters, digits, '-', '_' and '.'",
        .required = true},
       {.name = "schema",
        .type = FieldType::kDocument,
        .summary = "list of {name, type}: the fields that a source delivers",
        .required = true},
       {.name = "event_time",
        .type = FieldType::kText,
        .summary = "input field that carries the time (Unix ms or RFC 3339); absent: arrival time"},
       {.name = "extra_fields",
        .type = FieldType::kText,
        .summary = "what to do with input fields that the schema does not name",
        .fallback = "ignore",
        .choices = {"ignore", "refuse"}},
       {.name = "source", .type = FieldType::kDocument, .summary = "list of sources"},
       {.name = "transforms", .type = FieldType::kDocument, .summary = "list of transforms, in order"},
       {.name = "infer",
        .type = FieldType::kDocument,
        .summary = "the model; absent: rows are routed without a verdict"},
       {.name = "route", .type = FieldType::kDocument, .summary = "local actions"},
       {.name = "sync", .type = FieldType::kDocument, .summary = "what goes upstream"}},
      "name: pump\nschema:\n  - {name: vib, type: number}\ninfer: {model: main}\nsync:\n  budget: 64KiB\n  rules:\n    "
      "- sample: {rate: 0.01}\n",
      ""};
  return spec;
}

const Spec& schema_spec() {
  static const Spec spec{
      "schema",
      "One field that a source delivers; the order is the order of columns.",
      {{.name = "name", .type = FieldType::kText, .summary = "name of the field in the input", .required = true},
       {.name = "type",
        .type = FieldType::kText,
        .summary = "what it holds",
        .fallback = "number",
        .choices = {"number", "text"}}},
      "- {name: vib, type: number}",
      ""};
  return spec;
}

const Spec& infer_spec() {
  static const Spec spec{"infer",
                         "Scores every row with a model of the release; its features are taken by name.",
                         {{.name = "model",
                           .type = FieldType::kText,
                           .summary = "name of the model: blob model/<name> of the release",
                           .required = true}},
                         "infer: {model: main}",
                         "A row with NaN or infinite features is not scored; it is routed by the rule not_finite."};
  return spec;
}

bool valid_name(std::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

Schema read_schema(const Document* list, Problems& problems) {
  Schema out;
  if (list == nullptr || list->kind == Document::Kind::kNull) return out;  // reported as required
  if (!list->is_list()) {
    problems.add(list->at, "schema: expected a list of fields, each on a line such as '- {name: vib, type: number}'");
    return out;
  }
  if (list->items.empty()) problems.add(list->at, "schema: names no field");
  if (list->items.size() > Schema::kFieldsMax) {
    problems.add(list->at, "schema: more than " + std::to_string(Schema::kFieldsMax) + " fields");
    return out;
  }
  for (const Document& item : list->items) {
    const Values values = check_fields(schema_spec(), item, problems);
    if (!values.has("name") || !values.has("type")) continue;
    FieldDef field{values.text("name"), values.text("type") == "text" ? ColumnType::kText : ColumnType::kNumber};
    if (field.name.empty() || field.name.size() > Schema::kNameBytesMax)
      problems.add(values.at("name"),
                   "schema.name: must have 1 to " + std::to_string(Schema::kNameBytesMax) + " bytes");
    else if (out.index_of(field.name) >= 0)
      problems.add(values.at("name"), "schema: field '" + field.name + "' is given twice");
    else
      out.fields.push_back(std::move(field));
  }
  return out;
}

const BlobView* find_blob(std::span<const BlobView> blobs, std::string_view name) {
  for (const BlobView& blob : blobs)
    if (blob.name == name) return &blob;
  return nullptr;
}

// The model that `infer` names, if it is at hand and whole.
std::optional<engine::Model> read_model(const Document& section, std::span<const BlobView> blobs, bool allow_missing,
                                        Problems& problems, std::vector<std::string>& unchecked) {
  const Values values = check_fields(infer_spec(), section, problems);
  if (!values.has("model")) return std::nullopt;
  const std::string& name = values.text("model");
  const BlobView* blob = find_blob(blobs, "model/" + name);
  if (blob == nullptr) {
    std::vector<std::string> names;
    for (const BlobView& other : blobs)
      if (other.name.substr(0, 6) == "model/") names.emplace_back(other.name.substr(6));
    if (allow_missing && names.empty())
      unchecked.push_back("model '" + name + "' is not at hand: its features, class names and kind were not checked");
    else
      problems.add(values.at("model"),
                   "infer.model: there is no model '" + name + "'" + (names.empty() ? "" : suggestion(name, names)));
    return std::nullopt;
  }
  auto model = engine::Model::load(blob->bytes);
  if (!model.ok()) {
    problems.add(values.at("model"), "infer.model: model '" + name + "' cannot be used: " + model.error().text);
    return std::nullopt;
  }
  return std::move(model).value();
}

const Document& section_of(const Document& document, std::string_view name) {
  static const Document none;
  const Document* found = document.find(name);
  return found == nullptr ? none : *found;
}

const Document* given(const Document& document, std::string_view name) {
  const Document* found = document.find(name);
  return found == nullptr || found->kind == Document::Kind::kNull ? nullptr : found;
}

}  // namespace

std::optional<std::string> Pipeline::model_name(const Document& document) {
  const Document* section = document.find("infer");
  const Document* model = section == nullptr ? nullptr : section->find("model");
  if (model == nullptr || !model->is_scalar()) return std::nullopt;
  return model->text;
}

std::vector<Pipeline::Section> Pipeline::sections() {
  return {{"pipeline", false, {pipeline_spec()}},
          {"schema", false, {schema_spec()}},
          {"source", true, source::specs()},
          {"transforms", true, transform::specs()},
          {"infer", false, {infer_spec()}},
          {"route", false, {route::route_spec()}},
          {"route.actions", true, route::action_specs()},
          {"sync", false, {route::sync_spec()}},
          {"sync.rules", true, route::rule_specs()}};
}

Result<Pipeline> Pipeline::build(const Document& document, std::span<const BlobView> blobs,
                                 const PipelineOptions& options, Problems& problems) {
  const size_t before = problems.items().size();
  const auto clean_since = [&problems](size_t mark) { return problems.items().size() == mark; };
  auto parts = std::make_unique<Parts>();
  parts->options = options;

  const Values head = check_fields(pipeline_spec(), document, problems);
  if (head.has("name")) {
    parts->name = head.text("name");
    if (!valid_name(parts->name))
      problems.add(head.at("name"), "name: '" + parts->name.substr(0, 70) + "' must be 1 to " +
                                        std::to_string(kNameBytesMax) + " lower-case letters, digits, '-', '_' or '.'");
  }
  if (head.has("event_time")) parts->event_time = head.text("event_time");
  if (head.has("extra_fields")) parts->refuse_extra = head.text("extra_fields") == "refuse";

  const size_t before_schema = problems.items().size();
  parts->input = read_schema(given(document, "schema"), problems);
  const bool schema_good = clean_since(before_schema) && !parts->input.fields.empty();
  parts->sources = source::read_sources(section_of(document, "source"), problems);

  const size_t before_chain = problems.items().size();
  if (schema_good) parts->chain = transform::Chain::build(section_of(document, "transforms"), parts->input, problems);
  const bool columns_known = schema_good && clean_since(before_chain);
  if (columns_known) parts->record_schema = parts->chain.output_schema();
  if (parts->record_schema.fields.size() > Schema::kFieldsMax)
    problems.add(section_of(document, "transforms").at,
                 "transforms: more than " + std::to_string(Schema::kFieldsMax) + " columns come out");
  parts->record_schema_id = parts->record_schema.id();

  route::ModelFacts facts;
  if (const Document* section = given(document, "infer")) {
    facts.present = true;
    if (auto model = read_model(*section, blobs, options.allow_missing_model, problems, parts->unchecked)) {
      facts.known = true;
      facts.labels = model->labels();
      facts.regression = model->labels().empty();
      if (columns_known) {
        auto inferrer = infer::Inferrer::build(std::move(*model), parts->record_schema, section->at, problems);
        if (inferrer.ok()) parts->inferrer.emplace(std::move(inferrer).value());
      }
    }
  }
  if (!columns_known && schema_good && facts.present)
    parts->unchecked.push_back("the columns that reach the model: the transforms above have problems");

  auto router = route::Router::build(given(document, "route"), given(document, "sync"), facts,
                                     {options.node_id, parts->name, options.seed}, problems);
  if (!clean_since(before)) {
    const size_t count = problems.items().size() - before;
    return fail(Code::kInvalid, "the pipeline has ", std::to_string(count), count == 1 ? " problem" : " problems");
  }
  parts->router = std::move(router).value();
  parts->measure();
  return Pipeline(std::move(parts));
}

}  // namespace wb
