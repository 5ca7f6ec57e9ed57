#include "apps/waybill/release_build.h"

#include <algorithm>
#include <bit>
#include <variant>

#include "base/checksum.h"
#include "base/signature.h"
#include "edge/agent/pipeline.h"
#include "edge/deploy/deploy.h"
#include "engine/engine.h"
#include "world/yaml.h"

namespace wb::cli {
namespace {

constexpr std::string_view kKeyMagic = "waybill-release-key-1 ";

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

// Building is checking: what lint would say, this says too.
Result<Pipeline> check_pipeline(const Document& document, const ReleaseInputs& inputs, const std::string& blob_name) {
  std::vector<BlobView> blobs;
  if (!blob_name.empty()) blobs.push_back({blob_name, inputs.model});
  PipelineOptions options;
  options.node_id = "release-build";
  Problems problems;
  Result<Pipeline> pipeline = Pipeline::build(document, blobs, options, problems);
  if (!pipeline.ok() && !problems.empty())
    return Error{Code::kInvalid, std::string(trim(problems.format(inputs.pipeline_file)))};
  if (!pipeline.ok()) return pipeline.error().within(inputs.pipeline_file);
  return pipeline;
}

void copy_model(const engine::Model& model, wire::Manifest& manifest) {
  wire::SelfTest& test = *manifest.mutable_self_test();
  const engine::SelfTest& from_test = model.self_test();
  test.set_rows(static_cast<uint32_t>(from_test.margins.size() / model.outputs_count()));
  if (model.computes_f64()) {
    test.mutable_wide_features()->Add(from_test.rows.begin(), from_test.rows.end());
    for (const double margin : from_test.margins) test.add_wide_margin_bits(std::bit_cast<uint64_t>(margin));
  } else {
    for (const double value : from_test.rows) test.add_features(static_cast<float>(value));
    for (const double margin : from_test.margins)
      test.add_margin_bits(std::bit_cast<uint32_t>(static_cast<float>(margin)));
  }
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
  // For the checks only: what is released is the text as written, and nodes fill in their own variables.
  WB_TRY(const Document pipeline, world::parse_yaml(inputs.pipeline, inputs.pipeline_file, world::process_env()));
  wire::ReleaseContent content;
  content.manifest.set_name(inputs.name);
  content.manifest.set_version(inputs.version);
  content.contents.emplace_back(std::string(deploy::kPipelineBlob), inputs.pipeline);
  copy_thresholds(pipeline, content.manifest);
  const std::string wanted = Pipeline::model_name(pipeline).value_or("");
  if (wanted.empty() != inputs.model_file.empty())
    return wanted.empty()
               ? fail(Code::kInvalid, inputs.pipeline_file, " has no 'infer', so a model has no use; leave out --model")
               : fail(Code::kInvalid, inputs.pipeline_file, " asks for model '", wanted,
                      "'; give it with --model FILE");
  const std::string blob_name = wanted.empty() ? "" : std::string(deploy::kModelPrefix) + wanted;
  if (!wanted.empty()) {
    const Result<engine::Model> model = engine::Model::load(inputs.model);
    if (!model.ok()) return model.error().within(inputs.model_file);
    if (model->self_test().rows.empty())
      return fail(Code::kInvalid, inputs.model_file, " has no self-test rows; make it with `waybill fit`");
    copy_model(*model, content.manifest);
    content.contents.emplace_back(blob_name, inputs.model);
  }
  WB_TRY(const Pipeline built, check_pipeline(pipeline, inputs, blob_name));
  *content.manifest.mutable_schema() = wire::to_wire(built.input_schema());
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
