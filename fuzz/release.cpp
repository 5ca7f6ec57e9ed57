// The release artifact: bytes as they come, and, since nobody fuzzes past a signature, contents of the input's choosing
// under a manifest of its choosing that is rightly signed. What opens was signed, and is what its digests say (U1, K2).
#include "base/checksum.h"
#include "base/signature.h"
#include "edge/deploy/deploy.h"
#include "engine/engine.h"
#include "engine/test_models.h"
#include "fuzz/fuzz.h"

using namespace wb;

namespace {

const std::string kSeed(32, 's');
const std::string& public_key() {
  static const std::string kKey = *ed25519_public_key(kSeed);
  return kKey;
}

void check_opened(const wire::Release& release, std::string_view artifact) {
  WB_HOLDS(release.digest == sha256_hex(artifact), "digest");
  WB_HOLDS(static_cast<size_t>(release.manifest.blobs_size()) == release.contents.size(), "blobs");
  for (int i = 0; i < release.manifest.blobs_size(); ++i) {
    const wire::Blob& blob = release.manifest.blobs(i);
    WB_HOLDS(release.contents[static_cast<size_t>(i)].size() == blob.size_bytes(), blob.name());
    WB_HOLDS(release.find(blob.name()) != nullptr, blob.name());
  }
}

void verify(std::string_view artifact) {
  wire::Desired desired;
  desired.set_digest(sha256_hex(artifact));
  desired.set_size_bytes(artifact.size());
  const auto verified = deploy::verify_release(artifact, desired, {public_key()});
  if (const auto* release = std::get_if<wire::Release>(&verified)) {
    check_opened(*release, artifact);
  } else {
    WB_HOLDS(std::get<deploy::Refusal>(verified).code.starts_with("DEPLOY_REJECTED/"), "a refusal without a name");
  }
}

// A signed artifact over any manifest bytes.
Bytes signed_artifact(std::string_view manifest, const std::vector<std::string>& contents) {
  wire::ReleaseArtifact artifact;
  artifact.set_manifest(std::string(manifest));
  for (const std::string& bytes : contents) artifact.add_contents(bytes);
  artifact.set_key_id(*hex_decode(wire::key_id(public_key())));
  artifact.set_signature(*ed25519_sign(kSeed, std::string("waybill-release-1\0", 18) + std::string(manifest)));
  return wire::encode(artifact);
}

// The manifest of the input, with the blobs that its contents are, so that the checks behind the digests are reached.
void with_contents(fuzz::Feed feed) {
  wire::Manifest manifest;
  const std::string_view given = feed.text();
  if (!manifest.ParseFromArray(given.data(), static_cast<int>(given.size()))) return;
  std::vector<std::string> contents;
  manifest.clear_blobs();
  while (!feed.empty() && contents.size() <= limits::kBlobsMax) {
    wire::Blob& blob = *manifest.add_blobs();
    blob.set_name(feed.byte() % 2 == 0 ? "pipeline.yaml" : "model/main");
    contents.emplace_back(feed.text());
    blob.set_size_bytes(contents.back().size());
    blob.set_sha256(sha256_hex(contents.back()));
  }
  verify(signed_artifact(wire::encode(manifest), contents));
}

}  // namespace

WB_FUZZ_TARGET(release) {
  fuzz::Feed feed(bytes);
  switch (feed.byte() % 3) {
    case 0: {
      const std::string_view artifact = feed.rest();
      const auto open = wire::open_release(artifact, {public_key()});
      const auto shown = wire::inspect_release(artifact);
      WB_HOLDS(!open.ok() || shown.ok(), "trusted but not readable");
      if (shown.ok()) check_opened(*shown, artifact);
      verify(artifact);
      break;
    }
    case 1: {
      const std::string_view manifest = feed.text();
      std::vector<std::string> contents;
      while (!feed.empty()) contents.emplace_back(feed.text());
      verify(signed_artifact(manifest, contents));
      break;
    }
    default: with_contents(feed); break;
  }
}

WB_FUZZ_SEEDS(release) {
  engine::PlainModel model = engine::testing::random_model(1, 2, 1, 1, 5);
  wire::ReleaseContent content;
  content.manifest.set_name("pump");
  content.manifest.set_version("1");
  content.manifest.add_feature_names("f0");
  content.manifest.add_feature_names("f1");
  *content.manifest.mutable_schema() =
      wire::to_wire(Schema{{{"f0", ColumnType::kNumber}, {"f1", ColumnType::kNumber}}});
  wire::FeatureSketch& sketch = *content.manifest.add_sketches();
  sketch.add_edges(1);
  sketch.add_counts(1);
  sketch.add_counts(2);
  const std::string package = *engine::pack(model);
  content.contents = {{"pipeline.yaml", "name: pump\n"}, {"model/main", package}};
  const Bytes artifact = *wire::build_release(content, kSeed);
  put(fuzz::FeedWriter().byte(0).rest(artifact).bytes());
  const auto opened = *wire::inspect_release(artifact);
  fuzz::FeedWriter raw;
  raw.byte(1).text(wire::encode(opened.manifest));
  for (const Bytes& blob : opened.contents) raw.text(blob);
  put(raw.bytes());
  put(fuzz::FeedWriter()
          .byte(2)
          .text(wire::encode(opened.manifest))
          .byte(0)
          .text("name: pump\n")
          .byte(1)
          .text(package)
          .bytes());
}
