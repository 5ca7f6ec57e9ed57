#pragma once
// Shared by the files of this module only.

#include <string>
#include <string_view>

#include "hub/rollout/rollout.h"

namespace wb::hub::internal {

pb::LiveRollouts load_live(Rows& rows);
void save_live(Rows& rows, const pb::LiveRollouts& live);
void save_rollout(Rows& rows, const pb::Rollout& rollout);
// Adds `by` to the counter of an exposure state, and to `exposed` if that state counts as exposed.
void count(pb::Rollout& rollout, pb::ExposureState state, int by);
void tell(RolloutNews& news, const pb::Rollout& rollout, std::string_view kind, std::string_view node,
          std::string text);
void halt(Rows& rows, Moment now, pb::LiveRollouts& live, pb::Rollout& rollout, RolloutNews& news);
uint64_t bucket(const pb::Rollout& rollout, std::string_view node);
// A wave's exposure among `nodes`: at least one, never more than the percentage rounded up.
uint32_t wave_size(uint32_t percent, uint32_t nodes);
bool is_dark(Moment now, int64_t up_ms, int64_t dark_after_ms, int64_t last_contact_ms);

}  // namespace wb::hub::internal
