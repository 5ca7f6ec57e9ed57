// A record that the hub refuses must not hold up all that stand behind it. The hub checks what build_streams() checks,
// but it may be of another version, or stand behind a proxy with limits of its own; so the record is found by trying.
//
// An exchange is refused: one of its records may be at fault. Half of them go next. If they are taken, the fault is in
// the other half; if not, in this one; until one record is alone, and accused. Then a probe goes in its place: the same
// exchange without it. If the probe is refused, it is not the record, and the search ends. Its answer says how far the
// hub has this lane, for the record may have arrived before it became unwelcome. If it did not, it is sent once more,
// alone; refused again, it is declared lost (Q4), and goes up as a dead letter with the hub's reason. It is not counted
// as evicted: those that survive an eviction stand for what went (B4), but nothing stands for a record that was refused
// for what is in it.
//
// A hub that refuses everything, or did for a while, thus costs no record: a refusal, an answer and a refusal must come
// in this order. The search is in memory only; a crash begins it anew.
#include <algorithm>

#include "base/planted.h"
#include "edge/agent/core.h"

namespace wb {
namespace {

uint32_t records_of(const outbox::Plan& plan) {
  size_t count = 0;
  for (const outbox::LanePlan& lane : plan.lanes) count += lane.records.size();
  return static_cast<uint32_t>(count);
}

}  // namespace

// What is said of the accused record's lane without it: nothing, so that the hub says what it has.
sync::StreamPartView Agent::Core::probe() const {
  const Lane lane = search_.accused->lane;
  const uint64_t acked_seq = outbox_.view(now_.mono).lanes[static_cast<size_t>(lane) - 1].acked_seq;
  return {lane, acked_seq, acked_seq, 0, 0, {}};
}

void Agent::Core::note_refused(const Outgoing& sent, const std::string& text) {
  const uint32_t count = records_of(sent.plan);
  if (count == 0) {  // it is not the records
    search_ = {};
    return;
  }
  search_.records_at_once = std::max<uint32_t>(count / 2, 1);
  search_.suspects_count = count;
  if (count > 1) return;
  const auto part = std::find_if(sent.plan.lanes.begin(), sent.plan.lanes.end(),
                                 [](const outbox::LanePlan& one) { return !one.records.empty(); });
  const uint64_t seq = part->records.front().seq;
  const bool is_accused = search_.accused && search_.accused->lane == part->lane && search_.accused->seq == seq;
  if ((is_accused && search_.accused->probed) || planted(Bug::kRefusedUntried))
    condemn(part->lane, seq, sent.only_record, text);
  else
    search_.accused = Accused{part->lane, seq, false};
}

void Agent::Core::note_taken(const Outgoing& sent, const wire::ExchangeResponse& response) {
  if (response.verdict() == wire::STREAM_NEW_INCARNATION) {  // the hub has nothing of it: all goes again
    search_ = {};
    return;
  }
  const uint32_t count = response.drained() ? 0 : records_of(sent.plan);
  if (search_.accused) {
    Accused& accused = *search_.accused;
    const bool acked = outbox_.view(now_.mono).lanes[static_cast<size_t>(accused.lane) - 1].acked_seq >= accused.seq;
    const auto& acks = response.acks();
    accused.probed |= sent.probes && std::any_of(acks.begin(), acks.end(), [&](const wire::StreamAck& ack) {
                        return ack.lane() == static_cast<uint32_t>(accused.lane);
                      });
    if (acked) search_.accused.reset();
  } else if (count < search_.suspects_count) {
    search_.suspects_count -= count;
    search_.records_at_once = std::max<uint32_t>(search_.suspects_count / 2, 1);
  } else if (count > 0) {  // none was at fault, or no longer: it may be how many they were
    search_.suspects_count = 0;
    search_.records_at_once = std::min(search_.records_at_once * 2, kRecordsAtOnceMax);
  }
}

void Agent::Core::condemn(Lane lane, uint64_t seq, const std::string& record, const std::string& text) {
  search_.accused.reset();
  search_.suspects_count = 0;
  std::vector<StoreOp> ops;
  outbox_.lost(lane, seq, ops);
  if (ops.empty()) return;  // it could not be read back, and was declared lost for that
  counters_.set_refused_by_hub(counters_.refused_by_hub() + 1);
  counters_dirty_ = true;
  const std::string what =
      "the hub refuses " + std::string(lane_name(lane)) + " record " + std::to_string(seq) + ": " + text;
  log(agent::Log::Level::kError, what + "; it is declared lost");
  if (lane != Lane::kDeadLetter && serving() != nullptr) {  // a letter that is refused as well is only counted
    if (auto letter = serving()->dead_letter(record, what, now_.unix_ms)) {
      counters_.set_dead_letters(counters_.dead_letters() + 1);
      std::vector<outbox::Offer> offers;
      offers.push_back(std::move(*letter));
      (void)outbox_.offer(now_.mono, std::move(offers), ops);
    }
  }
  store(std::move(ops));
  event_waits_ = true;
}

}  // namespace wb
