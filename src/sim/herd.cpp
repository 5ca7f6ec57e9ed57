#include "sim/herd.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include "base/admission.h"
#include "base/memory_rows.h"
#include "base/prng.h"
#include "edge/sync/sync.h"
#include "hub/api/hub.h"

namespace wb::sim {

namespace {

constexpr int64_t kEpochMs = 1'780'000'000'000;
constexpr int64_t kHalfTripNs = 25 * kNsPerMs;
constexpr int64_t kHandshakeLimitNs = 10 * kNsPerSecond;  // ServerOptions::handshake_ms
constexpr uint32_t kRecordBytes = 160;
constexpr size_t kBatchMax = 512;  // ServerOptions::batch_max
constexpr int64_t kSettleNs = 120 * kNsPerSecond;
constexpr uint32_t kRetryPermilleMax = 1'200;  // attempts for each 1,000 that were due

class Herd {
 public:
  explicit Herd(const HerdOptions& options);
  HerdReport run();

 private:
  struct Node {
    std::string id;
    std::optional<sync::Sync> sync;
    uint64_t timer = 0;     // one timer: an earlier one is void
    uint64_t exchange = 0;  // in flight; 0 = none
    uint32_t records = 0;   // of them in it
    bool parked = false;
    bool linked = false;
    bool counted = false;  // as connected
    uint32_t waiting = 0;
    uint64_t seq = 0;
    uint32_t interval_ms = 60'000;
    int64_t regular_ns = 0;     // an attempt before it is a retry
    int64_t not_before_ns = 0;  // Retry-After
  };
  struct Call {
    uint32_t node;
    uint64_t exchange;
    uint32_t records;
    uint32_t long_poll_ms;
  };
  using Action = std::function<void()>;

  void at(int64_t ns, Action what) { queue_.emplace(std::pair(std::max(ns, now_), order_++), std::move(what)); }
  void run_until(int64_t ns, const std::function<bool()>& done);
  void enrol_all();
  void step(uint32_t index, const sync::Event& event);
  void send(uint32_t index, const sync::SendExchange& wanted);
  void connect(uint32_t index, Call call, int64_t retry_ns);
  void arrive(const Call& call);
  void serve_batch();
  void take(std::deque<Call>& from, size_t most, std::vector<Call>& batch);
  wire::ExchangeRequest request_of(const Call& call) const;
  void answer(const Call& call, const wire::ExchangeResponse& response);
  void fail(uint32_t index, uint64_t exchange, bool reached, uint32_t retry_after_ms);
  void hub_goes();
  void hub_comes();
  void link(Node& node, bool up);
  void set_connected(Node& node, bool connected);
  HerdSecond& second();
  void judge();

  HerdOptions options_;
  HerdReport report_;
  Prng prng_;
  int64_t now_ = 0;
  uint64_t order_ = 0;
  std::map<std::pair<int64_t, uint64_t>, Action> queue_;  // when; order of scheduling breaks ties
  std::vector<Node> nodes_;
  size_t links_ = 0, connected_ = 0, undelivered_ = 0;
  // the hub
  MemoryRows rows_;
  std::optional<hub::Hub> hub_;
  std::optional<Admission> admission_;
  uint64_t life_ = 0;
  bool up_ = false;
  int64_t io_busy_until_ = 0;
  uint32_t handshakes_ = 0;
  bool serving_ = false;
  std::deque<Call> control_, records_;
  int64_t gone_ns_ = -1, back_ns_ = -1;
  HerdSecond before_;  // what happens before the outage is not reported
  uint32_t granted_floor_ms_ = 0;
};

Herd::Herd(const HerdOptions& options) : options_(options), prng_(options.seed), nodes_(options.nodes) {
  report_.nodes = options.nodes;
  for (uint32_t i = 0; i < options.nodes; ++i) nodes_[i].id = "node-" + std::to_string(i);
  enrol_all();
}

void Herd::enrol_all() {
  hub_.emplace(hub::HubConfig{});
  const Moment now{Instant{0}, kEpochMs};
  for (const Node& node : nodes_) {
    const std::string secret = "a secret of " + node.id;
    WB_ASSERT(hub_->create_token(rows_, now, {secret, 3'600'000, {}, "herd"}).ok());
    wire::EnrolRequest request;
    request.set_token(secret);
    request.set_csr_der(node.id);
    request.set_node_name(node.id);
    const auto outcome = hub_->enrol(rows_, now, request, "0123456789abcdef");
    WB_ASSERT(outcome.ok() && outcome->issue);
    WB_ASSERT(hub_->finish_enrolment(rows_, now, *outcome->issue, "1", "pem", "pem").ok());
  }
}

HerdSecond& Herd::second() {
  if (gone_ns_ < 0 || now_ < gone_ns_) return before_;
  const auto index = static_cast<size_t>((now_ - gone_ns_) / kNsPerSecond);
  while (report_.seconds.size() <= index) {
    if (!report_.seconds.empty()) report_.seconds.back().connected = static_cast<uint32_t>(connected_);
    report_.seconds.emplace_back();
  }
  return report_.seconds[index];
}

void Herd::run_until(int64_t ns, const std::function<bool()>& done) {
  while (!queue_.empty() && queue_.begin()->first.first <= ns && !done()) {
    const auto next = queue_.extract(queue_.begin());
    now_ = next.key().first;
    next.mapped()();
  }
  if (!done()) now_ = ns;
}

void Herd::set_connected(Node& node, bool connected) {
  if (node.counted == connected) return;
  node.counted = connected;
  connected ? ++connected_ : --connected_;
}

void Herd::link(Node& node, bool up) {
  if (node.linked == up) return;
  node.linked = up;
  up ? ++links_ : --links_;
}

// ---- a node

void Herd::step(uint32_t index, const sync::Event& event) {
  Node& node = nodes_[index];
  const Step<sync::Effect> taken = node.sync->step(Instant{now_}, event);
  const uint64_t timer = ++node.timer;
  for (const sync::Effect& effect : taken.effects) {
    if (std::holds_alternative<sync::CancelExchange>(effect)) {
      node.exchange = 0;
      link(node, false);  // the client closes its connection
    } else {
      send(index, std::get<sync::SendExchange>(effect));
    }
  }
  if (taken.wake_at == kNever || timer != node.timer) return;
  at(taken.wake_at.ns, [this, index, timer] {
    if (nodes_[index].timer == timer) step(index, sync::Woke{});
  });
}

void Herd::send(uint32_t index, const sync::SendExchange& wanted) {
  Node& node = nodes_[index];
  ++report_.attempts;
  if (now_ < node.regular_ns) ++report_.retries;
  if (now_ < node.not_before_ns) ++report_.early;
  node.regular_ns = 0;
  node.exchange = wanted.id;
  node.records = static_cast<uint32_t>(std::min<uint64_t>(node.waiting, wanted.record_bytes_max / kRecordBytes));
  node.parked = node.records == 0 && wanted.long_poll_ms > 0;
  const Call call{index, wanted.id, node.records, node.records > 0 ? 0 : wanted.long_poll_ms};
  if (node.linked)
    at(now_ + kHalfTripNs, [this, call, life = life_] {
      if (life == life_) arrive(call);
    });
  else
    connect(index, call, kNsPerSecond);
}

void Herd::connect(uint32_t index, Call call, int64_t retry_ns) {
  if (nodes_[index].exchange != call.exchange) return;  // given up meanwhile
  ++second().arrivals;
  ++report_.arrivals;
  if (!up_) {
    at(now_ + kHalfTripNs, [this, index, call] { fail(index, call.exchange, false, 0); });
    return;
  }
  if (handshakes_ >= options_.handshakes_max) {
    ++report_.dropped;
    at(now_ + retry_ns, [this, index, call, retry_ns] { connect(index, call, retry_ns * 2); });
    return;
  }
  ++handshakes_;
  io_busy_until_ = std::max(io_busy_until_, now_) + options_.handshake_us * 1'000LL;
  const int64_t since = now_;
  at(io_busy_until_, [this, index, call, since, life = life_] {
    if (life != life_) return;
    --handshakes_;
    Node& node = nodes_[index];
    if (node.exchange != call.exchange) return;
    if (now_ - since > kHandshakeLimitNs) {
      ++report_.timed_out;
      return fail(index, call.exchange, true, 0);
    }
    ++second().handshakes;
    link(node, true);
    arrive(call);
  });
}

void Herd::fail(uint32_t index, uint64_t exchange, bool reached, uint32_t retry_after_ms) {
  Node& node = nodes_[index];
  if (node.exchange != exchange) return;
  node.exchange = 0;
  if (retry_after_ms == 0) link(node, false);  // a refusal keeps its connection
  if (reached && !node.parked) node.regular_ns = now_ + node.interval_ms * kNsPerMs;
  if (retry_after_ms > 0) node.not_before_ns = now_ + retry_after_ms * kNsPerMs;
  set_connected(node, false);
  step(index, sync::Failed{exchange, reached, retry_after_ms});
}

void Herd::answer(const Call& call, const wire::ExchangeResponse& response) {
  Node& node = nodes_[call.node];
  if (node.exchange != call.exchange) return;
  node.exchange = 0;
  uint64_t acked = 0;
  for (const wire::StreamAck& ack : response.acks())
    if (ack.through_seq() > node.seq) acked = ack.through_seq() - node.seq;
  node.seq += acked;
  if (acked > 0 && node.waiting > 0 && acked >= node.waiting) --undelivered_;
  node.waiting -= static_cast<uint32_t>(std::min<uint64_t>(node.waiting, acked));
  node.interval_ms = response.grant().next_contact_ms();
  granted_floor_ms_ = response.grant().jitter_floor_ms();
  set_connected(node, true);
  step(call.node, sync::Answered{call.exchange, uint64_t{call.records} * kRecordBytes, acked > 0, response.drained(),
                                 response.grant()});
  step(call.node, sync::Waiting{uint64_t{node.waiting} * kRecordBytes, false});
}

// ---- the hub

void Herd::arrive(const Call& call) {
  const bool records = call.records > 0;
  const Admission::Class kind = records ? Admission::Class::kRecords : Admission::Class::kControl;
  const Admission::Queue queue = records ? Admission::Queue{control_.size() + records_.size(), records_.size()}
                                         : Admission::Queue{control_.size(), control_.size()};
  const uint32_t retry_after_s = admission_->offer(Instant{now_}, kind, queue);
  if (retry_after_s > 0) {
    ++second().refused;
    ++report_.refused;
    at(now_ + kHalfTripNs, [this, call, retry_after_s, life = life_] {
      if (life == life_) fail(call.node, call.exchange, true, retry_after_s * 1'000);
    });
    return;
  }
  (records ? records_ : control_).push_back(call);
  if (!serving_) serve_batch();
}

void Herd::take(std::deque<Call>& from, size_t most, std::vector<Call>& batch) {
  for (; most > 0 && !from.empty(); --most) {
    batch.push_back(from.front());
    from.pop_front();
  }
}

wire::ExchangeRequest Herd::request_of(const Call& call) const {
  const Node& node = nodes_[call.node];
  wire::ExchangeRequest request;
  request.set_incarnation(std::string(16, 'i'));
  request.set_long_poll_ms(call.long_poll_ms);
  if (call.records == 0) return request;
  wire::StreamUp& stream = *request.add_streams();
  stream.set_lane(static_cast<uint32_t>(Lane::kLive));
  stream.set_after_seq(node.seq);
  stream.set_through_seq(node.seq + call.records);
  for (uint32_t i = 1; i <= call.records; ++i) {
    wire::RecordUp& record = *stream.add_records();
    record.set_seq(node.seq + i);
    record.set_pipeline("herd");
    record.set_inclusion_probability(1);
  }
  return request;
}

// As HttpsServer does: what steers first, a quarter of each batch for the records, answers after the commit.
void Herd::serve_batch() {
  std::vector<Call> batch;
  const size_t queued = control_.size() + records_.size();
  hub_->set_load(admission_->load_permille({queued, records_.size()}), links_);
  const size_t for_records = std::min(records_.size(), kBatchMax / 4);
  take(control_, kBatchMax - for_records, batch);
  take(records_, kBatchMax - batch.size(), batch);
  serving_ = !batch.empty();
  if (!serving_) return;
  int64_t took_ns = options_.commit_us * 1'000LL;
  for (const Call& call : batch) took_ns += (options_.call_us + call.records * options_.record_us) * 1'000LL;
  at(now_ + took_ns, [this, batch, took_ns, life = life_] {
    if (life != life_) return;
    admission_->served(batch.size(), took_ns);
    const Moment now{Instant{now_}, kEpochMs + now_ / kNsPerMs};
    for (const Call& call : batch) {
      const auto outcome = hub_->exchange(rows_, now, nodes_[call.node].id, request_of(call));
      WB_ASSERT(outcome.ok());
      ++second().exchanges;
      ++report_.exchanges;
      // A held call is answered with what the hub grants at its end; here that is what it granted at its start.
      at(now_ + kHalfTripNs + outcome->hold_ms * kNsPerMs, [this, call, response = outcome->response, life] {
        if (life == life_) answer(call, response);
      });
      // A parked node is one that the hub has back, long before it is answered.
      if (outcome->hold_ms > 0 && nodes_[call.node].exchange == call.exchange) set_connected(nodes_[call.node], true);
    }
    serve_batch();
  });
}

void Herd::hub_goes() {
  gone_ns_ = now_;
  report_.jitter_floor_ms = granted_floor_ms_;
  up_ = false;
  ++life_;
  control_.clear();
  records_.clear();
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    const bool was_linked = node.linked;
    link(node, false);
    set_connected(node, false);
    node.waiting += options_.records_per_node;
    if (was_linked && node.exchange != 0)
      at(now_ + kHalfTripNs, [this, i, exchange = node.exchange] { fail(i, exchange, true, 0); });
  }
  undelivered_ = options_.records_per_node > 0 ? nodes_.size() : 0;
  for (uint32_t i = 0; i < nodes_.size(); ++i)
    step(i, sync::Waiting{uint64_t{nodes_[i].waiting} * kRecordBytes, false});
}

void Herd::hub_comes() {
  back_ns_ = now_;
  up_ = true;
  hub_.emplace(hub::HubConfig{});
  admission_.emplace(Admission::Limits{});
  handshakes_ = 0;
  io_busy_until_ = now_;
  serving_ = false;
}

HerdReport Herd::run() {
  hub_comes();
  const auto never = [] { return false; };
  // The fleet starts over two minutes and settles into its long polls.
  for (uint32_t i = 0; i < nodes_.size(); ++i) {
    const Prng prng = options_.same_jitter ? Prng(options_.seed) : prng_.split();
    at(kSettleNs * i / static_cast<int64_t>(nodes_.size()), [this, i, prng] {
      nodes_[i].sync.emplace(sync::Config{}, Instant{now_}, prng);
      step(i, sync::Woke{});
    });
  }
  run_until(2 * kSettleNs, never);
  hub_goes();
  run_until(now_ + options_.outage_ms * kNsPerMs, never);
  hub_comes();
  const int64_t end = now_ + options_.minutes_max * 60 * kNsPerSecond;
  const auto mark = [this](int64_t& when, bool reached) {
    if (when < 0 && reached) when = (now_ - back_ns_) / kNsPerMs;
  };
  run_until(end, [&] {
    mark(report_.half_after_ms, connected_ * 2 >= nodes_.size());
    mark(report_.all_after_ms, connected_ == nodes_.size());
    mark(report_.delivered_after_ms, undelivered_ == 0);
    return report_.all_after_ms >= 0 && report_.delivered_after_ms >= 0;
  });
  (void)second();
  report_.seconds.back().connected = static_cast<uint32_t>(connected_);
  judge();
  return report_;
}

void Herd::judge() {
  const auto first = static_cast<size_t>((back_ns_ - gone_ns_) / kNsPerSecond);
  for (size_t i = first; i < report_.seconds.size(); ++i)
    report_.peak_arrivals = std::max(report_.peak_arrivals, report_.seconds[i].arrivals);
  const auto violate = [this](std::string text) { report_.violations.push_back(std::move(text)); };
  if (report_.peak_arrivals > options_.peak_per_s)
    violate("herd: " + std::to_string(report_.peak_arrivals) + " of " + std::to_string(report_.nodes) +
            " nodes came within one second; at most " + std::to_string(options_.peak_per_s) + " may");
  if (report_.early > 0) violate("L3: " + std::to_string(report_.early) + " attempts before Retry-After was over");
  if (report_.attempts * 1'000 > (report_.attempts - report_.retries) * kRetryPermilleMax)
    violate("L2: " + std::to_string(report_.retries) + " retries among " + std::to_string(report_.attempts) +
            " attempts: more than a fifth of what was due");
  if (report_.all_after_ms < 0)
    violate("liveness: only " + std::to_string(connected_) + " nodes were connected again in the end");
  if (report_.delivered_after_ms < 0)
    violate("liveness: " + std::to_string(undelivered_) + " nodes had not delivered in the end");
}

}  // namespace

HerdReport run_herd(const HerdOptions& options) { return Herd(options).run(); }

}  // namespace wb::sim
