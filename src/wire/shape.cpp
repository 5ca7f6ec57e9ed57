// Shapes: for each message the fields that repeat, how often they may, how long they may be, and what repeats inside of
// them. Fields that are not named here cost what their bytes cost.
#include "wire/shape.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/planted.h"
#include "wire/wire.h"

namespace wb::wire {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr size_t kSeqBytesMax = 11;  // what the sequence number adds to a record that the outbox measured without it
constexpr size_t kVarintBytesMax = 10;
constexpr size_t kFieldsLookedAtMax = 1'024;  // for streams: no agent has more in front of them
constexpr size_t kAny = SIZE_MAX;

struct Part {
  int field = 0;
  std::string_view what;  // for the error
  size_t count_max = kAny;
  size_t bytes_max = kAny;
  std::span<const Part> inside = {};
  bool numbers = false;
  bool whole = false;  // counted over the whole input; at most one part of a message is
};
// Numbers come packed from every agent, many in one part; or one by one.
constexpr Part numbers(int field, std::string_view what, size_t count_max) {
  return {field, what, count_max, count_max * kVarintBytesMax, {}, true};
}
constexpr size_t kPartsMax = 8;  // of one message

constexpr Part kSketch[] = {
    numbers(ScoreSketch::kConfidenceBinsFieldNumber, "bins", limits::kBinsMax),
    numbers(ScoreSketch::kLatencyBinsUsFieldNumber, "bins", limits::kBinsMax),
    numbers(ScoreSketch::kNoveltyBinsFieldNumber, "bins", limits::kBinsMax),
    {ScoreSketch::kLabelsFieldNumber, "labels", limits::kClassesMax},
    numbers(ScoreSketch::kLabelCountsFieldNumber, "label counts", limits::kClassesMax),
};
constexpr Part kReported[] = {
    {Reported::kQuarantinedFieldNumber, "quarantined releases", limits::kQuarantinedMax},
    {Reported::kRunningSketchFieldNumber, "sketches", 1, kAny, kSketch},
    {Reported::kCandidateSketchFieldNumber, "sketches", 1, kAny, kSketch},
};
constexpr Part kCounters[] = {{Counters::kRulesFieldNumber, "rules", limits::kRulesMax}};
constexpr Part kSchema[] = {
    {SchemaDef::kNamesFieldNumber, "columns", Schema::kFieldsMax},
    numbers(SchemaDef::kTypesFieldNumber, "columns", Schema::kFieldsMax),
};
constexpr Part kStream[] = {{StreamUp::kRecordsFieldNumber,
                             "records",
                             limits::kRecordsPerExchangeMax,
                             limits::kRecordBytesMax + kSeqBytesMax,
                             {},
                             false,
                             true}};
constexpr size_t kPartBytes = limits::kExchangePartBytesMax;
constexpr Part kExchangeRequest[] = {
    {ExchangeRequest::kReportedFieldNumber, "reports", 1, kPartBytes, kReported},
    {ExchangeRequest::kCountersFieldNumber, "counters", 1, kPartBytes, kCounters},
    {ExchangeRequest::kStreamsFieldNumber, "streams", limits::kStreamsMax, kAny, kStream},
    {ExchangeRequest::kSchemasFieldNumber, "schemas", limits::kSchemasPerExchangeMax, kPartBytes, kSchema},
    {ExchangeRequest::kLabelsFieldNumber, "labels", limits::kLabelsMax, kPartBytes},
};
constexpr Part kExchangeResponse[] = {{ExchangeResponse::kAcksFieldNumber, "acks", limits::kStreamsMax}};
constexpr Part kEnrolRequest[] = {{EnrolRequest::kLabelsFieldNumber, "labels", limits::kLabelsMax}};
constexpr Part kEnrolResponse[] = {{EnrolResponse::kReleaseKeysFieldNumber, "release keys", limits::kReleaseKeysMax}};
constexpr Part kManifest[] = {
    {Manifest::kBlobsFieldNumber, "blobs", limits::kBlobsMax},
    {Manifest::kSelfTestFieldNumber, "self-tests", 1},
    {Manifest::kSketchesFieldNumber, "sketches", limits::kFeaturesMax},
    {Manifest::kFeatureNamesFieldNumber, "feature names", limits::kFeaturesMax},
    {Manifest::kReferenceScoresFieldNumber, "reference scores", 1, kAny, kSketch},
    {Manifest::kSchemaFieldNumber, "schemas", 1, kAny, kSchema},
};
constexpr Part kReleaseArtifact[] = {
    {ReleaseArtifact::kManifestFieldNumber, "manifests", 1, limits::kManifestBytesMax, kManifest},
    {ReleaseArtifact::kContentsFieldNumber, "blobs", limits::kBlobsMax},
};

class Walk {
 public:
  Walk(std::string_view bytes, std::string_view message)
      : in_(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size())), message_(message) {}

  // Until the message ends or is seen to be broken; the parser then finds the same.
  Status message(std::span<const Part> parts) {
    std::array<size_t, kPartsMax> counts{};
    while (const uint32_t tag = in_.ReadTag()) {
      const int number = WireFormatLite::GetTagFieldNumber(tag);
      size_t at = 0;
      while (at < parts.size() && parts[at].field != number) ++at;
      const Part* part = at < parts.size() ? &parts[at] : nullptr;
      if (part != nullptr && ++(part->whole ? whole_count_ : counts[at]) > part->count_max) return too_many(*part);
      if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
        if (!WireFormatLite::SkipField(&in_, tag)) return broken();
        continue;
      }
      uint32_t bytes = 0;
      if (!in_.ReadVarint32(&bytes)) return broken();
      if (part != nullptr && bytes > part->bytes_max)
        return fail(Code::kInvalid, message_, ": ", part->what, " of ", std::to_string(bytes), " bytes; the limit is ",
                    std::to_string(part->bytes_max));
      if (part != nullptr && part->numbers) {
        WB_CHECK(packed(*part, bytes, --counts[at]));
        if (broken_) return broken();
        continue;
      }
      if (part == nullptr || part->inside.empty() || planted(Bug::kInsideUncounted)) {
        if (!in_.Skip(static_cast<int>(bytes))) return broken();
        continue;
      }
      const auto outer = in_.PushLimit(static_cast<int>(bytes));
      WB_CHECK(message(part->inside));
      if (broken_ || in_.BytesUntilLimit() != 0) return broken();
      in_.PopLimit(outer);
    }
    return ok_status();
  }

 private:
  Status packed(const Part& part, uint32_t bytes, size_t& count) {
    const auto outer = in_.PushLimit(static_cast<int>(bytes));
    while (in_.BytesUntilLimit() > 0) {
      uint64_t number = 0;
      if (!in_.ReadVarint64(&number)) return broken();
      if (++count > part.count_max) return too_many(part);
    }
    in_.PopLimit(outer);
    return ok_status();
  }
  Error too_many(const Part& part) const {
    return fail(Code::kInvalid, message_, ": too many ", part.what, "; the limit is ", std::to_string(part.count_max));
  }
  Status broken() {
    broken_ = true;
    return ok_status();
  }

  CodedInputStream in_;
  std::string_view message_;
  size_t whole_count_ = 0;
  bool broken_ = false;
};

template <size_t kSize>
Status check(std::string_view bytes, std::string_view message, const Part (&parts)[kSize]) {
  static_assert(kSize <= kPartsMax);
  return Walk(bytes, message).message(parts);
}

}  // namespace

Status check_exchange_request_shape(std::string_view bytes) {
  return check(bytes, "exchange request", kExchangeRequest);
}
Status check_exchange_response_shape(std::string_view bytes) {
  return check(bytes, "exchange response", kExchangeResponse);
}
Status check_enrol_request_shape(std::string_view bytes) { return check(bytes, "enrolment request", kEnrolRequest); }
Status check_enrol_response_shape(std::string_view bytes) { return check(bytes, "enrolment response", kEnrolResponse); }
bool brings_records(std::string_view exchange_request) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(exchange_request.data()),
                      static_cast<int>(std::min(exchange_request.size(), limits::kExchangeRequestBytesMax)));
  for (size_t fields_count = 0; fields_count < kFieldsLookedAtMax; ++fields_count) {
    const uint32_t tag = in.ReadTag();
    if (tag == 0) return false;
    if (WireFormatLite::GetTagFieldNumber(tag) == ExchangeRequest::kStreamsFieldNumber) return true;
    if (!WireFormatLite::SkipField(&in, tag)) return false;
  }
  return false;
}

Status check_release_shape(std::string_view bytes) { return check(bytes, "release", kReleaseArtifact); }

}  // namespace wb::wire
