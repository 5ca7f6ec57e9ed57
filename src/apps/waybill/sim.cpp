// waybill sim: many histories of a whole fleet on a virtual clock, each from one seed, watched by the checkers of
// src/sim. Seeds are independent, so they run side by side; their lines come out in the order of the seeds, so that the
// output of two builds can be compared as text (tools/determinism).
#include "sim/sim.h"

#include <unistd.h>
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "apps/waybill/commands.h"
#include "apps/waybill/output.h"
#include "world/yaml.h"

namespace wb::cli {
namespace {

using Json = nlohmann::ordered_json;

struct SimCommand {
  uint64_t seed = 1;
  uint32_t seeds = 1;
  uint32_t nodes = 50;
  uint32_t days = 7;
  uint32_t jobs = 0;  // 0 = as many as there are cores
  Format format = Format::kTable;
};

std::string hex16(uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

std::string repeat_command(const SimCommand& command, uint64_t seed) {
  return "waybill sim --seed " + std::to_string(seed) + " --seeds 1 --nodes " + std::to_string(command.nodes) +
         " --days " + std::to_string(command.days);
}

// The reports in the order of the seeds, made by several threads. One line at the bottom of a terminal says how far
// they are.
class Runs {
 public:
  explicit Runs(const SimCommand& command)
      : command_(command), reports_(command.seeds), terminal_(isatty(STDERR_FILENO) == 1) {
    uint32_t jobs = command.jobs > 0 ? command.jobs : std::max(1U, std::thread::hardware_concurrency());
    jobs = std::min(jobs, command.seeds);
    for (uint32_t i = 0; i < jobs; ++i) threads_.emplace_back([this] { work(); });
  }
  ~Runs() {
    next_ = command_.seeds;
    for (std::thread& thread : threads_) thread.join();
    clear();
  }

  // Blocks until this one is done; call with 0, 1, 2 …
  sim::Report take(uint32_t index) {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return reports_[index].has_value(); });
    clear();
    sim::Report report = std::move(*reports_[index]);
    reports_[index].emplace();
    return report;
  }

 private:
  void work() {
    for (uint32_t i = next_++; i < command_.seeds; i = next_++) {
      sim::Options options;
      options.seed = command_.seed + i;
      options.nodes = command_.nodes;
      options.days = command_.days;
      options.read_document = [](std::string_view text) {
        return world::parse_yaml(text, "pipeline.yaml", world::no_env());
      };
      if (terminal_) options.progress = [this](const std::string& text) { show(text); };
      sim::Report report = sim::run(options);
      const std::lock_guard lock(mutex_);
      reports_[i] = std::move(report);
      ++finished_;
      done_.notify_all();
    }
  }
  void show(const std::string& text) {
    const std::lock_guard lock(mutex_);
    std::fprintf(stderr, "\r\033[K%u of %u seeds done; %s", finished_, command_.seeds, text.c_str());
    std::fflush(stderr);
  }
  void clear() const {
    if (terminal_) std::fputs("\r\033[K", stderr);
  }

  const SimCommand command_;
  std::atomic<uint32_t> next_ = 0;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable done_;
  std::vector<std::optional<sim::Report>> reports_;  // guarded by mutex_
  uint32_t finished_ = 0;                            // guarded by mutex_
  const bool terminal_;
};

// What a report counts, by name: one list for the table, the totals and JSON.
struct Count {
  const char* name;
  const char* head;
  uint64_t sim::Report::*field;
};
constexpr Count kCounts[] = {
    {"events", "EVENTS", &sim::Report::events},
    {"crashes", "CRASHES", &sim::Report::crashes},
    {"exchanges", "EXCHANGES", &sim::Report::exchanges},
    {"exchanges_lost", "LOST", &sim::Report::exchanges_lost},
    {"store_failures", "STORE FAILURES", &sim::Report::store_failures},
    {"rots", "ROTS", &sim::Report::rots},
    {"images_restored", "OLD IMAGES", &sim::Report::images_restored},
    {"hub_restores", "HUB RESTORES", &sim::Report::hub_restores},
    {"records_accepted", "RECORDS IN", &sim::Report::records_accepted},
    {"records_at_hub", "AT HUB", &sim::Report::records_at_hub},
    {"rollbacks", "ROLLBACKS", &sim::Report::rollbacks},
    {"halted_rollouts", "HALTED", &sim::Report::halted_rollouts},
};

Json report_json(const sim::Report& report) {
  Json out{{"seed", report.seed}, {"trace", hex16(report.trace_hash)}};
  for (const Count& count : kCounts) out[count.name] = report.*count.field;
  out["device_hours"] = report.device_hours;
  out["violations"] = Json::array();
  for (const sim::Violation& violation : report.violations)
    out["violations"].push_back({{"promise", violation.promise}, {"at_ms", violation.at_ms}, {"text", violation.text}});
  return out;
}

void print_line(const sim::Report& report) {
  std::string counts;
  for (const Count& count : kCounts)
    counts += " " + std::string(count.name) + " " + std::to_string(report.*count.field);
  std::printf("seed %-6llu trace %s %s%s\n", static_cast<unsigned long long>(report.seed),
              hex16(report.trace_hash).c_str(), report.violations.empty() ? "held  " : "BROKEN", counts.c_str());
  for (const sim::Violation& violation : report.violations)
    std::printf("    %s on day %lld at %02lld:%02lld: %s\n", violation.promise.c_str(),
                static_cast<long long>(violation.at_ms / 86'400'000),
                static_cast<long long>(violation.at_ms / 3'600'000 % 24),
                static_cast<long long>(violation.at_ms / 60'000 % 60), violation.text.c_str());
  std::fflush(stdout);
}

void print_totals(const SimCommand& command, const sim::Report& total, uint32_t failed, double seconds) {
  std::printf("\n");
  TextTable table({"", "TOTAL"});
  for (const Count& count : kCounts) table.row({count.head, std::to_string(total.*count.field)});
  table.row({"DEVICE-HOURS", std::to_string(static_cast<uint64_t>(total.device_hours))});
  table.row({"DEVICE-HOURS/S", std::to_string(static_cast<uint64_t>(total.device_hours / seconds))});
  std::fputs(table.text().c_str(), stdout);
  std::printf("\n%u of %u seeds held every promise that is checked (docs/operations/simulator.md)\n",
              command.seeds - failed, command.seeds);
}

void simulate(const SimCommand& command) {
  const auto started = std::chrono::steady_clock::now();
  Json list = Json::array();
  sim::Report total;
  std::optional<uint64_t> first_failed;
  uint32_t failed = 0;
  {
    Runs runs(command);
    for (uint32_t i = 0; i < command.seeds; ++i) {
      const sim::Report report = runs.take(i);
      if (!report.violations.empty()) {
        ++failed;
        if (!first_failed) first_failed = report.seed;
      }
      for (const Count& count : kCounts) total.*count.field += report.*count.field;
      total.device_hours += report.device_hours;
      if (command.format == Format::kTable)
        print_line(report);
      else
        list.push_back(report_json(report));
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  const double seconds = std::max(took.count(), 1e-3);
  Json out{{"seeds", std::move(list)},
           {"failed_seeds", failed},
           {"device_hours", total.device_hours},
           {"seconds", seconds},
           {"device_hours_per_second", total.device_hours / seconds}};
  if (first_failed) out["repeat"] = repeat_command(command, *first_failed);
  if (!print_structured(command.format, out)) print_totals(command, total, failed, seconds);
  if (!first_failed) return;
  throw Exit{kFailed, "a promise was broken under " + std::to_string(failed) + " of " + std::to_string(command.seeds) +
                          " seeds. To see the first again:\n  " + repeat_command(command, *first_failed)};
}

}  // namespace

void add_sim(CLI::App& app) {
  const auto command = std::make_shared<SimCommand>();
  auto* sub =
      app.add_subcommand("sim", "a simulated fleet on a virtual clock, with faults, checked against the promises");
  sub->add_option("--seed", command->seed, "the first seed; one seed is one history")->capture_default_str();
  sub->add_option("--seeds", command->seeds, "how many seeds, one after the other")
      ->capture_default_str()
      ->check(CLI::Range(1U, 10'000'000U));
  sub->add_option("--nodes", command->nodes, "devices in the fleet")
      ->capture_default_str()
      ->check(CLI::Range(1U, 10'000U));
  sub->add_option("--days", command->days, "days with faults; two days of healing follow")
      ->capture_default_str()
      ->check(CLI::Range(1U, 365U));
  sub->add_option("--jobs", command->jobs, "seeds at once (default: one per core)")->check(CLI::Range(1U, 256U));
  add_output_option(*sub, command->format);
  sub->callback([command] { simulate(*command); });
}

}  // namespace wb::cli
