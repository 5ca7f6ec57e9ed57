#include "world/node_carve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string_view>
#include <vector>

#include "world/node_db.h"
#include "world/sqlite_log.h"

namespace wb::world {
namespace {

constexpr size_t kPage = kNodePageBytes;
constexpr size_t kFileHeaderBytes = 100;
constexpr uint64_t kRowBytesMax = 1U << 20;  // larger than any row the agent writes
constexpr uint8_t kIndexInner = 2, kIndexLeaf = 10, kTableLeaf = 13;
// Payload that stays in a cell's page, section 1.6: at most, and at least where the rest overflows.
constexpr uint64_t kTableLocalMax = kPage - 35;
constexpr uint64_t kIndexLocalMax = (kPage - 12) * 64 / 255 - 23;
constexpr uint64_t kLocalMin = (kPage - 12) * 32 / 255 - 23;

uint64_t big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

// Takes from the front; ok is false once something was not there.
struct Cursor {
  std::string_view left;
  bool ok = true;

  uint64_t number(size_t bytes) {
    const std::string_view taken = take(bytes);
    return big_endian(taken);
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int i = 0; i < 9; ++i) {
      const uint64_t byte = number(1);
      if (!ok) return 0;
      if (i == 8) return value << 8 | byte;
      value = value << 7 | (byte & 0x7F);
      if ((byte & 0x80) == 0) return value;
    }
    return value;
  }
  std::string_view take(uint64_t bytes) {
    if (bytes > left.size()) {
      ok = false;
      return {};
    }
    const std::string_view taken = left.substr(0, bytes);
    left.remove_prefix(bytes);
    return taken;
  }
};

class PagedFile {
 public:
  explicit PagedFile(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat info {};
    if (fd_ >= 0 && ::fstat(fd_, &info) == 0) count_ = static_cast<uint64_t>(info.st_size) / kPage;
  }
  ~PagedFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  PagedFile(const PagedFile&) = delete;
  PagedFile& operator=(const PagedFile&) = delete;

  uint64_t count() const { return count_; }
  bool read(uint64_t number, std::string& page) const {  // from 1
    if (number < 1 || number > count_) return false;
    page.resize(kPage);
    return ::pread(fd_, page.data(), kPage, static_cast<off_t>((number - 1) * kPage)) == static_cast<ssize_t>(kPage);
  }

 private:
  int fd_;
  uint64_t count_ = 0;
};

// Which pages are free; nullopt if the list does not come out as the header says.
std::optional<std::vector<bool>> free_pages(const PagedFile& file) {
  std::string page;
  if (!file.read(1, page)) return std::nullopt;
  std::vector<bool> free(file.count() + 1);
  uint64_t trunk = big_endian(std::string_view(page).substr(32, 4));
  uint64_t left = big_endian(std::string_view(page).substr(36, 4));
  const auto mark = [&](uint64_t number) {
    if (number < 2 || number > file.count() || free[number] || left == 0) return false;
    free[number] = true;
    --left;
    return true;
  };
  while (trunk != 0) {  // ends: each page is marked once
    if (!mark(trunk) || !file.read(trunk, page)) return std::nullopt;
    Cursor cursor{page};
    trunk = cursor.number(4);
    for (uint64_t leaves = cursor.number(4); leaves > 0; --leaves)
      if (!mark(cursor.number(4)) || !cursor.ok) return std::nullopt;
  }
  if (left != 0) return std::nullopt;
  return free;
}

// A cell's payload with what overflows from it.
std::optional<std::string> payload(const PagedFile& file, Cursor cell, uint64_t bytes, uint64_t local_max) {
  if (bytes > kRowBytesMax) return std::nullopt;
  uint64_t local = bytes;
  if (bytes > local_max) {
    const uint64_t wish = kLocalMin + (bytes - kLocalMin) % (kPage - 4);
    local = wish <= local_max ? wish : kLocalMin;
  }
  std::string out(cell.take(local));
  uint64_t next = bytes > local ? cell.number(4) : 0;
  if (!cell.ok) return std::nullopt;
  std::string page;
  while (out.size() < bytes) {  // ends: each page brings bytes, and bytes are bounded
    if (!file.read(next, page)) return std::nullopt;
    next = big_endian(std::string_view(page).substr(0, 4));
    out.append(page, 4, std::min<uint64_t>(kPage - 4, bytes - out.size()));
  }
  return out;
}

struct Columns {
  std::string_view key;  // empty for a record: its key is the row's number
  std::string_view value;
  uint64_t crc = 0;
};

// key TEXT or NULL, value BLOB, crc INTEGER (section 2.1).
std::optional<Columns> columns_of(std::string_view record) {
  Cursor cursor{record};
  const uint64_t header_bytes = cursor.varint();
  if (!cursor.ok || header_bytes > record.size()) return std::nullopt;
  std::array<uint64_t, 3> types{};
  for (uint64_t& type : types) type = cursor.varint();
  if (!cursor.ok || record.size() - cursor.left.size() != header_bytes) return std::nullopt;
  Columns out;
  if (types[0] >= 13 && types[0] % 2 == 1) {
    out.key = cursor.take((types[0] - 13) / 2);
  } else if (types[0] != 0) {
    return std::nullopt;
  }
  if (types[1] < 12 || types[1] % 2 != 0) return std::nullopt;
  out.value = cursor.take((types[1] - 12) / 2);
  if (types[2] == 9) {
    out.crc = 1;
  } else if (types[2] >= 1 && types[2] <= 6) {
    constexpr std::array<size_t, 7> kBytes = {0, 1, 2, 3, 4, 6, 8};
    out.crc = cursor.number(kBytes[types[2]]);
  } else if (types[2] != 8) {
    return std::nullopt;
  }
  if (!cursor.ok) return std::nullopt;
  return out;
}

// The row, if its CRC says that it is one: of a record it also says of which lane.
std::optional<StoreOp> row_of(const Columns& columns, bool is_record, uint64_t number) {
  if (!is_record) {
    if (node_row_crc(NodeTable::kState, columns.key, columns.value) != columns.crc) return std::nullopt;
    return StoreOp{NodeTable::kState, std::string(columns.key), std::string(columns.value), false};
  }
  for (uint8_t lane = 1; lane <= kNodeLanes; ++lane) {
    std::string key = node_record_key(lane, static_cast<int64_t>(number));
    if (node_row_crc(NodeTable::kRecords, key, columns.value) == columns.crc)
      return StoreOp{NodeTable::kRecords, std::move(key), std::string(columns.value), false};
  }
  return std::nullopt;
}

bool carve_page(const PagedFile& file, std::string_view page, size_t at, const std::function<bool(StoreOp)>& take) {
  Cursor head{page.substr(at)};
  const auto type = static_cast<uint8_t>(head.number(1));
  if (type != kIndexInner && type != kIndexLeaf && type != kTableLeaf) return true;
  (void)head.number(2);
  const uint64_t cells = head.number(2);
  (void)head.number(type == kIndexInner ? 7 : 3);
  for (uint64_t i = 0; i < cells && head.ok; ++i) {
    const uint64_t offset = head.number(2);
    if (!head.ok || offset >= page.size()) continue;
    Cursor cell{page.substr(offset)};
    if (type == kIndexInner) (void)cell.number(4);
    const uint64_t bytes = cell.varint();
    const uint64_t number = type == kTableLeaf ? cell.varint() : 0;
    if (!cell.ok) continue;
    const auto record = payload(file, cell, bytes, type == kTableLeaf ? kTableLocalMax : kIndexLocalMax);
    const auto columns = record ? columns_of(*record) : std::nullopt;
    auto row = columns ? row_of(*columns, type == kTableLeaf, number) : std::nullopt;
    if (row && !take(std::move(*row))) return false;
  }
  return true;
}

}  // namespace

bool first_page_reads(const std::string& path) {
  constexpr int kTriesMax = 3;  // a healthy file is not set aside because one read failed
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;  // that says its own error
  std::array<char, kPage> page{};
  ssize_t got = -1;
  for (int i = 0; i < kTriesMax && got < 0; ++i) {
    errno = 0;
    got = ::pread(fd, page.data(), page.size(), 0);
    if (got < 0 && errno != EIO) got = 0;
  }
  ::close(fd);
  return got >= 0;
}

bool header_is_damaged(const std::string& path) {
  struct stat other {};
  if (log_holds_pages(path + "-wal")) return false;
  if (::stat((path + "-journal").c_str(), &other) == 0) return false;
  std::string page;
  if (!PagedFile(path).read(1, page) || !page.starts_with("SQLite format 3")) return false;
  struct Field {
    size_t at, bytes;
    uint64_t least, most;
  };
  // page size, write and read version, reserved bytes, three fractions, schema format, vacuum, encoding, vacuum
  constexpr std::array<Field, 10> kFields = {{{16, 2, kPage, kPage},
                                              {18, 1, 1, 2},
                                              {19, 1, 1, 2},
                                              {20, 1, 0, 0},
                                              {21, 1, 64, 64},
                                              {22, 1, 32, 32},
                                              {23, 1, 32, 32},
                                              {44, 4, 0, 4},
                                              {52, 4, 0, 0},
                                              {56, 4, 0, 1}}};
  return std::any_of(kFields.begin(), kFields.end(), [&](const Field& field) {
    const uint64_t value = big_endian(std::string_view(page).substr(field.at, field.bytes));
    return value < field.least || value > field.most;
  });
}

void carve_rows(const std::string& path, const std::function<bool(StoreOp row)>& take) {
  const PagedFile file(path);
  const auto free = free_pages(file);
  if (!free) return;
  std::string page;
  for (uint64_t number = 1; number <= file.count(); ++number)
    if (!(*free)[number] && file.read(number, page) &&
        !carve_page(file, page, number == 1 ? kFileHeaderBytes : 0, take))
      return;
}

}  // namespace wb::world
