#include "edge/deploy/probation.h"

#include <algorithm>
#include <set>

#include "base/bytes.h"
#include "base/planted.h"
#include "base/prng.h"

namespace wb::deploy {
namespace {

using wire::ScoreSketch;
constexpr uint64_t kPpm = 1'000'000;
template <class T>
using Repeated = google::protobuf::RepeatedField<T>;

uint64_t share_ppm(uint64_t part, uint64_t whole) { return static_cast<uint64_t>(Uint128{part} * kPpm / whole); }
uint64_t apart(uint64_t a, uint64_t b) { return a > b ? a - b : b - a; }

// Sketches come from a store or a release: a hostile count saturates, it does not wrap.
uint64_t total_of(const Repeated<uint64_t>& bins) {
  uint64_t total = 0;
  for (uint64_t count : bins) total = count > ~uint64_t{0} - total ? ~uint64_t{0} : total + count;
  return total;
}

uint64_t square_root(uint64_t value) {
  uint64_t root = 0;
  for (uint64_t bit = uint64_t{1} << 31; bit != 0; bit >>= 1)
    if ((root + bit) * (root + bit) <= value) root += bit;
  return root;
}

uint64_t label_count(const ScoreSketch& sketch, const std::string& label) {
  uint64_t count = 0;
  for (int i = 0; i < std::min(sketch.labels_size(), sketch.label_counts_size()); ++i)
    if (sketch.labels(i) == label) count += sketch.label_counts(i);
  return count;
}

// What is summed over the bins: every displacement, or only that of `a` towards the higher bins.
enum class Direction : uint8_t { kBoth, kUp };

uint64_t bins_distance_ppm(const Repeated<uint64_t>& a, const Repeated<uint64_t>& b, Direction direction) {
  const uint64_t total_a = total_of(a);
  const uint64_t total_b = total_of(b);
  if (total_a == 0 || total_b == 0 || total_a == ~uint64_t{0} || total_b == ~uint64_t{0}) return kNoDistance;
  uint64_t below_a = 0;
  uint64_t below_b = 0;
  uint64_t up = 0;
  uint64_t down = 0;
  for (int i = 0; i < std::min(std::max(a.size(), b.size()), 64); ++i) {
    below_a += i < a.size() ? a.Get(i) : 0;
    below_b += i < b.size() ? b.Get(i) : 0;
    const uint64_t share_a = share_ppm(below_a, total_a);
    const uint64_t share_b = share_ppm(below_b, total_b);
    (share_a < share_b ? up : down) += apart(share_a, share_b);
  }
  if (direction == Direction::kBoth) return up + down;
  return up > down ? up - down : 0;
}

uint64_t attempts_of(const ScoreSketch& sketch) { return std::max<uint64_t>(sketch.records(), sketch.errors()); }

// Errors that this many attempts may have if the candidate is no worse than `control`.
uint64_t errors_allowed(const ScoreSketch* control, uint64_t attempts, const Thresholds& thresholds) {
  uint64_t expected = 0;
  if (control != nullptr && attempts_of(*control) > 0)
    expected = static_cast<uint64_t>(Uint128{control->errors()} * attempts / attempts_of(*control));
  return expected + 3 * square_root(expected) + 3 +
         static_cast<uint64_t>(Uint128{attempts} * thresholds.error_ppm / kPpm);
}

// The bin that holds the median, or -1.
int median_bin(const Repeated<uint64_t>& bins) {
  const uint64_t total = total_of(bins);
  if (total == 0) return -1;
  uint64_t below = 0;
  for (int i = 0; i < bins.size(); ++i) {
    below += bins.Get(i);
    if (below >= total - below) return i;
  }
  return bins.size() - 1;
}

std::string decimal(uint64_t ppm) {  // 1234567 → "1.23"
  const uint64_t hundredths = ppm / 10'000;
  const std::string low = std::to_string(hundredths % 100);
  return std::to_string(hundredths / 100) + "." + (low.size() < 2 ? "0" : "") + low;
}

using Distance = uint64_t (*)(const ScoreSketch&, const ScoreSketch&);

// Far from the incumbent and from the reference; where one of them has no data, the other alone decides.
bool too_far(const Probation& probation, Distance distance, uint64_t limit, std::string_view what, Verdict& verdict) {
  const uint64_t from_incumbent =
      probation.incumbent != nullptr ? distance(*probation.candidate, *probation.incumbent) : kNoDistance;
  const uint64_t from_reference =
      probation.reference != nullptr ? distance(*probation.candidate, *probation.reference) : kNoDistance;
  if (from_incumbent == kNoDistance && from_reference == kNoDistance) return false;
  const auto within = [&](uint64_t ppm) { return ppm != kNoDistance && ppm <= limit; };
  if (within(from_incumbent) || within(from_reference)) return false;
  verdict.kind = Verdict::Kind::kFail;
  verdict.text = std::string(what) + " of its answers differs";
  if (from_incumbent != kNoDistance) verdict.text += " by " + decimal(from_incumbent) + " from the running release";
  if (from_incumbent != kNoDistance && from_reference != kNoDistance) verdict.text += " and";
  if (from_reference != kNoDistance) verdict.text += " by " + decimal(from_reference) + " from its own reference";
  verdict.text += "; at most " + decimal(limit) + " is accepted";
  return true;
}

bool judge_errors(const Probation& probation, const Thresholds& thresholds, const ScoreSketch* incumbent,
                  Verdict& verdict) {
  const ScoreSketch& candidate = *probation.candidate;
  const uint64_t attempts = attempts_of(candidate);
  const uint64_t allowed = errors_allowed(incumbent != nullptr ? incumbent : probation.reference, attempts, thresholds);
  if (candidate.errors() <= allowed) return false;
  verdict = {Verdict::Kind::kFail, "DEPLOY_FAILED/PROBATION/ERRORS",
             std::to_string(candidate.errors()) + " of " + std::to_string(attempts) +
                 " records could not be scored; at most " + std::to_string(allowed) + " would be no worse than " +
                 (incumbent != nullptr ? "the running release" : "its reference")};
  return true;
}

bool judge_latency(const ScoreSketch& candidate, const ScoreSketch* incumbent, const Thresholds& thresholds,
                   Verdict& verdict) {
  if (incumbent == nullptr) return false;  // a reference from another machine says nothing about this one's speed
  const int ours = median_bin(candidate.latency_bins_us());
  const int theirs = median_bin(incumbent->latency_bins_us());
  if (ours < 0 || theirs < 0 || ours <= theirs + static_cast<int>(thresholds.latency_bins)) return false;
  verdict = {Verdict::Kind::kFail, "DEPLOY_FAILED/PROBATION/LATENCY",
             "half of its answers take up to " + std::to_string(uint64_t{1} << ours) +
                 " µs; half of the running release's up to " + std::to_string(uint64_t{1} << theirs) + " µs"};
  return true;
}

}  // namespace

uint64_t label_distance_ppm(const ScoreSketch& a, const ScoreSketch& b) {
  const uint64_t total_a = total_of(a.label_counts());
  const uint64_t total_b = total_of(b.label_counts());
  if (total_a == 0 || total_b == 0) return kNoDistance;
  std::set<std::string> labels(a.labels().begin(), a.labels().end());
  labels.insert(b.labels().begin(), b.labels().end());
  uint64_t sum = 0;
  for (const std::string& label : labels)
    sum += apart(share_ppm(label_count(a, label), total_a), share_ppm(label_count(b, label), total_b));
  return sum / 2;
}

uint64_t confidence_distance_ppm(const ScoreSketch& a, const ScoreSketch& b) {
  return bins_distance_ppm(a.confidence_bins(), b.confidence_bins(), Direction::kBoth);
}

uint64_t novelty_distance_ppm(const ScoreSketch& a, const ScoreSketch& b) {
  return bins_distance_ppm(a.novelty_bins(), b.novelty_bins(), Direction::kUp);
}

Verdict judge(const Probation& probation, const Thresholds& thresholds) {
  const ScoreSketch& candidate = *probation.candidate;
  const ScoreSketch* incumbent = probation.incumbent;
  if (incumbent != nullptr && attempts_of(*incumbent) < thresholds.records_min) incumbent = nullptr;
  Probation compared = probation;
  compared.incumbent = incumbent;

  const uint64_t attempts = attempts_of(candidate);
  const uint64_t wanted = std::max(probation.records_wanted, thresholds.records_min);
  const uint64_t enough = std::max(thresholds.records_min, std::min(thresholds.early_records, wanted));
  Verdict verdict;
  if (attempts >= enough) {
    if (judge_errors(compared, thresholds, incumbent, verdict)) return verdict;
    if (judge_latency(candidate, incumbent, thresholds, verdict)) return verdict;
    if (too_far(compared, label_distance_ppm, thresholds.label_ppm, "the label distribution", verdict)) {
      verdict.code = "DEPLOY_FAILED/PROBATION/LABEL_DRIFT";
      return verdict;
    }
    if (too_far(compared, confidence_distance_ppm, thresholds.confidence_bins_ppm, "the confidence", verdict)) {
      verdict.code = "DEPLOY_FAILED/PROBATION/SCORE_DRIFT";
      return verdict;
    }
    if (too_far(compared, novelty_distance_ppm, thresholds.novelty_bins_ppm, "the novelty", verdict)) {
      verdict.code = "DEPLOY_FAILED/PROBATION/NOVELTY";
      return verdict;
    }
  }
  if (attempts >= wanted || (probation.time_is_up && (attempts >= enough || planted(Bug::kProbationWithoutData))))
    return {Verdict::Kind::kPass, "", ""};
  verdict.text = "probation: " + std::to_string(attempts) + " of " + std::to_string(wanted) + " records scored";
  if (probation.time_is_up) verdict.text += "; its time is up, but no data is never a verdict";
  return verdict;
}

}  // namespace wb::deploy
