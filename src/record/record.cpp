#include "record/record.h"

#include "base/bytes.h"
#include "base/checksum.h"

namespace wb {

int Schema::index_of(std::string_view name) const {
  for (size_t i = 0; i < fields.size(); ++i)
    if (fields[i].name == name) return static_cast<int>(i);
  return -1;
}

std::vector<std::string> Schema::names() const {
  std::vector<std::string> out;
  for (const FieldDef& field : fields) out.push_back(field.name);
  return out;
}

std::string Schema::id() const {
  std::string text;
  for (const FieldDef& field : fields) {
    text += field.type == ColumnType::kNumber ? 'n' : 't';
    text += std::to_string(field.name.size()) + ":" + field.name;
  }
  return sha256_hex(text).substr(0, 16);
}

Batch Batch::with_schema(Schema schema) {
  Batch out;
  for (const FieldDef& field : schema.fields) out.columns.push_back(Column{field.type, {}, {}});
  out.schema = std::move(schema);
  return out;
}

void Batch::append_row_of(const Batch& other, size_t row) {
  WB_ASSERT(columns.size() == other.columns.size());
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].type == ColumnType::kNumber)
      columns[i].numbers.push_back(other.columns[i].numbers[row]);
    else
      columns[i].texts.push_back(other.columns[i].texts[row]);
  }
  event_time_ms.push_back(other.event_time_ms[row]);
}

std::string Batch::row_text(size_t row) const {
  std::string out;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) out += ' ';
    out += schema.fields[i].name + "=";
    out += columns[i].type == ColumnType::kNumber ? shortest(columns[i].numbers[row]) : columns[i].texts[row];
  }
  return out;
}

std::string_view lane_name(Lane lane) {
  switch (lane) {
    case Lane::kCritical: return "critical";
    case Lane::kLive: return "live";
    case Lane::kBulk: return "bulk";
    case Lane::kDeadLetter: return "dead_letter";
  }
  return "unknown";
}

std::string_view rule_name(Rule rule) {
  switch (rule) {
    case Rule::kAnomaly: return "anomaly";
    case Rule::kLowConfidence: return "low_confidence";
    case Rule::kNovel: return "novel";
    case Rule::kSample: return "sample";
    case Rule::kAll: return "all";
    case Rule::kDeadLetter: return "dead_letter";
    case Rule::kNotFinite: return "not_finite";
    case Rule::kEvent: return "event";
  }
  return "unknown";
}

std::string_view event_name(NodeEvent event) {
  switch (event) {
    case NodeEvent::kRefused: return "release_refused";
    case NodeEvent::kWentBack: return "went_back";
    case NodeEvent::kSafeMode: return "safe_mode";
    case NodeEvent::kStoreDamaged: return "store_damaged";
  }
  return "";
}

}  // namespace wb
