// waybill node: make tokens, see who is enrolled and how each one is.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "apps/waybill/client.h"
#include "apps/waybill/commands.h"
#include "apps/waybill/listing.h"
#include "base/bytes.h"

namespace wb::cli {

namespace {

using Json = nlohmann::ordered_json;
using As = FieldView::As;

struct NodeCommand {
  HubOptions hub;
  Format format = Format::kTable;
  std::string lifetime = "24h";
  std::vector<std::string> labels;
  std::string selector = "all";
  std::string id;
};

Json labels_json(const std::vector<std::string>& labels) {
  Json out = Json::object();
  for (const std::string& label : labels) {
    const size_t equals = label.find('=');
    if (equals == 0 || equals == std::string::npos)
      throw Exit{kUsage, "--label '" + label + "' is not key=value; write it as --label site=lyon"};
    out[label.substr(0, equals)] = label.substr(equals + 1);
  }
  return out;
}

void create_token(const NodeCommand& command) {
  const auto lifetime = parse_duration_ms(command.lifetime);
  if (!lifetime.ok()) throw Exit{kUsage, "--ttl: " + lifetime.error().text};
  AdminClient client(command.hub);
  const Json answer = client.post("/v1/tokens", {{"lifetime", *lifetime}, {"labels", labels_json(command.labels)}});
  if (print_structured(command.format, answer)) return;
  const std::string token = answer.value("token", std::string());
  std::printf("%s\n", token.c_str());
  std::fprintf(stderr,
               "one node may use it, once, within %s; on that node run:\n  waybill-agent enroll --hub %s --token %s "
               "--data-dir ./node\n",
               format_duration_ms(*lifetime).c_str(), client.endpoint().url().c_str(), token.c_str());
}

void list(const NodeCommand& command) {
  AdminClient client(command.hub);
  Json all = {{"nodes", Json::array()}};
  std::string cursor;
  do {  // ends: the hub's cursor only moves forward
    const std::string after = cursor.empty() ? "" : "&cursor=" + url_encode(cursor);
    const Json page = client.get("/v1/nodes?selector=" + url_encode(command.selector) + after);
    for (const Json& node : items_of(page, "nodes")) all["nodes"].push_back(node);
    cursor = page.value("next_cursor", std::string());
    all["as_of_ms"] = page.value("as_of_ms", int64_t{0});
  } while (!cursor.empty());
  const std::vector<FieldView> columns = {{"NODE", "/id"},
                                          {"SEEN", "/last_contact_ms", As::kAge},
                                          {"RUNS", "/running/name"},
                                          {"DESIRED", "/desired/name"},
                                          {"PHASE", "/phase"},
                                          {"WAITING", "/counters/outbox_records"},
                                          {"UP", "/counters/bytes_up", As::kBytes},
                                          {"LOST", "/counters/lost"},
                                          {"LABELS", "/labels", As::kLabels}};
  if (command.format == Format::kTable)
    for (Json& node : all["nodes"])
      if (node.value("revoked", false)) node["phase"] = "revoked";
  const std::string nobody = command.selector == "all"
                                 ? "no node is enrolled; next: waybill node token create" + command.hub.given()
                                 : "no node matches '" + command.selector + "'; waybill node list" +
                                       command.hub.given() + " shows all nodes and their labels";
  print_list(command.format, all, "nodes", columns, nobody);
}

void show(const NodeCommand& command) {
  AdminClient client(command.hub);
  const Json node = client.get("/v1/nodes/" + url_encode(command.id));
  if (print_structured(command.format, node)) return;
  print_detail(node, {{"node", "/id"},
                      {"last seen", "/last_contact_ms", As::kAge},
                      {"enrolled", "/created_ms", As::kAge},
                      {"revoked", "/revoked"},
                      {"labels", "/labels", As::kLabels},
                      {"agent", "/agent_version"},
                      {"runs", "/running/name"},
                      {"desired", "/desired/name"},
                      {"desired since", "/desired/since_ms", As::kAge},
                      {"phase", "/phase"},
                      {"waits for", "/waiting_for"},
                      {"records in", "/counters/records_in"},
                      {"decided locally", "/counters/records_not_sent"},
                      {"waiting", "/counters/outbox_records"},
                      {"bytes up", "/counters/bytes_up", As::kBytes},
                      {"lost", "/counters/lost"}});
  const Json& streams = items_of(node, "streams");
  if (streams.empty()) return;
  std::printf("\n");
  print_list(command.format, node, "streams",
             {{"LANE", "/lane"},
              {"THROUGH", "/through_seq"},
              {"HERE", "/effected"},
              {"EVICTED", "/evicted"},
              {"LOST", "/lost"},
              {"CHANGED", "/changed_ms", As::kAge}},
             "");
}

void label(const NodeCommand& command) {
  Json changes = Json::object();
  for (const std::string& text : command.labels) {
    if (text.ends_with('-') && text.find('=') == std::string::npos)
      changes[text.substr(0, text.size() - 1)] = nullptr;
    else
      changes.update(labels_json({text}));
  }
  AdminClient client(command.hub);
  const Json node = client.patch("/v1/nodes/" + url_encode(command.id) + "/labels", changes);
  if (print_structured(command.format, node)) return;
  print_detail(node, {{"node", "/id"}, {"labels", "/labels", As::kLabels}});
}

void revoke(const NodeCommand& command) {
  AdminClient client(command.hub);
  const Json node = client.post("/v1/nodes/" + url_encode(command.id) + "/revoke", Json::object());
  if (print_structured(command.format, node)) return;
  std::printf("%s is revoked: its certificate is no longer accepted\n", command.id.c_str());
}

CLI::App* verb(CLI::App* noun, const std::shared_ptr<NodeCommand>& command, const char* name, const char* summary) {
  auto* sub = noun->add_subcommand(name, summary);
  add_hub_options(*sub, command->hub);
  add_output_option(*sub, command->format);
  return sub;
}

}  // namespace

void add_node(CLI::App& app) {
  const auto command = std::make_shared<NodeCommand>();
  auto* noun = app.add_subcommand("node", "enrol nodes and see how they are");
  noun->require_subcommand(1);
  auto* token = noun->add_subcommand("token", "enrolment tokens");
  token->require_subcommand(1);
  auto* create = verb(token, command, "create", "make a token that enrols one node, once");
  create->add_option("--ttl", command->lifetime, "how long it may be used")->capture_default_str();
  create->add_option("--label", command->labels, "key=value for the node; may be repeated");
  create->callback([command] { create_token(*command); });
  auto* list_verb = verb(noun, command, "list", "every node: when seen, what it runs, what waits");
  list_verb->add_option("--selector", command->selector, "only nodes that match, as in 'site=lyon and not battery'");
  list_verb->callback([command] { list(*command); });
  auto* show_verb = verb(noun, command, "show", "one node in full");
  show_verb->add_option("node", command->id, "node id")->required();
  show_verb->callback([command] { show(*command); });
  auto* label_verb = verb(noun, command, "label", "set labels: key=value, or key- to remove one");
  label_verb->add_option("node", command->id, "node id")->required();
  label_verb->add_option("labels", command->labels, "key=value or key-")->required();
  label_verb->callback([command] { label(*command); });
  auto* revoke_verb = verb(noun, command, "revoke", "refuse this node's certificate from now on");
  revoke_verb->add_option("node", command->id, "node id")->required();
  revoke_verb->callback([command] { revoke(*command); });
}

}  // namespace wb::cli
