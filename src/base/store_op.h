#pragma once
// StoreOp: what a node's core asks its store to change. A group of ops under one ticket is applied in one transaction;
// tickets become durable in order (contract 2 in base/step.h). world/ performs them on SQLite, sim/ on a simulated
// disk.

#include <cstdint>
#include <string>
#include <vector>

namespace wb {

// Persisted (since 0.1): add, never renumber.
enum class NodeTable : uint8_t {
  kState = 1,    // small named values: identity, deploy journal, source offsets, counters, sampler state
  kRecords = 2,  // the outbox: key = lane byte + seq (8 bytes, big-endian) → record
};

struct StoreOp {
  NodeTable table = NodeTable::kState;
  std::string key;
  std::string value;
  bool erase = false;
};

struct StoredRow {
  NodeTable table = NodeTable::kState;
  std::string key;
  std::string value;         // of kRecords only the first kRecordHeadBytes
  uint32_t value_bytes = 0;  // the whole value's size
};

inline constexpr uint32_t kRecordHeadBytes = 64;  // no head is longer

// All that a node's disk held when it started. Rows whose CRC did not match were set aside and only counted.
struct StoredState {
  std::vector<StoredRow> rows;  // by table, then key order
  uint64_t damaged_rows_count = 0;
  // Some of what was reported durable is missing from the middle: rows may be older than others, and erased ones back.
  bool commits_lost = false;
};

}  // namespace wb
