#include "world/slots.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "world/files.h"

namespace wb::world {
namespace {

constexpr std::string_view kPart = ".part";

bool is_digest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Error slot_error(std::string_view what, const std::string& path, int number) {
  const Code code = number == ENOENT                       ? Code::kNotFound
                    : number == ENOSPC || number == EDQUOT ? Code::kFull
                                                           : Code::kInternal;
  return fail(code, "cannot ", what, " ", path, ": ", std::strerror(number),
              code == Code::kFull ? "; free some space on that disk" : "");
}

class OpenFile {
 public:
  OpenFile(const std::string& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600)) {}
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  ~OpenFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// The file's size, or -1 with errno.
int64_t size_of(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return -1;
  return S_ISREG(info.st_mode) ? static_cast<int64_t>(info.st_size) : 0;
}

}  // namespace

Result<Slots> Slots::open(std::string folder, uint64_t bytes_max) {
  WB_CHECK(make_folders(folder, 0700));
  return Slots(std::move(folder), bytes_max);
}

Result<std::string> Slots::path_of(const std::string& digest) const {
  if (!is_digest(digest))
    return fail(Code::kInvalid, "a slot is named by 64 lower-case hex digits, not by '", digest.substr(0, 80), "'");
  return folder_ + "/" + digest;
}

Result<std::vector<Slots::File>> Slots::list() const {
  DIR* folder = ::opendir(folder_.c_str());
  if (folder == nullptr) return slot_error("read the folder", folder_, errno);
  std::vector<File> files;
  while (const dirent* entry = ::readdir(folder)) {
    std::string_view name = entry->d_name;
    const bool part = name.ends_with(kPart);
    if (part) name.remove_suffix(kPart.size());
    if (!is_digest(name) || files.size() >= 2 * kFilesMax) continue;
    const int64_t size = size_of(folder_ + "/" + entry->d_name);
    if (size >= 0) files.push_back(File{std::string(name), static_cast<uint64_t>(size), !part});
  }
  ::closedir(folder);
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) {
    return a.digest != b.digest ? a.digest < b.digest : a.sealed > b.sealed;
  });
  files.erase(
      std::unique(files.begin(), files.end(), [](const File& a, const File& b) { return a.digest == b.digest; }),
      files.end());
  if (files.size() > kFilesMax) files.resize(kFilesMax);
  return files;
}

Result<uint64_t> Slots::write(const std::string& digest, uint64_t offset, std::string_view bytes) {
  WB_TRY(const std::string path, path_of(digest));
  if (offset > bytes_max_ || bytes.size() > bytes_max_ - offset)
    return fail(Code::kInvalid, "slot ", digest.substr(0, 12), " would grow beyond the ", std::to_string(bytes_max_),
                " bytes allowed");
  const std::string part = path + std::string(kPart);
  const OpenFile file(part, O_WRONLY | O_CREAT);
  if (file.get() < 0) return slot_error("open", part, errno);
  if (static_cast<uint64_t>(std::max<int64_t>(size_of(part), 0)) < offset)
    return fail(Code::kInvalid, part, " is shorter than the offset ", std::to_string(offset), " to resume at");
  // What lies behind the offset was never reported as durable: it may be anything.
  if (::ftruncate(file.get(), static_cast<off_t>(offset)) != 0) return slot_error("cut", part, errno);
  uint64_t at = offset;
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return slot_error("write", part, count == 0 ? ENOSPC : errno);
    at += static_cast<uint64_t>(count);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  if (::fsync(file.get()) != 0) return slot_error("sync", part, errno);
  // With the first piece, not with the file: one that failed may have made the file and not its name durable.
  if (offset == 0) WB_CHECK(sync_folder(folder_));
  return at;
}

Status Slots::seal(const std::string& digest) {
  WB_TRY(const std::string path, path_of(digest));
  const std::string part = path + std::string(kPart);
  // Sealed before: the answer was lost, or the name is not durable yet.
  if (size_of(part) < 0 && size_of(path) >= 0) return sync_folder(folder_);
  {
    const OpenFile file(part, O_RDONLY);
    if (file.get() < 0) return slot_error("open", part, errno);
    if (::fsync(file.get()) != 0) return slot_error("sync", part, errno);
  }
  if (::rename(part.c_str(), path.c_str()) != 0) return slot_error("rename", part, errno);
  return sync_folder(folder_);
}

Result<std::string> Slots::read(const std::string& digest) const {
  WB_TRY(const std::string path, path_of(digest));
  return read_file(path, bytes_max_);
}

Status Slots::remove(const std::string& digest) {
  WB_TRY(const std::string path, path_of(digest));
  for (const std::string& one : {path, path + std::string(kPart)})
    if (::unlink(one.c_str()) != 0 && errno != ENOENT) return slot_error("remove", one, errno);
  return sync_folder(folder_);
}

}  // namespace wb::world
