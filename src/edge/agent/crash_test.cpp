// Power cuts: whatever prefix of the tickets is durable, the node goes on from it and the sums hold.
#include "edge/agent/test_agent.h"

namespace wb {
namespace {

bool goes_back(const wire::Counters& before, const wire::Counters& after) {
  if (after.records_in() < before.records_in() || after.records_filtered() < before.records_filtered()) return true;
  if (after.records_scored() < before.records_scored() || after.bytes_up() < before.bytes_up()) return true;
  if (after.lost() < before.lost() || after.offline_ms() < before.offline_ms()) return true;
  if (after.boots() < before.boots() || after.dead_letters() < before.dead_letters()) return true;
  for (const wire::RuleCount& rule : before.rules()) {
    bool found = false;
    for (const wire::RuleCount& now : after.rules()) {
      if (now.rule() != rule.rule()) continue;
      found = true;
      if (now.selected() < rule.selected() || now.uploaded() < rule.uploaded()) return true;
    }
    if (!found) return true;
  }
  return false;
}

void expect_counters_go_up(const std::vector<wire::ExchangeRequest>& requests) {
  for (size_t i = 1; i < requests.size(); ++i)
    EXPECT_FALSE(goes_back(requests[i - 1].counters(), requests[i].counters())) << "exchange " << i;
}

// A short story. `cut_at` commits are made durable one ticket at a time, then the power fails. Returns false when the
// story ended before that.
struct Story {
  TestNode node;
  uint64_t commits = 0;
  uint64_t cut_at = 0;
  uint64_t accepted_rows = 0;  // selected ones whose producer heard "accepted"
  std::map<uint64_t, uint64_t> selected_of;

  bool commit_all() {
    while (!node.submitted.empty()) {
      if (commits == cut_at) return false;
      node.commit(1);
      ++commits;
    }
    return true;
  }
  bool take(uint64_t id, const std::vector<double>& values) {
    for (const double value : values) selected_of[id] += value > 10 ? 1 : 0;
    node.send(id, values);
    return commit_all();
  }
  bool exchange(bool answered) {
    for (int i = 0; i < 300 && node.exchanges.empty(); ++i) {
      if (!commit_all()) return false;
      if (!node.loads.empty())
        node.load();
      else if (node.exchanges.empty())
        node.wake();
    }
    if (answered) {
      node.answer();
    } else {
      node.at_hub();  // it arrived; its answer did not
      node.lose_exchange(agent::ExchangeFailed::Got::kSent);
    }
    return commit_all();
  }
  bool tell() {
    node.boot();
    if (!commit_all() || !take(1, {11, 5}) || !take(2, {1}) || !exchange(false)) return false;
    if (!take(3, {12, 13}) || !exchange(true) || !take(4, {14})) return false;
    node.submitted.clear();
    node.boot();
    return commit_all() && take(5, {15, 16}) && exchange(true) && exchange(true);
  }
};

TEST(AgentCrashTest, ReopensFromEveryPrefixOfItsTickets) {  // Q1, Q3, Q4
  uint64_t cuts = 0;
  for (uint64_t cut_at = 0; cut_at < 200; ++cut_at) {
    SCOPED_TRACE(cut_at);
    Story story;
    story.cut_at = cut_at;
    const bool ended = story.tell();
    TestNode& node = story.node;
    uint64_t promised = 0;
    for (const auto& [id, answer] : node.answers)
      if (answer.verdict == agent::Answer::Verdict::kAccepted) promised += story.selected_of[id];
    node.boot();
    node.settle();
    node.expect_exact();
    node.drain();
    node.expect_exact();
    uint64_t produced = 0;
    for (const outbox::LaneCounts& lane : node.view().outbox.lanes) produced += lane.produced;
    EXPECT_GE(node.effects.size(), promised) << "Q1: accepted, and not at the hub";
    EXPECT_EQ(node.effects.size(), produced);
    for (const auto& [key, count] : node.effects) EXPECT_EQ(count, 1) << "Q3";
    EXPECT_EQ(node.hub_gaps, 0U);
    expect_counters_go_up(node.requests);
    if (ended) break;
    ++cuts;
  }
  EXPECT_GE(cuts, 10U);
  EXPECT_LT(cuts, 200U) << "the story never ended";
}

TEST(AgentCrashTest, CountersThatWereReportedNeverGoBack) {
  TestNode node;
  node.boot();
  node.settle();
  for (int life = 0; life < 6; ++life) {
    node.pass_ms(700);
    node.exchanges.clear();
    node.boot();
    node.settle();
    for (uint64_t i = 0; i < 5; ++i) {
      node.send(static_cast<uint64_t>(life) * 100 + i + 1, {11, 1});
      if (i == 2) node.settle();  // what came after is not durable when the contact comes
      if (i == 3 && node.reach_exchange(false)) node.answer();
    }
    if (node.reach_exchange(life % 2 == 0)) node.answer();
    if (node.reach_exchange(life % 2 == 0))
      life % 3 == 0 ? node.lose_exchange(agent::ExchangeFailed::Got::kSent) : node.answer();
    node.pass_ms(60);
  }
  EXPECT_GE(node.requests.size(), 8U);
  expect_counters_go_up(node.requests);
}

TEST(AgentCrashTest, DamageIsCountedAndDoesNotStopAStart) {  // Q4, Q5
  TestNode node;
  node.boot();
  node.send(1, {11, 12, 13});
  node.settle();
  for (auto& [key, value] : node.rows)
    if (key.first == NodeTable::kRecords) {
      value = "?";
      break;
    }
  node.boot();
  node.settle();
  node.expect_exact();
  EXPECT_EQ(node.view().counters.lost(), 1U);
  node.drain();
  EXPECT_EQ(node.effects.size(), 3U);  // one tells of the damage
  EXPECT_EQ(node.hub_gaps, 1U);
}

TEST(AgentCrashTest, ARowThatCannotBeReadBackIsDeclaredLost) {  // Q4
  TestNode node;
  node.boot();
  node.send(1, {11, 12});
  node.settle();
  while (node.loads.empty()) {
    node.commit();
    if (node.loads.empty()) node.wake();
  }
  for (const auto& [key, value] : node.rows)
    if (key.first == NodeTable::kRecords) {
      node.rows.erase(std::pair(key));
      break;
    }
  node.drain();
  EXPECT_EQ(node.effects.size(), 1U);
  EXPECT_EQ(node.hub_gaps, 1U);
  EXPECT_EQ(node.view().counters.lost(), 1U);
  node.expect_exact();
}

}  // namespace
}  // namespace wb
