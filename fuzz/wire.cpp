// Every message an agent and a hub may exchange. The first byte chooses. What is taken is inside the protocol's limits,
// and says the same when it is encoded and decoded again.
#include "wire/wire.h"

#include "fuzz/fuzz.h"
#include "wire/labels.h"

using namespace wb;

namespace {

template <class Message>
void check_again(const Message& message, Result<Message> (*decode)(std::string_view)) {
  const Bytes once = wire::encode(message);
  const auto again = decode(once);
  WB_HOLDS(again.ok(), again.ok() ? "" : again.error().text);
  WB_HOLDS(wire::encode(*again) == once, "encoding is not stable");
}

void exchange_request(std::string_view bytes) {
  const auto request = wire::decode_exchange_request(bytes);
  if (!request.ok()) return;
  for (const wire::StreamUp& stream : request->streams())
    for (const wire::RecordUp& record : stream.records()) {
      WB_HOLDS(record.inclusion_probability() > 0 && record.inclusion_probability() <= 1, "B1");
      WB_HOLDS(record.seq() > stream.after_seq() && record.seq() <= stream.through_seq(), "sequence");
    }
  for (const wire::SchemaDef& schema : request->schemas()) {
    const auto known = wire::from_wire(schema);
    WB_HOLDS(known.ok(), "schema");
    const wire::SchemaDef said = wire::to_wire(*known);  // without what a later version may have said besides
    WB_HOLDS(said.id() == schema.id() && *wire::from_wire(said) == *known, "schema");
  }
  check_again(*request, wire::decode_exchange_request);
}
void exchange_response(std::string_view bytes) {
  if (const auto response = wire::decode_exchange_response(bytes); response.ok())
    check_again(*response, wire::decode_exchange_response);
}
void enrol_request(std::string_view bytes) {
  if (const auto request = wire::decode_enrol_request(bytes); request.ok())
    check_again(*request, wire::decode_enrol_request);
}
void enrol_response(std::string_view bytes) {
  if (const auto response = wire::decode_enrol_response(bytes); response.ok())
    check_again(*response, wire::decode_enrol_response);
}
void record(std::string_view bytes) {
  if (const auto one = wire::decode_record(bytes); one.ok()) check_again(*one, wire::decode_record);
}

constexpr void (*kDecoders[])(std::string_view) = {exchange_request, exchange_response, enrol_request, enrol_response,
                                                   record};

}  // namespace

WB_FUZZ_TARGET(wire) {
  fuzz::Feed feed(bytes);
  kDecoders[feed.byte() % std::size(kDecoders)](feed.rest());
}

WB_FUZZ_SEEDS(wire) {
  const auto seed = [&](uint8_t which, const google::protobuf::MessageLite& message) {
    put(fuzz::FeedWriter().byte(which).rest(wire::encode(message)).bytes());
  };
  wire::ExchangeRequest request;
  request.set_protocol(1);
  request.set_agent_version("0.1.0");
  request.set_incarnation(std::string(16, 'i'));
  seed(0, request);
  (*request.mutable_labels())["site"] = "lyon";
  *request.add_schemas() = wire::to_wire(Schema{{{"x", ColumnType::kNumber}, {"s", ColumnType::kText}}});
  wire::Reported& reported = *request.mutable_reported();
  reported.set_running_digest(std::string(64, 'a'));
  reported.add_quarantined()->set_digest(std::string(64, 'b'));
  wire::ScoreSketch& sketch = *reported.mutable_running_sketch();
  for (int i = 0; i < 20; ++i) sketch.add_confidence_bins(static_cast<uint64_t>(i));
  sketch.add_labels("1");
  sketch.add_label_counts(7);
  request.mutable_counters()->add_rules()->set_rule(1);
  for (uint32_t lane = 1; lane <= 2; ++lane) {
    wire::StreamUp& stream = *request.add_streams();
    stream.set_lane(lane);
    stream.set_through_seq(3);
    for (uint64_t seq : {1, 3}) {
      wire::RecordUp& one = *stream.add_records();
      one.set_seq(seq);
      one.set_inclusion_probability(0.5);
      one.add_numbers(1.5);
      one.add_texts("t");
      one.set_schema(request.schemas(0).id());
      one.mutable_verdict()->set_label("1");
      stream.add_thinning(0.25);
    }
  }
  seed(0, request);
  wire::ExchangeResponse response;
  response.set_protocol(1);
  response.add_acks()->set_through_seq(9);
  response.mutable_desired()->set_digest(std::string(64, 'c'));
  response.mutable_desired()->set_size_bytes(1000);
  response.mutable_grant()->set_drain_bytes_per_s(1000);
  seed(1, response);
  wire::EnrolRequest enrol;
  enrol.set_token("0123456789abcdef");
  enrol.set_csr_der("der");
  enrol.set_node_name("gw");
  (*enrol.mutable_labels())["site"] = "lyon";
  seed(2, enrol);
  wire::EnrolResponse enrolled;
  enrolled.set_node_id("gw");
  enrolled.add_release_keys(std::string(32, 'k'));
  seed(3, enrolled);
  seed(4, request.streams(0).records(0));
}
