#pragma once
// A node for tests: performs the machine's effects on a simulated store and slot folder, and can lose power before any
// of them. What was performed is durable, what was not never happened; reopening is all that recovery is. It checks
// U1–U5 at every effect.

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "edge/deploy/test_releases.h"

namespace wb::deploy {

class TestNode {
 public:
  struct Behaviour {
    bool crashes_on_load = false;
    bool refuses_to_load = false;
    wire::ScoreSketch scores;  // what it answers in probation
  };

  TestNode() { config_.trusted_keys = {*ed25519_public_key(kTestSeed)}; }

  // The hub.
  std::map<std::string, Bytes> artifacts;
  wire::Desired desired;
  bool hub_is_there = true;
  std::function<Bytes(uint64_t offset, Bytes)> tamper = [](uint64_t, Bytes bytes) { return bytes; };
  // The releases.
  std::map<std::string, Behaviour> behaviour;
  wire::ScoreSketch incumbent_scores = test_scores(1'000, {80, 10, 10}, 97, 2);
  // Faults.
  int64_t power_cut_before = -1;  // effects from now on that still happen
  bool store_fails = false;
  bool slow_store = false;  // nothing is durable before everything else has had its turn
  std::set<std::string> disk_full_for;
  bool seal_fails = false;

  // What is durable.
  std::map<std::string, std::string> rows;
  std::map<std::string, std::pair<Bytes, bool>> slots;  // digest → bytes, sealed
  // What happened.
  uint64_t effects_count = 0;
  uint64_t boots = 0;
  std::map<std::string, uint64_t> loads;
  std::vector<std::string> refusals;   // told: "pump@2 DEPLOY_REJECTED/…"
  std::vector<std::string> went_back;  // told: the release that runs again, "pump@1"
  std::string running;
  bool safe_mode = false;
  uint64_t fetched_bytes = 0;

  const std::string& add(const std::string& version, Behaviour how, const wire::ScoreSketch& reference = {}) {
    const Bytes artifact = test_release(version, reference);
    const std::string digest = sha256_hex(artifact);
    behaviour[digest] = std::move(how);
    versions[version] = digest;
    artifacts[digest] = artifact;
    return versions[version];
  }
  void want(uint64_t generation, const std::string& version) {
    desired = test_desired(generation, version, artifacts.at(versions.at(version)));
    assigned_.insert(desired.digest());
  }
  std::map<std::string, std::string> versions;  // version → digest

  // Boots if it is down, and lives until nothing more happens. A power cut ends it earlier; false then.
  bool live() {
    if (!machine_) boot();
    for (int round = 0; machine_ && round < 400; ++round) {
      if (queue_.empty() && !held_.empty()) {
        const Store store = std::move(held_.front());
        held_.pop_front();
        make_durable(store);
      }
      if (queue_.empty()) {
        if (hub_is_there && contacts_left_ > 0) {
          --contacts_left_;
          queue_.push_back(DesiredSeen{desired});
        } else if (wake_at_ != kNever && wakes_left_ > 0) {
          --wakes_left_;
          now_.mono = std::max(now_.mono, wake_at_);
          queue_.push_back(Wake{});
        } else {
          return true;
        }
      }
      Event event = std::move(queue_.front());
      queue_.pop_front();
      feed(event);
    }
    return machine_ != nullptr;
  }
  // Contacts and timers that the next live() may use.
  TestNode& with(int contacts, int wakes) {
    contacts_left_ = contacts;
    wakes_left_ = wakes;
    return *this;
  }
  void power_cut() {
    machine_.reset();
    queue_.clear();
    held_.clear();
    wake_at_ = kNever;
    running.clear();
    safe_mode = false;
  }
  void feed(const Event& event) {
    Step<Effect> step = machine_->step(now_, event);
    wake_at_ = step.wake_at;
    for (const Effect& effect : step.effects) {
      if (power_cut_before == 0) {
        power_cut_before = -1;
        return power_cut();
      }
      if (power_cut_before > 0) --power_cut_before;
      ++effects_count;
      std::visit([this](const auto& one) { perform(one); }, effect);
      if (!machine_) return;  // it crashed
    }
    check();
  }
  Deploy& machine() { return *machine_; }
  bool is_up() const { return machine_ != nullptr; }
  View view() const { return machine_->view(); }
  Moment& now() { return now_; }
  Config& config() { return config_; }

 private:
  void boot() {
    ++boots;
    std::vector<StoredRow> stored;
    for (const auto& [key, value] : rows)
      stored.push_back({NodeTable::kState, key, value, static_cast<uint32_t>(value.size())});
    std::vector<SlotFile> files;
    for (const auto& [digest, slot] : slots) files.push_back({digest, slot.first.size(), slot.second});
    now_ = Moment{};
    machine_ = std::make_unique<Deploy>(Deploy::open(config_, stored, files, Prng(boots)));
    queue_.push_back(Opened{});
  }

  Journal durable() const {
    std::vector<StoredRow> stored;
    for (const auto& [key, value] : rows)
      stored.push_back({NodeTable::kState, key, value, static_cast<uint32_t>(value.size())});
    return parse_journal(stored);
  }

  void check() {
    const View view = machine_->view();
    EXPECT_GE(view.desired_generation, generation_seen_) << "U5: a generation went back";
    generation_seen_ = std::max(generation_seen_, view.desired_generation);
    EXPECT_EQ(view.running_digest, view.running_digest.empty() ? "" : running) << "F6: reported is not what runs";
  }

  void check_load(const std::string& digest) {
    EXPECT_TRUE(assigned_.contains(digest)) << "U1: loaded what was never assigned";
    const Journal journal = durable();
    for (const wire::Quarantined& entry : journal.quarantined)
      EXPECT_TRUE(entry.digest() != digest || entry.error_code() == "DEPLOY_REJECTED/DIGEST")
          << "U9: loaded a quarantined release";
    const bool charged =
        (journal.candidate && journal.candidate->slot.tries > 0) || (journal.committed && journal.committed->tries > 0);
    EXPECT_TRUE(charged) << "U3: loaded without a durable try";
    ++loads[digest];
  }

  void perform(const Store& effect) {
    if (store_fails) {
      queue_.push_back(StoreFailed{effect.ticket, fail(Code::kFull, "disk is full")});
      return;
    }
    if (slow_store) return held_.push_back(effect);
    make_durable(effect);
  }
  void make_durable(const Store& effect) {
    for (const StoreOp& op : effect.ops) {
      if (op.erase)
        rows.erase(op.key);
      else
        rows[op.key] = op.value;
    }
    queue_.push_back(Stored{effect.ticket});
  }
  void perform(const FetchRange& effect) {
    EXPECT_LE(effect.length, limits::kFetchRangeBytesMax);
    if (!hub_is_there || !artifacts.contains(effect.digest)) {
      queue_.push_back(FetchFailed{effect.digest, effect.offset, fail(Code::kUnavailable, "no hub"), 0});
      return;
    }
    Bytes bytes = tamper(effect.offset, artifacts[effect.digest].substr(effect.offset, effect.length));
    fetched_bytes += bytes.size();
    queue_.push_back(Fetched{effect.digest, effect.offset, std::move(bytes)});
  }
  void perform(const WriteSlot& effect) {
    auto& [bytes, sealed] = slots[effect.digest];
    if (disk_full_for.contains(effect.digest)) {
      queue_.push_back(SlotFailed{effect.digest, fail(Code::kFull, "disk is full")});
      return;
    }
    EXPECT_FALSE(sealed);
    EXPECT_GE(bytes.size(), effect.offset) << "a hole in the slot";
    bytes.resize(effect.offset);
    bytes += effect.bytes;
    queue_.push_back(SlotWritten{effect.digest, bytes.size()});
  }
  void perform(const SealSlot& effect) {
    if (seal_fails) return queue_.push_back(SlotFailed{effect.digest, fail(Code::kInternal, "I/O error")});
    slots[effect.digest].second = true;
    queue_.push_back(SlotSealed{effect.digest});
  }
  void perform(const ReadSlot& effect) {
    const auto found = slots.find(effect.digest);
    if (found == slots.end() || !found->second.second)
      queue_.push_back(SlotFailed{effect.digest, fail(Code::kNotFound, "no such slot")});
    else
      queue_.push_back(SlotRead{effect.digest, found->second.first});
  }
  void perform(const RemoveSlot& effect) { slots.erase(effect.digest); }
  void perform(const LoadCandidate& effect) {
    check_load(effect.release.digest);
    EXPECT_EQ(durable().candidate->slot.desired.digest(), effect.release.digest);
    const Behaviour& how = behaviour[effect.release.digest];
    if (how.crashes_on_load) return power_cut();
    queue_.push_back(Loaded{effect.release.digest, !how.refuses_to_load, "no such transform"});
    if (!how.refuses_to_load)
      queue_.push_back(
          Scores{effect.release.digest, how.scores, running.empty() ? wire::ScoreSketch{} : incumbent_scores});
  }
  void perform(const Promote& effect) {
    EXPECT_EQ(durable().committed->desired.digest(), effect.digest) << "U4: promoted before the commit was durable";
    running = effect.digest;
    safe_mode = false;
  }
  void perform(const Drop&) {}
  void perform(const WentBack& effect) { went_back.push_back(effect.name); }
  void perform(const Refused& effect) { refusals.push_back(effect.release + " " + effect.code); }
  void perform(const Run& effect) {
    check_load(effect.release.digest);
    const Behaviour& how = behaviour[effect.release.digest];
    if (how.crashes_on_load) return power_cut();
    queue_.push_back(Loaded{effect.release.digest, !how.refuses_to_load, "no such transform"});
    if (how.refuses_to_load) return;
    running = effect.release.digest;
    safe_mode = false;
  }
  void perform(const EnterSafeMode&) {
    running.clear();
    safe_mode = true;
  }

  Config config_;
  std::unique_ptr<Deploy> machine_;
  std::deque<Event> queue_;
  std::deque<Store> held_;
  Moment now_;
  Instant wake_at_ = kNever;
  int contacts_left_ = 0;
  int wakes_left_ = 0;
  std::set<std::string> assigned_;
  uint64_t generation_seen_ = 0;
};

}  // namespace wb::deploy
