#pragma once
// What must hold before a release is ever loaded, in this order: length, SHA-256, signature by a pinned key, structure
// and limits, the assignment's own name, models that load, and self-test rows whose margins this machine reproduces bit
// for bit.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "wire/wire.h"

namespace wb::deploy {

struct Refusal {
  std::string code;  // hierarchical: "DEPLOY_REJECTED/SIGNATURE"
  std::string text;  // for a person
};

// The first model blob is the one the self-test speaks of.
inline constexpr std::string_view kModelPrefix = "model/";
inline constexpr std::string_view kPipelineBlob = "pipeline.yaml";

std::variant<wire::Release, Refusal> verify_release(std::string_view artifact, const wire::Desired& desired,
                                                    const std::vector<std::string>& trusted_keys);
// Models load and the self-test reproduces. Also used by `waybill release build`, so that nothing is signed that no
// node would take.
std::variant<std::monostate, Refusal> check_models(const wire::Release& release);

// 64 lower-case hex digits: a digest is also a file name, so nothing else may pass.
bool is_digest(std::string_view text);

}  // namespace wb::deploy
