// What happens to the node itself (NodeEvent) goes up as records of the critical lane: sent before all others, evicted
// last (Q8), and taken by the store when ordinary records are refused (R1). The report of each contact says how things
// stand; these say what happened, also long ago and more than once, in order. A crash between an event and the decision
// that it tells of makes the node decide, and tell, again.
#include "base/prng.h"
#include "base/utf8.h"
#include "edge/agent/core.h"

namespace wb {
namespace {

constexpr size_t kEventTextBytesMax = 1'024;

}  // namespace

// Only what is rare by construction may be told: each release is refused once, safe mode is tried again at long
// intervals, and a store is found damaged once a start.
void Agent::Core::tell(NodeEvent event, const std::string& digest, const std::string& name, const std::string& text) {
  if (!config_.has_hub) return;
  wire::RecordUp record;
  record.set_release(digest);
  record.set_event_time_ms(now_.unix_ms);
  record.set_taken_unix_ms(now_.unix_ms);
  record.set_rule(static_cast<uint32_t>(Rule::kEvent));
  record.set_inclusion_probability(1);
  record.set_event(static_cast<uint32_t>(event));
  record.add_texts(valid_text(name, limits::kLabelBytesMax));
  record.set_reason(valid_text(text, kEventTextBytesMax));
  outbox::Offer offer;
  offer.lane = Lane::kCritical;
  offer.rule = Rule::kEvent;
  offer.taken_unix_ms = now_.unix_ms;
  offer.record = wire::encode(record);
  offer.draw = unit_interval(keyed_hash(seed_, offer.record));
  std::vector<StoreOp> ops;
  std::vector<outbox::Offer> offers;
  offers.push_back(std::move(offer));
  (void)outbox_.offer(now_.mono, std::move(offers), ops);
  store(std::move(ops));
  event_waits_ = true;
}

}  // namespace wb
