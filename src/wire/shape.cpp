#include "wire/shape.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>

#include <algorithm>
#include <optional>

#include "wire/wire.h"

namespace wb::wire {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedInputStream;

constexpr size_t kSeqBytesMax = 11;  // what the sequence number adds to a record that the outbox measured without it

// The tag's payload length, with the input standing in front of the payload; nothing if it is not a length-delimited
// field (which is then skipped) or is broken.
struct Field {
  int number = 0;
  std::optional<uint32_t> bytes;
};

std::optional<Field> next_field(CodedInputStream& in) {
  const uint32_t tag = in.ReadTag();
  if (tag == 0) return std::nullopt;
  Field field{WireFormatLite::GetTagFieldNumber(tag), std::nullopt};
  if (WireFormatLite::GetTagWireType(tag) != WireFormatLite::WIRETYPE_LENGTH_DELIMITED) {
    if (!WireFormatLite::SkipField(&in, tag)) return std::nullopt;
    return field;
  }
  uint32_t bytes = 0;
  if (!in.ReadVarint32(&bytes)) return std::nullopt;
  field.bytes = bytes;
  return field;
}

}  // namespace

Status check_exchange_shape(std::string_view bytes) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  size_t fields_count = 0;
  size_t records_count = 0;
  while (const auto field = next_field(in)) {
    if (++fields_count > limits::kExchangeFieldsMax) return fail(Code::kInvalid, "exchange request: too many fields");
    if (!field->bytes) continue;
    if (field->number != ExchangeRequest::kStreamsFieldNumber) {
      if (*field->bytes > limits::kExchangePartBytesMax)
        return fail(Code::kInvalid, "exchange request: field ", std::to_string(field->number), " is longer than ",
                    std::to_string(limits::kExchangePartBytesMax), " bytes");
      if (!in.Skip(static_cast<int>(*field->bytes))) break;
      continue;
    }
    const auto outer = in.PushLimit(static_cast<int>(*field->bytes));
    while (const auto part = next_field(in)) {
      if (!part->bytes) continue;
      if (part->number == StreamUp::kRecordsFieldNumber) {
        if (++records_count > limits::kRecordsPerExchangeMax)
          return fail(Code::kInvalid, "exchange request: too many records");
        if (*part->bytes > limits::kRecordBytesMax + kSeqBytesMax)
          return fail(Code::kInvalid, "exchange request: a record of ", std::to_string(*part->bytes),
                      " bytes; the limit is ", std::to_string(limits::kRecordBytesMax));
      }
      if (!in.Skip(static_cast<int>(*part->bytes))) return ok_status();
    }
    if (in.BytesUntilLimit() != 0) break;
    in.PopLimit(outer);
  }
  return ok_status();
}

bool brings_records(std::string_view exchange_request) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(exchange_request.data()),
                      static_cast<int>(std::min(exchange_request.size(), limits::kExchangeRequestBytesMax)));
  size_t fields_count = 0;
  while (const auto field = next_field(in)) {
    if (field->number == ExchangeRequest::kStreamsFieldNumber) return true;
    if (++fields_count > limits::kExchangeFieldsMax) return false;
    if (field->bytes && !in.Skip(static_cast<int>(*field->bytes))) return false;
  }
  return false;
}

Status check_release_shape(std::string_view bytes) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()), static_cast<int>(bytes.size()));
  size_t contents_count = 0;
  while (const auto field = next_field(in)) {
    if (field->number == ReleaseArtifact::kContentsFieldNumber && ++contents_count > limits::kBlobsMax)
      return fail(Code::kInvalid, "release has too many blobs");
    if (field->bytes && !in.Skip(static_cast<int>(*field->bytes))) break;
  }
  return ok_status();
}

}  // namespace wb::wire
