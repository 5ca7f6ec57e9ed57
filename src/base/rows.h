#pragma once
// Rows: the hub's storage port. Ordered rows of bytes in named tables, inside one transaction: SQLite today, PostgreSQL
// when one machine is not enough, std::map in the simulator. Hub modules load, decide and save through it and hold no
// other state, so a hub process can be replaced at any time.
//
// A call never fails: world/ turns a storage fault into the failure of the whole transaction, whose effects then never
// happened and whose request is answered "unavailable".

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace wb {

// Table names are persisted (since 0.1): add, never renumber.
enum class Table : uint8_t {
  kMeta = 1,        // single values of the hub
  kNodes = 2,       // node id → Node
  kTokens = 3,      // SHA-256 of the secret → Token
  kReleases = 4,    // digest → ReleaseRow
  kArtifacts = 5,   // digest → bytes (≤ limits)
  kRollouts = 6,    // id → Rollout
  kExposure = 7,    // rollout id, node id → Exposure
  kStreams = 8,     // node id, incarnation, lane → StreamState
  kRecords = 9,     // node id, incarnation, lane, seq → RecordUp
  kTelemetry = 10,  // node id → last report
  kAudit = 11,      // sequence → hash-chained AuditEntry
  kEvents = 12,     // node or release, time → what happened (for track)
  kSchemas = 13,    // schema id → Schema
};

class Rows {
 public:
  virtual ~Rows() = default;
  virtual std::optional<std::string> get(Table table, std::string_view key) = 0;
  virtual void put(Table table, std::string_view key, std::string_view value) = 0;
  virtual void erase(Table table, std::string_view key) = 0;
  // Visits rows whose key starts with `prefix` and is ≥ `from`, in key order, until `visit` returns false. `visit` must
  // not write to the table it scans.
  virtual void scan(Table table, std::string_view prefix, std::string_view from,
                    const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;
};

}  // namespace wb
