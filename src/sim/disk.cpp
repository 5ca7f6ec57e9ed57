// The disk of a device: a store that keeps a prefix of what was submitted, slot files whose unsynced bytes are
// anybody's guess after a power cut, and the faults of media. What a fault takes away is noted, so that the checkers
// excuse exactly that and nothing else.
#include "sim/fleet.h"
#include "sim/node.h"

namespace wb::sim {
namespace {

constexpr uint64_t kRotRowsMax = 4;
constexpr int64_t kUnsyncedFolderMs = 1'000;
constexpr uint64_t kRoomBytes = 16'384;    // of a file on a full disk, that it can fill: free pages, half-empty ones
constexpr int64_t kSlotSyncMaxMs = 1'000;  // of a slow card
constexpr int64_t kRotReadPerRot = 100;    // a boot finds damage so many times as often as a read
constexpr int64_t kOneTroubleMs = 30 * kMinuteMs;  // failures closer together than this are one

}  // namespace

// ---- the store

// A file that shrank inside keeps its size: up to its peak it can take rows on a full disk too.
void SimNode::apply(const std::vector<StoreOp>& ops) {
  for (const StoreOp& op : ops) {
    const auto key = std::make_pair(static_cast<uint8_t>(op.table), op.key);
    const auto found = rows_.find(key);
    if (found != rows_.end()) disk_bytes_ -= op.key.size() + found->second.size();
    if (op.erase) {
      if (found != rows_.end()) rows_.erase(found);
      continue;
    }
    disk_bytes_ += op.key.size() + op.value.size();
    if (found != rows_.end())
      found->second = op.value;
    else
      rows_.emplace(key, op.value);
  }
  peak_bytes_ = std::max(peak_bytes_, disk_bytes_);
}

// How much larger the store would be with all that is queued.
int64_t SimNode::growth_of_queued() const {
  std::map<std::pair<uint8_t, std::string_view>, int64_t> sizes;  // after
  int64_t growth = 0;
  for (const agent::Store& store : queued_) {
    for (const StoreOp& op : store.ops) {
      const auto [size, first] = sizes.try_emplace({static_cast<uint8_t>(op.table), op.key}, 0);
      if (first) {
        const auto found = rows_.find({static_cast<uint8_t>(op.table), op.key});
        if (found != rows_.end()) size->second = static_cast<int64_t>(op.key.size() + found->second.size());
      }
      const int64_t after = op.erase ? 0 : static_cast<int64_t>(op.key.size() + op.value.size());
      growth += after - size->second;
      size->second = after;
    }
  }
  return growth;
}

void SimNode::perform(agent::Store&& effect) {
  for (const StoreOp& op : effect.ops) fleet_.trace_.update(op.key);
  if (giving_ != 0)
    if (const auto found = waiting_.find(giving_); found != waiting_.end()) found->second.ticket = effect.ticket;
  if (effect.ticket != expected_ticket_) return;  // refused: an earlier one has to be submitted again first
  ++expected_ticket_;
  queued_.push_back(std::move(effect));
  if (commit_scheduled_) return;
  commit_scheduled_ = true;
  fleet_.clock_.in_ms(1 + draw_ms(prng_, 39), [this, mine = life_] {
    if (life_ == mine) commit();
  });
}

std::optional<Error> SimNode::refusal_of_commit(bool& durable_all_the_same) {
  if (now_ms() < broken_until_ms_) return fail(Code::kInternal, "simulated: I/O error");
  if (now_ms() < full_until_ms_) {
    const int64_t growth = growth_of_queued();
    if (growth > 0 && disk_bytes_ + static_cast<uint64_t>(growth) > full_bytes_)
      return fail(Code::kFull, "simulated: no space left");
  }
  if (!hits(prng_, fleet_.faults_.store_fail_per_million)) return std::nullopt;
  durable_all_the_same = prng_.below(3) == 0;
  return fail(prng_.chance(500'000) ? Code::kFull : Code::kInternal, "simulated");
}

void SimNode::commit() {
  commit_scheduled_ = false;
  if (queued_.empty()) return;
  const uint64_t first = queued_.front().ticket;
  const uint64_t last = queued_.back().ticket;
  bool durable = false;
  if (const auto refusal = refusal_of_commit(durable)) {
    ++fleet_.report_.store_failures;
    const int64_t now_ns = fleet_.clock_.now_ns();
    if (now_ns - last_store_trouble_ns_ > kOneTroubleMs * kNsPerMs) store_trouble_since_ns_ = now_ns;
    last_store_trouble_ns_ = now_ns;
    if (durable)
      for (const agent::Store& store : queued_) apply(store.ops);
    expected_ticket_ = first;
    queued_.clear();
    return step(agent::StoreFailed{first, *refusal});
  }
  for (const agent::Store& store : queued_) apply(store.ops);
  queued_.clear();
  durable_ticket_ = last;
  step(agent::Stored{last});
}

void SimNode::perform(agent::LoadRows&& effect) {
  agent::RowsLoaded loaded;
  loaded.id = effect.id;
  if (!effect.keys.empty() && hits(prng_, fleet_.faults_.rot_per_million / kRotReadPerRot))
    rot_record(effect.keys[prng_.below(effect.keys.size())]);
  for (const std::string& key : effect.keys) {
    const auto found = rows_.find({static_cast<uint8_t>(NodeTable::kRecords), key});
    if (found != rows_.end())
      loaded.rows.push_back({NodeTable::kRecords, key, found->second, static_cast<uint32_t>(found->second.size())});
  }
  later(1, std::move(loaded));
}

void SimNode::fill_disk(int64_t for_ms) {
  full_since_ms_ = now_ms();
  full_until_ms_ = now_ms() + for_ms;
  full_bytes_ = std::max(peak_bytes_, disk_bytes_ + kRoomBytes);
}

// ---- slots

// Mostly at once, now and then long enough for something to happen meanwhile.
int64_t SimNode::slot_sync_ms() { return prng_.chance(100'000) ? draw_ms(prng_, kSlotSyncMaxMs) : 2; }

bool SimNode::slot_fails(const std::string& digest) {
  const bool full = now_ms() < full_until_ms_;
  if (!full && now_ms() >= broken_until_ms_ && !hits(prng_, fleet_.faults_.slot_fail_per_million)) return false;
  ++fleet_.report_.slot_failures;
  later(2, agent::DeployEvent{
               deploy::SlotFailed{digest, fail(full ? Code::kFull : Code::kInternal, "simulated: the file")}});
  return true;
}

void SimNode::perform(deploy::WriteSlot&& effect) {
  if (slot_fails(effect.digest)) return;
  Slot& slot = slots_[effect.digest];
  if (effect.offset == 0) slot = Slot{};
  if (slot.bytes.size() != effect.offset)
    return later(
        1, agent::DeployEvent{deploy::SlotFailed{effect.digest, fail(Code::kInvalid, "offset is not the length")}});
  slot.bytes += effect.bytes;
  // U7: no more is written than the release was signed to have.
  decided("U7");
  if (const auto known = fleet_.shipped_.find(effect.digest);
      known == fleet_.shipped_.end() || slot.bytes.size() > known->second)
    violate("U7", "writes " + std::to_string(slot.bytes.size()) + " bytes of " + effect.digest.substr(0, 12));
  fleet_.clock_.in_ms(slot_sync_ms(), [this, mine = life_, digest = effect.digest, size = slot.bytes.size()] {
    if (life_ != mine) return;
    if (const auto found = slots_.find(digest); found != slots_.end()) found->second.synced_bytes = size;
    step(agent::DeployEvent{deploy::SlotWritten{digest, size}});
  });
}

void SimNode::perform(deploy::SealSlot&& effect) {
  if (slot_fails(effect.digest)) return;
  slots_[effect.digest].sealing = true;
  fleet_.clock_.in_ms(slot_sync_ms(), [this, mine = life_, digest = effect.digest] {
    if (life_ != mine) return;
    if (const auto found = slots_.find(digest); found != slots_.end()) found->second.sealed = true;
    step(agent::DeployEvent{deploy::SlotSealed{digest}});
  });
}

void SimNode::perform(deploy::ReadSlot&& effect) {
  const auto found = slots_.find(effect.digest);
  if (found == slots_.end() || !found->second.sealed)
    return later(1, agent::DeployEvent{deploy::SlotFailed{effect.digest, fail(Code::kNotFound, "no such slot")}});
  if (hits(prng_, fleet_.faults_.slot_fail_per_million)) {
    ++fleet_.report_.slot_failures;
    return later(1, agent::DeployEvent{deploy::SlotFailed{effect.digest, fail(Code::kInternal, "simulated: read")}});
  }
  later(1, agent::DeployEvent{deploy::SlotRead{effect.digest, found->second.bytes}});
}

void SimNode::perform(deploy::RemoveSlot&& effect) {
  const auto found = slots_.find(effect.digest);
  if (found == slots_.end()) return;
  removed_[effect.digest] = {now_ms(), std::move(found->second)};
  slots_.erase(found);
}

// The bytes since the last sync end old, new, torn or zeroed; a rename or a removal may not have reached the folder.
void SimNode::lose_power_over_slots() {
  for (auto& [digest, slot] : slots_) {
    const size_t synced = std::min(slot.synced_bytes, slot.bytes.size());
    const size_t unsynced = slot.bytes.size() - synced;
    if (unsynced > 0) {
      switch (prng_.below(4)) {
        case 0: slot.bytes.resize(synced); break;
        case 1: break;
        case 2: slot.bytes.resize(synced + prng_.below(unsynced)); break;
        default: std::fill(slot.bytes.begin() + static_cast<std::ptrdiff_t>(synced), slot.bytes.end(), '\0');
      }
    }
    slot.synced_bytes = slot.bytes.size();
    if (slot.sealing && !slot.sealed) slot.sealed = prng_.chance(500'000);
    slot.sealing = false;
  }
  for (auto& [digest, removed] : removed_)
    if (now_ms() - removed.first <= kUnsyncedFolderMs && prng_.chance(500'000)) slots_.emplace(digest, removed.second);
  removed_.clear();
}

// ---- media

void SimNode::take_image() { image_ = Image{rows_, disk_bytes_, slots_, accepted_}; }

// What was accepted since the image was taken is gone unless the hub has it; what is in the image is still owed.
void SimNode::restore_image() {
  rows_ = image_->rows;
  disk_bytes_ = image_->bytes;
  slots_ = image_->slots;
  accepted_ = image_->accepted_hot;
  forget_state();
  ++fleet_.report_.images_restored;
}

// From here on it may contradict what it said before.
void SimNode::forget_state() {
  forgot_ = true;
  generation_seen_ = 0;
  quarantined_seen_ = 0;
  refused_for_good_.clear();
  has_run_ = false;
  running_seen_.clear();
  last_order_ = {0, -1};
  killed_by_.clear();
}

// A record whose row turns out to be damaged when it is to be sent.
void SimNode::rot_record(const std::string& key) {
  const auto row = rows_.find({static_cast<uint8_t>(NodeTable::kRecords), key});
  if (row == rows_.end()) return;
  rotted_records_.push_back(key);
  disk_bytes_ -= key.size() + row->second.size();
  rows_.erase(row);
}

// The store finds damaged rows by their checksums and sets them aside: the agent meets them as missing. A damaged slot
// it meets as it is.
uint64_t SimNode::rot() {
  ++fleet_.report_.rots;
  if (!slots_.empty() && prng_.chance(250'000)) {
    auto slot = slots_.begin();
    std::advance(slot, static_cast<std::ptrdiff_t>(prng_.below(slots_.size())));
    Bytes& bytes = slot->second.bytes;
    if (bytes.empty()) return 0;
    const uint64_t bit = prng_.below(8);
    bytes[prng_.below(bytes.size())] ^= static_cast<char>(1U << bit);
    return 0;
  }
  const uint64_t count = 1 + prng_.below(kRotRowsMax);
  uint64_t damaged = 0;
  for (; damaged < count && !rows_.empty(); ++damaged) {
    auto row = rows_.begin();
    std::advance(row, static_cast<std::ptrdiff_t>(prng_.below(rows_.size())));
    if (row->first.first == static_cast<uint8_t>(NodeTable::kRecords))
      rotted_records_.push_back(row->first.second);
    else
      forget_state();
    disk_bytes_ -= row->first.second.size() + row->second.size();
    rows_.erase(row);
  }
  return damaged;
}

}  // namespace wb::sim
