#include "edge/route/route.h"

#include <bit>
#include <charconv>
#include <cmath>

#include "base/bytes.h"
#include "base/planted.h"
#include "base/prng.h"
#include "edge/route/payload.h"

namespace wb::route {
namespace {

// What a record is worth when the outbox must drop some: an anomaly is kept over eight samples.
double value_of(Rule rule) {
  switch (rule) {
    case Rule::kAnomaly: return 8;
    case Rule::kLowConfidence: return 4;
    case Rule::kNovel: return 4;
    case Rule::kNotFinite: return 2;
    default: return 1;
  }
}

Lane lane_of(Rule rule) {
  switch (rule) {
    case Rule::kAnomaly:
    case Rule::kLowConfidence:
    case Rule::kNovel:
    case Rule::kNotFinite: return Lane::kLive;
    case Rule::kDeadLetter: return Lane::kDeadLetter;
    default: return Lane::kBulk;
  }
}

void append_u64_le(std::string& out, uint64_t value) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  out.append(bytes, 8);
}

// What makes two deliveries the same record: event time and content, nothing else (B3).
uint64_t identity_hash(uint64_t key, const Batch& batch, size_t row, std::string& scratch) {
  scratch.clear();
  append_u64_le(scratch, static_cast<uint64_t>(batch.event_time_ms[row]));
  for (const Column& column : batch.columns) {
    if (column.type == ColumnType::kNumber) {
      const double number = column.numbers[row];
      // One NaN: its payload bits differ between processors.
      append_u64_le(scratch, std::isnan(number) ? 0x7FF8000000000000ULL : std::bit_cast<uint64_t>(number));
    } else {
      append_u64_le(scratch, column.texts[row].size());
      scratch += column.texts[row];
    }
  }
  return keyed_hash(key, scratch);
}

bool finite_at(const VerdictsView& verdicts, size_t row) {
  return verdicts.finite.empty() || verdicts.finite[row] != 0;
}

}  // namespace

bool Router::matches(Rule rule, const Condition& condition, const VerdictsView& verdicts, size_t row) {
  switch (rule) {
    case Rule::kSample:
    case Rule::kAll: return true;
    case Rule::kNotFinite: return !finite_at(verdicts, row);
    default: break;
  }
  if (verdicts.finite.empty() || verdicts.finite[row] == 0) return false;
  switch (rule) {
    case Rule::kAnomaly: {
      if (condition.class_mask.empty()) {
        const double score = static_cast<double>(verdicts.score[row]);
        return score > condition.above || score < condition.below;
      }
      const int32_t label = verdicts.label[row];
      return label >= 0 && static_cast<size_t>(label) < condition.class_mask.size() &&
             condition.class_mask[static_cast<size_t>(label)] != 0;
    }
    case Rule::kLowConfidence: return static_cast<double>(verdicts.confidence[row]) < condition.below;
    case Rule::kNovel: return static_cast<double>(verdicts.novelty[row]) > condition.above;
    default: return false;
  }
}

Decision Router::decide(const Batch& batch, const VerdictsView& verdicts, size_t row, std::string& scratch) const {
  Decision out;
  if (!uploads_) return out;
  out.value = 0;
  for (const RuleLine& line : rules_) {
    if (!matches(line.rule, line.condition, verdicts, row)) continue;
    if (!out.rule) out.rule = line.rule;
    out.probability = std::max(out.probability, line.rate);
    out.value = std::max(out.value, value_of(line.rule));
  }
  if (!out.rule) return out;
  out.lane = lane_of(*out.rule);
  const double uniform = unit_interval(identity_hash(key_, batch, row, scratch) ^
                                       (planted(Bug::kDrawnByPlace) ? 0x9E3779B97F4A7C15ULL * row : 0));
  out.selected = uniform < out.probability;
  if (planted(Bug::kProbabilityOne)) out.probability = 1;
  out.uniform = uniform / out.probability;
  out.priority = out.uniform / out.value;
  return out;
}

void Router::run(const Batch& batch, const VerdictsView& verdicts, Routed& out) const {
  const size_t rows = batch.rows_count();
  out.decisions.resize(rows);
  out.acts.clear();
  out.acts_dropped_count = 0;
  std::string scratch;
  for (size_t row = 0; row < rows; ++row) {
    out.decisions[row] = decide(batch, verdicts, row, scratch);
    for (size_t i = 0; i < actions_.size(); ++i) {
      if (!matches(actions_[i].when, action_conditions_[i], verdicts, row)) continue;
      if (out.acts.size() >= kActsPerBatchMax) {
        ++out.acts_dropped_count;
        continue;
      }
      Act act{static_cast<uint32_t>(i), static_cast<uint32_t>(row), {}};
      append_payload({options_, model_, actions_[i].when}, batch, verdicts, row, act.payload);
      out.acts.push_back(std::move(act));
    }
  }
}

std::optional<Decision> Router::dead_letter(std::string_view raw) const {
  if (!uploads_) return std::nullopt;
  Decision out;
  out.rule = Rule::kDeadLetter;
  out.selected = true;
  out.lane = lane_of(Rule::kDeadLetter);
  out.probability = 1;
  out.uniform = unit_interval(keyed_hash(key_, raw));
  out.priority = out.uniform / out.value;
  return out;
}

std::string Router::reason(Rule rule, const VerdictsView& verdicts, size_t row) const {
  switch (rule) {
    case Rule::kAnomaly: {
      const int32_t label = verdicts.label[row];
      if (label < 0 || static_cast<size_t>(label) >= model_.labels.size())
        return "value " + shortest(verdicts.score[row]) + " is an anomaly";
      return "class " + model_.labels[static_cast<size_t>(label)] + " is an anomaly";
    }
    case Rule::kLowConfidence: return "confidence " + shortest(verdicts.confidence[row]) + " is low";
    case Rule::kNovel: return "novelty " + shortest(verdicts.novelty[row]) + " is high";
    case Rule::kNotFinite: return "a feature is not finite";
    case Rule::kSample: return "audit sample";
    default: return "every record";
  }
}

std::string Router::explain(const Batch& batch, const VerdictsView& verdicts, size_t row) const {
  std::string scratch;
  const Decision decision = decide(batch, verdicts, row, scratch);
  std::string out;
  if (!uploads_) {
    out = rules_.empty() ? "keep: no rule sends anything" : "keep: rule never";
  } else if (!decision.rule) {
    out = "keep: no rule matches";
  } else {
    const double drawn = decision.uniform * decision.probability;
    out = decision.selected ? "send by " : "keep: not drawn by ";
    out += std::string(rule_name(*decision.rule)) + ": " + reason(*decision.rule, verdicts, row);
    out += " (p=" + shortest(decision.probability) + " u=" + shortest(std::floor(drawn * 1e4) / 1e4) + ")";
  }
  for (size_t i = 0; i < actions_.size(); ++i)
    if (matches(actions_[i].when, action_conditions_[i], verdicts, row)) out += "; act " + actions_[i].label;
  return out;
}

}  // namespace wb::route
