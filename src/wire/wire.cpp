#include "wire/wire.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "base/utf8.h"
#include "wire/labels.h"
#include "wire/shape.h"

namespace wb::wire {
namespace {

using Shape = Status (*)(std::string_view bytes);

template <class Message>
Result<Message> parse(std::string_view bytes, size_t bytes_max, std::string_view what, Shape check_shape = nullptr) {
  if (bytes.size() > bytes_max)
    return fail(Code::kFull, std::string(what), " has ", std::to_string(bytes.size()), " bytes; the limit is ",
                std::to_string(bytes_max));
  if (check_shape != nullptr) WB_CHECK(check_shape(bytes));
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return fail(Code::kInvalid, std::string(what), " is not a valid protobuf message");
  return message;
}

Status check_record(const RecordUp& record) {
  if (record.numbers_size() + record.texts_size() > static_cast<int>(Schema::kFieldsMax))
    return fail(Code::kInvalid, "record ", std::to_string(record.seq()), " has too many values");
  const double probability = record.inclusion_probability();
  if (!(probability > 0 && probability <= 1))
    return fail(Code::kInvalid, "record ", std::to_string(record.seq()),
                " has an inclusion probability outside (0, 1]");
  if (record.seq() == 0) return fail(Code::kInvalid, "a record has sequence number 0");
  if (record.pipeline().size() > limits::kLabelBytesMax || record.release().size() > limits::kLabelBytesMax ||
      record.schema().size() > limits::kLabelBytesMax)
    return fail(Code::kInvalid, "record ", std::to_string(record.seq()),
                " names a pipeline, release or schema of more than ", std::to_string(limits::kLabelBytesMax), " bytes");
  return ok_status();
}

Status check_stream(const StreamUp& stream) {
  if (stream.lane() < 1 || stream.lane() > 4)
    return fail(Code::kInvalid, "unknown lane ", std::to_string(stream.lane()));
  if (stream.through_seq() < stream.after_seq()) return fail(Code::kInvalid, "a stream ends before it starts");
  if (stream.thinning_size() != 0 && stream.thinning_size() != stream.records_size())
    return fail(Code::kInvalid, "a stream has ", std::to_string(stream.thinning_size()), " thinning factors for ",
                std::to_string(stream.records_size()), " records");
  for (const double thinning : stream.thinning())
    if (!(thinning > 0 && thinning <= 1)) return fail(Code::kInvalid, "a thinning factor is outside (0, 1]");
  uint64_t previous = stream.after_seq();
  for (const RecordUp& record : stream.records()) {
    WB_CHECK(check_record(record));
    if (record.seq() <= previous || record.seq() > stream.through_seq())
      return fail(Code::kInvalid, "record ", std::to_string(record.seq()), " is out of order in lane ",
                  std::to_string(stream.lane()));
    previous = record.seq();
  }
  return ok_status();
}

Status check_label(std::string_view key, std::string_view value) {
  if (key.empty() || key.size() > limits::kLabelBytesMax || value.size() > limits::kLabelBytesMax)
    return fail(Code::kInvalid, "label '", valid_text(key, 32), "': a key has 1 to ",
                std::to_string(limits::kLabelBytesMax), " bytes and a value at most as many");
  if (utf8_fault(key) || utf8_fault(value))
    return fail(Code::kInvalid, "label '", valid_text(key, 32), "' is not UTF-8");
  return ok_status();
}

template <class Labels>
Status check_all_labels(const Labels& labels) {
  if (labels.size() > limits::kLabelsMax)
    return fail(Code::kInvalid, "more than ", std::to_string(limits::kLabelsMax), " labels");
  for (const auto& [key, value] : labels) WB_CHECK(check_label(key, value));
  return ok_status();
}

// Raised only when an old reader would act wrongly; all smaller differences are unknown fields.
Status check_protocol(uint32_t protocol, std::string_view whose, std::string_view advice) {
  if (protocol <= limits::kProtocol) return ok_status();
  return fail(Code::kUnsupported, whose, " speaks protocol ", std::to_string(protocol), ", this build only up to ",
              std::to_string(limits::kProtocol), "; ", advice);
}

}  // namespace

Result<ExchangeRequest> decode_exchange_request(std::string_view bytes) {
  WB_TRY(auto request, parse<ExchangeRequest>(bytes, limits::kExchangeRequestBytesMax, "exchange request",
                                              check_exchange_request_shape));
  WB_CHECK(check_protocol(request.protocol(), "the agent", "update the hub first"));
  if (request.incarnation().size() != 16) return fail(Code::kInvalid, "exchange request: incarnation is not 16 bytes");
  WB_CHECK(check_all_labels(request.labels()));
  uint32_t lanes_seen = 0;
  for (const StreamUp& stream : request.streams()) {
    WB_CHECK(check_stream(stream));
    if ((lanes_seen & (1U << stream.lane())) != 0)
      return fail(Code::kInvalid, "exchange request: a lane is given twice");
    lanes_seen |= 1U << stream.lane();
  }
  for (const SchemaDef& schema : request.schemas()) WB_CHECK(from_wire(schema));
  return request;
}

Result<ExchangeResponse> decode_exchange_response(std::string_view bytes) {
  WB_TRY(auto response, parse<ExchangeResponse>(bytes, limits::kExchangeResponseBytesMax, "exchange response",
                                                check_exchange_response_shape));
  WB_CHECK(check_protocol(response.protocol(), "the hub", "update this agent"));
  if (response.desired().size_bytes() > limits::kReleaseBytesMax)
    return fail(Code::kInvalid, "exchange response: desired release is larger than the protocol allows");
  const std::string& digest = response.desired().digest();
  if (!digest.empty() && (digest.size() != 64 || !hex_decode(digest).ok()))
    return fail(Code::kInvalid, "exchange response: desired digest is not 64 hex digits");
  return response;
}

Result<EnrolRequest> decode_enrol_request(std::string_view bytes) {
  WB_TRY(auto request,
         parse<EnrolRequest>(bytes, limits::kEnrolRequestBytesMax, "enrolment request", check_enrol_request_shape));
  WB_CHECK(check_all_labels(request.labels()));
  if (request.node_name().size() > limits::kLabelBytesMax) return fail(Code::kInvalid, "node name is too long");
  return request;
}

Result<EnrolResponse> decode_enrol_response(std::string_view bytes) {
  return parse<EnrolResponse>(bytes, limits::kExchangeResponseBytesMax, "enrolment response",
                              check_enrol_response_shape);
}

Result<RecordUp> decode_record(std::string_view bytes) {
  WB_TRY(auto record, parse<RecordUp>(bytes, limits::kRecordBytesMax, "record"));
  WB_CHECK(check_record(record));
  return record;
}

Status check_labels(const std::map<std::string, std::string>& labels) { return check_all_labels(labels); }

Bytes encode(const google::protobuf::MessageLite& message) {
  Bytes out;
  {
    google::protobuf::io::StringOutputStream stream(&out);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    WB_ASSERT(message.SerializeToCodedStream(&coded));
  }
  return out;
}

SchemaDef to_wire(const Schema& schema) {
  SchemaDef out;
  out.set_id(schema.id());
  for (const FieldDef& field : schema.fields) {
    out.add_names(field.name);
    out.add_types(static_cast<uint32_t>(field.type));
  }
  return out;
}

Result<Schema> from_wire(const SchemaDef& schema) {
  if (schema.names_size() != schema.types_size() || schema.names_size() > static_cast<int>(Schema::kFieldsMax))
    return fail(Code::kInvalid, "schema ", schema.id().substr(0, 32), " is malformed");
  Schema out;
  for (int i = 0; i < schema.names_size(); ++i) {
    if (schema.types(i) != 1 && schema.types(i) != 2) return fail(Code::kInvalid, "schema has an unknown column type");
    if (schema.names(i).empty() || schema.names(i).size() > Schema::kNameBytesMax)
      return fail(Code::kInvalid, "schema has an empty or over-long column name");
    out.fields.push_back({schema.names(i), static_cast<ColumnType>(schema.types(i))});
  }
  if (out.id() != schema.id()) return fail(Code::kCorrupt, "schema id does not match its columns");
  return out;
}

}  // namespace wb::wire
