// A record that the hub will not take is found, and what stands behind it goes on.
#include <functional>

#include "edge/agent/test_agent.h"

namespace wb {
namespace {

class RefusalTest : public testing::Test, public TestNode {
 protected:
  void SetUp() override {
    boot();
    settle();
  }
  using Refuses = std::function<bool(const wire::ExchangeRequest& request)>;
  // Contacts until nothing waits, or for so many exchanges, with a hub that refuses some of them.
  int drain_past(const Refuses& refuses, int exchanges_max = 400) {
    int count = 0;
    while (count < exchanges_max) {
      settle();
      if (view().outbox.waiting_count == 0) break;
      if (!reach_exchange()) break;
      pass_ms(requests.back().long_poll_ms());
      if (exchanges.empty()) continue;
      ++count;
      if (refuses(requests.back()))
        refuse();
      else
        answer();
    }
    return count;
  }
  void refuse() {
    const uint64_t id = exchanges.front().id;
    exchanges.pop_front();
    feed(agent::ExchangeFailed{id, fail(Code::kInvalid, "the hub answered HTTP 400: too large a number"), 0,
                               agent::ExchangeFailed::Got::kSent, true});
  }
  static bool has_large_number(const wire::ExchangeRequest& request) {
    for (const wire::StreamUp& stream : request.streams())
      for (const wire::RecordUp& record : stream.records())
        for (const double number : record.numbers())
          if (number > 1'000) return true;
    return false;
  }
  static bool has_letter_too(const wire::ExchangeRequest& request) {
    for (const wire::StreamUp& stream : request.streams())
      if (stream.lane() == static_cast<uint32_t>(Lane::kDeadLetter) && stream.records_size() > 0) return true;
    return has_large_number(request);
  }
  static bool everything(const wire::ExchangeRequest&) { return true; }

  std::vector<wire::RecordUp> letters() const {
    std::map<uint64_t, wire::RecordUp> by_seq;
    for (const wire::ExchangeRequest& request : requests)
      for (const wire::StreamUp& stream : request.streams())
        for (const wire::RecordUp& record : stream.records())
          if (stream.lane() == static_cast<uint32_t>(Lane::kDeadLetter)) by_seq[record.seq()] = record;
    std::vector<wire::RecordUp> out;
    for (const auto& [seq, record] : by_seq) out.push_back(record);
    return out;
  }
  outbox::LaneCounts sum() const {
    outbox::LaneCounts out;
    for (const outbox::LaneCounts& lane : view().outbox.lanes) {
      out.produced += lane.produced;
      out.effected += lane.effected;
      out.evicted += lane.evicted;
      out.lost += lane.lost;
    }
    return out;
  }
};

TEST_F(RefusalTest, TheOneRecordIsDeclaredLostAndSentAsADeadLetterAndTheRestArrives) {  // Q3 Q4
  send(1, {11, 12, 5'000, 13});
  send(2, std::vector<double>(100, 20));
  drain_past(has_large_number);
  EXPECT_EQ(view().outbox.waiting_count, 0U);
  EXPECT_EQ(view().counters.refused_by_hub(), 1U);
  EXPECT_EQ(view().counters.lost(), 1U);
  ASSERT_EQ(letters().size(), 1U);
  EXPECT_NE(letters()[0].reason().find("too large a number"), std::string::npos) << letters()[0].reason();
  wire::RecordUp inside;
  ASSERT_TRUE(inside.ParseFromString(letters()[0].raw()));
  EXPECT_EQ(inside.numbers(0), 5'000);
  const outbox::LaneCounts all = sum();
  EXPECT_EQ(all.produced, 105U);
  EXPECT_EQ(all.effected, 104U);
  EXPECT_EQ(all.lost, 1U);
  EXPECT_EQ(effects.size(), 104U);
  EXPECT_EQ(hub_gaps, 1U);
  for (const wire::ExchangeRequest& request : requests)  // the hub hears of it as lost, never as evicted
    for (const wire::StreamUp& stream : request.streams()) EXPECT_EQ(stream.evicted_count(), 0U);
  for (const auto& [record, times] : effects) EXPECT_EQ(times, 1);
  expect_exact();
}

TEST_F(RefusalTest, SeveralAreFoundOneByOne) {
  std::vector<double> values(60, 20);
  values[3] = values[4] = values[50] = 5'000;
  send(1, values);
  drain_past(has_large_number);
  EXPECT_EQ(view().counters.refused_by_hub(), 3U);
  EXPECT_EQ(letters().size(), 3U);
  EXPECT_EQ(view().outbox.waiting_count, 0U);
  expect_exact();
}

// One among thousands takes a search, not a walk: each exchange halves those that may be at fault.
TEST_F(RefusalTest, OneOfThousandsIsFoundByHalving) {
  std::vector<double> values(4'000, 20);
  values[2'741] = 5'000;
  send(1, values);
  EXPECT_LT(drain_past(has_large_number), 60);
  EXPECT_EQ(view().counters.refused_by_hub(), 1U);
  EXPECT_EQ(view().outbox.waiting_count, 0U);
  expect_exact();
}

TEST_F(RefusalTest, ADeadLetterThatIsRefusedIsOnlyCounted) {
  send(1, {11, 5'000, 12});
  EXPECT_LT(drain_past(has_letter_too), 60);
  EXPECT_EQ(view().outbox.waiting_count, 0U);
  EXPECT_EQ(view().counters.refused_by_hub(), 2U);
  EXPECT_EQ(view().counters.dead_letters(), 1U);
  EXPECT_EQ(sum().lost, 2U);
  EXPECT_EQ(effects.size(), 2U);
  expect_exact();
}

TEST_F(RefusalTest, AHubThatRefusesEverythingCostsNoRecord) {  // Q1
  send(1, {11, 12, 13});
  EXPECT_EQ(drain_past(everything, 60), 60);
  EXPECT_EQ(view().outbox.waiting_count, 3U);
  EXPECT_EQ(view().counters.refused_by_hub(), 0U);
  drain_past([](const auto&) { return false; });
  EXPECT_EQ(effects.size(), 3U);
  EXPECT_EQ(sum().lost, 0U);
}

// Whatever the moment at which a hub that refuses everything becomes well, or the other way round.
TEST_F(RefusalTest, AHubThatRefusesEverythingForAWhileCostsNoRecord) {  // Q1
  uint64_t answer_id = 0;
  uint64_t produced = 0;
  for (int from = 0; from < 4; ++from)
    for (int until = from + 1; until < from + 12; ++until) {
      send(++answer_id, {11, 12, 13, 14, 15});
      produced += 5;
      int at = 0;
      drain_past([&](const auto&) { return ++at > from && at <= until; });
      ASSERT_EQ(view().outbox.waiting_count, 0U);
      ASSERT_EQ(sum().lost, 0U) << "from " << from << " until " << until;
      ASSERT_EQ(effects.size(), produced);
    }
}

// The hub took it, the ack was lost, and from then on it is unwelcome: it is no loss (Q4).
TEST_F(RefusalTest, ARecordThatTheHubHasIsNotGivenUp) {
  send(1, {11, 12, 5'000, 13});
  ASSERT_TRUE(reach_exchange());
  pass_ms(requests.back().long_poll_ms());
  ASSERT_TRUE(reach_exchange());
  ASSERT_TRUE(has_large_number(requests.back()));
  (void)at_hub();
  lose_exchange(agent::ExchangeFailed::Got::kSent);
  drain_past(has_large_number);
  EXPECT_EQ(view().outbox.waiting_count, 0U);
  EXPECT_EQ(view().counters.refused_by_hub(), 0U);
  EXPECT_EQ(sum().effected, 4U);
  EXPECT_EQ(effects.size(), 4U);
  EXPECT_TRUE(letters().empty());
}

// A probe that waits for a store that fails does not keep control from the hub.
TEST_F(RefusalTest, WithAStoreThatFailsControlStillGoes) {  // R1
  send(1, {5'000});
  for (int i = 0; i < 40 && view().counters.refused_by_hub() == 0; ++i) {
    ASSERT_TRUE(reach_exchange());
    pass_ms(requests.back().long_poll_ms());
    if (exchanges.empty()) continue;
    const bool alone = has_large_number(requests.back());
    if (!alone) {
      answer();
      continue;
    }
    refuse();
    send(2, {11});
    while (!submitted.empty()) fail_store();
    break;
  }
  const size_t before = requests.size();
  ASSERT_TRUE(reach_exchange(false));
  EXPECT_GT(requests.size(), before);
  EXPECT_EQ(requests.back().streams_size(), 0);
}

TEST_F(RefusalTest, TheCountOutlivesAPowerCut) {
  send(1, {5'000});
  drain_past(has_large_number);
  ASSERT_EQ(view().counters.refused_by_hub(), 1U);
  boot();
  settle();
  EXPECT_EQ(view().counters.refused_by_hub(), 1U);
  expect_exact();
}

}  // namespace
}  // namespace wb
