// Verification, cheapest and least trusting check first: nothing is parsed before its digest matched, nothing is
// believed before its signature did.
#include "edge/deploy/verify.h"

#include <algorithm>

#include "base/checksum.h"
#include "base/planted.h"

namespace wb::deploy {

bool is_digest(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::variant<wire::Release, Refusal> verify_release(std::string_view artifact, const wire::Desired& desired,
                                                    const std::vector<std::string>& trusted_keys) {
  if (artifact.size() != desired.size_bytes())
    return Refusal{"DEPLOY_REJECTED/LENGTH", "release " + desired.name() + " has " + std::to_string(artifact.size()) +
                                                 " bytes; its assignment says " + std::to_string(desired.size_bytes())};
  if (sha256_hex(artifact) != desired.digest())
    return Refusal{"DEPLOY_REJECTED/DIGEST", "the bytes fetched for release " + desired.name() +
                                                 " are not the release " + desired.digest().substr(0, 12)};
  Result<wire::Release> opened = wire::open_release(artifact, trusted_keys);
  if (!opened.ok()) {
    const Error& error = opened.error();
    const char* code = error.code == Code::kDenied        ? "DEPLOY_REJECTED/SIGNATURE"
                       : error.code == Code::kCorrupt     ? "DEPLOY_REJECTED/BLOB"
                       : error.code == Code::kUnsupported ? "DEPLOY_REJECTED/FORMAT"
                                                          : "DEPLOY_REJECTED/STRUCTURE";
    return Refusal{code, error.text};
  }
  // A hub that is allowed to assign pump@2 may not pass off another signed release under that name (mix-and-match, K3).
  if (!planted(Bug::kOtherNameTaken) && !desired.name().empty() && opened->full_name() != desired.name())
    return Refusal{"DEPLOY_REJECTED/NAME", "assigned as " + desired.name() + ", but signed as " + opened->full_name()};
  if (opened->find(kPipelineBlob) == nullptr)
    return Refusal{"DEPLOY_REJECTED/SCHEMA",
                   "release " + opened->full_name() + " has no " + std::string(kPipelineBlob)};
  if (opened->manifest.has_schema() && opened->manifest.schema().names_size() > 0) {
    const Result<Schema> schema = wire::from_wire(opened->manifest.schema());
    if (!schema.ok()) return Refusal{"DEPLOY_REJECTED/SCHEMA", schema.error().text};
  }
  std::variant<std::monostate, Refusal> models = check_models(*opened);
  if (Refusal* refusal = std::get_if<Refusal>(&models)) return std::move(*refusal);
  return std::move(*opened);
}

}  // namespace wb::deploy
