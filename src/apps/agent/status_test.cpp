// What a person reads of an agent's state.
#include "apps/agent/status.h"

#include <gtest/gtest.h>

namespace wb::agentapp {
namespace {

class StatusText : public testing::Test {
 protected:
  // The line that begins with `head`, without it.
  std::string line(std::string_view head) const {
    const std::string text =
        status_text(nlohmann::ordered_json::parse(status_json(view, Moment{Instant{10 * kNsPerSecond}, 5}, measured)));
    const size_t at = text.find(std::string(head) + " ");
    if (at == std::string::npos) return "";
    const size_t from = text.find_first_not_of(' ', at + head.size());
    return text.substr(from, text.find('\n', from) - from);
  }
  AgentView view;
  Measured measured;
};

TEST_F(StatusText, SaysWhatRuns) {
  view.has_hub = true;
  EXPECT_EQ(line("runs"), "nothing yet · idle");
  view.deploy.running_name = "pump@2";
  view.deploy.phase = wire::DEPLOY_PROBATION;
  view.deploy.candidate_name = "pump@3";
  view.deploy.waiting_for = "probation: no records scored yet";
  EXPECT_EQ(line("runs"), "pump@2 · probation of pump@3 · waits: probation: no records scored yet");
  view = {};
  view.local = true;
  view.pipeline = "pump";
  EXPECT_EQ(line("runs"), "pump (the pipeline it was started with)");
}

TEST_F(StatusText, SaysWhatIsRefusedAndWhy) {
  wire::Quarantined bad;
  bad.set_digest(std::string(64, 'a'));
  bad.set_error_code("DEPLOY_REJECTED/SIGNATURE");
  bad.set_reason("no pinned key signed it");
  view.deploy.quarantined = {bad};
  EXPECT_EQ(line("refuses"), "aaaaaaaaaaaa · DEPLOY_REJECTED/SIGNATURE · no pinned key signed it");
}

TEST_F(StatusText, SaysWhyTheHubIsAway) {
  EXPECT_EQ(line("hub"), "none: this node is not enrolled");
  view.has_hub = true;
  view.sync.last_answer_at = Instant{-1};
  view.hub_error = "the hub answered HTTP 403: node 'n1' is revoked";
  EXPECT_EQ(line("hub"), "not connected, no contact since the start · the hub answered HTTP 403: node 'n1' is revoked");
}

TEST_F(StatusText, SaysWhatBecameOfTheRecords) {
  view.outbox.waiting_count = 7;
  view.outbox.lanes[0].evicted = 3;
  view.outbox.budget_left_bytes = 10;
  view.counters.set_dead_letters(2);
  view.counters.set_lost(4);
  measured.actions = {5, 1};
  EXPECT_NE(line("outbox").find(", 3 evicted · the day's upload budget is spent"), std::string::npos) << line("outbox");
  EXPECT_TRUE(line("records").ends_with(", 2 dead letters, 4 lost")) << line("records");
  view.counters.set_refused_by_hub(3);
  EXPECT_TRUE(line("records").ends_with(", 4 lost (3 refused by the hub)")) << line("records");
  EXPECT_EQ(line("actions"), "5 done, 1 dropped");
  view.outbox.budget_left_bytes = 100'000;
  EXPECT_EQ(line("outbox").find("budget"), std::string::npos);
}

// Another program may have got the port of an agent that is gone.
TEST(ForeignStatus, IsShownAsFarAsItGoes) {
  for (const char* json : {"null", "7", "[]", "[[1]]", "{}", R"({"deploy":{"quarantined":[1,{"digest":2}]},"hub":[]})",
                           R"({"outbox":{"lanes":7,"waiting":1e300,"oldest_ms":-9223372036854775808}})"})
    EXPECT_TRUE(status_text(nlohmann::ordered_json::parse(json)).starts_with("node      ?\n")) << json;
}

}  // namespace
}  // namespace wb::agentapp
