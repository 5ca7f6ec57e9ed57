#pragma once
// Scenario: one history written down as text, with what is expected of it: a story worth telling (a hub restored while
// a wave is in probation), or a seed that once failed, made as small as it goes. The grammar is
// docs/operations/scenarios.md. parse_scenario(print_scenario(x)) is x. Pure text: whoever reads files does so
// elsewhere.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sim/sim.h"

namespace wb::sim {

inline constexpr size_t kScenarioBytesMax = 256U << 10;
inline constexpr uint32_t kNodesMax = 10'000;
inline constexpr uint32_t kDaysMax = 365;

struct Scenario {
  std::string story;  // the comment that the file begins with, without '#'; may be empty
  uint64_t seed = 1;
  uint32_t nodes = 12;
  uint32_t days = 3;  // with faults; the healing comes after them
  Faults faults;
  Script script;

  // Every promise is expected to hold. More than that:
  struct Expected {
    std::string count;  // of the report, by name
    bool at_most = false;
    uint64_t value = 0;
    friend bool operator==(const Expected&, const Expected&) = default;
  };
  std::vector<Expected> counts;
  std::vector<Transition> took;
  std::vector<Transition> never_took;
  // With this planted bug built in and chosen, that promise is expected to be broken.
  struct Planted {
    std::string bug;
    std::string promise;
    friend bool operator==(const Planted&, const Planted&) = default;
  };
  std::vector<Planted> planted;
};

// Every fault of the text at once, a line each: "file:line: what, and the nearest valid name".
Result<Scenario> parse_scenario(std::string_view text, std::string_view file);
std::string print_scenario(const Scenario& scenario);
// As a seed draws it (faults and script), so that it can be written down and made smaller.
Scenario scenario_of(const Options& options);
// Everything but read_document and progress.
Options options_of(const Scenario& scenario);

// What was expected and is not so, a line each; empty = all as expected. Broken promises are in the report itself.
std::vector<std::string> unmet(const Scenario& scenario, const Report& report);

}  // namespace wb::sim
