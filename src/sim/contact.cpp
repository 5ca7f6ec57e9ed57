// What goes between a device and the hub: requests that are lost, doubled, late or slow; answers; fetched ranges.
#include "sim/fleet.h"
#include "sim/node.h"

namespace wb::sim {
namespace {

constexpr int64_t kConnectFailMs = 800;
constexpr uint32_t kKnocksAnHourMax = 600;
constexpr uint32_t kContactsAnHourMax = 600;
constexpr uint32_t kFetchesAnHourMax = 600;
constexpr uint64_t kAnswerBytes = 200;  // of a fetched range's head, roughly

}  // namespace

using Got = agent::ExchangeFailed::Got;

bool SimNode::hub_refuses_connections() const { return fleet_.away_ == Away::kRefuses; }

void SimNode::failed_exchange(const agent::ExchangeFailed& failed) {
  if (exchange_ != failed.id) return;
  exchange_ = 0;
  ++fleet_.report_.exchanges_lost;
  if (failed.retry_after_ms > 0) not_before_ns_ = fleet_.clock_.now_ns() + failed.retry_after_ms * kNsPerMs;
  step(failed);
}

// As far as the way back allows.
void SimNode::refuse(uint64_t life, uint64_t exchange, int64_t retry_after_ms, bool for_what_is_in_it) {
  if (hits(prng_, fleet_.faults_.lose_per_million)) return;
  const Error error =
      fail(Code::kInvalid, for_what_is_in_it ? "the hub answered HTTP 400" : "the hub answered HTTP 503");
  const agent::ExchangeFailed failed{exchange, error, retry_after_ms, Got::kSent, for_what_is_in_it};
  fleet_.clock_.in_ms(5 + draw_ms(prng_, fleet_.faults_.delay_max_ms), [this, life, failed] {
    if (life_ == life && link.down_open(now_ms())) failed_exchange(failed);
  });
}

// Whether the request brings a reading that is refused. Its dead letter is not.
bool SimNode::brings_unwelcome(const wire::ExchangeRequest& request) {
  std::vector<uint64_t> unwelcome;
  int records = 0;
  for (const wire::StreamUp& stream : request.streams()) {
    records += stream.records_size();
    for (const wire::RecordUp& record : stream.records())
      if (record.numbers_size() == 3 && is_unwelcome(static_cast<uint64_t>(record.numbers(0))))
        unwelcome.push_back(static_cast<uint64_t>(record.numbers(0)));
  }
  if (records == 1) refused_alone_.insert(unwelcome.begin(), unwelcome.end());
  fleet_.report_.exchanges_refused += unwelcome.empty() ? 0 : 1;
  return !unwelcome.empty();
}

void SimNode::perform(agent::SendExchange&& effect) {
  exchange_ = effect.id;
  fleet_.trace_.update(effect.request);
  const auto fails_in = [this, mine = life_, id = effect.id](int64_t ms, const char* why, Got got) {
    fleet_.clock_.in_ms(ms, [this, mine, id, why, got] {
      if (life_ == mine) failed_exchange({id, fail(Code::kUnavailable, why), 0, got});
    });
  };
  const auto request = wire::decode_exchange_request(effect.request);
  if (!request.ok()) return violate("wire", "sent what the hub refuses: " + request.error().text);
  watch_request(*request);
  if (!link.open(now_ms()) || hub_refuses_connections()) {
    count_knock();
    return fails_in(kConnectFailMs, "no route", Got::kNowhere);
  }
  count_contact();
  fails_in(effect.deadline_ms, "timed out", Got::kSent);
  if (fleet_.hub_away()) ++outage_attempts_;
  uint64_t record_bytes = 0;
  for (const wire::StreamUp& stream : request->streams())
    for (const wire::RecordUp& record : stream.records()) record_bytes += record.ByteSizeLong();
  count_budget(record_bytes);
  const Faults& faults = fleet_.faults_;
  const uint64_t copies = 1 + (hits(prng_, faults.double_per_million) ? 1 + prng_.below(2) : 0);
  for (uint64_t i = 0; i < copies; ++i) {
    int64_t delay_ms = 5 + draw_ms(prng_, faults.delay_max_ms);
    if (i > 0) delay_ms *= 1 + static_cast<int64_t>(prng_.below(10));
    delay_ms += link.up_ms(now_ms(), effect.request.size());
    if (hits(prng_, faults.lose_per_million)) continue;
    fleet_.clock_.in_ms(delay_ms, [this, mine = life_, id = effect.id, bytes = effect.request] {
      if (link.up_open(now_ms())) fleet_.at_hub(*this, mine, id, bytes);
    });
  }
}

// L2: who finds no way to the hub tries ever more rarely. The pause grows to two minutes, half of that on average.
void SimNode::count_knock() {
  decided("L2");
  if (knocks_.count(now_ms()) > kKnocksAnHourMax)
    violate("L2", "tried " + std::to_string(kKnocksAnHourMax) +
                      " times within an hour to reach a hub to which there is no way");
}

// L2: whatever fails on either side, a node has no reason to call without end. A start is a reason for some calls: what
// is to be said, what was missed. boot() forgives those.
void SimNode::count_contact() {
  decided("L2");
  if (contacts_.count(now_ms()) == kContactsAnHourMax + 1)
    violate("L2", "called the hub " + std::to_string(kContactsAnHourMax) + " times within an hour");
}

void SimNode::perform(agent::CancelExchange&& effect) {
  if (exchange_ == effect.id) exchange_ = 0;
}

// U4: what the hub says about what should run changes nothing about what runs. Which assignments were delivered is
// noted for F2 (watch.cpp).
void SimNode::deliver(uint64_t exchange, const Bytes& response) {
  exchange_ = 0;
  const deploy::View before = agent_->view().deploy;
  const auto decoded = wire::decode_exchange_response(response);
  if (decoded.ok()) named_.emplace(decoded->desired().generation(), decoded->desired().digest());
  step(agent::ExchangeDone{exchange, response});
  if (!agent_ || !decoded.ok()) return;
  const deploy::View after = agent_->view().deploy;
  decided("U4");
  if (after.running_digest != before.running_digest)
    violate("U4", "an answer of the hub changed what runs to '" + after.running_digest.substr(0, 12) + "'");
}

// ---- releases

// Cut short, too long, damaged, or bytes of another release.
Bytes SimNode::spoil(Bytes bytes, uint64_t offset) {
  ++fleet_.report_.bad_ranges;
  if (bytes.empty()) return bytes;
  switch (prng_.below(4)) {
    case 0: bytes.resize(prng_.below(bytes.size())); return bytes;
    case 1: return bytes + "and more";
    case 2: bytes[prng_.below(bytes.size())] ^= 0x40; return bytes;
    default: break;
  }
  for (const auto& [digest, size] : fleet_.shipped_) {
    auto other = fleet_.hub_->read_artifact(fleet_.rows_, digest, offset, bytes.size());
    if (other.ok() && other->bytes != bytes) return std::move(other->bytes);
  }
  return bytes;
}

// L2: neither a network nor a disk that fails has a release fetched without end.
void SimNode::count_fetch() {
  decided("L2");
  if (fetches_.count(now_ms()) == kFetchesAnHourMax + 1)
    violate("L2", "asked for ranges of a release " + std::to_string(kFetchesAnHourMax) + " times within an hour");
}

void SimNode::perform(deploy::FetchRange&& effect) {
  count_fetch();
  const auto failed_in = [&](int64_t ms, const Error& error, int64_t retry_after_ms) {
    later(ms, agent::DeployEvent{deploy::FetchFailed{effect.digest, effect.offset, error, retry_after_ms}});
  };
  const Faults& faults = fleet_.faults_;
  if (!link.open(now_ms()) || hub_refuses_connections())
    return failed_in(kConnectFailMs, fail(Code::kUnavailable, "no route"), 0);
  if (fleet_.away_ == Away::kBusy || fleet_.away_ == Away::kBusyLater)
    return failed_in(50, fail(Code::kUnavailable, "the hub answered HTTP 503"), 0);
  if (revoked) return failed_in(50, fail(Code::kDenied, "the hub answered HTTP 403"), 0);
  const bool both_ways = link.up_open(now_ms()) && link.down_open(now_ms());
  if (hits(prng_, faults.lose_per_million) || fleet_.hub_away() || !both_ways)
    return failed_in(kConnectFailMs, fail(Code::kUnavailable, "no answer"), 0);
  auto range = fleet_.hub_->read_artifact(fleet_.rows_, effect.digest, effect.offset, effect.length);
  if (!range.ok()) return failed_in(50, range.error(), 0);
  Bytes bytes = std::move(range->bytes);
  if (hits(prng_, faults.bad_range_per_million)) bytes = spoil(std::move(bytes), effect.offset);
  const int64_t delay_ms =
      50 + draw_ms(prng_, faults.delay_max_ms) + link.down_ms(now_ms(), bytes.size() + kAnswerBytes);
  later(delay_ms, agent::DeployEvent{deploy::Fetched{effect.digest, effect.offset, std::move(bytes)}});
}

}  // namespace wb::sim
