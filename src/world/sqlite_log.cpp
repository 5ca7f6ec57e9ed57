#include "world/sqlite_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <map>
#include <string_view>
#include <vector>

#include "base/planted.h"
#include "world/files.h"
#include "world/node_db.h"

namespace wb::world {
namespace {

constexpr size_t kHeadBytes = 32, kFrameHeadBytes = 24;
constexpr size_t kFrameBytes = kFrameHeadBytes + kNodePageBytes;
constexpr uint32_t kMagic = std::endian::native == std::endian::big ? 0x377f0683 : 0x377f0682;
constexpr uint32_t kVersion = 3'007'000;
constexpr int kReadsMax = 3;  // what cannot be read so often is damaged
constexpr size_t kFramesMax = 1U << 18;

uint32_t big_endian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

// Section 4.2.
struct Sum {
  uint32_t a = 0, b = 0;
  bool operator==(const Sum&) const = default;
  void add(std::string_view bytes) {  // a multiple of 8
    std::array<uint32_t, 2> pair{};
    for (size_t at = 0; at < bytes.size(); at += sizeof pair) {
      std::memcpy(pair.data(), bytes.data() + at, sizeof pair);
      a += pair[0] + b;
      b += pair[1] + a;
    }
  }
};
Sum stored_sum(std::string_view bytes, size_t at) { return {big_endian(bytes, at), big_endian(bytes, at + 4)}; }

struct Frame {
  uint32_t page = 0;
  uint32_t pages_count = 0;  // of the database after a commit; 0 = no commit
  uint32_t salt_1 = 0, salt_2 = 0;
  Sum stored;           // what the next frame's checksum begins with
  Sum content;          // of the page alone
  Sum computed;         // what `stored` should be, after the frames before it
  bool intact = false;  // page and numbers are; `stored` or a salt may not be
};

class Log {
 public:
  explicit Log(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    std::string head;
    if (fd_ < 0 || !read(head, kHeadBytes, 0)) return;
    // Zeros, perhaps not all of them arrived. A bit that flips does not make a zero of this byte.
    if (head[0] == 0) return;
    head_is_good_ = is_good(head);
    for (const size_t at : {size_t{16}, size_t{20}}) salts_.push_back(big_endian(head, at));
    read_frames(stored_sum(head, 24));
    find_end();
  }
  ~Log() {
    if (fd_ >= 0) ::close(fd_);
  }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  bool head_is_good() const { return head_is_good_; }
  bool unreadable() const { return unreadable_; }
  // So many frames are what SQLite would take.
  size_t taken_count() const { return taken_; }
  // So many are of commits that were synced, the damaged ones among them.
  size_t synced_count() const { return synced_; }
  const std::vector<Frame>& frames() const { return frames_; }
  bool read_page(size_t frame, std::string& page) {
    return read(page, kNodePageBytes, kHeadBytes + frame * kFrameBytes + kFrameHeadBytes);
  }

 private:
  static bool is_good(std::string_view head) {
    Sum sum;
    sum.add(head.substr(0, 24));
    return big_endian(head, 0) == kMagic && big_endian(head, 4) == kVersion && big_endian(head, 8) == kNodePageBytes &&
           sum == stored_sum(head, 24);
  }
  bool read(std::string& out, size_t bytes, uint64_t at) {
    out.resize(bytes);
    ssize_t got = -1;
    for (int i = 0; i < kReadsMax && got < 0; ++i) got = ::pread(fd_, out.data(), bytes, static_cast<off_t>(at));
    unreadable_ = unreadable_ || got < 0;
    return got == static_cast<ssize_t>(bytes);
  }
  // Of this life of the log, and not left over from one before: both salts change. One of the two may be damaged.
  bool is_of_this_life(const Frame& frame) const {
    return frame.salt_2 == salts_[1] || (frame.salt_1 == salts_[0] && salts_[1] != 0);
  }

  void read_frames(Sum before) {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) return;
    const auto count = static_cast<size_t>((static_cast<uint64_t>(info.st_size) - kHeadBytes) / kFrameBytes);
    std::string bytes;
    Sum computed = before;
    for (size_t i = 0; i < count && i < kFramesMax; ++i) {
      Frame frame;
      if (read(bytes, kFrameBytes, kHeadBytes + i * kFrameBytes)) {
        const std::string_view view(bytes);
        frame = Frame{big_endian(view, 0),
                      big_endian(view, 4),
                      big_endian(view, 8),
                      big_endian(view, 12),
                      stored_sum(view, 16),
                      {},
                      {},
                      false};
        if (is_of_this_life(frame)) check(frame, view, before, computed);
      }
      before = frame.stored;
      computed = frame.computed;
      frames_.push_back(frame);
    }
  }
  // Against the checksum that is stored with the frame before. If that one is what was damaged, against what it should
  // have been; then the frame before has stood the test, too.
  void check(Frame& frame, std::string_view bytes, const Sum& before, const Sum& computed) {
    frame.content.add(bytes.substr(kFrameHeadBytes));
    const auto follows = [&](Sum sum) {
      sum.add(bytes.substr(0, 8));
      sum.add(bytes.substr(kFrameHeadBytes));
      return sum;
    };
    frame.computed = follows(before);
    frame.intact = frame.computed == frame.stored;
    if (frame.intact || computed == before) return;
    if (follows(computed) != frame.stored) return;
    frame.computed = frame.stored;
    frame.intact = true;
    if (!frames_.empty()) frames_.back().intact = true;
  }

  // A commit is filled up to the end of its sector with copies of its last frame.
  bool is_copy(size_t i) const {
    const Frame &frame = frames_[i], &before = frames_[i - 1];
    return before.pages_count == frame.pages_count && before.page == frame.page && before.content == frame.content;
  }
  // A frame's head is written before its page: one that power cut short may be intact but for its checksum and salts,
  // which only the frames behind it show. It proves nothing.
  bool goes_on(size_t i) const {
    const Frame& frame = frames_[i];
    if (!frame.intact || frame.computed != frame.stored) return false;
    if (head_is_good_) return frame.salt_1 == salts_[0] && frame.salt_2 == salts_[1];
    return i == 0 || (frame.salt_1 == frames_[i - 1].salt_1 && frame.salt_2 == frames_[i - 1].salt_2);
  }
  void find_end() {
    bool whole = head_is_good_;
    size_t piece_commits = 0;
    for (size_t i = 0; i < frames_.size(); ++i) {
      const bool in_piece = goes_on(i);
      whole = whole && in_piece;
      if (!in_piece) piece_commits = 0;
      if (!in_piece || frames_[i].pages_count == 0) continue;
      if (piece_commits == 0 || !is_copy(i)) ++piece_commits;
      if (whole) taken_ = i + 1;
      if (whole || piece_commits >= 2) synced_ = i + 1;
    }
  }

  int fd_;
  bool head_is_good_ = false, unreadable_ = false;
  std::vector<uint32_t> salts_;
  std::vector<Frame> frames_;
  size_t taken_ = 0, synced_ = 0;
};

}  // namespace

bool log_holds_pages(const std::string& log) {
  struct stat info {};
  if (::stat(log.c_str(), &info) != 0 || info.st_size == 0) return false;
  const int fd = ::open(log.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return true;
  std::array<char, kHeadBytes> head{};
  const bool read = ::pread(fd, head.data(), head.size(), 0) > 0;
  ::close(fd);
  return !read || head != std::array<char, kHeadBytes>{};
}

bool log_lost_commits(const std::string& log) {
  const Log found(log);
  return found.head_is_good() && found.synced_count() > found.taken_count();
}

bool log_is_damaged(const std::string& log) {
  if (planted(Bug::kLogDamageUnseen)) return false;
  const Log found(log);
  return found.synced_count() > found.taken_count() || found.unreadable();
}

Status lay_log_over(const std::string& database, const std::string& log) {
  Log found(log);
  std::map<uint32_t, size_t> newest;
  for (size_t i = 0; i < found.synced_count(); ++i)
    if (found.frames()[i].intact && found.frames()[i].page > 0) newest[found.frames()[i].page] = i;
  const int fd = ::open(database.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fail(Code::kDenied, database, ": ", std::strerror(errno));
  std::string page;
  Status done = ok_status();
  for (const auto& [number, frame] : newest) {
    if (!found.read_page(frame, page)) continue;
    const auto at = static_cast<off_t>((number - 1) * kNodePageBytes);
    if (::pwrite(fd, page.data(), page.size(), at) == static_cast<ssize_t>(page.size())) continue;
    done = fail(Code::kUnavailable, database, ": write a page of its log into it: ", std::strerror(errno));
    break;
  }
  ::close(fd);
  WB_CHECK(done);
  return sync_file(database);
}

}  // namespace wb::world
