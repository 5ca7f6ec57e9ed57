#include "tests/crash/soak.h"

#include <malloc.h>

#include <algorithm>

#include "edge/agent/test_agent.h"
#include "tests/crash/recording_vfs.h"
#include "tests/crash/store_session.h"

namespace wb::crash {
namespace {

constexpr uint64_t kFileBytesMax = 1U << 20;
constexpr uint64_t kHeapSlackBytes = 512U << 10;  // pages of caches, growth of containers up to their limits

// The agent in memory of its own tests; what it asks its store for goes through the real one first.
class SoakNode : public TestNode {
 public:
  explicit SoakNode(Medium& medium) : store_(store_options(kFileBytesMax), medium, 0) {
    local = LocalPipeline{test_pipeline("pump", "v", "100GiB"), {}};  // no budget thins out what is kept
  }

  bool start() {
    if (store_.error) return false;
    boot();
    return perform_all();
  }
  // One second of life. False: a ticket was refused.
  bool second(const SoakPlan& plan, Prng& prng) {
    pass_ms(1'000);
    now.unix_ms += 1'000;
    std::vector<double> values;
    for (uint32_t i = 0; i < plan.records_per_s; ++i) values.push_back(prng.below(100) < plan.kept_percent ? 20 : 1);
    send(++given_, values);
    if (!perform_all()) return false;
    if (!exchanges.empty()) meet(plan.hub_there);
    forget();
    return perform_all();
  }
  const world::NodeStore& store() const { return *store_.store; }
  uint64_t offered_bytes = 0;

 private:
  bool perform_all() {
    for (int i = 0; i < 1'000 && (!submitted.empty() || !loads.empty()); ++i) {
      if (submitted.empty()) {
        load();
        continue;
      }
      std::vector<std::vector<StoreOp>> group;
      for (const agent::Store& one : submitted) {
        group.push_back(one.ops);
        for (const StoreOp& op : one.ops)
          if (op.table == NodeTable::kRecords && !op.erase) offered_bytes += op.value.size();
      }
      if (store_.write(group, 0) != group.size()) return false;
      commit();
    }
    return true;
  }
  void meet(bool hub_there) {
    const int64_t held_ms = requests.back().long_poll_ms();
    if (!hub_there) return lose_exchange(agent::ExchangeFailed::Got::kNowhere);
    if (held_since_ == 0) held_since_ = now.mono.ns;
    if (now.mono.ns - held_since_ < held_ms * kNsPerMs) return;  // the hub holds its answer
    held_since_ = 0;
    answer();
  }
  // What the tests of the agent keep for looking at it; here it would look like a leak.
  void forget() {
    answers.clear();
    tickets.clear();
    cancelled.clear();
    effects.clear();
    if (requests.size() > 1) requests.erase(requests.begin(), requests.end() - 1);
  }

  StoreSession store_;
  uint64_t given_ = 0;
  int64_t held_since_ = 0;
};

}  // namespace

SoakResult soak(const SoakPlan& plan) {
  install_recording_vfs();
  SoakResult result;
  Medium medium;
  medium.disk.keep_log(false);
  const UseMedium use(medium);
  seed_vfs(11);
  SoakNode node(medium);
  if (!node.start()) {
    result.wrong = "the node does not start";
    return result;
  }
  const std::string file = std::string(kRoot) + "/node/outbox.db";
  Prng prng(plan.records_per_s);
  medium.reset_counts();
  for (uint64_t s = 1; s <= plan.seconds; ++s) {
    if (!node.second(plan, prng)) {
      result.wrong = "a ticket was refused after " + std::to_string(s) + " s";
      return result;
    }
    for (const outbox::LaneCounts& lane : node.view().outbox.lanes)
      if (lane.produced != lane.effected + lane.waiting + lane.evicted + lane.lost || lane.lost > 0)
        result.wrong = "Q4: the sums do not match after " + std::to_string(s) + " s";
    if (s % plan.look_every_s != 0) continue;
    SoakLook look;
    look.heap_bytes = ::mallinfo2().uordblks - std::min<uint64_t>(::mallinfo2().uordblks, medium.disk.memory_bytes());
    look.file_bytes = medium.disk.bytes(*medium.disk.find(file)).size();
    look.wal_bytes = medium.disk.bytes(*medium.disk.find(file + "-wal")).size();
    look.rows = node.rows.size();
    look.waiting = node.view().outbox.waiting_count;
    result.looks.push_back(look);
    if (look.file_bytes > kFileBytesMax) result.wrong = "Q8: the file is larger than its cap";
  }
  result.commits = node.store().stats().commits;
  result.offered_bytes = node.offered_bytes;
  result.written_bytes = medium.bytes_written();
  result.flash_bytes = medium.flash_bytes();
  result.syncs = medium.count(Call::kSync);
  return result;
}

std::string check_flat(const std::vector<SoakLook>& looks) {
  if (looks.size() < 2) return "looked less than twice";
  // The first look comes after the start has settled; from then on nothing may grow beyond the slack.
  const SoakLook& first = looks[looks.size() / 2];
  const SoakLook& last = looks.back();
  if (last.heap_bytes > first.heap_bytes + kHeapSlackBytes)
    return "memory grows: " + std::to_string(first.heap_bytes) + " → " + std::to_string(last.heap_bytes) + " bytes";
  if (last.file_bytes > std::max<uint64_t>(first.file_bytes + first.file_bytes / 4, first.file_bytes + 65'536))
    return "the file grows: " + std::to_string(first.file_bytes) + " → " + std::to_string(last.file_bytes) + " bytes";
  if (last.wal_bytes > first.wal_bytes + 65'536) return "the log grows";
  if (last.rows > first.rows + first.rows / 4 + 100)
    return "rows grow: " + std::to_string(first.rows) + " → " + std::to_string(last.rows);
  return "";
}

}  // namespace wb::crash
