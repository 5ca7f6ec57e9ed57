// Faults of media: rows and slots that rot, disks and hubs that come back as they were some time ago. What a fault
// takes away is noted, so that the checkers excuse exactly that and nothing else.
#include <algorithm>

#include "hub/ingest/ingest.h"
#include "sim/fleet.h"

namespace wb::sim {
namespace {

constexpr int64_t kBackUpEveryMs = 6 * 3'600'000;
constexpr uint64_t kRotRowsMax = 4;

}  // namespace

void SimNode::take_image() { image_ = Image{rows_, slots_, accepted_hot_}; }

// What was accepted since the image was taken is gone unless the hub has it; what is in the image is still owed.
void SimNode::restore_image() {
  rows_ = image_->rows;
  slots_ = image_->slots;
  accepted_hot_ = image_->accepted_hot;
  forgot_ = true;
  generation_seen_ = 0;
  quarantined_seen_ = 0;
  has_run_ = false;
  ++fleet_.report_.images_restored;
}

// The store finds damaged rows by their checksums and sets them aside: the agent meets them as missing. A damaged slot
// it meets as it is.
uint64_t SimNode::rot() {
  ++fleet_.report_.rots;
  if (!slots_.empty() && prng_.chance(250'000)) {
    auto slot = slots_.begin();
    std::advance(slot, static_cast<std::ptrdiff_t>(prng_.below(slots_.size())));
    Bytes& bytes = slot->second.bytes;
    if (!bytes.empty()) bytes[prng_.below(bytes.size())] ^= 0x20;
    return 0;
  }
  const uint64_t count = 1 + prng_.below(kRotRowsMax);
  uint64_t damaged = 0;
  for (; damaged < count && !rows_.empty(); ++damaged) {
    auto row = rows_.begin();
    std::advance(row, static_cast<std::ptrdiff_t>(prng_.below(rows_.size())));
    if (row->first.first == static_cast<uint8_t>(NodeTable::kRecords)) {
      ++rotted_records_;
    } else {
      forgot_ = true;
      generation_seen_ = 0;
      quarantined_seen_ = 0;
      has_run_ = false;
    }
    rows_.erase(row);
  }
  return damaged;
}

// F2: an assignment older than the one the node has accepted changes nothing.
void SimNode::deliver(uint64_t exchange, const Bytes& response) {
  exchange_ = 0;
  const deploy::View before = agent_->view().deploy;
  const auto decoded = wire::decode_exchange_response(response);
  step(agent::ExchangeDone{exchange, response});
  if (!agent_ || !decoded.ok() || decoded->desired().generation() >= before.desired_generation) return;
  if (agent_->view().deploy.desired_digest != before.desired_digest)
    fleet_.violate("F2", id_ + " took generation " + std::to_string(decoded->desired().generation()) + " after " +
                             std::to_string(before.desired_generation));
}

void Fleet::back_up_hub() {
  if (!healing_) backup_ = Backup{rows_.snapshot(), orders_.size(), rollouts_.size()};
  clock_.in_ms(kBackUpEveryMs, [this] { back_up_hub(); });
}

// The hub comes back as it was at its last backup, and the operator does again what it has forgotten.
void Fleet::restore_hub() {
  if (!backup_) return;
  ++report_.hub_restores;
  std::map<std::string, std::map<uint64_t, uint64_t>> had;
  for (const auto& node : nodes_) had[node->id()] = readings_at_hub(node->id(), false);
  rows_.restore(backup_->rows);
  for (const auto& node : nodes_) {
    const auto has = readings_at_hub(node->id(), false);
    for (const auto& [id, count] : had[node->id()])
      if (!has.contains(id)) node->lost_by_hub_.insert(id);
    node->last_at_hub_ = 0;
  }
  restart_hub();
  rollouts_.resize(std::min(rollouts_.size(), backup_->rollouts));
  const std::vector<Order> again(orders_.begin() + static_cast<std::ptrdiff_t>(backup_->orders), orders_.end());
  orders_.resize(backup_->orders);
  for (const Order& order : again) ship(order.kind, order.version);
}

}  // namespace wb::sim
