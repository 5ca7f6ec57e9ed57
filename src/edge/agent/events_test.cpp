// What happens to the node itself goes up in the critical lane: first, and evicted last.
#include "edge/agent/test_agent.h"

namespace wb {
namespace {

class EventsTest : public testing::Test, public TestNode {
 protected:
  void SetUp() override {
    local.reset();
    boot();
    settle();
    want(1, "1", "v");
    contact();
    send(1, {11, 12, 13});
    settle();
    ASSERT_EQ(view().deploy.running_name, "pump@1");
    drain();
  }
  // What has arrived at the hub in the critical lane, oldest first.
  std::vector<wire::RecordUp> told() const {
    std::vector<wire::RecordUp> out;
    uint64_t last = 0;
    for (const wire::ExchangeRequest& request : requests)
      for (const wire::StreamUp& stream : request.streams())
        for (const wire::RecordUp& record : stream.records())
          if (stream.lane() == 1 && record.seq() > last) {
            last = record.seq();
            out.push_back(record);
          }
    return out;
  }
};

TEST_F(EventsTest, ARefusedReleaseIsToldFirst) {
  EXPECT_TRUE(told().empty());
  desired.set_generation(2);
  desired.set_digest(std::string(64, 'a'));
  desired.set_name("pump@2");
  desired.set_size_bytes(0);  // cannot be fetched: refused for its length
  contact();
  ASSERT_EQ(view().deploy.quarantined.size(), 1U);
  send(2, {14});
  drain();
  ASSERT_EQ(told().size(), 1U);
  for (const wire::ExchangeRequest& request : requests)
    for (int i = 1; i < request.streams_size(); ++i) EXPECT_NE(request.streams(i).lane(), 1U);
  const wire::RecordUp event = told()[0];
  EXPECT_EQ(event.rule(), static_cast<uint32_t>(Rule::kEvent));
  EXPECT_EQ(event.event(), static_cast<uint32_t>(NodeEvent::kRefused));
  EXPECT_EQ(event.release(), desired.digest());
  EXPECT_EQ(event.texts(0), "pump@2");
  EXPECT_TRUE(event.reason().starts_with("DEPLOY_REJECTED/LENGTH: ")) << event.reason();
  expect_exact();
}

TEST_F(EventsTest, DamagedRowsAreToldOnceAStart) {
  rows[{NodeTable::kRecords, std::string("\x02\0\0\0\0\0\0\0\x63", 9)}] = "no record";
  boot();
  drain();
  ASSERT_EQ(told().size(), 1U);
  EXPECT_EQ(told()[0].event(), static_cast<uint32_t>(NodeEvent::kStoreDamaged));
  boot();
  drain();
  EXPECT_EQ(told().size(), 1U);
}

// The slot of the running release is damaged: the node goes back to the one before it, and says so; with nothing left
// it says safe mode.
TEST_F(EventsTest, GoingBackAndSafeModeAreTold) {  // U2
  want(2, "2", "v");
  contact();
  send(2, {11, 12, 13});
  settle();
  ASSERT_EQ(view().deploy.running_name, "pump@2");
  drain();
  slots[view().deploy.running_digest].first.back() ^= 1;
  boot();
  settle();
  ASSERT_EQ(view().deploy.running_name, "pump@1");
  for (auto& [digest, slot] : slots) slot.first.back() ^= 1;
  boot();
  settle();
  ASSERT_TRUE(view().deploy.safe_mode || view().deploy.running_name.empty());
  desired.Clear();
  drain();
  std::vector<uint32_t> events;
  for (const wire::RecordUp& record : told()) events.push_back(record.event());
  ASSERT_GE(events.size(), 2U);
  EXPECT_EQ(events[0], static_cast<uint32_t>(NodeEvent::kWentBack));
  EXPECT_EQ(events[1], static_cast<uint32_t>(NodeEvent::kSafeMode));
}

TEST_F(EventsTest, AnEventOutlivesEveryReading) {  // Q8
  desired.set_generation(2);
  desired.set_digest(std::string(64, 'a'));
  desired.set_name("pump@2");
  desired.set_size_bytes(0);
  contact();
  for (uint64_t id = 10; view().outbox.lanes[2].evicted + view().outbox.lanes[1].evicted < 500 && id < 2'000; ++id) {
    send(id, std::vector<double>(50, 20));
    settle();
    exchanges.clear();
  }
  EXPECT_GE(view().outbox.lanes[2].evicted + view().outbox.lanes[1].evicted, 500U);
  EXPECT_EQ(view().outbox.lanes[0].evicted, 0U);
  EXPECT_EQ(view().outbox.lanes[0].waiting, 1U);
  expect_exact();
}

TEST_F(EventsTest, WithoutAHubNothingIsTold) {
  config.has_hub = false;
  slots.begin()->second.first.back() ^= 1;
  boot();
  settle();
  EXPECT_EQ(view().outbox.lanes[0].produced, 0U);
}

}  // namespace
}  // namespace wb
