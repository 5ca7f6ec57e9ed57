// A device's life: it starts, steps, loses power, and is given readings.
#include "sim/node.h"

#include "sim/fleet.h"

namespace wb::sim {
namespace {

constexpr int64_t kRestartMs = 2'000;
constexpr int64_t kCrashAgainMaxMs = 3'000;
constexpr uint64_t kReadingsOfACopy = uint64_t{1} << 40;
constexpr uint32_t kContactsAStart = 10;  // what was missed comes in a handful
constexpr const char* kFeed = "feed";
constexpr uint32_t kOldAgentEvery = 3;
constexpr uint32_t kStepsAtOnceMax = 1'000;
constexpr uint32_t kSmallOutboxEvery = 4;  // nodes whose outbox overflows within a day without contact
constexpr uint32_t kSmallOutboxEntries = 96;
constexpr uint32_t kUnreadablePerMillion = 20'000;  // of the readings
constexpr uint32_t kUnwelcomePerMillion = 20'000;
constexpr uint32_t kImagePerMillion = 10'000;  // of the looks at a node's life

}  // namespace

SimNode::SimNode(Fleet& fleet, uint32_t index, Prng prng)
    : fleet_(fleet),
      index_(index),
      id_("node-" + std::to_string(index)),
      prng_(prng),
      readings_seed_(prng_.next()),
      old_agent_(index % kOldAgentEvery == kOldAgentEvery - 1) {}

SimNode::SimNode(Fleet& fleet, const SimNode& original, uint64_t copy_number, Prng prng)
    : fleet_(fleet),
      index_(original.index_),
      id_(original.id_),
      prng_(prng),
      readings_seed_(original.readings_seed_),
      copy_(true),
      old_agent_(original.old_agent_),
      rows_(original.rows_),
      disk_bytes_(original.disk_bytes_),
      slots_(original.slots_),
      next_reading_(copy_number * kReadingsOfACopy),
      assigned_(original.assigned_) {
  revoked = original.revoked;
  link = original.link;
  rotted_records_ = original.rotted_records_;
  refused_alone_ = original.refused_alone_;
  forgot_ = original.forgot_;
}

Moment SimNode::now() const {
  return {Instant{fleet_.clock_.now_ns() - booted_ns_}, kEpochMs + now_ms() + clock_offset_ms_};
}

int64_t SimNode::now_ms() const { return fleet_.clock_.now_ms(); }

void SimNode::jump_clock() {
  const int64_t real_ms = kEpochMs + now_ms();
  switch (prng_.below(4)) {
    case 0: clock_offset_ms_ = -real_ms; break;                                              // 1970
    case 1: clock_offset_ms_ = 4'294'967'296'000 - real_ms + draw_ms(prng_, kDayMs); break;  // 2106
    case 2: clock_offset_ms_ = draw_ms(prng_, 400 * kDayMs) - 200 * kDayMs; break;
    default: clock_offset_ms_ = 0;
  }
}

void SimNode::boot() {
  if (agent_ || retired || now_ms() < off_until_ms_) return;
  const Faults& faults = fleet_.faults_;
  booted_ns_ = fleet_.clock_.now_ns();
  expected_ticket_ = 1;
  durable_ticket_ = 0;
  clock_offset_ms_ = 0;
  doomed_ = false;
  busy_in_a_row_ = 0;
  ++outage_boots_;
  contacts_.forgive(kContactsAStart);
  if (hits(prng_, faults.clock_jump_per_million)) jump_clock();
  const bool old_image = std::exchange(old_image_at_boot_, false);
  if (image_ && (hits(prng_, faults.image_per_million) || old_image)) restore_image();
  StoredState found;
  const bool rots = std::exchange(rots_at_boot_, false);
  if (hits(prng_, faults.rot_per_million) || rots) found.damaged_rows_count = rot();
  for (const auto& [key, value] : rows_) {
    StoredRow row{static_cast<NodeTable>(key.first), key.second, value, static_cast<uint32_t>(value.size())};
    if (row.table == NodeTable::kRecords) row.value.resize(std::min<size_t>(row.value.size(), kRecordHeadBytes));
    found.rows.push_back(std::move(row));
  }
  std::vector<deploy::SlotFile> files;
  for (const auto& [digest, slot] : slots_) files.push_back({digest, slot.bytes.size(), slot.sealed});
  removed_.clear();
  AgentConfig config;
  config.node_id = id_;
  config.read_document = [read = fleet_.options_.read_document, old = old_agent_](std::string_view text) {
    if (old && text.find(kPickyMark) != std::string_view::npos)
      return Result<Document>(fail(Code::kInvalid, "pipeline.yaml: unknown component"));
    return read(text);
  };
  config.deploy.trusted_keys = {*ed25519_public_key(publisher_seed())};
  config.outbox.bytes_max = outbox::kBytesMin;
  if (index_ % kSmallOutboxEvery == 1) config.outbox.entries_max = kSmallOutboxEntries;
  config.sync.long_poll_ms = 600'000;
  auto opened = Agent::open(std::move(config), found, std::move(files), prng_.split(), std::nullopt);
  decided("Q5");
  if (!opened.ok()) return violate("Q5", "did not start: " + opened.error().text);
  agent_.emplace(std::move(opened).value());
  resume_feed();
  if (hits(prng_, faults.crash_again_per_million))
    fleet_.clock_.in_ms(draw_ms(prng_, kCrashAgainMaxMs), [this, mine = life_] {
      if (life_ != mine) return;
      crash();
      fleet_.clock_.in_ms(kRestartMs, [this] { boot(); });
    });
  step(agent::Opened{});
}

// Q1: a followed source goes on at the stored position. What stands before it is never read again, so it counts as
// accepted, whether its producer heard so or not.
void SimNode::resume_feed() {
  const std::string position = agent_->position(kFeed);
  const uint64_t next = position.empty() ? 0 : std::stoull(position);
  for (const uint64_t id : cut_off_)
    if (id < next) accepted_.insert(id);
  cut_off_.clear();
  for (const auto& [through, count] : cut_off_through_)
    if (through <= next) readings_taken_ += count;
  cut_off_through_.clear();
}

// Everything in memory goes; of the tickets under way a prefix arrived.
void SimNode::crash() {
  if (!agent_) return;
  ++fleet_.report_.crashes;
  check_now();
  if (!serves_swapped())
    for (const auto& [answer, waiting] : waiting_) cut_off_.insert(waiting.owed.begin(), waiting.owed.end());
  for (const auto& [answer, waiting] : waiting_) cut_off_through_[waiting.through] = waiting.count;
  ++life_;
  watch_.off(fleet_.report_.coverage);
  agent_.reset();
  size_t arrived = prng_.below(queued_.size() + 1);
  for (const agent::Store& store : queued_) {
    if (arrived == 0) break;
    --arrived;
    apply(store.ops);
  }
  lose_power_over_slots();
  queued_.clear();
  commit_scheduled_ = false;
  exchange_ = 0;
  giving_ = 0;
  waiting_.clear();
  not_before_ns_ = 0;
  link.forget_transfers();
}

void SimNode::heal() {
  broken_until_ms_ = full_until_ms_ = off_until_ms_ = 0;
  link.heal();
  if (copy_) {
    crash();
    retired = true;
    return;
  }
  boot();
}

// One look at what may happen to this device now.
void SimNode::live() {
  if (retired) return;
  if (fleet_.clock_.now_ns() < fleet_.quiet_from_ns_) give_batch();
  if (fleet_.healing_) return;
  const Faults& faults = fleet_.faults_;
  const int64_t step_ms = static_cast<int64_t>(fleet_.options_.minutes_per_batch) * kMinuteMs;
  const auto due = [&](int64_t every_ms) { return is_due(prng_, step_ms, every_ms); };
  if (due(faults.partition_every_ms)) link.cut_until_ms = now_ms() + draw_ms(prng_, faults.partition_max_ms);
  if (due(faults.mute_every_ms))
    (prng_.chance(500'000) ? link.mute_up_until_ms : link.mute_down_until_ms) =
        now_ms() + draw_ms(prng_, faults.mute_max_ms);
  if (due(faults.clock_step_every_ms)) jump_clock();
  if (due(faults.store_broken_every_ms)) broken_until_ms_ = now_ms() + draw_ms(prng_, faults.store_broken_max_ms);
  if (due(faults.disk_full_every_ms) && now_ms() >= full_until_ms_) fill_disk(draw_ms(prng_, faults.disk_full_max_ms));
  if (due(faults.crash_every_ms) && up()) {
    crash();
    const bool long_down = prng_.chance(300'000);
    fleet_.clock_.in_ms(long_down ? draw_ms(prng_, faults.down_max_ms) : kRestartMs, [this] { boot(); });
  }
  if (faults.image_per_million > 0 && hits(prng_, kImagePerMillion)) take_image();
  if (!copy_ && up() && due(faults.clone_every_ms)) {
    copied_ = true;
    fleet_.clone(*this);
  }
}

void SimNode::step(agent::Event&& event) {
  if (!agent_) return;
  ++fleet_.report_.events;
  if (spins()) return;
  Step<agent::Effect> out = agent_->step(now(), std::move(event));
  fleet_.trace_.update(uint64_t{index_} << 32 | out.effects.size());
  fleet_.trace_.update(static_cast<uint64_t>(out.wake_at.ns));
  const uint64_t mine = life_;
  const bool dies = hits(prng_, fleet_.faults_.out_of_memory_per_million);
  size_t left = dies ? prng_.below(out.effects.size() + 1) : out.effects.size();
  for (agent::Effect& effect : out.effects) {
    if (left-- == 0) break;
    fleet_.trace_.update(effect.index());
    std::visit([this](auto&& e) { perform(std::forward<decltype(e)>(e)); }, std::move(effect));
    if (life_ != mine) return;
  }
  if (dies) {
    ++fleet_.report_.out_of_memory;
    crash();
    return fleet_.clock_.in_ms(kRestartMs, [this] { boot(); });
  }
  watch_running();
  const uint64_t timer = ++timer_;
  if (out.wake_at == kNever) return;
  fleet_.clock_.at(booted_ns_ + out.wake_at.ns, [this, mine, timer] {
    if (life_ == mine && timer_ == timer) step(agent::Wake{});
  });
}

// T1: a machine whose timer is in the past wakes itself for ever, and the device does nothing else any more.
bool SimNode::spins() {
  const int64_t now_ns = fleet_.clock_.now_ns();
  steps_at_once_ = stepped_at_ns_ == now_ns ? steps_at_once_ + 1 : 0;
  stepped_at_ns_ = now_ns;
  decided("T1");
  if (steps_at_once_ < kStepsAtOnceMax) return false;
  violate("T1", "steps without end at one instant: its timer is in the past");
  crash();
  fleet_.clock_.in_ms(kRestartMs, [this] { boot(); });
  return true;
}

void SimNode::later(int64_t ms, agent::Event event) {
  fleet_.clock_.in_ms(ms, [this, mine = life_, event = std::move(event)]() mutable {
    if (life_ == mine) step(std::move(event));
  });
}

// ---- the producer

// What a reading says depends on its number alone, so that the hub's copy can be compared with it.
Reading SimNode::reading(uint64_t number) const {
  Prng prng(readings_seed_ ^ number * 0x9E3779B97F4A7C15ULL);
  return draw_reading(prng);
}

// So does whether it comes as a line that nobody can read, a dead letter.
bool SimNode::is_unreadable(uint64_t number) const {
  return Prng(readings_seed_ + number * 0xD1B54A32D192ED03ULL).chance(kUnreadablePerMillion);
}

// And whether a hub that refuses readings refuses this one.
bool SimNode::is_unwelcome(uint64_t number) const {
  return Prng(readings_seed_ + number * 0xA0761D6478BD642FULL).chance(kUnwelcomePerMillion);
}

void SimNode::give_batch() {
  if (!agent_) return;
  if (agent_->serving() == nullptr) {
    busy_in_a_row_ = 0;  // nothing is offered, so nothing is refused; that nothing serves is for U2
    return;
  }
  const deploy::View view = agent_->view().deploy;
  const std::string& serves = view.running_digest.empty() ? view.candidate_digest : view.running_digest;
  if (serving_from_.empty() || serving_from_.back().second != serves) serving_from_.emplace_back(next_reading_, serves);
  const uint64_t answer_id = next_answer_++;
  Waiting& waiting = waiting_[answer_id];
  waiting.since_ns = fleet_.clock_.now_ns();
  agent::SourceBatch event;
  event.epoch = agent_->serving_epoch();
  event.answer_id = answer_id;
  event.batch = Batch::with_schema(agent_->serving()->input_schema());
  for (uint32_t i = 0; i < fleet_.options_.rows_per_batch; ++i) {
    const uint64_t number = next_reading_++;
    const Reading one = reading(number);
    const bool unreadable = is_unreadable(number);
    if (unreadable || one.heat >= 91) waiting.owed.push_back(number);  // hot for every good model
    if (unreadable) {
      event.faults.push_back({"no reading", std::string(kUnreadable) + std::to_string(number)});
      ++event.faults_count;
      continue;
    }
    event.batch.columns[0].numbers.push_back(static_cast<double>(number));
    event.batch.columns[1].numbers.push_back(one.heat);
    event.batch.columns[2].numbers.push_back(one.spin);
    event.batch.event_time_ms.push_back(now().unix_ms);
    ++waiting.count;
  }
  event.position_key = kFeed;
  event.position_value = std::to_string(next_reading_);
  waiting.through = next_reading_;
  giving_ = answer_id;
  step(std::move(event));
  giving_ = 0;
}

// A swapped model may serve only where nothing better ran; what it calls normal is not owed.
bool SimNode::serves_swapped() const {
  const auto swapped = [&](const std::string& digest) {
    const auto kind = fleet_.kinds_.find(digest);
    return kind != fleet_.kinds_.end() && kind->second == Kind::kSwapped;
  };
  const deploy::View view = agent_->view().deploy;
  return swapped(view.running_digest) || swapped(view.candidate_digest);
}

void SimNode::perform(agent::Answer&& effect) {
  const auto found = waiting_.find(effect.answer_id);
  if (found == waiting_.end()) return;
  busy_in_a_row_ = effect.verdict == agent::Answer::Verdict::kBusy ? busy_in_a_row_ + 1 : 0;
  if (effect.verdict != agent::Answer::Verdict::kBusy) {  // with lines that nobody can read it says kRejectedRows
    // Q7: an "accepted" leaves only after the commit of what was selected.
    decided("Q7");
    if (found->second.ticket > durable_ticket_) violate("Q7", "accepted a batch whose records are not durable");
    fleet_.report_.records_accepted += effect.rows_accepted;
    readings_taken_ += found->second.count;
    last_accepted_ms_ = now_ms();
    if (!serves_swapped()) accepted_.insert(found->second.owed.begin(), found->second.owed.end());
  }
  waiting_.erase(found);
}

}  // namespace wb::sim
