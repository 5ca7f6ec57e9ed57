// waybill-agent: the node's daemon. Exit codes: 0 ok, 1 failed, 2 usage, 78 bad configuration.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/agent/identity.h"
#include "apps/agent/runner.h"
#include "apps/agent/status.h"
#include "base/bytes.h"

namespace {

using namespace wb;
using namespace wb::agentapp;

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

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{
      "waybill-agent: decides on this device, keeps what is worth keeping, and talks to its hub when there is one."};
  app.set_version_flag("--version", std::string("waybill-agent ") + WB_VERSION);
  app.require_subcommand(1);
  int exit_code = 0;
  std::string data_dir;
  std::string config;
  std::vector<std::string> labels;

  NodeFile flags;
  std::string outbox;
  auto* run = app.add_subcommand("run", "Run the agent (local mode with --pipeline, else releases from the hub)");
  run->add_option("--config", config, "node file (YAML)");
  run->add_option("--data-dir", flags.data_dir, "folder for everything the agent keeps");
  run->add_option("--pipeline", flags.pipeline, "pipeline file to run in place of releases");
  run->add_option("--listen-port", flags.local_port, "port of the local API (0 = any)");
  run->add_option("--outbox", outbox, "hard cap of the outbox, e.g. 16MiB");
  run->add_option("--label", labels, "key=value, may be repeated");
  run->add_option("--log", flags.log_level, "debug, info, warning or error");
  run->callback([&] {
    RunOptions options;
    if (!config.empty()) {
      auto loaded = load_node_file(config);
      if (!loaded.ok()) {
        exit_code = complain(loaded.error());
        return;
      }
      options.node = std::move(loaded).value();
    }
    if (!flags.data_dir.empty()) options.node.data_dir = flags.data_dir;
    if (!flags.pipeline.empty()) options.node.pipeline = flags.pipeline;
    if (flags.local_port != 0) options.node.local_port = flags.local_port;
    if (run->count("--log") > 0) options.node.log_level = flags.log_level;
    const auto extra = parse_labels(labels);
    if (!extra.ok()) {
      exit_code = complain(extra.error());
      return;
    }
    for (const auto& [key, value] : *extra) options.node.labels[key] = value;
    if (!outbox.empty()) {
      const auto bytes = parse_size_bytes(outbox);
      if (!bytes.ok()) {
        exit_code = complain(bytes.error().within("--outbox"));
        return;
      }
      options.node.outbox_bytes = *bytes;
    }
    if (options.node.data_dir.empty()) {
      exit_code = complain(fail(Code::kInvalid, "no data folder: give --data-dir DIR or a node file with data_dir"));
      return;
    }
    exit_code = run_agent(options);
  });

  EnrolOptions enrolment;
  auto* enroll = app.add_subcommand("enroll", "Join a hub: the key is made here and never leaves this device");
  enroll->add_option("--hub", enrolment.hub_url, "https://host:port")->required();
  enroll->add_option("--token", enrolment.token, "what 'waybill node token create' printed")->required();
  enroll->add_option("--data-dir", enrolment.data_dir, "folder for everything the agent keeps")->required();
  enroll->add_option("--name", enrolment.name, "wished node id (default: the host's name)");
  enroll->add_option("--label", labels, "key=value, may be repeated");
  enroll->callback([&] {
    auto parsed = parse_labels(labels);
    if (!parsed.ok()) {
      exit_code = complain(parsed.error());
      return;
    }
    enrolment.labels = std::move(parsed).value();
    const auto identity = enrol(enrolment);
    if (!identity.ok()) {
      exit_code = complain(identity.error()) == kBadConfiguration ? kUsage : 1;
      return;
    }
    std::printf("enrolled as %s at %s\n  %zu release key%s pinned\n  next: waybill-agent run --data-dir %s\n",
                identity->node_id.c_str(), identity->hub_url.c_str(), identity->release_keys.size(),
                identity->release_keys.size() == 1 ? "" : "s", enrolment.data_dir.c_str());
    if (identity->release_keys.empty())
      std::printf(
          "  note: the hub trusts no release key yet, so this node will refuse every release; run 'waybill release key "
          "trust' and enrol again\n");
  });

  std::string output = "table";
  auto* status = app.add_subcommand("status", "What the agent on this device does");
  status->add_option("--data-dir", data_dir, "the agent's folder")->required();
  status->add_option("-o,--output", output, "table or json")->check(CLI::IsMember({"table", "json"}));
  status->callback([&] { exit_code = print_status(data_dir, output); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kUsage;
  }
  return exit_code;
}
