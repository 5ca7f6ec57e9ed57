#include "hub/dispatch/dispatch.h"

#include <algorithm>

#include "base/planted.h"

namespace wb::hub {

bool assign(Moment now, pb::Node& node, const pb::Assignment& wanted, uint64_t reported_generation) {
  if (planted(Bug::kGenerationsForgotten)) reported_generation = 0;
  pb::Assignment next = wanted;
  const auto& refused = node.quarantined();
  if (std::find(refused.begin(), refused.end(), next.digest()) != refused.end()) next = pb::Assignment{};
  const pb::Assignment& current = node.desired();
  // A hub that knows of nothing (new, or restored from before the first rollout) takes nothing away either.
  const bool nothing_yet = current.generation() == 0 && next.digest().empty();
  // The rollout alone is no reason to act: the same release by another way leaves a running node in peace.
  const bool same = current.digest() == next.digest() && current.generation() >= reported_generation;
  if (nothing_yet || same) {
    if (!next.digest().empty()) node.mutable_desired()->set_rollout(next.rollout());
    return false;
  }
  next.set_generation(std::max<uint64_t>(current.generation(), reported_generation) + 1);
  next.set_since_ms(now.unix_ms);
  *node.mutable_desired() = next;
  return true;
}

wire::Desired to_wire(const pb::Assignment& assignment) {
  wire::Desired out;
  out.set_generation(assignment.generation());
  out.set_digest(assignment.digest());
  out.set_name(assignment.name());
  out.set_size_bytes(assignment.size_bytes());
  out.set_rollout(assignment.rollout());
  out.set_probation_records(assignment.probation_records());
  out.set_probation_ms(assignment.probation_ms());
  return out;
}

}  // namespace wb::hub
