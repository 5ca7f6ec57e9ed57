#include "tests/crash/medium.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace wb::crash {
namespace {
constexpr uint64_t kBlockBytes = 4'096;
Medium* in_use = nullptr;
}  // namespace

Medium* medium() { return in_use; }
UseMedium::UseMedium(Medium& one) : before_(std::exchange(in_use, &one)) {}
UseMedium::~UseMedium() { in_use = before_; }

void Medium::arm(const Fault& fault) {
  fault_ = fault;
  seen_ = 0;
  fired_at_ = SIZE_MAX;
}

void Medium::begin(MemoryDisk* start) {
  disk.settle();
  if (start != nullptr) *start = disk.copy();
  reset_counts();
  begun_ = true;
}

void Medium::reset_counts() {
  counts_ = {};
  calls_ = 0;
  bytes_written_ = flash_bytes_ = 0;
  dirty_blocks_.clear();
}

bool Medium::fails(Call call) {
  ++counts_[static_cast<size_t>(call)];
  if (call != Call::kAllocate && ++calls_ > calls_max) return true;
  if (!begun_ || fault_.at == 0 || fault_.call != call) return false;
  ++seen_;
  const bool fails = fault_.forever ? seen_ >= fault_.at : seen_ == fault_.at;
  if (fails && fired_at_ == SIZE_MAX) fired_at_ = disk.log().size();
  return fails;
}

int Medium::open(const std::string& name, bool create, bool exclusive, FileId& file) {
  if (fails(Call::kOpen)) return EIO;
  if (const auto found = disk.find(name)) {
    if (create && exclusive) return EEXIST;
    file = *found;
  } else {
    if (!create) return ENOENT;
    file = disk.files_count();
    Op op;
    op.kind = Op::Kind::kLink;
    op.file = file;
    op.name = name;
    disk.apply(std::move(op));
  }
  return 0;
}

int Medium::read(FileId file, uint64_t at, char* out, uint64_t size, uint64_t& got) {
  if (fails(Call::kRead)) return EIO;
  const std::string& bytes = disk.bytes(file);
  got = at >= bytes.size() ? 0 : std::min<uint64_t>(size, bytes.size() - at);
  std::copy_n(bytes.data() + std::min<uint64_t>(at, bytes.size()), got, out);
  return 0;
}

int Medium::write(FileId file, uint64_t at, std::string_view bytes) {
  const bool failed = fails(Call::kWrite);
  if (failed) bytes = bytes.substr(0, fault_.no_space ? bytes.size() / 2 : 0);
  bytes_written_ += bytes.size();
  soil(file, at, bytes.size());
  if (!bytes.empty()) {
    Op op;
    op.file = file;
    op.at = at;
    op.bytes = std::string(bytes);
    disk.apply(std::move(op));
  }
  if (!failed) return 0;
  return fault_.no_space ? ENOSPC : EIO;
}

int Medium::truncate(FileId file, uint64_t size) {
  if (fails(Call::kTruncate)) return EIO;
  Op op;
  op.kind = Op::Kind::kTruncate;
  op.file = file;
  op.at = size;
  disk.apply(std::move(op));
  return 0;
}

int Medium::sync(FileId file) {
  const bool failed = fails(Call::kSync);
  if (swallow_syncs && !failed) return 0;
  if (!failed) flush_blocks(file);
  Op op;
  op.kind = failed ? Op::Kind::kFailedSync : Op::Kind::kSync;
  op.file = file;
  disk.apply(std::move(op));
  return failed ? EIO : 0;
}

int Medium::sync_folder(const std::string& folder) {
  if (fails(Call::kSync)) return EIO;
  if (swallow_syncs) return 0;
  Op op;
  op.kind = Op::Kind::kSyncFolder;
  op.name = folder;
  disk.apply(std::move(op));
  return 0;
}

int Medium::rename(const std::string& from, const std::string& to) {
  if (fails(Call::kName)) return EIO;
  const auto file = disk.find(from);
  if (!file) return ENOENT;
  Op op;
  op.kind = Op::Kind::kRename;
  op.file = *file;
  op.name = from;
  op.to = to;
  disk.apply(std::move(op));
  return 0;
}

int Medium::unlink(const std::string& name) {
  if (fails(Call::kName)) return EIO;
  const auto file = disk.find(name);
  if (!file) return ENOENT;
  Op op;
  op.kind = Op::Kind::kUnlink;
  op.file = *file;
  op.name = name;
  disk.apply(std::move(op));
  return 0;
}

void Medium::note(Op::Kind kind, uint64_t ticket) {
  Op op;
  op.kind = kind;
  op.at = ticket;
  disk.apply(std::move(op));
}

void Medium::soil(FileId file, uint64_t at, uint64_t size) {
  if (size == 0) return;
  if (dirty_blocks_.size() <= file) dirty_blocks_.resize(file + 1);
  std::vector<bool>& blocks = dirty_blocks_[file];
  const uint64_t last = (at + size - 1) / kBlockBytes;
  if (blocks.size() <= last) blocks.resize(last + 1);
  for (uint64_t i = at / kBlockBytes; i <= last; ++i) blocks[i] = true;
}

void Medium::flush_blocks(FileId file) {
  if (dirty_blocks_.size() <= file) return;
  std::vector<bool>& blocks = dirty_blocks_[file];
  flash_bytes_ += kBlockBytes * static_cast<uint64_t>(std::count(blocks.begin(), blocks.end(), true));
  blocks.clear();
}

}  // namespace wb::crash
