#pragma once
// Sync: when this node talks to its hub. A pure machine that knows nothing of sockets, the outbox's rows or messages:
// it says "exchange now, with at most so many record bytes", and is told how that went. It also builds the stream part
// of a request.
//
// Rules. One exchange in flight. Whatever is urgent (a critical record waits, the reported state changed) goes at once
// and takes a parked long-poll off the line; ordinary records wait up to flush_ms for company; otherwise a connected
// node long-polls and a node that does not long-poll comes every contact interval, which the hub may set. A failed
// exchange is tried again after exponential backoff with full jitter over at least the hub's jitter floor; Retry-After
// is honoured (L3); early retries against a hub that was reached are paid from a retry allowance of one per five
// regular contacts (L2), beyond it the node waits for its next regular contact. Records go at the rate the hub grants:
// a token bucket in bytes.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/prng.h"
#include "base/step.h"
#include "record/record.h"
#include "wire/wire.h"

namespace wb::sync {

struct Config {
  uint32_t contact_interval_ms = 60'000;  // when not long-polling, until the hub says otherwise
  uint32_t long_poll_ms = 50'000;         // 0 = never
  uint32_t flush_ms = 2'000;              // ordinary records wait this long for company
  uint32_t answer_timeout_ms = 30'000;    // beyond the long-poll, and beyond what records take on a slow link
  uint32_t backoff_first_ms = 1'000;      // jitter span after the first failure; doubles
  uint32_t backoff_max_ms = 120'000;
  uint32_t jitter_floor_ms = 1'000;         // span of the jitter, at least, until the hub says otherwise
  uint32_t request_bytes_max = 256U << 10;  // record bytes in one exchange
  uint32_t first_bytes = 64U << 10;  // record bytes before the hub granted a rate: a ten-second window gets work done
};

// ---- events

struct Woke {};       // the timer, or nothing: always allowed
struct NetworkUp {};  // a hint that trying again makes sense
struct Urgent {};     // the reported state changed
struct Waiting {      // what the outbox holds, as far as its budget lets it go
  uint64_t sendable_bytes = 0;
  bool critical = false;
};
struct Answered {  // the hub answered exchange `id`
  uint64_t id = 0;
  uint64_t sent_bytes = 0;  // record bytes that were in it
  bool progressed = false;  // an ack moved
  bool drained = false;     // the hub refused the records for now
  wire::Grant grant;
  uint64_t generation = 0;  // of the desired state in it: a newer one than before is news
  bool unmet = false;       // the request did not report that generation: then no hub holds it, however long it took
};
struct Failed {  // no usable answer
  uint64_t id = 0;
  bool reached = false;         // bytes may have been sent (timeout, 5xx); false: no connection was made
  uint32_t retry_after_ms = 0;  // 0 = the hub named none
};
using Event = std::variant<Woke, NetworkUp, Urgent, Waiting, Answered, Failed>;

// ---- effects

struct SendExchange {
  uint64_t id = 0;
  uint64_t record_bytes_max = 0;   // limit for the outbox's plan; 0 = control only
  uint32_t long_poll_ms = 0;       // for a request without records; with records say 0, so that the ack comes at once
  uint32_t answer_timeout_ms = 0;  // beyond long_poll_ms
};
struct CancelExchange {  // drop it: its answer is no longer wanted. A Failed for it is ignored.
  uint64_t id = 0;
};
using Effect = std::variant<SendExchange, CancelExchange>;

struct View {
  bool connected = false;  // the last exchange was answered
  bool in_flight = false;
  uint32_t failures_in_row = 0;
  uint64_t attempts = 0;
  uint64_t answers = 0;
  uint64_t retries = 0;              // early ones, paid from the allowance
  Instant last_answer_at{-1};        // ns < 0: never in this boot
  Instant next_contact_at = kNever;  // of a contact that is planned
  uint64_t drain_bytes_per_s = 0;
};

class Sync {
 public:
  Sync(const Config& config, Instant now, Prng prng);
  Step<Effect> step(Instant now, const Event& event);
  View view() const;

 private:
  void on(Instant now, const Woke&);
  void on(Instant now, const NetworkUp&);
  void on(Instant now, const Urgent&);
  void on(Instant now, const Waiting& waiting);
  void on(Instant now, const Answered& answered);
  void on(Instant now, const Failed& failed);
  void note_unheld(Instant now, const Answered& answered);
  void take_grant(const wire::Grant& grant);
  void refill(Instant now);
  void failed(Instant now, bool reached, uint32_t retry_after_ms);
  Instant cancel_at(Instant now) const;
  Instant urgent_due(Instant now) const;
  Instant tokens_due(Instant now) const;
  Instant records_due(Instant now) const;
  Instant next_contact(Instant now) const;
  void begin(Instant now, Step<Effect>& out);
  uint32_t park_ms(Instant now) const;
  uint32_t jitter(uint64_t span_ms);

  Config config_;
  Prng prng_;
  // exchange in flight
  uint64_t id_ = 0;
  bool in_flight_ = false;
  bool parked_ = false;  // it is a long-poll without records: may be cancelled
  Instant parked_until_{0};
  Instant begun_at_{0};
  uint64_t generation_ = 0;     // in the last answer
  uint32_t unheld_in_row_ = 0;  // long-polls that were answered at once, with nothing new
  Instant deadline_{0};
  uint64_t offered_bytes_ = 0;  // its record_bytes_max
  // when
  Instant regular_at_{0};           // next contact that needs no other reason
  Instant not_before_{0};           // backoff, Retry-After: nothing goes earlier
  Instant records_since_ = kNever;  // ordinary records wait since
  Instant records_not_before_{0};   // the hub refused records, or they do not get through
  uint32_t records_failed_in_row_ = 0;
  Instant last_records_at_{-1};
  bool urgent_ = false;
  bool urgent_sent_ = false;  // the exchange in flight was an urgent one
  bool hub_refused_ = false;  // the last failure came with Retry-After
  bool critical_ = false;
  bool draining_ = false;  // the last exchange brought records and more wait
  Instant urgent_not_before_{0};
  uint64_t sendable_bytes_ = 0;
  uint32_t interval_ms_ = 0;
  uint32_t jitter_floor_ms_ = 0;
  // drain rate
  bool granted_ = false;
  uint64_t rate_bytes_per_s_ = 0;
  uint64_t request_bytes_max_ = 0;
  uint64_t tokens_bytes_ = 0;
  Instant refilled_at_{0};
  uint64_t wanted_bytes_ = 0;  // fewer tokens than this are no reason to send
  // retries
  uint32_t retry_allowance_ = 0;  // in fifths of a retry
  View view_;
};

// ---- the stream part of a request

struct StreamRecord {
  uint64_t seq = 0;
  double thinning = 1;
  std::string_view record;  // encoded RecordUp; empty = the row could not be read
};
struct StreamPartView {  // views: valid only during the call
  Lane lane = Lane::kLive;
  uint64_t after_seq = 0;
  uint64_t through_seq = 0;
  uint64_t evicted_count = 0;
  uint64_t lost_count = 0;
  std::vector<StreamRecord> records;
};
struct Unreadable {
  Lane lane = Lane::kLive;
  uint64_t seq = 0;
};
// Adds the streams to the request. Records that do not decode are left out, counted as lost in their stream, and
// returned, so that the outbox declares them lost too.
std::vector<Unreadable> build_streams(const std::vector<StreamPartView>& parts, wire::ExchangeRequest& request);

}  // namespace wb::sync
