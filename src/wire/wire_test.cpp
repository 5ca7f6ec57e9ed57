#include "wire/wire.h"

#include <gtest/gtest.h>

#include "base/checksum.h"
#include "base/signature.h"
#include "wire/labels.h"

namespace wb::wire {
namespace {

ExchangeRequest small_request() {
  ExchangeRequest request;
  request.set_incarnation(std::string(16, 'i'));
  StreamUp* stream = request.add_streams();
  stream->set_lane(2);
  stream->set_after_seq(4);
  stream->set_through_seq(7);
  for (uint64_t seq : {5U, 7U}) {
    RecordUp* record = stream->add_records();
    record->set_seq(seq);
    record->set_inclusion_probability(0.5);
  }
  return request;
}

TEST(Wire, WhatIsEncodedIsDecoded) {
  const auto decoded = decode_exchange_request(encode(small_request()));
  ASSERT_TRUE(decoded.ok()) << decoded.error().text;
  EXPECT_EQ(decoded->streams(0).records(1).seq(), 7U);
}

// An older peer passes over what it does not know; only a raised protocol number is refused.
TEST(Wire, OnlyANewerProtocolIsRefused) {
  const std::string future = "\xC2\x3E\x03new";  // field 1000, a string
  EXPECT_TRUE(decode_exchange_request(encode(small_request()) + future).ok());
  auto request = small_request();
  request.set_protocol(limits::kProtocol);
  EXPECT_TRUE(decode_exchange_request(encode(request)).ok());
  request.set_protocol(limits::kProtocol + 1);
  EXPECT_EQ(decode_exchange_request(encode(request)).error().code, Code::kUnsupported);
  ExchangeResponse response;
  response.set_protocol(limits::kProtocol);
  EXPECT_TRUE(decode_exchange_response(encode(response) + future).ok());
  response.set_protocol(limits::kProtocol + 1);
  const Error error = decode_exchange_response(encode(response)).error();
  EXPECT_EQ(error.code, Code::kUnsupported);
  EXPECT_EQ(error.text, "the hub speaks protocol 2, this build only up to 1; update this agent");
}

TEST(Wire, LabelsAreCheckedAlikeOnBothSides) {
  EXPECT_TRUE(check_labels({{"site", "lyon"}}).ok());
  for (const auto& [key, value] : std::map<std::string, std::string>{
           {"", "x"}, {std::string(129, 'k'), "x"}, {"k", std::string(129, 'v')}, {"l", "\xFF"}, {"\xFF", "v"}}) {
    EXPECT_FALSE(check_labels({{key, value}}).ok());
    auto request = small_request();
    (*request.mutable_labels())[key] = value;
    EXPECT_FALSE(decode_exchange_request(encode(request)).ok());
  }
}

TEST(Wire, RecordsAreSeenWithoutParsing) {
  EXPECT_TRUE(brings_records(encode(small_request())));
  auto control = small_request();
  control.clear_streams();
  control.set_long_poll_ms(1'000);
  EXPECT_FALSE(brings_records(encode(control)));
  for (const char* broken : {"", "\xff\xff\xff", "\x0a\xff\xff\xff\xff\x0f", "\x3a\x05xx"})
    EXPECT_FALSE(brings_records(broken));
  EXPECT_FALSE(brings_records(std::string(100'000, '\x08')));
}

TEST(Wire, LiesAreRefusedByName) {
  auto request = small_request();
  request.mutable_streams(0)->mutable_records(1)->set_seq(5);
  EXPECT_EQ(decode_exchange_request(encode(request)).error().text, "record 5 is out of order in lane 2");
  request = small_request();
  request.mutable_streams(0)->mutable_records(0)->set_inclusion_probability(0);
  EXPECT_FALSE(decode_exchange_request(encode(request)).ok());
  request = small_request();
  request.set_incarnation("short");
  EXPECT_FALSE(decode_exchange_request(encode(request)).ok());
  EXPECT_FALSE(decode_exchange_request("\xff\xff\xff").ok());
  EXPECT_EQ(decode_exchange_request(std::string(limits::kExchangeRequestBytesMax + 1, 'x')).error().code, Code::kFull);
}

// 4 MiB of empty records would become 400 MB of objects: the count is refused before they exist.
TEST(Wire, WhatRepeatsIsCountedBeforeItIsAllocated) {
  const auto delimited = [](char tag, const std::string& body) {
    std::string out(1, tag);
    for (size_t rest = body.size(); true; rest >>= 7) {
      out += static_cast<char>((rest & 0x7F) | (rest > 0x7F ? 0x80 : 0));
      if (rest <= 0x7F) return out + body;
    }
  };
  const auto repeat = [](const std::string& text, size_t count) {
    std::string out;
    while (count-- > 0) out += text;
    return out;
  };
  const auto text_of = [](const std::string& bytes) { return decode_exchange_request(bytes).error().text; };
  const std::string empty_record("\x22\x00", 2);  // StreamUp.records
  EXPECT_EQ(text_of(delimited(0x4A, repeat(empty_record, limits::kRecordsPerExchangeMax + 1))),
            "exchange request: too many records; the limit is 16384");
  const std::string half = delimited(0x4A, repeat(empty_record, limits::kRecordsPerExchangeMax / 2 + 1));
  EXPECT_EQ(text_of(half + half), "exchange request: too many records; the limit is 16384");
  EXPECT_EQ(text_of(delimited(0x4A, delimited(0x22, std::string(limits::kRecordBytesMax + 12, '\0')))),
            "exchange request: records of 65548 bytes; the limit is 65547");
  EXPECT_EQ(text_of(repeat(std::string("\x4A\x00", 2), limits::kStreamsMax + 1)),
            "exchange request: too many streams; the limit is 4");
  EXPECT_EQ(text_of(delimited(0x3A, std::string(limits::kExchangePartBytesMax + 1, '\0'))),
            "exchange request: reports of 262145 bytes; the limit is 262144");
  EXPECT_EQ(text_of(delimited(0x4A, std::string("\x22\x05", 2))), "exchange request is not a valid protobuf message");
}

// Small numbers are short: as many bytes as 64 long ones need are 640 of them.
TEST(Wire, PackedNumbersAreCounted) {
  ExchangeRequest request;
  request.set_incarnation(std::string(16, 'i'));
  ScoreSketch& sketch = *request.mutable_reported()->mutable_running_sketch();
  while (sketch.novelty_bins_size() < static_cast<int>(limits::kBinsMax)) sketch.add_novelty_bins(1);
  EXPECT_TRUE(decode_exchange_request(encode(request)).ok());
  sketch.add_novelty_bins(1);
  EXPECT_EQ(decode_exchange_request(encode(request)).error().text, "exchange request: too many bins; the limit is 64");
}

TEST(Wire, NamesInARecordAreShort) {
  auto request = small_request();
  request.mutable_streams(0)->mutable_records(0)->set_pipeline(std::string(limits::kLabelBytesMax + 1, 'p'));
  EXPECT_EQ(decode_exchange_request(encode(request)).error().code, Code::kInvalid);
}

TEST(Wire, SchemaIdIsChecked) {
  SchemaDef schema = to_wire(Schema{{{"x", ColumnType::kNumber}}});
  EXPECT_TRUE(from_wire(schema).ok());
  schema.set_names(0, "y");
  EXPECT_EQ(from_wire(schema).error().code, Code::kCorrupt);
}

class ReleaseTest : public testing::Test {
 protected:
  ReleaseTest() {
    ReleaseContent content;
    content.manifest.set_name("pump");
    content.manifest.set_version("2");
    content.contents = {{"pipeline.yaml", "name: pump\n"}, {"model/main", "bytes"}};
    artifact = *build_release(content, seed);
  }
  const std::string seed = std::string(32, 's');
  const std::string key = *ed25519_public_key(seed);
  Bytes artifact;
};

TEST_F(ReleaseTest, OpensWithTheKeyThatSignedIt) {
  const auto release = open_release(artifact, {std::string(32, 'x'), key});
  ASSERT_TRUE(release.ok()) << release.error().text;
  EXPECT_EQ(release->full_name(), "pump@2");
  EXPECT_EQ(*release->find("pipeline.yaml"), "name: pump\n");
  EXPECT_EQ(release->find("nothing"), nullptr);
  EXPECT_EQ(open_release(artifact, {std::string(32, 'x')}).error().code, Code::kDenied);
}

TEST_F(ReleaseTest, BlobsAreCountedBeforeTheyAreAllocated) {
  std::string bytes;
  for (size_t i = 0; i <= limits::kBlobsMax; ++i) bytes += std::string("\x22\x00", 2);
  EXPECT_EQ(inspect_release(bytes).error().text, "release: too many blobs; the limit is 64");
}

TEST_F(ReleaseTest, SameInputsSameBytes) {
  ReleaseContent content;
  content.manifest.set_name("pump");
  content.manifest.set_version("2");
  content.contents = {{"model/main", "bytes"}, {"pipeline.yaml", "name: pump\n"}};  // another order
  EXPECT_EQ(*build_release(content, seed), artifact);
}

TEST_F(ReleaseTest, NoFlippedBitIsAccepted) {
  for (size_t bit = 0; bit < artifact.size() * 8; ++bit) {
    Bytes damaged = artifact;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const auto release = open_release(damaged, {key});
    EXPECT_FALSE(release.ok() && release->digest == sha256_hex(artifact)) << "bit " << bit;
    // Protobuf has more than one encoding of some messages; what opens must still be exactly the signed content.
    if (release.ok()) {
      EXPECT_EQ(*release->find("model/main"), "bytes") << "bit " << bit;
    }
  }
  for (size_t length = 0; length < artifact.size(); ++length)
    EXPECT_FALSE(open_release(std::string_view(artifact).substr(0, length), {key}).ok()) << "length " << length;
}

}  // namespace
}  // namespace wb::wire
