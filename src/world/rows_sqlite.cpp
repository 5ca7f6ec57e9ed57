#include "world/rows_sqlite.h"

#include <sqlite3.h>

#include <array>
#include <utility>
#include <vector>

#include "base/planted.h"
#include "world/files.h"
#include "world/sqlite_code.h"
#include "world/sqlite_log.h"

namespace wb::world {

namespace {

constexpr int kSchemaVersion = 1;  // PRAGMA user_version, since 0.1
constexpr int kCacheKib = 64 * 1024;
constexpr int kCheckpointPages = 4'000;

// Table names in SQL are the words of base/rows.h; persisted (since 0.1).
constexpr std::array<const char*, 14> kTableNames = {nullptr,     "meta",     "nodes",    "tokens",  "releases",
                                                     "artifacts", "rollouts", "exposure", "streams", "records",
                                                     "telemetry", "audit",    "events",   "schemas"};
static_assert(static_cast<size_t>(Table::kSchemas) + 1 == kTableNames.size());

std::string advice_for_damage(const std::string& path) {
  return ". Nothing was changed. Stop the hub, copy the file and its log, then restore a backup or salvage it with: "
         "sqlite3 " +
         path + " .recover | sqlite3 recovered.db";
}

Error sqlite_error(sqlite3* database, int result, const std::string& path, std::string_view what) {
  const Code code = sqlite_code(result);
  std::string advice;
  if (code == Code::kCorrupt) advice = advice_for_damage(path);
  if (code == Code::kFull) advice = "; free some space on that disk: the hub goes on by itself";
  return fail(code, "hub database ", path, ": ", what, ": ",
              database == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(database), advice);
}

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

struct TableStatements {
  Statement get, put, erase, scan;
  bool scanning = false;  // a scan inside a scan of the same table needs a statement of its own
};

void bind_bytes(sqlite3_stmt* statement, int index, std::string_view bytes) {
  // A null pointer would bind NULL, which is no key and no value.
  sqlite3_bind_blob64(statement, index, bytes.data() == nullptr ? "" : bytes.data(), bytes.size(), SQLITE_STATIC);
}

std::string_view column(sqlite3_stmt* statement, int index) {
  const void* data = sqlite3_column_blob(statement, index);
  const int size = sqlite3_column_bytes(statement, index);
  return data == nullptr ? std::string_view()
                         : std::string_view(static_cast<const char*>(data), static_cast<size_t>(size));
}

}  // namespace

class SqliteRows::Impl {
 public:
  explicit Impl(std::string path) : path_(std::move(path)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    tables_ = {};
    sqlite3_close(database_);
  }

  Status open();
  Status execute(const char* sql);
  Result<int> read_version();
  // Some faults (disk full, I/O) have rolled back already; then there is nothing to undo and this is no error.
  void undo() {
    if (sqlite3_get_autocommit(database_) == 0) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
  }

  void fault(int result, std::string_view what) {
    if (!first_fault_.has_value()) first_fault_ = sqlite_error(database_, result, path_, what);
  }
  sqlite3_stmt* statement(Statement& slot, Table table, const char* before, const char* after);
  Statement prepare(Table table, const char* before, const char* after);
  TableStatements& at(Table table) { return tables_[static_cast<size_t>(table)]; }

  std::string path_;
  sqlite3* database_ = nullptr;
  std::array<TableStatements, kTableNames.size()> tables_;
  std::optional<Error> first_fault_;
  bool in_transaction_ = false;
};

Status SqliteRows::Impl::execute(const char* sql) {
  const int result = sqlite3_exec(database_, sql, nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return sqlite_error(database_, result, path_, sql);
  return ok_status();
}

Result<int> SqliteRows::Impl::read_version() {
  sqlite3_stmt* raw = nullptr;
  int result = sqlite3_prepare_v2(database_, "PRAGMA user_version", -1, &raw, nullptr);
  const Statement statement(raw);
  if (result == SQLITE_OK) result = sqlite3_step(raw);
  if (result != SQLITE_ROW) return sqlite_error(database_, result, path_, "read the version");
  return sqlite3_column_int(raw, 0);
}

Status SqliteRows::Impl::open() {
  // SQLite would go on without them, and the hub would have forgotten what it answered.
  if (const std::string log = path_ + "-wal"; log_lost_commits(log))
    return fail(Code::kCorrupt, "hub database ", path_, ": its log ", log,
                " is damaged before commits that were answered", advice_for_damage(path_));
  const int opened = sqlite3_open_v2(
      path_.c_str(), &database_,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  if (opened != SQLITE_OK) return sqlite_error(database_, opened, path_, "open");
  share_no_sector(database_);
  // Exclusive: one connection, one process; the index of the log then lives in memory and cannot be torn by another.
  WB_CHECK(execute("PRAGMA locking_mode=EXCLUSIVE"));
  WB_CHECK(execute("PRAGMA journal_mode=WAL"));
  WB_CHECK(execute(planted(Bug::kHubCommitUnsynced) ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL"));
  WB_CHECK(execute("PRAGMA temp_store=MEMORY"));
  WB_CHECK(execute(("PRAGMA cache_size=-" + std::to_string(kCacheKib)).c_str()));
  WB_CHECK(execute(("PRAGMA wal_autocheckpoint=" + std::to_string(kCheckpointPages)).c_str()));
  WB_TRY(const int version, read_version());
  if (version > kSchemaVersion)
    return fail(Code::kUnsupported, "hub database ", path_, " was written by a newer Waybill (layout ",
                std::to_string(version), ", this one knows ", std::to_string(kSchemaVersion),
                "); start that version, or restore an older backup");
  // What a crash left in the log goes into the file before anything is written: the log's end may lie within a sector,
  // and the next frame would share it with a commit that was answered.
  const Status moved = execute("PRAGMA wal_checkpoint(TRUNCATE)");
  if (!moved.ok() && moved.error().code != Code::kFull) return moved.error();
  if (!moved.ok()) WB_CHECK(sync_file(path_ + "-wal"));  // a disk without room for it does not stop a start
  if (version == kSchemaVersion) return ok_status();     // a start writes nothing: it succeeds on a full disk too
  WB_CHECK(execute("BEGIN IMMEDIATE"));
  for (size_t i = 1; i < kTableNames.size(); ++i) {
    const std::string sql = std::string("CREATE TABLE IF NOT EXISTS ") + kTableNames[i] +
                            " (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID";
    WB_CHECK(execute(sql.c_str()));
  }
  WB_CHECK(execute(("PRAGMA user_version=" + std::to_string(kSchemaVersion)).c_str()));
  return execute("COMMIT");
}

Statement SqliteRows::Impl::prepare(Table table, const char* before, const char* after) {
  const size_t index = static_cast<size_t>(table);
  WB_ASSERT(index > 0 && index < kTableNames.size());
  const std::string sql = std::string(before) + kTableNames[index] + after;
  sqlite3_stmt* made = nullptr;
  const int result = sqlite3_prepare_v3(database_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr);
  if (result != SQLITE_OK) fault(result, sql);
  return Statement(made);
}

sqlite3_stmt* SqliteRows::Impl::statement(Statement& slot, Table table, const char* before, const char* after) {
  WB_ASSERT(in_transaction_);
  if (first_fault_.has_value()) return nullptr;  // the transaction has failed already: nothing more is tried
  if (!slot) slot = prepare(table, before, after);
  return slot.get();
}

SqliteRows::SqliteRows(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteRows::~SqliteRows() {
  if (impl_->in_transaction_) rollback();
}

Result<std::unique_ptr<SqliteRows>> SqliteRows::open(const std::string& path) {
  auto impl = std::make_unique<Impl>(path);
  WB_CHECK(impl->open());
  return std::unique_ptr<SqliteRows>(new SqliteRows(std::move(impl)));
}

Status SqliteRows::begin() {
  WB_ASSERT(!impl_->in_transaction_);
  impl_->first_fault_.reset();
  impl_->undo();  // an earlier rollback may have failed for want of memory
  WB_CHECK(impl_->execute("BEGIN IMMEDIATE"));
  impl_->in_transaction_ = true;
  return ok_status();
}

Status SqliteRows::commit() {
  WB_ASSERT(impl_->in_transaction_);
  Status done = ok_status();
  if (impl_->first_fault_.has_value())
    done = *impl_->first_fault_;
  else
    done = impl_->execute("COMMIT");
  if (done.ok())
    impl_->in_transaction_ = false;
  else
    rollback();
  return done;
}

void SqliteRows::rollback() {
  WB_ASSERT(impl_->in_transaction_);
  impl_->in_transaction_ = false;
  impl_->undo();
}

bool SqliteRows::faulted() const { return impl_->first_fault_.has_value(); }

std::optional<std::string> SqliteRows::get(Table table, std::string_view key) {
  sqlite3_stmt* statement = impl_->statement(impl_->at(table).get, table, "SELECT value FROM ", " WHERE key = ?1");
  if (statement == nullptr) return std::nullopt;
  bind_bytes(statement, 1, key);
  const int result = sqlite3_step(statement);
  std::optional<std::string> value;
  if (result == SQLITE_ROW)
    value = std::string(column(statement, 0));
  else if (result != SQLITE_DONE)
    impl_->fault(result, "read");
  sqlite3_reset(statement);
  return value;
}

void SqliteRows::put(Table table, std::string_view key, std::string_view value) {
  sqlite3_stmt* statement = impl_->statement(impl_->at(table).put, table, "INSERT INTO ",
                                             " VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value");
  if (statement == nullptr) return;
  bind_bytes(statement, 1, key);
  bind_bytes(statement, 2, value);
  const int result = sqlite3_step(statement);
  if (result != SQLITE_DONE) impl_->fault(result, "write");
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
}

void SqliteRows::erase(Table table, std::string_view key) {
  sqlite3_stmt* statement = impl_->statement(impl_->at(table).erase, table, "DELETE FROM ", " WHERE key = ?1");
  if (statement == nullptr) return;
  bind_bytes(statement, 1, key);
  const int result = sqlite3_step(statement);
  if (result != SQLITE_DONE) impl_->fault(result, "erase");
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
}

void SqliteRows::scan(Table table, std::string_view prefix, std::string_view from,
                      const std::function<bool(std::string_view key, std::string_view value)>& visit) {
  constexpr const char* kBefore = "SELECT key, value FROM ";
  constexpr const char* kAfter = " WHERE key >= ?1 ORDER BY key";
  TableStatements& statements = impl_->at(table);
  Statement nested;
  const bool outermost = !statements.scanning;
  sqlite3_stmt* statement = impl_->statement(outermost ? statements.scan : nested, table, kBefore, kAfter);
  if (statement == nullptr) return;
  statements.scanning = true;
  const std::string start(from > prefix ? from : prefix);  // outlives the caller's views, should visit() change them
  const std::string wanted(prefix);
  bind_bytes(statement, 1, start);
  int result = SQLITE_ROW;
  while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
    const std::string_view key = column(statement, 0);
    if (!key.starts_with(wanted) || !visit(key, column(statement, 1))) break;
  }
  if (result != SQLITE_ROW && result != SQLITE_DONE) impl_->fault(result, "scan");
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  if (outermost) statements.scanning = false;
}

}  // namespace wb::world
