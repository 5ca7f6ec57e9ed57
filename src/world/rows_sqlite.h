#pragma once
// SqliteRows: the hub's storage port (base/rows.h) over one SQLite file: WAL, synchronous=FULL, one connection.
//
// A storage fault inside a transaction makes reads answer "nothing" and commit() fail with the first fault; nothing of
// that transaction then happened. One thread at a time.

#include <memory>
#include <string>

#include "base/result.h"
#include "base/rows.h"

namespace wb::world {

class SqliteRows final : public Rows {
 public:
  // Makes the file if it is not there. kCorrupt if it cannot be read as a database: the error says what to do; nothing
  // is dropped silently. kUnsupported if a newer version wrote it. The caller holds the folder's lock (world/files.h).
  static Result<std::unique_ptr<SqliteRows>> open(const std::string& path);
  ~SqliteRows() override;

  // Every read and write stands between begin() and commit() or rollback().
  Status begin();
  Status commit();  // durable when it returns ok; on failure everything since begin() is undone
  void rollback();
  bool faulted() const;  // since begin()

  std::optional<std::string> get(Table table, std::string_view key) override;
  void put(Table table, std::string_view key, std::string_view value) override;
  void erase(Table table, std::string_view key) override;
  void scan(Table table, std::string_view prefix, std::string_view from,
            const std::function<bool(std::string_view key, std::string_view value)>& visit) override;

 private:
  class Impl;
  explicit SqliteRows(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace wb::world
