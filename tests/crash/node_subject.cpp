// The node's store as a subject: the real NodeStore with its writer thread, opened by its real recovery.
#include <map>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/prng.h"
#include "edge/outbox/outbox.h"
#include "tests/crash/store_session.h"
#include "tests/crash/subject.h"

namespace wb::crash {
namespace {

using world::NodeStore;

std::vector<uint64_t> states_of(const NodeWorkload& workload) {
  std::map<std::pair<NodeTable, std::string>, std::string> rows;
  std::vector<uint64_t> states{0};
  uint64_t sum = 0;
  for (const NodeStep& step : workload.steps)
    for (const auto& ticket : step.tickets) {
      for (const StoreOp& op : ticket) {
        const auto at = rows.find({op.table, op.key});
        if (at != rows.end()) {
          sum -= row_print(static_cast<uint64_t>(op.table), op.key, at->second);
          rows.erase(at);
        }
        if (op.erase) continue;
        sum += row_print(static_cast<uint64_t>(op.table), op.key, op.value);
        rows[{op.table, op.key}] = op.value;
      }
      states.push_back(sum);
    }
  return states;
}

class NodeSubject final : public Subject {
 public:
  explicit NodeSubject(NodeWorkload workload)
      : Subject(workload.name), workload_(std::move(workload)), states_(states_of(workload_)) {
    stride = workload_.stride;
    for (const NodeStep& step : workload_.steps) {
      if (step.file_bytes_max != 0) largest_ = std::max(largest_, step.file_bytes_max);
    }
    largest_ = std::max(largest_, workload_.file_bytes_max);
  }

  std::string_view promises() const override { return workload_.is_outbox ? "Q1 Q2 Q4 Q5" : "Q1 Q2 Q5"; }
  std::string run(Medium& medium, MemoryDisk* start) override {
    Run run{*this, medium, options(workload_.file_bytes_max), nullptr, 0, 0, {}};
    if (workload_.prepared_steps == 0) medium.begin(start);
    if (!run.open()) return run.wrong;
    size_t done = 0;
    for (const NodeStep& step : workload_.steps) {
      if (step.restart_before) {
        if (step.file_bytes_max != 0) run.options.file_bytes_max = step.file_bytes_max;
        if (!run.open()) return run.wrong;
      }
      if (!run.write(step.tickets)) return run.wrong;
      if (++done == workload_.prepared_steps) {
        medium.begin(start);
        medium.asked(run.durable);
        medium.told(run.durable);
      }
    }
    return "";
  }

  std::string check(Medium& medium, const Bounds& bounds, bool go_on) override {
    medium.reset_counts();
    medium.calls_max = calls_max(medium);
    StoreSession session(options(largest_), medium, 0);
    if (session.error) return "Q5: no start: " + session.error->text;
    if (session.found.damaged_rows_count > 0)
      return "Q4: " + std::to_string(session.found.damaged_rows_count) +
             " rows called damaged, but nothing synced was damaged";
    if (!session.set_aside.empty()) return "Q5: the file was set aside, but nothing synced was damaged";
    uint64_t which = 0;
    if (std::string wrong = find_state(states_, session.print(), bounds, &which); !wrong.empty()) return wrong;
    if (workload_.is_outbox)
      if (std::string wrong = check_outbox(session.found); !wrong.empty()) return wrong;
    medium.calls_max = UINT64_MAX;
    if (!go_on) return "";
    if (session.write({{StoreOp{NodeTable::kState, "after", "cut", false}}}, 0) != 1)
      return "Q5: takes no ticket after the start: " + (session.failed ? session.failed->error->text : "");
    return "";
  }

 private:
  // Lives of the store while the workload runs.
  struct Run {
    const NodeSubject& subject;
    Medium& medium;
    NodeStore::Options options;
    std::unique_ptr<StoreSession> session;
    uint64_t durable = 0, asked = 0;
    std::string wrong;

    bool open() {
      session.reset();
      for (int attempt = 0;; ++attempt) {
        if (attempt == kSessionTries) medium.heal();
        if (attempt > 2 * kSessionTries) return fail("does not start after the fault healed: " + session->error->text);
        session = std::make_unique<StoreSession>(options, medium, durable);
        if (!session->error) break;
      }
      if (session->found.damaged_rows_count > 0 || !session->set_aside.empty())
        return fail("Q4: calls something damaged, but nothing was");
      const Bounds bounds{durable, asked};
      medium.calls_max = UINT64_MAX;
      wrong = find_state(subject.states_, session->print(), bounds, &durable);
      session->rebase(durable);
      return wrong.empty();
    }
    bool write(const std::vector<std::vector<StoreOp>>& tickets) {
      const uint64_t first = durable;
      asked = first + tickets.size();
      for (int attempt = 0; durable < first + tickets.size(); ++attempt) {
        if (attempt == kSessionTries) medium.heal();
        if (attempt > 3 * kSessionTries)
          return fail("does not go on after the fault healed: " + session->failed->error->text);
        durable += session->write(tickets, static_cast<size_t>(durable - first));
        // What a program does whose store says it is damaged: it ends, and starts anew.
        if (session->failed && session->failed->error->code == Code::kCorrupt) {
          medium.heal();
          const uint64_t before = durable;
          if (!open()) return false;
          if (durable < before) return fail("Q1: went back behind what was reported");
          if (durable > first + tickets.size()) durable = first + tickets.size();
        }
      }
      return true;
    }
    bool fail(std::string why) {
      wrong = std::move(why);
      return false;
    }
  };

  NodeStore::Options options(uint64_t bytes_max) const {
    NodeStore::Options made = store_options(bytes_max);
    made.wal_bytes_max = workload_.wal_bytes_max;
    return made;
  }

  std::string check_outbox(const StoredState& found) const {
    outbox::Config config;
    config.bytes_max = largest_;
    const auto opened = outbox::Outbox::open(config, found, {});
    if (!opened.ok()) return "Q5: the outbox does not open: " + opened.error().text;
    if (opened->lost_count > 0)
      return "Q4: " + std::to_string(opened->lost_count) + " records declared lost, but none was";
    if (opened->damaged_heads_count > 0) return "Q4: heads called damaged, but none was";
    if (opened->new_incarnation_needed && !found.rows.empty()) return "Q2: the counters are gone";
    for (const outbox::LaneCounts& lane : opened->outbox.view({}).lanes)
      if (lane.produced != lane.effected + lane.waiting + lane.evicted + lane.lost) return "Q4: the sums do not match";
    return "";
  }

  NodeWorkload workload_;
  std::vector<uint64_t> states_;
  uint64_t largest_ = 0;
};

}  // namespace

uint64_t row_print(uint64_t table, std::string_view key, std::string_view value) {
  const std::hash<std::string_view> hash;
  return Prng(Prng(hash(key) + table).next() ^ hash(value)).next();
}

std::string find_state(const std::vector<uint64_t>& states, uint64_t found, const Bounds& bounds, uint64_t* which) {
  for (uint64_t n = bounds.asked + 1; n-- > bounds.told;)
    if (n < states.size() && states[n] == found) {
      *which = n;
      return "";
    }
  for (uint64_t n = 0; n < states.size(); ++n)
    if (states[n] == found)
      return "Q1: found the state after ticket " + std::to_string(n) + ", but " + std::to_string(bounds.told) +
             " were reported durable and " + std::to_string(bounds.asked) + " asked for";
  return "Q2: what is found is the state after no ticket: something is half there (reported " +
         std::to_string(bounds.told) + ", asked " + std::to_string(bounds.asked) + ")";
}

uint64_t calls_max(const Medium& medium) { return 1'000 + 40 * (medium.disk.bytes_total() / 4'096); }

std::unique_ptr<Subject> node_subject(NodeWorkload workload) {
  return std::make_unique<NodeSubject>(std::move(workload));
}

}  // namespace wb::crash
