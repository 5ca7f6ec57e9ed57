// The outbox's arithmetic against the real file: what it calls full must fit, whatever the sizes and however evictions
// have thinned the pages (Q8). The store refuses nothing; the file stays within its cap.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "base/prng.h"
#include "edge/outbox/outbox.h"
#include "world/node_store.h"

namespace wb {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kFileBytes = 2U << 20;

struct Sizes {
  const char* name;
  uint64_t smallest, largest;
};

// Returns the largest share of the file that was ever in use, in percent.
uint64_t overflow(const Sizes& sizes, const fs::path& folder) {
  std::mutex mutex;
  std::condition_variable changed;
  uint64_t stored = 0;
  std::optional<Error> error;
  auto opened = world::NodeStore::open({.data_dir = folder, .file_bytes_max = kFileBytes},
                                       [&](world::NodeStore::Completion completion) {
                                         const std::lock_guard guard(mutex);
                                         stored = completion.ticket;
                                         error = completion.error;
                                         changed.notify_all();
                                       });
  if (!opened.ok()) ADD_FAILURE() << opened.error().text;
  auto box = outbox::Outbox::open({.bytes_max = kFileBytes}, opened->found, {});
  Prng prng(sizes.largest);
  uint64_t ticket = 0, used_most = 0, offered_bytes = 0;
  while (offered_bytes < 4 * kFileBytes) {
    std::vector<outbox::Offer> offers;
    for (uint64_t i = 0, bytes = 0; i < 256 && bytes < 64U << 10; ++i) {
      const uint64_t size = sizes.smallest + prng.below(sizes.largest - sizes.smallest + 1);
      bytes += size;
      const Lane lane = kLanes[1 + prng.below(3)];
      offers.push_back({lane, Rule::kSample, 1, unit_interval(prng.next()), 1, 1, std::string(size, 'r')});
    }
    for (const auto& offer : offers) offered_bytes += offer.record.size() + 100;
    std::vector<StoreOp> ops;
    (void)box->outbox.offer({}, std::move(offers), ops);
    opened->store->submit(++ticket, std::move(ops));
    std::unique_lock guard(mutex);
    changed.wait(guard, [&] { return stored == ticket || error; });
    EXPECT_FALSE(error) << sizes.name << ": " << error->text;
    if (error) break;
    guard.unlock();
    used_most = std::max(used_most, opened->store->stats().used_bytes);
    EXPECT_LE(opened->store->stats().file_bytes, kFileBytes);
    std::error_code ignored;
    // 1 MiB, after which it is emptied, and the largest commit behind that.
    EXPECT_LE(fs::file_size(folder / "outbox.db-wal", ignored), 7U << 18);
  }
  return used_most * 100 / kFileBytes;
}

TEST(OutboxQuota, WhatTheOutboxHoldsFitsItsFile) {  // Q8
  for (const Sizes& sizes :
       {Sizes{"tiny", 20, 60}, Sizes{"small", 100, 300}, Sizes{"mixed", 50, 3'000}, Sizes{"half pages", 1'900, 2'100},
        Sizes{"pages", 3'500, 5'000}, Sizes{"large", 20'000, 60'000}}) {
    std::string pattern = (fs::temp_directory_path() / "wb-quota-XXXXXX").string();
    const fs::path folder = ::mkdtemp(pattern.data());
    const uint64_t percent = overflow(sizes, folder);
    RecordProperty(std::string("used percent ") + sizes.name, static_cast<int>(percent));
    std::printf("  %-10s at most %llu%% of the file in use\n", sizes.name, static_cast<unsigned long long>(percent));
    EXPECT_GT(percent, 40U) << sizes.name << ": the outbox gives away too much of its quota";
    fs::remove_all(folder);
  }
}

}  // namespace
}  // namespace wb
