#pragma once
// Medium: what a process under test stands on: a MemoryDisk, a fault that may be armed, and counters. Two shims bring
// the product's own code here, unchanged: recording_vfs.cpp below SQLite, and libc_files.cpp below src/world's own
// calls of open, write, fsync, rename and their like, for paths under kRoot. All other paths stay with the real system.
//
// One medium is in use at a time (a process-wide pointer). The store's writer thread and its caller never touch it at
// the same moment: the tests wait for completions.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "tests/crash/memory_disk.h"

namespace wb::crash {

inline constexpr std::string_view kRoot = "/wb-memory-disk";

enum class Call : uint8_t { kRead, kWrite, kTruncate, kSync, kOpen, kName, kAllocate };
inline constexpr size_t kCallsCount = 7;

// The k-th call of its kind fails, counted from arming: once, or from then on.
struct Fault {
  Call call = Call::kWrite;
  uint64_t at = 0;  // 0 = none
  bool forever = false;
  bool no_space = false;  // a write says ENOSPC, after half of it; else EIO
};

class Medium {
 public:
  Medium() = default;
  explicit Medium(MemoryDisk found) : disk(std::move(found)) {}

  MemoryDisk disk;
  bool swallow_syncs = false;       // a lie for testing the tests: a sync says yes and does nothing
  uint64_t calls_max = UINT64_MAX;  // past it every call fails: a start that does not end is made to end

  // From here on the log counts and an armed fault may fire; `start` gets the disk as it is.
  void begin(MemoryDisk* start);
  void arm(const Fault& fault);
  void heal() { fault_ = {}; }
  size_t fired_at() const { return fired_at_; }  // length of the disk's log when the fault first fired
  uint64_t count(Call call) const { return counts_[static_cast<size_t>(call)]; }
  uint64_t calls() const { return calls_; }
  void reset_counts();
  uint64_t bytes_written() const { return bytes_written_; }
  // What flash is given: whole blocks of 4 KiB, each counted once per sync (an unsynced rest counts at its sync).
  uint64_t flash_bytes() const { return flash_bytes_; }

  // 0, or the errno that the caller sees.
  int open(const std::string& name, bool create, bool exclusive, FileId& file);
  int read(FileId file, uint64_t at, char* out, uint64_t size, uint64_t& got);
  int write(FileId file, uint64_t at, std::string_view bytes);
  int truncate(FileId file, uint64_t size);
  int sync(FileId file);
  int sync_folder(const std::string& folder);
  int rename(const std::string& from, const std::string& to);
  int unlink(const std::string& name);
  bool may_allocate() { return !fails(Call::kAllocate); }

  void asked(uint64_t ticket) { note(Op::Kind::kAsked, ticket); }
  void told(uint64_t ticket) { note(Op::Kind::kTold, ticket); }

 private:
  bool fails(Call call);
  void note(Op::Kind kind, uint64_t ticket);
  void soil(FileId file, uint64_t at, uint64_t size);
  void flush_blocks(FileId file);

  Fault fault_;
  uint64_t seen_ = 0, calls_ = 0, bytes_written_ = 0;
  size_t fired_at_ = SIZE_MAX;
  bool begun_ = false;
  std::array<uint64_t, kCallsCount> counts_{};
  uint64_t flash_bytes_ = 0;
  std::vector<std::vector<bool>> dirty_blocks_;  // index = FileId
};

// The medium in use; nullptr: paths under kRoot do not exist.
Medium* medium();
class UseMedium {
 public:
  explicit UseMedium(Medium& one);
  ~UseMedium();
  UseMedium(const UseMedium&) = delete;
  UseMedium& operator=(const UseMedium&) = delete;

 private:
  Medium* before_;
};

}  // namespace wb::crash
