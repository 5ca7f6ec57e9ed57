#pragma once
// Damage to what was synced: one bit flipped, or the file cut off, for each bit and byte of a specimen. Internal to the
// parts of damage; see crash_points.h.

#include <map>
#include <string>
#include <utility>

#include "tests/crash/crash_points.h"
#include "tests/crash/store_session.h"

namespace wb::crash {

using RowMap = std::map<std::pair<NodeTable, std::string>, std::string>;

struct Damage {
  uint64_t byte = UINT64_MAX;    // with a flipped bit
  uint64_t cut_at = UINT64_MAX;  // all bytes from there on are gone
};

// A store, and which part of which of its files is damaged.
class Specimen {
 public:
  virtual ~Specimen() = default;
  // What is wrong with a start on the damaged disk, "" = nothing.
  virtual std::string judge(StoreSession& session, const Damage& damage) const = 0;

  MemoryDisk disk;
  std::string file;   // name
  std::string bytes;  // all of it that is damaged; what lies behind is space only
};

Tally damage(const Specimen& specimen, const Plan& plan, const Progress& progress);

void apply_to(RowMap& rows, const std::vector<StoreOp>& ticket);
// What is there after a start, whole values.
RowMap rows_of(StoreSession& session);
// Opens the outbox over what was found: its sums must match, and exactly so many records be declared lost. Or it takes
// a new incarnation: then `records_gone` need not be known. `must_be_new`: nothing else will do.
std::string check_sums(const StoreSession& session, std::optional<uint64_t> records_gone, bool must_be_new);

}  // namespace wb::crash
