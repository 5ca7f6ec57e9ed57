#pragma once
// One life of the real NodeStore on the Medium in use, with calls that wait. Marks on the medium what was handed over
// and what was reported durable, at the moment of either.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/crash/subject.h"
#include "world/node_store.h"

namespace wb::crash {

inline constexpr int kSessionTries = 3;

inline world::NodeStore::Options store_options(uint64_t file_bytes_max) {
  world::NodeStore::Options made;
  made.data_dir = std::string(kRoot) + "/node";
  made.file_bytes_max = file_bytes_max;
  return made;
}

class StoreSession {
 public:
  // `base`: the number of tickets that were durable before this life.
  StoreSession(const world::NodeStore::Options& options, Medium& medium, uint64_t base) : medium_(medium), base_(base) {
    auto opened =
        world::NodeStore::open(options, [this](const world::NodeStore::Completion& done) { completed(done); });
    if (!opened.ok()) {
      error = opened.error();
      return;
    }
    store = std::move(opened->store);
    found = std::move(opened->found);
    set_aside = std::move(opened->set_aside);
  }
  ~StoreSession() { store.reset(); }
  StoreSession(const StoreSession&) = delete;
  StoreSession& operator=(const StoreSession&) = delete;

  void rebase(uint64_t base) { base_ = base; }

  // Hands tickets (base + 1 + done …) over as one group and waits. Returns how many of them are durable.
  size_t write(const std::vector<std::vector<StoreOp>>& tickets, size_t first) {
    std::unique_lock guard(mutex_);
    failed.reset();
    const uint64_t begin = stored_ + 1;
    gate_open_ = false;
    guard.unlock();
    // The writer waits in a load while the group gathers behind it: so groups are the same in every run.
    store->load({}, [this](const Result<std::vector<StoredRow>>&) {
      std::unique_lock inner(mutex_);
      in_gate_ = true;
      changed_.notify_all();
      changed_.wait(inner, [this] { return gate_open_; });
      in_gate_ = false;
    });
    guard.lock();
    changed_.wait(guard, [this] { return in_gate_; });
    uint64_t last = begin - 1;
    for (size_t i = first; i < tickets.size(); ++i) store->submit(++last, tickets[i]);
    medium_.asked(base_ + last);
    gate_open_ = true;
    changed_.notify_all();
    changed_.wait(guard, [&] { return stored_ >= last || failed; });
    return stored_ + 1 - begin;
  }
  std::vector<StoredRow> load(const std::vector<std::string>& keys) {
    std::optional<Result<std::vector<StoredRow>>> rows;
    for (int attempt = 0; attempt < 2 * kSessionTries && (!rows || !rows->ok()); ++attempt) {
      if (attempt == kSessionTries) medium_.heal();
      rows.reset();
      store->load(keys, [&](Result<std::vector<StoredRow>> got) {
        const std::lock_guard guard(mutex_);
        rows = std::move(got);
        changed_.notify_all();
      });
      std::unique_lock guard(mutex_);
      changed_.wait(guard, [&] { return rows.has_value(); });
    }
    return rows->ok() ? std::move(*rows).value() : std::vector<StoredRow>();
  }
  // A sum over all rows with their whole values, read back through the store.
  uint64_t print() {
    uint64_t sum = 0;
    std::vector<std::string> keys;
    for (const StoredRow& row : found.rows) {
      if (row.table == NodeTable::kRecords)
        keys.push_back(row.key);
      else
        sum += row_print(static_cast<uint64_t>(row.table), row.key, row.value);
    }
    for (const StoredRow& row : load(keys)) sum += row_print(static_cast<uint64_t>(row.table), row.key, row.value);
    return sum;
  }

  std::unique_ptr<world::NodeStore> store;
  StoredState found;
  std::string set_aside;
  std::optional<Error> error;
  std::optional<world::NodeStore::Completion> failed;

 private:
  void completed(const world::NodeStore::Completion& done) {
    const std::lock_guard guard(mutex_);
    if (done.error) {
      failed = done;
    } else {
      stored_ = done.ticket;
      medium_.told(base_ + stored_);
    }
    changed_.notify_all();
  }

  Medium& medium_;
  uint64_t base_;
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t stored_ = 0;
  bool gate_open_ = true, in_gate_ = false;
};

}  // namespace wb::crash
