#include "edge/sync/sync.h"

#include <algorithm>
#include <utility>

#include "base/planted.h"

namespace wb::sync {
namespace {

constexpr uint32_t kContactMinMs = 500;  // whatever a hub grants
constexpr uint32_t kContactMaxMs = 24U * 3'600'000U;
constexpr uint32_t kJitterMaxMs = 3'600'000;
constexpr uint32_t kRetryAfterMaxMs = 3'600'000;  // a hub cannot send a node away for longer
constexpr uint32_t kBurstSeconds = 10;            // of the drain rate that may be saved up
constexpr uint32_t kAllowancePerContact = 1;      // fifths of a retry: at most 1.2 attempts per regular contact (L2)
constexpr uint32_t kAllowancePerRetry = 5;
constexpr uint32_t kAllowanceMax = 15;
constexpr uint32_t kGapMs = 50;           // between an answer and the next request of a backlog
constexpr uint32_t kHeldMinMs = 2'000;    // an answer that comes sooner was not held by the hub
constexpr uint32_t kUnheldMax = 21;       // kGapMs doubled so often is longer than any interval
constexpr uint32_t kFlowingMs = 10'000;   // records were sent this recently: long-polls stay short
constexpr uint32_t kUrgentGapMs = 500;    // between contacts for urgent reasons
constexpr uint32_t kParkSlackMs = 1'000;  // a long-poll that ends this soon is not cancelled for ordinary records
constexpr uint64_t kWorthSendingBytes = 16U << 10;  // of a backlog, when tokens are scarce
constexpr uint32_t kRecordsFailedMax = 3;  // requests with records in a row; then control goes alone for an interval
constexpr uint64_t kBurstBytesMin = limits::kRecordBytesMax + 8'192;  // at any rate the largest record goes some time
constexpr uint64_t kSlowestBytesPerS = 3'000;  // half of 50 kbit/s: a slower link is taken for a dead one
constexpr uint64_t kRequestBytesMax = limits::kExchangeRequestBytesMax / 2;

Instant later(Instant a, Instant b) { return a < b ? b : a; }

uint32_t on_the_way_ms(uint64_t bytes) { return static_cast<uint32_t>(bytes * 1'000 / kSlowestBytesPerS); }

}  // namespace

Sync::Sync(const Config& config, Instant now, Prng prng)
    : config_(config),
      prng_(prng),
      regular_at_(now),
      not_before_(now),
      records_not_before_(now),
      interval_ms_(std::clamp(config.contact_interval_ms, kContactMinMs, kContactMaxMs)),
      jitter_floor_ms_(std::clamp<uint32_t>(config.jitter_floor_ms, 1, kJitterMaxMs)),
      request_bytes_max_(std::min<uint64_t>(config.request_bytes_max, kRequestBytesMax)),
      tokens_bytes_(config.first_bytes),
      refilled_at_(now),
      wanted_bytes_(kWorthSendingBytes),
      retry_allowance_(kAllowanceMax) {
  // A power cut starts a whole site at once: even the first contact is spread.
  regular_at_ = after_ms(now, jitter(jitter_floor_ms_));
}

uint32_t Sync::jitter(uint64_t span_ms) { return static_cast<uint32_t>(prng_.below(std::max<uint64_t>(span_ms, 1))); }

Step<Effect> Sync::step(Instant now, const Event& event) {
  Step<Effect> out;
  refill(now);
  std::visit([&](const auto& it) { on(now, it); }, event);
  if (in_flight_ && now >= deadline_) {
    out.effects.push_back(CancelExchange{id_});
    failed(now, true, 0);
  }
  if (in_flight_ && cancel_at(now) <= now) {
    out.effects.push_back(CancelExchange{id_});
    in_flight_ = false;
  }
  if (next_contact(now) <= now) begin(now, out);
  out.wake_at = in_flight_ ? earlier(deadline_, cancel_at(now)) : next_contact(now);
  return out;
}

// When a parked long-poll has to make way. It carries no records, so nothing is lost with it.
Instant Sync::cancel_at(Instant now) const {
  if (!in_flight_ || !parked_) return kNever;
  Instant at = urgent_due(now);
  const Instant records = records_due(now);
  if (after_ms(later(records, now), kParkSlackMs) < parked_until_) at = earlier(at, records);
  return at == kNever ? kNever : later(at, not_before_);
}

Instant Sync::urgent_due(Instant now) const {
  Instant due = kNever;
  if (urgent_) due = later(now, urgent_not_before_);
  if (critical_ && sendable_bytes_ > 0) due = earlier(due, later(later(now, urgent_not_before_), tokens_due(now)));
  return due;
}

void Sync::on(Instant, const Woke&) {}
void Sync::on(Instant now, const NetworkUp&) {
  if (in_flight_ || view_.failures_in_row == 0) return;
  const Instant soon = after_ms(now, jitter(jitter_floor_ms_));
  if (!hub_refused_) not_before_ = earlier(not_before_, soon);
  regular_at_ = earlier(regular_at_, soon);
}
void Sync::on(Instant, const Urgent&) { urgent_ = true; }
void Sync::on(Instant now, const Waiting& waiting) {
  sendable_bytes_ = waiting.sendable_bytes;
  critical_ = waiting.critical;
  if (sendable_bytes_ == 0) {
    records_since_ = kNever;
  } else if (records_since_ == kNever) {
    records_since_ = now;
  }
}

void Sync::on(Instant now, const Answered& answered) {
  if (!in_flight_ || answered.id != id_) return;
  in_flight_ = false;
  note_unheld(now, answered);
  parked_ = false;
  hub_refused_ = false;
  ++view_.answers;
  view_.connected = true;
  view_.failures_in_row = 0;
  view_.last_answer_at = now;
  retry_allowance_ = std::min(retry_allowance_ + kAllowancePerContact, kAllowanceMax);
  refill(now);
  take_grant(answered.grant);
  tokens_bytes_ -= std::min(tokens_bytes_, answered.sent_bytes);
  not_before_ = after_ms(now, kGapMs);
  // A node that long-polls asks again at once; one that does not comes when it was told to, spread over a tenth.
  int64_t rest_ms = config_.long_poll_ms > 0 ? int64_t{kGapMs} << unheld_in_row_ : kContactMaxMs;
  if (rest_ms >= interval_ms_) rest_ms = int64_t{interval_ms_} + jitter(interval_ms_ / 10);
  regular_at_ = after_ms(now, rest_ms);
  const bool offered = std::exchange(offered_bytes_, 0) > 0;
  if (answered.sent_bytes > 0) records_failed_in_row_ = 0;
  draining_ = answered.sent_bytes > 0 && answered.progressed && !answered.drained;
  if (draining_) {
    last_records_at_ = now;
    wanted_bytes_ = kWorthSendingBytes;
  } else if (answered.drained || answered.sent_bytes > 0 || (offered && sendable_bytes_ > 0)) {
    // The hub took none, or not one record fitted into what was allowed: asking again at once would change nothing.
    wanted_bytes_ = kBurstBytesMin;
    records_not_before_ = after_ms(now, int64_t{std::max(interval_ms_, jitter_floor_ms_)} + jitter(jitter_floor_ms_));
  }
  if (answered.sent_bytes > 0) records_since_ = sendable_bytes_ > answered.sent_bytes ? now : kNever;
}

// The hub holds no long-poll of a node that has not done what is wanted of it. A node that cannot do it, for its store
// fails or it refuses the assignment, would ask again at once, for ever. Only a long-poll that was held says that this
// is over: what was no long-poll, such as the first contact after a failure, says nothing.
void Sync::note_unheld(Instant now, const Answered& answered) {
  const bool news = answered.generation > generation_;  // an old answer on its way is none
  generation_ = std::max(generation_, answered.generation);
  const bool held = parked_ && !answered.unmet && now >= earlier(after_ms(begun_at_, kHeldMinMs), parked_until_);
  if (news || held)
    unheld_in_row_ = 0;
  else if (parked_)
    unheld_in_row_ = std::min(unheld_in_row_ + 1, kUnheldMax);
}

void Sync::on(Instant now, const Failed& it) {
  if (!in_flight_ || it.id != id_) return;
  failed(now, it.reached, planted(Bug::kRetryAfterIgnored) ? 0 : std::min(it.retry_after_ms, kRetryAfterMaxMs));
}

void Sync::failed(Instant now, bool reached, uint32_t retry_after_ms) {
  const bool was_parked = parked_;
  in_flight_ = false;
  parked_ = false;
  urgent_ = urgent_ || urgent_sent_;  // what was urgent was not delivered
  view_.connected = false;
  ++view_.failures_in_row;
  const uint32_t doublings = planted(Bug::kNoBackoff) ? 0 : std::min(view_.failures_in_row - 1, 20U);
  const uint64_t span_ms =
      std::clamp<uint64_t>(uint64_t{config_.backoff_first_ms} << doublings, 1, config_.backoff_max_ms);
  uint64_t wait_ms = kGapMs + jitter(std::max<uint64_t>(span_ms, jitter_floor_ms_));
  hub_refused_ = retry_after_ms > 0;
  // Records that do not get through, whatever the reason, must not take control with them: for an interval it goes
  // alone.
  if (std::exchange(offered_bytes_, 0) > 0 && reached && ++records_failed_in_row_ >= kRecordsFailedMax)
    records_not_before_ = after_ms(now, int64_t{std::max(interval_ms_, jitter_floor_ms_)} + jitter(jitter_floor_ms_));
  if (retry_after_ms > 0) wait_ms = std::max<uint64_t>(wait_ms, retry_after_ms + jitter(jitter_floor_ms_));
  // A hub that was reached has paid for this attempt. Coming back before the next regular contact is a retry.
  if (reached && !was_parked && wait_ms < interval_ms_) {
    if (retry_allowance_ >= kAllowancePerRetry) {
      retry_allowance_ -= kAllowancePerRetry;
      ++view_.retries;
    } else {
      wait_ms = interval_ms_ + jitter(jitter_floor_ms_);
    }
  }
  if (reached && wait_ms >= interval_ms_)
    retry_allowance_ = std::min(retry_allowance_ + kAllowancePerContact, kAllowanceMax);
  not_before_ = after_ms(now, static_cast<int64_t>(wait_ms));
  regular_at_ = not_before_;
}

void Sync::take_grant(const wire::Grant& grant) {
  if (planted(Bug::kRateNeverRises) && granted_ && grant.drain_bytes_per_s() > rate_bytes_per_s_) return;
  granted_ = true;
  rate_bytes_per_s_ = std::min<uint64_t>(grant.drain_bytes_per_s(), 1ULL << 30);
  view_.drain_bytes_per_s = rate_bytes_per_s_;
  if (grant.next_contact_ms() > 0) interval_ms_ = std::clamp(grant.next_contact_ms(), kContactMinMs, kContactMaxMs);
  if (grant.jitter_floor_ms() > 0) jitter_floor_ms_ = std::min(grant.jitter_floor_ms(), kJitterMaxMs);
  request_bytes_max_ = std::min<uint64_t>(config_.request_bytes_max, kRequestBytesMax);
  // Half of what the hub takes: the rest of a request (counters, schemas, sketches) needs room too.
  if (grant.max_request_bytes() > 0)
    request_bytes_max_ = std::min<uint64_t>(request_bytes_max_, grant.max_request_bytes() / 2);
}

void Sync::refill(Instant now) {
  if (now <= refilled_at_) return;
  const int64_t passed_ms = (now.ns - refilled_at_.ns) / kNsPerMs;
  refilled_at_.ns += passed_ms * kNsPerMs;
  if (!granted_) return;
  const uint64_t burst = std::max(rate_bytes_per_s_ * kBurstSeconds, kBurstBytesMin);
  const auto earned =
      static_cast<uint64_t>(static_cast<Uint128>(rate_bytes_per_s_) * static_cast<uint64_t>(passed_ms) / 1'000);
  if (tokens_bytes_ < burst) tokens_bytes_ = std::min(tokens_bytes_ + earned, burst);
}

// When the grant allows a request that is worth sending. kNever: the hub grants no records.
Instant Sync::tokens_due(Instant now) const {
  if (granted_ && rate_bytes_per_s_ == 0) return kNever;
  const uint64_t wanted = std::min(sendable_bytes_, wanted_bytes_);
  if (tokens_bytes_ >= wanted) return records_not_before_;
  if (rate_bytes_per_s_ == 0) return kNever;
  return later(records_not_before_,
               after_ms(now, static_cast<int64_t>((wanted - tokens_bytes_) * 1'000 / rate_bytes_per_s_ + 1)));
}

// When ordinary records alone are a reason to talk. A node that does not long-poll brings them at its regular contacts.
Instant Sync::records_due(Instant now) const {
  if (sendable_bytes_ == 0 || records_since_ == kNever) return kNever;
  if (config_.long_poll_ms == 0 && !draining_) return kNever;
  const bool enough = sendable_bytes_ >= std::min(request_bytes_max_, kWorthSendingBytes);
  const Instant company = enough ? records_since_ : after_ms(records_since_, config_.flush_ms);
  return later(company, tokens_due(now));
}

Instant Sync::next_contact(Instant now) const {
  if (in_flight_) return kNever;
  return later(earlier(earlier(regular_at_, records_due(now)), urgent_due(now)), not_before_);
}

void Sync::begin(Instant now, Step<Effect>& out) {
  const bool urgent = urgent_due(now) <= now;
  const bool fresh = view_.failures_in_row > 0 || view_.answers == 0;  // the window may be short: bring all at once
  const bool records = sendable_bytes_ > 0 && tokens_due(now) <= now &&
                       (urgent || fresh || config_.long_poll_ms == 0 || records_due(now) <= now);
  SendExchange send;
  send.id = ++id_;
  send.record_bytes_max = records ? std::min(std::max(tokens_bytes_, uint64_t{1}), request_bytes_max_) : 0;
  // An urgent report wants its answer now; so does the first contact after a failure.
  if (!records && !urgent && !fresh) send.long_poll_ms = park_ms(now);
  send.answer_timeout_ms = config_.answer_timeout_ms + on_the_way_ms(std::min(send.record_bytes_max, sendable_bytes_));
  in_flight_ = true;
  begun_at_ = now;
  parked_ = send.long_poll_ms > 0;
  parked_until_ = after_ms(now, send.long_poll_ms);
  offered_bytes_ = send.record_bytes_max;
  urgent_sent_ = urgent_;
  urgent_ = false;
  if (urgent) urgent_not_before_ = after_ms(now, kUrgentGapMs);
  deadline_ = after_ms(now, int64_t{send.long_poll_ms} + send.answer_timeout_ms);
  ++view_.attempts;
  out.effects.push_back(send);
}

// Not beyond the time when records are due, nor long while records flow: then the hub ends it, and no connection is
// cut.
uint32_t Sync::park_ms(Instant now) const {
  uint32_t ms = config_.long_poll_ms;
  const bool flowing = last_records_at_.ns >= 0 && now < after_ms(last_records_at_, kFlowingMs);
  if (flowing) ms = std::min(ms, config_.flush_ms);
  const Instant due = records_due(now);
  if (due != kNever && due > now)
    ms = std::min<uint32_t>(ms, static_cast<uint32_t>(std::min<int64_t>((due.ns - now.ns) / kNsPerMs + 1, ms)));
  return ms;
}

View Sync::view() const {
  View view = view_;
  view.in_flight = in_flight_;
  view.next_contact_at = in_flight_ ? kNever : later(regular_at_, not_before_);
  return view;
}

}  // namespace wb::sync
