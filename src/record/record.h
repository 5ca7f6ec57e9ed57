#pragma once
// Records, batches and schemas: what travels. A batch is many records in columns with one schema; a waybill is what
// travels with every record that leaves the node.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wb {

enum class ColumnType : uint8_t { kNumber = 1, kText = 2 };  // persisted (since 0.1)

struct FieldDef {
  std::string name;
  ColumnType type = ColumnType::kNumber;
  friend bool operator==(const FieldDef&, const FieldDef&) = default;
};

struct Schema {
  static constexpr size_t kFieldsMax = 512;
  static constexpr size_t kNameBytesMax = 128;

  std::vector<FieldDef> fields;

  int index_of(std::string_view name) const;  // -1 if there is none
  std::vector<std::string> names() const;
  // 16 hex digits over names and types in order: two schemas with one id mean the same columns.
  std::string id() const;
  friend bool operator==(const Schema&, const Schema&) = default;
};

struct Column {
  ColumnType type = ColumnType::kNumber;
  std::vector<double> numbers;     // f64[rows], NaN = missing; empty for text
  std::vector<std::string> texts;  // [rows], "" = missing; empty for numbers
};

struct Batch {
  static constexpr size_t kRowsMax = 65'536;

  Schema schema;
  std::vector<Column> columns;         // one per schema field
  std::vector<int64_t> event_time_ms;  // i64[rows], Unix milliseconds

  size_t rows_count() const { return event_time_ms.size(); }
  static Batch with_schema(Schema schema);             // zero rows
  void append_row_of(const Batch& other, size_t row);  // same schema
  // Row as "name=value name=value", shortest decimals: for logs, explain and golden tests.
  std::string row_text(size_t row) const;
};

// Priority class of the outbox. Persisted and on the wire (since 0.1): add, never renumber.
enum class Lane : uint8_t {
  kCritical = 1,    // what happened to the node itself: sent first, dropped last
  kLive = 2,        // fresh selected records
  kBulk = 3,        // samples and backlog
  kDeadLetter = 4,  // input that could not be read, capped
};
inline constexpr Lane kLanes[] = {Lane::kCritical, Lane::kLive, Lane::kBulk, Lane::kDeadLetter};
std::string_view lane_name(Lane lane);

// Why a record was sent. Persisted and on the wire (since 0.1).
enum class Rule : uint8_t {
  kAnomaly = 1,
  kLowConfidence = 2,
  kNovel = 3,
  kSample = 4,
  kAll = 5,
  kDeadLetter = 6,
  kNotFinite = 7,
  kEvent = 8  // no reading: what happened to the node itself (NodeEvent), in the critical lane
};
std::string_view rule_name(Rule rule);

// What a node tells of itself in its critical lane. Persisted and on the wire (since 0.1): add, never renumber.
enum class NodeEvent : uint8_t {
  kRefused = 1,       // a release was taken back or refused for good: quarantined here
  kWentBack = 2,      // the running release was given up for the one before it
  kSafeMode = 3,      // nothing loadable is left
  kStoreDamaged = 4,  // rows of its store were damaged, or the whole file; what is lost is counted
};
std::string_view event_name(NodeEvent event);  // "" = unknown to this build

// What travels with every uploaded record (promise B1).
struct Waybill {
  std::string origin;         // node id
  std::string pipeline;       // name
  std::string release;        // digest, "" in local mode
  std::string schema;         // Schema::id()
  int64_t event_time_ms = 0;  // Unix milliseconds
  Rule rule = Rule::kSample;
  double inclusion_probability = 1;  // in (0, 1]
  friend bool operator==(const Waybill&, const Waybill&) = default;
};

}  // namespace wb
