// waybill track: where something is and how it got there, every stop with its time.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "apps/waybill/client.h"
#include "apps/waybill/commands.h"
#include "apps/waybill/listing.h"

namespace wb::cli {

namespace {

using Json = nlohmann::ordered_json;
using As = FieldView::As;

struct TrackCommand {
  HubOptions hub;
  Format format = Format::kTable;
  std::string name;
};

Json track(const TrackCommand& command, const std::string& what) {
  AdminClient client(command.hub);
  return client.get("/v1/track/" + what + "/" + url_encode(command.name));
}

void print_events(const Json& answer) {
  std::printf("\n");
  print_list(Format::kTable, answer, "events",
             {{"WHEN", "/time_ms", As::kAge},
              {"WHAT", "/kind"},
              {"NODE", "/node"},
              {"RELEASE", "/release"},
              {"ROLLOUT", "/rollout"},
              {"", "/text"}},
             "nothing has happened to it yet");
}

void track_node(const TrackCommand& command) {
  const Json answer = track(command, "node");
  if (print_structured(command.format, answer)) return;
  print_detail(answer, {{"node", "/node/id"},
                        {"last seen", "/node/last_contact_ms", As::kAge},
                        {"desired", "/node/desired/name"},
                        {"runs", "/node/running/name"},
                        {"phase", "/node/phase"},
                        {"waits for", "/node/waiting_for"},
                        {"records waiting", "/node/counters/outbox_records"}});
  print_events(answer);
}

void track_release(const TrackCommand& command) {
  const Json answer = track(command, "release");
  if (print_structured(command.format, answer)) return;
  print_detail(answer, {{"release", "/name"},
                        {"digest", "/digest"},
                        {"nodes running it", "/nodes_running"},
                        {"of them heard now", "/nodes_running_now"},
                        {"nodes in all", "/nodes"},
                        {"nodes refusing it", "/nodes_refusing"}});
  std::printf("\n");
  print_list(command.format, answer, "rollouts",
             {{"ROLLOUT", "/id"},
              {"TO", "/selector"},
              {"STATE", "/state"},
              {"COMMITTED", "/committed"},
              {"FAILED", "/failed"},
              {"CHANGED", "/changed_ms", As::kAge},
              {"REASON", "/reason"}},
             "it was never rolled out; next: waybill rollout start " + cell(answer, "name") + command.hub.given());
  print_events(answer);
}

void track_record(const TrackCommand& command) {
  const Json answer = track(command, "record");
  if (print_structured(command.format, answer)) return;
  print_detail(answer, {{"node", "/node"},
                        {"lane", "/lane"},
                        {"sequence", "/seq"},
                        {"pipeline", "/pipeline"},
                        {"release", "/release_name"},
                        {"rule", "/rule"},
                        {"inclusion probability", "/inclusion_probability"},
                        {"label", "/label"},
                        {"confidence", "/confidence"}});
  std::printf("\n");
  print_list(command.format, answer, "stops",
             {{"WHEN", "/time_ms", As::kAge}, {"STOP", "/stop"}, {"CLOCK", "/clock"}, {"", "/text"}}, "");
}

}  // namespace

void add_track(CLI::App& app) {
  const auto command = std::make_shared<TrackCommand>();
  auto* noun = app.add_subcommand("track", "follow a release, a node or a record through every stop");
  noun->require_subcommand(1);
  const auto add = [&](const char* name, const char* summary, const char* argument, void (*run)(const TrackCommand&)) {
    auto* sub = noun->add_subcommand(name, summary);
    add_hub_options(*sub, command->hub);
    add_output_option(*sub, command->format);
    sub->add_option(name, command->name, argument)->required();
    sub->callback([command, run] { run(*command); });
  };
  add("release", "where a release runs, who refuses it, and why", "name@version or digest", track_release);
  add("node", "what a node runs, what it waits for, and what happened to it", "node id", track_node);
  add("record", "one record from source to hub", "node:lane:sequence, as in pump-7:live:42", track_record);
}

}  // namespace wb::cli
