#pragma once
// What the agent says about itself: JSON for `waybill-agent status`, Prometheus text for /metrics. Every number has its
// age or is a counter.

#include <nlohmann/json.hpp>
#include <string>

#include "edge/agent/agent.h"
#include "world/actions.h"
#include "world/node_store.h"

namespace wb::agentapp {

// What only the world knows.
struct Measured {
  world::NodeStore::Stats store;
  world::Actions::Counts actions;
};
std::string status_json(const AgentView& view, Moment now, const Measured& measured);
// The same for a person, a line for each subject.
std::string status_text(const nlohmann::ordered_json& status);
std::string metrics_text(const AgentView& view, Moment now, const Measured& measured);
// Asks the agent that runs on this data folder; prints a summary (output: table or json). The exit code.
int print_status(const std::string& data_dir, const std::string& output);

}  // namespace wb::agentapp
