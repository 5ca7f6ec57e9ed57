// Records as they arrive: HTTP bodies and MQTT payloads (Parser), and bytes in pieces from stdin or a followed file
// (Stream). However the bytes are cut, the same rows and the same faults must come out.
//
// To reach rows of 64 KiB with small inputs, the sequence 0x01 N C stands for N × 512 times the character C.
#include <bit>

#include "base/prng.h"
#include "edge/source/source.h"
#include "fuzz/fuzz.h"

using namespace wb;
using namespace wb::source;

namespace {

constexpr int64_t kNow = 1'700'000'000'000;
constexpr size_t kExpandedBytesMax = 256U << 10;  // four rows of the limit; more only costs executions

std::string expanded(std::string_view bytes) {
  std::string out;
  for (size_t i = 0; i < bytes.size() && out.size() < kExpandedBytesMax; ++i) {
    if (bytes[i] != 1 || i + 2 >= bytes.size()) {
      out += bytes[i];
      continue;
    }
    out.append(static_cast<uint8_t>(bytes[i + 1]) * size_t{512}, bytes[i + 2]);
    i += 2;
  }
  return out;
}

ParserConfig config_of(uint8_t choice) {
  static constexpr Format kFormats[] = {Format::kJson, Format::kNdjson, Format::kCsv, Format::kCsv};
  ParserConfig config;
  config.format = kFormats[choice & 3U];
  config.schema.fields = {{"x", ColumnType::kNumber}, {"s", ColumnType::kText}};
  if ((choice & 4U) != 0) config.event_time = "t";
  if ((choice & 8U) != 0) config.event_time = "x";
  if ((choice & 16U) != 0) config.schema.fields = {{"x", ColumnType::kNumber}};
  config.refuse_extra = (choice & 32U) != 0;
  return config;
}

void check(const ParseOutcome& outcome) {
  const Batch& batch = outcome.batch;
  WB_HOLDS(batch.rows_count() <= Batch::kRowsMax, "too many rows");
  for (const Column& column : batch.columns) {
    const size_t rows = column.type == ColumnType::kNumber ? column.numbers.size() : column.texts.size();
    WB_HOLDS(rows == batch.rows_count(), "a column of another length");
    for (const std::string& text : column.texts) WB_HOLDS(text.size() <= kTextBytesMax, "over-long text");
  }
  WB_HOLDS(outcome.faults.size() <= kFaultsMax + 1 && outcome.faults.size() <= outcome.faults_count, "faults");
  for (const RowFault& fault : outcome.faults)
    WB_HOLDS(fault.raw.size() <= kRawBytesMax && fault.text.size() < 4'096, fault.text);
}

// All that a stream gave, as one text that is equal exactly if the rows and faults are.
struct Transcript {
  std::string rows;
  std::string faulty_rows;
  uint64_t faults_count = 0;

  void add(const ParseOutcome& outcome) {
    check(outcome);
    for (size_t row = 0; row < outcome.batch.rows_count(); ++row) {
      rows += std::to_string(outcome.batch.event_time_ms[row]);
      for (const Column& column : outcome.batch.columns)
        rows += '|' + (column.type == ColumnType::kNumber ? std::to_string(std::bit_cast<uint64_t>(column.numbers[row]))
                                                          : column.texts[row]);
      rows += '\n';
    }
    for (const RowFault& fault : outcome.faults) faulty_rows += std::to_string(fault.row) + ' ';
    faults_count += outcome.faults_count;
  }
};

Transcript stream(const ParserConfig& config, std::string_view bytes, uint64_t seed, size_t piece_max) {
  Stream stream(config);
  Transcript out;
  Prng prng(seed);
  while (!bytes.empty()) {
    const size_t size = std::min<size_t>(bytes.size(), 1 + prng.below(piece_max));
    out.add(stream.feed(bytes.substr(0, size), kNow));
    while (stream.pending()) out.add(stream.feed({}, kNow));
    bytes.remove_prefix(size);
  }
  do {
    out.add(stream.finish(kNow));
  } while (stream.pending());
  return out;
}

}  // namespace

WB_FUZZ_TARGET(records) {
  wb::fuzz::Feed feed(bytes);
  const ParserConfig config = config_of(feed.byte());
  const uint64_t seed = feed.byte();
  const std::string body = expanded(feed.rest());
  Parser parser(config);
  const ParseOutcome outcome = parser.parse(body, kNow);
  check(outcome);
  Transcript whole;
  whole.add(outcome);
  Transcript again;
  again.add(parser.parse(body, kNow));  // the same parser: nothing of the body before is left
  WB_HOLDS(again.rows == whole.rows && again.faults_count == whole.faults_count, "the second parse differs");
  if (config.format == Format::kJson) return;

  const Transcript one = stream(config, body, 1, kBodyBytesMax);
  const size_t piece_max = body.size() > 8'192 ? 40'000 : 1 + seed % 32;
  const Transcript many = stream(config, body, seed, piece_max);
  WB_HOLDS(one.rows == many.rows, "cut differently, other rows:\n" + one.rows + "---\n" + many.rows);
  WB_HOLDS(one.faults_count == many.faults_count, "cut differently, " + std::to_string(one.faults_count) + " and " +
                                                      std::to_string(many.faults_count) + " faults");
  if (one.faults_count <= kFaultsMax)
    WB_HOLDS(one.faulty_rows == many.faulty_rows, one.faulty_rows + "---" + many.faulty_rows);
  const bool refused = !outcome.faults.empty() && outcome.faults.front().row == 0;
  if (!refused && outcome.faults_count == 0) WB_HOLDS(whole.rows == one.rows, "a body and a stream differ");
}

WB_FUZZ_SEEDS(records) {
  const auto seed = [&](uint8_t choice, std::string_view body) {
    put(wb::fuzz::FeedWriter().byte(choice).byte(7).rest(body).bytes());
  };
  seed(0, R"([{"x": 1, "s": "a"}, {"x": null, "s": "é"}, {"x": 1e400, "s": 2}])");
  seed(0, R"({"x": -0.5e-3, "s": "b", "deep": [[[{"a": [1]}]]]})");
  seed(4, R"({"x": 18446744073709551615, "s": "c", "t": "2026-11-03T07:15:00.25+01:00"})");
  seed(1, "{\"x\": 1, \"s\": \"a\"}\n\n{\"x\": 2, \"s\": \"b\"}\r\n{\"x\": 3}\nnot json\n{\"x\": 4, \"s\": \"d\"}");
  seed(33, "{\"x\": 1, \"s\": \"a\", \"y\": 2}\n{\"x\": 1, \"x\": 2, \"s\": \"\"}\n");
  seed(2, "x,s\n1,a\n2,\"b, \"\"c\"\"\"\n\n3,\"two\nlines\"\r\n+4.5, d\nnan,e\n,\n");
  seed(6, "\xEF\xBB\xBFs,x,t\na,1,1700000000000\nb,2,2026-11-03T07:15:00Z\nx\"\"y,3,4\n\"open,1,2\n");
  seed(10, "x,s\n1700000000000,a\n-1,b\n");
  seed(18,
       "x\n\x01\x90"
       "1\n2\n\"\x01\xA0y\n3\n");
  seed(17,
       "{\"x\":\x01\x90"
       "1}\n{\"x\":2}\n");
}
