#pragma once
// What `waybill sim` was asked for, and its verbs.

#include <cstdint>
#include <string>
#include <vector>

#include "apps/waybill/output.h"
#include "sim/sim.h"

namespace wb::cli {

struct SimCommand {
  uint64_t seed = 1;
  uint32_t seeds = 1;
  std::string fresh;
  uint32_t nodes = 50;
  uint32_t days = 7;
  uint32_t jobs = 0;  // 0 = as many as there are cores
  bool until_broken = false;
  std::vector<std::string> scenarios;  // files
  bool minimise = false;
  bool describe = false;
  bool coverage = false;
  std::string promise;
  std::string write;
  std::string evidence;  // file
  Format format = Format::kTable;
};

sim::Options options_of_seed(const SimCommand& command, uint64_t seed);

// sim_scenarios.cpp. Throw Exit if a promise was broken or an expectation was not met, or a file cannot be read.
void run_scenarios(const SimCommand& command);
void minimise(const SimCommand& command);
void describe(const SimCommand& command);

}  // namespace wb::cli
