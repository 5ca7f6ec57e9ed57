// Damage to the log that a crash left beside a node's file, all of it synced and answered. SQLite goes on with what
// lies before the damage. The start must see that more was there: find every row that the damaged frame does not hold,
// say that something is gone, and take a new incarnation (Q2, Q4, Q5). Only what looks like a power cut to anybody may
// be taken for one: damage within the last commit, and a log that is cut off. Then what is found is the state after a
// ticket, never half of one.
#include <algorithm>
#include <vector>

#include "tests/crash/damage.h"
#include "tests/crash/recording_vfs.h"
#include "tests/crash/workloads.h"

namespace wb::crash {
namespace {

constexpr uint64_t kHeadBytes = 32, kFrameHeadBytes = 24, kFrameBytes = kFrameHeadBytes + 4'096;

class LogSpecimen final : public Specimen {
 public:
  LogSpecimen() {
    file = std::string(kRoot) + "/node/outbox.db-wal";
    const NodeWorkload workload = log_workload();
    Medium medium;
    const UseMedium use(medium);
    seed_vfs(9);
    RowMap rows;
    const auto run = [&](size_t first, size_t end) {
      StoreSession session(store_options(1U << 20), medium, 0);
      for (size_t i = first; i < end; ++i) {
        for (const auto& ticket : workload.steps[i].tickets) apply_to(rows, ticket);
        (void)session.write(workload.steps[i].tickets, 0);
        ever_.push_back(rows);
        if (i + 1 >= workload.prepared_steps) states_.push_back(rows);
        if (i + 1 == workload.steps.size()) {  // a crash: what is there when the process ends without a word
          bytes = medium.disk.bytes(*medium.disk.find(file));
          disk = medium.disk.copy();
        }
      }
    };
    run(0, workload.prepared_steps);
    run(workload.prepared_steps, workload.steps.size());
    disk.settle();
    read_frames();
  }
  bool is_as_meant() const { return !frames_.empty() && frames_.back().ticket + 1 == states_.size(); }

  std::string judge(StoreSession& session, const Damage& damage) const override {
    const RowMap found = rows_of(session);
    const bool told = session.found.damaged_rows_count > 0;
    if (damage.cut_at != UINT64_MAX) {
      const size_t tickets = tickets_before(damage.cut_at);
      if (told) return "Q4: something is called damaged, but this looks like a power cut";
      return found == states_[tickets] ? "" : "Q2: not the state after ticket " + std::to_string(tickets);
    }
    if (told) return judge_repaired(session, found, damage);
    if (damage.byte < kHeadBytes) return "Q4: the log's head is damaged, and nothing is said";
    const Frame& frame = frames_[(damage.byte - kHeadBytes) / kFrameBytes];
    // The rest of a copy is synced with the next commit only.
    const size_t last = states_.size() - 1;
    if (frame.ticket < last - (frame.is_copy ? 1 : 0))
      return "Q4: a commit is damaged that others followed, and nothing is said";
    if (found == states_[frame.is_copy ? frame.ticket : frame.ticket - 1]) return "";
    return "Q2: not the state after a ticket";
  }

 private:
  struct Frame {
    size_t ticket = 0;  // from 1
    bool is_copy = false;
    std::string page;
  };

  std::string judge_repaired(StoreSession& session, const RowMap& found, const Damage& damage) const {
    const RowMap& rows = states_.back();
    const std::string none;
    const std::string& page = damage.byte < kHeadBytes ? none : frames_[(damage.byte - kHeadBytes) / kFrameBytes].page;
    uint64_t records_gone = 0, elsewhere = 0;
    for (const auto& [key, value] : rows) {
      const auto row = found.find(key);
      if (row != found.end() && row->second == value) continue;
      records_gone += key.first == NodeTable::kRecords ? 1 : 0;
      elsewhere += page.find(value.substr(0, 200)) == std::string::npos ? 1 : 0;
    }
    for (const auto& [key, value] : found) {
      const auto had = [&key = key, &value = value](const RowMap& state) {
        const auto row = state.find(key);
        return row != state.end() && row->second == value;
      };
      if (std::none_of(ever_.begin(), ever_.end(), had)) return "Q2: a row is altered, or was never there";
    }
    if (elsewhere > 0) return "Q5: " + std::to_string(elsewhere) + " rows outside the damaged frame are gone";
    const std::pair counters{NodeTable::kState, std::string("outbox/counters")};
    const auto counted = found.find(counters);
    const bool exact = counted != found.end() && counted->second == rows.at(counters);
    return check_sums(session, exact ? std::optional(records_gone) : std::nullopt, true);
  }

  void read_frames() {
    size_t ticket = 1;
    size_t end = kHeadBytes;
    for (; end + kFrameBytes <= bytes.size(); end += kFrameBytes) {
      const std::string head = bytes.substr(end, kFrameHeadBytes);
      if (head.substr(8, 8) != bytes.substr(16, 8)) break;  // the salts: space that is held
      Frame frame{ticket, false, bytes.substr(end + kFrameHeadBytes, kFrameBytes - kFrameHeadBytes)};
      const bool commit = head.substr(4, 4) != std::string(4, '\0');
      if (commit && !frames_.empty() && frames_.back().page == frame.page) {
        frame.is_copy = true;
        frame.ticket = frames_.back().ticket;
      } else if (commit) {
        ++ticket;
      }
      frames_.push_back(std::move(frame));
    }
    bytes.resize(end);
  }
  // Whose commit lies before `cut_at`.
  size_t tickets_before(uint64_t cut_at) const {
    size_t tickets = 0;
    for (size_t i = 0; i < frames_.size() && kHeadBytes + (i + 1) * kFrameBytes <= cut_at; ++i)
      if (i + 1 == frames_.size() || frames_[i + 1].ticket != frames_[i].ticket || frames_[i + 1].is_copy)
        tickets = frames_[i].ticket;
    return tickets;
  }

  std::vector<RowMap> states_;  // [0]: what is in the file; then after each ticket of the log
  std::vector<RowMap> ever_;
  std::vector<Frame> frames_;
};

}  // namespace

Tally damage_node_log(const Plan& plan, const Progress& progress) {
  const LogSpecimen specimen;
  if (specimen.is_as_meant()) return damage(specimen, plan, progress);
  Tally tally;
  tally.violate("the log does not hold the tickets it should");
  return tally;
}

}  // namespace wb::crash
