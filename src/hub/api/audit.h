#pragma once
// The audit log: one entry per mutation by a person or by a gate, each with the hash of the one before it (H4). Whoever
// changes or drops an entry has to change every later one, and the newest hash is in every backup and every export.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/rows.h"
#include "base/step.h"
#include "hub.pb.h"

namespace wb::hub {

void audit(Rows& rows, Moment now, std::string_view actor, std::string_view action, std::string_view subject,
           std::string_view detail);
std::vector<pb::AuditEntry> audit_after(Rows& rows, uint64_t number, size_t entries_max);
// The number of the first entry that does not fit its neighbours; nullopt: the chain is whole.
std::optional<uint64_t> first_broken_audit(Rows& rows);

}  // namespace wb::hub
