#pragma once
// SimNode: one simulated device. A disk that keeps a prefix and may refuse, rot or be an old image of itself; a clock
// that may lie; a link that may be cut; a producer of readings; and the real Agent between them. What the agent says is
// compared with what the device knows better (watch.cpp).

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "edge/agent/agent.h"
#include "sim/clock.h"
#include "sim/coverage.h"
#include "sim/link.h"
#include "sim/releases.h"
#include "sim/script.h"
#include "sim/sim.h"

namespace wb::sim {

class Fleet;

// How often something has happened within the hour that began with the first time.
struct Hourly {
  int64_t since_ms = 0;
  uint32_t times = 0;
  uint32_t count(int64_t now_ms) {
    if (now_ms - since_ms > kHourMs) *this = {now_ms, 0};
    return ++times;
  }
  void forgive(uint32_t n) { times -= std::min(times, n); }
};

class SimNode {
 public:
  SimNode(Fleet& fleet, uint32_t index, Prng prng);
  // A second device with a copy of the disk and the identity of `original`.
  SimNode(Fleet& fleet, const SimNode& original, uint64_t copy_number, Prng prng);
  void boot();
  void crash();
  void give_batch();
  void live();  // one look at what may happen to it now: readings, faults
  void heal();
  const std::string& id() const { return id_; }
  bool up() const { return agent_.has_value(); }
  bool is_copy() const { return copy_; }
  void check_now();   // promises that must hold at any time
  void check_last();  // after healing

  Link link;
  bool revoked = false;
  bool retired = false;  // a copy that is gone for good

 private:
  friend class Fleet;
  using Disk = std::map<std::pair<uint8_t, std::string>, std::string>;
  struct Slot {
    Bytes bytes;
    size_t synced_bytes = 0;  // the rest may end old, new, torn or zeroed
    bool sealed = false;
    bool sealing = false;
  };
  struct Image {
    Disk rows;
    uint64_t bytes = 0;
    std::map<std::string, Slot> slots;
    std::set<uint64_t> accepted_hot;
  };
  struct Waiting {
    std::vector<uint64_t> owed;  // reading ids: anomalies, and what nobody can read
    uint64_t count = 0;
    uint64_t through = 0;  // the position behind it
    int64_t since_ns = 0;
    uint64_t ticket = 0;  // of what was selected from it; 0 = nothing was
  };

  void step(agent::Event&& event);
  void later(int64_t ms, agent::Event event);
  bool spins();
  Moment now() const;
  int64_t now_ms() const;
  void perform(agent::Store&& effect);
  void perform(agent::LoadRows&& effect);
  void perform(agent::SendExchange&& effect);
  void perform(agent::CancelExchange&& effect);
  void perform(agent::Answer&& effect);
  void perform(agent::Serve&&) {}
  void perform(agent::Act&&) {}
  void perform(agent::Shadow&&) { later(0, agent::ShadowRun{}); }
  void perform(agent::Restart&&) {}  // the simulated store is never found damaged while it runs
  void perform(agent::Log&&) {}
  void perform(deploy::FetchRange&& effect);
  void perform(deploy::WriteSlot&& effect);
  void perform(deploy::SealSlot&& effect);
  void perform(deploy::ReadSlot&& effect);
  void perform(deploy::RemoveSlot&& effect);
  void jump_clock();
  void resume_feed();
  bool serves_swapped() const;
  Reading reading(uint64_t number) const;
  bool is_unreadable(uint64_t number) const;
  bool is_unwelcome(uint64_t number) const;

  // cues.cpp
  void befall(const Cue& cue);
  void lose_power(int64_t for_ms);

  // disk.cpp
  void fill_disk(int64_t for_ms);
  void apply(const std::vector<StoreOp>& ops);
  int64_t growth_of_queued() const;
  std::optional<Error> refusal_of_commit(bool& durable_all_the_same);
  void commit();
  int64_t slot_sync_ms();
  void rot_record(const std::string& key);
  bool slot_fails(const std::string& digest);
  void lose_power_over_slots();
  void take_image();
  void restore_image();
  uint64_t rot();  // how many rows a store would have set aside
  void forget_state();

  // contact.cpp
  void failed_exchange(const agent::ExchangeFailed& failed);
  void deliver(uint64_t exchange, const Bytes& response);
  // The hub answers 503, or 400.
  void refuse(uint64_t life, uint64_t exchange, int64_t retry_after_ms, bool for_what_is_in_it = false);
  bool brings_unwelcome(const wire::ExchangeRequest& request);
  Bytes spoil(Bytes bytes, uint64_t offset);
  bool hub_refuses_connections() const;
  void count_knock();
  void count_contact();
  void count_fetch();

  // watch.cpp
  void watch_running();
  void watch_assignment(const deploy::View& view);
  void watch_quarantine(const deploy::View& view);
  void watch_crashing_release(const deploy::View& view);
  void watch_request(const wire::ExchangeRequest& request);
  void count_budget(uint64_t record_bytes);
  void check_serving(const AgentView& view);
  void check_reach(const AgentView& view);
  void check_losses(const AgentView& view, const std::map<uint64_t, std::vector<std::string>>& at_hub);
  bool settled() const;
  void violate(const char* promise, const std::string& text);
  void decided(std::string_view ids, uint64_t times = 1);

  Fleet& fleet_;
  uint32_t index_;
  std::string id_;
  Prng prng_;
  uint64_t readings_seed_;
  bool copy_ = false;
  bool old_agent_ = false;  // does not know what Kind::kPicky needs
  // durable
  Disk rows_;
  uint64_t disk_bytes_ = 0;
  uint64_t peak_bytes_ = 0;
  std::map<std::string, Slot> slots_;
  std::map<std::string, std::pair<int64_t, Slot>> removed_;  // when; a power cut may bring it back
  // what is wrong with the disk
  int64_t broken_until_ms_ = 0;
  int64_t full_until_ms_ = 0;
  uint64_t full_bytes_ = 0;
  int64_t full_since_ms_ = 0;
  int64_t last_store_trouble_ns_ = -kDayMs * kNsPerMs;
  int64_t store_trouble_since_ns_ = 0;  // of the trouble that goes on
  // what a script has in store for it
  int64_t off_until_ms_ = 0;
  bool rots_at_boot_ = false;
  bool old_image_at_boot_ = false;
  // volatile
  std::optional<Agent> agent_;
  uint64_t life_ = 0;   // events of an earlier life are dropped
  uint64_t timer_ = 0;  // one timer: an earlier one is void
  int64_t stepped_at_ns_ = -1;
  uint32_t steps_at_once_ = 0;
  int64_t booted_ns_ = 0;
  int64_t clock_offset_ms_ = 0;
  std::deque<agent::Store> queued_;
  uint64_t expected_ticket_ = 1;
  uint64_t durable_ticket_ = 0;
  bool commit_scheduled_ = false;
  uint64_t exchange_ = 0;  // in flight; 0 = none
  uint64_t next_answer_ = 1;
  uint64_t giving_ = 0;                  // the batch whose step is being performed
  std::map<uint64_t, Waiting> waiting_;  // by answer id
  int64_t not_before_ns_ = 0;            // Retry-After
  // what the checkers know
  NodeWatch watch_;
  uint64_t next_reading_ = 1;
  std::set<uint64_t> accepted_;                   // ids of owed readings whose producer heard "accepted"
  std::set<uint64_t> cut_off_;                    // of those whose producer had heard nothing when the power went
  uint64_t readings_taken_ = 0;                   // accepted, hot or not
  std::map<uint64_t, uint64_t> cut_off_through_;  // position → readings, of batches cut off likewise
  std::vector<std::pair<uint64_t, std::string>> serving_from_;  // from this reading on, what served
  uint64_t generation_seen_ = 0;
  uint64_t quarantined_seen_ = 0;
  std::set<std::string> refused_for_good_;  // in quarantine, for more than a bad transfer
  std::optional<Image> image_;
  std::vector<std::string> rotted_records_;           // keys of records whose rows were damaged
  std::set<uint64_t> refused_alone_;                  // readings that the hub refused with nothing else to blame
  bool forgot_ = false;                               // rows of its state were damaged, or its disk was an old image
  bool copied_ = false;                               // there was a copy of it
  std::map<uint64_t, std::string> lost_by_hub_;       // readings that the hub had and its backup had not → record key
  std::set<std::string> assigned_;                    // digests that the hub ever named to it
  std::set<std::pair<uint64_t, std::string>> named_;  // (generation, digest) of every assignment that arrived
  std::pair<uint64_t, std::string> accepted_seen_;    // the one that it takes for its own
  std::deque<wire::Desired> old_desired_;
  std::string running_seen_;
  bool has_run_ = false;
  uint32_t busy_in_a_row_ = 0;
  int64_t last_accepted_ms_ = 0;
  uint64_t evicted_seen_ = 0;
  uint64_t effected_seen_ = 0;
  int64_t last_progress_ms_ = 0;  // a record got through, or none waited
  uint64_t last_at_hub_ = 0;      // exchange that the hub answered last, and with which acks
  std::string last_acks_;
  int64_t last_contact_ms_ = 0;                     // when the hub served it last
  std::pair<uint64_t, int64_t> last_order_{0, -1};  // (boot, monotonic) of the last request
  std::map<std::string, uint32_t> killed_by_;       // how often each deadly release ended the process
  bool doomed_ = false;                             // by the release in probation
  int64_t budget_day_start_ns_ = 0;
  uint64_t budget_day_bytes_ = 0;
  uint64_t outage_attempts_ = 0;  // requests that reached a hub that was away
  uint64_t outage_boots_ = 0;
  Hourly knocks_;  // attempts without a way to the hub
  Hourly contacts_;
  Hourly fetches_;
  std::map<std::pair<std::string, uint32_t>, uint64_t>
      told_acks_;  // (incarnation, lane) → what the hub said is durable
};

}  // namespace wb::sim
