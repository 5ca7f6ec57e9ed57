#include "sim/minimise.h"

#include <algorithm>

namespace wb::sim {
namespace {

constexpr int64_t kDayMs = 86'400'000;

class Search {
 public:
  Search(const Scenario& failing, const Minimising& how) : how_(how) { best_.scenario = failing; }
  Minimised run();

 private:
  using Without = std::function<Scenario(size_t from, size_t to)>;
  // Takes the first of the candidates that fails. False: none does.
  bool take(const std::vector<Scenario>& candidates, const std::string& what);
  // Leaves out what can be left out of the parts that `count` counts, first all, then in ever smaller chunks.
  bool leave_out(const std::string& what, const std::function<size_t()>& count, const Without& without);
  bool fewer_days();
  bool fewer_nodes();
  bool fewer_faults();
  bool fewer_cues();

  const Minimising& how_;
  Minimised best_;
};

std::vector<const Fault*> faults_of(const Scenario& scenario) {
  std::vector<const Fault*> out;
  for (const Fault& fault : fault_table())
    if (scenario.faults.*fault.value != fault.calm) out.push_back(&fault);
  return out;
}

// Smaller values of `now`, the smallest first: few candidates near zero, where most failures live, and one step down.
std::vector<uint32_t> smaller(uint32_t now) {
  std::vector<uint32_t> out;
  for (const uint32_t value : {1U, 2U, 3U, now / 4, now / 2, now - 1})
    if (value > 0 && value < now) out.push_back(value);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

bool Search::take(const std::vector<Scenario>& candidates, const std::string& what) {
  std::vector<Scenario> tries;
  for (uint32_t i = 0; i < how_.seeds_per_candidate; ++i)
    for (const Scenario& candidate : candidates) {
      tries.push_back(candidate);
      tries.back().seed += i;
      std::erase_if(tries.back().script, [&](const Cue& cue) { return cue.nodes.first >= candidate.nodes; });
    }
  const uint32_t left = how_.histories_max - best_.histories;
  if (tries.size() > left) {
    best_.gave_up = true;
    tries.resize(left);
  }
  if (tries.empty()) return false;
  const auto found = how_.first_failing(tries);
  best_.histories += static_cast<uint32_t>(found ? *found + 1 : tries.size());
  if (!found) return false;
  best_.scenario = std::move(tries[*found]);
  if (how_.progress) {
    const Scenario& now = best_.scenario;
    how_.progress(std::to_string(best_.histories) + " tried, " + what + ": " + std::to_string(now.nodes) + " nodes, " +
                  std::to_string(now.days) + " days, " + std::to_string(faults_of(now).size()) + " faults, " +
                  std::to_string(now.script.size()) + " cues, seed " + std::to_string(now.seed));
  }
  return true;
}

bool Search::leave_out(const std::string& what, const std::function<size_t()>& count, const Without& without) {
  bool any = false;
  for (size_t chunk = count(); chunk > 0 && !best_.gave_up; chunk /= 2)
    for (size_t from = 0; from < count() && !best_.gave_up;) {
      if (take({without(from, std::min(from + chunk, count()))}, what))
        any = true;  // those behind moved up
      else
        from += chunk;
    }
  return any;
}

// Both ways: the same script in less time, and the script as far as it gets.
bool Search::fewer_days() {
  const Scenario& now = best_.scenario;
  std::vector<Scenario> candidates;
  for (const uint32_t days : smaller(now.days)) {
    Scenario cut = now;
    cut.days = days;
    Scenario squeezed = cut;
    std::erase_if(cut.script, [&](const Cue& cue) { return cue.at_ms >= int64_t{days} * kDayMs; });
    for (Cue& cue : squeezed.script) cue.at_ms = cue.at_ms / 1'000 * days / now.days * 1'000;
    candidates.push_back(std::move(cut));
    candidates.push_back(std::move(squeezed));
  }
  return take(candidates, "fewer days");
}

bool Search::fewer_nodes() {
  std::vector<Scenario> candidates;
  for (const uint32_t nodes : smaller(best_.scenario.nodes)) {
    candidates.push_back(best_.scenario);
    candidates.back().nodes = nodes;
  }
  return take(candidates, "fewer nodes");
}

bool Search::fewer_faults() {
  return leave_out(
      "fewer faults", [this] { return faults_of(best_.scenario).size(); },
      [this](size_t from, size_t to) {
        Scenario out = best_.scenario;
        const std::vector<const Fault*> faults = faults_of(out);
        for (size_t i = from; i < to; ++i) out.faults.*faults[i]->value = faults[i]->calm;
        return out;
      });
}

bool Search::fewer_cues() {
  return leave_out(
      "fewer cues", [this] { return best_.scenario.script.size(); },
      [this](size_t from, size_t to) {
        Scenario out = best_.scenario;
        const auto begin = out.script.begin();
        out.script.erase(begin + static_cast<std::ptrdiff_t>(from), begin + static_cast<std::ptrdiff_t>(to));
        return out;
      });
}

Minimised Search::run() {
  // The large steps first: what is left is run faster.
  for (bool again = true; again && !best_.gave_up;) {
    again = fewer_days();
    again = fewer_nodes() || again;
    again = fewer_faults() || again;
    again = fewer_cues() || again;
  }
  return std::move(best_);
}

}  // namespace

Minimised minimise(const Scenario& failing, const Minimising& how) { return Search(failing, how).run(); }

}  // namespace wb::sim
