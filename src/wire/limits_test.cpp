// What a hostile message may cost: memory is bounded by limits that act before the parser allocates (H6). Each message
// here is as long as the protocol allows and as costly to parse as its bytes can be.
#include <gtest/gtest.h>

#include "base/test_memory.h"
#include "wire/wire.h"

namespace wb::wire {
namespace {

std::string varint(uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
  return out;
}
std::string field(int number, std::string_view payload) {
  return varint(static_cast<uint64_t>(number) << 3 | 2) + varint(payload.size()) + std::string(payload);
}
std::string times(size_t count, std::string_view what) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += what;
  return out;
}
// As many fields of `part` as the whole message may have bytes.
std::string filled(std::string_view part, size_t bytes_max) { return times(bytes_max / part.size(), part); }

size_t cost_of_request(const std::string& bytes) {
  return test_memory::peak_bytes_of([&] { (void)decode_exchange_request(bytes); });
}
size_t cost_of_release(const std::string& bytes) {
  return test_memory::peak_bytes_of([&] { (void)inspect_release(bytes); });
}

constexpr size_t kCostMax = 24U << 20;  // six bytes of memory for each of the four MiB
static_assert(kCostMax == 6 * limits::kExchangeRequestBytesMax);

TEST(Limits, ARequestCostsAFewTimesItsBytes) {
  const size_t max = limits::kExchangeRequestBytesMax;
  const std::string incarnation = field(3, std::string(16, 'i'));
  const size_t part = limits::kExchangePartBytesMax;
  struct Row {
    const char* what;
    std::string bytes;
  };
  const Row rows[] = {
      {"empty quarantine entries", filled(field(7, times(part / 2, field(7, ""))), max)},
      {"empty rule counts", filled(field(8, times(part / 2, field(13, ""))), max)},
      {"empty labels in a sketch", filled(field(7, field(8, times(part / 2 - 8, field(2, "")))), max)},
      {"empty labels in the candidate's sketch", filled(field(7, field(9, times(part / 2 - 8, field(2, "")))), max)},
      {"bins of a sketch", filled(field(7, field(8, field(1, std::string(part - 16, '\1')))), max)},
      {"empty column names", filled(field(10, times(part / 2, field(2, ""))), max)},
      {"column types", filled(field(10, field(3, std::string(part - 8, '\1'))), max)},
      {"empty labels of the node", filled(field(13, ""), max)},
      {"empty records", field(9, filled(field(4, ""), max - 16))},
      {"empty streams", filled(field(9, ""), max)},
      {"thinning factors", field(9, field(7, std::string(max - 32, '\0')))},
      {"one long label", field(13, field(1, std::string(max - 32, 'x')))},
  };
  for (const Row& row : rows) {
    ASSERT_LE(row.bytes.size(), max) << row.what;
    EXPECT_LE(cost_of_request(incarnation + row.bytes.substr(0, max - 18)), kCostMax) << row.what;
    EXPECT_LE(cost_of_request(row.bytes), kCostMax) << row.what;
  }
}

// The texts of records are what a request is for: 512 of them may be in each record, so they are bounded by their
// bytes alone. A hub decodes one request at a time.
TEST(Limits, EmptyTextsAreTheDearest) {
  const std::string record = field(4, times(Schema::kFieldsMax, field(9, "")));
  EXPECT_LE(cost_of_request(field(9, filled(record, limits::kExchangeRequestBytesMax - 16))),
            32 * limits::kExchangeRequestBytesMax);
}

TEST(Limits, AnswersAndReleasesCostAFewTimesTheirBytes) {
  const std::string acks = filled(field(4, ""), limits::kExchangeResponseBytesMax);
  EXPECT_LE(test_memory::peak_bytes_of([&] { (void)decode_exchange_response(acks); }), size_t{64} << 10);
  const std::string keys = filled(field(4, ""), limits::kExchangeResponseBytesMax);
  EXPECT_LE(test_memory::peak_bytes_of([&] { (void)decode_enrol_response(keys); }), size_t{256} << 10);
  const std::string labels = filled(field(3, ""), limits::kEnrolRequestBytesMax);
  EXPECT_LE(test_memory::peak_bytes_of([&] { (void)decode_enrol_request(labels); }), size_t{64} << 10);
  const size_t manifest = limits::kManifestBytesMax;
  for (const std::string& inside :
       {filled(field(4, ""), manifest), filled(field(6, ""), manifest), filled(field(7, ""), manifest),
        filled(field(5, ""), manifest), field(8, filled(field(2, ""), manifest - 16)),
        field(11, filled(field(2, ""), manifest - 16))})
    EXPECT_LE(cost_of_release(field(1, inside)), manifest);
  const std::string over_long = field(1, std::string(manifest + 1, 'x'));
  EXPECT_LE(cost_of_release(over_long), size_t{64} << 10);
}

// A length that promises more than there is, near every power of two at which a sign or a width ends.
TEST(Limits, LengthsThatLieAreRefusedAndCostNothing) {
  const auto refused = [](int message, std::string_view bytes) {
    switch (message) {
      case 0: return !decode_exchange_request(bytes).ok();
      case 1: return !decode_exchange_response(bytes).ok();
      case 2: return !decode_enrol_request(bytes).ok();
      case 3: return !decode_enrol_response(bytes).ok();
      case 4: return !decode_record(bytes).ok();
      default: return !inspect_release(bytes).ok();
    }
  };
  for (const uint64_t lie :
       {uint64_t{100}, (uint64_t{1} << 31) - 1, uint64_t{1} << 31, (uint64_t{1} << 31) + 1, (uint64_t{1} << 32) - 1,
        uint64_t{1} << 32, (uint64_t{1} << 32) + 1, uint64_t{1} << 63, UINT64_MAX})
    for (int number = 1; number <= 16; ++number) {
      const std::string lying = varint(static_cast<uint64_t>(number) << 3 | 2) + varint(lie) + "xx";
      EXPECT_TRUE(refused(0, field(9, lying))) << lie << " bytes of field " << number << " of a stream";
      for (int message = 0; message < 6; ++message) {
        EXPECT_TRUE(refused(message, lying)) << lie << " bytes of field " << number << " of message " << message;
        EXPECT_LE(test_memory::peak_bytes_of([&] { (void)refused(message, lying); }), size_t{16} << 10);
      }
    }
}

// Numbers are not lengths: the largest arrive as they were sent, wherever a 32-bit reader would wrap.
TEST(Limits, NumbersKeepTheirWidth) {
  for (const uint64_t number : {(uint64_t{1} << 31) - 1, uint64_t{1} << 31, (uint64_t{1} << 31) + 1,
                                (uint64_t{1} << 32) + 1, uint64_t{1} << 63, UINT64_MAX - 1}) {
    ExchangeRequest request;
    request.set_incarnation(std::string(16, 'i'));
    StreamUp* stream = request.add_streams();
    stream->set_lane(2);
    stream->set_after_seq(number - 1);
    stream->set_through_seq(number);
    RecordUp* record = stream->add_records();
    record->set_seq(number);
    record->set_inclusion_probability(1);
    const auto decoded = decode_exchange_request(encode(request));
    ASSERT_TRUE(decoded.ok()) << number << ": " << decoded.error().text;
    EXPECT_EQ(decoded->streams(0).records(0).seq(), number);
    record->set_seq(number + 1);
    EXPECT_FALSE(decode_exchange_request(encode(request)).ok()) << number;
    ExchangeResponse response;
    response.mutable_desired()->set_generation(number);
    const auto answer = decode_exchange_response(encode(response));
    ASSERT_TRUE(answer.ok()) << number << ": " << answer.error().text;
    EXPECT_EQ(answer->desired().generation(), number);
  }
}

}  // namespace
}  // namespace wb::wire
