#pragma once
// registry: who may call (nodes, enrolment tokens) and what may run (publisher keys, releases, artifact bytes).

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/rows.h"
#include "base/step.h"
#include "hub.pb.h"
#include "wire/wire.h"

namespace wb::hub {

inline constexpr size_t kArtifactChunkBytes = 256U << 10;  // one row; a range read touches only what it needs
inline constexpr int64_t kTokenLifetimeMaxMs = 90LL * 86'400'000;
inline constexpr size_t kNodeIdBytesMax = 64;
static_assert(kArtifactChunkBytes >= limits::kFetchRangeBytesMax);

using Labels = std::map<std::string, std::string, std::less<>>;
using LabelList = std::vector<std::pair<std::string, std::string>>;

// ---- nodes
std::optional<pb::Node> find_node(Rows& rows, std::string_view id);
void save_node(Rows& rows, const pb::Node& node);
// In id order, from `from` on, until `visit` returns false.
void each_node(Rows& rows, std::string_view from, const std::function<bool(const pb::Node&)>& visit);
Labels labels_of(const pb::Node& node);  // the operator's win over the node's own; with node=<id>
// kDenied with what to do: unknown, revoked, or another certificate than the one on file (or its renewal).
Status admit(const std::optional<pb::Node>& node, std::string_view id, std::string_view serial);
// A renewed certificate that is used retires the one before it.
void use_certificate(pb::Node& node, std::string_view serial);
// What the node says of itself: replaced whole. Returns true if that changed it.
bool set_own_labels(pb::Node& node, const Labels& labels);
// Notes the contact. Returns true if something that a selector may ask for has changed.
bool touch(Moment now, pb::Node& node, const wire::ExchangeRequest& request);
// nullopt erases the label. kInvalid: bad key or too many.
Status change_labels(pb::Node& node, const std::vector<std::pair<std::string, std::optional<std::string>>>& changes);

// ---- enrolment (I6)
struct NewToken {
  std::string secret;
  int64_t lifetime_ms = 0;
  LabelList labels;
  std::string actor;
};
Status create_token(Rows& rows, Moment now, const NewToken& token);
struct EnrolDecision {
  std::string node_id;  // issue a certificate for it
  std::string token_key;
  std::string replay;  // not empty: the encoded EnrolResponse that this very request got before
};
Result<EnrolDecision> decide_enrolment(Rows& rows, Moment now, const wire::EnrolRequest& request,
                                       std::string_view entropy);
// Books the token as used and makes the node, in one go.
Result<pb::Node> complete_enrolment(Rows& rows, Moment now, std::string_view token_key, std::string_view node_id,
                                    std::string_view csr_der, std::string_view serial, std::string_view response);

// ---- publisher keys and releases (K2)
Status trust_key(Rows& rows, Moment now, std::string_view public_key, std::string_view name);
std::vector<pb::PublisherKey> trusted_keys(Rows& rows);
struct Pushed {
  pb::ReleaseRow row;
  bool fresh = false;  // false: these very bytes were here already
};
Result<Pushed> push_release(Rows& rows, Moment now, std::string_view artifact, std::string_view actor);
std::optional<pb::ReleaseRow> find_release(Rows& rows, std::string_view digest_or_full_name);
std::vector<pb::ReleaseRow> list_releases(Rows& rows);  // by name, then time
// Up to one chunk's worth of bytes; less at the end. kNotFound, or kInvalid past the end.
Result<std::string> read_artifact(Rows& rows, const pb::ReleaseRow& release, uint64_t offset, uint64_t length);

}  // namespace wb::hub
