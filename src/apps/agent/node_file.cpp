#include "apps/agent/node_file.h"

#include "base/spec.h"
#include "wire/labels.h"
#include "world/yaml.h"

namespace wb::agentapp {
namespace {

const Spec& node_spec() {
  static const Spec spec{
      .name = "node",
      .summary = "How this device runs its agent.",
      .fields =
          {
              {.name = "data_dir",
               .type = FieldType::kText,
               .summary = "folder for everything the agent keeps",
               .required = true},
              {.name = "pipeline",
               .type = FieldType::kText,
               .summary = "pipeline file to run instead of releases from a hub"},
              {.name = "local_address",
               .type = FieldType::kText,
               .summary = "loopback address of the local API",
               .fallback = "127.0.0.1"},
              {.name = "local_port",
               .type = FieldType::kInteger,
               .summary = "port of the local API, 0 = any",
               .fallback = "0",
               .min = 0,
               .max = 65535},
              {.name = "outbox",
               .type = FieldType::kSize,
               .summary = "hard cap of the outbox file",
               .fallback = "16MiB",
               .min = 1 << 20,
               .max = 1099511627776.0},
              {.name = "flash_per_day",
               .type = FieldType::kSize,
               .summary = "bytes a day that the flash bears, 0 = any number",
               .fallback = "4300MB"},
              {.name = "free_floor", .type = FieldType::kSize, .summary = "disk space to leave free", .fallback = "0"},
              {.name = "labels", .type = FieldType::kTextMap, .summary = "labels that rollouts select by"},
              {.name = "log",
               .type = FieldType::kText,
               .summary = "least level that is logged",
               .fallback = "info",
               .choices = {"debug", "info", "warning", "error"}},
          },
      .example = "data_dir: /var/lib/waybill\nlabels: {site: lyon}\n",
      .costs = ""};
  return spec;
}

}  // namespace

Result<NodeFile> load_node_file(const std::string& path) {
  WB_TRY(const Document document, world::load_yaml(path, world::process_env()));
  Problems problems;
  const Values values = check_fields(node_spec(), document, problems);
  if (!problems.empty()) return fail(Code::kInvalid, problems.format(path));
  NodeFile out;
  out.data_dir = values.text("data_dir");
  if (values.has("pipeline")) out.pipeline = values.text("pipeline");
  out.local_address = values.text("local_address");
  out.local_port = static_cast<uint16_t>(values.integer("local_port"));
  out.outbox_bytes = values.integer("outbox");
  out.flash_bytes_per_day = values.integer("flash_per_day");
  out.free_bytes_floor = values.integer("free_floor");
  if (values.has("labels"))
    for (const auto& [key, value] : values.map("labels")) out.labels[key] = value;
  const Status labels = wire::check_labels(out.labels);
  if (!labels.ok()) {
    problems.add(values.at("labels"), labels.error().text);
    return fail(Code::kInvalid, problems.format(path));
  }
  out.log_level = values.text("log");
  return out;
}

}  // namespace wb::agentapp
