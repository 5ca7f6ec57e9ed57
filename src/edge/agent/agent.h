#pragma once
// Agent: the node as one machine. It composes the stages of src/edge in travelling order and owns what lies between
// them: who serves the data (the running release, or a first candidate), the tickets of the one store, and the counters
// that the node reports. world/ performs its effects for real, sim/ on a virtual clock (contract: base/step.h).
//
// Data in:   SourceBatch → pipeline → outbox ops + counters → Store → (Stored) → Answer. A producer hears "accepted"
// only
//            when what the rules selected from its batch is durable (Q1, Q7). A batch of which nothing was selected is
//            answered at once: it was decided here, and its counts become durable with the next commit.
// Exchange:  sync says when → outbox plan → LoadRows → SendExchange → response → acks, desired state, grants.
// Deploy:    deploy's effects and events pass through; the agent builds its pipelines and keeps its sketches.
//
// Tickets: every Store effect carries the next number; Stored{n} means that all up to n are durable. A failed store is
// tried again with the same ops until it holds; meanwhile new input is refused, so memory stays bounded.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/document.h"
#include "base/step.h"
#include "base/store_op.h"
#include "edge/agent/pipeline.h"
#include "edge/deploy/deploy.h"
#include "edge/outbox/outbox.h"
#include "edge/sync/sync.h"

namespace wb {

// Text of a pipeline file → tree with positions. A pure function that lives in world/ because its library throws.
using ReadDocument = std::function<Result<Document>(std::string_view text)>;

struct AgentConfig {
  std::string node_id;
  std::string version = "0.1.0";
  std::map<std::string, std::string> labels;
  bool has_hub = true;
  uint64_t flash_bytes_per_day = 4'300'000'000;  // W1; 0 = no limit. See edge/agent/flash_pace.h
  ReadDocument read_document;
  deploy::Config deploy;
  outbox::Config outbox;
  sync::Config sync;
};

// A pipeline given on the command line: runs in place of releases from a hub.
struct LocalPipeline {
  Document document;
  std::vector<std::pair<std::string, Bytes>> blobs;  // "model/main" → bytes
};

namespace agent {

inline constexpr size_t kWaitingAnswersMax = 1'024;  // producers waiting for a commit; past it new input is refused
inline constexpr size_t kPendingStoresMax = 2'048;
inline constexpr size_t kPendingWhileFailingMax = 64;  // past it what waits is joined to one ticket
inline constexpr size_t kDeadLettersPerBatchMax = 256;

// ---- events

struct Opened {};
// A parsed batch for the pipeline that serves. `epoch` is the one of the Serve effect it was parsed for.
struct SourceBatch {
  uint64_t epoch = 0;
  uint64_t answer_id = 0;  // 0: nobody waits
  Batch batch;
  struct Fault {
    std::string text;
    std::string raw;
  };
  std::vector<Fault> faults;
  uint64_t faults_count = 0;
  std::string position_key;  // of a followed file; stored with the records it produced
  std::string position_value;
};
struct SourcesEnded {
  uint64_t epoch = 0;
};                    // all finite sources are read: flush windows
struct ShadowRun {};  // answers the Shadow effect
struct Latency {
  bool candidate = false;
  uint32_t us = 0;
  uint32_t rows = 0;
};  // measured by world around a step
struct Stored {
  uint64_t ticket = 0;
  std::string no_space = {};  // why the store should get no more records, only state and events; "" = it may
};
struct StoreFailed {
  uint64_t ticket = 0;
  Error error;
};
struct RowsLoaded {
  uint64_t id = 0;
  std::vector<StoredRow> rows;
  std::optional<Error> error = {};  // they could not be read now, which says nothing about them
};                                  // in key order; a missing row was damaged
struct ExchangeDone {
  uint64_t id = 0;
  Bytes response;
};
struct ExchangeFailed {
  uint64_t id = 0;
  Error error;
  int64_t retry_after_ms = 0;
  // How far it certainly did not get. A timeout says nothing, so it counts as far as the connection had come.
  enum class Got : uint8_t { kNowhere, kConnected, kSent } got = Got::kSent;
  bool refused = false;  // for what is in it (HTTP 400, 413, 422), not for who sends it, or now
};
struct ActionsDone {
  uint64_t count = 0;
};
struct DeployEvent {
  deploy::Event event;
};  // Fetched, FetchFailed, Slot*
struct Wake {};
struct Stopping {};

using Event = std::variant<Opened, SourceBatch, SourcesEnded, ShadowRun, Latency, Stored, StoreFailed, RowsLoaded,
                           ExchangeDone, ExchangeFailed, ActionsDone, DeployEvent, Wake, Stopping>;

// ---- effects

struct Store {
  uint64_t ticket = 0;
  std::vector<StoreOp> ops;
};
struct LoadRows {
  uint64_t id = 0;
  std::vector<std::string> keys;
};  // of NodeTable::kRecords
struct SendExchange {
  uint64_t id = 0;
  Bytes request;
  int64_t deadline_ms = 0;
};
struct CancelExchange {
  uint64_t id = 0;
};
// Outcome for a producer. accepted: durable, or decided here.
struct Answer {
  uint64_t answer_id = 0;
  enum class Verdict : uint8_t { kAccepted, kRejectedRows, kBusy } verdict = Verdict::kAccepted;
  uint64_t rows_accepted = 0;
  std::vector<std::string> faults;
  uint64_t faults_count = 0;
};
// From now on sources deliver for this pipeline: epoch names it. Positions of followed files are in Agent::position().
struct Serve {
  uint64_t epoch = 0;
};
struct Act {
  route::Action action;
  std::string payload;
};
struct Shadow {};  // send ShadowRun back at once; world times it
// The store is damaged and takes no more commits. End the process with an error: the next start repairs it.
struct Restart {
  std::string text;
};
struct Log {
  enum class Level : uint8_t { kInfo, kWarning, kError } level = Level::kInfo;
  std::string text;
};

using Effect =
    std::variant<Store, LoadRows, SendExchange, CancelExchange, Answer, Serve, Act, Shadow, Restart, Log,
                 deploy::FetchRange, deploy::WriteSlot, deploy::SealSlot, deploy::ReadSlot, deploy::RemoveSlot>;

}  // namespace agent

struct AgentView {
  std::string node_id;
  deploy::View deploy;
  outbox::View outbox;
  sync::View sync;
  wire::Counters counters;
  std::string pipeline;         // name of what serves, "" = nothing
  bool local = false;           // it was started with a pipeline of its own and takes no release
  bool has_hub = false;         // it is enrolled
  std::string hub_error;        // why the last contact failed; "" = it did not
  uint64_t store_failures = 0;  // since start
  std::string store_error;      // "" = the last commit held, and there is room for more
  uint64_t busy_refused = 0;    // batches refused because the store or the queue was full
  uint64_t stale_epoch = 0;     // batches parsed for a pipeline that no longer serves
};

class Agent {
 public:
  // First boot and crash recovery: one door. Content never stops a start (Q5); what was damaged is counted.
  static Result<Agent> open(AgentConfig config, const StoredState& found, std::vector<deploy::SlotFile> slots,
                            Prng prng, std::optional<LocalPipeline> local);
  Agent(Agent&&) noexcept;
  Agent& operator=(Agent&&) noexcept;
  ~Agent();

  Step<agent::Effect> step(Moment now, const agent::Event& event);
  Step<agent::Effect> step(Moment now, agent::Event&& event);  // batches are moved, not copied
  AgentView view() const;
  // The pipeline that sources must deliver for; nullptr if nothing serves.
  const Pipeline* serving() const;
  uint64_t serving_epoch() const;
  // The stored position of a followed file; "" if there is none.
  std::string position(const std::string& key) const;

 private:
  class Core;
  explicit Agent(std::unique_ptr<Core> core);
  std::unique_ptr<Core> core_;
};

}  // namespace wb
