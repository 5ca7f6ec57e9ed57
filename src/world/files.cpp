#include "world/files.h"
#include "base/planted.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

namespace wb::world {

namespace {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

Error system_error(std::string_view what, const std::string& path, int number) {
  Code code = Code::kInternal;
  std::string advice;
  if (number == ENOENT) code = Code::kNotFound;
  if (number == EACCES || number == EPERM) {
    code = Code::kDenied;
    advice = "; run as the user that owns it, or change its permissions";
  }
  if (number == ENOSPC || number == EDQUOT) {
    code = Code::kFull;
    advice = "; free some space on that disk";
  }
  return fail(code, "cannot ", what, " ", path, ": ", std::strerror(number), advice);
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Status write_all(int fd, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error("write", path, errno);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return ok_status();
}

}  // namespace

Result<std::string> read_file(const std::string& path, size_t bytes_max) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return system_error("open", path, errno);
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error("read", path, errno);
  if (S_ISDIR(info.st_mode)) return fail(Code::kInvalid, path, " is a folder; a file is needed");
  std::string bytes;
  char buffer[64 * 1024];
  while (true) {  // ends: a file longer than bytes_max is refused
    const ssize_t count = ::read(fd.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("read", path, errno);
    if (count == 0) return bytes;
    bytes.append(buffer, static_cast<size_t>(count));
    if (bytes.size() > bytes_max)
      return fail(Code::kFull, path, " is longer than the ", std::to_string(bytes_max), " bytes allowed here");
  }
}

Status write_file_atomic(const std::string& path, std::string_view bytes, mode_t mode) {
  std::string temporary = path + ".XXXXXX";
  Fd fd(::mkostemp(temporary.data(), O_CLOEXEC));  // created 0600: a secret is never readable, not even for a moment
  if (fd.get() < 0) return system_error("create a file beside", path, errno);
  Status written = write_all(fd.get(), bytes, temporary);
  if (written.ok() && ::fchmod(fd.get(), planted(Bug::kSecretsReadable) ? 0644 : mode) != 0)
    written = system_error("set the mode of", temporary, errno);
  if (written.ok() && !planted(Bug::kRenameBeforeSync) && ::fsync(fd.get()) != 0)
    written = system_error("sync", temporary, errno);
  if (written.ok() && ::rename(temporary.c_str(), path.c_str()) != 0) written = system_error("replace", path, errno);
  if (!written.ok()) {
    ::unlink(temporary.c_str());
    return written;
  }
  return sync_folder(parent_of(path));
}

namespace {
constexpr off_t kSpareBytes = 16 << 10;  // what an identity takes, with room to grow
std::string spare_of(const std::string& path) { return path + ".spare"; }
}  // namespace

Status keep_spare(const std::string& path) {
  const Fd fd(::open(spare_of(path).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (fd.get() < 0) return system_error("make", spare_of(path), errno);
  // A file system that cannot say so beforehand is believed.
  if (::fallocate(fd.get(), FALLOC_FL_KEEP_SIZE, 0, kSpareBytes) != 0 && (errno == ENOSPC || errno == EDQUOT))
    return system_error("keep room in", spare_of(path), errno);
  return ok_status();
}

Status replace_file(const std::string& path, std::string_view bytes, mode_t mode) {
  const std::string spare = spare_of(path);
  {
    const Fd fd(::open(spare.c_str(), O_WRONLY | O_CLOEXEC));
    if (fd.get() < 0 || bytes.size() > kSpareBytes) return write_file_atomic(path, bytes, mode);
    WB_CHECK(write_all(fd.get(), bytes, spare));
    if (::ftruncate(fd.get(), static_cast<off_t>(bytes.size())) != 0) return system_error("cut", spare, errno);
    if (::fchmod(fd.get(), mode) != 0) return system_error("set the mode of", spare, errno);
    if (::fsync(fd.get()) != 0) return system_error("sync", spare, errno);
  }
  const bool exchanged = ::renameat2(AT_FDCWD, spare.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0;
  if (!exchanged && ::rename(spare.c_str(), path.c_str()) != 0) return system_error("replace", path, errno);
  WB_CHECK(sync_folder(parent_of(path)));
  (void)keep_spare(path);  // of what was replaced; if there is no room for more, that must do
  return ok_status();
}

Status overwrite_file(const std::string& path, std::string_view bytes) {
  const Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.get() < 0) return system_error("open", path, errno);
  WB_CHECK(write_all(fd.get(), bytes, path));
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes.size())) != 0) return system_error("cut", path, errno);
  return ok_status();
}

Status keep_file(const std::string& path, std::string_view bytes, mode_t mode) {
  const auto found = read_file(path, bytes.size());
  return found.ok() && *found == bytes ? ok_status() : write_file_atomic(path, bytes, mode);
}

bool file_exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Status make_folders(const std::string& path, mode_t mode) {
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return ok_status();
    return fail(Code::kInvalid, path, " is a file; a folder is needed");
  }
  const std::string parent = parent_of(path);
  if (parent != path && parent != ".") WB_CHECK(make_folders(parent, mode));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return system_error("make the folder", path, errno);
  return sync_folder(parent);
}

Status sync_folder(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return system_error("open the folder", path, errno);
  if (::fsync(fd.get()) != 0 && errno != EINVAL) return system_error("sync the folder", path, errno);
  return ok_status();
}

size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  return static_cast<size_t>(limit.rlim_cur);
}

Status sync_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (fd.get() < 0) return system_error("open", path, errno);
  if (::fsync(fd.get()) != 0) return system_error("sync", path, errno);
  return ok_status();
}

Result<FolderLock> FolderLock::take(const std::string& folder, std::string_view holder) {
  const std::string path = folder + "/lock";
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (fd.get() < 0) return system_error("open", path, errno);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return system_error("lock", path, errno);
    char who[64] = {};
    const ssize_t count = ::pread(fd.get(), who, sizeof who - 1, 0);
    const std::string text = count > 0 ? std::string(who, static_cast<size_t>(count)) : "another process";
    return fail(Code::kExists, "the data folder ", folder, " is in use by ", text,
                "; stop it, or give another --data-dir");
  }
  const std::string text = std::string(holder) + " (process " + std::to_string(::getpid()) + ")";
  // Who holds it is a service to people: on a full disk it is missing, and the lock holds all the same.
  if (write_all(fd.get(), text, path).ok() && ::ftruncate(fd.get(), static_cast<off_t>(text.size())) != 0)
    return system_error("write", path, errno);
  return FolderLock(fd.release());
}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace wb::world
