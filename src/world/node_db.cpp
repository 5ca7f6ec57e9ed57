#include "world/node_db.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/planted.h"
#include "world/files.h"
#include "world/node_carve.h"
#include "world/sqlite_code.h"

namespace wb::world {
namespace {

constexpr int kLayout = 1;  // PRAGMA user_version, since 0.1
// PRAGMA application_id, since 0.1: "WB" and the layout once more, so that a flipped bit is not taken for a newer
// version.
constexpr int kApplication = 0x57420000;
constexpr int kReadsMax = 3;
constexpr int kChunkBytes = 256 << 10;  // in such steps the files take space: a checkpoint gives none of a step back
constexpr int kLogHeadBytes = 32;       // SQLite's file format, section 4.1
constexpr const char* kStateSql =
    "CREATE TABLE state(key TEXT PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID";

std::string records_name(uint8_t lane) { return "records_" + std::to_string(lane); }
std::string records_sql(uint8_t lane) {
  return "CREATE TABLE " + records_name(lane) + "(seq INTEGER PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL)";
}

void bind_blob(sqlite3_stmt* statement, int index, std::string_view bytes) {
  sqlite3_bind_blob64(statement, index, bytes.data() == nullptr ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
}
std::string_view column(sqlite3_stmt* statement, int index) {
  const void* data = sqlite3_column_blob(statement, index);
  const int size = sqlite3_column_bytes(statement, index);
  return data == nullptr ? std::string_view()
                         : std::string_view(static_cast<const char*>(data), static_cast<size_t>(size));
}

// The open file below the database, or below its log. nullptr = there is none.
sqlite3_file* file_of(sqlite3* database, int which) {
  sqlite3_file* file = nullptr;
  if (sqlite3_file_control(database, "main", which, &file) != SQLITE_OK) return nullptr;
  return file != nullptr && file->pMethods != nullptr ? file : nullptr;
}

// False: no room on the disk. A file system that cannot say beforehand is believed.
bool take_space(sqlite3_file* file, uint64_t bytes) {
  int chunk = kChunkBytes;
  auto size = static_cast<sqlite3_int64>(bytes);
  auto* const call = file->pMethods->xFileControl;
  if (call(file, SQLITE_FCNTL_CHUNK_SIZE, &chunk) != SQLITE_OK) return true;
  return call(file, SQLITE_FCNTL_SIZE_HINT, &size) == SQLITE_OK;
}

bool is_record_key(std::string_view key) {
  return key.size() == 9 && key[0] >= 1 && key[0] <= kNodeLanes && read_u64_be(key.substr(1)) < (1ULL << 56);
}

}  // namespace

uint32_t node_row_crc(NodeTable table, std::string_view key, std::string_view value) {
  const char prefix = static_cast<char>(table);
  return crc32c(value, crc32c(key, crc32c(std::string_view(&prefix, 1))));
}

std::string node_record_key(uint8_t lane, int64_t seq) {
  std::string key(1, static_cast<char>(lane));
  append_u64_be(key, static_cast<uint64_t>(seq));
  return key;
}

Error NodeDb::error(int result, std::string_view what) const {
  std::string detail = database_ == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(database_);
  if (const int system = database_ == nullptr ? 0 : sqlite3_system_errno(database_);
      system != 0 && (result & 0xFF) == SQLITE_IOERR)
    detail += std::string(" (") + std::strerror(system) + ")";
  return fail(sqlite_code(result), path_, ": ", std::string(what), ": ", detail);
}

NodeDb::~NodeDb() {
  if (database_ != nullptr && limits_.reserve) {  // the log stays, with the space it owns, and says nothing
    int keep = 1;
    sqlite3_file_control(database_, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    (void)execute("PRAGMA journal_size_limit=-1");
    (void)checkpoint();
  }
  put_state_.reset();
  erase_state_.reset();
  put_record_ = {};
  erase_record_ = {};
  get_record_ = {};
  sqlite3_close(database_);
}

Status NodeDb::execute(const std::string& sql) {
  const int result = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return error(result, sql);
  return ok_status();
}

Result<NodeDb::Statement> NodeDb::prepare(const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  const int result = sqlite3_prepare_v3(database_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (result != SQLITE_OK) return error(result, sql);
  return Statement(raw);
}

Result<sqlite3_stmt*> NodeDb::ready(Statement& slot, const std::string& sql) {
  if (slot == nullptr) {
    WB_TRY(slot, prepare(sql));
  }
  sqlite3_reset(slot.get());
  return slot.get();
}

Result<int64_t> NodeDb::number(const std::string& sql) {
  WB_TRY(const Statement statement, prepare(sql));
  const int result = sqlite3_step(statement.get());
  if (result != SQLITE_ROW) return error(result, sql);
  return sqlite3_column_int64(statement.get(), 0);
}

Result<std::unique_ptr<NodeDb>> NodeDb::open(const std::string& path, const Limits& limits) {
  std::unique_ptr<NodeDb> db(new NodeDb(path));
  WB_CHECK(db->connect());
  db->limits_ = limits;
  WB_CHECK(db->configure(limits));
  WB_CHECK(db->check_schema());
  // Frames of a transaction whose sync failed may have been found in the log: they count only once they are in the
  // file.
  const Status moved = db->checkpoint();
  if (!moved.ok() && moved.error().code != Code::kFull) return moved.error();
  // A disk without room for them in the file does not stop a start: then the log itself must hold them (Q5, R1).
  if (!moved.ok()) WB_CHECK(sync_file(path + "-wal"));
  if (limits.reserve) db->hold_log(limits.wal_bytes_max);
  return db;
}

Status NodeDb::checkpoint() {
  int frames = 0, moved = 0;
  const int mode = limits_.reserve ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_TRUNCATE;
  const int result = sqlite3_wal_checkpoint_v2(database_, "main", mode, &frames, &moved);
  if (result != SQLITE_OK) return error(result, "move the log into the file");
  log_frames_ = 0;
  log_is_spent_ = frames == moved;
  (void)empty_log();  // begin() tries again
  return ok_status();
}

// With `reserve` the log is not cut off, for what it gives back others may take: its head is overwritten instead. Every
// frame behind it is in the file by then, and the next commit writes a new head. Before that the end of the old one is
// synced: so a head that is neither whole nor zeros is a damaged one (sqlite_log.h).
Status NodeDb::empty_log() {
  sqlite3_file* log = log_is_spent_ ? file_of(database_, SQLITE_FCNTL_JOURNAL_POINTER) : nullptr;
  if (log == nullptr) return ok_status();
  const std::array<char, kLogHeadBytes> nothing{};
  sqlite3_int64 bytes = 0;
  int result = log->pMethods->xFileSize(log, &bytes);
  if (result == SQLITE_OK && limits_.reserve && bytes >= sqlite3_int64{kLogHeadBytes})
    result = log->pMethods->xWrite(log, nothing.data(), kLogHeadBytes, 0);
  if (result == SQLITE_OK) result = log->pMethods->xSync(log, SQLITE_SYNC_NORMAL);
  if (result != SQLITE_OK) return error(result, "empty the log");
  log_is_spent_ = false;
  return ok_status();
}

Status NodeDb::begin() {
  WB_CHECK(empty_log());
  return execute("BEGIN IMMEDIATE");
}

void NodeDb::hold_log(uint64_t bytes) {
  sqlite3_file* log = file_of(database_, SQLITE_FCNTL_JOURNAL_POINTER);
  if (log != nullptr) (void)take_space(log, bytes);
}

bool NodeDb::hold(uint64_t bytes) {
  if (!limits_.reserve) return true;
  sqlite3_file* file = file_of(database_, SQLITE_FCNTL_FILE_POINTER);
  bytes = std::min(bytes, limits_.file_bytes_max);
  if (file == nullptr || held_bytes() >= bytes) return true;
  length_lasts_ = false;
  return take_space(file, bytes) && sync_length().ok();
}

// SQLite may take the file's length for that of the database, and note it in the log: it must last as long, so commit()
// tries again what failed or was cut short.
Status NodeDb::sync_length() {
  sqlite3_file* file = length_lasts_ || !limits_.reserve ? nullptr : file_of(database_, SQLITE_FCNTL_FILE_POINTER);
  if (file == nullptr) return ok_status();
  const int result = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
  if (result != SQLITE_OK) return error(result, "sync the file's length");
  length_lasts_ = true;
  return ok_status();
}

uint64_t NodeDb::held_bytes() {
  sqlite3_file* file = file_of(database_, SQLITE_FCNTL_FILE_POINTER);
  sqlite3_int64 bytes = 0;
  if (file == nullptr || file->pMethods->xFileSize(file, &bytes) != SQLITE_OK) return 0;
  return static_cast<uint64_t>(bytes);
}

Status NodeDb::connect() {
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  const int opened = sqlite3_open_v2(path_.c_str(), &database_, flags, nullptr);
  if (opened != SQLITE_OK) return error(opened, "open");
  share_no_sector(database_);
  // The file may hold anything: its schema may run nothing.
  sqlite3_db_config(database_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(database_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(database_, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  return ok_status();
}

Status NodeDb::configure(const Limits& limits) {
  // Exclusive: one connection, one process; the log's index then lives in memory, and Debian's WAL-reset fault cannot
  // occur.
  for (const char* sql :
       {"PRAGMA locking_mode=EXCLUSIVE", "PRAGMA page_size=4096", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",
        "PRAGMA temp_store=MEMORY", "PRAGMA cache_size=-512", "PRAGMA mmap_size=0", "PRAGMA cell_size_check=ON",
        "PRAGMA secure_delete=OFF"})  // Debian's SQLite writes zeros over what is freed: each page once more (W1)
    WB_CHECK(execute(sql));
  WB_CHECK(execute("PRAGMA max_page_count=" + std::to_string(limits.file_bytes_max / kNodePageBytes)));
  // Instead of SQLite's own checkpoint, which leaves the log as it is: commit() looks at the count.
  const auto count_frames = [](void* count, sqlite3*, const char*, int frames) {
    *static_cast<int*>(count) = frames;
    return SQLITE_OK;
  };
  sqlite3_wal_hook(database_, count_frames, &log_frames_);
  return execute("PRAGMA journal_size_limit=" + std::to_string(limits.wal_bytes_max));
}

Status NodeDb::check_schema() {
  WB_TRY(const int64_t layout, number("PRAGMA user_version"));
  WB_TRY(const int64_t application, number("PRAGMA application_id"));
  if (layout > kLayout && application == kApplication + layout)
    return fail(Code::kUnsupported, path_, ": written by a newer Waybill (layout ", std::to_string(layout),
                "; this one knows ", std::to_string(kLayout),
                "). Run the newer agent, or move the file away to start empty");
  WB_TRY(const int64_t tables, number("SELECT count(*) FROM sqlite_schema"));
  if (layout == 0 && tables == 0) {
    WB_CHECK(begin());
    WB_CHECK(execute(kStateSql));
    for (uint8_t lane = 1; lane <= kNodeLanes; ++lane) WB_CHECK(execute(records_sql(lane)));
    WB_CHECK(execute("PRAGMA user_version=" + std::to_string(kLayout)));
    WB_CHECK(execute("PRAGMA application_id=" + std::to_string(kApplication + kLayout)));
    return commit();
  }
  std::string known = "SELECT count(*) FROM sqlite_schema WHERE sql IN ('" + std::string(kStateSql) + "'";
  for (uint8_t lane = 1; lane <= kNodeLanes; ++lane) known += ",'" + records_sql(lane) + "'";
  WB_TRY(const int64_t ours, number(known + ")"));
  if (layout != kLayout || ours != kNodeLanes + 1 || tables != ours)
    return fail(Code::kCorrupt, path_, ": it is a database, but not one of an agent");
  // The check calls a page damaged also when reading it failed for a moment. What is damaged is so twice.
  if (quick_check().ok()) return ok_status();
  return quick_check();
}

Status NodeDb::quick_check() {
  WB_TRY(const Statement check, prepare("PRAGMA quick_check(1)"));
  const int result = sqlite3_step(check.get());
  if (result != SQLITE_ROW) return error(result, "check");
  if (column(check.get(), 0) != "ok") return fail(Code::kCorrupt, path_, ": ", std::string(column(check.get(), 0)));
  return ok_status();
}

Status NodeDb::apply(const StoreOp& op) {
  sqlite3_stmt* statement = nullptr;
  if (op.table == NodeTable::kRecords) {
    if (!is_record_key(op.key)) return fail(Code::kInternal, path_, ": a record's key is not lane and sequence number");
    const auto lane = static_cast<size_t>(op.key[0]);
    const std::string name = records_name(static_cast<uint8_t>(lane));
    if (op.erase) {
      WB_TRY(statement, ready(erase_record_[lane - 1], "DELETE FROM " + name + " WHERE seq=?1"));
    } else {
      WB_TRY(statement, ready(put_record_[lane - 1], "INSERT OR REPLACE INTO " + name + " VALUES(?1,?2,?3)"));
    }
    sqlite3_bind_int64(statement, 1, static_cast<int64_t>(read_u64_be(std::string_view(op.key).substr(1))));
  } else {
    if (op.erase) {
      WB_TRY(statement, ready(erase_state_, "DELETE FROM state WHERE key=?1"));
    } else {
      WB_TRY(statement, ready(put_state_, "INSERT OR REPLACE INTO state VALUES(?1,?2,?3)"));
    }
    sqlite3_bind_text64(statement, 1, op.key.data(), op.key.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  if (!op.erase) {
    bind_blob(statement, 2, op.value);
    sqlite3_bind_int64(statement, 3, node_row_crc(op.table, op.key, op.value));
  }
  const int result = sqlite3_step(statement);
  if (result == SQLITE_DONE) {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return ok_status();
  }
  const Error failed = error(result, op.erase ? "erase a row" : "write a row");
  sqlite3_reset(statement);
  return failed;
}

bool NodeDb::rollback() {
  if (sqlite3_get_autocommit(database_) != 0) return true;  // SQLite has rolled back by itself
  return execute("ROLLBACK").ok() && sqlite3_get_autocommit(database_) != 0;
}

// nullopt if the CRC does not match; the key is known even then.
std::optional<StoredRow> NodeDb::row_of(sqlite3_stmt* statement, NodeTable table, uint8_t lane, std::string* key_out) {
  StoredRow row;
  row.table = table;
  row.key = table == NodeTable::kRecords ? node_record_key(lane, sqlite3_column_int64(statement, 0))
                                         : std::string(column(statement, 0));
  *key_out = row.key;
  const std::string_view value = column(statement, 1);
  const auto crc = static_cast<uint64_t>(sqlite3_column_int64(statement, 2));
  if (crc != node_row_crc(table, row.key, value) && !planted(Bug::kChecksumIgnored)) return std::nullopt;
  if (table == NodeTable::kRecords && !is_record_key(row.key)) return std::nullopt;
  row.value_bytes = static_cast<uint32_t>(value.size());
  row.value = std::string(value);
  return row;
}

Status NodeDb::read_table(NodeTable table, uint8_t lane, StoredState& found, std::vector<StoreOp>& damaged) {
  const bool records = table == NodeTable::kRecords;
  WB_TRY(const Statement scan, prepare(records ? "SELECT seq,value,crc FROM " + records_name(lane) + " ORDER BY seq"
                                               : std::string("SELECT key,value,crc FROM state ORDER BY key")));
  int result = SQLITE_ROW;
  while ((result = sqlite3_step(scan.get())) == SQLITE_ROW) {
    std::string key;
    auto row = row_of(scan.get(), table, lane, &key);
    if (!row) {
      if (out_of_memory()) return error(SQLITE_NOMEM, "read all rows");
      damaged.push_back(StoreOp{table, std::move(key), {}, true});
      continue;
    }
    if (records && row->value.size() > kRecordHeadBytes) {
      row->value.resize(kRecordHeadBytes);
      row->value.shrink_to_fit();
    }
    found.rows.push_back(std::move(*row));
  }
  if (result != SQLITE_DONE) return error(result, "read all rows");
  return ok_status();
}

Status NodeDb::commit() {
  if (damage_noted_) {
    for (const std::string_view note : {kDamageNoted, kCommitsLost})
      WB_CHECK(apply(StoreOp{NodeTable::kState, std::string(note), {}, true}));
  }
  WB_CHECK(sync_length());
  WB_CHECK(execute("COMMIT"));
  damage_noted_ = false;
  if (static_cast<uint64_t>(log_frames_) * kNodePageBytes >= limits_.wal_bytes_max)
    (void)checkpoint();  // it is only a longer log that a failure leaves
  return ok_status();
}

Result<StoredState> NodeDb::read_all() {
  StoredState found;
  std::vector<StoreOp> damaged;
  WB_CHECK(read_table(NodeTable::kState, 0, found, damaged));
  for (uint8_t lane = 1; lane <= kNodeLanes; ++lane) WB_CHECK(read_table(NodeTable::kRecords, lane, found, damaged));
  found.damaged_rows_count = damaged.size();
  std::erase_if(found.rows, [&found](const StoredRow& row) {
    if (row.table != NodeTable::kState || (row.key != kDamageNoted && row.key != kCommitsLost)) return false;
    if (row.key == kCommitsLost) found.commits_lost = true;
    if (row.key == kDamageNoted && row.value.size() == 8) found.damaged_rows_count += read_u64_be(row.value);
    return true;
  });
  damage_noted_ = found.damaged_rows_count > 0 || found.commits_lost;
  if (damaged.empty()) return found;
  WB_CHECK(begin());
  for (const StoreOp& op : damaged) {
    if (op.table == NodeTable::kRecords && !is_record_key(op.key))
      return fail(Code::kCorrupt, path_, ": a row has an impossible number");
    WB_CHECK(apply(op));
  }
  WB_CHECK(apply(StoreOp{NodeTable::kState, std::string(kDamageNoted), key_u64(found.damaged_rows_count), false}));
  WB_CHECK(sync_length());
  WB_CHECK(execute("COMMIT"));
  return found;
}

Result<std::optional<StoredRow>> NodeDb::load(std::string_view key) {
  std::optional<StoredRow> row;
  if (!is_record_key(key)) return row;
  const auto lane = static_cast<uint8_t>(key[0]);
  WB_TRY(sqlite3_stmt* const statement,
         ready(get_record_[lane - 1U], "SELECT seq,value,crc FROM " + records_name(lane) + " WHERE seq=?1"));
  std::string ignored;
  int result = SQLITE_IOERR;
  // A sector that cannot be read several times in a row is a damaged one.
  for (int i = 0; i < kReadsMax && (result & 0xFF) == SQLITE_IOERR; ++i) {
    sqlite3_reset(statement);
    sqlite3_bind_int64(statement, 1, static_cast<int64_t>(read_u64_be(key.substr(1))));
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW) row = row_of(statement, NodeTable::kRecords, lane, &ignored);
  }
  const bool no_memory = (result & 0xFF) == SQLITE_NOMEM || (!row && out_of_memory());
  sqlite3_reset(statement);
  if (no_memory) return error(SQLITE_NOMEM, "read a record");
  return row;
}

uint64_t NodeDb::file_bytes() {
  const auto pages = number("PRAGMA page_count");
  return pages.ok() ? static_cast<uint64_t>(*pages) * kNodePageBytes : 0;
}
uint64_t NodeDb::used_bytes() {
  const auto free_pages = number("PRAGMA freelist_count");
  const uint64_t all = file_bytes();
  return free_pages.ok() ? all - std::min(all, static_cast<uint64_t>(*free_pages) * kNodePageBytes) : all;
}

// ---- salvage

NodeSalvage::NodeSalvage(const std::string& path) : path_(path), db_(new NodeDb(path)) {
  if (!db_->connect().ok()) {
    db_.reset();
    return;
  }
  sqlite3_db_config(db_->database_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);  // evidence stays as it was found
  (void)db_->execute("PRAGMA locking_mode=EXCLUSIVE");
  (void)db_->execute("PRAGMA cache_size=-512");
  (void)db_->execute("PRAGMA cell_size_check=ON");
}

std::vector<StoreOp> NodeSalvage::read(uint64_t bytes_max) {
  bytes_left_ = bytes_max;
  if (db_ != nullptr) {
    read_state();
    for (uint8_t lane = 1; lane <= kNodeLanes; ++lane) read_lane(lane);
  }
  carve();  // always: a pointer that leads to another page looks like an end
  return std::move(rows_);
}

bool NodeSalvage::keep(StoreOp row) {
  const uint64_t bytes = row.key.size() + row.value.size() + 64;
  if (bytes > bytes_left_) return false;
  bytes_left_ -= bytes;
  rows_.push_back(std::move(row));
  return true;
}

bool NodeSalvage::take(sqlite3_stmt* statement, NodeTable table, uint8_t lane) {
  std::string key;
  auto row = NodeDb::row_of(statement, table, lane, &key);
  if (!row) {
    out_of_memory_ = out_of_memory_ || db_->out_of_memory();
    ++damaged_rows_count_;
    return true;
  }
  return keep(StoreOp{table, std::move(row->key), std::move(row->value), false});
}

void NodeSalvage::carve() {
  std::set<std::pair<NodeTable, std::string>> known;
  for (const StoreOp& row : rows_) known.emplace(row.table, row.key);
  carve_rows(path_, [&](StoreOp row) {
    if (!known.emplace(row.table, row.key).second) return true;
    return keep(std::move(row));
  });
}

int64_t NodeSalvage::scan(NodeTable table, uint8_t lane, const std::string& sql) {
  clean_end_ = false;
  auto statement = db_->prepare(sql);
  out_of_memory_ = out_of_memory_ || db_->out_of_memory();
  if (!statement.ok()) return 0;
  int64_t last = 0;
  int result = SQLITE_ROW;
  while ((result = sqlite3_step(statement->get())) == SQLITE_ROW) {
    last = sqlite3_column_int64(statement->get(), 0);
    if (!take(statement->get(), table, lane)) break;
  }
  clean_end_ = result == SQLITE_DONE;
  out_of_memory_ = out_of_memory_ || result == SQLITE_NOMEM;
  return last;
}

void NodeSalvage::read_state() {
  (void)scan(NodeTable::kState, 0, "SELECT key,value,crc FROM state ORDER BY key");
  if (!clean_end_) (void)scan(NodeTable::kState, 0, "SELECT key,value,crc FROM state ORDER BY key DESC");
}

void NodeSalvage::read_lane(uint8_t lane) {
  const std::string select = "SELECT seq,value,crc FROM " + records_name(lane);
  const int64_t low = scan(NodeTable::kRecords, lane, select + " ORDER BY seq");
  if (clean_end_) return;
  const int64_t high =
      scan(NodeTable::kRecords, lane, select + " WHERE seq>" + std::to_string(low) + " ORDER BY seq DESC");
  if (clean_end_) return;
  auto probe = db_->prepare(select + " WHERE seq=?1");
  out_of_memory_ = out_of_memory_ || db_->out_of_memory();
  if (!probe.ok()) return;
  // Where the other end is not known, a long run of misses is taken for it.
  const int64_t end = low + static_cast<int64_t>(kProbesMax);
  int64_t misses = 0;
  for (int64_t seq = low + 1; seq < (high > low ? std::min(high, end) : end) && (high > low || misses < kMissesMax);
       ++seq) {
    sqlite3_reset(probe->get());
    sqlite3_bind_int64(probe->get(), 1, seq);
    const bool hit = sqlite3_step(probe->get()) == SQLITE_ROW;
    misses = hit ? 0 : misses + 1;
    if (hit && !take(probe->get(), NodeTable::kRecords, lane)) return;
  }
}

}  // namespace wb::world
