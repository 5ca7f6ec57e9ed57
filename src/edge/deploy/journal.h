#pragma once
// The deploy journal: five small rows of the node's kState table, each old or new and never empty (promise S1). They
// are separate rows so that one damaged row costs one fact: a lost candidate row costs a download, not the running
// release.
//
//   deploy/desired     the newest desired state accepted           deploy/candidate   what is on its way in
//   deploy/committed   the release this node runs                  deploy/quarantine  what it will never run again
//   deploy/previous    the one before it: the way back
//   deploy/keys        under which pinned keys it refused a signature (since 0.1): such a refusal lapses with them
//
// A row that cannot be read is as good as absent; it is counted and reported. Row layout: docs/formats/release.md.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/store_op.h"
#include "wire/wire.h"

namespace wb::deploy {

// A release in a slot of this node.
struct Slot {
  wire::Desired desired;  // the assignment that brought it: generation, digest, name, size
  uint64_t tries = 0;     // process starts that loaded it and have not been seen to survive
};

// Persisted (since 0.1): add, never renumber.
enum class Stage : uint8_t {
  kFetching = 1,   // being fetched and verified; was never loaded
  kProbation = 2,  // verified; may have been loaded
};

struct Candidate {
  Slot slot;
  Stage stage = Stage::kFetching;
  uint64_t bad_transfers = 0;  // whole downloads that were not the release they claimed to be
  uint64_t late_stops = 0;     // process starts that loaded it and ended, but only after it had run well for a while
};

struct Journal {
  static constexpr size_t kQuarantinedMax = limits::kQuarantinedMax;  // past that the oldest is forgotten

  wire::Desired desired;  // generation 0 = nothing was ever assigned
  std::optional<Slot> committed;
  std::optional<Slot> previous;
  std::optional<Candidate> candidate;
  std::vector<wire::Quarantined> quarantined;  // oldest first
  std::string keys;                            // fingerprint_of() when a signature was refused; "" = never
  uint64_t damaged_rows = 0;                   // not persisted: seen by parse()
  bool desired_is_deduced = false;             // not persisted: its row is missing, and must be written

  // The entry that forbids this assignment, or nullptr.
  const wire::Quarantined* forbids(const wire::Desired& wanted) const;
  void quarantine(wire::Quarantined entry);
  // The node was enrolled anew since it refused: a signature that it did not know then, it may know now.
  void pin(const std::vector<std::string>& trusted_keys);
};

// The same for the same keys in any order.
std::string fingerprint_of(const std::vector<std::string>& trusted_keys);

// From all rows of the node's store; rows of others are passed over.
Journal parse_journal(const std::vector<StoredRow>& rows);
// Every row, as it should now be. Compared with `before`, only what changed; nullptr = all.
std::vector<StoreOp> journal_ops(const Journal& now, const Journal* before);

}  // namespace wb::deploy
