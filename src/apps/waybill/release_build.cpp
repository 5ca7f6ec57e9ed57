#include "apps/waybill/release_build.h"

#include <algorithm>
#include <variant>

#include "base/checksum.h"
#include "base/signature.h"
#include "edge/deploy/deploy.h"
#include "engine/engine.h"
#include "world/yaml.h"

namespace wb::cli {
namespace {

constexpr std::string_view kKeyMagic = "waybill-release-key-1 ";

// The name under which the pipeline's `infer` looks for its model; "" if it has none.
std::string wanted_model(const Document& pipeline) {
  const Document* infer = pipeline.find("infer");
  if (infer == nullptr) return "";
  const Document* model = infer->find("model");
  return model != nullptr && !model->text.empty() ? model->text : "main";
}

// Thresholds of the first rules that have them: what the reports call unsure and novel.
void copy_thresholds(const Document& pipeline, wire::Manifest& manifest) {
  const Document* sync = pipeline.find("sync");
  const Document* rules = sync != nullptr ? sync->find("rules") : nullptr;
  if (rules == nullptr) return;
  for (const Document& rule : rules->items) {
    const Document* low = rule.find("low_confidence");
    if (const Document* below = low != nullptr ? low->find("below") : nullptr)
      manifest.set_min_confidence(parse_double(below->text).value_or(0));
    const Document* novel = rule.find("novel");
    if (const Document* above = novel != nullptr ? novel->find("above") : nullptr)
      manifest.set_max_novelty(parse_double(above->text).value_or(0));
  }
}

// The columns that the pipeline's file declares.
Status copy_schema(const Document& pipeline, wire::Manifest& manifest) {
  const Document* fields = pipeline.find("schema");
  if (fields == nullptr || fields->items.empty()) return ok_status();
  Schema schema;
  for (const Document& field : fields->items) {
    const Document* name = field.find("name");
    const Document* type = field.find("type");
    if (name == nullptr || type == nullptr || (type->text != "number" && type->text != "text"))
      return fail(Code::kInvalid, std::to_string(field.at.line), ":", std::to_string(field.at.column),
                  ": a schema field is {name: …, type: number | text}");
    schema.fields.push_back({name->text, type->text == "text" ? ColumnType::kText : ColumnType::kNumber});
  }
  *manifest.mutable_schema() = wire::to_wire(schema);
  return ok_status();
}

void copy_model(const engine::Model& model, wire::Manifest& manifest) {
  wire::SelfTest& test = *manifest.mutable_self_test();
  test.set_rows(static_cast<uint32_t>(model.self_test().margin_bits.size() / model.outputs_count()));
  test.mutable_features()->Add(model.self_test().rows.begin(), model.self_test().rows.end());
  test.mutable_margin_bits()->Add(model.self_test().margin_bits.begin(), model.self_test().margin_bits.end());
  for (const engine::FeatureSketch& from : model.sketches()) {
    wire::FeatureSketch& to = *manifest.add_sketches();
    to.set_name(from.name);
    to.mutable_edges()->Add(from.edges.begin(), from.edges.end());
    to.mutable_counts()->Add(from.counts.begin(), from.counts.end());
    to.set_min(from.min);
    to.set_max(from.max);
  }
  for (const std::string& feature : model.features()) manifest.add_feature_names(feature);
  wire::ScoreSketch& scores = *manifest.mutable_reference_scores();
  const engine::ReferenceScores& reference = model.reference_scores();
  scores.set_records(reference.records);
  for (const std::string& label : model.labels()) scores.add_labels(label);
  scores.mutable_label_counts()->Add(reference.label_counts.begin(), reference.label_counts.end());
  scores.mutable_confidence_bins()->Add(reference.confidence_bins.begin(), reference.confidence_bins.end());
}

Status check_name(std::string_view what, const std::string& text) {
  constexpr const char* kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  if (text.empty() || text.size() > limits::kLabelBytesMax || text.find_first_not_of(kAllowed) != std::string::npos)
    return fail(Code::kInvalid, "the ", what, " '", text, "' must be 1 to ", std::to_string(limits::kLabelBytesMax),
                " letters, digits, '.', '_' or '-'");
  return ok_status();
}

}  // namespace

Result<Bytes> build_release_file(const ReleaseInputs& inputs) {
  WB_CHECK(check_name("name", inputs.name));
  WB_CHECK(check_name("version", inputs.version));
  // Variables of this machine's environment have no place in a release; nodes fill in their own.
  WB_TRY(const Document pipeline, world::parse_yaml(inputs.pipeline, inputs.pipeline_file, world::process_env()));
  wire::ReleaseContent content;
  content.manifest.set_name(inputs.name);
  content.manifest.set_version(inputs.version);
  content.contents.emplace_back(std::string(deploy::kPipelineBlob), inputs.pipeline);
  copy_thresholds(pipeline, content.manifest);
  const Status schema = copy_schema(pipeline, content.manifest);
  if (!schema.ok()) return schema.error().within(inputs.pipeline_file);

  const std::string wanted = wanted_model(pipeline);
  if (wanted.empty() != inputs.model_file.empty())
    return wanted.empty() ? fail(Code::kInvalid, inputs.pipeline_file, " has no 'infer', so a model has no use; leave out --model")
                          : fail(Code::kInvalid, inputs.pipeline_file, " asks for model '", wanted, "'; give it with --model FILE");
  if (!wanted.empty()) {
    const Result<engine::Model> model = engine::Model::load(inputs.model);
    if (!model.ok()) return model.error().within(inputs.model_file);
    if (model->self_test().rows.empty())
      return fail(Code::kInvalid, inputs.model_file, " has no self-test rows; make it with `waybill fit`");
    copy_model(*model, content.manifest);
    content.contents.emplace_back(std::string(deploy::kModelPrefix) + wanted, inputs.model);
  }
  WB_TRY(const std::string public_key, ed25519_public_key(inputs.seed));
  WB_TRY(Bytes artifact, wire::build_release(std::move(content), inputs.seed));
  wire::Desired as_assigned;
  as_assigned.set_digest(sha256_hex(artifact));
  as_assigned.set_size_bytes(artifact.size());
  const auto checked = deploy::verify_release(artifact, as_assigned, {public_key});
  if (const deploy::Refusal* refusal = std::get_if<deploy::Refusal>(&checked))
    return fail(Code::kInvalid, "no node would take this release (", refusal->code, "): ", refusal->text);
  return artifact;
}

std::string encode_key_file(std::string_view seed) { return std::string(kKeyMagic) + hex_encode(seed) + "\n"; }

Result<std::string> decode_key_file(std::string_view text, std::string_view file) {
  text = trim(text);
  if (!text.starts_with(kKeyMagic))
    return fail(Code::kInvalid, file, " is not a release key; make one with `waybill release key create --out FILE`");
  Result<Bytes> seed = hex_decode(text.substr(kKeyMagic.size()));
  if (!seed.ok() || seed->size() != kEd25519KeyBytes) return fail(Code::kCorrupt, file, " is a damaged release key");
  return std::move(*seed);
}

}  // namespace wb::cli
