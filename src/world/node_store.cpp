// The queue and the writer thread; the file itself is in node_db.cpp.
#include "world/node_store.h"

#include <sys/statvfs.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "world/files.h"
#include "world/node_recovery.h"

namespace wb::world {
namespace {

constexpr uint64_t kFileBytesMin = 1U << 20;
constexpr uint64_t kRowOverheadBytes = 64;  // of an op, for the estimate of what a group takes

uint64_t bytes_of(const std::vector<StoreOp>& ops) {
  uint64_t bytes = 0;
  for (const StoreOp& op : ops) bytes += op.key.size() + op.value.size() + kRowOverheadBytes;
  return bytes;
}

// A record that must leave room for state and critical events.
bool is_ordinary(const StoreOp& op) {
  return op.table == NodeTable::kRecords && !op.erase && !op.key.empty() && op.key[0] != 1;
}

}  // namespace

struct NodeStore::Impl {
  struct Ticket {
    uint64_t number = 0;
    std::vector<StoreOp> ops;
    uint64_t bytes = 0;
  };
  struct Load {
    std::vector<std::string> keys;
    OnLoaded on_loaded;
  };

  Impl(Options opts, FolderLock folder_lock, OnCompletion callback)
      : options(std::move(opts)), lock(std::move(folder_lock)), on_completion(std::move(callback)) {}

  NodeDb::Limits limits() const { return {options.file_bytes_max, options.wal_bytes_max, options.reserve}; }
  void run();
  std::optional<Error> commit(const Ticket* first, size_t count);
  Status check_room();
  bool holds(uint64_t bytes);
  std::string no_space();
  struct Written {
    std::chrono::duration<double> took{};
    bool disk_is_full = false;
  };
  Status write(const Ticket* first, size_t count, Written& written);
  void perform(std::deque<Ticket> group);
  Result<std::vector<StoredRow>> read(const std::vector<std::string>& keys);
  Status reopen_if_needed();
  void fail_from(uint64_t number, Error error);
  void refresh_sizes();

  const Options options;
  const FolderLock lock;
  const OnCompletion on_completion;
  std::unique_ptr<NodeDb> db;  // writer thread only, after open
  bool reopen = false;         // writer thread only

  mutable std::mutex mutex;
  std::condition_variable wake;
  // GUARDED_BY(mutex):
  std::deque<Ticket> queue;
  std::deque<Load> loads;
  uint64_t next_ticket = 1;  // the only one that submit() takes
  std::optional<Completion> refused;
  Stats stats;
  bool stopping = false;

  std::thread writer;  // last: it uses all of the above
};

Result<NodeStore::Opened> NodeStore::open(const Options& options, OnCompletion on_completion) {
  if (options.file_bytes_max < kFileBytesMin)
    return fail(Code::kInvalid, "the outbox file is limited to ", std::to_string(options.file_bytes_max),
                " bytes; give at least 1MiB");
  const std::string folder = options.data_dir.string();
  WB_CHECK(make_folders(folder));
  WB_TRY(FolderLock lock, FolderLock::take(folder, options.owner));
  auto impl = std::make_unique<Impl>(options, std::move(lock), std::move(on_completion));
  WB_TRY(NodeFile file, open_node_file(folder, impl->limits(), kDamagedKept));
  impl->db = std::move(file.db);
  impl->refresh_sizes();
  (void)impl->no_space();  // takes the reserve, if it is to be had
  Opened opened;
  opened.found = std::move(file.found);
  opened.set_aside = std::move(file.set_aside);
  Impl* raw = impl.get();
  opened.store.reset(new NodeStore(std::move(impl)));
  raw->writer = std::thread([raw] { raw->run(); });
  return opened;
}

NodeStore::NodeStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

NodeStore::~NodeStore() {
  {
    const std::lock_guard guard(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_one();
  if (impl_->writer.joinable()) impl_->writer.join();
}

void NodeStore::submit(uint64_t ticket, std::vector<StoreOp> ops) {
  {
    const std::lock_guard guard(impl_->mutex);
    if (ticket > impl_->next_ticket || impl_->refused) return;  // an earlier one failed: this one is refused with it
    WB_ASSERT(ticket == impl_->next_ticket);
    if (impl_->queue.size() >= kQueuedTicketsMax) {
      impl_->refused = Completion{ticket, fail(Code::kUnavailable, "the store has ", std::to_string(kQueuedTicketsMax),
                                               " tickets waiting; submit again later")};
    } else {
      ++impl_->next_ticket;
      const uint64_t bytes = bytes_of(ops);
      impl_->queue.push_back(Impl::Ticket{ticket, std::move(ops), bytes});
    }
  }
  impl_->wake.notify_one();
}

void NodeStore::load(std::vector<std::string> record_keys, OnLoaded on_loaded) {
  {
    const std::lock_guard guard(impl_->mutex);
    impl_->loads.push_back(Impl::Load{std::move(record_keys), std::move(on_loaded)});
  }
  impl_->wake.notify_one();
}

NodeStore::Stats NodeStore::stats() const {
  const std::lock_guard guard(impl_->mutex);
  return impl_->stats;
}

void NodeStore::Impl::run() {
  std::unique_lock guard(mutex);
  while (true) {
    wake.wait(guard, [this] { return stopping || !queue.empty() || !loads.empty() || refused; });
    if (!queue.empty()) {
      std::deque<Ticket> group;
      uint64_t bytes = 0;
      while (!queue.empty() && (group.empty() || bytes + queue.front().bytes <= kGroupBytesMax)) {
        bytes += queue.front().bytes;
        group.push_back(std::move(queue.front()));
        queue.pop_front();
      }
      guard.unlock();
      perform(std::move(group));
      guard.lock();
    } else if (refused) {  // only after all that was submitted before it: completions come in order
      const Completion completion = *std::exchange(refused, std::nullopt);
      guard.unlock();
      on_completion(completion);
      guard.lock();
    } else if (!loads.empty()) {
      const Load load = std::move(loads.front());
      loads.pop_front();
      guard.unlock();
      load.on_loaded(read(load.keys));
      guard.lock();
    } else if (stopping) {
      return;
    }
  }
}

// One transaction for all; if that fails, one each, so that what fits is stored and the first that does not is named.
void NodeStore::Impl::perform(std::deque<Ticket> group) {
  std::vector<Ticket> tickets(std::make_move_iterator(group.begin()), std::make_move_iterator(group.end()));
  std::optional<Error> error = commit(tickets.data(), tickets.size());
  size_t stored = error ? 0 : tickets.size();
  if (error && tickets.size() > 1) {
    for (; stored < tickets.size(); ++stored)
      if ((error = commit(&tickets[stored], 1))) break;
  }
  if (stored > 0) on_completion(Completion{tickets[stored - 1].number, std::nullopt, no_space()});
  if (error) fail_from(tickets[stored].number, std::move(*error));
}

Result<std::vector<StoredRow>> NodeStore::Impl::read(const std::vector<std::string>& keys) {
  WB_CHECK(reopen_if_needed());
  std::vector<StoredRow> rows;
  for (const std::string& key : keys) {
    WB_TRY(std::optional<StoredRow> row, db->load(key));
    if (row) rows.push_back(std::move(*row));
  }
  return rows;
}

// After a rollback that failed the connection is of no use; the file is.
Status NodeStore::Impl::reopen_if_needed() {
  if (!reopen) return ok_status();
  db.reset();
  WB_TRY(db, NodeDb::open(options.data_dir.string() + "/outbox.db", limits()));
  reopen = false;
  return ok_status();
}

void NodeStore::Impl::fail_from(uint64_t number, Error error) {
  if (error.code == Code::kCorrupt) mark_suspect(options.data_dir.string());
  {
    const std::lock_guard guard(mutex);
    queue.clear();
    refused.reset();
    next_ticket = number;
    ++stats.failures;
  }
  on_completion(Completion{number, std::move(error)});
}

// Within the transaction: what the group erases counts.
Status NodeStore::Impl::check_room() {
  const uint64_t used = db->used_bytes();
  if (used + kReserveBytes > options.file_bytes_max)
    return fail(Code::kFull, "the outbox file has reached its limit of ", std::to_string(options.file_bytes_max),
                " bytes");
  if (holds(used + kReserveBytes) || holds(used + kReserveBytes / 2)) return ok_status();
  return fail(Code::kFull, no_space());
}

// Whether the file owns so much of its disk, now if not before. A floor of free space stops it from taking more.
bool NodeStore::Impl::holds(uint64_t bytes) {
  if (!options.reserve || bytes <= db->held_bytes()) return true;
  struct statvfs disk {};
  if (options.free_bytes_floor > 0 && ::statvfs(options.data_dir.c_str(), &disk) == 0 &&
      uint64_t{disk.f_bavail} * disk.f_frsize < options.free_bytes_floor + bytes - db->held_bytes())
    return false;
  return db->hold(bytes);
}

std::string NodeStore::Impl::no_space() {
  if (holds(std::min(db->used_bytes() + kReserveBytes, options.file_bytes_max))) return "";
  return "the disk of " + options.data_dir.string() + " is full" +
         (options.free_bytes_floor > 0 ? " but for its floor of " + std::to_string(options.free_bytes_floor) + " bytes"
                                       : "") +
         ": free some space, the agent goes on by itself";
}

// `disk_is_full`: what did not fit is the log, and not the file.
Status NodeStore::Impl::write(const Ticket* first, size_t count, Written& written) {
  Status status = db->begin();
  bool ordinary = false;
  for (size_t i = 0; i < count && status.ok(); ++i)
    for (size_t k = 0; k < first[i].ops.size() && status.ok(); ++k) {
      status = db->apply(first[i].ops[k]);
      ordinary = ordinary || is_ordinary(first[i].ops[k]);
    }
  const Status room = status.ok() && ordinary ? check_room() : ok_status();
  const auto before = std::chrono::steady_clock::now();
  if (status.ok() && room.ok()) status = db->commit();
  written.took = std::chrono::steady_clock::now() - before;
  if (status.ok() && room.ok()) return status;
  written.disk_is_full =
      !status.ok() && status.error().code == Code::kFull && db->used_bytes() + kReserveBytes <= options.file_bytes_max;
  if (!db->rollback()) reopen = true;
  return status.ok() ? room : status;
}

std::optional<Error> NodeStore::Impl::commit(const Ticket* first, size_t count) {
  if (const Status usable = reopen_if_needed(); !usable.ok()) return usable.error();
  Written written;
  Status status = write(first, count, written);
  // The file owns the room for what is in the log: once that is there, the log begins anew.
  if (written.disk_is_full && options.reserve && !reopen && db->checkpoint().ok()) {
    written = {};
    status = write(first, count, written);
  }
  if (!status.ok()) {
    Error error = status.error().within("store");
    // Evicting helps a file at its cap. It does not help a disk that others have filled: then what is stored stays.
    if (written.disk_is_full)
      return fail(Code::kUnavailable, error.text, "; the disk is full: free some space, the agent goes on by itself");
    return error;
  }
  {
    const std::lock_guard guard(mutex);
    ++stats.commits;
    stats.tickets += count;
    stats.commit_seconds += written.took.count();
    for (size_t i = 0; i < count; ++i) stats.bytes += first[i].bytes;
  }
  refresh_sizes();
  return std::nullopt;
}

void NodeStore::Impl::refresh_sizes() {
  const uint64_t file = db->file_bytes(), used = db->used_bytes();
  const std::lock_guard guard(mutex);
  stats.file_bytes = file;
  stats.used_bytes = used;
}

}  // namespace wb::world
