// One contact, and everything an operator may change. Each stage decides its own part; here is only the order.
#include "hub/api/hub.h"

#include <algorithm>
#include <cstdlib>

#include "base/age.h"
#include "base/bytes.h"
#include "base/planted.h"
#include "base/prng.h"
#include "base/typed_rows.h"
#include "hub/api/audit.h"
#include "hub/api/dataset.h"
#include "hub/dispatch/dispatch.h"
#include "hub/ingest/ingest.h"
#include "hub/registry/registry.h"
#include "hub/rollout/rollout.h"
#include "hub/telemetry/telemetry.h"

namespace wb::hub {
namespace {

// Nodes that were parked together must not come back together, time after time: each answer of such a crowd would say
// how full the hub is just then.
constexpr uint32_t kHoldSpreadPart = 4;
constexpr uint32_t kHoldSpreadFromMs = 10'000;  // shorter ones follow records that flow and are spread by them
constexpr uint64_t kHerdSpreadMaxMs = 300'000;
constexpr int64_t kSameTimeMs = 60'000;
constexpr int64_t kScanGapMs = 200;  // "at once" has its limit too

FleetNode view_of(const pb::Node& node) {
  FleetNode out;
  out.id = node.id();
  out.labels = labels_of(node);
  out.last_contact_ms = node.last_contact_ms();
  out.revoked = node.revoked();
  out.quarantined.assign(node.quarantined().begin(), node.quarantined().end());
  out.assigned_rollout = node.desired().rollout();
  return out;
}

Fleet fleet_of(Rows& rows) {
  return [&rows](const std::function<void(const FleetNode&)>& visit) {
    each_node(rows, "", [&](const pb::Node& node) {
      visit(view_of(node));
      return true;
    });
  };
}

void note_contact(Rows& rows, Moment now, const pb::Node& node, int64_t last_ms, int64_t dark_after_ms) {
  pb::Event event;
  event.set_node(node.id());
  if (last_ms == 0) {
    event.set_kind("first_contact");
  } else if (age_ms(now.unix_ms, last_ms) > dark_after_ms) {
    event.set_kind("back");
    event.set_text("after " + format_duration_ms(age_ms(now.unix_ms, last_ms)) + " without contact");
  } else {
    return;
  }
  note(rows, now, event);
}

void note_loss(Rows& rows, Moment now, std::string_view node_id, const IngestOutcome& taken) {
  if (taken.hub_gap == 0 && taken.verdict == wire::STREAM_OK) return;
  pb::Event event;
  event.set_node(std::string(node_id));
  event.set_kind(taken.hub_gap > 0 ? "hub_gap" : "old_image");
  event.set_text(
      taken.hub_gap > 0
          ? std::to_string(taken.hub_gap) +
                " records were acked once and are not here any more: this hub was restored from an older backup"
          : "this node's store is an old copy; it was told to take a new incarnation");
  note(rows, now, event);
}

// What the node tells of itself, under its name and under the release concerned. Its clock may read anything, and it
// may have been dark since: where the two clocks differ, the event says what the node's read.
void note_events(Rows& rows, Moment now, std::string_view node_id, const IngestOutcome& taken) {
  for (const wire::RecordUp& told : taken.events) {
    pb::Event event;
    event.set_node(std::string(node_id));
    event.set_kind(std::string(event_name(static_cast<NodeEvent>(told.event()))));
    if (event.kind().empty()) event.set_kind("node_event");  // of a newer agent
    event.set_digest(told.release());
    if (told.texts_size() > 0) event.set_name(fit_text(told.texts(0), limits::kLabelBytesMax));
    std::string text = told.reason();
    if (std::abs(now.unix_ms - told.event_time_ms()) > kSameTimeMs)
      text += " (by the node's clock at " + format_time(told.event_time_ms()) + ")";
    event.set_text(text);
    note(rows, now, event);
  }
}

bool brings_records(const wire::ExchangeRequest& request) {
  return std::any_of(request.streams().begin(), request.streams().end(),
                     [](const wire::StreamUp& stream) { return stream.through_seq() > stream.after_seq(); });
}

}  // namespace

int64_t Hub::up_ms(Moment now) {
  if (!started_) started_ = now.mono;
  return std::max<int64_t>(0, (now.mono.ns - started_->ns) / kNsPerMs);
}

void Hub::apply(Rows& rows, Moment now, const RolloutNews& news, std::string_view actor) {
  for (const RolloutNews::Item& item : news.items) {
    pb::Event event;
    event.set_kind(item.kind);
    event.set_node(item.node);
    event.set_digest(item.digest);
    event.set_name(item.name);
    event.set_rollout(item.rollout);
    event.set_text(item.text);
    note(rows, now, event);
    if (item.node.empty() && !planted(Bug::kAuditSkipped))
      audit(rows, now, actor, item.kind, item.rollout, item.name + ": " + item.text);
  }
  wakes_.insert(wakes_.end(), news.wakes.begin(), news.wakes.end());
  if (news.wake_all) wakes_.emplace_back();
}

bool Hub::settle(Rows& rows, Moment now, pb::Node& node, const wire::Reported* reported, bool& scan_now,
                 int64_t& contact_within_ms) {
  RolloutNews news;
  const Entitlement entitled = contact(rows, now, view_of(node), reported, news);
  apply(rows, now, news, "hub");
  scan_now = scan_now || news.scan_now;
  contact_within_ms = entitled.contact_within_ms;
  pb::Assignment wanted;
  if (entitled.keep) {
    wanted = node.desired();
  } else {
    wanted.set_digest(entitled.digest);
    wanted.set_name(entitled.name);
    wanted.set_size_bytes(entitled.size_bytes);
    wanted.set_rollout(entitled.rollout);
    wanted.set_probation_records(entitled.probation_records);
    wanted.set_probation_ms(entitled.probation_ms);
  }
  if (!assign(now, node, wanted, reported != nullptr ? reported->desired_generation() : 0)) return false;
  pb::Event event;
  event.set_kind("assigned");
  event.set_node(node.id());
  event.set_digest(node.desired().digest());
  event.set_name(node.desired().name());
  event.set_rollout(node.desired().rollout());
  event.set_text("generation " + std::to_string(node.desired().generation()));
  note(rows, now, event);
  return true;
}

bool Hub::scan_if_due(Rows& rows, Moment now, bool at_once) {
  if (!scan_due(rows, now, at_once ? kScanGapMs : kScanEveryMs)) return false;
  RolloutNews news;
  scan_rollouts(rows, now, up_ms(now), fleet_of(rows), news);
  apply(rows, now, news, "hub");
  return true;
}

wire::ExchangeResponse Hub::answer(Moment now, const pb::Node& node, int64_t contact_within_ms) const {
  wire::ExchangeResponse out;
  out.set_protocol(limits::kProtocol);
  out.set_hub_version(config_.version);
  out.set_unix_ms(now.unix_ms);
  *out.mutable_desired() = to_wire(node.desired());
  // Grants shrink as the server fills: first slower, then later, at last no records at all (L1).
  const uint64_t busy = std::min<uint32_t>(load_permille_, 1'000);
  wire::Grant* grant = out.mutable_grant();
  grant->set_drain_bytes_per_s(
      busy >= config_.drained_at_permille ? 0 : config_.drain_bytes_per_s * (1'000 - busy) / 1'000);
  uint64_t next_ms = config_.next_contact_ms + config_.next_contact_ms * busy * 3 / 1'000;
  if (contact_within_ms > 0) next_ms = std::min<uint64_t>(next_ms, static_cast<uint64_t>(contact_within_ms));
  grant->set_next_contact_ms(static_cast<uint32_t>(next_ms));
  // After an outage the whole fleet is back within about one floor: as long as that many handshakes take.
  const uint64_t herd_ms = std::min<uint64_t>(connected_ * 1'000 / config_.reconnects_per_s, kHerdSpreadMaxMs);
  const uint64_t floor_ms = config_.jitter_floor_ms + config_.jitter_floor_ms * busy * 9 / 1'000;
  grant->set_jitter_floor_ms(static_cast<uint32_t>(std::max(floor_ms, herd_ms)));
  grant->set_max_request_bytes(limits::kExchangeRequestBytesMax);
  return out;
}

Result<ExchangeOutcome> Hub::exchange(Rows& rows, Moment now, std::string_view node_id,
                                      const wire::ExchangeRequest& request, std::string_view serial) {
  (void)up_ms(now);
  auto node = find_node(rows, node_id);
  WB_CHECK(admit(node, node_id, serial));
  use_certificate(*node, serial);
  const int64_t last_ms = node->last_contact_ms();
  if (touch(now, *node, request)) mark_fleet_changed(rows);
  note_contact(rows, now, *node, last_ms, config_.dark_after_ms);
  const bool drained = load_permille_ >= config_.drained_at_permille && brings_new(rows, node_id, request);
  IngestOutcome taken;
  if (!drained) taken = ingest(rows, now, node_id, request);
  note_loss(rows, now, node_id, taken);
  note_events(rows, now, node_id, taken);
  record_report(rows, now, node_id, request);

  bool scan_now = false;
  int64_t contact_within_ms = 0;
  const wire::Reported* reported = request.has_reported() ? &request.reported() : nullptr;
  (void)settle(rows, now, *node, reported, scan_now, contact_within_ms);
  save_node(rows, *node);
  // The scan may have opened a wave for this very node: it should not have to call again to hear of it.
  if (scan_if_due(rows, now, scan_now) && settle(rows, now, *node, reported, scan_now, contact_within_ms))
    save_node(rows, *node);

  ExchangeOutcome out;
  out.response = answer(now, *node, contact_within_ms);
  for (const wire::StreamAck& ack : taken.acks) *out.response.add_acks() = ack;
  out.response.set_verdict(taken.verdict);
  out.response.set_drained(drained);
  if (drained) out.response.set_note("the hub is busy: records were not taken, keep them and come back later");
  const bool news = brings_records(request) || taken.verdict != wire::STREAM_OK ||
                    node->desired().generation() != request.reported().desired_generation();
  if (!news) {
    out.hold_ms = std::min(request.long_poll_ms(), config_.long_poll_max_ms);
    if (out.hold_ms >= kHoldSpreadFromMs)
      out.hold_ms -= static_cast<uint32_t>(keyed_hash(static_cast<uint64_t>(now.mono.ns), node_id) %
                                           (out.hold_ms / kHoldSpreadPart));
    if (contact_within_ms > 0) out.hold_ms = static_cast<uint32_t>(std::min<int64_t>(out.hold_ms, contact_within_ms));
  }
  return out;
}

Result<wire::ExchangeResponse> Hub::resume(Rows& rows, Moment now, std::string_view node_id) {
  auto node = find_node(rows, node_id);
  WB_CHECK(admit(node, node_id, {}));
  bool scan_now = false;
  int64_t contact_within_ms = 0;
  if (settle(rows, now, *node, nullptr, scan_now, contact_within_ms)) save_node(rows, *node);
  return answer(now, *node, contact_within_ms);
}

void Hub::tick(Rows& rows, Moment now) {
  (void)up_ms(now);
  (void)scan_if_due(rows, now, false);
}

std::vector<std::string> Hub::take_wakes() {
  std::vector<std::string> out = std::move(wakes_);
  wakes_.clear();
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

// ---- enrolment

Status Hub::create_token(Rows& rows, Moment now, const TokenRequest& request) {
  WB_CHECK(hub::create_token(rows, now, NewToken{request.secret, request.lifetime_ms, request.labels, request.actor}));
  audit(rows, now, request.actor, "token_created", "", "for " + format_duration_ms(request.lifetime_ms));
  return ok_status();
}

Result<EnrolOutcome> Hub::enrol(Rows& rows, Moment now, const wire::EnrolRequest& request, std::string_view entropy) {
  WB_TRY(const EnrolDecision decision, decide_enrolment(rows, now, request, entropy));
  EnrolOutcome out;
  if (decision.replay.empty()) {
    out.issue = IssueCertificate{
        decision.node_id, request.csr_der(), decision.token_key, {request.labels().begin(), request.labels().end()}};
    return out;
  }
  WB_TRY(out.response, wire::decode_enrol_response(decision.replay));
  return out;
}

Result<IssueCertificate> Hub::renew(Rows& rows, std::string_view node_id, std::string_view serial,
                                    const wire::EnrolRequest& request) {
  WB_CHECK(admit(find_node(rows, node_id), node_id, serial));
  if (request.csr_der().empty()) return fail(Code::kInvalid, "the renewal has no certificate request in it");
  return IssueCertificate{std::string(node_id), request.csr_der(), ""};
}

// The old certificate serves until the new one is used: a crash on either side leaves a usable credential (I2).
Result<wire::EnrolResponse> Hub::finish_renewal(Rows& rows, Moment now, const IssueCertificate& issued,
                                                std::string_view serial, wire::EnrolResponse response) {
  auto node = find_node(rows, issued.node_id);
  if (!node) return fail(Code::kDenied, "node '", issued.node_id, "' is not known to this hub");
  node->set_next_serial(std::string(serial));
  save_node(rows, *node);
  audit(rows, now, "node:" + node->id(), "certificate_renewed", node->id(), "certificate " + std::string(serial));
  return response;
}

Result<wire::EnrolResponse> Hub::finish_enrolment(Rows& rows, Moment now, const IssueCertificate& issued,
                                                  std::string_view serial, std::string_view certificate_pem,
                                                  std::string_view ca_pem) {
  wire::EnrolResponse response;
  response.set_node_id(issued.node_id);
  response.set_certificate_pem(std::string(certificate_pem));
  response.set_ca_pem(std::string(ca_pem));
  if (issued.token_key.empty()) return finish_renewal(rows, now, issued, serial, std::move(response));
  for (const pb::PublisherKey& key : trusted_keys(rows)) response.add_release_keys(key.public_key());
  WB_TRY(pb::Node node, complete_enrolment(rows, now, issued.token_key, issued.node_id, issued.csr_der, serial,
                                           wire::encode(response)));
  set_own_labels(node, issued.labels);
  save_node(rows, node);
  mark_fleet_changed(rows);
  audit(rows, now, "node:" + node.id(), "node_enrolled", node.id(), "certificate " + std::string(serial));
  pb::Event event;
  event.set_node(node.id());
  event.set_kind("enrolled");
  note(rows, now, event);
  return response;
}

// ---- releases

Status Hub::trust_key(Rows& rows, Moment now, std::string_view public_key, std::string_view name,
                      std::string_view actor) {
  WB_CHECK(hub::trust_key(rows, now, public_key, name));
  audit(rows, now, actor, "key_trusted", wire::key_id(public_key), name);
  return ok_status();
}

Result<pb::ReleaseRow> Hub::push_release(Rows& rows, Moment now, std::string_view artifact, std::string_view actor) {
  WB_TRY(Pushed pushed, hub::push_release(rows, now, artifact, actor));
  if (!pushed.fresh) return pushed.row;
  audit(rows, now, actor, "release_pushed", pushed.row.digest(), pushed.row.name() + "@" + pushed.row.version());
  pb::Event event;
  event.set_digest(pushed.row.digest());
  event.set_name(pushed.row.name() + "@" + pushed.row.version());
  event.set_kind("pushed");
  event.set_text("by " + std::string(actor));
  note(rows, now, event);
  return pushed.row;
}

Result<Hub::ArtifactRange> Hub::read_artifact(Rows& rows, std::string_view digest, uint64_t offset,
                                              uint64_t length) const {
  const auto release = find_release(rows, digest);
  if (!release)
    return fail(Code::kNotFound, "there is no release ", digest.substr(0, 64),
                " here; `waybill release list` shows them");
  ArtifactRange out;
  out.total_bytes = release->size_bytes();
  WB_TRY(out.bytes, hub::read_artifact(rows, *release, offset, length));
  return out;
}

// ---- rollouts

namespace {
Result<RolloutStart> to_start(Rows& rows, const Hub::RolloutSpec& spec, int64_t dark_after_ms) {
  const auto release = find_release(rows, spec.release);
  if (!release) {
    std::vector<std::string> names;
    for (const auto& known : list_releases(rows)) names.push_back(known.name() + "@" + known.version());
    return fail(Code::kNotFound, "there is no release '", spec.release, "' here",
                names.empty() ? "; push one with `waybill release push`" : suggestion(spec.release, names));
  }
  RolloutStart out;
  out.digest = release->digest();
  out.name = release->name() + "@" + release->version();
  out.size_bytes = release->size_bytes();
  out.selector = spec.selector;
  out.waves_percent = spec.waves_percent;
  out.dark_after_ms = spec.dark_after_ms > 0 ? spec.dark_after_ms : dark_after_ms;
  out.max_failure_permille = spec.max_failure_permille;
  out.probation_records = spec.probation_records;
  out.probation_ms = spec.probation_ms;
  out.supersede = spec.supersede;
  out.allow_halted = spec.allow_halted;
  out.actor = spec.actor;
  return out;
}
}  // namespace

namespace {
// As the scan has left it. Not there if reading failed: then nothing of this transaction will have happened.
Result<pb::Rollout> as_stored(Rows& rows, std::string_view id) {
  auto rollout = find_rollout(rows, id);
  if (!rollout) return fail(Code::kUnavailable, "rollout ", id, " cannot be read; try again");
  return std::move(*rollout);
}
}  // namespace

Result<Hub::RolloutPlan> Hub::plan_rollout(Rows& rows, Moment now, const RolloutSpec& spec) {
  WB_TRY(const RolloutStart start, to_start(rows, spec, config_.dark_after_ms));
  WB_TRY(const RolloutCensus census, hub::plan_rollout(now, start, fleet_of(rows)));
  RolloutPlan out;
  out.matching = census.matching;
  out.reachable = census.reachable;
  for (const PlannedWave& wave : census.waves) out.waves.push_back({wave.percent, wave.nodes});
  return out;
}

Result<pb::Rollout> Hub::start_rollout(Rows& rows, Moment now, const RolloutSpec& spec) {
  WB_TRY(const RolloutStart start, to_start(rows, spec, config_.dark_after_ms));
  RolloutNews news;
  WB_TRY(const pb::Rollout rollout, hub::start_rollout(rows, now, start, fleet_of(rows), news));
  apply(rows, now, news, spec.actor);
  (void)scan_if_due(rows, now, true);
  return as_stored(rows, rollout.id());
}

Result<pb::Rollout> Hub::command_rollout(Rows& rows, Moment now, std::string_view id, RolloutCommand what,
                                         std::string_view actor) {
  RolloutNews news;
  WB_TRY(const pb::Rollout rollout, command(rows, now, id, static_cast<RolloutAction>(what), actor, news));
  apply(rows, now, news, actor);
  (void)scan_if_due(rows, now, true);
  return as_stored(rows, rollout.id());
}
static_assert(static_cast<int>(Hub::RolloutCommand::kAbortAndRollBack) ==
              static_cast<int>(RolloutAction::kAbortAndRollBack));

// ---- nodes

Status Hub::set_labels(Rows& rows, Moment now, std::string_view node_id,
                       const std::vector<std::pair<std::string, std::optional<std::string>>>& changes,
                       std::string_view actor) {
  auto node = find_node(rows, node_id);
  if (!node) return fail(Code::kNotFound, "there is no node '", node_id, "'; `waybill node list` shows them");
  const std::string before = node->SerializeAsString();
  WB_CHECK(change_labels(*node, changes));
  if (node->SerializeAsString() == before) return ok_status();
  save_node(rows, *node);
  mark_fleet_changed(rows);
  std::string detail;
  for (const auto& [key, value] : changes)
    detail += (detail.empty() ? "" : ", ") + key + (value ? "=" + *value : " removed");
  audit(rows, now, actor, "node_labelled", node_id, detail);
  wakes_.emplace_back(node_id);
  return ok_status();
}

Status Hub::revoke_node(Rows& rows, Moment now, std::string_view node_id, std::string_view actor) {
  auto node = find_node(rows, node_id);
  if (!node) return fail(Code::kNotFound, "there is no node '", node_id, "'; `waybill node list` shows them");
  if (node->revoked()) return ok_status();
  node->set_revoked(true);
  save_node(rows, *node);
  mark_fleet_changed(rows);
  audit(rows, now, actor, "node_revoked", node_id, "");
  wakes_.emplace_back(node_id);
  return ok_status();
}

}  // namespace wb::hub
