#pragma once
// What the agent says about itself: JSON for `waybill-agent status`, Prometheus text for /metrics. Every number has its
// age or is a counter.

#include <string>

#include "edge/agent/agent.h"
#include "world/node_store.h"

namespace wb::agentapp {

std::string status_json(const AgentView& view, Moment now, const world::NodeStore::Stats& store);
std::string metrics_text(const AgentView& view, Moment now, const world::NodeStore::Stats& store);
// Asks the agent that runs on this data folder; prints a summary (output: table or json). The exit code.
int print_status(const std::string& data_dir, const std::string& output);

}  // namespace wb::agentapp
