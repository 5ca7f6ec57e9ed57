#pragma once
// files: reading, and writing that survives a power cut. A file written here is old or new afterwards, never empty or
// half (promise S1): temporary beside it, fsync, rename, fsync of the folder.
//
// All paths are UTF-8 text as given by the user; errors name the path and say what to do.

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace wb::world {

inline constexpr mode_t kSecretMode = 0600;  // private keys, tokens
inline constexpr mode_t kPublicMode = 0644;

// kNotFound if it is not there; kFull if it is longer than `bytes_max` (checked before it is read).
Result<std::string> read_file(const std::string& path, size_t bytes_max);
Status write_file_atomic(const std::string& path, std::string_view bytes, mode_t mode);
// The same for a file that must be replaced though the disk is full: keep_spare() takes the room beforehand, in a file
// beside it (".spare"), and the two change places. Without a spare, and the first time, it is write_file_atomic().
Status keep_spare(const std::string& path);
Status replace_file(const std::string& path, std::string_view bytes, mode_t mode);
// For what a start should not fail for: no new file, no new block if it is no longer than what is there. A crash may
// leave it half.
Status overwrite_file(const std::string& path, std::string_view bytes);
// Writes only what is not there already: on a full disk nothing need be written to say the same again.
Status keep_file(const std::string& path, std::string_view bytes, mode_t mode);
bool file_exists(const std::string& path);
// Makes the folder and its parents. A new folder gets `mode`; one that is there stays as it is.
Status make_folders(const std::string& path, mode_t mode = 0700);
Status sync_folder(const std::string& path);
Status sync_file(const std::string& path);
// Lets this process open as many files and connections as the system allows it. Returns how many that are.
size_t raise_descriptor_limit();

// One process per data folder. Held until destroyed; the kernel releases it when the process dies, however it dies.
class FolderLock {
 public:
  // kExists if another process holds it; the error names that process (`holder`, e.g. "hub", and its process id).
  static Result<FolderLock> take(const std::string& folder, std::string_view holder);
  FolderLock(FolderLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  FolderLock& operator=(FolderLock&& other) noexcept;
  ~FolderLock();

 private:
  explicit FolderLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace wb::world
