// waybill hub: the control plane in one process. --data-dir is its only required flag; the first start makes the CA and
// the admin credential and says what to do next.
#include <spdlog/spdlog.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#include <boost/asio/ip/address.hpp>

#include <cstdio>
#include <memory>

#include "apps/waybill/commands.h"
#include "apps/waybill/hub_home.h"
#include "apps/waybill/hub_service.h"
#include "apps/waybill/output.h"
#include "base/bytes.h"
#include "hub/registry/registry.h"
#include "world/https_client.h"
#include "world/log.h"

namespace wb::cli {

namespace {

struct HubCommand {
  std::string data_dir;
  std::string listen = "127.0.0.1:7443";
  std::vector<std::string> hosts;
};

bool any_address(const std::string& address) { return address == "0.0.0.0" || address == "::"; }

// The names that the certificate must carry beside loopback, the one people will use first.
std::vector<std::string> names_of(const HubCommand& command, const std::string& address) {
  std::vector<std::string> names = command.hosts;
  char own[256] = {};
  if (any_address(address) && ::gethostname(own, sizeof own - 1) == 0) names.emplace_back(own);
  if (!any_address(address)) names.push_back(address);
  return names;
}

// Port 0 is nothing to call, but a fine thing to listen on.
std::pair<std::string, uint16_t> listen_of(const std::string& text) {
  const bool any_port = text.ends_with(":0");
  const auto endpoint = world::parse_endpoint(std::string_view(text).substr(0, text.size() - (any_port ? 2 : 0)));
  boost::system::error_code no_address;
  if (endpoint.ok()) boost::asio::ip::make_address(endpoint->host, no_address);
  if (!endpoint.ok() || no_address)
    throw Exit{kUsage, "--listen '" + text +
                           "' is not an IP address of this machine and a port; write it as 127.0.0.1:7443 or "
                           "0.0.0.0:7443"};
  return {endpoint->host, any_port ? uint16_t{0} : endpoint->port};
}

constexpr size_t kOwnDescriptors = 64;  // database, log, listener, epoll …

// Each connection is a file descriptor; the soft limit of 1,024 would be the first thing a fleet meets. What even the
// hard limit does not allow is said now, and not found out by the agent that is refused.
size_t connections_possible(size_t wanted) {
  const size_t allowed = world::raise_descriptor_limit();
  if (allowed >= wanted + kOwnDescriptors) return wanted;
  const size_t possible = allowed > 2 * kOwnDescriptors ? allowed - kOwnDescriptors : kOwnDescriptors;
  spdlog::warn(
      "this process may open {} files: at most {} connections at once, not {}; raise it with `ulimit -n {}` or, under "
      "systemd, LimitNOFILE={}",
      allowed, possible, wanted, wanted + kOwnDescriptors, wanted + kOwnDescriptors);
  return possible;
}

// A start that failed after it had made the folder is no reason to say less at the next.
Result<bool> has_nodes(world::SqliteRows& rows) {
  WB_CHECK(rows.begin());
  bool any = false;
  hub::each_node(rows, "", [&](const hub::pb::Node&) {
    any = true;
    return false;
  });
  rows.rollback();
  return any;
}

void print_next_steps(const HubHome& home, const std::string& url, bool has_nodes) {
  std::printf("hub ready at %s · data %s · CA pin %s\n", url.c_str(), home.folder.c_str(),
              home.authority.pin().c_str());
  if (!has_nodes) {
    const char* folder = home.folder.c_str();
    std::printf("%s the CA and the admin credential in %s/admin; no node is enrolled yet\n",
                home.first_start ? "first start: made" : "found", folder);
    std::printf(
        "next, on this machine (first the key that signs releases: a node pins the trusted keys when it enrols):\n");
    std::printf("  waybill release key create --out publisher.key\n");
    std::printf("  waybill release key trust PUBLIC_KEY --data-dir %s\n", folder);
    std::printf("  waybill node token create --data-dir %s\n", folder);
    std::printf("  waybill-agent enroll --hub %s --token TOKEN --data-dir ./node-1\n", url.c_str());
    std::printf("from another machine: copy %s/admin there, keep it secret, then\n", folder);
    std::printf("  export WAYBILL_HUB=%s WAYBILL_CREDENTIALS=/path/to/admin\n", url.c_str());
  }
  std::fflush(stdout);
}

void run_hub(const HubCommand& command, HubProbe* probe) {
  world::log_to_stderr("hub");
  const auto [address, port] = listen_of(command.listen);
  const std::vector<std::string> names = names_of(command, address);
  HubHome home = or_exit(open_hub_home(command.data_dir, names, unix_ms_now() / 1'000, probe));
  auto rows = or_exit(world::SqliteRows::open(home.folder + "/hub.db"));
  reached(probe, HubPoint::kDatabaseOpened);
  const bool enrolled = or_exit(has_nodes(*rows));
  hub::HubConfig config;
  config.ca_pin = home.authority.pin();
  HubService service(config, std::move(rows), home.authority, probe);
  world::ServerOptions options;
  options.address = address;
  options.port = port;
  options.certificate_pem = home.server.certificate_pem;
  options.key_pem = home.server.key_pem;
  options.ca_pem = home.authority.certificate_pem();
  options.connections_max = connections_possible(options.connections_max);
  const auto server = or_exit(world::HttpsServer::listen(std::move(options), service));
  const std::string url = world::Endpoint{names.front(), server->port()}.url();
  or_exit(write_hub_url(home, url, probe));
  reached(probe, HubPoint::kUrlKept);
  server->stop_on_signals();
  print_next_steps(home, url, enrolled);
  server->run();
  spdlog::info("stopped");
}

}  // namespace

void add_hub(CLI::App& app, HubProbe* probe) {
  auto* sub = app.add_subcommand("hub", "run the control plane: enrols nodes, rolls out releases, takes in records");
  const auto command = std::make_shared<HubCommand>();
  sub->add_option("--data-dir", command->data_dir, "folder for everything the hub keeps; made if it is not there")
      ->required();
  sub->add_option("--listen", command->listen, "address:port; port 0 takes any free one")->capture_default_str();
  sub->add_option("--host", command->hosts, "name or address under which nodes reach this hub; may be repeated");
  sub->callback([command, probe] { run_hub(*command, probe); });
}

}  // namespace wb::cli
