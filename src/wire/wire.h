#pragma once
// wire: every message an agent and a hub may exchange (api/proto/waybill.proto, protobuf), decoded with limits, and the
// release artifact that both sides verify. All that the two sides share is here and nowhere else.
//
// Every byte is hostile: decode_* checks sizes and counts before the message is used and refuses by name.

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "record/record.h"
#include "waybill.pb.h"
#include "wire/limits.h"

namespace wb::wire {

Result<ExchangeRequest> decode_exchange_request(std::string_view bytes);
Result<ExchangeResponse> decode_exchange_response(std::string_view bytes);
Result<EnrolRequest> decode_enrol_request(std::string_view bytes);
Result<EnrolResponse> decode_enrol_response(std::string_view bytes);
Result<RecordUp> decode_record(std::string_view bytes);

// Whether an encoded ExchangeRequest has a stream in it, without parsing it: what an overloaded hub asks first. Broken
// bytes bring none.
bool brings_records(std::string_view exchange_request);

// Deterministic: one message, one byte string.
Bytes encode(const google::protobuf::MessageLite& message);

SchemaDef to_wire(const Schema& schema);
Result<Schema> from_wire(const SchemaDef& schema);

// ---- release artifact

struct ReleaseContent {
  Manifest manifest;                                    // without blobs: they are filled from `contents`
  std::vector<std::pair<std::string, Bytes>> contents;  // name → bytes
};

// Same content and key, same bytes. `seed` is the 32-byte Ed25519 private key of the publisher.
Result<Bytes> build_release(ReleaseContent content, std::string_view seed);

struct Release {
  std::string digest;  // hex SHA-256 of the artifact
  Manifest manifest;
  std::vector<Bytes> contents;
  const Bytes* find(std::string_view name) const;  // nullptr if there is no such blob
  std::string full_name() const { return manifest.name() + "@" + manifest.version(); }
};

// Checks size, structure, signature against one of `trusted_keys` (32 raw bytes each) and every blob's digest. The
// error says which check failed: kInvalid (structure), kDenied (signature or key), kCorrupt (a blob's digest or
// length).
Result<Release> open_release(std::string_view artifact, const std::vector<std::string>& trusted_keys);
// The same without the signature: for `release show` and for a hub that stores what it is not entitled to make.
Result<Release> inspect_release(std::string_view artifact);
std::string key_id(std::string_view public_key);  // 16 hex digits

}  // namespace wb::wire
