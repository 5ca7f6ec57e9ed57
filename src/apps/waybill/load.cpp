// waybill load: what a hub carries, measured with real agents: enrolled, on mutual TLS, paced by the sync core that
// decides in the field. For your own hub only: anything but loopback must be asked for by name.
//
// docs/operations/load.md says how to read the figures and how the ones in the documents were made.
#include <time.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <boost/asio/ip/address.hpp>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>

#include "apps/waybill/commands.h"
#include "apps/waybill/load_fleet.h"
#include "base/bytes.h"
#include "world/files.h"

namespace wb::cli {

namespace {

constexpr size_t kAgentsMax = 30'000;
constexpr uint32_t kSecondsMax = 24 * 3'600;
constexpr size_t kPhasesMax = 64;
constexpr size_t kOwnDescriptors = 64;

struct Phase {
  double records_per_s = 0;
  uint32_t seconds = 0;
};

struct LoadCommand {
  HubOptions hub;
  LoadOptions load;
  size_t agents = 100;
  std::string identities = "waybill-load";
  std::string mode = "open";
  std::string ramp = "5s";
  std::string think = "0s";
  std::string flush = "2s";
  std::vector<std::string> phases;
  std::string storm_every;
  uint32_t storm_percent = 100;
  bool until_connected = false;
  int hub_pid = 0;
  bool own_hub = false;
  bool seconds_table = false;
  Format format = Format::kTable;
};

uint32_t duration_ms(const std::string& text, const char* option) {
  const auto parsed = parse_duration_ms(text);
  if (!parsed.ok() || *parsed < 0 || *parsed > int64_t{kSecondsMax} * 1'000)
    throw Exit{kUsage, std::string(option) + " '" + text + "' is not a duration such as 500ms, 30s or 10m"};
  return static_cast<uint32_t>(*parsed);
}

// "3000:30s": so many records a second over all agents, for so long; "30s": nothing but what the agents do by
// themselves.
Phase parse_phase(const std::string& text) {
  const size_t colon = text.find(':');
  Phase phase;
  if (colon != std::string::npos) {
    char* end = nullptr;
    phase.records_per_s = std::strtod(text.c_str(), &end);
    if (end != text.c_str() + colon || !(phase.records_per_s >= 0) || phase.records_per_s > 1e8)
      throw Exit{kUsage, "--phase '" + text + "': write it as RECORDS_PER_SECOND:DURATION, for example 3000:30s"};
  }
  phase.seconds = duration_ms(colon == std::string::npos ? text : text.substr(colon + 1), "--phase") / 1'000;
  if (phase.seconds == 0) throw Exit{kUsage, "--phase '" + text + "' is shorter than a second"};
  return phase;
}

// A load test of somebody else's hub is an attack.
void check_target(const LoadCommand& command, const world::Endpoint& endpoint) {
  if (command.own_hub || endpoint.host == "localhost") return;
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(endpoint.host, error);
  if (!error && address.is_loopback()) return;
  throw Exit{kUsage, "a load test may bring a hub down, and " + endpoint.url() +
                         " is not this machine; if that hub is yours to bring down, add --i-own-this-hub"};
}

void check_descriptors(size_t agents) {
  const size_t allowed = world::raise_descriptor_limit();
  if (allowed >= agents + kOwnDescriptors) return;
  throw Exit{kFailed, "this process may open " + std::to_string(allowed) + " files, too few for " +
                          std::to_string(agents) + " connections; raise the limit with `ulimit -n " +
                          std::to_string(agents + kOwnDescriptors) + "` or take fewer --agents"};
}

// A process of this machine by the kernel's own books.
class Watched {
 public:
  explicit Watched(int pid) : pid_(pid) {
    if (pid_ == 0) return;
    cost_.pss_before_kib = pss_kib();
    cpu_before_s_ = cpu_s();
  }
  std::optional<HubCost> cost() {
    if (pid_ == 0) return std::nullopt;
    cost_.pss_after_kib = pss_kib();
    cost_.cpu_s = cpu_s() - cpu_before_s_;
    return cost_;
  }

 private:
  double cpu_s() const {
    clockid_t clock{};
    timespec now{};
    if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &now) != 0)
      throw Exit{kFailed, "there is no process " + std::to_string(pid_) + " (--hub-pid)"};
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
  }
  double pss_kib() const {
    std::ifstream in("/proc/" + std::to_string(pid_) + "/smaps_rollup");
    std::string line;
    while (std::getline(in, line))
      if (line.starts_with("Pss:")) return std::atof(line.c_str() + std::strlen("Pss:"));
    throw Exit{kFailed, "cannot read the memory of process " + std::to_string(pid_) + " (--hub-pid); is it yours?"};
  }
  int pid_;
  double cpu_before_s_ = 0;
  HubCost cost_;
};

// One line at the bottom of a terminal.
class Progress {
 public:
  ~Progress() { show(""); }
  void show(const std::string& text) const {
    if (!terminal_) return;
    std::fprintf(stderr, "\r\033[K%s", text.c_str());
    std::fflush(stderr);
  }

 private:
  const bool terminal_ = ::isatty(STDERR_FILENO) == 1;
};

void run_phases(const LoadCommand& command, LoadFleet& fleet, const std::vector<Phase>& phases,
                const Progress& progress) {
  const uint32_t storm_s = command.storm_every.empty() ? 0 : duration_ms(command.storm_every, "--storm-every") / 1'000;
  uint32_t second = 0;
  for (size_t i = 0; i < phases.size(); ++i) {
    fleet.report().begin_phase(std::to_string(i + 1), phases[i].records_per_s);
    fleet.run(phases[i].seconds, phases[i].records_per_s, [&] {
      ++second;
      if (storm_s > 0 && second % storm_s == 0) fleet.storm(command.storm_percent);
      const size_t connected = fleet.connected();
      progress.show("phase " + std::to_string(i + 1) + " of " + std::to_string(phases.size()) + ", " +
                    std::to_string(second) + " s: " + std::to_string(connected) + " of " +
                    std::to_string(fleet.agents()) + " agents connected");
      return !(command.until_connected && connected == fleet.agents());
    });
  }
  fleet.report().end();
}

void load(LoadCommand& command) {
  std::vector<Phase> phases;
  for (const std::string& text : command.phases) phases.push_back(parse_phase(text));
  if (phases.empty()) phases.push_back(Phase{0, 10});
  command.load.open_loop = command.mode == "open";
  command.load.think_ms = duration_ms(command.think, "--think");
  command.load.flush_ms = duration_ms(command.flush, "--flush");
  const AdminClient admin(command.hub);
  check_target(command, admin.endpoint());
  check_descriptors(command.agents);
  const Progress progress;
  auto identities = load_identities(command.identities, command.agents, admin, [&](size_t done, size_t count) {
    progress.show("enrolled " + std::to_string(done) + " of " + std::to_string(count) + " agents");
  });
  Watched hub(command.hub_pid);
  LoadFleet fleet(command.load, admin.endpoint(), std::move(identities));
  fleet.start(std::chrono::milliseconds(duration_ms(command.ramp, "--ramp")));
  run_phases(command, fleet, phases, progress);
  if (const auto cost = hub.cost()) fleet.report().set_hub_cost(*cost);
  fleet.stop(std::chrono::seconds(1));
  progress.show("");
  if (!print_structured(command.format, fleet.report().json()))
    std::fputs(fleet.report().table(command.seconds_table).c_str(), stdout);
  if (fleet.report().answers() == 0)
    throw Exit{kFailed, "no exchange was answered; is the hub at " + admin.endpoint().url() + " alive?"};
}

}  // namespace

void add_load(CLI::App& app) {
  const auto command = std::make_shared<LoadCommand>();
  auto* sub =
      app.add_subcommand("load", "real agents against your own hub: what it carries, and how it bears too much");
  add_hub_options(*sub, command->hub);
  sub->add_option("--agents", command->agents, "agents, each with an identity and a connection of its own")
      ->capture_default_str()
      ->check(CLI::Range(size_t{1}, kAgentsMax));
  sub->add_option("--identities", command->identities, "folder that keeps the enrolled identities for the next run")
      ->capture_default_str();
  sub->add_option("--mode", command->mode,
                  "open: paced by the sync core, records come at a fixed rate; closed: the next exchange when the last "
                  "is answered")
      ->capture_default_str()
      ->check(CLI::IsMember({"open", "closed"}));
  sub->add_option("--phase", command->phases,
                  "RECORDS_PER_SECOND:DURATION (open) or DURATION (closed, or open without records); may be repeated")
      ->expected(1)
      ->take_all();
  sub->add_option("--records", command->load.records_per_exchange,
                  "records in an exchange, closed loop; 0 = reports only")
      ->capture_default_str()
      ->check(CLI::Range(0U, 500U));
  sub->add_option("--think", command->think, "pause between exchanges, closed loop")->capture_default_str();
  sub->add_option("--flush", command->flush, "how long records wait for company, open loop")->capture_default_str();
  sub->add_option("--ramp", command->ramp, "the agents start evenly over this time")->capture_default_str();
  sub->add_option("--storm-every", command->storm_every, "break connections this often, all at one moment");
  sub->add_option("--storm-percent", command->storm_percent, "of the connections")
      ->capture_default_str()
      ->check(CLI::Range(1U, 100U));
  sub->add_flag("--until-connected", command->until_connected, "end a phase as soon as every agent is connected");
  sub->add_option("--hub-pid", command->hub_pid, "process of a hub on this machine: report its CPU time and memory");
  sub->add_option("--seed", command->load.seed, "of the agents' jitter")->capture_default_str();
  sub->add_flag("--seconds", command->seconds_table, "a row for each second, after the table");
  sub->add_flag("--i-own-this-hub", command->own_hub, "allow a hub that is not on this machine");
  add_output_option(*sub, command->format);
  sub->callback([command] {
    if (command->phases.size() > kPhasesMax) throw Exit{kUsage, "at most 64 phases"};
    load(*command);
  });
}

}  // namespace wb::cli
