#pragma once
// MemoryRows: Rows in a std::map, for the simulator and the tests. begin/commit/rollback give the one thing that
// callers rely on: a request whose transaction failed has left nothing behind.

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/rows.h"

namespace wb {

class MemoryRows final : public Rows {
 public:
  std::optional<std::string> get(Table table, std::string_view key) override {
    ++reads_count;
    const auto found = rows_.find(Key{table, std::string(key)});
    if (found == rows_.end()) return std::nullopt;
    return found->second;
  }
  void put(Table table, std::string_view key, std::string_view value) override {
    ++writes_count;
    std::string& slot = remember(table, key)->second;
    if (watch) watch(table, slot, value);
    slot.assign(value);
  }
  void erase(Table table, std::string_view key) override {
    ++writes_count;
    rows_.erase(remember(table, key));
  }
  void scan(Table table, std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view, std::string_view)>& visit) override {
    for (auto row = rows_.lower_bound(Key{table, std::string(from > prefix ? from : prefix)}); row != rows_.end();
         ++row) {
      if (row->first.first != table || !std::string_view(row->first.second).starts_with(prefix)) return;
      ++reads_count;
      if (!visit(row->first.second, row->second)) return;
    }
  }

  // Without begin() every write stands at once.
  void begin() {
    WB_ASSERT(!open_);
    open_ = true;
    undo_.clear();
  }
  void commit() { open_ = false; }
  void rollback() {
    WB_ASSERT(open_);
    for (auto old = undo_.rbegin(); old != undo_.rend(); ++old) {
      if (old->second)
        rows_[old->first] = *old->second;
      else
        rows_.erase(old->first);
    }
    open_ = false;
  }
  // A backup of the whole store, to restore later.
  using Snapshot = std::map<std::pair<Table, std::string>, std::string>;
  const Snapshot& snapshot() const { return rows_; }
  void restore(Snapshot rows) { rows_ = std::move(rows); }

  // Told of every put before it is done; `before` is "" for a new row. Must not write.
  std::function<void(Table table, std::string_view before, std::string_view after)> watch;
  uint64_t reads_count = 0;  // so that tests can say what an exchange costs
  uint64_t writes_count = 0;

 private:
  using Key = std::pair<Table, std::string>;
  Snapshot::iterator remember(Table table, std::string_view key) {
    const auto [row, made] = rows_.try_emplace(Key{table, std::string(key)});
    if (open_) undo_.emplace_back(row->first, made ? std::nullopt : std::optional(row->second));
    return row;
  }

  Snapshot rows_;
  std::vector<std::pair<Key, std::optional<std::string>>> undo_;
  bool open_ = false;
};

}  // namespace wb
