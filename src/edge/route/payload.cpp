#include "edge/route/payload.h"

#include <charconv>
#include <cmath>

#include "base/json_text.h"

namespace wb::route {
namespace {

template <class Number>
void append_number(Number number, std::string& out) {
  if (!std::isfinite(number)) {
    out += "null";
    return;
  }
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

}  // namespace

void append_payload(const PayloadContext& context, const Batch& batch, const VerdictsView& verdicts, size_t row,
                    std::string& out) {
  out += "{\"event_time_ms\":" + std::to_string(batch.event_time_ms[row]) + ",\"node\":";
  append_json_text(context.options.node_id, out);
  out += ",\"pipeline\":";
  append_json_text(context.options.pipeline, out);
  out += ",\"when\":\"";
  out += rule_name(context.when);
  out += '"';
  if (!verdicts.finite.empty()) {
    const int32_t label = verdicts.label[row];
    if (label >= 0 && static_cast<size_t>(label) < context.model.labels.size()) {
      out += ",\"label\":";
      append_json_text(context.model.labels[static_cast<size_t>(label)], out);
    }
    const bool finite = verdicts.finite[row] != 0;
    out += ",\"score\":";
    append_number(finite ? verdicts.score[row] : NAN, out);
    out += ",\"confidence\":";
    append_number(verdicts.confidence[row], out);
    out += ",\"novelty\":";
    append_number(verdicts.novelty[row], out);
  }
  out += ",\"values\":{";
  for (size_t i = 0; i < batch.columns.size(); ++i) {
    if (i > 0) out += ',';
    append_json_text(batch.schema.fields[i].name, out);
    out += ':';
    if (batch.columns[i].type == ColumnType::kNumber)
      append_number(batch.columns[i].numbers[row], out);
    else
      append_json_text(batch.columns[i].texts[row], out);
  }
  out += "}}";
}

}  // namespace wb::route
