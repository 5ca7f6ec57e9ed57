#include "world/rows_sqlite.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <map>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/prng.h"
#include "world/files.h"
#include "world/test_folder.h"

namespace wb::world {
namespace {

using Key = std::pair<Table, std::string>;
using Twin = std::map<Key, std::string>;  // the slow, obvious storage
using Found = std::vector<std::pair<std::string, std::string>>;

Found scan_twin(const Twin& twin, Table table, const std::string& prefix, const std::string& from, size_t count_max) {
  Found found;
  for (const auto& [key, value] : twin)
    if (key.first == table && key.second.starts_with(prefix) && key.second >= from && found.size() < count_max)
      found.emplace_back(key.second, value);
  return found;
}

Found scan_rows(Rows& rows, Table table, const std::string& prefix, const std::string& from, size_t count_max) {
  Found found;
  if (count_max == 0) return found;
  rows.scan(table, prefix, from, [&](std::string_view key, std::string_view value) {
    found.emplace_back(key, value);
    return found.size() < count_max;
  });
  return found;
}

std::string random_text(Prng& prng, size_t size_max) {
  std::string text(prng.below(size_max + 1), '\0');
  for (char& byte : text)
    byte =
        "\0\x01\x7f\x80\xff"
        "a"[prng.below(6)];  // few values: keys meet often
  return text;
}

TEST(SqliteRows, EqualsItsDumbTwin) {
  const TestFolder folder;
  Prng prng(7);
  Twin committed;
  const Table tables[] = {Table::kMeta, Table::kNodes, Table::kRecords};
  auto rows = SqliteRows::open(folder.path("hub.db")).value();
  for (int round = 0; round < 200; ++round) {
    Twin twin = committed;
    ASSERT_TRUE(rows->begin().ok());
    for (int step = 0; step < 30; ++step) {
      const Table table = tables[prng.below(3)];
      const std::string key = random_text(prng, 3);
      const std::string value = random_text(prng, 40);
      const uint64_t choice = prng.below(4);
      const size_t count_max = prng.below(5);
      if (choice == 0) rows->put(table, key, value), twin[{table, key}] = value;
      if (choice == 1) rows->erase(table, key), twin.erase({table, key});
      if (choice == 2) {
        const auto found = rows->get(table, key);
        const auto expected = twin.find({table, key});
        ASSERT_EQ(found.has_value(), expected != twin.end());
        if (found.has_value()) {
          ASSERT_EQ(*found, expected->second);
        }
      }
      if (choice == 3) {
        const std::string from = key + value.substr(0, 1);
        ASSERT_EQ(scan_rows(*rows, table, key, from, count_max), scan_twin(twin, table, key, from, count_max));
      }
    }
    if (prng.below(4) == 0) {
      rows->rollback();
    } else {
      ASSERT_TRUE(rows->commit().ok());
      committed = twin;
    }
    if (prng.below(20) == 0) {
      rows.reset();
      rows = SqliteRows::open(folder.path("hub.db")).value();
    }
  }
  EXPECT_GT(committed.size(), 20U);
}

TEST(SqliteRows, ScansNestInOneTable) {
  const TestFolder folder;
  auto rows = SqliteRows::open(folder.path("hub.db")).value();
  ASSERT_TRUE(rows->begin().ok());
  for (const char* key : {"a", "b", "c"}) rows->put(Table::kNodes, key, key);
  std::string seen;
  rows->scan(Table::kNodes, "", "", [&](std::string_view outer, std::string_view) {
    rows->scan(Table::kNodes, "", outer, [&](std::string_view inner, std::string_view) {
      seen += std::string(outer) + std::string(inner) + " ";
      return true;
    });
    rows->put(Table::kEvents, outer, "x");
    return true;
  });
  EXPECT_EQ(seen, "aa ab ac bb bc cc ");
  ASSERT_TRUE(rows->commit().ok());
}

// H1: what commit() returned for is there after the process was killed at any instruction; nothing half is there.
TEST(SqliteRows, KilledProcessKeepsWhatItCommitted) {
  const TestFolder folder;
  uint64_t last_told = 0;
  for (int round = 0; round < 6; ++round) {
    int tell[2];
    ASSERT_EQ(::pipe(tell), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto rows = SqliteRows::open(folder.path("hub.db"));
      if (!rows.ok()) ::_exit(1);
      for (uint64_t n = last_told + 1;; ++n) {
        if (!(*rows)->begin().ok()) ::_exit(1);
        (*rows)->put(Table::kMeta, "left", key_u64(n));
        (*rows)->put(Table::kNodes, "right", key_u64(n));
        if (!(*rows)->commit().ok()) ::_exit(1);
        if (::write(tell[1], &n, sizeof n) != sizeof n) ::_exit(1);
      }
    }
    ::close(tell[1]);
    uint64_t n = 0;
    for (int i = 0; i < 40 + round * 7; ++i)
      if (::read(tell[0], &n, sizeof n) == sizeof n) last_told = n;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(tell[0], &n, sizeof n) == sizeof n) last_told = n;
    ::close(tell[0]);
    auto rows = SqliteRows::open(folder.path("hub.db")).value();
    ASSERT_TRUE(rows->begin().ok());
    const auto left = rows->get(Table::kMeta, "left");
    ASSERT_TRUE(left.has_value());
    EXPECT_GE(read_u64_be(*left), last_told);
    EXPECT_EQ(rows->get(Table::kNodes, "right"), left);
    last_told = read_u64_be(*left);
    rows->rollback();
  }
  EXPECT_GT(last_told, 100U);
}

TEST(SqliteRows, DamagedFileIsNamedAndLeftAlone) {
  const TestFolder folder;
  const std::string path = folder.path("hub.db");
  const std::string rubbish(8192, 'x');
  ASSERT_TRUE(write_file_atomic(path, rubbish, kPublicMode).ok());
  const auto rows = SqliteRows::open(path);
  ASSERT_FALSE(rows.ok());
  EXPECT_EQ(rows.error().code, Code::kCorrupt);
  EXPECT_NE(rows.error().text.find(path), std::string::npos);
  EXPECT_NE(rows.error().text.find(".recover"), std::string::npos);
  EXPECT_EQ(read_file(path, 1 << 20).value(), rubbish);
}

// H1: SQLite would drop what lies behind the damage, and the hub would deny what it answered.
TEST(SqliteRows, ALogThatIsDamagedBeforeCommitsIsNamedAndLeftAlone) {
  const TestFolder folder;
  const std::string path = folder.path("hub.db"), copy = folder.path("copy.db");
  std::string log;
  {
    auto rows = SqliteRows::open(path).value();
    for (uint64_t n = 0; n < 6; ++n) {
      ASSERT_TRUE(rows->begin().ok());
      rows->put(Table::kRecords, key_u64(n), std::string(200, 'r'));
      ASSERT_TRUE(rows->commit().ok());
    }
    log = read_file(path + "-wal", 1 << 20).value();
    ASSERT_TRUE(write_file_atomic(copy, read_file(path, 1 << 20).value(), kPublicMode).ok());
  }
  log[5'000] = static_cast<char>(log[5'000] ^ 1);
  ASSERT_TRUE(write_file_atomic(copy + "-wal", log, kPublicMode).ok());
  const auto rows = SqliteRows::open(copy);
  ASSERT_FALSE(rows.ok());
  EXPECT_EQ(rows.error().code, Code::kCorrupt);
  EXPECT_NE(rows.error().text.find(copy + "-wal"), std::string::npos);
  EXPECT_NE(rows.error().text.find(".recover"), std::string::npos);
  EXPECT_EQ(read_file(copy + "-wal", 1 << 20).value(), log);
}

// A page damaged under a running hub fails the transaction that meets it: nothing of it happens.
TEST(SqliteRows, DamagedPageFailsTheTransaction) {
  const TestFolder folder;
  const std::string path = folder.path("hub.db");
  {
    auto rows = SqliteRows::open(path).value();
    ASSERT_TRUE(rows->begin().ok());
    for (uint64_t n = 0; n < 2'000; ++n) rows->put(Table::kRecords, key_u64(n), std::string(200, 'r'));
    ASSERT_TRUE(rows->commit().ok());
  }
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    for (int page = 30; page < 90; ++page) {
      file.seekp(page * 4096);
      file.write(std::string(64, '\xff').data(), 64);
    }
  }
  auto rows = SqliteRows::open(path).value();
  ASSERT_TRUE(rows->begin().ok());
  rows->put(Table::kMeta, "written", "before");
  EXPECT_LT(scan_rows(*rows, Table::kRecords, "", "", 10'000).size(), 2'000U);
  EXPECT_TRUE(rows->faulted());
  const Status done = rows->commit();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, Code::kCorrupt);
  ASSERT_TRUE(rows->begin().ok());
  EXPECT_EQ(rows->get(Table::kMeta, "written"), std::nullopt);
  rows->rollback();
}

TEST(SqliteRows, RefusesANewerLayout) {
  const TestFolder folder;
  const std::string path = folder.path("hub.db");
  { auto rows = SqliteRows::open(path).value(); }
  {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(60);  // user_version in the file header (SQLite file format, section 1.3)
    file.write("\0\0\0\x63", 4);
  }
  const auto rows = SqliteRows::open(path);
  ASSERT_FALSE(rows.ok());
  EXPECT_EQ(rows.error().code, Code::kUnsupported) << rows.error().text;
}

}  // namespace
}  // namespace wb::world
