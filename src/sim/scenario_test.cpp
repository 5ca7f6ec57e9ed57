#include "sim/scenario.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "base/planted.h"
#include "base/prng.h"

namespace wb::sim {
namespace {

constexpr std::string_view kText = R"(# The hub comes back from its backup while a wave is in probation.
#
# A second paragraph.
seed 7
nodes 12
days 3

fault lose 5%
fault delay up to 4s
fault crash every 2d
fault store_fail 0.2%

at 0d00:00 ship good 1
at 1d06:00:30 ship retrained 2
at 1d06:20 cut 3..5 for 7d
at 1d06:20 off all for 90s
at 1d06:21 crash 4
at 1d06:22 disk_full 7.. for 2d
at 1d07:00 pause
at 1d08:00 resume 2
at 1d09:00 hub_restore
at 1d10:00 hub_off for 6h

expect held
expect hub_restores >= 1
expect rollbacks <= 0
expect took exposure pending -> withdrawn
expect never rollout running --gate-> halted
planted no-dedupe breaks Q3
)";

std::string error_of(std::string_view text) {
  const auto parsed = parse_scenario(text, "x.scenario");
  return parsed.ok() ? "" : parsed.error().text;
}

TEST(Scenario, ReadsAndPrintsTheSameText) {
  const auto parsed = parse_scenario(kText, "x.scenario");
  ASSERT_TRUE(parsed.ok()) << parsed.error().text;
  EXPECT_EQ(parsed->story, "The hub comes back from its backup while a wave is in probation.\n\nA second paragraph.");
  EXPECT_EQ(parsed->seed, 7U);
  EXPECT_EQ(parsed->faults.lose_per_million, 50'000);
  EXPECT_EQ(parsed->faults.store_fail_per_million, 2'000);
  EXPECT_EQ(parsed->faults.crash_every_ms, 2 * 86'400'000);
  ASSERT_EQ(parsed->script.size(), 10U);
  EXPECT_EQ(parsed->script[1].at_ms, (86'400 + 6 * 3'600 + 30) * 1'000);
  EXPECT_EQ(parsed->script[2].nodes, (NodeRange{3, 5}));
  EXPECT_EQ(parsed->script[3].nodes, (NodeRange{0, kLastNode}));
  EXPECT_EQ(parsed->script[5].nodes, (NodeRange{7, kLastNode}));
  EXPECT_EQ(print_scenario(*parsed), kText);
}

// Whatever a seed draws can be written down and means the same when it is read.
TEST(Scenario, EverySeedCanBeWrittenDown) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Options options;
    options.seed = seed;
    options.days = 1 + static_cast<uint32_t>(seed % 9);
    options.faults = faults_of_seed(seed);
    const Scenario drawn = scenario_of(options);
    const auto read = parse_scenario(print_scenario(drawn), "drawn");
    ASSERT_TRUE(read.ok()) << read.error().text << "\n" << print_scenario(drawn);
    EXPECT_EQ(read->seed, drawn.seed);
    EXPECT_EQ(read->nodes, drawn.nodes);
    EXPECT_EQ(read->days, drawn.days);
    EXPECT_EQ(read->faults, drawn.faults);
    EXPECT_EQ(read->script, drawn.script);
  }
}

TEST(Scenario, FaultsOfTheTextHaveTheirLineAndTheNearestName) {
  const std::string head = "seed 1\nat 0d00:00 ship good 1\n";
  EXPECT_EQ(error_of(head + "sed 1\n"), "x.scenario:3: no statement begins with 'sed'; did you mean 'seed'?");
  EXPECT_EQ(error_of(head + "fault looose 5%\n"), "x.scenario:3: there is no fault 'looose'; did you mean 'lose'?");
  EXPECT_EQ(error_of(head + "at 1d00:00 hub_restor\n"),
            "x.scenario:3: nothing is called 'hub_restor'; did you mean 'hub_restore'?");
  EXPECT_EQ(error_of(head + "at 1d00:00 ship god 2\n"),
            "x.scenario:3: there is no release of kind 'god'; did you mean 'good'?");
  EXPECT_EQ(error_of(head + "expect crashs >= 1\n"),
            "x.scenario:3: the report has no count 'crashs'; did you mean 'crashes'?");
  EXPECT_EQ(error_of(head + "expect took exposure pending -> wihdrawn\n"),
            "x.scenario:3: no transition is called 'exposure pending -> wihdrawn'; did you mean 'exposure pending -> "
            "withdrawn'?");
  EXPECT_EQ(error_of(head + "fault lose 5\n"), "x.scenario:3: fault 'lose' takes a chance, as in 'fault lose 5%'");
  EXPECT_EQ(error_of(head + "at 9d00:00 crash 0\n"),
            "x.scenario:3: this is after the last of 3 days; more 'days', or an earlier time");
  EXPECT_EQ(error_of(head + "at 1d00:00 crash 12\n"), "x.scenario:3: the last of 12 nodes is 11");
  EXPECT_EQ(error_of(head + "at 1d00:00 pause first\n"),
            "x.scenario:3: 'first' is no version; they are numbers from 1");
  EXPECT_EQ(error_of(head + "at 1d00:00 crash 1\nat 0d12:00 crash 1\n"),
            "x.scenario:4: this is earlier than the line before it");
  EXPECT_EQ(error_of(head + "seed 2\n"), "x.scenario:3: 'seed' is said twice");
}

TEST(Scenario, AllFaultsAreToldAtOnce) {
  EXPECT_EQ(error_of("nodes 0\nat 0d24:00 crash 1\nat 0d00:00 cut 5..3 for 1h\nat 0d00:00 off 1 for ever\n"),
            "x.scenario:1: 'nodes' takes one number from 1 to 10000\n"
            "x.scenario:2: '0d24:00' is no time; write day, hour and minute as in 2d06:30\n"
            "x.scenario:3: '5..3' names no nodes; write all, 3, 3..5 or 3.. (counted from 0)\n"
            "x.scenario:4: 'ever' is not a duration such as 250ms, 5s, 2m, 1h or 7d");
}

// A scenario that names a bug which is not there would never be tried.
TEST(Scenario, TheFilesNamePlantedBugsAndBrokenPromisesThatExist) {
#define NAME(enumerator, name, promises, story, ...) {name, promises},
  const std::map<std::string, std::string> bugs = {WB_PLANTED_BUGS(NAME)};
#undef NAME
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(WB_SOURCE_DIR) + "/tests/scenario")) {
    if (entry.path().extension() != ".scenario") continue;
    ++files;
    std::ifstream file(entry.path());
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    const auto scenario = parse_scenario(text, entry.path().filename().string());
    ASSERT_TRUE(scenario.ok()) << scenario.error().text;
    EXPECT_FALSE(scenario->story.empty()) << entry.path() << " tells no story";
    for (const Scenario::Planted& one : scenario->planted) {
      ASSERT_TRUE(bugs.contains(one.bug)) << entry.path() << ": no planted bug is called " << one.bug;
      EXPECT_NE((" " + bugs.at(one.bug) + " ").find(" " + one.promise + " "), std::string::npos)
          << entry.path() << ": " << one.bug << " is not said to break " << one.promise;
    }
  }
  EXPECT_GE(files, 12U);
}

// Hostile text ends in an error or a scenario, never in a crash, and takes no longer than its length.
TEST(Scenario, RandomEditsOfATextAreReadOrRefused) {
  Prng prng(5);
  for (int i = 0; i < 3'000; ++i) {
    std::string text(kText);
    for (uint64_t edits = 1 + prng.below(4); edits > 0; --edits) {
      const uint64_t at = prng.below(text.size());
      switch (prng.below(3)) {
        case 0: text[at] = static_cast<char>(prng.below(256)); break;
        case 1: text.erase(at, 1 + prng.below(5)); break;
        default: text.insert(at, text.substr(prng.below(text.size()), prng.below(9)));
      }
    }
    const auto parsed = parse_scenario(text, "x");
    if (!parsed.ok()) {
      EXPECT_TRUE(parsed.error().text.starts_with("x:")) << parsed.error().text;
    } else {
      EXPECT_TRUE(parse_scenario(print_scenario(*parsed), "y").ok()) << print_scenario(*parsed);
    }
  }
  EXPECT_FALSE(parse_scenario(std::string(kScenarioBytesMax + 1, '#'), "x").ok());
}

TEST(Scenario, ExpectationsAreHeldAgainstTheReport) {
  const auto scenario = parse_scenario(kText, "x.scenario");
  ASSERT_TRUE(scenario.ok());
  Report report;
  EXPECT_EQ(unmet(*scenario, report),
            (std::vector<std::string>{"expected hub_restores >= 1; it is 0",
                                      "expected the transition exposure pending -> withdrawn; it was not taken"}));
  report.hub_restores = 1;
  report.coverage.took(scenario->took[0]);
  EXPECT_TRUE(unmet(*scenario, report).empty());
  report.rollbacks = 2;
  report.coverage.took(scenario->never_took[0]);
  EXPECT_EQ(unmet(*scenario, report),
            (std::vector<std::string>{"expected rollbacks <= 0; it is 2",
                                      "expected never to see rollout running --gate-> halted; it was taken 1 times"}));
}

}  // namespace
}  // namespace wb::sim
