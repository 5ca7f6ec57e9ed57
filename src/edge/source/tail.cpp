// FileTail: the plan of following a file. It decides by identity (device, inode) and size alone.
//
// What it cannot see: a file cut short and written again beyond our offset between two polls, and a new file that got
// the inode of the old one and is at least as long. Rotation by rename has neither problem.
#include <algorithm>

#include "base/bytes.h"
#include "edge/source/source.h"

namespace wb::source {

namespace {
constexpr uint64_t kReadBytesMax = 256U << 10;
static_assert(kReadBytesMax + kRowBytesMax <= kBodyBytesMax);
using Kind = FileTail::Action::Kind;
}  // namespace

FileTail::FileTail(Mode mode, State state) : mode_(mode), state_(std::move(state)) {}

FileTail::Action FileTail::next(std::optional<FileSeen> open, std::optional<FileSeen> path) const {
  if (done_) return {Kind::kDone};
  if (!open) return path ? Action{Kind::kOpen} : Action{Kind::kWait};
  if (open->size < read_offset_) return {Kind::kRewind};
  const uint64_t end = mode_ == Mode::kOnce ? std::min(open->size, end_once_) : open->size;
  if (read_offset_ < end) return {Kind::kRead, read_offset_, std::min(end - read_offset_, kReadBytesMax)};
  if (mode_ == Mode::kOnce) return {Kind::kEnd};
  if (path && path->identity != open->identity) return {Kind::kEnd};
  return {Kind::kWait};
}

bool FileTail::opened(const FileSeen& seen) {
  const bool same = state_.known && seen.identity == state_.identity && !ended_;
  const bool resumes = same && seen.size >= state_.offset;
  if (same && !resumes) ++counters_.truncations;
  if (state_.known && !same) ++(ended_ ? counters_.rotations : counters_.rotated_away);
  if (!resumes) state_ = State{seen.identity, 0, 0, "", true};
  ended_ = false;
  base_ = read_offset_ = state_.offset;
  end_once_ = seen.size;
  return resumes;
}

void FileTail::took(uint64_t bytes) { read_offset_ += bytes; }

void FileTail::rewound() {
  ++counters_.truncations;
  state_ = State{state_.identity, 0, 0, "", true};
  base_ = read_offset_ = 0;
}

void FileTail::closed() {
  if (mode_ == Mode::kOnce) done_ = true;
  ended_ = true;
}

void FileTail::handed_on(uint64_t consumed_bytes, uint64_t rows, std::string_view csv_header) {
  state_.offset = base_ + consumed_bytes;
  state_.rows = rows;
  state_.csv_header = csv_header;
}

std::string FileTail::State::encode() const {
  if (!known) return "1";
  return "1 " + std::to_string(identity.device) + " " + std::to_string(identity.inode) + " " + std::to_string(offset) +
         " " + std::to_string(rows) + "\n" + csv_header;
}

Result<FileTail::State> FileTail::State::decode(std::string_view text) {
  State out;
  if (text.empty() || text == "1") return out;
  const size_t newline = text.find('\n');
  const auto words = split(text.substr(0, newline), ' ');
  if (newline == std::string_view::npos || words.size() != 5 || words[0] != "1")
    return fail(Code::kCorrupt, "stored file position is not one of version 1");
  uint64_t numbers[4] = {};
  for (size_t i = 0; i < 4; ++i) {
    // Devices and inodes use all 64 bits, so parse_int's signed range would not do.
    if (words[i + 1].empty() || words[i + 1].size() > 20)
      return fail(Code::kCorrupt, "stored file position holds no number");
    for (const char c : words[i + 1]) {
      if (c < '0' || c > '9') return fail(Code::kCorrupt, "stored file position holds no number");
      numbers[i] = numbers[i] * 10 + static_cast<uint64_t>(c - '0');
    }
  }
  out.identity = FileIdentity{numbers[0], numbers[1]};
  out.offset = numbers[2];
  out.rows = numbers[3];
  out.csv_header = text.substr(newline + 1);
  if (out.csv_header.size() > kRowBytesMax) return fail(Code::kCorrupt, "stored CSV header is too long");
  out.known = true;
  return out;
}

}  // namespace wb::source
