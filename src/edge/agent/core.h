#pragma once
// The inside of Agent: state and the handlers, split by story. data.cpp: batches in; exchange.cpp: talking to the hub;
// refusal.cpp: records that it refuses; events.cpp: what happens to the node itself; release.cpp: what runs;
// tickets.cpp: the one store; agent.cpp: opening, dispatch, view.

#include <set>
#include <string>

#include "edge/agent/agent.h"
#include "edge/agent/flash_pace.h"

namespace wb {

class Agent::Core {
 public:
  using Effects = std::vector<agent::Effect>;

  static Result<std::unique_ptr<Core>> open(AgentConfig config, const StoredState& found,
                                            std::vector<deploy::SlotFile> slots, Prng prng,
                                            std::optional<LocalPipeline> local);
  Step<agent::Effect> step(Moment now, agent::Event&& event);
  AgentView view() const;
  const Pipeline* serving() const { return candidate_serves_ ? candidate_.get() : running_.get(); }
  uint64_t epoch() const { return epoch_; }
  std::string position(const std::string& key) const;

 private:
  Core(AgentConfig config, outbox::Outbox opened, deploy::Deploy deploy, const sync::Sync& sync, Prng prng)
      : config_(std::move(config)),
        outbox_(std::move(opened)),
        deploy_(std::move(deploy)),
        sync_(sync),
        prng_(prng),
        flash_pace_(config_.flash_bytes_per_day) {}

  // ---- agent.cpp
  void read_state(const StoredState& found);
  void on(agent::Opened&&);
  void on(agent::Wake&&);
  void on(agent::Stopping&&);
  void on(agent::ActionsDone&& done) { counters_.set_actions(counters_.actions() + done.count); }
  void log(agent::Log::Level level, std::string text);

  // ---- data.cpp
  void on(agent::SourceBatch&& source);
  void on(agent::SourcesEnded&&);
  void on(agent::ShadowRun&&);
  void on(agent::Latency&& latency);
  void answer_busy(uint64_t answer_id, uint64_t& counter);
  void take(PipelineOutcome&& outcome, std::vector<outbox::Offer>& offers);
  void keep(std::vector<outbox::Offer> offers, std::optional<agent::Answer> answer);
  void note_schema(std::vector<StoreOp>& ops);

  // ---- tickets.cpp
  // Appends the op set as the next ticket. `then` says what waits for it.
  struct Pending {
    uint64_t ticket = 0;
    std::vector<StoreOp> ops;
    std::vector<agent::Answer> answers;
    uint64_t deploy_ticket = 0;  // 0 = none
    wire::Counters counters;     // as of this ticket
  };
  uint64_t store(std::vector<StoreOp> ops, std::optional<agent::Answer> answer = std::nullopt,
                 uint64_t deploy_ticket = 0);
  uint64_t queue(std::vector<StoreOp> ops, std::optional<agent::Answer> answer, uint64_t deploy_ticket);
  void store_soon(std::vector<StoreOp> ops, std::optional<agent::Answer> answer);
  void submit_held();
  void submit(const Pending& pending);
  void store_lazily();  // counters and positions that no producer waits for
  void on(agent::Stored&& stored);
  void on(agent::StoreFailed&& failed);
  void note_space(std::string no_space);
  void ask_for_space();
  void retry_stores();
  void make_room_in_pending();
  void join_unsubmitted();

  // ---- events.cpp
  void tell(NodeEvent event, const std::string& digest, const std::string& name, const std::string& text);

  // ---- exchange.cpp
  void on(agent::RowsLoaded&& loaded);
  void on(agent::ExchangeDone&& done);
  void on(agent::ExchangeFailed&& failed);
  void drive_sync(const sync::Event& event);
  void prepare(const sync::SendExchange& wanted);
  void plan_records(uint32_t records_max);
  void proceed();  // with the exchange that waits for a ticket
  void send(const std::vector<sync::StreamPartView>& parts);
  void tell_waiting();
  wire::ExchangeRequest request_head() const;
  wire::Counters reported_counters() const;
  void count_outbox(wire::Counters& counters) const;
  void count_offline();
  void give_back(const outbox::Plan& plan);
  void drop_records_from_outgoing();
  bool fits_schemas(const wire::ExchangeRequest& request);
  void new_incarnation();
  void online(bool now_online);

  // ---- refusal.cpp
  struct Outgoing;
  void note_refused(const Outgoing& sent, const std::string& text);
  void note_taken(const Outgoing& sent, const wire::ExchangeResponse& response);
  void condemn(Lane lane, uint64_t seq, const std::string& record, const std::string& text);
  sync::StreamPartView probe() const;

  // ---- release.cpp
  void on(agent::DeployEvent&& event);
  void drive_deploy(const deploy::Event& event);
  void perform(deploy::Effect&& effect, std::deque<deploy::Event>& follow_up);
  deploy::Loaded load_candidate(const wire::Release& release);
  deploy::Loaded run_release(const wire::Release& release);
  Result<std::unique_ptr<Pipeline>> build(const wire::Release& release);
  Result<std::unique_ptr<Pipeline>> build_local(const LocalPipeline& local);
  void refuse_for_local(const wire::Desired& desired);
  deploy::View deploy_view() const;
  void serve_again();  // what serves has changed
  void set_budget(uint64_t bytes_per_day);
  void feed_scores();
  void notice_report_change();

  AgentConfig config_;
  outbox::Outbox outbox_;
  deploy::Deploy deploy_;
  sync::Sync sync_;
  Prng prng_;
  Moment now_;
  Effects effects_;

  // identity of this store
  std::string incarnation_;
  uint64_t boot_ = 0;
  uint64_t seed_ = 0;
  std::optional<uint64_t> budget_bytes_per_day_;  // of what served last
  uint64_t damaged_rows_ = 0;
  std::vector<StoreOp> opening_ops_;
  std::optional<LocalPipeline> local_;
  std::vector<wire::Quarantined> refused_for_local_;  // oldest first, at most kQuarantinedMax
  uint64_t heard_generation_ = 0;                     // of an assignment, while local_

  // what serves
  std::unique_ptr<Pipeline> running_;
  std::unique_ptr<Pipeline> candidate_;
  bool candidate_serves_ = false;  // first release, or another input schema: it cannot be a shadow
  std::string candidate_digest_;
  uint64_t epoch_ = 0;
  std::optional<Batch> shadow_batch_;
  wire::ScoreSketch running_sketch_;
  wire::ScoreSketch candidate_sketch_;
  wire::ScoreSketch incumbent_sketch_;              // of the running release, since the candidate was loaded
  std::map<std::string, wire::SchemaDef> schemas_;  // of records that may wait
  static constexpr size_t kSchemasMax = 4 * limits::kSchemasPerExchangeMax;
  static constexpr size_t kSchemasBytesMax = 96U << 10;  // the file's quota leaves room for so many (Q8)

  // the store
  std::deque<Pending> pending_;
  uint64_t next_ticket_ = 1;
  uint64_t submitted_ticket_ = 0;  // handed to the store, and not refused since
  uint64_t stored_ticket_ = 0;
  bool store_failing_ = false;
  bool store_full_ = false;
  std::string no_space_;  // the disk is full: no records are taken in; "" = they are
  std::string store_error_;
  uint64_t store_failures_ = 0;
  int64_t store_pause_ms_ = 0;
  size_t waiting_answers_ = 0;
  agent::FlashPace flash_pace_;
  uint64_t held_bytes_ = 0;
  std::map<std::string, std::string> positions_;
  std::set<std::string> dirty_positions_;
  bool counters_dirty_ = false;

  wire::Counters counters_;
  wire::Counters durable_counters_;
  uint64_t busy_refused_ = 0;
  uint64_t stale_epoch_ = 0;

  // the exchange in the making or on the air
  struct Outgoing {
    sync::SendExchange wanted;
    outbox::Plan plan;
    uint64_t ticket = 0;   // must be durable first
    uint64_t load_id = 0;  // 0: not asked yet
    bool sent = false;
    uint64_t record_bytes = 0;
    std::string only_record;  // if it brings just one
    bool probes = false;      // in place of the accused record
    uint64_t reported_generation = 0;
  };
  std::optional<Outgoing> outgoing_;
  // The search for a record that the hub refuses: refusal.cpp
  struct Accused {
    Lane lane = Lane::kLive;
    uint64_t seq = 0;
    bool probed = false;  // the hub has answered an exchange without it, and does not have it
  };
  static constexpr uint32_t kRecordsAtOnceMax = limits::kRecordsPerExchangeMax / 4;
  struct Search {
    uint32_t records_at_once = kRecordsAtOnceMax;
    uint32_t suspects_count = 0;  // of the next records so many, one of them at fault; 0 = none is known to be
    std::optional<Accused> accused;
  };
  Search search_;
  uint64_t next_load_id_ = 1;
  // The incarnation that an exchange names must be durable; before records go, so must all that was found out at the
  // start, and the budget. A node whose store takes nothing from the start still reports and hears what it should run
  // (R1).
  uint64_t identity_ticket_ = 0;
  uint64_t opening_ticket_ = 0;
  bool incarnation_is_new_ = false;
  bool online_ = false;
  bool event_waits_ = false;  // sync is yet to hear of it
  std::string hub_error_;     // of the last exchange, "" = it was answered
  Instant offline_since_;
  std::string last_report_;  // what of the report is worth a contact of its own

  // timers
  Instant sync_wake_ = kNever;
  Instant deploy_wake_ = kNever;
  Instant lazy_wake_ = kNever;
  Instant store_wake_ = kNever;
  Instant space_wake_ = kNever;
  Instant hold_wake_ = kNever;  // not kNever: tickets of producers are held until then
};

}  // namespace wb
