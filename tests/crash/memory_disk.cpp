#include "tests/crash/memory_disk.h"

#include <algorithm>

#include "base/checksum.h"
#include "base/result.h"

namespace wb::crash {
namespace {

std::string_view folder_of(std::string_view name) { return name.substr(0, name.rfind('/')); }

bool is_name_change(const Op& op) {
  return op.kind == Op::Kind::kLink || op.kind == Op::Kind::kRename || op.kind == Op::Kind::kUnlink;
}

enum class Fate : uint8_t { kLost, kArrived, kTorn, kZeroed };

class Fates {
 public:
  explicit Fates(const Cut& cut) : cut_(cut), prng_(cut.seed), total_(cut.lost + cut.arrived + cut.torn + cut.zeroed) {}
  Fate draw() {
    const uint64_t ticket = prng_.below(total_);
    Fate fate = Fate::kZeroed;
    if (ticket < cut_.lost) {
      fate = Fate::kLost;
    } else if (ticket < cut_.lost + cut_.arrived) {
      fate = Fate::kArrived;
    } else if (ticket < cut_.lost + cut_.arrived + cut_.torn) {
      fate = Fate::kTorn;
    }
    hash_.update(static_cast<uint64_t>(fate));
    return fate;
  }
  uint64_t below(uint64_t bound) {
    const uint64_t value = prng_.below(bound);
    hash_.update(value);
    return value;
  }
  uint64_t hash() const { return hash_.value(); }

 private:
  const Cut& cut_;
  Prng prng_;
  uint64_t total_;
  Fnv64 hash_;
};

// One unsynced write, sector by sector.
void arrive(std::string& image, const Op& op, uint32_t sector, Fates& fates) {
  const auto reach = [&image](uint64_t size) {
    if (image.size() < size) image.resize(size, '\0');
  };
  uint64_t at = op.at;
  const uint64_t end = op.at + op.bytes.size();
  while (at < end) {
    const uint64_t next = std::min(end, (at / sector + 1) * sector);
    const char* piece = op.bytes.data() + (at - op.at);
    uint64_t size = next - at;
    const Fate fate = fates.draw();
    if (fate == Fate::kTorn) size = fates.below(size);
    if (fate == Fate::kArrived || fate == Fate::kTorn) {
      reach(at + size);
      std::copy_n(piece, size, image.begin() + static_cast<std::ptrdiff_t>(at));
    } else if (fate == Fate::kZeroed) {
      reach(next);
      const uint64_t from = at / sector * sector, to = std::min<uint64_t>(image.size(), from + sector);
      std::fill(image.begin() + static_cast<std::ptrdiff_t>(from), image.begin() + static_cast<std::ptrdiff_t>(to),
                '\0');
    }
    at = next;
  }
}

constexpr uint64_t kPageBytes = 4096;

// A write after a failed sync dirties whole pages of the cache again.
std::shared_ptr<const Op> whole_pages(const std::string& now, const std::shared_ptr<const Op>& op) {
  if (op->kind != Op::Kind::kWrite) return op;
  auto wide = std::make_shared<Op>(*op);
  wide->at = op->at / kPageBytes * kPageBytes;
  wide->bytes = now.substr(wide->at, (op->at + op->bytes.size() + kPageBytes - 1) / kPageBytes * kPageBytes - wide->at);
  return wide;
}

}  // namespace

std::string& MemoryDisk::own(Content& content) {
  if (content.use_count() > 1) content = std::make_shared<std::string>(*content);
  return *content;
}

void MemoryDisk::change(Content& content, const Op& op) {
  std::string& bytes = own(content);
  if (op.kind == Op::Kind::kTruncate) {
    bytes.resize(op.at, '\0');
  } else {
    if (bytes.size() < op.at + op.bytes.size()) bytes.resize(op.at + op.bytes.size(), '\0');
    std::copy(op.bytes.begin(), op.bytes.end(), bytes.begin() + static_cast<std::ptrdiff_t>(op.at));
  }
}

void MemoryDisk::change(Names& names, const Op& op) {
  if (op.kind == Op::Kind::kLink) {
    names[op.name] = op.file;
  } else if (op.kind == Op::Kind::kUnlink) {
    names.erase(op.name);
  } else if (const auto from = names.find(op.name); from != names.end()) {
    const FileId file = from->second;
    names.erase(from);
    names[op.to] = file;
  }
}

std::optional<FileId> MemoryDisk::find(std::string_view name) const {
  const auto found = names_.find(name);
  if (found == names_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::string> MemoryDisk::names_in(std::string_view folder) const {
  std::vector<std::string> names;
  for (const auto& [name, file] : names_)
    if (folder_of(name) == folder) names.push_back(name.substr(folder.size() + 1));
  return names;
}

// A folder is there as soon as something could be in it: making one is not what is tested.
bool MemoryDisk::is_folder(std::string_view path) const { return !names_.contains(path); }

uint64_t MemoryDisk::bytes_total() const {
  uint64_t sum = 0;
  for (const auto& [name, file] : names_) sum += files_[file].now->size();
  return sum;
}

uint64_t MemoryDisk::memory_bytes() const {
  uint64_t sum = 0;
  for (const File& file : files_) sum += file.now->capacity();
  return sum;
}

void MemoryDisk::apply(Op op) { apply(std::make_shared<const Op>(std::move(op))); }

void MemoryDisk::apply(const std::shared_ptr<const Op>& op) {
  if (keep_log_) log_.push_back(op);
  if (is_name_change(*op)) {
    if (op->kind == Op::Kind::kLink) {
      while (files_.size() <= op->file) {
        auto empty = std::make_shared<std::string>();
        files_.push_back(File{empty, empty, {}, false});
      }
    }
    change(names_, *op);
    if (keep_log_) unsynced_names_.push_back(op);
  } else if (op->kind == Op::Kind::kSyncFolder) {
    // Names of one folder; all tests have few folders, and a rename stays within one.
    std::erase_if(unsynced_names_, [&](const std::shared_ptr<const Op>& one) {
      if (folder_of(one->name) != op->name) return false;
      change(durable_names_, *one);
      return true;
    });
  } else if (op->kind != Op::Kind::kAsked && op->kind != Op::Kind::kTold) {
    apply_to_files(op);
  }
}

void MemoryDisk::apply_to_files(const std::shared_ptr<const Op>& op) {
  File& file = files_[op->file];
  if (op->kind == Op::Kind::kSync) {
    for (const auto& one : file.unsynced) change(file.durable, *one);
    file.unsynced.clear();
  } else if (op->kind == Op::Kind::kFailedSync) {
    if (std::erase_if(file.unsynced, [](const auto& one) { return one->kind == Op::Kind::kWrite; }) > 0)
      file.forgotten = true;
  } else {
    if (!keep_log_) file.durable.reset();  // nobody will ask for it
    change(file.now, *op);
    if (keep_log_) file.unsynced.push_back(file.forgotten ? whole_pages(*file.now, op) : op);
  }
}

void MemoryDisk::settle() {
  for (File& file : files_) {
    file.durable = file.now;
    file.unsynced.clear();
    file.forgotten = false;
  }
  durable_names_ = names_;
  unsynced_names_.clear();
  log_.clear();
}

bool MemoryDisk::anything_unsynced() const {
  return !unsynced_names_.empty() ||
         std::any_of(files_.begin(), files_.end(), [](const File& file) { return !file.unsynced.empty(); });
}

MemoryDisk MemoryDisk::after_power_cut(const Cut& cut, uint64_t* fates_out) const {
  Fates fates(cut);
  MemoryDisk found;
  const bool none = cut.arrived + cut.torn + cut.zeroed == 0;
  const bool all = cut.lost + cut.torn + cut.zeroed == 0;
  for (const File& file : files_) {
    File after{file.durable, nullptr, {}, false};
    if (all && !file.forgotten) {
      after.durable = file.now;
    } else if (!none) {
      for (const auto& op : file.unsynced) {
        if (op->kind == Op::Kind::kWrite) {
          arrive(own(after.durable), *op, cut.sector_bytes, fates);
        } else if (fates.below(2) == 1 || all) {
          change(after.durable, *op);
        }
      }
    }
    after.now = after.durable;
    found.files_.push_back(std::move(after));
  }
  Names names = durable_names_;
  const size_t count = unsynced_names_.size();
  const size_t prefix = cut.names == 2 ? fates.below(count + 1) : cut.names == 0 ? 0 : count;
  for (size_t i = 0; i < prefix; ++i)
    if (cut.names != 3 || fates.below(2) == 1) change(names, *unsynced_names_[i]);
  found.names_ = names;
  found.durable_names_ = std::move(names);
  if (fates_out != nullptr) *fates_out = fates.hash();
  return found;
}

MemoryDisk MemoryDisk::copy() const {
  MemoryDisk made;
  made.files_ = files_;
  made.names_ = names_;
  made.durable_names_ = durable_names_;
  made.unsynced_names_ = unsynced_names_;
  return made;
}

void MemoryDisk::set_bytes(std::string_view name, std::string bytes) {
  const auto file = find(name);
  WB_ASSERT(file.has_value());
  files_[*file].now = std::make_shared<std::string>(std::move(bytes));
  files_[*file].durable = files_[*file].now;
}

}  // namespace wb::crash
