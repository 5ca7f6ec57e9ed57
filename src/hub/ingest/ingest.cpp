// Exactly one effect per (node, incarnation, lane, seq) with two numbers per stream: how far it is durable here
// (high_seq), and the highest ack that the node proved to hold (after_seen). Everything else follows from comparing
// them with the range that arrives:
//
//   after < after_seen   the node holds less than it once held: its store is an old copy (an SD image put back). Its
//   next
//                        numbers were used before for other records, so nothing is taken; it must take a new
//                        incarnation. A request delayed in the network looks the same; its answer finds nobody waiting
//                        and harms nothing.
//   a number ≤ high returns with other content, or was said to be gone                  the same, seen by another sign
//   after > high         the node holds an ack that this hub does not remember: this hub is the old copy. What is
//   between is
//                        gone, and is counted as the hub's own loss.
//   through ≤ high       a replay: the same ack again
#include "hub/ingest/ingest.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/planted.h"
#include "base/typed_rows.h"

namespace wb::hub {
namespace {

// Thinning may differ between two sends of one record (more was evicted meanwhile); everything else may not.
bool same_record(const wire::RecordUp& record, std::string_view stored) {
  wire::RecordUp old;
  if (!parse_row(stored, old)) return true;  // damaged here: no evidence against the node
  return old.taken_unix_ms() == record.taken_unix_ms() && old.event_time_ms() == record.event_time_ms() &&
         old.rule() == record.rule() && old.pipeline() == record.pipeline() && old.raw() == record.raw() &&
         std::equal(old.texts().begin(), old.texts().end(), record.texts().begin(), record.texts().end()) &&
         old.numbers_size() == record.numbers_size() &&
         (record.numbers_size() == 0 ||  // by bits: a missing value (NaN) equals itself
          std::memcmp(old.numbers().data(), record.numbers().data(),
                      sizeof(double) * static_cast<size_t>(old.numbers_size())) == 0);
}

bool is_old_copy(Rows& rows, std::string_view node_id, const std::string& incarnation, const wire::StreamUp& stream,
                 const pb::StreamState& state) {
  if (planted(Bug::kOldCopyTaken)) return false;
  if (stream.after_seq() < state.after_seen()) return true;
  for (const wire::RecordUp& record : stream.records()) {
    if (record.seq() > state.high_seq()) break;
    const auto stored = rows.get(Table::kRecords, record_key(node_id, incarnation, stream.lane(), record.seq()));
    if (!stored || !same_record(record, *stored)) return true;
  }
  return false;
}

void add_schema(pb::DatasetRow& dataset, const std::string& schema) {
  if (schema.empty() || dataset.schemas_size() >= static_cast<int>(limits::kSchemasPerExchangeMax)) return;
  const auto& known = dataset.schemas();
  if (std::find(known.begin(), known.end(), schema) == known.end()) dataset.add_schemas(schema);
}

void store(Rows& rows, Moment now, std::string_view key, const wire::RecordUp& record, double thinning,
           std::map<std::string, pb::DatasetRow>& datasets, IngestOutcome& outcome) {
  std::string row;
  if (thinning < 1) {
    wire::RecordUp kept = record;
    kept.set_inclusion_probability(record.inclusion_probability() * (planted(Bug::kThinningDropped) ? 1.0 : thinning));
    row = kept.SerializeAsString();
  } else {
    row = record.SerializeAsString();
  }
  const size_t bytes = row.size();
  pb::RecordMark mark;
  mark.set_accepted_unix_ms(now.unix_ms);
  mark.AppendToString(&row);
  rows.put(Table::kRecords, key, row);
  ++outcome.effected;
  outcome.bytes += bytes;
  if (record.rule() == static_cast<uint32_t>(Rule::kEvent)) {  // no reading: it is in no dataset
    outcome.events.push_back(record);
    return;
  }
  pb::DatasetRow& dataset = datasets[record.pipeline()];
  const int64_t event_ms = record.event_time_ms();
  dataset.set_first_event_ms(dataset.records() == 0 ? event_ms : std::min<int64_t>(dataset.first_event_ms(), event_ms));
  dataset.set_last_event_ms(dataset.records() == 0 ? event_ms : std::max<int64_t>(dataset.last_event_ms(), event_ms));
  dataset.set_records(dataset.records() + 1);
  dataset.set_bytes(dataset.bytes() + bytes);
  add_schema(dataset, record.schema());
}

void take(Rows& rows, Moment now, std::string_view node_id, const std::string& incarnation,
          const wire::StreamUp& stream, pb::StreamState& state, std::map<std::string, pb::DatasetRow>& datasets,
          IngestOutcome& outcome) {
  if (stream.after_seq() > state.high_seq()) {
    const uint64_t gap = stream.after_seq() - state.high_seq();
    if (!planted(Bug::kHubGapHidden)) state.set_hub_gap(state.hub_gap() + gap);
    outcome.hub_gap += gap;
    state.set_high_seq(stream.after_seq());
  }
  if (stream.after_seq() > state.after_seen()) {
    // The counts of a request are over its whole range; those already booked for the part that comes again must be
    // known. The ack it now holds is our high, or an older one whose successor was lost: then the part between is not
    // split.
    state.set_after_seen(stream.after_seq());
    if (stream.after_seq() == state.high_seq()) state.set_lost_since_after(0);
  }
  if (planted(Bug::kCursorAheadOfData)) state.set_high_seq(std::max(state.high_seq(), stream.through_seq()));
  const uint64_t old_high = state.high_seq();
  uint64_t stored = 0;
  for (int i = 0; i < stream.records_size(); ++i) {
    const wire::RecordUp& record = stream.records(i);
    if (record.seq() <= old_high && !planted(Bug::kIngestedTwice)) {
      ++outcome.replayed;
      continue;
    }
    store(rows, now, record_key(node_id, incarnation, stream.lane(), record.seq()), record,
          stream.thinning_size() == 0 ? 1.0 : stream.thinning(i), datasets, outcome);
    ++stored;
  }
  if (stream.through_seq() <= old_high) return;
  const uint64_t missing = stream.through_seq() - old_high - stored;
  const uint64_t declared = stream.lost_count() - std::min<uint64_t>(stream.lost_count(), state.lost_since_after());
  const uint64_t lost = std::min(missing, declared);
  state.set_effected(state.effected() + stored);
  state.set_lost(state.lost() + lost);
  state.set_lost_since_after(state.lost_since_after() + lost);
  state.set_evicted(state.evicted() + (missing - lost));
  state.set_high_seq(stream.through_seq());
  state.set_changed_ms(now.unix_ms);
}

void save_datasets(Rows& rows, Moment now, const std::map<std::string, pb::DatasetRow>& added) {
  for (const auto& [pipeline, more] : added) {
    const std::string key = "dataset/" + pipeline;
    auto row = load_row<pb::DatasetRow>(rows, Table::kMeta, key).value_or(pb::DatasetRow{});
    const bool first = row.records() == 0;
    row.set_first_event_ms(first ? more.first_event_ms()
                                 : std::min<int64_t>(row.first_event_ms(), more.first_event_ms()));
    row.set_last_event_ms(first ? more.last_event_ms() : std::max<int64_t>(row.last_event_ms(), more.last_event_ms()));
    row.set_records(row.records() + more.records());
    row.set_bytes(row.bytes() + more.bytes());
    for (const std::string& schema : more.schemas()) add_schema(row, schema);
    row.set_changed_ms(now.unix_ms);
    save_row(rows, Table::kMeta, key, row);
  }
}

}  // namespace

std::string stream_key(std::string_view node_id, std::string_view incarnation, uint32_t lane) {
  std::string key(node_id);
  key += '\0';
  key += incarnation;
  key += static_cast<char>(lane);
  return key;
}

std::string record_key(std::string_view node_id, std::string_view incarnation, uint32_t lane, uint64_t seq) {
  std::string key = stream_key(node_id, incarnation, lane);
  append_u64_be(key, seq);
  return key;
}

bool parse_record_key(std::string_view key, RecordId& out) {
  const size_t end = key.find('\0');
  if (end == std::string_view::npos || key.size() != end + 1 + 16 + 1 + 8) return false;
  out.node = key.substr(0, end);
  out.incarnation = key.substr(end + 1, 16);
  out.lane = static_cast<uint8_t>(key[end + 17]);
  out.seq = read_u64_be(key.substr(end + 18));
  return true;
}

IngestOutcome ingest(Rows& rows, Moment now, std::string_view node_id, const wire::ExchangeRequest& request) {
  IngestOutcome outcome;
  std::vector<pb::StreamState> states;
  // One old stream means that the whole store is an old copy: decide before anything is taken from it.
  for (const wire::StreamUp& stream : request.streams()) {
    states.push_back(
        load_row<pb::StreamState>(rows, Table::kStreams, stream_key(node_id, request.incarnation(), stream.lane()))
            .value_or(pb::StreamState{}));
    if (is_old_copy(rows, node_id, request.incarnation(), stream, states.back()))
      outcome.verdict = wire::STREAM_NEW_INCARNATION;
  }
  if (outcome.verdict != wire::STREAM_OK) return outcome;
  for (const wire::SchemaDef& schema : request.schemas())
    if (!rows.get(Table::kSchemas, schema.id())) save_row(rows, Table::kSchemas, schema.id(), schema);
  std::map<std::string, pb::DatasetRow> datasets;
  for (int i = 0; i < request.streams_size(); ++i) {
    const wire::StreamUp& stream = request.streams(i);
    pb::StreamState& state = states[static_cast<size_t>(i)];
    const std::string before = state.SerializeAsString();
    take(rows, now, node_id, request.incarnation(), stream, state, datasets, outcome);
    if (const std::string bytes = state.SerializeAsString(); bytes != before)
      rows.put(Table::kStreams, stream_key(node_id, request.incarnation(), stream.lane()), bytes);
    wire::StreamAck ack;
    ack.set_lane(stream.lane());
    ack.set_through_seq(planted(Bug::kAckSaysLess) && state.SerializeAsString() == before ? stream.after_seq()
                                                                                          : state.high_seq());
    outcome.acks.push_back(ack);
  }
  save_datasets(rows, now, datasets);
  return outcome;
}

bool brings_new(Rows& rows, std::string_view node_id, const wire::ExchangeRequest& request) {
  return std::any_of(request.streams().begin(), request.streams().end(), [&](const wire::StreamUp& stream) {
    if (stream.through_seq() == stream.after_seq()) return false;
    const auto state =
        load_row<pb::StreamState>(rows, Table::kStreams, stream_key(node_id, request.incarnation(), stream.lane()));
    return !state || stream.through_seq() > state->high_seq();
  });
}

std::vector<StreamRow> streams_of(Rows& rows, std::string_view node_id) {
  std::vector<StreamRow> out;
  const std::string prefix = std::string(node_id) + '\0';
  rows.scan(Table::kStreams, prefix, {}, [&](std::string_view key, std::string_view value) {
    StreamRow row;
    if (key.size() == prefix.size() + 17 && parse_row(value, row.state)) {
      row.incarnation = key.substr(prefix.size(), 16);
      row.lane = static_cast<uint8_t>(key.back());
      out.push_back(std::move(row));
    }
    return true;
  });
  return out;
}

}  // namespace wb::hub
