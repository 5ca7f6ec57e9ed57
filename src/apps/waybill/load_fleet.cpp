#include "apps/waybill/load_fleet.h"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "base/bytes.h"
#include "wire/wire.h"
#include "world/pki.h"

namespace wb::cli {

namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kOutboxRecordsMax = 20'000;
constexpr uint32_t kTicksPerSecond = 50;
constexpr uint32_t kClosedDeadlineMs = 30'000;
constexpr uint32_t kClosedRetryMs = 1'000;  // in closed loop, after a failure that named no Retry-After

Instant now() {
  return Instant{std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count()};
}

// What a node in the field reports: a running release with its sketches, and counters.
std::string encoded_head() {
  wire::ExchangeRequest request;
  request.set_protocol(limits::kProtocol);
  request.set_agent_version("load");
  request.set_boot(1);
  wire::Reported& reported = *request.mutable_reported();
  reported.set_running_digest(std::string(64, 'a'));
  reported.set_running_name("load@1");
  wire::ScoreSketch& sketch = *reported.mutable_running_sketch();
  for (int i = 0; i < 20; ++i) sketch.add_confidence_bins(static_cast<uint64_t>(i));
  for (int i = 0; i < 20; ++i) sketch.add_novelty_bins(static_cast<uint64_t>(i));
  for (int i = 0; i < 7; ++i) sketch.add_labels("class-" + std::to_string(i)), sketch.add_label_counts(1'000);
  sketch.set_records(7'000);
  return wire::encode(request);
}

wire::SchemaDef nine_numbers() {
  Schema schema;
  for (int i = 1; i <= 9; ++i) schema.fields.push_back({"V" + std::to_string(i), ColumnType::kNumber});
  return wire::to_wire(schema);
}

wire::RecordUp one_record(const std::string& schema_id) {
  wire::RecordUp record;
  record.set_pipeline("load");
  record.set_schema(schema_id);
  record.set_event_time_ms(unix_ms_now());
  record.set_taken_unix_ms(record.event_time_ms());
  record.set_rule(static_cast<uint32_t>(Rule::kLowConfidence));
  record.set_inclusion_probability(1);
  for (int k = 0; k < 9; ++k) record.add_numbers(k * 10.5);
  record.mutable_verdict()->set_label("class-1");
  record.mutable_verdict()->set_confidence(0.5F);
  return record;
}

sync::Config sync_config(const LoadOptions& options) {
  sync::Config config;
  config.flush_ms = options.flush_ms;
  config.long_poll_ms = options.long_poll_ms;
  return config;
}

}  // namespace

class LoadFleet::Agent {
 public:
  Agent(LoadFleet& fleet, const world::Endpoint& endpoint, const LoadIdentity& identity, Prng prng)
      : fleet_(fleet), client_(fleet.io_, endpoint, identity.tls), timer_(fleet.io_), prng_(prng) {}

  void start() {
    started_ = true;
    if (!fleet_.options_.open_loop) return send_closed();
    sync_.emplace(sync_config(fleet_.options_), now(), prng_);
    if (waiting_ > 0) tell_waiting();
    step(sync::Woke{});
  }
  void produce(uint64_t records) {
    LoadCounts& counts = fleet_.report_.now();
    counts.produced += records;
    const uint64_t taken = std::min(records, kOutboxRecordsMax - waiting_);
    counts.dropped += records - taken;
    waiting_ += taken;
    if (started_ && taken > 0) tell_waiting();
  }
  void cut() { client_.cancel(); }
  bool connected() const { return sync_ ? sync_->view().connected : last_ok_; }
  void stop() { timer_.cancel(); }

 private:
  void tell_waiting() { step(sync::Waiting{waiting_ * fleet_.record_bytes_, false}); }

  void step(const sync::Event& event) {
    if (fleet_.stopping_) return;
    const Step<sync::Effect> step = sync_->step(now(), event);
    for (const sync::Effect& effect : step.effects) {
      if (std::holds_alternative<sync::CancelExchange>(effect)) {
        current_ = 0;
        client_.cancel();
      } else {
        send(std::get<sync::SendExchange>(effect));
      }
    }
    if (step.wake_at == kNever || step.wake_at == wake_at_) return;
    wake_at_ = step.wake_at;
    wake_in(std::chrono::nanoseconds(std::max<int64_t>(0, wake_at_.ns - now().ns)));
  }
  void wake_in(Clock::duration pause) {
    timer_.expires_after(pause);
    timer_.async_wait([this](boost::system::error_code error) {
      if (error || fleet_.stopping_) return;
      wake_at_ = kNever;
      if (sync_)
        step(sync::Woke{});
      else
        send_closed();
    });
  }

  void send(const sync::SendExchange& wanted) {
    uint64_t records = 0;
    if (wanted.record_bytes_max > 0)
      records = std::min<uint64_t>(
          {waiting_, wanted.record_bytes_max / fleet_.record_bytes_, fleet_.options_.records_per_request_max});
    const uint32_t long_poll_ms = records > 0 ? 0 : wanted.long_poll_ms;
    exchange(wanted.id, records, long_poll_ms, long_poll_ms + wanted.answer_timeout_ms);
  }
  void send_closed() { exchange(++closed_id_, fleet_.options_.records_per_exchange, 0, kClosedDeadlineMs); }

  void exchange(uint64_t id, uint64_t records, uint32_t long_poll_ms, uint32_t deadline_ms) {
    LoadCounts& counts = fleet_.report_.now();
    const auto sent_at = Clock::now();
    ++counts.attempts;
    if (sent_at < regular_at_) ++counts.retries;
    if (sent_at < not_before_) ++counts.early;
    regular_at_ = {};
    current_ = id;
    world::HttpRequest request{
        "POST", "/v1/exchange", {{"content-type", "application/x-protobuf"}}, body(records, long_poll_ms)};
    client_.request(std::move(request), {deadline_ms, limits::kExchangeResponseBytesMax},
                    [this, id, records, long_poll_ms, sent_at](Result<world::HttpResponse> response) {
                      if (id != current_) return;  // taken off the line for a newer one
                      if (response.ok() && response->status == 200) {
                        if (long_poll_ms == 0)
                          fleet_.report_.latency().add(static_cast<uint64_t>(
                              std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - sent_at).count()));
                        return answered(id, records, response->body);
                      }
                      failed(id, long_poll_ms > 0, response);
                    });
  }

  // Fields may follow their message's start in any order, so what all requests share is put in front as it is.
  std::string body(uint64_t records, uint32_t long_poll_ms) {
    wire::ExchangeRequest request;
    request.set_incarnation(fleet_.incarnation_);
    request.set_mono_ms(now().ns / kNsPerMs);
    request.set_unix_ms(unix_ms_now());
    request.set_long_poll_ms(long_poll_ms);
    request.set_waiting_bytes(waiting_ * fleet_.record_bytes_);
    wire::Counters& counters = *request.mutable_counters();
    counters.set_records_in(seq_ * 100);
    counters.set_records_scored(seq_ * 100);
    counters.set_bytes_up(seq_ * fleet_.record_bytes_);
    if (records > 0) {
      *request.add_schemas() = fleet_.schema_;
      wire::StreamUp& stream = *request.add_streams();
      stream.set_lane(static_cast<uint32_t>(Lane::kLive));
      stream.set_after_seq(seq_);
      stream.set_through_seq(seq_ + records);
      for (uint64_t i = 1; i <= records; ++i) {
        wire::RecordUp& record = *stream.add_records();
        record = fleet_.record_;
        record.set_seq(seq_ + i);
      }
    }
    return fleet_.head_ + wire::encode(request);
  }

  void answered(uint64_t id, uint64_t records, const std::string& body) {
    LoadCounts& counts = fleet_.report_.now();
    const auto response = wire::decode_exchange_response(body);
    if (!response.ok()) return lost(id, false, true, 0);
    ++counts.answers;
    last_ok_ = true;
    if (response->drained() && records > 0) ++counts.drained;
    uint64_t acked = 0;
    for (const wire::StreamAck& ack : response->acks())
      if (ack.through_seq() > seq_) acked = ack.through_seq() - seq_;
    counts.records += acked;
    seq_ += acked;
    waiting_ -= std::min(waiting_, acked);
    if (response->grant().next_contact_ms() > 0)
      interval_ = std::chrono::milliseconds(response->grant().next_contact_ms());
    if (!sync_) return again(std::chrono::milliseconds(fleet_.options_.think_ms));
    step(sync::Answered{id, records * fleet_.record_bytes_, acked > 0, response->drained(), response->grant()});
    tell_waiting();
  }

  void failed(uint64_t id, bool was_parked, const Result<world::HttpResponse>& response) {
    LoadCounts& counts = fleet_.report_.now();
    last_ok_ = false;
    if (response.ok()) {
      ++counts.refused[response->status];
      return lost(id, was_parked, true, static_cast<uint32_t>(world::retry_after_ms(response->headers)));
    }
    const bool reached = client_.progress() != world::HttpsClient::Progress::kNowhere;
    ++(reached ? counts.broken : counts.unreached);
    lost(id, was_parked, reached, 0);
  }

  void lost(uint64_t id, bool was_parked, bool reached, uint32_t retry_after_ms) {
    const auto at = Clock::now();
    if (reached && !was_parked) regular_at_ = at + interval_;
    if (retry_after_ms > 0) not_before_ = at + std::chrono::milliseconds(retry_after_ms);
    if (!sync_) return again(std::chrono::milliseconds(std::max(retry_after_ms, kClosedRetryMs)));
    step(sync::Failed{id, reached, retry_after_ms});
  }

  void again(Clock::duration pause) {
    if (fleet_.stopping_) return;
    if (pause == Clock::duration::zero()) return send_closed();
    wake_in(pause);
  }

  LoadFleet& fleet_;
  world::HttpsClient client_;
  asio::steady_timer timer_;
  Prng prng_;
  std::optional<sync::Sync> sync_;
  bool started_ = false;
  bool last_ok_ = false;
  uint64_t closed_id_ = 0;
  uint64_t current_ = 0;  // the exchange whose answer is wanted
  uint64_t seq_ = 0;      // acknowledged
  uint64_t waiting_ = 0;  // records in the outbox
  Instant wake_at_ = kNever;
  Clock::duration interval_ = std::chrono::seconds(60);
  Clock::time_point regular_at_{};  // an attempt before it is a retry
  Clock::time_point not_before_{};  // Retry-After
};

LoadFleet::LoadFleet(const LoadOptions& options, const world::Endpoint& endpoint, std::vector<LoadIdentity> identities)
    : options_(options),
      report_(options.open_loop ? "open" : "closed", identities.size()),
      head_(encoded_head()),
      incarnation_(world::random_bytes(16)),
      schema_(nine_numbers()),
      prng_(options.seed) {
  record_ = one_record(schema_.id());
  record_bytes_ = record_.ByteSizeLong();
  for (const LoadIdentity& identity : identities)
    agents_.push_back(std::make_unique<Agent>(*this, endpoint, identity, Prng(prng_.next())));
}
LoadFleet::~LoadFleet() {
  stopping_ = true;
  agents_.clear();
}

void LoadFleet::start(std::chrono::milliseconds ramp) {
  const auto begin = Clock::now();
  for (size_t i = 0; i < agents_.size(); ++i) {
    const auto timer = std::make_shared<asio::steady_timer>(
        io_, begin + ramp * static_cast<int64_t>(i) / static_cast<int64_t>(agents_.size()));
    timer->async_wait([this, timer, i](boost::system::error_code error) {
      if (!error && !stopping_) agents_[i]->start();
    });
  }
}

// Round robin: every agent gets its records evenly, the fleet at the rate that was asked for.
void LoadFleet::produce(double records) {
  owed_records_ += records;
  const auto whole = static_cast<uint64_t>(owed_records_);
  owed_records_ -= static_cast<double>(whole);
  const uint64_t each = std::max<uint64_t>(1, whole / agents_.size());
  for (uint64_t given = 0; given < whole;) {
    const uint64_t now_given = std::min(each, whole - given);
    agents_[next_producer_]->produce(now_given);
    next_producer_ = (next_producer_ + 1) % agents_.size();
    given += now_given;
  }
}

void LoadFleet::turn(Clock::time_point until) {
  io_.restart();
  io_.run_until(until);
  if (io_.stopped()) std::this_thread::sleep_until(until);  // nobody waits for anything
}

void LoadFleet::run(uint32_t seconds, double records_per_s, const std::function<bool()>& each_second) {
  const auto begin = Clock::now();
  for (uint32_t s = 0; s < seconds; ++s) {
    for (uint32_t tick = 1; tick <= kTicksPerSecond; ++tick) {
      if (options_.open_loop && records_per_s > 0) produce(records_per_s / kTicksPerSecond);
      const auto until = begin + std::chrono::seconds(s) + std::chrono::milliseconds(1'000 * tick / kTicksPerSecond);
      if (Clock::now() < until) turn(until);
      io_.restart();
      io_.poll();  // also when we are late: no phase starves the answers
    }
    report_.end_second(connected());
    if (!each_second()) break;
  }
}

void LoadFleet::storm(uint32_t percent) {
  for (const auto& agent : agents_)
    if (prng_.below(100) < percent) agent->cut();
}

void LoadFleet::stop(std::chrono::milliseconds grace) {
  stopping_ = true;
  for (const auto& agent : agents_) agent->stop();
  io_.restart();
  io_.run_for(grace);
}

size_t LoadFleet::connected() const {
  return static_cast<size_t>(
      std::count_if(agents_.begin(), agents_.end(), [](const auto& agent) { return agent->connected(); }));
}

}  // namespace wb::cli
