#pragma once
// NodeStore: the node's one durable file, `outbox.db` in the data directory: SQLite, one connection, one writer thread.
//
// submit() queues a ticket's ops; the writer commits all that is queued in one transaction (group commit) with
// synchronous=FULL, and then reports Completion{through}: every ticket up to it is durable (H1, Q1). Tickets are
// numbered from 1 without holes. If ticket n fails, it and everything submitted after it is refused until n is
// submitted again: durable is always a prefix. A failed ticket may still be found after a restart (its sync failed, its
// bytes arrived): ops are idempotent, so submitting them again is right in both cases. No ticket is reported durable
// after a failed sync (Q7).
//
// What is on the disk never stops a start (Q5): rows whose CRC32C does not match are removed and counted; a damaged
// file is set aside as outbox.db.damaged-N (the newest two are kept), what can still be read of it is copied to a fresh
// one, and the rest is counted as damaged. A file larger than four times its cap is set aside unread.
//
// Space: the file never exceeds file_bytes_max (max_page_count), and takes what it needs of its disk before it needs
// it: kReserveBytes more than it uses, in steps of 256 KiB, and the log whole. So state and critical events still fit
// when others have filled the disk, also after a start (R1). Ordinary records stop kReserveBytes before the end of what
// the file may be (Code::kFull: evicting makes room). When the disk gives no more, or has less than free_bytes_floor
// left, each completion says so, and what the caller still had on its way goes into half of the reserve. The WAL beside
// it is kept near wal_bytes_max plus the largest group.
//
// Threads: submit, load and stats may be called from any thread; callbacks run on the writer thread and must not block.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/store_op.h"

namespace wb::world {

class NodeStore {
 public:
  static constexpr uint64_t kReserveBytes = 128U << 10;
  static constexpr size_t kQueuedTicketsMax = 4'096;
  static constexpr uint64_t kGroupBytesMax = 4U << 20;
  static constexpr uint32_t kDamagedKept = 2;

  struct Options {
    std::filesystem::path data_dir;       // made if it is not there
    uint64_t file_bytes_max = 16U << 20;  // ≥ 1 MiB
    uint64_t wal_bytes_max = 1U << 20;    // a page that many commits change goes to the file once (W1)
    uint64_t free_bytes_floor = 0;        // of the file system
    bool reserve = true;                  // take disk space before it is needed; false: for measuring what is used
    std::string owner = "waybill-agent";  // named in the error if the directory is in use
  };
  struct Completion {
    uint64_t ticket = 0;         // stored: all up to this one; failed: this one and all after it
    std::optional<Error> error;  // kFull: the file is at its cap; kUnavailable: no disk space; kCorrupt: restart, the
                                 // next open repairs; else I/O
    std::string no_space = {};   // why no ordinary records should follow; "" = they may
  };
  using OnCompletion = std::function<void(Completion)>;
  // Rows that were found intact, with their whole values; those missing or damaged are absent. An error (no memory)
  // says nothing about the rows: load them later.
  using OnLoaded = std::function<void(Result<std::vector<StoredRow>>)>;

  struct Stats {
    uint64_t commits = 0;
    uint64_t tickets = 0;
    uint64_t failures = 0;
    uint64_t bytes = 0;         // of ops written
    double commit_seconds = 0;  // time spent in COMMIT: the syncs
    uint64_t file_bytes = 0;
    uint64_t used_bytes = 0;  // pages in use
  };

  struct Opened;
  // kExists: another process uses the directory (the text says which). kUnsupported: the file is of a newer version.
  // Otherwise only what no start can work around: no permission, no space for an empty file.
  static Result<Opened> open(const Options& options, OnCompletion on_completion);

  ~NodeStore();  // commits what is queued, then closes and lets the directory go
  NodeStore(const NodeStore&) = delete;
  NodeStore& operator=(const NodeStore&) = delete;

  void submit(uint64_t ticket, std::vector<StoreOp> ops);
  void load(std::vector<std::string> record_keys, OnLoaded on_loaded);
  Stats stats() const;

 private:
  struct Impl;
  explicit NodeStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct NodeStore::Opened {
  std::unique_ptr<NodeStore> store;
  StoredState found;
  std::string set_aside;  // path of a damaged file that was moved away in this start; "" = none
};

}  // namespace wb::world
