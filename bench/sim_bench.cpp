// How much fleet time one core simulates: device-hours per second of CPU time. usage: wb_sim_bench NODES DAYS
#include "bench/processes.h"
#include "sim/sim.h"
#include "world/yaml.h"

int main(int argc, char** argv) {
  using namespace wb;
  if (argc != 3) bench::give_up("usage: wb_sim_bench NODES DAYS");
  sim::Options options;
  options.nodes = static_cast<uint32_t>(std::atoi(argv[1]));
  options.days = static_cast<uint32_t>(std::atoi(argv[2]));
  options.read_document = [](std::string_view text) {
    return world::parse_yaml(text, "pipeline.yaml", world::no_env());
  };
  const double start = bench::own_cpu_s();
  const sim::Report report = sim::run(options);
  const double took_s = bench::own_cpu_s() - start;
  if (!report.violations.empty()) bench::give_up("a promise was broken: " + report.violations[0].text);
  bench::figure("sim.device_hours_per_s", report.device_hours / took_s);
  bench::figure("sim.device_hours", report.device_hours);
  bench::figure("sim.events_per_s", static_cast<double>(report.events) / took_s);
  return 0;
}
