#pragma once
// route: decides for every row, and says why: act locally, send upstream, or keep nothing. Rules and actions are
// components with Specs (components.cpp lists them).
//
// Selection (B1, B3, B4). A row that matches several rules is named after the first match in file order; its inclusion
// probability p is the largest rate among its matches, so that adding a rule never lowers the chance of a row. One
// uniform u = unit_interval(keyed_hash(key, event time, content)) decides: selected if u < p. The draw depends on the
// row alone, never on order, batch or restart, so a row delivered twice is drawn the same way twice. Two distinct
// readings with equal time and equal content share one draw as well: estimates stay unbiased, only their variance
// grows. A selected row has priority q = (u / p) / value, where u / p is again uniform on [0, 1) and value is the
// largest among its matches; the outbox evicts the largest q first and can undo the bias from its threshold.
//
// `never` stops every upload of the pipeline, dead letters included. Without rules nothing is uploaded either.
// Not-finite rows match `not_finite`, `sample` and `all`, nothing else. Without a line of its own `not_finite` stands
// before the other rules at rate 1.

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/document.h"
#include "base/result.h"
#include "base/spec.h"
#include "record/record.h"

namespace wb::route {

inline constexpr size_t kRulesMax = 16;
inline constexpr size_t kActionsMax = 16;
inline constexpr size_t kActsPerBatchMax = 4'096;  // past that an action is dropped and counted

// What was scored, by row; all empty if the pipeline has no model.
struct VerdictsView {
  std::span<const int32_t> label;  // index into labels; -1 = none
  std::span<const float> score;
  std::span<const float> confidence;
  std::span<const float> novelty;
  std::span<const uint8_t> finite;
};

// What the rules may refer to. `known` is false when lint has no model at hand: class names then go unchecked.
struct ModelFacts {
  bool present = false;  // the pipeline has `infer`
  bool known = false;
  bool regression = false;
  std::vector<std::string> labels;
};

struct Decision {
  std::optional<Rule> rule;  // set: a rule matched; `selected` says whether the draw took it
  bool selected = false;
  Lane lane = Lane::kBulk;
  double probability = 0;  // inclusion probability of this row
  double uniform = 0;      // u / p in [0, 1) when selected
  double value = 1;
  double priority = 0;  // q: the outbox keeps the smallest
};

enum class ActionKind : uint8_t { kStdout, kFile, kHttp, kMqtt };

// A checked local action: world/ performs it.
struct Action {
  ActionKind kind = ActionKind::kStdout;
  Rule when = Rule::kAll;     // kAnomaly, kLowConfidence, kNovel, kNotFinite or kAll
  std::string name;           // "stdout", …
  std::string label;          // the component's label, or its name
  std::string path;           // file
  std::string url;            // http, mqtt
  std::string topic;          // mqtt
  int qos = 0;                // mqtt
  std::string username;       // mqtt
  std::string password_file;  // mqtt
  std::string ca_file;        // mqtt
};

// One performance of an action. `payload` is one JSON object without a line end.
struct Act {
  uint32_t action = 0;  // index into Router::actions()
  uint32_t row = 0;
  std::string payload;
};

struct RouteOptions {
  std::string node_id;
  std::string pipeline;
  uint64_t seed = 0;
};

struct Routed {
  std::vector<Decision> decisions;  // one per row
  std::vector<Act> acts;
  uint64_t acts_dropped_count = 0;  // over kActsPerBatchMax
};

const std::vector<Spec>& rule_specs();
const std::vector<Spec>& action_specs();
const Spec& route_spec();  // the section `route`
const Spec& sync_spec();   // the section `sync`

class Router {
 public:
  // `route` and `sync` are the sections of the pipeline file; nullptr if absent.
  static Result<Router> build(const Document* route, const Document* sync, const ModelFacts& model,
                              const RouteOptions& options, Problems& problems);

  void run(const Batch& batch, const VerdictsView& verdicts, Routed& out) const;
  // A dead letter is always included: probability 1, drawn from its bytes for its priority. nullopt if nothing may
  // leave.
  std::optional<Decision> dead_letter(std::string_view raw) const;
  // One sentence for a person: "sent by anomaly: class 4 is not 1; p=1 u=0.23".
  std::string explain(const Batch& batch, const VerdictsView& verdicts, size_t row) const;

  const std::vector<Action>& actions() const { return actions_; }
  int64_t budget_bytes_per_day() const { return budget_bytes_per_day_; }
  bool uploads() const { return uploads_; }  // false: no rule, or `never`

 private:
  // When a row is an anomaly, unsure or novel.
  struct Condition {
    std::vector<uint8_t> class_mask;  // anomaly: [labels] 1 = anomalous; empty: by score
    double above = std::numeric_limits<double>::infinity();
    double below = -std::numeric_limits<double>::infinity();
  };
  struct RuleLine {
    Rule rule = Rule::kSample;
    Condition condition;
    double rate = 1;
  };
  friend class Builder;

  static bool matches(Rule rule, const Condition& condition, const VerdictsView& verdicts, size_t row);
  Decision decide(const Batch& batch, const VerdictsView& verdicts, size_t row, std::string& scratch) const;
  std::string reason(Rule rule, const VerdictsView& verdicts, size_t row) const;

  ModelFacts model_;
  RouteOptions options_;
  uint64_t key_ = 0;  // of the draws: seed and node
  std::vector<RuleLine> rules_;
  std::vector<Action> actions_;
  std::vector<Condition> action_conditions_;  // one per action
  int64_t budget_bytes_per_day_ = 0;
  bool uploads_ = false;
};

}  // namespace wb::route
