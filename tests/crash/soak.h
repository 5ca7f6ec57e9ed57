#pragma once
// Endurance: the real agent over the real NodeStore on a disk in memory, with days that pass in seconds. Counts what
// reaches the flash, and looks once a day whether anything grows: memory, files, rows.

#include <cstdint>
#include <string>
#include <vector>

namespace wb::crash {

struct SoakPlan {
  std::string name;
  uint32_t records_per_s = 1;   // in one batch a second
  uint32_t kept_percent = 100;  // of the records, what the rules keep
  bool hub_there = true;
  uint64_t seconds = 86'400;
  uint64_t look_every_s = 86'400;
};

struct SoakLook {
  uint64_t heap_bytes = 0;  // in use, without the disk in memory
  uint64_t file_bytes = 0;  // of outbox.db
  uint64_t wal_bytes = 0;
  uint64_t rows = 0;
  uint64_t waiting = 0;
};

struct SoakResult {
  std::string wrong;  // "" = the promises held
  uint64_t commits = 0;
  uint64_t offered_bytes = 0;  // what the records kept take as the store is given them
  uint64_t written_bytes = 0;  // by the store: log, checkpoints, file
  uint64_t flash_bytes = 0;    // the same in whole blocks of 4 KiB, each sync counted anew
  uint64_t syncs = 0;
  std::vector<SoakLook> looks;
};

SoakResult soak(const SoakPlan& plan);

// W1: what a node may write per day. An 8 GB eMMC of 3,000 cycles that itself writes everything three times lasts five
// years at 4.3 GB a day.
inline constexpr uint64_t kFlashBytesPerDay = 4'300'000'000;
// What is wrong with the flatness of memory, files and rows from the first look on; "" = nothing.
std::string check_flat(const std::vector<SoakLook>& looks);

}  // namespace wb::crash
