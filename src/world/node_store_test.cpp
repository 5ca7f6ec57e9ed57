// The node's store against a real disk: kill -9, failed syncs, no space, damage, two processes.
#include "world/node_store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <mutex>

#include "base/bytes.h"
#include "base/prng.h"

namespace {
std::atomic<bool> fail_syncs{false};
std::atomic<uint64_t> syncs_count{0};
int sync_or_fail(long call, int fd) {
  ++syncs_count;
  if (!fail_syncs) return static_cast<int>(syscall(call, fd));
  errno = EIO;
  return -1;
}
ino_t unreadable_file = 0;  // its first page cannot be read; 0 = none
bool is_unreadable(int fd, off_t at) {
  struct stat info {};
  return unreadable_file != 0 && at < 4'096 && ::fstat(fd, &info) == 0 && info.st_ino == unreadable_file;
}
ssize_t read_or_fail(int fd, void* out, size_t size, off_t at) {
  if (!is_unreadable(fd, at)) return syscall(SYS_pread64, fd, out, size, at);
  errno = EIO;
  return -1;
}
}  // namespace
extern "C" __attribute__((visibility("default"))) ssize_t pread(int fd, void* out, size_t size, off_t at) {
  return read_or_fail(fd, out, size, at);
}
extern "C" __attribute__((visibility("default"))) ssize_t pread64(int fd, void* out, size_t size, off_t at) {
  return read_or_fail(fd, out, size, at);
}
// SQLite's syncs come through here: the executable's symbols go before libc's.
extern "C" __attribute__((visibility("default"))) int fdatasync(int fd) { return sync_or_fail(SYS_fdatasync, fd); }
extern "C" __attribute__((visibility("default"))) int fsync(int fd) { return sync_or_fail(SYS_fsync, fd); }

namespace wb::world {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "wb-node-store-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Folder() { fs::remove_all(path); }
  fs::path path;
  fs::path db() const { return path / "outbox.db"; }
};

std::string key_of(uint8_t lane, uint64_t seq) {
  std::string key(1, static_cast<char>(lane));
  append_u64_be(key, seq);
  return key;
}
std::string value_of(uint64_t seq, size_t bytes) {
  Prng prng(seq);
  std::string value;
  while (value.size() < bytes) value.push_back(static_cast<char>(prng.next()));
  return value;
}
StoreOp put(uint8_t lane, uint64_t seq, size_t bytes = 200) {
  return {NodeTable::kRecords, key_of(lane, seq), value_of(seq, bytes), false};
}
StoreOp put_state(std::string key, std::string value) {
  return {NodeTable::kState, std::move(key), std::move(value), false};
}

// A store and the completions it reported.
struct Session {
  explicit Session(NodeStore::Options options) {
    auto result = NodeStore::open(options, [this](NodeStore::Completion completion) {
      const std::lock_guard guard(mutex);
      if (completion.error) {
        failed = completion;
      } else {
        stored = completion.ticket;
        no_space = completion.no_space;
      }
      changed.notify_all();
    });
    if (!result.ok()) {
      error = result.error();
      return;
    }
    store = std::move(result->store);
    found = std::move(result->found);
    set_aside = std::move(result->set_aside);
  }
  ~Session() { store.reset(); }
  bool write(std::vector<StoreOp> ops) {
    const uint64_t ticket = ++last;
    store->submit(ticket, std::move(ops));
    std::unique_lock guard(mutex);
    changed.wait(guard, [&] { return stored >= ticket || failed; });
    if (!failed) return true;
    last = failed->ticket - 1;
    last_error = *failed->error;
    failed.reset();
    return false;
  }
  std::vector<StoredRow> load(std::vector<std::string> keys) {
    std::vector<StoredRow> rows;
    bool done = false;
    store->load(std::move(keys), [&](Result<std::vector<StoredRow>> got) {
      const std::lock_guard guard(mutex);
      rows = std::move(got).value();
      done = true;
      changed.notify_all();
    });
    std::unique_lock guard(mutex);
    changed.wait(guard, [&] { return done; });
    return rows;
  }
  size_t records() const {
    size_t count = 0;
    for (const StoredRow& row : found.rows) count += row.table == NodeTable::kRecords ? 1 : 0;
    return count;
  }
  std::unique_ptr<NodeStore> store;
  StoredState found;
  std::string set_aside;
  std::optional<Error> error;
  std::mutex mutex;
  std::condition_variable changed;
  uint64_t stored = 0, last = 0;
  std::optional<NodeStore::Completion> failed;
  std::string no_space;
  Error last_error;
};

NodeStore::Options in(const Folder& folder) { return {.data_dir = folder.path, .file_bytes_max = 1U << 20}; }

void fill(const Folder& folder, int count) {
  Session session(in(folder));
  for (int i = 1; i <= count; ++i)
    ASSERT_TRUE(session.write({put(2, static_cast<uint64_t>(i)), put_state("counter", std::to_string(i))}));
}

TEST(NodeStore, KeepsRowsInOrderAcrossARestart) {  // H1
  Folder folder;
  {
    Session session(in(folder));
    ASSERT_TRUE(session.store) << session.error->text;
    ASSERT_TRUE(session.write({put(3, 1), put(2, 256), put(2, 1), put_state("b", "2"), put_state("a", "")}));
    ASSERT_TRUE(session.write({put(2, 2), {NodeTable::kRecords, key_of(2, 1), {}, true}, put_state("b", "3")}));
    const auto rows = session.load({key_of(2, 2), key_of(2, 1), "nonsense", key_of(9, 1)});
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].value, value_of(2, 200));
    EXPECT_GE(session.store->stats().commits, 2U);
  }
  Session again(in(folder));
  ASSERT_EQ(again.found.rows.size(), 5U);
  EXPECT_EQ(again.found.rows[0].key, "a");
  EXPECT_EQ(again.found.rows[1].value, "3");
  EXPECT_EQ(again.found.rows[2].key, key_of(2, 2));
  EXPECT_EQ(again.found.rows[3].key, key_of(2, 256));
  EXPECT_EQ(again.found.rows[3].value, value_of(256, 200).substr(0, kRecordHeadBytes));
  EXPECT_EQ(again.found.rows[3].value_bytes, 200U);
  EXPECT_EQ(again.found.damaged_rows_count, 0U);
}

TEST(NodeStore, GroupsWhatIsQueuedIntoFewCommits) {
  Folder folder;
  Session session(in(folder));
  for (uint64_t i = 1; i <= 500; ++i) session.store->submit(++session.last, {put(2, i, 100)});
  ASSERT_TRUE(session.write({put_state("end", "1")}));
  EXPECT_EQ(session.store->stats().tickets, 501U);
  EXPECT_LT(session.store->stats().commits, 400U);
}

// The child reports what became durable; the parent kills it at any moment and looks.
TEST(NodeStore, WhatWasReportedDurableSurvivesKill9) {  // Q1 Q2: acked survives, and what is found is a prefix
  for (uint64_t round = 0; round < 6; ++round) {
    Folder folder;
    int pipe_fds[2];
    ASSERT_EQ(::pipe(pipe_fds), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto opened = NodeStore::open(in(folder), [&](NodeStore::Completion completion) {
        if (!completion.error) (void)!::write(pipe_fds[1], &completion.ticket, sizeof completion.ticket);
      });
      for (uint64_t i = 1; opened.ok() && i <= 4'000; ++i) {
        opened->store->submit(i, {put(2, i, 100 + i % 7), put_state("counter", std::to_string(i))});
        if (i % (3 + round) == 0) ::usleep(200);  // lets the writer make groups of many sizes
      }
      ::pause();
      ::_exit(0);
    }
    ::close(pipe_fds[1]);
    uint64_t reported = 0, ticket = 0;
    while (reported < 20 + round * 90 && ::read(pipe_fds[0], &ticket, sizeof ticket) == sizeof ticket)
      reported = ticket;
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    while (::read(pipe_fds[0], &ticket, sizeof ticket) == sizeof ticket) reported = ticket;
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ::close(pipe_fds[0]);
    Session session(in(folder));
    ASSERT_TRUE(session.store) << session.error->text;
    EXPECT_EQ(session.set_aside, "");
    EXPECT_GE(session.records(), reported);
    uint64_t seq = 0;
    for (const StoredRow& row : session.found.rows) {
      if (row.table == NodeTable::kState) {
        EXPECT_EQ(row.value, std::to_string(session.records()));  // moved together with the records
        continue;
      }
      ++seq;
      ASSERT_EQ(row.key, key_of(2, seq));
      ASSERT_EQ(row.value, value_of(seq, 100 + seq % 7).substr(0, kRecordHeadBytes));
    }
  }
}

TEST(NodeStore, TwoProcessesOnOneFolderAreRefused) {
  Folder folder;
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto opened = NodeStore::open(in(folder), [](NodeStore::Completion) {});
    const char ok = opened.ok() ? 'y' : 'n';
    (void)!::write(pipe_fds[1], &ok, 1);
    ::pause();
    ::_exit(0);
  }
  char ok = 0;
  ASSERT_EQ(::read(pipe_fds[0], &ok, 1), 1);
  ASSERT_EQ(ok, 'y');
  Session second(in(folder));
  ASSERT_TRUE(second.error);
  EXPECT_EQ(second.error->code, Code::kExists);
  EXPECT_NE(second.error->text.find(std::to_string(child)), std::string::npos) << second.error->text;
  EXPECT_NE(second.error->text.find("waybill-agent"), std::string::npos);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  Session third(in(folder));
  EXPECT_TRUE(third.store);  // the kernel let go
  ::close(pipe_fds[0]);
  ::close(pipe_fds[1]);
}

TEST(NodeStore, NothingIsReportedDurableAfterAFailedSync) {  // Q7
  Folder folder;
  {
    Session session(in(folder));
    ASSERT_TRUE(session.write({put(2, 1)}));
    const uint64_t before = syncs_count;
    ASSERT_TRUE(session.write({put(2, 2)}));
    ASSERT_GT(syncs_count, before) << "a commit must sync, through our fdatasync";
    fail_syncs = true;
    EXPECT_FALSE(session.write({put(2, 3)}));
    EXPECT_EQ(session.last_error.code, Code::kUnavailable);
    EXPECT_FALSE(session.write({put(2, 3)}));
    EXPECT_EQ(session.stored, 2U);
    fail_syncs = false;
    EXPECT_TRUE(session.write({put(2, 3)}));
    EXPECT_TRUE(session.write({put(2, 4)}));
    EXPECT_EQ(session.store->stats().failures, 2U);
  }
  Session again(in(folder));
  EXPECT_EQ(again.records(), 4U);
}

TEST(NodeStore, AfterAFailureEverythingLaterIsRefusedUntilItIsSubmittedAgain) {
  Folder folder;
  {
    Session session(in(folder));
    ASSERT_TRUE(session.write({put(2, 1)}));
    fail_syncs = true;
    EXPECT_FALSE(session.write({put(2, 2)}));
    fail_syncs = false;
    session.store->submit(3, {put(2, 3)});  // its predecessor is missing
    session.store->submit(4, {put(2, 4)});
    EXPECT_TRUE(session.write({put(2, 2)}));
    EXPECT_EQ(session.stored, 2U);
    EXPECT_TRUE(session.write({put(2, 30)}));
  }
  Session again(in(folder));
  EXPECT_EQ(again.records(), 3U);
}

TEST(NodeStore, AFullFileRefusesOrdinaryRecordsButKeepsStateAndCritical) {  // Q8 R1
  Folder folder;
  Session session(in(folder));
  uint64_t seq = 1;
  while (session.write({put(2, seq, 3'000)})) ++seq;
  EXPECT_EQ(session.last_error.code, Code::kFull);
  EXPECT_GT(seq, 100U);
  EXPECT_TRUE(session.write({put(1, 1, 3'000)}));
  EXPECT_TRUE(session.write({put_state("deploy/slot", std::string(8'000, 's'))}));
  uint64_t critical = 2;
  while (session.write({put(1, critical, 3'000)})) ++critical;
  EXPECT_EQ(session.last_error.code, Code::kFull);
  EXPECT_LE(fs::file_size(folder.db()), 1U << 20);
  EXPECT_LE(session.store->stats().file_bytes, 1U << 20);
  // Erasing makes room; later tries work.
  std::vector<StoreOp> erase;
  for (uint64_t i = 1; i <= 100; ++i) erase.push_back({NodeTable::kRecords, key_of(2, i), {}, true});
  EXPECT_TRUE(session.write(std::move(erase)));
  EXPECT_TRUE(session.write({put(2, seq, 3'000)}));
}

TEST(NodeStore, AFullDiskIsSurvived) {  // ENOSPC stand-in: the process may not make files larger
  Folder folder;
  {
    Session session(in(folder));
    ASSERT_TRUE(session.write({put(2, 1)}));
    struct rlimit old {};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    struct rlimit tight = old;
    tight.rlim_cur = 64U << 10;
    ::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
    bool refused = false;
    uint64_t stored = 1;
    for (int i = 0; i < 100 && !refused; ++i) {
      refused = !session.write({put(2, stored + 1, 3'000)});
      if (!refused) ++stored;
    }
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
    EXPECT_TRUE(refused);
    EXPECT_TRUE(session.write({put(2, stored + 1, 3'000)})) << session.last_error.text;
  }
  Session again(in(folder));
  EXPECT_EQ(again.set_aside, "");
  EXPECT_GT(again.records(), 2U);
}

// No file of this process may become longer while it lives: others have filled the disk.
class FullDisk {
 public:
  explicit FullDisk(uint64_t bytes) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    struct rlimit tight = before_;
    tight.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &tight);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  struct rlimit before_ {};
};

constexpr uint64_t kFullBytes = 3U << 19;  // longer than the log ever gets: it is the file that cannot grow

// Until the store says that no more should follow.
uint64_t fill(Session& session, uint64_t seq) {
  while (session.no_space.empty() && session.write({put(2, ++seq, 3'000)})) {
  }
  return seq;
}

TEST(NodeStore, OnAFullDiskStateAndEventsFitAlsoAfterAStart) {  // R1
  Folder folder;
  NodeStore::Options options = in(folder);
  options.file_bytes_max = 16U << 20;
  {
    Session session(options);
    ASSERT_TRUE(session.write({put_state("a", "b")}));
  }
  const FullDisk full(kFullBytes);
  uint64_t ordinary = 0, critical = 0;
  for (int life = 0; life < 3; ++life) {
    Session session(options);
    ASSERT_TRUE(session.store) << session.error->text;
    EXPECT_EQ(session.set_aside, "");
    EXPECT_EQ(session.records(), ordinary + critical);
    ordinary = fill(session, ordinary);  // in a later life: one that was on its way
    ASSERT_NE(session.no_space, "") << life;
    for (int i = 0; i < 8; ++i) {
      ASSERT_TRUE(session.write({put(1, ++critical, 1'000)})) << session.last_error.text;
      ASSERT_TRUE(session.write({put_state("deploy/committed", std::string(2'000, static_cast<char>('a' + i)))}))
          << session.last_error.text;
    }
    EXPECT_NE(session.no_space, "");
  }
  EXPECT_GT(ordinary, 100U);
}

TEST(NodeStore, WhatIsOnItsWayWhenTheDiskIsFullStillFits) {  // Q1 R1
  Folder folder;
  NodeStore::Options options = in(folder);
  options.file_bytes_max = 16U << 20;
  Session session(options);
  ASSERT_TRUE(session.write({put_state("a", "b")}));
  const FullDisk full(kFullBytes);
  uint64_t seq = fill(session, 0);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(session.write({put(2, ++seq, 3'000)})) << session.last_error.text;
  bool refused = false;
  for (int i = 0; i < 100 && !refused; ++i) refused = !session.write({put(2, ++seq, 3'000)});
  EXPECT_TRUE(refused);
  EXPECT_EQ(session.last_error.code, Code::kFull);
  ASSERT_TRUE(session.write({put(1, 1, 1'000), put_state("a", "c")})) << session.last_error.text;
}

TEST(NodeStore, WithRoomAgainRecordsMayFollow) {  // R1
  Folder folder;
  NodeStore::Options options = in(folder);
  options.file_bytes_max = 16U << 20;
  Session session(options);
  uint64_t seq = 0;
  {
    const FullDisk full(kFullBytes);
    seq = fill(session, seq);
    EXPECT_NE(session.no_space, "");
  }
  ASSERT_TRUE(session.write({}));
  EXPECT_EQ(session.no_space, "");
  EXPECT_TRUE(session.write({put(2, ++seq, 3'000)}));
}

// What a kill -9 leaves in the log must find room in the file at the next start.
TEST(NodeStore, AfterKill9OnAFullDiskTheNextStartTakesEvents) {  // R1 Q5
  Folder folder;
  NodeStore::Options options = in(folder);
  options.file_bytes_max = 16U << 20;
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    Session session(options);
    (void)session.write({put_state("a", "b")});
    const FullDisk full(kFullBytes);
    const uint64_t seq = fill(session, 0);
    (void)!::write(pipe_fds[1], &seq, sizeof seq);
    ::pause();
    ::_exit(0);
  }
  uint64_t seq = 0;
  ASSERT_EQ(::read(pipe_fds[0], &seq, sizeof seq), static_cast<ssize_t>(sizeof seq));
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  ::close(pipe_fds[0]);
  ::close(pipe_fds[1]);
  const FullDisk full(kFullBytes);
  Session session(options);
  ASSERT_TRUE(session.store) << session.error->text;
  EXPECT_EQ(session.records(), seq);
  EXPECT_TRUE(session.write({put(1, 1, 1'000)})) << session.last_error.text;
  EXPECT_NE(session.no_space, "");
}

TEST(NodeStore, AFloorOfFreeSpaceStopsOrdinaryRecords) {  // R1
  Folder folder;
  NodeStore::Options options = in(folder);
  options.free_bytes_floor = 1ULL << 60;
  Session session(options);
  ASSERT_TRUE(session.write({put_state("a", "a")}));
  EXPECT_NE(session.no_space.find("floor"), std::string::npos) << session.no_space;
  EXPECT_FALSE(session.write({put(2, 1)}));
  EXPECT_TRUE(session.write({put(1, 1), put_state("a", "b")}));
}

std::string contents(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}
void flip(const fs::path& path, uint64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(at));
  const char byte = static_cast<char>(file.get());
  file.seekp(static_cast<std::streamoff>(at));
  file.put(static_cast<char>(byte ^ 0x40));
}

TEST(NodeStore, AFlippedBitInARecordCostsThatRecord) {  // Q5
  Folder folder;
  fill(folder, 50);
  const std::string bytes = contents(folder.db());
  size_t copies = 0;  // one is the row, others are what was left behind when its page was divided
  for (size_t at = 0; (at = bytes.find(value_of(17, 200), at)) != std::string::npos; ++at, ++copies)
    flip(folder.db(), at + 100);
  ASSERT_GT(copies, 0U);
  {
    Session session(in(folder));
    EXPECT_EQ(session.set_aside, "");
    EXPECT_EQ(session.found.damaged_rows_count, 1U);
    EXPECT_EQ(session.records(), 49U);
  }
  {
    Session cut(in(folder));  // nothing was stored, so nobody can have been told: it is said again
    EXPECT_EQ(cut.found.damaged_rows_count, 1U);
    EXPECT_EQ(cut.records(), 49U);
    EXPECT_TRUE(cut.write({put(2, 51)}));
  }
  Session again(in(folder));
  EXPECT_EQ(again.found.damaged_rows_count, 0U);
  EXPECT_EQ(again.records(), 50U);
}

// Whatever bytes are there: the start ends, works, and never yields an altered row.
TEST(NodeStore, AnyDamageIsABoundedStartWithoutAlteredRows) {  // Q5 Q6
  uint64_t salvaged_most = 0;
  for (uint64_t seed = 1; seed <= 32; ++seed) {
    Folder folder;
    {
      Session session(in(folder));
      std::vector<StoreOp> ops;
      for (uint64_t i = 1; i <= 400; ++i) ops.push_back(put(2, i));
      ops.push_back(put_state("counter", "400"));
      ASSERT_TRUE(session.write(std::move(ops)));
    }
    Prng prng(seed);
    const uint64_t size = fs::file_size(folder.db());
    const uint64_t kind = seed % 4;
    if (kind == 0) {
      fs::resize_file(folder.db(), prng.below(size));
    } else if (kind == 1) {  // zeroed sector
      std::fstream file(folder.db(), std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(prng.below(size / 512) * 512));
      file.write(std::string(512, '\0').data(), 512);
    } else if (kind == 2) {
      for (int i = 0; i < 20; ++i) flip(folder.db(), prng.below(size));
    } else {
      std::ofstream(folder.path / "outbox.db-wal", std::ios::binary) << value_of(seed, 9'000);  // a log of rubbish
      flip(folder.db(), prng.below(100));
    }
    Session session(in(folder));
    ASSERT_TRUE(session.store) << "seed " << seed << ": " << session.error->text;
    for (const StoredRow& row : session.found.rows) {
      if (row.table == NodeTable::kState) continue;
      const uint64_t seq = read_u64_be(std::string_view(row.key).substr(1));
      ASSERT_EQ(row.value, value_of(seq, 200).substr(0, kRecordHeadBytes)) << "seed " << seed;
    }
    EXPECT_TRUE(session.records() == 400 || session.found.damaged_rows_count > 0) << "seed " << seed;
    if (!session.set_aside.empty()) {
      EXPECT_TRUE(fs::exists(session.set_aside));
      salvaged_most = std::max<uint64_t>(salvaged_most, session.records());
    }
    EXPECT_TRUE(session.write({put(2, 1'000)}));
    const size_t records = session.records();
    session.store.reset();
    Session again(in(folder));
    EXPECT_EQ(again.set_aside, "");
    EXPECT_EQ(again.records(), records + 1);
  }
  EXPECT_GT(salvaged_most, 300U);  // one bad page does not cost the rest
}

void overwrite(const fs::path& path, uint64_t at, const std::string& bytes) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(static_cast<std::streamoff>(at));
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

TEST(NodeStore, OneBadPageCostsOnlyItsOwnRecords) {  // Q5: forwards, backwards and number by number around the damage
  Folder folder;
  {
    Session session(in(folder));
    std::vector<StoreOp> ops;
    for (uint64_t i = 1; i <= 400; ++i) ops.push_back(put(2, i));
    ASSERT_TRUE(session.write(std::move(ops)));
  }
  const std::string bytes = contents(folder.db());
  for (const uint64_t seq : {100ULL, 300ULL}) {
    const size_t at = bytes.find(value_of(seq, 200));
    ASSERT_NE(at, std::string::npos);
    overwrite(folder.db(), at / 4'096 * 4'096, std::string(4'096, '\x5A'));
  }
  Session session(in(folder));
  ASSERT_TRUE(session.store);
  EXPECT_NE(session.set_aside, "");
  EXPECT_GT(session.records(), 360U);
  EXPECT_LT(session.records(), 400U);
  EXPECT_EQ(session.load({key_of(2, 50), key_of(2, 200), key_of(2, 400)}).size(), 3U);
}

TEST(NodeStore, DamageThatOnlyAWriteWouldMeetIsFoundAtTheStart) {  // Q5: no loop of start, write, fail
  Folder folder;
  {
    Session session(in(folder));
    std::vector<StoreOp> puts, erases;
    for (uint64_t i = 1; i <= 200; ++i) {
      puts.push_back(put(2, i, 1'000));
      if (i > 10) erases.push_back({NodeTable::kRecords, key_of(2, i), {}, true});
    }
    ASSERT_TRUE(session.write(std::move(puts)));
    ASSERT_TRUE(session.write(std::move(erases)));
  }
  const std::string bytes = contents(folder.db());
  uint64_t trunk = 0;  // SQLite's file header, offset 32: first page of the free list
  for (size_t i = 32; i < 36; ++i) trunk = (trunk << 8) | static_cast<uint8_t>(bytes[i]);
  ASSERT_GT(trunk, 0U);
  overwrite(folder.db(), (trunk - 1) * 4'096, std::string(4'096, '\x7F'));
  Session session(in(folder));
  ASSERT_TRUE(session.store);
  EXPECT_EQ(session.records(), 10U);
  for (uint64_t i = 1'000; i < 1'040; ++i) ASSERT_TRUE(session.write({put(2, i, 1'000)})) << session.last_error.text;
}

// A sector that can never be read again: the file is set aside, and what was in it is called damaged.
TEST(NodeStore, AFirstPageThatCannotBeReadEndsNoStart) {  // Q5
  Folder folder;
  fill(folder, 20);
  struct stat info {};
  ASSERT_EQ(::stat(folder.db().c_str(), &info), 0);
  unreadable_file = info.st_ino;
  {
    Session session(in(folder));
    unreadable_file = 0;
    ASSERT_TRUE(session.store) << session.error->text;
    EXPECT_NE(session.set_aside, "");
    EXPECT_EQ(session.records(), 0U);
    EXPECT_GT(session.found.damaged_rows_count, 0U);
    EXPECT_TRUE(session.write({put(2, 1)}));
  }
  Session again(in(folder));
  EXPECT_EQ(again.set_aside, "");
  EXPECT_EQ(again.records(), 1U);
}

// What a process leaves that ends without a word, with one byte of its log damaged.
void leave_damaged_log(const Folder& folder, int tickets, uint64_t byte) {
  const pid_t child = ::fork();
  if (child == 0) {
    Session session(in(folder));
    for (int i = 1; i <= tickets; ++i)
      if (!session.write({put(2, static_cast<uint64_t>(i), 3'000), put_state("n", std::to_string(i))})) ::_exit(1);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  flip(folder.db().string() + "-wal", byte);
}

TEST(NodeStore, ADamagedLogCostsOnlyWhatTheDamagedFrameHolds) {  // Q4 Q5
  Folder folder;
  leave_damaged_log(folder, 20, 60'000);
  {
    Session session(in(folder));
    ASSERT_TRUE(session.store) << session.error->text;
    EXPECT_NE(session.set_aside, "");
    EXPECT_TRUE(session.found.commits_lost);
    EXPECT_GT(session.found.damaged_rows_count, 0U);
    EXPECT_GE(session.records(), 18U);
    for (const StoredRow& row : session.found.rows) EXPECT_TRUE(row.key != "n" || row.value == "20") << row.value;
    EXPECT_EQ(session.load({key_of(2, 1), key_of(2, 20)}).size(), 2U);
  }
  {
    Session cut(in(folder));  // nothing was stored, so nobody can have been told: it is said again
    EXPECT_TRUE(cut.found.commits_lost);
    EXPECT_TRUE(cut.write({put(2, 21)}));
  }
  Session again(in(folder));
  EXPECT_FALSE(again.found.commits_lost);
  EXPECT_EQ(again.found.damaged_rows_count, 0U);
  EXPECT_EQ(again.set_aside, "");
}

TEST(NodeStore, ADamagedHeadOfTheLogCostsNothing) {  // Q4 Q5
  Folder folder;
  leave_damaged_log(folder, 20, 9);
  Session session(in(folder));
  ASSERT_TRUE(session.store) << session.error->text;
  EXPECT_TRUE(session.found.commits_lost);
  EXPECT_EQ(session.records(), 20U);
}

TEST(NodeStore, KeepsTheNewestTwoDamagedFiles) {
  Folder folder;
  for (int i = 0; i < 5; ++i) {
    std::ofstream(folder.db(), std::ios::binary) << "not a database, number " << i << std::string(8'000, 'x');
    Session session(in(folder));
    ASSERT_TRUE(session.store);
    EXPECT_EQ(session.set_aside, folder.db().string() + ".damaged-" + std::to_string(i + 1));
    EXPECT_GT(session.found.damaged_rows_count, 0U);
  }
  EXPECT_FALSE(fs::exists(folder.db().string() + ".damaged-3"));
  EXPECT_TRUE(fs::exists(folder.db().string() + ".damaged-4"));
}

TEST(NodeStore, AnAbsurdlyLargeFileIsSetAsideUnread) {
  Folder folder;
  fill(folder, 3);
  fs::resize_file(folder.db(), 5U << 20);
  Session session(in(folder));
  ASSERT_TRUE(session.store);
  EXPECT_NE(session.set_aside, "");
  EXPECT_EQ(session.records(), 0U);
}

TEST(NodeStore, AForeignDatabaseIsSetAside) {
  Folder folder;
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(folder.db().c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "CREATE TABLE other(x); INSERT INTO other VALUES(1)", nullptr, nullptr, nullptr),
            SQLITE_OK);
  sqlite3_close(other);
  Session session(in(folder));
  ASSERT_TRUE(session.store);
  EXPECT_NE(session.set_aside, "");
}

// Every point between two renames of a repair: the next start finishes it.
TEST(NodeStore, ACrashDuringARepairIsFinishedByTheNextStart) {  // Q6
  for (int stage = 0; stage < 4; ++stage) {
    Folder folder, whole;
    fill(whole, 5);  // stands for the copy that was salvaged
    std::string old_log;
    {
      Session session(in(folder));
      for (uint64_t i = 1; i <= 9; ++i) ASSERT_TRUE(session.write({put(2, i)}));
      old_log = contents(folder.db().string() + "-wal");
    }
    ASSERT_GT(old_log.size(), 4'096U);
    std::ofstream(folder.path / "outbox.db-wal", std::ios::binary) << old_log;
    const std::string db = folder.db().string();
    if (stage == 0) {
      std::ofstream(db + ".partial") << "half a copy";
      fs::remove(db + "-wal");
    } else {
      fs::copy_file(whole.db(), db + ".salvaged");
    }
    if (stage >= 2) fs::rename(db, db + ".damaged-1");
    if (stage >= 3) fs::rename(db + "-wal", db + ".damaged-1-wal");
    Session session(in(folder));
    ASSERT_TRUE(session.store) << stage << ": " << session.error->text;
    EXPECT_EQ(session.records(), stage == 0 ? 9U : 5U) << stage;
    EXPECT_FALSE(fs::exists(db + ".partial"));
    EXPECT_FALSE(fs::exists(db + ".salvaged"));
  }
}

}  // namespace
}  // namespace wb::world
