#include <algorithm>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/signature.h"
#include "base/typed_rows.h"
#include "hub/registry/registry.h"

namespace wb::hub {
namespace {

std::string digest_key(std::string_view digest) { return "d/" + std::string(digest); }
std::string name_key(std::string_view full_name) { return "n/" + std::string(full_name); }

std::string chunk_key(std::string_view digest, uint64_t index) {
  std::string key(digest);
  append_u64_be(key, index);
  return key;
}

}  // namespace

Status trust_key(Rows& rows, Moment now, std::string_view public_key, std::string_view name) {
  if (public_key.size() != kEd25519KeyBytes)
    return fail(Code::kInvalid, "a publisher key is an Ed25519 public key of 32 bytes");
  const std::string key = "key/" + wire::key_id(public_key);
  if (const auto known = load_row<pb::PublisherKey>(rows, Table::kMeta, key)) {
    if (known->public_key() != public_key) return fail(Code::kExists, "another key with this id is trusted already");
    return ok_status();
  }
  pb::PublisherKey row;
  row.set_public_key(std::string(public_key));
  row.set_name(fit_text(name, limits::kLabelBytesMax));
  row.set_added_ms(now.unix_ms);
  save_row(rows, Table::kMeta, key, row);
  return ok_status();
}

std::vector<pb::PublisherKey> trusted_keys(Rows& rows) {
  std::vector<pb::PublisherKey> out;
  rows.scan(Table::kMeta, "key/", {}, [&](std::string_view, std::string_view value) {
    pb::PublisherKey key;
    if (parse_row(value, key)) out.push_back(std::move(key));
    return true;
  });
  return out;
}

Result<Pushed> push_release(Rows& rows, Moment now, std::string_view artifact, std::string_view actor) {
  std::vector<std::string> keys;
  for (const pb::PublisherKey& key : trusted_keys(rows)) keys.push_back(key.public_key());
  if (keys.empty())
    return fail(Code::kDenied, "this hub trusts no publisher key yet; add yours with `waybill release key trust`");
  auto release = wire::open_release(artifact, keys);
  if (!release.ok()) return release.error().within("release refused");
  if (auto known = load_row<pb::ReleaseRow>(rows, Table::kReleases, digest_key(release->digest)))
    return Pushed{*known, false};
  const std::string full_name = release->full_name();
  if (const auto other = rows.get(Table::kReleases, name_key(full_name)))
    return fail(Code::kExists, full_name, " is here already with other bytes (", other->substr(0, 12),
                "…); a version never changes: raise the version");
  Pushed out;
  out.fresh = true;
  out.row.set_digest(release->digest);
  out.row.set_name(release->manifest.name());
  out.row.set_version(release->manifest.version());
  out.row.set_size_bytes(artifact.size());
  out.row.set_pushed_ms(now.unix_ms);
  out.row.set_pushed_by(std::string(actor));
  wire::ReleaseArtifact envelope;
  if (envelope.ParseFromArray(artifact.data(), static_cast<int>(artifact.size())))
    out.row.set_key_id(hex_encode(envelope.key_id()));
  *out.row.mutable_blobs() = release->manifest.blobs();
  *out.row.mutable_feature_names() = release->manifest.feature_names();
  *out.row.mutable_schema() = release->manifest.schema();
  for (uint64_t index = 0; index * kArtifactChunkBytes < artifact.size(); ++index)
    rows.put(Table::kArtifacts, chunk_key(release->digest, index),
             artifact.substr(index * kArtifactChunkBytes, kArtifactChunkBytes));
  save_row(rows, Table::kReleases, digest_key(release->digest), out.row);
  rows.put(Table::kReleases, name_key(full_name), release->digest);
  return out;
}

std::optional<pb::ReleaseRow> find_release(Rows& rows, std::string_view what) {
  if (what.find('@') == std::string_view::npos)
    return load_row<pb::ReleaseRow>(rows, Table::kReleases, digest_key(what));
  const auto digest = rows.get(Table::kReleases, name_key(what));
  if (!digest) return std::nullopt;
  return load_row<pb::ReleaseRow>(rows, Table::kReleases, digest_key(*digest));
}

std::vector<pb::ReleaseRow> list_releases(Rows& rows) {
  std::vector<pb::ReleaseRow> out;
  rows.scan(Table::kReleases, "d/", {}, [&](std::string_view, std::string_view value) {
    pb::ReleaseRow row;
    if (parse_row(value, row)) out.push_back(std::move(row));
    return true;
  });
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    if (a.name() != b.name()) return a.name() < b.name();
    return a.pushed_ms() != b.pushed_ms() ? a.pushed_ms() < b.pushed_ms() : a.version() < b.version();
  });
  return out;
}

Result<std::string> read_artifact(Rows& rows, const pb::ReleaseRow& release, uint64_t offset, uint64_t length) {
  if (offset >= release.size_bytes())
    return fail(Code::kInvalid, "offset ", std::to_string(offset), " is past the end of ",
                std::to_string(release.size_bytes()), " bytes");
  length = std::min<uint64_t>({length, limits::kFetchRangeBytesMax, release.size_bytes() - offset});
  std::string out;
  while (out.size() < length) {
    const uint64_t at = offset + out.size();
    const auto chunk = rows.get(Table::kArtifacts, chunk_key(release.digest(), at / kArtifactChunkBytes));
    const uint64_t skip = at % kArtifactChunkBytes;
    if (!chunk || chunk->size() <= skip)
      return fail(Code::kCorrupt, "the bytes of release ", release.digest().substr(0, 12),
                  " are incomplete here; push it again");
    out += chunk->substr(skip, length - out.size());
  }
  return out;
}

}  // namespace wb::hub
