// Talking to the hub. One exchange at a time: sync says when, the outbox says what, and it goes on the air only when
// what it says is durable here (contract 3). With a store that fails, control still goes: only the records stay (R1).
#include <algorithm>

#include "base/planted.h"
#include "edge/agent/core.h"

namespace wb {

void Agent::Core::drive_sync(const sync::Event& event) {
  if (!config_.has_hub) return;
  Step<sync::Effect> step = sync_.step(now_.mono, event);
  sync_wake_ = step.wake_at;
  for (const sync::Effect& effect : step.effects) {
    if (const auto* cancel = std::get_if<sync::CancelExchange>(&effect)) {
      if (!outgoing_ || outgoing_->wanted.id != cancel->id) continue;
      const Outgoing cancelled = std::move(*outgoing_);
      outgoing_.reset();
      if (cancelled.sent)  // what was reserved stays spent: it may have been on the air
        effects_.push_back(agent::CancelExchange{cancel->id});
      else
        give_back(cancelled.plan);
    } else {
      prepare(std::get<sync::SendExchange>(effect));
    }
  }
}

void Agent::Core::prepare(const sync::SendExchange& wanted) {
  outgoing_ = Outgoing{};  // not emplace(): clang++ 14 asks before the nested class is complete
  outgoing_->wanted = wanted;
  outgoing_->ticket = identity_ticket_;
  if (planted(Bug::kStoreFailureStopsControl) && store_failing_) return;
  if (wanted.record_bytes_max > 0 && !store_failing_ && pending_.size() < agent::kPendingStoresMax) {
    outgoing_->probes = search_.accused && !search_.accused->probed;
    if (outgoing_->probes)
      outgoing_->ticket = next_ticket_ - 1;  // it says how far the hub's acks went: that too must be durable
    else
      plan_records(search_.records_at_once);
  }
  proceed();
}

void Agent::Core::plan_records(uint32_t records_max) {
  std::vector<StoreOp> ops;
  outgoing_->plan = outbox_.plan(now_.mono, {outgoing_->wanted.record_bytes_max, records_max}, ops);
  if (!outgoing_->plan.empty()) outgoing_->ticket = std::max(identity_ticket_, opening_ticket_);
  if (!ops.empty()) outgoing_->ticket = store(std::move(ops));
}

// The plan's bytes never left this device: they are the day's to spend again (B2).
void Agent::Core::give_back(const outbox::Plan& plan) {
  std::vector<StoreOp> ops;
  outbox_.refund(plan, ops);
  if (!ops.empty()) store(std::move(ops));
}

// The store fails, and an exchange waits for it: it goes without its records (R1).
void Agent::Core::drop_records_from_outgoing() {
  if (!outgoing_ || outgoing_->sent || outgoing_->load_id != 0) return;
  if (outgoing_->plan.empty() && !outgoing_->probes) return;
  outgoing_->probes = false;
  give_back(std::exchange(outgoing_->plan, {}));
  outgoing_->ticket = identity_ticket_;
  proceed();
}

void Agent::Core::proceed() {
  if (!outgoing_ || outgoing_->sent || outgoing_->load_id != 0 || outgoing_->ticket > stored_ticket_) return;
  agent::LoadRows load;
  for (const outbox::LanePlan& lane : outgoing_->plan.lanes)
    for (const outbox::PlannedRecord& record : lane.records) load.keys.push_back(record.key);
  if (load.keys.empty()) {
    std::vector<sync::StreamPartView> parts;
    if (outgoing_->probes) parts.push_back(probe());
    for (const outbox::LanePlan& lane : outgoing_->plan.lanes)
      parts.push_back({lane.lane, lane.after_seq, lane.through_seq, lane.evicted_count, lane.lost_count, {}});
    return send(parts);
  }
  load.id = outgoing_->load_id = next_load_id_++;
  effects_.push_back(std::move(load));
}

void Agent::Core::on(agent::RowsLoaded&& loaded) {
  if (!outgoing_ || outgoing_->load_id != loaded.id || outgoing_->sent) return;
  if (loaded.error) {  // control goes without them; a later exchange asks for the same records again
    log(agent::Log::Level::kWarning, "store: " + loaded.error->text + "; the records go with a later exchange");
    give_back(std::exchange(outgoing_->plan, {}));
    return send({});
  }
  std::map<std::string_view, std::string_view> rows;
  for (const StoredRow& row : loaded.rows) rows[row.key] = row.value;
  std::vector<sync::StreamPartView> parts;
  for (const outbox::LanePlan& lane : outgoing_->plan.lanes) {
    sync::StreamPartView part{lane.lane, lane.after_seq, lane.through_seq, lane.evicted_count, lane.lost_count, {}};
    for (const outbox::PlannedRecord& planned : lane.records) {
      sync::StreamRecord record{planned.seq, planned.thinning, {}};
      const auto found = rows.find(planned.key);
      if (found != rows.end()) {
        const auto bytes = outbox::Outbox::record_of(found->second);
        if (bytes.ok()) record.record = *bytes;
      }
      outgoing_->record_bytes += record.record.size();
      part.records.push_back(record);
    }
    parts.push_back(std::move(part));
  }
  if (loaded.rows.size() == 1)
    if (const auto bytes = outbox::Outbox::record_of(loaded.rows.front().value); bytes.ok())
      outgoing_->only_record = std::string(*bytes);
  send(parts);
}

void Agent::Core::send(const std::vector<sync::StreamPartView>& parts) {
  wire::ExchangeRequest request = request_head();
  request.set_long_poll_ms(parts.empty() ? outgoing_->wanted.long_poll_ms : 0);
  const std::vector<sync::Unreadable> unreadable = sync::build_streams(parts, request);
  if (!fits_schemas(request)) return;
  if (!unreadable.empty()) {
    std::vector<StoreOp> ops;
    for (const sync::Unreadable& record : unreadable) outbox_.lost(record.lane, record.seq, ops);
    log(agent::Log::Level::kError,
        std::to_string(unreadable.size()) + " records could not be read back: declared lost");
    store(std::move(ops));
  }
  std::set<std::string> named;
  for (const wire::StreamUp& stream : request.streams())
    for (const wire::RecordUp& record : stream.records()) named.insert(record.schema());
  for (const auto& [id, schema] : schemas_)
    if (named.contains(id)) *request.add_schemas() = schema;
  outgoing_->sent = true;
  outgoing_->reported_generation = request.reported().desired_generation();
  effects_.push_back(agent::SendExchange{outgoing_->wanted.id, wire::encode(request),
                                         int64_t{request.long_poll_ms()} + outgoing_->wanted.answer_timeout_ms});
}

// A request names at most so many schemas. If its records have more, a shorter one is planned in its place.
bool Agent::Core::fits_schemas(const wire::ExchangeRequest& request) {
  std::set<std::string> named;
  uint32_t records = 0;
  for (const wire::StreamUp& stream : request.streams())
    for (const wire::RecordUp& record : stream.records()) {
      if (!named.contains(record.schema()) && named.size() == limits::kSchemasPerExchangeMax) {
        give_back(std::exchange(outgoing_->plan, {}));
        outgoing_->record_bytes = outgoing_->load_id = 0;
        plan_records(records);
        proceed();
        return false;
      }
      named.insert(record.schema());
      ++records;
    }
  return true;
}

wire::ExchangeRequest Agent::Core::request_head() const {
  wire::ExchangeRequest request;
  request.set_protocol(limits::kProtocol);
  request.set_agent_version(config_.version);
  request.set_incarnation(incarnation_);
  request.set_boot(boot_);
  request.set_mono_ms(now_.mono.ns / kNsPerMs);
  request.set_unix_ms(now_.unix_ms);
  request.set_waiting_bytes(outbox_.view(now_.mono).waiting_bytes);
  for (const auto& [key, value] : config_.labels) (*request.mutable_labels())[key] = value;
  *request.mutable_counters() = reported_counters();
  wire::Reported& reported = *request.mutable_reported();
  deploy::fill(deploy_view(), reported);
  *reported.mutable_running_sketch() = running_sketch_;
  if (candidate_) *reported.mutable_candidate_sketch() = candidate_sketch_;
  return request;
}

// What is durable, so that neither a crash nor a failing store makes a count go back, plus gauges as of now.
wire::Counters Agent::Core::reported_counters() const {
  wire::Counters out = durable_counters_;
  const outbox::View box = outbox_.view(now_.mono);
  out.set_outbox_records(box.waiting_count);
  out.set_outbox_bytes(box.stored_bytes);
  if (box.oldest_taken_unix_ms > 0 && now_.unix_ms > box.oldest_taken_unix_ms)
    out.set_oldest_waiting_ms(static_cast<uint64_t>(now_.unix_ms - box.oldest_taken_unix_ms));
  out.set_boots(boot_);
  return out;
}

// The outbox keeps these with its own rows; here they are noted as of a ticket, or of what was found at the start.
void Agent::Core::count_outbox(wire::Counters& counters) const {
  const outbox::View box = outbox_.view(now_.mono);
  uint64_t lost = 0;
  for (const outbox::LaneCounts& lane : box.lanes) lost += lane.lost;
  counters.set_lost(lost);
  counters.clear_rules();
  for (size_t i = 0; i < box.rules.size(); ++i) {
    const outbox::RuleCounts& counts = box.rules[i];
    if (counts.selected == 0) continue;
    wire::RuleCount* rule = counters.add_rules();
    rule->set_rule(static_cast<uint32_t>(i + 1));
    rule->set_selected(counts.selected);
    rule->set_uploaded(counts.uploaded);
    rule->set_evicted(counts.evicted);
    rule->set_evicted_weight(counts.evicted_weight);
  }
}

// Moves the time offline up to now into the counters, so that it becomes durable with the next ticket.
void Agent::Core::count_offline() {
  if (online_ || !config_.has_hub) return;
  const int64_t passed_ms = (now_.mono.ns - offline_since_.ns) / kNsPerMs;
  if (passed_ms <= 0) return;
  counters_.set_offline_ms(counters_.offline_ms() + static_cast<uint64_t>(passed_ms));
  offline_since_.ns += passed_ms * kNsPerMs;
}

void Agent::Core::online(bool now_online) {
  if (now_online == online_) return;
  count_offline();
  online_ = now_online;
  if (!online_) {
    offline_since_ = now_.mono;
    return;
  }
  counters_dirty_ = true;
  lazy_wake_ = earlier(lazy_wake_, after_ms(now_.mono, 1'000));
}

void Agent::Core::on(agent::ExchangeDone&& done) {
  if (!outgoing_ || !outgoing_->sent || outgoing_->wanted.id != done.id) return;
  auto decoded = wire::decode_exchange_response(done.response);
  if (!decoded.ok()) {
    if (online_ || decoded.error().text != hub_error_)
      log(agent::Log::Level::kError, "the hub's answer was refused: " + decoded.error().text);
    hub_error_ = decoded.error().text;
    outgoing_.reset();
    online(false);
    return drive_sync(sync::Failed{done.id, true, 0});
  }
  const wire::ExchangeResponse& response = *decoded;
  const Outgoing sent = std::move(*outgoing_);
  outgoing_.reset();
  online(true);
  hub_error_.clear();

  std::vector<StoreOp> ops;
  bool progressed = false;
  if (response.verdict() == wire::STREAM_NEW_INCARNATION && !planted(Bug::kOldImageIgnored)) {
    log(agent::Log::Level::kWarning,
        "this store is an old copy: going on under a new incarnation; what waits here is kept");
    new_incarnation();
  } else {
    for (const wire::StreamAck& ack : response.acks()) {
      if (ack.lane() < 1 || ack.lane() > outbox::kLanesCount) continue;
      const auto lane = static_cast<Lane>(ack.lane());
      const size_t before = ops.size();
      for (const outbox::LanePlan& plan : sent.plan.lanes) {
        if (plan.lane != lane) continue;
        for (const outbox::PlannedRecord& record : plan.records)
          if (record.seq <= ack.through_seq()) counters_.set_bytes_up(counters_.bytes_up() + record.bytes);
      }
      outbox_.acked(lane, ack.through_seq(), ops);
      progressed = progressed || ops.size() > before;
    }
  }
  outbox_.hub_time(now_.mono, planted(Bug::kBudgetByWallClock) ? now_.unix_ms : response.unix_ms(), ops);
  if (!ops.empty()) {
    counters_dirty_ = true;
    store(std::move(ops));
  }
  note_taken(sent, response);
  drive_sync(sync::Answered{done.id, sent.record_bytes, progressed, response.drained(), response.grant(),
                            response.desired().generation(),
                            response.desired().generation() != sent.reported_generation});
  if (local_)
    refuse_for_local(response.desired());
  else
    drive_deploy(deploy::DesiredSeen{response.desired()});
  tell_waiting();
}

void Agent::Core::on(agent::ExchangeFailed&& failed) {
  if (!outgoing_ || !outgoing_->sent || outgoing_->wanted.id != failed.id) return;
  using Got = agent::ExchangeFailed::Got;
  const bool reached = failed.got != Got::kNowhere || failed.retry_after_ms > 0;
  // Told when it changes, not at every try.
  if (online_ || failed.error.text != hub_error_)
    log(agent::Log::Level::kWarning, "hub: " + std::string(trim(failed.error.text)) + "; going on without it");
  hub_error_ = failed.error.text;
  const Outgoing sent = std::move(*outgoing_);
  outgoing_.reset();
  if (failed.refused) note_refused(sent, failed.error.text);
  if (failed.got != Got::kSent || planted(Bug::kBudgetGivenBack)) give_back(sent.plan);
  online(false);
  drive_sync(sync::Failed{failed.id, reached,
                          static_cast<uint32_t>(std::clamp<int64_t>(failed.retry_after_ms, 0, 86'400'000))});
}

void Agent::Core::tell_waiting() {
  const outbox::View view = outbox_.view(now_.mono);
  drive_sync(sync::Waiting{view.sendable_bytes, view.critical_waiting});
}

// A change of what runs is worth a contact of its own; progress of a download is not.
void Agent::Core::notice_report_change() {
  const deploy::View view = deploy_.view();
  std::string report = view.running_digest + "/" + std::to_string(view.running_generation) + "/" +
                       std::to_string(view.desired_generation) + "/" + std::to_string(view.quarantined.size());
  if (view.phase != wire::DEPLOY_FETCHING && view.phase != wire::DEPLOY_VERIFYING)
    report += "/" + std::to_string(view.phase);
  if (report == last_report_) return;
  const bool first = last_report_.empty();
  last_report_ = std::move(report);
  if (!first) drive_sync(sync::Urgent{});
}

}  // namespace wb
