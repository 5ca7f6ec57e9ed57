#include "edge/agent/agent.h"

#include <algorithm>

#include "base/planted.h"
#include "edge/agent/core.h"

namespace wb {
namespace {

constexpr std::string_view kIncarnation = "agent/incarnation";
constexpr std::string_view kBoot = "agent/boot";
constexpr std::string_view kSeed = "agent/seed";
constexpr std::string_view kCounters = "agent/counters";
constexpr std::string_view kBudget = "agent/budget";
constexpr std::string_view kSchema = "schema/";
constexpr std::string_view kPosition = "source/";

StoreOp put(std::string_view key, std::string value) {
  return StoreOp{NodeTable::kState, std::string(key), std::move(value), false};
}

}  // namespace

Result<std::unique_ptr<Agent::Core>> Agent::Core::open(AgentConfig config, const StoredState& found,
                                                       std::vector<deploy::SlotFile> slots, Prng prng,
                                                       std::optional<LocalPipeline> local) {
  WB_TRY(outbox::Opened opened, outbox::Outbox::open(config.outbox, found, Instant{0}));
  auto deploy = deploy::Deploy::open(config.deploy, found.rows, std::move(slots), prng.split());
  sync::Sync sync(config.sync, Instant{0}, prng.split());
  auto core = std::unique_ptr<Core>(
      new Core(std::move(config), std::move(opened.outbox), std::move(deploy), sync, prng.split()));
  core->read_state(found);
  core->damaged_rows_ = found.damaged_rows_count + opened.damaged_heads_count;
  core->counters_.set_damaged_rows(core->counters_.damaged_rows() + core->damaged_rows_);
  core->opening_ops_ = std::move(opened.ops);
  core->count_outbox(core->durable_counters_);
  core->local_ = std::move(local);

  // Until something serves, what served last says how much may go; if that was lost with a damaged row, nothing (B2).
  if (core->budget_bytes_per_day_)
    core->outbox_.set_budget(*core->budget_bytes_per_day_);
  else if (core->boot_ > 0)
    core->outbox_.set_budget(0);
  ++core->boot_;
  core->counters_.set_boots(core->boot_);
  if (planted(Bug::kBootNotCounted) && core->boot_ > 1) --core->boot_;
  core->opening_ops_.push_back(put(kBoot, key_u64(core->boot_)));
  if (core->incarnation_.size() != 16 || opened.new_incarnation_needed) core->new_incarnation();
  if (core->seed_ == 0) {
    core->seed_ = core->prng_.next() | 1U;
    core->opening_ops_.push_back(put(kSeed, key_u64(core->seed_)));
  }
  if (core->local_) {
    WB_TRY(core->running_, core->build_local(*core->local_));
  }
  return core;
}

void Agent::Core::read_state(const StoredState& found) {
  for (const StoredRow& row : found.rows) {
    if (row.table != NodeTable::kState) continue;
    if (row.key == kIncarnation && row.value.size() == 16) incarnation_ = row.value;
    if (row.key == kBoot && row.value.size() == 8) boot_ = read_u64_be(row.value);
    if (row.key == kSeed && row.value.size() == 8) seed_ = read_u64_be(row.value);
    if (row.key == kBudget && row.value.size() == 8) budget_bytes_per_day_ = read_u64_be(row.value);
    if (row.key == kCounters && !counters_.ParseFromString(row.value)) counters_.Clear();
    if (row.key.rfind(kPosition, 0) == 0) positions_[row.key.substr(kPosition.size())] = row.value;
    if (row.key.rfind(kSchema, 0) == 0) {
      wire::SchemaDef schema;
      if (schema.ParseFromString(row.value) && wire::from_wire(schema).ok()) schemas_[schema.id()] = schema;
    }
  }
  durable_counters_ = counters_;
}

// Records wait until it is durable: a crash must not leave more to spend than this.
void Agent::Core::set_budget(uint64_t bytes_per_day) {
  outbox_.set_budget(bytes_per_day);
  if (budget_bytes_per_day_ == bytes_per_day) return;
  budget_bytes_per_day_ = bytes_per_day;
  opening_ticket_ = store({put(kBudget, key_u64(bytes_per_day))});
}

// Also called while opening: then the ops go with the first ticket.
void Agent::Core::new_incarnation() {
  incarnation_.clear();
  append_u64_be(incarnation_, prng_.next());
  append_u64_be(incarnation_, prng_.next());
  incarnation_is_new_ = true;
  std::vector<StoreOp> ops{put(kIncarnation, incarnation_)};
  if (boot_ > 0 && next_ticket_ > 1) {
    outbox_.rebase(ops);
    identity_ticket_ = store(std::move(ops));
  } else {
    outbox_.rebase(ops);
    opening_ops_.insert(opening_ops_.end(), ops.begin(), ops.end());
  }
}

void Agent::Core::on(agent::Opened&&) {
  offline_since_ = now_.mono;
  opening_ticket_ = store(std::exchange(opening_ops_, {}));
  if (incarnation_is_new_) identity_ticket_ = opening_ticket_;
  if (damaged_rows_ > 0) {
    const std::string text = "the store had " + std::to_string(damaged_rows_) +
                             " damaged rows: they were set aside, the loss is counted and reported";
    log(agent::Log::Level::kWarning, text);
    tell(NodeEvent::kStoreDamaged, "", "", text);
  }
  if (running_) serve_again();
  drive_deploy(deploy::Opened{});
  drive_sync(sync::Woke{});
  tell_waiting();
}

void Agent::Core::on(agent::Wake&&) {
  if (store_wake_ <= now_.mono) retry_stores();
  if (lazy_wake_ <= now_.mono) store_lazily();
  if (space_wake_ <= now_.mono) ask_for_space();
  if (hold_wake_ <= now_.mono) submit_held();
  if (deploy_wake_ <= now_.mono) drive_deploy(deploy::Wake{});
  drive_sync(sync::Woke{});
}

void Agent::Core::on(agent::Stopping&&) {
  drive_deploy(deploy::Stopping{});
  store_lazily();
  submit_held();
}

void Agent::Core::log(agent::Log::Level level, std::string text) {
  effects_.push_back(agent::Log{level, std::move(text)});
}

Step<agent::Effect> Agent::Core::step(Moment now, agent::Event&& event) {
  now_ = now;
  std::visit([this](auto&& e) { on(std::forward<decltype(e)>(e)); }, std::move(event));
  if (std::exchange(event_waits_, false)) tell_waiting();
  notice_report_change();
  Step<agent::Effect> out;
  out.effects = std::exchange(effects_, {});
  out.wake_at = earlier(earlier(sync_wake_, deploy_wake_),
                        earlier(earlier(lazy_wake_, store_wake_), earlier(space_wake_, hold_wake_)));
  return out;
}

std::string Agent::Core::position(const std::string& key) const {
  const auto found = positions_.find(key);
  return found == positions_.end() ? std::string() : found->second;
}

AgentView Agent::Core::view() const {
  AgentView out;
  out.node_id = config_.node_id;
  out.deploy = deploy_view();
  out.hub_error = hub_error_;
  out.outbox = outbox_.view(now_.mono);
  out.sync = sync_.view();
  out.counters = reported_counters();
  if (!online_ && config_.has_hub)  // the owner of the device sees it run; the hub is told what is durable
    out.counters.set_offline_ms(counters_.offline_ms() +
                                static_cast<uint64_t>((now_.mono.ns - offline_since_.ns) / kNsPerMs));
  out.pipeline = serving() != nullptr ? serving()->name() : "";
  out.local = local_.has_value();
  out.has_hub = config_.has_hub;
  out.store_failures = store_failures_;
  out.store_error = store_error_.empty() ? no_space_ : store_error_;
  out.busy_refused = busy_refused_;
  out.stale_epoch = stale_epoch_;
  return out;
}

Agent::Agent(std::unique_ptr<Core> core) : core_(std::move(core)) {}
Agent::Agent(Agent&&) noexcept = default;
Agent& Agent::operator=(Agent&&) noexcept = default;
Agent::~Agent() = default;

Result<Agent> Agent::open(AgentConfig config, const StoredState& found, std::vector<deploy::SlotFile> slots, Prng prng,
                          std::optional<LocalPipeline> local) {
  WB_TRY(auto core, Core::open(std::move(config), found, std::move(slots), prng, std::move(local)));
  return Agent(std::move(core));
}

Step<agent::Effect> Agent::step(Moment now, const agent::Event& event) { return core_->step(now, agent::Event(event)); }
Step<agent::Effect> Agent::step(Moment now, agent::Event&& event) { return core_->step(now, std::move(event)); }
AgentView Agent::view() const { return core_->view(); }
const Pipeline* Agent::serving() const { return core_->serving(); }
uint64_t Agent::serving_epoch() const { return core_->epoch(); }
std::string Agent::position(const std::string& key) const { return core_->position(key); }

}  // namespace wb
