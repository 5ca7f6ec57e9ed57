// waybill herd: a fleet that comes back after an outage of its hub, on a virtual clock (src/sim/herd.h).
#include "sim/herd.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "apps/waybill/commands.h"
#include "apps/waybill/output.h"
#include "base/bytes.h"

namespace wb::cli {

namespace {

using Json = nlohmann::ordered_json;

struct HerdCommand {
  sim::HerdOptions options;
  std::string outage = "60s";
  bool seconds_table = false;
  Format format = Format::kTable;
};

std::string after(int64_t ms) { return ms < 0 ? "never" : format_duration_ms(ms); }

Json json_of(const sim::HerdReport& report, const HerdCommand& command) {
  Json out{{"nodes", report.nodes},
           {"outage_ms", command.options.outage_ms},
           {"jitter_floor_ms", report.jitter_floor_ms},
           {"peak_arrivals_per_s", report.peak_arrivals},
           {"arrivals", report.arrivals},
           {"dropped", report.dropped},
           {"timed_out", report.timed_out},
           {"exchanges", report.exchanges},
           {"refused", report.refused},
           {"attempts", report.attempts},
           {"retries", report.retries},
           {"before_retry_after", report.early},
           {"half_connected_after_ms", report.half_after_ms},
           {"all_connected_after_ms", report.all_after_ms},
           {"all_delivered_after_ms", report.delivered_after_ms},
           {"violations", report.violations}};
  out["seconds"] = Json::array();
  for (const sim::HerdSecond& second : report.seconds)
    out["seconds"].push_back({second.arrivals, second.handshakes, second.exchanges, second.refused, second.connected});
  return out;
}

void print_table(const sim::HerdReport& report, const HerdCommand& command) {
  TextTable table({"", ""});
  table.row({"NODES", std::to_string(report.nodes)});
  table.row({"JITTER FLOOR GRANTED", format_duration_ms(report.jitter_floor_ms)});
  table.row({"WORST SECOND, ARRIVALS", std::to_string(report.peak_arrivals)});
  table.row({"HALF CONNECTED AFTER", after(report.half_after_ms)});
  table.row({"ALL CONNECTED AFTER", after(report.all_after_ms)});
  table.row({"ALL DELIVERED AFTER", after(report.delivered_after_ms)});
  table.row({"EXCHANGES", std::to_string(report.exchanges)});
  table.row({"REFUSED", std::to_string(report.refused)});
  table.row({"ATTEMPTS, RETRIES", std::to_string(report.attempts) + ", " + std::to_string(report.retries)});
  std::fputs(table.text().c_str(), stdout);
  if (!command.seconds_table) return;
  TextTable rows({"SECOND", "ARRIVALS", "HANDSHAKES", "EXCHANGES", "REFUSED", "CONNECTED"});
  for (size_t i = 0; i < report.seconds.size(); ++i) {
    const sim::HerdSecond& second = report.seconds[i];
    rows.row({std::to_string(i), std::to_string(second.arrivals), std::to_string(second.handshakes),
              std::to_string(second.exchanges), std::to_string(second.refused), std::to_string(second.connected)});
  }
  std::printf("\n%s", rows.text().c_str());
}

void herd(HerdCommand& command) {
  const auto outage = parse_duration_ms(command.outage);
  if (!outage.ok() || *outage < 1'000 || *outage > 86'400'000)
    throw Exit{kUsage, "--outage '" + command.outage + "' is not a duration from 1s to 24h"};
  command.options.outage_ms = static_cast<uint32_t>(*outage);
  const sim::HerdReport report = sim::run_herd(command.options);
  if (!print_structured(command.format, json_of(report, command))) print_table(report, command);
  std::string text;
  for (const std::string& violation : report.violations) text += "\n  " + violation;
  if (!text.empty()) throw Exit{kFailed, "a promise was broken:" + text};
}

}  // namespace

void add_herd(CLI::App& app) {
  const auto command = std::make_shared<HerdCommand>();
  auto* sub =
      app.add_subcommand("herd", "a simulated fleet that comes back after its hub was away, checked second by second");
  sub->add_option("--nodes", command->options.nodes, "nodes in the fleet")
      ->capture_default_str()
      ->check(CLI::Range(1U, 1'000'000U));
  sub->add_option("--outage", command->outage, "how long the hub is away")->capture_default_str();
  sub->add_option("--records", command->options.records_per_node, "records that wait on each node when it is back")
      ->capture_default_str()
      ->check(CLI::Range(0U, 1'000U));
  sub->add_option("--seed", command->options.seed, "one seed is one history")->capture_default_str();
  sub->add_flag("--same-jitter", command->options.same_jitter, "plant a mistake: all nodes draw the same jitter");
  sub->add_flag("--seconds", command->seconds_table, "a row for each second from the outage on");
  add_output_option(*sub, command->format);
  sub->callback([command] { herd(*command); });
}

}  // namespace wb::cli
