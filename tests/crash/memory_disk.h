#pragma once
// MemoryDisk: files and their names in memory, with what a power cut needs to know: of each file what is synced and
// what is not yet, of each folder which names are synced and which changes are not yet. Every change is one Op in a
// log; applying the log of one disk to another, one Op at a time, passes through every moment at which power can fail.
//
// after_power_cut() makes the disk that a device finds after such a moment. Per sector of each unsynced write a fate is
// drawn: it never arrived, it arrived, only its beginning arrived, or the whole sector reads as zeros. Fates are
// independent, so later writes may be there without earlier ones (reordered). Unsynced truncations and changes of names
// arrive or not. What was synced is never touched, except where it shares a sector with an unsynced write that ends as
// zeros.
//
// A failed sync is remembered as Linux does it: the writes since the last sync are marked clean and will never be
// written, though they can still be read until power fails. A later write makes the whole 4 KiB page it touches dirty
// again, with what the page then holds. A length that was set is no page: the next sync takes it along.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/prng.h"

namespace wb::crash {

using FileId = uint32_t;

struct Op {
  enum class Kind : uint8_t {
    kWrite,
    kTruncate,
    kSync,
    kFailedSync,
    kLink,  // a new, empty file under `name`
    kRename,
    kUnlink,
    kSyncFolder,
    kAsked,  // no change of the disk: everything up to ticket `at` has been handed to the store
    kTold,   // no change of the disk: everything up to ticket `at` was reported durable
  };
  Kind kind = Kind::kWrite;
  FileId file = 0;
  uint64_t at = 0;   // offset, size or ticket
  std::string name;  // of names: from
  std::string to;
  std::string bytes;
};

// How a power cut treats what is not synced. Weights of fates; names: 0 none arrived, 1 all, 2 a prefix, 3 any.
struct Cut {
  uint32_t sector_bytes = 512;
  uint32_t lost = 1, arrived = 0, torn = 0, zeroed = 0;
  uint32_t names = 0;
  uint64_t seed = 0;
};

class MemoryDisk {
 public:
  MemoryDisk() = default;
  MemoryDisk(const MemoryDisk&) = delete;
  MemoryDisk& operator=(const MemoryDisk&) = delete;
  MemoryDisk(MemoryDisk&&) = default;
  MemoryDisk& operator=(MemoryDisk&&) = default;

  // What a running process sees.
  std::optional<FileId> find(std::string_view name) const;
  const std::string& bytes(FileId file) const { return *files_[file].now; }
  std::vector<std::string> names_in(std::string_view folder) const;  // last components
  bool is_folder(std::string_view path) const;
  uint64_t bytes_total() const;
  uint64_t memory_bytes() const;  // that contents take, spare room included

  // Applies the change; keeps it in the log unless keep_log(false).
  void apply(Op op);
  void apply(const std::shared_ptr<const Op>& op);
  const std::vector<std::shared_ptr<const Op>>& log() const { return log_; }
  FileId files_count() const { return static_cast<FileId>(files_.size()); }
  void keep_log(bool keep) { keep_log_ = keep; }  // false: nothing can be cut any more; for endurance runs
  void drop_log() { log_.clear(); }
  // Everything is as if synced long ago.
  void settle();

  bool anything_unsynced() const;
  // `fates`: a hash over all that was drawn; two cuts of one moment with the same value give the same disk.
  MemoryDisk after_power_cut(const Cut& cut, uint64_t* fates = nullptr) const;
  MemoryDisk copy() const;  // shares contents until one of the two writes

  // For damage to what is synced.
  void set_bytes(std::string_view name, std::string bytes);

 private:
  using Content = std::shared_ptr<std::string>;
  struct File {
    Content durable, now;
    std::vector<std::shared_ptr<const Op>> unsynced;
    bool forgotten = false;  // a sync failed: `now` has bytes that will never be durable
  };
  using Names = std::map<std::string, FileId, std::less<>>;

  static std::string& own(Content& content);
  static void change(Content& content, const Op& op);
  static void change(Names& names, const Op& op);
  void apply_to_files(const std::shared_ptr<const Op>& op);

  std::vector<File> files_;
  Names names_, durable_names_;
  std::vector<std::shared_ptr<const Op>> unsynced_names_;
  std::vector<std::shared_ptr<const Op>> log_;
  bool keep_log_ = true;
};

}  // namespace wb::crash
