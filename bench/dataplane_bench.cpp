// How fast the front of the data plane is, in process and on one core: NDJSON and CSV → batch, and batch → window.
// usage: wb_dataplane_bench [--benchmark_filter=…]. Rows are shaped like Shuttle's: nine sensors, an event time, a
// unit.
#include <benchmark/benchmark.h>

#include "base/prng.h"
#include "edge/source/source.h"
#include "edge/transform/transform.h"

namespace wb {
namespace {

constexpr size_t kRows = 8192;

Schema schema() {
  Schema out;
  for (int i = 1; i <= 9; ++i) out.fields.push_back({"s" + std::to_string(i), ColumnType::kNumber});
  out.fields.push_back({"unit", ColumnType::kText});
  return out;
}

std::string body(source::Format format, bool decimals) {
  Prng prng(1);
  const bool csv = format == source::Format::kCsv;
  std::string out = csv ? "ts,s1,s2,s3,s4,s5,s6,s7,s8,s9,unit\n" : "";
  for (size_t row = 0; row < kRows; ++row) {
    const std::string time = std::to_string(1'700'000'000'000 + row * 10);
    out += csv ? time : "{\"ts\":" + time;
    for (int i = 1; i <= 9; ++i) {
      out += csv ? "," : ",\"s" + std::to_string(i) + "\":";
      out += std::to_string(prng.below(100));
      if (decimals) out += "." + std::to_string(prng.below(100'000));
    }
    const std::string unit = "u" + std::to_string(prng.below(8));
    out += csv ? "," + unit + "\n" : ",\"unit\":\"" + unit + "\"}\n";
  }
  return out;
}

source::ParserConfig config(source::Format format) {
  source::ParserConfig out;
  out.schema = schema();
  out.format = format;
  out.event_time = "ts";
  return out;
}

void parse(benchmark::State& state, source::Format format) {
  source::Parser parser(config(format));
  const std::string bytes = body(format, state.range(0) != 0);
  for (auto _ : state) {
    auto out = parser.parse(bytes, 0);
    if (out.batch.rows_count() != kRows) state.SkipWithError("rows were lost");
    benchmark::DoNotOptimize(out);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kRows));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes.size()));
}
void parse_ndjson(benchmark::State& state) { parse(state, source::Format::kNdjson); }
void parse_csv(benchmark::State& state) { parse(state, source::Format::kCsv); }

Document scalar(std::string text) { return Document{Document::Kind::kScalar, std::move(text), false, {}, {}, {}}; }

transform::Chain window(const char* length) {
  Document fields{Document::Kind::kMap, "", false, {}, {}, {}};
  for (int i = 1; i <= 9; ++i)
    for (const char* statistic : {"mean", "std", "max"}) {
      const std::string column = "s" + std::to_string(i);
      fields.entries.push_back({column + "_" + statistic, {}, scalar(std::string(statistic) + "(" + column + ")")});
    }
  Document settings{Document::Kind::kMap, "", false, {}, {}, {}};
  settings.entries.push_back({"every", {}, scalar("1s")});
  settings.entries.push_back({"length", {}, scalar(length)});
  settings.entries.push_back({"by", {}, scalar("unit")});
  settings.entries.push_back({"fields", {}, std::move(fields)});
  Document component{Document::Kind::kMap, "", false, {}, {}, {}};
  component.entries.push_back({"window", {}, std::move(settings)});
  const Document list{Document::Kind::kList, "", false, {component}, {}, {}};
  Problems problems;
  return transform::Chain::build(list, schema(), problems);
}

// 27 statistics over nine sensors, eight units, 100 rows a second.
void run_window(benchmark::State& state, const char* length) {
  source::Parser parser(config(source::Format::kNdjson));
  Batch batch = parser.parse(body(source::Format::kNdjson, true), 0).batch;
  transform::Chain chain = window(length);
  size_t out = 0;
  for (auto _ : state) {
    out += chain.run(batch, 0).rows_count();
    for (int64_t& time_ms : batch.event_time_ms) time_ms += static_cast<int64_t>(kRows) * 10;  // go on where it ended
  }
  if (out == 0) state.SkipWithError("no window closed");
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kRows));
}
void window_tumbling(benchmark::State& state) { run_window(state, "1s"); }
void window_sliding_4(benchmark::State& state) { run_window(state, "4s"); }

void ndjson_to_window(benchmark::State& state) {
  source::Parser parser(config(source::Format::kNdjson));
  const std::string bytes = body(source::Format::kNdjson, true);
  for (auto _ : state) {
    transform::Chain chain = window("1s");
    benchmark::DoNotOptimize(chain.run(parser.parse(bytes, 0).batch, 0));
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kRows));
}

BENCHMARK(parse_ndjson)->ArgName("decimals")->Arg(0)->Arg(1);
BENCHMARK(parse_csv)->ArgName("decimals")->Arg(0)->Arg(1);
BENCHMARK(window_tumbling);
BENCHMARK(window_sliding_4);
BENCHMARK(ndjson_to_window);

}  // namespace
}  // namespace wb

BENCHMARK_MAIN();
