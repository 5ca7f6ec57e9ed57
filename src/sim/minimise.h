#pragma once
// Minimising: from a history that fails to a small one that fails in the same way, to be read by a person and kept as a
// scenario. Fewer days, fewer nodes, fewer kinds of faults, fewer cues of the script, again and again until nothing
// more can go; cues are left out in ever smaller chunks (A. Zeller, R. Hildebrandt 2002, "Simplifying and isolating
// failure-inducing input", IEEE TSE 28; where we differ: only complements are tried, because one chunk alone rarely
// makes a whole script).
//
// A smaller history is another history: chance falls differently in it, and may hide the failure. So each candidate is
// tried under several seeds, its own first. What fails is for the caller to say; here nothing is run.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/scenario.h"

namespace wb::sim {

struct Minimising {
  // Index of the first candidate that fails, in their order, or nullopt. They may be tried side by side.
  std::function<std::optional<size_t>(const std::vector<Scenario>& candidates)> first_failing;
  std::function<void(const std::string& text)> progress;  // a line for each thing that could go; may be empty
  uint32_t seeds_per_candidate = 3;
  uint32_t histories_max = 2'000;  // tried at most; then the smallest so far is the answer
};

struct Minimised {
  Scenario scenario;
  uint32_t histories = 0;  // tried at most
  bool gave_up = false;    // histories_max was reached
};

// `failing` must fail.
Minimised minimise(const Scenario& failing, const Minimising& how);

}  // namespace wb::sim
