// The shim below src/world's own file calls: the executable's symbols go before libc's, so files.cpp, slots.cpp and
// std::filesystem come through here. Paths under kRoot are served by the Medium in use, everything else by libc.
// Descriptors of the Medium start at kFirst, far above any real one.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <vector>

#include "tests/crash/medium.h"

#define WB_SHIM extern "C" __attribute__((visibility("default")))

namespace {

using wb::crash::FileId;
using wb::crash::kRoot;
using wb::crash::medium;

constexpr int kFirst = 1 << 20;

struct Handle {
  FileId file = 0;
  uint64_t at = 0;
  std::string folder;  // not empty: it is a folder
  bool used = false;
};
std::deque<Handle> handles;
std::mutex handles_mutex;

struct Listing {
  int fd = 0;
  std::vector<std::string> names;
  size_t next = 0;
  dirent entry{};
};
std::deque<Listing*> listings;

bool ours(const char* path) { return path != nullptr && std::string_view(path).starts_with(kRoot); }
bool ours(int fd) { return fd >= kFirst; }
Handle& handle(int fd) { return handles[static_cast<size_t>(fd - kFirst)]; }
bool ours(DIR* folder) {
  for (const Listing* one : listings)
    if (reinterpret_cast<const void*>(one) == static_cast<const void*>(folder)) return true;
  return false;
}
Listing& listing(DIR* folder) { return *reinterpret_cast<Listing*>(folder); }

int fail_with(int number) {
  errno = number;
  return -1;
}
int result(int number) { return number == 0 ? 0 : fail_with(number); }

int take_handle(Handle made) {
  const std::lock_guard guard(handles_mutex);
  made.used = true;
  for (size_t i = 0; i < handles.size(); ++i)
    if (!handles[i].used) {
      handles[i] = std::move(made);
      return kFirst + static_cast<int>(i);
    }
  handles.push_back(std::move(made));
  return kFirst + static_cast<int>(handles.size()) - 1;
}

int open_here(const std::string& path, int flags) {
  if (medium() == nullptr) return fail_with(ENOENT);
  if ((flags & O_DIRECTORY) != 0) {
    if (!medium()->disk.is_folder(path)) return fail_with(ENOTDIR);
    return take_handle({0, 0, path, true});
  }
  FileId file = 0;
  if (const int number = medium()->open(path, (flags & O_CREAT) != 0, (flags & O_EXCL) != 0, file))
    return fail_with(number);
  if ((flags & O_TRUNC) != 0)
    if (const int number = medium()->truncate(file, 0)) return fail_with(number);
  return take_handle({file, 0, "", true});
}

int stat_here(const std::string& path, struct stat* out) {
  if (medium() == nullptr) return fail_with(ENOENT);
  *out = {};
  if (const auto file = medium()->disk.find(path)) {
    out->st_mode = S_IFREG | 0600;
    out->st_size = static_cast<off_t>(medium()->disk.bytes(*file).size());
    return 0;
  }
  // Folders: the root, and whatever is the folder of a name or has no dot and is asked for as one.
  if (path == kRoot || path.find('.', kRoot.size()) != std::string::npos || medium()->disk.names_in(path).empty())
    if (path != kRoot) return fail_with(ENOENT);
  out->st_mode = S_IFDIR | 0700;
  return 0;
}

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

#define WB_REAL(name) static auto* const real_##name = real<decltype(::name)>(#name)

WB_SHIM int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  WB_REAL(open);
  return ours(path) ? open_here(path, flags) : real_open(path, flags, mode);
}
WB_SHIM int openat(int folder, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  WB_REAL(openat);
  if (ours(folder)) return open_here(handle(folder).folder + "/" + path, flags);
  return ours(path) ? open_here(path, flags) : real_openat(folder, path, flags, mode);
}
WB_SHIM int mkostemp(char* pattern, int flags) {
  WB_REAL(mkostemp);
  if (!ours(pattern)) return real_mkostemp(pattern, flags);
  // Names in turn, and not by chance: one history is the same each time. One that could not be removed is passed over.
  for (int i = 0; i < 1'000; ++i) {
    char name[8];
    std::snprintf(name, sizeof name, "wb%04d", i);
    std::memcpy(pattern + std::strlen(pattern) - 6, name, 6);
    const int fd = open_here(pattern, O_CREAT | O_EXCL);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return fail_with(EEXIST);
}
WB_SHIM int close(int fd) {
  WB_REAL(close);
  if (!ours(fd)) return real_close(fd);
  const std::lock_guard guard(handles_mutex);
  handle(fd) = {};
  return 0;
}
WB_SHIM ssize_t read(int fd, void* out, size_t size) {
  WB_REAL(read);
  if (!ours(fd)) return real_read(fd, out, size);
  uint64_t got = 0;
  Handle& one = handle(fd);
  if (const int number = medium()->read(one.file, one.at, static_cast<char*>(out), size, got)) return fail_with(number);
  one.at += got;
  return static_cast<ssize_t>(got);
}
WB_SHIM ssize_t pread(int fd, void* out, size_t size, off_t at) {
  WB_REAL(pread);
  if (!ours(fd)) return real_pread(fd, out, size, at);
  uint64_t got = 0;
  if (const int number = medium()->read(handle(fd).file, static_cast<uint64_t>(at), static_cast<char*>(out), size, got))
    return fail_with(number);
  return static_cast<ssize_t>(got);
}
WB_SHIM ssize_t write(int fd, const void* bytes, size_t size) {
  WB_REAL(write);
  if (!ours(fd)) return real_write(fd, bytes, size);
  Handle& one = handle(fd);
  if (const int number = medium()->write(one.file, one.at, {static_cast<const char*>(bytes), size}))
    return fail_with(number);
  one.at += size;
  return static_cast<ssize_t>(size);
}
WB_SHIM ssize_t pwrite(int fd, const void* bytes, size_t size, off_t at) {
  WB_REAL(pwrite);
  if (!ours(fd)) return real_pwrite(fd, bytes, size, at);
  if (const int number =
          medium()->write(handle(fd).file, static_cast<uint64_t>(at), {static_cast<const char*>(bytes), size}))
    return fail_with(number);
  return static_cast<ssize_t>(size);
}
WB_SHIM int ftruncate(int fd, off_t size) {
  WB_REAL(ftruncate);
  if (!ours(fd)) return real_ftruncate(fd, size);
  return result(medium()->truncate(handle(fd).file, static_cast<uint64_t>(size)));
}
WB_SHIM int fsync(int fd) {
  WB_REAL(fsync);
  if (!ours(fd)) return real_fsync(fd);
  const Handle& one = handle(fd);
  return result(one.folder.empty() ? medium()->sync(one.file) : medium()->sync_folder(one.folder));
}
WB_SHIM int fchmod(int fd, mode_t mode) {
  WB_REAL(fchmod);
  return ours(fd) ? 0 : real_fchmod(fd, mode);
}
// By its symbol: the name is that of a struct in fcntl.h.
WB_SHIM int lock_shim(int fd, int what) __asm__("flock");
int lock_shim(int fd, int what) {
  static auto* const real_flock = real<int(int, int)>("flock");
  return ours(fd) ? 0 : real_flock(fd, what);
}
WB_SHIM int fstat(int fd, struct stat* out) {
  WB_REAL(fstat);
  if (!ours(fd)) return real_fstat(fd, out);
  const Handle& one = handle(fd);
  *out = {};
  out->st_mode = one.folder.empty() ? S_IFREG | 0600 : S_IFDIR | 0700;
  if (one.folder.empty()) out->st_size = static_cast<off_t>(medium()->disk.bytes(one.file).size());
  return 0;
}
WB_SHIM int stat(const char* path, struct stat* out) {
  WB_REAL(stat);
  return ours(path) ? stat_here(path, out) : real_stat(path, out);
}
WB_SHIM int lstat(const char* path, struct stat* out) {
  WB_REAL(lstat);
  return ours(path) ? stat_here(path, out) : real_lstat(path, out);
}
WB_SHIM int access(const char* path, int mode) {
  WB_REAL(access);
  struct stat ignored {};
  return ours(path) ? stat_here(path, &ignored) : real_access(path, mode);
}
WB_SHIM int mkdir(const char* path, mode_t mode) {
  WB_REAL(mkdir);
  return ours(path) ? 0 : real_mkdir(path, mode);
}
WB_SHIM int rename(const char* from, const char* to) {
  WB_REAL(rename);
  return ours(from) ? result(medium()->rename(from, to)) : real_rename(from, to);
}
WB_SHIM int unlink(const char* path) {
  WB_REAL(unlink);
  return ours(path) ? result(medium()->unlink(path)) : real_unlink(path);
}
WB_SHIM int remove(const char* path) {
  WB_REAL(remove);
  return ours(path) ? result(medium()->unlink(path)) : real_remove(path);
}
WB_SHIM DIR* fdopendir(int fd) {
  WB_REAL(fdopendir);
  if (!ours(fd)) return real_fdopendir(fd);
  auto* made = new Listing{fd, medium()->disk.names_in(handle(fd).folder), 0, {}};
  listings.push_back(made);
  return reinterpret_cast<DIR*>(made);
}
WB_SHIM DIR* opendir(const char* path) {
  WB_REAL(opendir);
  if (!ours(path)) return real_opendir(path);
  const int fd = open_here(path, O_DIRECTORY);
  return fd < 0 ? nullptr : fdopendir(fd);
}
WB_SHIM dirent* readdir(DIR* folder) {
  WB_REAL(readdir);
  if (!ours(folder)) return real_readdir(folder);
  Listing& one = listing(folder);
  if (one.next >= one.names.size()) return nullptr;
  one.entry = {};
  one.entry.d_type = DT_REG;
  const std::string& name = one.names[one.next++];
  std::memcpy(one.entry.d_name, name.c_str(), name.size() + 1);
  return &one.entry;
}
WB_SHIM int closedir(DIR* folder) {
  WB_REAL(closedir);
  if (!ours(folder)) return real_closedir(folder);
  Listing* one = &listing(folder);
  ::close(one->fd);
  std::erase(listings, one);
  delete one;
  return 0;
}
