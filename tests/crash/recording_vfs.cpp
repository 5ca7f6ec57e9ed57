#include "tests/crash/recording_vfs.h"

#include <sqlite3.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "base/prng.h"
#include "base/result.h"
#include "tests/crash/medium.h"

namespace wb::crash {
namespace {

constexpr int kSectorBytes = 4096;  // SQLITE_DEFAULT_SECTOR_SIZE, what its VFS for Linux says of every disk

Prng& randomness() {
  static Prng prng(1);
  return prng;
}

struct File {
  sqlite3_file base;
  FileId id;
  bool powersafe_overwrite;
  int chunk_bytes;       // in such steps the file takes space
  bool sync_folder_too;  // a log or journal opened to be made if need be: unixOpen() does not ask whether it was
  char folder[120];
};

File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }

int write_code(int system) { return system == 0 ? SQLITE_OK : system == ENOSPC ? SQLITE_FULL : SQLITE_IOERR_WRITE; }

int file_close(sqlite3_file*) { return SQLITE_OK; }

int file_read(sqlite3_file* file, void* out, int size, sqlite3_int64 at) {
  uint64_t got = 0;
  auto* bytes = static_cast<char*>(out);
  if (medium()->read(of(file).id, static_cast<uint64_t>(at), bytes, static_cast<uint64_t>(size), got) != 0)
    return SQLITE_IOERR_READ;
  if (got == static_cast<uint64_t>(size)) return SQLITE_OK;
  std::memset(bytes + got, 0, static_cast<size_t>(size) - got);
  return SQLITE_IOERR_SHORT_READ;
}

int file_write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
  return write_code(medium()->write(of(file).id, static_cast<uint64_t>(at),
                                    {static_cast<const char*>(bytes), static_cast<size_t>(size)}));
}

sqlite3_int64 whole_chunks(sqlite3_file* file, sqlite3_int64 size) {
  const sqlite3_int64 chunk = of(file).chunk_bytes;
  return chunk > 0 ? (size + chunk - 1) / chunk * chunk : size;
}

int file_truncate(sqlite3_file* file, sqlite3_int64 size) {
  size = whole_chunks(file, size);
  return medium()->truncate(of(file).id, static_cast<uint64_t>(size)) == 0 ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

int file_sync(sqlite3_file* file, int) {
  File& one = of(file);
  if (medium()->sync(one.id) != 0) return SQLITE_IOERR_FSYNC;
  if (one.sync_folder_too) {
    if (medium()->sync_folder(one.folder) != 0) return SQLITE_IOERR_DIR_FSYNC;
    one.sync_folder_too = false;
  }
  return SQLITE_OK;
}

int file_size(sqlite3_file* file, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>(medium()->disk.bytes(of(file).id).size());
  return SQLITE_OK;
}

// One process, one connection: what it locks is free.
int file_lock(sqlite3_file*, int) { return SQLITE_OK; }
int file_reserved(sqlite3_file*, int* taken) {
  *taken = 0;
  return SQLITE_OK;
}

// Space that is taken beforehand reads as zeros, and the file is longer by it (posix_fallocate).
int take_space(sqlite3_file* file, sqlite3_int64 size) {
  const auto wanted = static_cast<uint64_t>(whole_chunks(file, size));
  if (of(file).chunk_bytes == 0 || wanted <= medium()->disk.bytes(of(file).id).size()) return SQLITE_OK;
  return medium()->truncate(of(file).id, wanted) == 0 ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

int file_control(sqlite3_file* file, int what, void* argument) {
  if (what == SQLITE_FCNTL_CHUNK_SIZE) of(file).chunk_bytes = *static_cast<int*>(argument);
  if (what == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_OK;
  if (what == SQLITE_FCNTL_SIZE_HINT) return take_space(file, *static_cast<sqlite3_int64*>(argument));
  if (what != SQLITE_FCNTL_POWERSAFE_OVERWRITE) return SQLITE_NOTFOUND;
  int& value = *static_cast<int*>(argument);
  if (value >= 0) of(file).powersafe_overwrite = value > 0;
  value = of(file).powersafe_overwrite ? 1 : 0;
  return SQLITE_OK;
}
int file_sector(sqlite3_file*) { return kSectorBytes; }
int file_device(sqlite3_file* file) { return of(file).powersafe_overwrite ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0; }

const sqlite3_io_methods kFileMethods = {1,           file_close, file_read, file_write,    file_truncate, file_sync,
                                         file_size,   file_lock,  file_lock, file_reserved, file_control,  file_sector,
                                         file_device, nullptr,    nullptr,   nullptr,       nullptr,       nullptr,
                                         nullptr};

int vfs_open(sqlite3_vfs*, const char* name, sqlite3_file* out, int flags, int* flags_out) {
  static uint64_t unnamed = 0;
  const std::string path = name != nullptr ? name : std::string(kRoot) + "/temporary-" + std::to_string(++unnamed);
  File& file = of(out);
  file.base.pMethods = nullptr;
  if (medium() == nullptr || !path.starts_with(kRoot)) return SQLITE_CANTOPEN;
  const int system =
      medium()->open(path, (flags & SQLITE_OPEN_CREATE) != 0, (flags & SQLITE_OPEN_EXCLUSIVE) != 0, file.id);
  if (system != 0) return SQLITE_CANTOPEN;
  file.chunk_bytes = 0;
  file.powersafe_overwrite = true;  // SQLITE_POWERSAFE_OVERWRITE=1, Debian's default
  file.sync_folder_too = (flags & SQLITE_OPEN_CREATE) != 0 &&
                         (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL)) != 0;
  const std::string folder = path.substr(0, path.rfind('/'));
  WB_ASSERT(folder.size() < sizeof file.folder);
  std::memcpy(file.folder, folder.c_str(), folder.size() + 1);
  file.base.pMethods = &kFileMethods;
  if (flags_out != nullptr) *flags_out = flags;
  return SQLITE_OK;
}

int vfs_delete(sqlite3_vfs*, const char* name, int sync_folder) {
  const int system = medium()->unlink(name);
  if (system == ENOENT) return SQLITE_IOERR_DELETE_NOENT;
  if (system != 0) return SQLITE_IOERR_DELETE;
  const std::string path = name;
  if (sync_folder != 0 && medium()->sync_folder(path.substr(0, path.rfind('/'))) != 0) return SQLITE_IOERR_DIR_FSYNC;
  return SQLITE_OK;
}

int vfs_access(sqlite3_vfs*, const char* name, int what, int* out) {
  const auto file = medium() == nullptr ? std::nullopt : medium()->disk.find(name);
  // As SQLite's own: an empty file does not count as one that exists.
  *out = file && (what != SQLITE_ACCESS_EXISTS || !medium()->disk.bytes(*file).empty()) ? 1 : 0;
  return SQLITE_OK;
}

int vfs_full_path(sqlite3_vfs*, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}

int vfs_randomness(sqlite3_vfs*, int size, char* out) {
  for (int i = 0; i < size; ++i) out[i] = static_cast<char>(randomness().next());
  return size;
}
int vfs_sleep(sqlite3_vfs*, int us) { return us; }
int vfs_time(sqlite3_vfs*, double* days) {
  *days = 2460000.5;
  return SQLITE_OK;
}
int vfs_last_error(sqlite3_vfs*, int, char*) { return 0; }

sqlite3_vfs recording = {1,
                         sizeof(File),
                         512,
                         nullptr,
                         "waybill-recording",
                         nullptr,
                         vfs_open,
                         vfs_delete,
                         vfs_access,
                         vfs_full_path,
                         nullptr,
                         nullptr,
                         nullptr,
                         nullptr,
                         vfs_randomness,
                         vfs_sleep,
                         vfs_time,
                         vfs_last_error,
                         nullptr,
                         nullptr,
                         nullptr,
                         nullptr};

sqlite3_mem_methods real_memory;

void* memory_get(int size) {
  if (medium() != nullptr && !medium()->may_allocate()) return nullptr;
  return real_memory.xMalloc(size);
}
void* memory_resize(void* block, int size) {
  if (medium() != nullptr && !medium()->may_allocate()) return nullptr;
  return real_memory.xRealloc(block, size);
}

}  // namespace

void install_recording_vfs() {
  static bool installed = false;
  if (installed) return;
  installed = true;
  WB_ASSERT(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_memory) == SQLITE_OK);
  sqlite3_mem_methods ours = real_memory;
  ours.xMalloc = memory_get;
  ours.xRealloc = memory_resize;
  WB_ASSERT(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) == SQLITE_OK);
  WB_ASSERT(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);  // every allocation is one that can fail
  WB_ASSERT(sqlite3_initialize() == SQLITE_OK);
  WB_ASSERT(sqlite3_vfs_register(&recording, 1) == SQLITE_OK);
}

void seed_vfs(uint64_t seed) { randomness() = Prng(seed); }

}  // namespace wb::crash
