// What is written to a node's store while power fails. Most workloads are scripts for the real outbox or the real
// agent, run once in memory; the tickets they ask for are the workload. Some are tickets made by hand, for the shapes
// of rows and transactions that matter to SQLite.
#include <algorithm>
#include <map>
#include <utility>

#include "base/bytes.h"
#include "base/prng.h"
#include "edge/agent/test_agent.h"
#include "edge/outbox/outbox.h"
#include "tests/crash/workloads.h"

namespace wb::crash {
namespace {

using outbox::Outbox;

struct Sizes {
  size_t smallest = 100, largest = 300;
};

// An outbox and what it asked its store for, as steps of a workload.
class OutboxScript {
 public:
  OutboxScript(std::string name, uint64_t seed, uint64_t bytes_max = 1U << 20) : prng_(seed) {
    workload.name = std::move(name);
    workload.is_outbox = true;
    workload.file_bytes_max = bytes_max;
    config_.bytes_max = bytes_max;
    open();
  }

  void restart(uint64_t bytes_max = 0) {
    flush();
    restart_ = true;
    next_cap_ = bytes_max;
    if (bytes_max != 0) config_.bytes_max = bytes_max;
    open();
  }
  void offer(Lane lane, Sizes sizes, size_t count = 1) {
    std::vector<outbox::Offer> offers;
    for (size_t i = 0; i < count; ++i) {
      const size_t bytes = sizes.smallest + prng_.below(sizes.largest - sizes.smallest + 1);
      offers.push_back({lane, Rule::kSample, 1, unit_interval(prng_.next()), 1, 1'000, noise(bytes)});
    }
    std::vector<StoreOp> ops;
    (void)box_->offer({}, std::move(offers), ops);
    ticket(std::move(ops));
  }
  void any_offer(Sizes sizes, size_t count = 1) { offer(kLanes[prng_.below(4)], sizes, count); }
  void send(uint32_t records_max = 50) {
    outbox::PlanLimits limits;
    limits.records_max = records_max;
    std::vector<StoreOp> ops;
    plan_ = box_->plan({}, limits, ops);
    ticket(std::move(ops));
  }
  void ack() {
    std::vector<StoreOp> ops;
    for (const outbox::LanePlan& lane : plan_.lanes) box_->acked(lane.lane, lane.through_seq, ops);
    ticket(std::move(ops));
  }
  void send_and_ack(uint32_t records_max = 50) {
    send(records_max);
    ack();
  }
  void refund() {
    std::vector<StoreOp> ops;
    box_->refund(plan_, ops);
    ticket(std::move(ops));
  }
  void rebase() {
    std::vector<StoreOp> ops;
    box_->rebase(ops);
    ticket(std::move(ops));
  }
  void lose_one() {
    std::vector<StoreOp> ops;
    for (const outbox::LanePlan& lane : plan_.lanes)
      if (!lane.records.empty()) box_->lost(lane.lane, lane.records.front().seq, ops);
    ticket(std::move(ops));
  }
  void squeeze() {
    std::vector<StoreOp> ops;
    (void)box_->squeeze(box_->view({}).stored_bytes * 7 / 8, ops);
    ticket(std::move(ops));
  }
  void state(std::string key, size_t bytes) {
    ticket({StoreOp{NodeTable::kState, std::move(key), noise(bytes), false}});
  }
  // Tickets gather until the group is handed over.
  void group(size_t tickets) { group_ = tickets; }
  void flush() {
    if (!tickets_.empty()) step(std::exchange(tickets_, {}));
  }
  void prepared() {
    flush();
    workload.prepared_steps = workload.steps.size();
  }
  double fill() const {
    const outbox::View view = box_->view({});
    return static_cast<double>(view.stored_bytes) / static_cast<double>(view.capacity_bytes);
  }
  NodeWorkload done() {
    flush();
    return std::move(workload);
  }
  Prng& prng() { return prng_; }

  NodeWorkload workload;

 private:
  std::string noise(size_t bytes) {
    std::string out(bytes, '\0');
    for (char& c : out) c = static_cast<char>(prng_.next());
    return out;
  }
  void open() {
    StoredState found;
    for (const auto& [key, value] : rows_) {
      StoredRow row{key.first, key.second, value, static_cast<uint32_t>(value.size())};
      if (row.table == NodeTable::kRecords) row.value.resize(std::min<size_t>(row.value.size(), kRecordHeadBytes));
      found.rows.push_back(std::move(row));
    }
    outbox::Opened opened = Outbox::open(config_, found, {}).value();
    box_.emplace(std::move(opened.outbox));
    ticket(std::move(opened.ops));
  }
  void ticket(std::vector<StoreOp> ops) {
    if (ops.empty()) return;
    for (const StoreOp& op : ops) {
      if (op.erase)
        rows_.erase({op.table, op.key});
      else
        rows_[{op.table, op.key}] = op.value;
    }
    tickets_.push_back(std::move(ops));
    if (tickets_.size() >= group_) flush();
  }
  void step(std::vector<std::vector<StoreOp>> tickets) {
    NodeStep made;
    made.tickets = std::move(tickets);
    made.restart_before = std::exchange(restart_, false);
    made.file_bytes_max = std::exchange(next_cap_, 0);
    workload.steps.push_back(std::move(made));
  }

  Prng prng_;
  outbox::Config config_;
  std::optional<Outbox> box_;
  outbox::Plan plan_;
  std::map<std::pair<NodeTable, std::string>, std::string> rows_;
  std::vector<std::vector<StoreOp>> tickets_;
  size_t group_ = 1;
  bool restart_ = false;
  uint64_t next_cap_ = 0;
};

NodeWorkload sized(const char* name, Sizes sizes, size_t tickets) {
  OutboxScript script(name, sizes.largest);
  for (size_t i = 0; i < tickets; ++i) script.any_offer(sizes);
  return script.done();
}

NodeWorkload grouped(const char* name, size_t group, size_t tickets) {
  OutboxScript script(name, group);
  script.group(group);
  for (size_t i = 0; i < tickets; ++i) script.any_offer({40, 400});
  return script.done();
}

NodeWorkload full_then(const char* name, Sizes sizes, const std::function<void(OutboxScript&)>& go_on) {
  OutboxScript script(name, 7 + sizes.largest);
  while (script.fill() < 0.97) script.any_offer(sizes, 32);
  script.prepared();
  go_on(script);
  return script.done();
}

// The real agent's tickets: counters, deploy journal, source positions and outbox in one.
class AgentScript : public TestNode {
 public:
  explicit AgentScript(std::string name) {
    workload.name = std::move(name);
    workload.is_outbox = true;
  }
  void start() {
    if (!workload.steps.empty()) restart_ = true;
    boot();
    collect();
  }
  void collect() {
    for (int i = 0; i < 1'000 && (!submitted.empty() || !loads.empty()); ++i) {
      if (submitted.empty()) {
        load();
        continue;
      }
      NodeStep step;
      step.restart_before = std::exchange(restart_, false);
      for (const agent::Store& store : submitted) step.tickets.push_back(store.ops);
      workload.steps.push_back(std::move(step));
      commit();
    }
  }
  void give(const std::vector<double>& values) {
    send(++given_, values);
    collect();
  }
  void meet(bool answered) {
    for (int i = 0; i < 300 && exchanges.empty() && wake_at != kNever; ++i) {
      collect();
      if (exchanges.empty()) wake();
    }
    if (exchanges.empty()) return;
    if (answered)
      answer();
    else
      lose_exchange(agent::ExchangeFailed::Got::kSent);
    collect();
  }
  NodeWorkload workload;

 private:
  bool restart_ = false;
  uint64_t given_ = 0;
};

NodeWorkload agent_story(const char* name, bool with_release, uint64_t seed) {
  AgentScript script(name);
  Prng prng(seed);
  if (with_release) script.local.reset();
  script.start();
  if (with_release) {
    script.want(1, "1", "v");
    script.meet(true);
  }
  for (int round = 0; round < 10; ++round) {
    std::vector<double> values;
    for (uint64_t i = prng.below(6) + 1; i > 0; --i) values.push_back(static_cast<double>(prng.below(30)));
    if (script.agent().serving() != nullptr) script.give(values);
    if (round % 3 == 1) script.meet(round % 2 == 0);
    if (with_release && round == 4) script.want(2, "2", round % 2 == 0 ? "v" : "w");
    if (with_release && round == 7) script.want(3, "3", "w");
    if (round == 5) script.start();
  }
  script.meet(true);
  return std::move(script.workload);
}

StoreOp put(uint8_t lane, uint64_t seq, size_t bytes, uint64_t seed) {
  std::string key(1, static_cast<char>(lane)), value(bytes, '\0');
  append_u64_be(key, seq);
  Prng prng(seed * 1'000'003 + seq);
  for (char& c : value) c = static_cast<char>(prng.next());
  return {NodeTable::kRecords, std::move(key), std::move(value), false};
}
StoreOp gone(uint8_t lane, uint64_t seq) {
  StoreOp op = put(lane, seq, 0, 0);
  op.erase = true;
  return op;
}

// Tickets made by hand: `make(n)` gives the ops of ticket n.
NodeWorkload by_hand(const char* name, uint64_t tickets, const std::function<std::vector<StoreOp>(uint64_t)>& make,
                     uint64_t wal_bytes_max = 256U << 10) {
  NodeWorkload workload;
  workload.name = name;
  workload.wal_bytes_max = wal_bytes_max;
  for (uint64_t n = 1; n <= tickets; ++n) workload.steps.push_back({{make(n)}, false, 0});
  return workload;
}

void add_outbox(std::vector<NodeWorkload>& all) {
  all.push_back(sized("records of 20 to 60 bytes, one a ticket", {20, 60}, 40));
  all.push_back(sized("records of 100 to 300 bytes, one a ticket", {100, 300}, 40));
  all.push_back(sized("records of half a page", {1'900, 2'100}, 30));
  all.push_back(sized("records of about a page", {3'500, 5'000}, 24));
  all.push_back(sized("records of 20 to 60 KB", {20'000, 60'000}, 6));
  all.push_back(sized("records of 50 to 9,000 bytes", {50, 9'000}, 24));
  all.push_back(grouped("group commits of 2 tickets", 2, 60));
  all.push_back(grouped("group commits of 16 tickets", 16, 160));
  all.push_back(grouped("group commits of 200 tickets", 200, 600));
  {
    OutboxScript script("batches of 64 records in one ticket", 11);
    for (int i = 0; i < 8; ++i) script.any_offer({60, 200}, 64);
    all.push_back(script.done());
  }
  {
    OutboxScript script("critical records among bulk", 12);
    for (int i = 0; i < 24; ++i) script.offer(i % 3 == 0 ? Lane::kCritical : Lane::kBulk, {80, 700});
    all.push_back(script.done());
  }
  {
    OutboxScript script("dead letters until their share is full", 13);
    while (script.fill() < 0.049) script.offer(Lane::kDeadLetter, {900, 1'500}, 8);
    script.prepared();
    for (int i = 0; i < 24; ++i) script.offer(Lane::kDeadLetter, {900, 1'500});
    all.push_back(script.done());
  }
  {
    OutboxScript script("taken, sent, acked", 14);
    for (int i = 0; i < 14; ++i) {
      script.any_offer({60, 500}, 3);
      if (i % 2 == 1) script.send_and_ack();
    }
    all.push_back(script.done());
  }
  {
    OutboxScript script("sent, not acked, sent again", 15);
    for (int i = 0; i < 20; ++i) {
      script.any_offer({60, 500}, 2);
      script.send(4);
      if (i % 5 == 4) script.ack();
      if (i % 5 == 2) script.refund();
    }
    all.push_back(script.done());
  }
  {
    OutboxScript script("a backlog of 600 records drained", 16);
    for (int i = 0; i < 12; ++i) script.any_offer({100, 300}, 50);
    script.prepared();
    for (int i = 0; i < 12; ++i) script.send_and_ack(64);
    all.push_back(script.done());
  }
  {
    OutboxScript script("rows lost and a new incarnation", 17);
    for (int i = 0; i < 16; ++i) {
      script.any_offer({60, 500}, 3);
      script.send(8);
      if (i % 4 == 1) script.lose_one();
      if (i % 4 == 3) script.rebase();
      if (i % 4 == 2) script.ack();
    }
    all.push_back(script.done());
  }
  {
    OutboxScript script("a restart after every third ticket", 18);
    for (int i = 0; i < 24; ++i) {
      script.any_offer({60, 900});
      if (i % 3 == 2) script.restart();
    }
    all.push_back(script.done());
  }
  all.push_back(full_then("eviction at the cap, small records", {150, 300}, [](OutboxScript& script) {
    for (int i = 0; i < 14; ++i) script.any_offer({150, 300}, 4);
  }));
  all.push_back(full_then("eviction at the cap, large records", {8'000, 20'000}, [](OutboxScript& script) {
    for (int i = 0; i < 8; ++i) script.any_offer({8'000, 20'000});
  }));
  all.push_back(full_then("the cap is lowered while full", {400, 900}, [](OutboxScript& script) {
    script.squeeze();
    script.any_offer({400, 900}, 2);
    script.squeeze();
  }));
  {
    OutboxScript script("the cap is halved and raised again", 19, 2U << 20);
    while (script.fill() < 0.9) script.any_offer({500, 900}, 32);
    script.prepared();
    script.restart(1U << 20);
    script.any_offer({500, 900}, 4);
    script.restart(2U << 20);
    script.any_offer({500, 900}, 4);
    all.push_back(script.done());
  }
  {
    OutboxScript script("groups while records are sent", 20);
    script.group(5);
    for (int i = 0; i < 40; ++i) {
      script.any_offer({60, 1'200}, 2);
      if (i % 4 == 3) script.send_and_ack(20);
    }
    all.push_back(script.done());
  }
}

void add_by_hand(std::vector<NodeWorkload>& all) {
  all.push_back(by_hand("one named value, rewritten", 40, [](uint64_t n) {
    return std::vector<StoreOp>{{NodeTable::kState, "counter", std::to_string(n), false}};
  }));
  all.push_back(by_hand("named values of 8 KB that grow and shrink", 24, [](uint64_t n) {
    StoreOp op = put(1, n, static_cast<size_t>(200 + n * 4'801 % 16'000), 1);
    op.table = NodeTable::kState;
    op.key = "deploy/" + std::to_string(n % 3);
    return std::vector<StoreOp>{std::move(op)};
  }));
  all.push_back(by_hand("two hundred source positions", 40, [](uint64_t n) {
    std::vector<StoreOp> ops;
    for (uint64_t i = 0; i < 5; ++i)
      ops.push_back({NodeTable::kState, "source/" + std::to_string((n * 5 + i) * 7 % 200), std::to_string(n), false});
    return ops;
  }));
  all.push_back(by_hand("records replaced by other sizes", 30, [](uint64_t n) {
    return std::vector<StoreOp>{put(2, n % 7 + 1, static_cast<size_t>(n * 1'733 % 9'000 + 1), n)};
  }));
  all.push_back(by_hand("filled and emptied in turn", 12, [](uint64_t n) {
    std::vector<StoreOp> ops;
    for (uint64_t i = 1; i <= 60; ++i) ops.push_back(n % 2 == 1 ? put(3, i, 300, n) : gone(3, i));
    return ops;
  }));
  all.push_back(by_hand("one lane per ticket, four in turn, with a state", 40, [](uint64_t n) {
    return std::vector<StoreOp>{put(static_cast<uint8_t>(n % 4 + 1), n, 250, 2),
                                {NodeTable::kState, "offset", std::to_string(n * 250), false}};
  }));
  all.push_back(by_hand("a ticket of a megabyte", 3, [](uint64_t n) {
    std::vector<StoreOp> ops;
    if (n == 2)
      for (uint64_t i = 1; i <= 13; ++i) ops.push_back(put(1, i, 60'000, 3));
    ops.push_back({NodeTable::kState, "n", std::to_string(n), false});
    return ops;
  }));
  all.back().stride = 4;
  all.push_back(by_hand(
      "a checkpoint after nearly every commit", 24, [](uint64_t n) { return std::vector<StoreOp>{put(2, n, 900, 4)}; },
      12U << 10));
  all.push_back(by_hand(
      "a log that is never checkpointed", 40, [](uint64_t n) { return std::vector<StoreOp>{put(2, n, 900, 5)}; },
      4U << 20));
  all.push_back(by_hand("erased from the front while growing at the end", 50, [](uint64_t n) {
    std::vector<StoreOp> ops{put(2, n, 500, 6)};
    if (n > 20) ops.push_back(gone(2, n - 20));
    return ops;
  }));
  all.push_back(by_hand("every second record erased", 8, [](uint64_t n) {
    std::vector<StoreOp> ops;
    for (uint64_t i = 1; i <= 80; ++i)
      ops.push_back(n % 2 == 1 ? put(4, (n - 1) * 40 + i, 200, 7) : gone(4, (n - 2) * 40 + i));
    if (n % 2 == 0) std::erase_if(ops, [](const StoreOp& op) { return op.key.back() % 2 == 0; });
    return ops;
  }));
}

}  // namespace

std::vector<NodeWorkload> node_workloads() {
  std::vector<NodeWorkload> all;
  add_outbox(all);
  add_by_hand(all);
  all.push_back(agent_story("agent: a local pipeline, exchanges, a restart", false, 1));
  all.push_back(agent_story("agent: releases tried and committed, with records", true, 2));
  all.push_back(agent_story("agent: another schema, a shadow, lost answers", true, 3));
  return all;
}

NodeWorkload full_file_workload(uint64_t bytes) {
  OutboxScript script("full file", 64);
  script.state("agent/seed", 8);
  script.state("deploy/journal", 600);
  script.state("source/a.csv", 40);
  for (uint64_t taken = 0; taken < 2 * bytes; taken += 700) script.any_offer({100, 900});
  return script.done();
}

NodeWorkload log_workload() {
  OutboxScript script("log", 65);
  script.state("deploy/journal", 600);
  for (int i = 0; i < 12; ++i) script.any_offer({100, 900}, 4);
  script.prepared();
  script.any_offer({100, 900}, 3);
  script.send(6);
  script.any_offer({100, 900}, 8);
  script.ack();
  script.state("deploy/journal", 700);
  script.any_offer({100, 900}, 2);
  return script.done();
}

NodeWorkload random_node_workload(uint64_t seed) {
  Prng draw(seed);
  OutboxScript script("random node workload of seed " + std::to_string(seed), seed);
  Sizes sizes{20 + draw.below(400), 0};
  sizes.largest = sizes.smallest + (draw.chance(300'000) ? draw.below(12'000) : draw.below(900));
  script.workload.wal_bytes_max = draw.chance(400'000) ? 16U << 10 : 256U << 10;
  script.group(draw.chance(500'000) ? 1 : 1 + draw.below(12));
  for (uint64_t steps = 12 + draw.below(24); steps > 0; --steps) {
    switch (draw.below(12)) {
      case 0: script.send(static_cast<uint32_t>(1 + draw.below(40))); break;
      case 1: script.ack(); break;
      case 2: script.send_and_ack(); break;
      case 3: script.state("deploy/journal", draw.below(3'000)); break;
      case 4: script.lose_one(); break;
      case 5: draw.chance(300'000) ? script.rebase() : script.squeeze(); break;
      case 6: draw.chance(400'000) ? script.restart() : script.refund(); break;
      default: script.any_offer(sizes, 1 + draw.below(6));
    }
  }
  return script.done();
}

}  // namespace wb::crash
