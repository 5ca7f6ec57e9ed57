#pragma once
// deploy: how a release gets onto this node and how a bad one gets off it again, decided here, with no hub, clock or
// person.
//
//   desired → Fetching → Verifying → Probation → Committed
//                 └──────────┴─ Rejected  └─ RolledBack (quarantined)         nothing loadable → SafeMode
//
// One machine (contract: base/step.h). The agent sends it events and performs its effects; release bytes lie in slot
// files named by their digest, decisions lie in the journal (journal.h). A step is journalled, and the journal durable,
// before it takes effect: so a crash at any effect leaves a state from which opening again goes on (promises U1–U5, U7,
// U9).
//
// How a bad release ends within a bounded number of tries (U3): before anything is loaded, at boot too, its try counter
// is raised durably. A candidate loaded `tries_max` times without a verdict is quarantined. A stop after it had run
// well for `stable_ms` is most often the power's: it counts apart, up to `late_stops_max`, so that a site without
// reliable power does not refuse good releases, and a slow killer still ends. A committed release that did not survive
// `stable_ms` as often gives way to the one before it; with nothing left the node declares safe mode, keeps taking in
// and sending records, takes a newer release from the hub, and tries its last release again at long intervals. While a
// candidate is loaded, crashes are charged to it.
//
// Effects on slots are performed in order, one by one. WriteSlot{offset 0} begins the file anew.

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/prng.h"
#include "base/step.h"
#include "base/store_op.h"
#include "edge/deploy/events.h"
#include "edge/deploy/journal.h"
#include "edge/deploy/probation.h"
#include "edge/deploy/verify.h"
#include "wire/wire.h"

namespace wb::deploy {

struct Config {
  std::vector<std::string> trusted_keys;  // 32 raw bytes each, pinned at enrolment (K2)
  uint64_t release_bytes_max = limits::kReleaseBytesMax;
  uint64_t tries_max = 3;
  uint64_t late_stops_max = 9;
  uint64_t bad_transfers_max = 3;        // whole downloads with a wrong digest before the assignment is refused
  int64_t stable_ms = 60'000;            // a release that ran this long survived its start
  int64_t safe_mode_retry_ms = 600'000;  // doubles up to a day
  int64_t fetch_timeout_ms = 120'000;    // a range of 256 KiB at 50 kbit/s takes 42 s
  int64_t retry_ms = 1'000;              // first pause after a failed fetch, slot or store operation; doubles
  int64_t retry_max_ms = 300'000;
  Thresholds thresholds;
};

// ---- view

// What goes on about the candidate, and about the release that runs.
enum class Track : uint8_t { kNone, kStoring, kPausing, kFetching, kWriting, kSealing, kReading, kLoading, kShadowing };
enum class Running : uint8_t { kNone, kReading, kStoring, kLoading, kRuns, kSafeMode };

struct View {
  wire::DeployPhase phase = wire::DEPLOY_IDLE;
  Track track = Track::kNone;
  Running running = Running::kNone;
  std::string running_digest;  // what really runs (F6); "" = nothing
  std::string running_name;
  uint64_t running_generation = 0;
  std::string candidate_digest;
  std::string candidate_name;
  uint64_t candidate_tries = 0;
  uint64_t desired_generation = 0;  // durably accepted
  std::string desired_digest;
  uint64_t fetched_bytes = 0;
  uint64_t size_bytes = 0;
  std::vector<wire::Quarantined> quarantined;  // durable
  std::string waiting_for;                     // why nothing moves, for a person
  std::string last_refusal;    // "DEPLOY_REFUSED/ROLLBACK: …": an assignment that was not accepted (K3)
  uint64_t refused_count = 0;  // such assignments
  uint64_t damaged_rows = 0;
  bool safe_mode = false;
};

// Everything of Reported except the sketches, which are the agent's.
void fill(const View& view, wire::Reported& reported);

class Deploy {
 public:
  // rows: all of the node's store. slots: what the slot folder holds. Never fails: damage costs a fact, not the start.
  static Deploy open(Config config, const std::vector<StoredRow>& rows, std::vector<SlotFile> slots, Prng prng);
  Step<Effect> step(Moment now, const Event& event);
  View view() const;

 private:
  // After the ticket is durable. Of a candidate's continuation only if it is still the same candidate (epoch).
  enum class Then : uint8_t { kNothing, kFetch, kLoadCandidate, kPromote, kRunCommitted };
  struct Pending {
    uint64_t ticket;
    Journal journal;
    Then then;
    uint64_t epoch;
  };
  Deploy(Config config, Journal journal, std::vector<SlotFile> slots, Prng prng);

  void on(const Opened&);
  void on(const DesiredSeen&);
  void on(const Fetched&);
  void on(const FetchFailed&);
  void on(const SlotWritten&);
  void on(const SlotSealed&);
  void on(const SlotRead&);
  void on(const SlotFailed&);
  void on(const Loaded&);
  void on(const Scores&);
  void on(const Stored&);
  void on(const StoreFailed&);
  void on(const Wake&);
  void on(const Stopping&);

  // running.cpp: the release this node runs
  void charge_and_run();
  void run_committed();
  void committed_read(const Bytes& bytes);
  void committed_loaded(const Loaded& event);
  void survived();
  void slot_lost(const std::string& text);
  void give_up(const Refusal& refusal);
  bool step_back(const std::string& why);
  void nothing_committed();
  void declare_if_nothing_left();
  void safe_mode(const std::string& text);
  void leave_safe_mode();

  // candidate.cpp: the release on its way in
  bool candidate_is(const std::string& digest) const;
  bool pursue();
  void go_fetch();
  void pause(const std::string& why, int64_t floor_ms, bool may_end_early);
  void track_timeout();
  void candidate_slot_failed(const Error& error);
  void candidate_read(const Bytes& bytes);
  void bad_transfer(const Refusal& refusal);
  void load_candidate();
  void candidate_loaded(const Loaded& event);
  void candidate_survived();
  void judge_candidate();
  void commit_candidate();
  void promoted();
  void forbid(const wire::Desired& desired, const Refusal& refusal);
  void refuse(const Refusal& refusal);
  void drop_candidate();

  void save(Then then);
  void perform(Then then, uint64_t epoch);
  void retry_store();
  bool refuse_assignment(const wire::Desired& desired);
  const SlotFile* find_file(const std::string& digest) const;
  SlotFile& slot_file(const std::string& digest);
  void remove_file(const std::string& digest);
  bool needed(const std::string& digest) const;
  void remove_garbage();
  Instant wake_at() const;
  int64_t jitter(int64_t ms);

  Config config_;
  Prng prng_;
  Journal journal_;  // as decided; durable once its ticket is Stored
  Journal durable_;
  std::deque<Pending> pending_;
  static constexpr size_t kPendingMax = 64;
  bool opened_ = false;
  bool store_failed_ = false;
  std::string store_error_;
  Instant store_retry_at_ = kNever;
  int64_t store_pause_ms_ = 0;
  uint64_t next_ticket_ = 1;
  std::vector<SlotFile> files_;

  Running running_ = Running::kNone;
  std::string running_digest_;  // what the agent runs
  bool charged_ = false;        // the committed release's try of this boot is still open
  Instant stable_at_ = kNever;
  Instant safe_retry_at_ = kNever;
  std::string safe_reason_;

  Track track_ = Track::kNone;
  uint64_t epoch_ = 0;              // one per candidate
  bool candidate_charged_ = false;  // for the load that is to come
  bool candidate_stable_ = false;   // it ran well for a while: a stop now would be a late one
  Instant candidate_stable_at_ = kNever;
  std::optional<wire::Release> candidate_release_;  // verified, waiting for its journal row
  wire::ScoreSketch reference_;
  wire::ScoreSketch candidate_scores_;
  wire::ScoreSketch incumbent_scores_;
  bool time_is_up_ = false;
  uint64_t asked_offset_ = 0;
  uint64_t asked_length_ = 0;
  uint64_t range_bytes_ = 0;
  Instant track_deadline_ = kNever;
  int64_t pause_ms_ = 0;
  int64_t slot_pause_ms_ = 0;  // of the candidate's slot; bytes that arrive do not end it
  bool pause_may_end_early_ = false;
  std::string waiting_for_;

  std::string last_refusal_;
  uint64_t refused_count_ = 0;
  std::vector<Effect> effects_;
  Moment now_;
};

}  // namespace wb::deploy
