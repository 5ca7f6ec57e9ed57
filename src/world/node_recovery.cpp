#include "world/node_recovery.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/bytes.h"
#include "base/planted.h"
#include "world/files.h"
#include "world/node_carve.h"
#include "world/sqlite_log.h"

namespace wb::world {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kAbsurdFactor = 4;  // a file this many times its cap is not read at all

struct Names {
  explicit Names(const std::string& in)
      : folder(in),
        db(in + "/outbox.db"),
        log(db + "-wal"),
        partial(db + ".partial"),
        salvaged(db + ".salvaged"),
        suspect(db + ".suspect") {}
  std::string folder, db, log, partial, salvaged, suspect;
};

void remove_quietly(const std::string& path) {
  std::error_code ignored;
  fs::remove(path, ignored);
}
bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}
Status move_file(const std::string& from, const std::string& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error) return fail(Code::kUnavailable, "rename ", from, " to ", to, ": ", error.message());
  return ok_status();
}

std::vector<uint64_t> damaged_numbers(const Names& names) {
  std::vector<uint64_t> numbers;
  std::error_code error;
  const std::string prefix = "outbox.db.damaged-";
  for (fs::directory_iterator it(names.folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.starts_with(prefix)) continue;
    const auto number = parse_int(std::string_view(name).substr(prefix.size()));
    if (number && *number > 0) numbers.push_back(static_cast<uint64_t>(*number));
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

// Moves outbox.db and its log away and forgets the oldest ones. Returns the new path.
Result<std::string> set_aside(const Names& names, uint32_t kept) {
  std::vector<uint64_t> numbers = damaged_numbers(names);
  const std::string path = names.db + ".damaged-" + std::to_string(numbers.empty() ? 1 : numbers.back() + 1);
  WB_CHECK(move_file(names.db, path));
  if (exists(names.log)) WB_CHECK(move_file(names.log, path + "-wal"));
  for (size_t i = 0; i + kept <= numbers.size() && i < numbers.size(); ++i) {
    remove_quietly(names.db + ".damaged-" + std::to_string(numbers[i]));
    remove_quietly(names.db + ".damaged-" + std::to_string(numbers[i]) + "-wal");
  }
  return path;
}

// Finishes what an interrupted start began. Returns the path set aside, if that was still to be done.
Result<std::string> finish_earlier(const Names& names, uint32_t kept) {
  for (const char* end : {"", "-wal", "-shm", "-journal"}) remove_quietly(names.partial + end);
  std::string aside;
  if (planted(Bug::kRepairBegunAnew)) remove_quietly(names.salvaged);
  if (!exists(names.salvaged)) return aside;
  if (exists(names.db)) {
    WB_TRY(aside, set_aside(names, kept));
  }
  // The damaged file's log must not be taken for the copy's.
  if (exists(names.log)) {
    const std::vector<uint64_t> numbers = damaged_numbers(names);
    if (numbers.empty()) {
      remove_quietly(names.log);
    } else {
      WB_CHECK(move_file(names.log, names.db + ".damaged-" + std::to_string(numbers.back()) + "-wal"));
    }
  }
  WB_CHECK(move_file(names.salvaged, names.db));
  WB_CHECK(sync_folder(names.folder));
  remove_quietly(names.suspect);
  return aside;
}

// Moves what is intact in the log into the file, also from behind damage, where SQLite would not look. Then the log
// takes the name that makes every later start go this way, too, and say what this one saw.
Status take_in_log(const Names& names) {
  if (!log_holds_pages(names.log)) return ok_status();
  WB_CHECK(lay_log_over(names.db, names.log));
  WB_CHECK(move_file(names.log, names.suspect));
  return sync_folder(names.folder);
}

// Makes outbox.db.salvaged from what can be read of outbox.db, and notes in it how many rows are known to be damaged,
// at least 1.
Status salvage(const Names& names, const NodeDb::Limits& limits, bool readable) {
  std::vector<StoreOp> rows;
  uint64_t damaged = 1;
  if (readable) {
    WB_CHECK(take_in_log(names));
    NodeSalvage reader(names.db);
    rows = reader.read(limits.file_bytes_max);
    if (reader.out_of_memory())
      return fail(Code::kUnavailable, names.db,
                  " is damaged, and there is too little memory to read what is left of it");
    damaged += reader.damaged_rows_count();
  }
  {
    // Twice the cap: what was stored under a larger one is copied too, and then evicted by value, not by chance.
    WB_TRY(const auto copy, NodeDb::open(names.partial, {limits.file_bytes_max * 2, limits.wal_bytes_max}));
    WB_CHECK(copy->begin());
    for (const StoreOp& row : rows) WB_CHECK(copy->apply(row));
    WB_CHECK(copy->apply(StoreOp{NodeTable::kState, std::string(kDamageNoted), key_u64(damaged), false}));
    if (log_is_damaged(names.suspect))
      WB_CHECK(copy->apply(StoreOp{NodeTable::kState, std::string(kCommitsLost), {}, false}));
    WB_CHECK(copy->commit());
    WB_CHECK(copy->checkpoint());
  }
  remove_quietly(names.partial + "-wal");
  WB_CHECK(move_file(names.partial, names.salvaged));
  return sync_folder(names.folder);
}

bool is_damage(const Error& error) { return error.code == Code::kCorrupt; }

Result<NodeFile> open_whole(const Names& names, const NodeDb::Limits& limits) {
  NodeFile file;
  const bool is_new = !exists(names.db);
  WB_TRY(file.db, NodeDb::open(names.db, limits));
  if (is_new) WB_CHECK(sync_folder(names.folder));
  WB_TRY(file.found, file.db->read_all());
  return file;
}

}  // namespace

void mark_suspect(const std::string& folder) { (void)write_file_atomic(Names(folder).suspect, "damaged\n", 0600); }

Result<NodeFile> open_node_file(const std::string& folder, const NodeDb::Limits& limits, uint32_t damaged_kept) {
  const Names names(folder);
  WB_TRY(std::string aside, finish_earlier(names, damaged_kept));
  std::error_code ignored;
  const auto size = exists(names.db) ? fs::file_size(names.db, ignored) : 0;
  const bool readable =
      !ignored && size <= limits.file_bytes_max * kAbsurdFactor && (size == 0 || first_page_reads(names.db));
  if (!exists(names.db)) remove_quietly(names.log);  // a log without its file is nobody's
  if (readable && !exists(names.suspect) && !log_is_damaged(names.log) && !header_is_damaged(names.db)) {
    auto file = open_whole(names, limits);
    // Again, now that there is no log: what it could have mended it has.
    if (file.ok() && header_is_damaged(names.db)) {
      file = fail(Code::kCorrupt, names.db, ": a number of its header is damaged");
    }
    if (file.ok()) {
      file->set_aside = aside;
      if (!aside.empty() && file->found.damaged_rows_count == 0) ++file->found.damaged_rows_count;
      return file;
    }
    if (!is_damage(file.error())) return file.error();
  }
  WB_CHECK(salvage(names, limits, readable));
  WB_TRY(const std::string moved, finish_earlier(names, damaged_kept));
  WB_TRY(NodeFile file, open_whole(names, limits));
  file.set_aside = moved;
  return file;
}

}  // namespace wb::world
