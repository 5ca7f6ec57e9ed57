#include "apps/agent/cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/agent/identity.h"
#include "apps/agent/runner.h"
#include "apps/agent/status.h"
#include "apps/usage.h"
#include "base/bytes.h"
#include "wire/labels.h"

namespace wb::agentapp {
namespace {

constexpr int kUsage = 2;
constexpr int kBadConfiguration = 78;

int complain(const Error& error) {
  std::fprintf(stderr, "waybill-agent: %s\n", std::string(trim(error.text)).c_str());
  return error.code == Code::kInvalid ? kBadConfiguration : 1;
}

Result<std::map<std::string, std::string>> parse_labels(const std::vector<std::string>& given) {
  std::map<std::string, std::string> out;
  for (const std::string& text : given) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(Code::kInvalid, "label '", text, "' is not of the form key=value");
    out[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return out;
}

// Flags win over the node file.
struct RunCommand {
  std::string config;
  NodeFile flags;
  std::string outbox;
  std::string flash;
  std::string log;
  std::vector<std::string> labels;
};

Result<NodeFile> settings_of(const RunCommand& command) {
  NodeFile node;
  if (!command.config.empty()) {
    WB_TRY(node, load_node_file(command.config));
  }
  if (!command.flags.data_dir.empty()) node.data_dir = command.flags.data_dir;
  if (!command.flags.pipeline.empty()) node.pipeline = command.flags.pipeline;
  if (command.flags.local_port != 0) node.local_port = command.flags.local_port;
  if (!command.log.empty()) node.log_level = command.log;
  WB_TRY(const auto labels, parse_labels(command.labels));
  for (const auto& [key, value] : labels) node.labels[key] = value;
  const Status sound = wire::check_labels(node.labels);
  if (!sound.ok()) return sound.error().within("--label");
  if (!command.outbox.empty()) {
    const auto bytes = parse_size_bytes(command.outbox);
    if (!bytes.ok()) return bytes.error().within("--outbox");
    node.outbox_bytes = *bytes;
  }
  if (!command.flash.empty()) {
    const auto bytes = parse_size_bytes(command.flash);
    if (!bytes.ok()) return bytes.error().within("--flash-per-day");
    node.flash_bytes_per_day = *bytes;
  }
  if (node.data_dir.empty())
    return fail(Code::kInvalid, "no data folder: give --data-dir DIR or a node file with data_dir");
  return node;
}

void add_run(CLI::App& app, AgentProbe* probe, int& exit_code) {
  auto command = std::make_shared<RunCommand>();
  auto* run = app.add_subcommand("run", "Run the agent (local mode with --pipeline, else releases from the hub)");
  run->add_option("--config", command->config, "node file (YAML)");
  run->add_option("--data-dir", command->flags.data_dir, "folder for everything the agent keeps");
  run->add_option("--pipeline", command->flags.pipeline, "pipeline file to run in place of releases");
  run->add_option("--listen-port", command->flags.local_port, "port of the local API (0 = any)");
  run->add_option("--outbox", command->outbox, "hard cap of the outbox, e.g. 16MiB");
  run->add_option("--flash-per-day", command->flash,
                  "bytes a day that the flash bears, e.g. 4300MB (the default); 0 = any number");
  run->add_option("--label", command->labels, "key=value, may be repeated");
  run->add_option("--log", command->log, "least level that is logged")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  run->callback([command, probe, &exit_code] {
    auto node = settings_of(*command);
    exit_code = node.ok() ? run_agent({std::move(node).value(), probe}) : complain(node.error());
  });
}

int enrol_here(EnrolOptions options, const std::vector<std::string>& given) {
  auto labels = parse_labels(given);
  if (!labels.ok()) {
    complain(labels.error().within("--label"));
    return kUsage;
  }
  options.labels = std::move(labels).value();
  const Status sound = wire::check_labels(options.labels);
  if (!sound.ok()) {
    complain(sound.error().within("--label"));
    return kUsage;
  }
  const auto identity = enrol(options);
  if (!identity.ok()) return complain(identity.error()) == kBadConfiguration ? kUsage : 1;
  std::printf("enrolled as %s at %s\n  %zu release key%s pinned\n  next: waybill-agent run --data-dir %s\n",
              identity->node_id.c_str(), identity->hub_url.c_str(), identity->release_keys.size(),
              identity->release_keys.size() == 1 ? "" : "s", options.data_dir.c_str());
  if (identity->release_keys.empty())
    std::printf(
        "  note: the hub trusts no release key yet, so this node will refuse every release; run 'waybill release key "
        "trust', remove %s/identity and enrol again with a new token\n",
        options.data_dir.c_str());
  return 0;
}

void add_enroll(CLI::App& app, AgentProbe* probe, int& exit_code) {
  struct Command {
    EnrolOptions options;
    std::vector<std::string> labels;
  };
  auto command = std::make_shared<Command>();
  command->options.probe = probe;
  auto* enroll = app.add_subcommand("enroll", "Join a hub: the key is made here and never leaves this device");
  enroll->add_option("--hub", command->options.hub_url, "https://host:port")->required();
  enroll->add_option("--token", command->options.token, "what 'waybill node token create' printed")->required();
  enroll->add_option("--data-dir", command->options.data_dir, "folder for everything the agent keeps")->required();
  enroll->add_option("--name", command->options.name, "wished node id (default: the host's name)");
  enroll->add_option("--label", command->labels, "key=value, may be repeated");
  enroll->callback([command, &exit_code] { exit_code = enrol_here(command->options, command->labels); });
}

void add_status(CLI::App& app, int& exit_code) {
  struct Command {
    std::string data_dir;
    std::string output = "table";
  };
  auto command = std::make_shared<Command>();
  auto* status = app.add_subcommand("status", "What the agent on this device does");
  status->add_option("--data-dir", command->data_dir, "the agent's folder")->required();
  status->add_option("-o,--output", command->output, "table or json")->check(CLI::IsMember({"table", "json"}));
  status->callback([command, &exit_code] { exit_code = print_status(command->data_dir, command->output); });
}

}  // namespace

int agent_main(int argc, char** argv, AgentProbe* probe) {
  CLI::App app{
      "waybill-agent: decides on this device, keeps what is worth keeping, and talks to its hub when there is one.",
      "waybill-agent"};
  app.set_version_flag("--version", std::string("waybill-agent ") + WB_VERSION);
  app.require_subcommand(1);
  int exit_code = 0;
  add_run(app, probe, exit_code);
  add_enroll(app, probe, exit_code);
  add_status(app, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return end_of_parsing(app, error, argc, argv, kUsage);
  }
  return exit_code;
}

}  // namespace wb::agentapp
