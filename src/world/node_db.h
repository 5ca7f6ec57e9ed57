#pragma once
// NodeDb: the SQLite file behind node_store.h. One thread at a time; internal to world.
//
// Layout (docs/formats/outbox.md): `state` (key → value, CRC32C) and one table per lane, `records_1` … `records_4`
// (sequence number → value, CRC32C), so that every lane appends at the end of its own B-tree and pages fill up.

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/store_op.h"

namespace wb::world {

inline constexpr uint64_t kNodePageBytes = 4'096;
inline constexpr uint8_t kNodeLanes = 4;
inline constexpr std::string_view kDamageNoted = "store/damaged_rows";  // state: u64, since 0.1
inline constexpr std::string_view kCommitsLost = "store/commits_lost";  // state: empty, since 0.1

// What the crc of a row is over, and the key of a record.
uint32_t node_row_crc(NodeTable table, std::string_view key, std::string_view value);
std::string node_record_key(uint8_t lane, int64_t seq);

class NodeDb {
 public:
  struct Limits {
    uint64_t file_bytes_max = 0;
    uint64_t wal_bytes_max = 0;
    // Own the disk space that is needed before it is needed: hold(), and a log that keeps its size (R1).
    bool reserve = false;
  };
  // Makes the file if it is not there. kCorrupt: it is no such database or fails SQLite's check; kUnsupported: a newer
  // version's.
  static Result<std::unique_ptr<NodeDb>> open(const std::string& path, const Limits& limits);
  ~NodeDb();
  NodeDb(const NodeDb&) = delete;
  NodeDb& operator=(const NodeDb&) = delete;

  Status begin();
  Status apply(const StoreOp& op);
  Status commit();  // with it what read_all() said is taken for told
  bool rollback();  // false: the connection is of no use any more
  // Everything whose CRC matches; what does not is erased and counted. The count is noted in the file until the first
  // commit: a start that is cut before it could tell anybody is told the same by the next (Q4, Q6).
  Result<StoredState> read_all();
  // With the whole value. nullopt: it is not there, or damaged. An error (no memory) says nothing about the row.
  Result<std::optional<StoredRow>> load(std::string_view record_key);
  uint64_t file_bytes();
  uint64_t used_bytes();
  // Moves everything from the log into the file. Afterwards the log is empty, and synced: cut off, or with `reserve`
  // without a head. commit() does so when the log has reached its size.
  Status checkpoint();
  // Makes the file own at least so many bytes of its disk, or as many as it is limited to. False: there is no room.
  bool hold(uint64_t bytes);
  uint64_t held_bytes();

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

  explicit NodeDb(std::string path) : path_(std::move(path)) {}
  Status connect();
  Status configure(const Limits& limits);
  Status empty_log();
  Status sync_length();
  void hold_log(uint64_t bytes);
  Status check_schema();
  Status quick_check();
  Status execute(const std::string& sql);
  Result<Statement> prepare(const std::string& sql);
  Result<sqlite3_stmt*> ready(Statement& slot, const std::string& sql);
  Result<int64_t> number(const std::string& sql);
  Error error(int result, std::string_view what) const;
  Status read_table(NodeTable table, uint8_t lane, StoredState& found, std::vector<StoreOp>& damaged);
  bool out_of_memory() const { return sqlite3_errcode(database_) == SQLITE_NOMEM; }
  static std::optional<StoredRow> row_of(sqlite3_stmt* statement, NodeTable table, uint8_t lane, std::string* key_out);

  std::string path_;
  bool damage_noted_ = false;
  int log_frames_ = 0;
  bool length_lasts_ = false;  // the file's, as it is now, through a power cut
  bool log_is_spent_ = false;  // all of it is in the file, and it is not durably empty yet
  sqlite3* database_ = nullptr;
  Limits limits_;
  Statement put_state_, erase_state_;
  std::array<Statement, kNodeLanes> put_record_, erase_record_, get_record_;
  friend class NodeSalvage;
};

// Reads a damaged file: forwards until the damage, backwards until the damage, then number by number in between; what
// the trees do not lead to is carved from its pages (node_carve.h).
class NodeSalvage {
 public:
  static constexpr uint64_t kProbesMax = 200'000;
  static constexpr int64_t kMissesMax = 4'096;
  explicit NodeSalvage(const std::string& path);
  // The rows that are intact; whole values. Bounded by what a store of `bytes_max` can hold.
  std::vector<StoreOp> read(uint64_t bytes_max);
  uint64_t damaged_rows_count() const { return damaged_rows_count_; }
  // No memory: what was read is no measure of what is there.
  bool out_of_memory() const { return out_of_memory_; }

 private:
  void read_state();
  void read_lane(uint8_t lane);
  void carve();
  bool keep(StoreOp row);                                               // false: there is no more room
  int64_t scan(NodeTable table, uint8_t lane, const std::string& sql);  // last number seen, 0 = none; sets clean_end_
  bool take(sqlite3_stmt* statement, NodeTable table, uint8_t lane);

  std::string path_;
  std::unique_ptr<NodeDb> db_;
  std::vector<StoreOp> rows_;
  uint64_t bytes_left_ = 0;
  uint64_t damaged_rows_count_ = 0;
  bool clean_end_ = false;
  bool out_of_memory_ = false;
};

}  // namespace wb::world
