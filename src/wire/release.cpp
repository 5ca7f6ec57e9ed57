// The release artifact: one signed, content-addressed file. docs/formats/release.md has the grammar and an example.
#include <algorithm>

#include "base/checksum.h"
#include "base/planted.h"
#include "base/signature.h"
#include "wire/shape.h"
#include "wire/wire.h"

namespace wb::wire {
namespace {

constexpr std::string_view kDomain{"waybill-release-1\0", 18};

std::string signed_bytes(std::string_view manifest) { return std::string(kDomain) + std::string(manifest); }

Status check_manifest(const Manifest& manifest) {
  if (manifest.format() != 1)
    return fail(Code::kUnsupported, "release format ", std::to_string(manifest.format()),
                "; this build reads format 1");
  if (manifest.name().empty() || manifest.version().empty())
    return fail(Code::kInvalid, "release has no name or version");
  if (manifest.name().size() > limits::kLabelBytesMax || manifest.version().size() > limits::kLabelBytesMax)
    return fail(Code::kInvalid, "release name or version is too long");
  if (manifest.blobs_size() > static_cast<int>(limits::kBlobsMax))
    return fail(Code::kInvalid, "release has too many blobs");
  const SelfTest& test = manifest.self_test();
  if (test.rows() > limits::kSelfTestRowsMax) return fail(Code::kInvalid, "release has too many self-test rows");
  for (const int size :
       {test.features_size(), test.margin_bits_size(), test.wide_features_size(), test.wide_margin_bits_size()}) {
    if (test.rows() == 0 ? size != 0 : size % static_cast<int>(test.rows()) != 0)
      return fail(Code::kInvalid, "release self-test does not divide into its rows");
  }
  for (const FeatureSketch& sketch : manifest.sketches()) {
    if (sketch.counts_size() != sketch.edges_size() + 1) return fail(Code::kInvalid, "release has a malformed sketch");
    if (!std::is_sorted(sketch.edges().begin(), sketch.edges().end()))
      return fail(Code::kInvalid, "release has a sketch with unsorted edges");
  }
  return ok_status();
}

}  // namespace

std::string key_id(std::string_view public_key) { return sha256_hex(public_key).substr(0, 16); }

const Bytes* Release::find(std::string_view name) const {
  for (int i = 0; i < manifest.blobs_size(); ++i)
    if (manifest.blobs(i).name() == name) return &contents[static_cast<size_t>(i)];
  return nullptr;
}

Result<Bytes> build_release(ReleaseContent content, std::string_view seed) {
  std::sort(content.contents.begin(), content.contents.end());
  content.manifest.clear_blobs();
  content.manifest.set_format(1);
  ReleaseArtifact artifact;
  for (auto& [name, bytes] : content.contents) {
    Blob* blob = content.manifest.add_blobs();
    blob->set_name(name);
    blob->set_size_bytes(bytes.size());
    blob->set_sha256(sha256_hex(bytes));
    artifact.add_contents(std::move(bytes));
  }
  WB_CHECK(check_manifest(content.manifest));
  artifact.set_manifest(encode(content.manifest));
  WB_TRY(const std::string public_key, ed25519_public_key(seed));
  artifact.set_key_id(*hex_decode(key_id(public_key)));
  WB_TRY(std::string signature, ed25519_sign(seed, signed_bytes(artifact.manifest())));
  artifact.set_signature(std::move(signature));
  Bytes out = encode(artifact);
  if (out.size() > limits::kReleaseBytesMax)
    return fail(Code::kFull, "the release has ", format_size_bytes(static_cast<int64_t>(out.size())), "; the limit is ",
                format_size_bytes(limits::kReleaseBytesMax));
  WB_CHECK(check_release_shape(out));
  return out;
}

namespace {
Result<Release> open_any(std::string_view bytes, const std::vector<std::string>* trusted_keys) {
  if (bytes.size() > limits::kReleaseBytesMax) return fail(Code::kFull, "release is larger than the protocol allows");
  WB_CHECK(check_release_shape(bytes));  // before the signature can be read, so anybody may have written it
  ReleaseArtifact artifact;
  if (!artifact.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(Code::kInvalid, "not a release artifact (it does not parse)");
  if (trusted_keys != nullptr) {
    bool known = false;
    bool verified = false;
    for (const std::string& key : *trusted_keys) {
      if (hex_encode(artifact.key_id()) != key_id(key)) continue;
      known = true;
      verified = planted(Bug::kSignatureUnread) ||
                 ed25519_verify(key, signed_bytes(artifact.manifest()), artifact.signature());
      if (verified) break;
    }
    if (!known)
      return fail(Code::kDenied, "release is signed by key ", hex_encode(artifact.key_id().substr(0, 8)),
                  ", which is not trusted here");
    if (!verified) return fail(Code::kDenied, "release signature does not match its manifest");
  }
  Release release;
  if (!release.manifest.ParseFromString(artifact.manifest()))
    return fail(Code::kInvalid, "release manifest does not parse");
  WB_CHECK(check_manifest(release.manifest));
  if (artifact.contents_size() != release.manifest.blobs_size())
    return fail(Code::kCorrupt, "release has ", std::to_string(artifact.contents_size()), " contents for ",
                std::to_string(release.manifest.blobs_size()), " blobs");
  for (int i = 0; i < release.manifest.blobs_size(); ++i) {
    const Blob& blob = release.manifest.blobs(i);
    if (artifact.contents(i).size() != blob.size_bytes() || sha256_hex(artifact.contents(i)) != blob.sha256())
      return fail(Code::kCorrupt, "release blob '", blob.name(), "' does not match its digest");
    release.contents.push_back(std::move(*artifact.mutable_contents(i)));
  }
  release.digest = sha256_hex(bytes);
  return release;
}
}  // namespace

Result<Release> open_release(std::string_view artifact, const std::vector<std::string>& trusted_keys) {
  return open_any(artifact, &trusted_keys);
}
Result<Release> inspect_release(std::string_view artifact) { return open_any(artifact, nullptr); }

}  // namespace wb::wire
