#pragma once
// ingest: takes the records of one exchange, each exactly once per (node, incarnation, lane, seq), and says how far
// each lane is durable here (promise Q3). The caller commits the transaction before the acks leave (H1).
//
// A stream is cumulative: it covers (after_seq, through_seq], and a sequence number without a record was evicted by
// policy or declared lost. For every stream: high_seq = effected + evicted + lost + hub_gap, exactly (Q4).

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/rows.h"
#include "base/step.h"
#include "hub.pb.h"
#include "wire/wire.h"

namespace wb::hub {

struct IngestOutcome {
  std::vector<wire::StreamAck> acks;
  wire::StreamVerdict verdict = wire::STREAM_OK;
  uint64_t effected = 0;               // stored now
  uint64_t replayed = 0;               // seen before, acked again, stored once
  uint64_t hub_gap = 0;                // this hub's own loss, found now
  uint64_t bytes = 0;                  // of the records stored now
  std::vector<wire::RecordUp> events;  // of them, what happened to the node itself, in order
};

// `request` came through wire::decode_exchange_request: ordered, within its range, probabilities in (0, 1].
IngestOutcome ingest(Rows& rows, Moment now, std::string_view node_id, const wire::ExchangeRequest& request);

// Whether ingest() would have something to take. What is here already is acked, also by a hub that takes nothing (H2).
bool brings_new(Rows& rows, std::string_view node_id, const wire::ExchangeRequest& request);

// Row keys. node id 0x00 incarnation (16) lane (1) [seq (8, big-endian)]: a scan reads one stream in order.
std::string stream_key(std::string_view node_id, std::string_view incarnation, uint32_t lane);
std::string record_key(std::string_view node_id, std::string_view incarnation, uint32_t lane, uint64_t seq);
struct RecordId {
  std::string node, incarnation;
  uint32_t lane = 0;
  uint64_t seq = 0;
};
bool parse_record_key(std::string_view key, RecordId& out);

struct StreamRow {
  std::string incarnation;
  uint32_t lane = 0;
  pb::StreamState state;
};
std::vector<StreamRow> streams_of(Rows& rows, std::string_view node_id);

}  // namespace wb::hub
