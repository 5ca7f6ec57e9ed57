#include "hub/ingest/ingest.h"

#include <gtest/gtest.h>

#include "base/memory_rows.h"
#include "base/typed_rows.h"

namespace wb::hub {
namespace {

constexpr Moment kNow{{0}, 1'000};
const std::string kIncarnation(16, 'i');

struct Range {
  uint64_t after = 0, through = 0;
  std::vector<uint64_t> records;
  uint64_t lost = 0;
  uint32_t lane = 2;
  double value = 0;  // distinguishes the records of two histories
};

wire::ExchangeRequest request_of(const Range& range) {
  wire::ExchangeRequest request;
  request.set_incarnation(kIncarnation);
  wire::StreamUp* stream = request.add_streams();
  stream->set_lane(range.lane);
  stream->set_after_seq(range.after);
  stream->set_through_seq(range.through);
  stream->set_lost_count(range.lost);
  for (const uint64_t seq : range.records) {
    wire::RecordUp* record = stream->add_records();
    record->set_seq(seq);
    record->set_pipeline("shuttle");
    record->set_inclusion_probability(0.5);
    record->set_event_time_ms(static_cast<int64_t>(seq) * 10);
    record->set_taken_unix_ms(static_cast<int64_t>(seq) * 10 + static_cast<int64_t>(range.value));
    record->add_numbers(range.value);
  }
  EXPECT_TRUE(wire::decode_exchange_request(wire::encode(request)).ok());
  return request;
}

class Ingest : public testing::Test {
 protected:
  IngestOutcome send(const Range& range) { return ingest(rows, kNow, "n1", request_of(range)); }
  pb::StreamState state(uint32_t lane = 2) {
    const auto found = load_row<pb::StreamState>(rows, Table::kStreams, stream_key("n1", kIncarnation, lane));
    const auto row = found.value_or(pb::StreamState{});
    EXPECT_EQ(row.high_seq(), row.effected() + row.evicted() + row.lost() + row.hub_gap());  // Q4
    return row;
  }
  size_t stored() {
    size_t count = 0;
    rows.scan(Table::kRecords, "", "", [&](auto, auto) { return ++count, true; });
    return count;
  }
  MemoryRows rows;
};

// Q3, H2: sending twice is one effect and one answer.
TEST_F(Ingest, AReplayHasOneEffectAndTheSameAck) {
  const Range range{0, 5, {1, 2, 4}, 1};
  const auto first = send(range);
  const auto again = send(range);
  EXPECT_EQ(first.effected, 3U);
  EXPECT_EQ(again.effected, 0U);
  EXPECT_EQ(again.replayed, 3U);
  ASSERT_EQ(first.acks.size(), 1U);
  EXPECT_EQ(first.acks[0].through_seq(), 5U);
  EXPECT_EQ(again.acks[0].through_seq(), 5U);
  EXPECT_EQ(stored(), 3U);
  EXPECT_EQ(state().lost(), 1U);
  EXPECT_EQ(state().evicted(), 1U);
  EXPECT_EQ(load_row<pb::DatasetRow>(rows, Table::kMeta, "dataset/shuttle")->records(), 3U);
}

// Q3, Q4: an answer was lost, the node sends the same start with more behind it.
TEST_F(Ingest, AnOverlapCountsOnlyWhatIsNew) {
  (void)send({0, 5, {1, 2, 4}, 1});
  const auto more = send({0, 9, {1, 2, 4, 6, 7}, 2});
  EXPECT_EQ(more.effected, 2U);
  EXPECT_EQ(more.acks[0].through_seq(), 9U);
  EXPECT_EQ(state().effected(), 5U);
  EXPECT_EQ(state().lost(), 2U);
  EXPECT_EQ(state().evicted(), 2U);
  (void)send({9, 10, {}, 1});
  EXPECT_EQ(state().lost(), 3U);
}

TEST_F(Ingest, ThinningMultipliesTheInclusionProbability) {  // B4
  auto request = request_of({0, 2, {1, 2}});
  request.mutable_streams(0)->add_thinning(1);
  request.mutable_streams(0)->add_thinning(0.25);
  (void)ingest(rows, kNow, "n1", request);
  const auto record = load_row<wire::RecordUp>(rows, Table::kRecords, record_key("n1", kIncarnation, 2, 2));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->inclusion_probability(), 0.125);
  EXPECT_EQ(load_row<pb::RecordMark>(rows, Table::kRecords, record_key("n1", kIncarnation, 2, 2))->accepted_unix_ms(),
            1'000);
}

TEST_F(Ingest, LanesAndNodesDoNotMix) {
  (void)send({0, 2, {1, 2}});
  (void)send({.after = 0, .through = 1, .records = {1}, .lane = 3});
  (void)ingest(rows, kNow, "n", request_of({0, 1, {1}}));
  EXPECT_EQ(state(2).high_seq(), 2U);
  EXPECT_EQ(state(3).high_seq(), 1U);
  EXPECT_EQ(stored(), 4U);
  EXPECT_EQ(streams_of(rows, "n1").size(), 2U);
  RecordId id;
  ASSERT_TRUE(parse_record_key(record_key("n1", kIncarnation, 3, 77), id));
  EXPECT_EQ(id.node + "/" + std::to_string(id.lane) + "/" + std::to_string(id.seq), "n1/3/77");
}

// Fault model: a node restored from an old SD image.
TEST_F(Ingest, AnOldImageMustTakeANewIncarnation) {
  (void)send({0, 5, {1, 2, 3, 4, 5}});
  (void)send({5, 8, {6, 7, 8}});
  const auto back = send({0, 3, {1, 2, 3}});
  EXPECT_EQ(back.verdict, wire::STREAM_NEW_INCARNATION);
  EXPECT_TRUE(back.acks.empty());
  EXPECT_EQ(stored(), 8U);
}

// The image was made after the newest ack, so only the content tells.
TEST_F(Ingest, AReusedNumberWithOtherContentIsAnOldImage) {
  (void)send({0, 8, {1, 2, 3, 4, 5, 6, 7, 8}});
  const auto back = send({.after = 0, .through = 10, .records = {7, 8, 9}, .value = 3});
  EXPECT_EQ(back.verdict, wire::STREAM_NEW_INCARNATION);
  EXPECT_EQ(stored(), 8U);
}

// Fault model: a hub restored from an old backup. Its loss is counted, and it goes on.
// Q1: a store that fell back behind a number it had declared gone uses it for another record.
TEST_F(Ingest, ANumberThatWasGoneAndReturnsAsARecordIsAnOldImage) {
  send({0, 4, {1, 4}});
  const auto back = send({0, 3, {1, 2, 3}});
  EXPECT_EQ(back.verdict, wire::STREAM_NEW_INCARNATION);
  EXPECT_EQ(stored(), 2U);
}

TEST_F(Ingest, AnOldHubCountsItsOwnGapAndGoesOn) {
  (void)send({0, 5, {1, 2, 3, 4, 5}});
  const auto backup = rows.snapshot();
  (void)send({5, 8, {6, 7, 8}});
  rows.restore(backup);
  const auto next = send({8, 10, {9, 10}});
  EXPECT_EQ(next.hub_gap, 3U);
  EXPECT_EQ(next.acks[0].through_seq(), 10U);
  EXPECT_EQ(state().hub_gap(), 3U);
  EXPECT_EQ(state().effected(), 7U);
}

TEST_F(Ingest, ASchemaIsStoredOnce) {
  auto request = request_of({0, 1, {1}});
  *request.add_schemas() = wire::to_wire(Schema{{{"x", ColumnType::kNumber}}});
  (void)ingest(rows, kNow, "n1", request);
  const uint64_t writes = rows.writes_count;
  (void)ingest(rows, kNow, "n1", request);
  EXPECT_EQ(rows.writes_count, writes);  // a pure replay writes nothing at all
}

}  // namespace
}  // namespace wb::hub
