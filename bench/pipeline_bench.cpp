// The data plane in process, on one core: NDJSON bytes → parser → transforms → model → rules, through the same Pipeline
// that the agent runs. usage: wb_pipeline_bench NAME PIPELINE.yaml MODEL.wbm SHUTTLE.csv SECONDS CPU time is counted,
// not wall time, and only of parsing and of Pipeline::run(): making the input is left out.
#include "bench/shuttle_rows.h"
#include "edge/agent/pipeline.h"
#include "edge/source/source.h"
#include "world/files.h"
#include "world/yaml.h"

int main(int argc, char** argv) {
  using namespace wb;
  using namespace wb::bench;
  if (argc != 6) give_up("usage: wb_pipeline_bench NAME PIPELINE.yaml MODEL.wbm SHUTTLE.csv SECONDS");
  const std::string name = argv[1];
  const auto document = world::load_yaml(argv[2], world::no_env());
  if (!document.ok()) give_up(document.error().text);
  const auto model = world::read_file(argv[3], 64U << 20);
  if (!model.ok()) give_up(model.error().text);
  const std::vector<BlobView> blobs{{"model/main", *model}};
  Problems problems;
  auto pipeline = Pipeline::build(*document, blobs, {"bench", "", 1, false}, problems);
  if (!pipeline.ok()) give_up(problems.format(argv[2]));
  source::Parser parser(pipeline->parser_config(source::Format::kNdjson));
  ShuttleBodies bodies(argv[4]);

  double parse_s = 0;
  double run_s = 0;
  uint64_t rows = 0;
  PipelineCounters counters;
  const double until = wall_s() + std::atof(argv[5]);
  for (uint64_t n = 0; wall_s() < until; ++n) {
    const std::string& body = bodies.body(n);
    const int64_t now_ms = kFirstTimeMs + static_cast<int64_t>((n + 1) * kRowsPerBody);
    const double start = own_cpu_s();
    auto parsed = parser.parse(body, now_ms);
    const double between = own_cpu_s();
    rows += parsed.batch.rows_count();
    const PipelineOutcome out = pipeline->run(std::move(parsed.batch), now_ms);
    run_s += own_cpu_s() - between;
    parse_s += between - start;
    counters.scored += out.counters.scored;
    counters.selected += out.counters.selected;
    counters.late += out.counters.late;
  }
  if (counters.late > 0 || counters.scored == 0) give_up("rows were late or none was scored: the bench is broken");
  const auto count = static_cast<double>(rows);
  figure(name + ".records_per_s", count / (parse_s + run_s));
  figure(name + ".parse_us", parse_s / count * 1e6);
  figure(name + ".run_us", run_s / count * 1e6);
  figure(name + ".scored_share", static_cast<double>(counters.scored) / count);
  figure(name + ".selected_share", static_cast<double>(counters.selected) / count);
  return 0;
}
