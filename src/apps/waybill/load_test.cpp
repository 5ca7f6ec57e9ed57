// The load generator against a whole hub in this process: what it counts is what the hub has.

#include <fstream>

#include "apps/waybill/commands.h"
#include "apps/waybill/load_fleet.h"
#include "apps/waybill/load_report.h"
#include "apps/waybill/test_running_hub.h"

namespace wb::cli {
namespace {

using Json = nlohmann::ordered_json;

TEST(LatencyHistogram, PercentilesAreWithinAStepOfTheTruth) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.percentile_us(500), 0U);
  for (uint64_t us = 1; us <= 100'000; ++us) histogram.add(us);
  for (const uint32_t permille : {1U, 500U, 950U, 990U, 1'000U}) {
    const auto truth = 100.0 * permille;
    EXPECT_GE(static_cast<double>(histogram.percentile_us(permille)), truth);
    EXPECT_LE(static_cast<double>(histogram.percentile_us(permille)), truth * 1.07);
  }
  histogram.add(UINT64_MAX);
  EXPECT_GT(histogram.percentile_us(1'000), 1'000'000'000U);
}

// L2: retries are counted against what was due.
TEST(LoadReport, SaysHowMuchRetriesAddAndWhenGoodputIsBack) {
  LoadReport report("open", 10);
  report.begin_phase("1", 100);
  for (int s = 0; s < 20; ++s) {
    report.now().attempts = 12;
    report.now().retries = 2;
    report.now().answers = 10;
    report.now().records = s < 8 ? 50 : 96;
    report.end_second(10);
  }
  report.end();
  const Json phase = report.json()["phases"][0];
  EXPECT_EQ(phase["retry_amplification"], 1.2);
  EXPECT_EQ(phase["goodput_95_after_s"], 8);
  EXPECT_EQ(phase["exchanges_per_s"], 10.0);
  EXPECT_NE(report.table(true).find("1.2"), std::string::npos);
}

class LoadHub : public RunningHub {
 protected:
  std::vector<LoadIdentity> identities(size_t count) {
    return load_identities(folder_.path("agents"), count, admin(), [](size_t, size_t) {});
  }
  uint64_t records_at_hub() {
    const Json list = admin().get("/v1/datasets");
    uint64_t records = 0;
    for (const Json& dataset : list["datasets"]) records += dataset["records"].get<uint64_t>();
    return records;
  }
};

TEST_F(LoadHub, IdentitiesAreEnrolledOnceAndUsedAgain) {
  const auto first = identities(3);
  ASSERT_EQ(first.size(), 3U);
  const auto more = identities(5);
  EXPECT_EQ(more[2].id, first[2].id);
  EXPECT_EQ(more[2].tls.key_pem, first[2].tls.key_pem);
  EXPECT_NE(more[4].id, more[3].id);
  EXPECT_EQ(identities(2).size(), 2U);
  EXPECT_EQ(admin().get("/v1/nodes")["nodes"].size(), 5U);
  std::ofstream(folder_.path("agents/ca.pem")) << "another hub's";
  EXPECT_THROW(identities(1), Exit);
}

TEST_F(LoadHub, ClosedLoopCountsWhatTheHubHas) {
  LoadOptions options;
  options.open_loop = false;
  LoadFleet fleet(options, endpoint_, identities(3));
  fleet.report().begin_phase("1", 0);
  fleet.start(std::chrono::milliseconds(0));
  fleet.run(60, 0, [&] { return fleet.report().answers() < 20; });
  fleet.report().end();
  fleet.stop(std::chrono::seconds(5));
  const Json all = fleet.report().json();
  uint64_t records = 0;
  for (const Json& second : all["seconds"]) records += second["records"].get<uint64_t>();
  EXPECT_GE(records_at_hub(), records);  // what came back after the last second is not in a row of its own
  EXPECT_LE(records_at_hub(), records + 3 * 10 * 2);
  EXPECT_EQ(all["phases"][0]["refused"], Json::object());
  EXPECT_EQ(fleet.connected(), 3U);
}

// The agents of an open loop are real: they park, come when records wait, and after a storm come back by themselves.
TEST_F(LoadHub, OpenLoopDeliversWhatComesAndSurvivesStorms) {
  LoadOptions options;
  options.flush_ms = 100;
  LoadFleet fleet(options, endpoint_, identities(4));
  fleet.report().begin_phase("1", 40);
  fleet.start(std::chrono::milliseconds(0));
  fleet.run(2, 40, [] { return true; });
  fleet.storm(100);
  fleet.run(120, 0, [&] { return records_at_hub() < 80 || fleet.connected() < 4; });
  fleet.report().end();
  fleet.stop(std::chrono::seconds(5));
  EXPECT_EQ(records_at_hub(), 80U);
  const Json phase = fleet.report().json()["phases"][0];
  EXPECT_EQ(phase["before_retry_after"], 0);  // L3
}

}  // namespace
}  // namespace wb::cli
