#pragma once
// Runner: performs the agent's effects for real and feeds it what happened. It decides nothing: one io_context thread
// steps the machine; the store commits on its own thread and posts back.

#include "apps/agent/identity.h"
#include "apps/agent/node_file.h"
#include "apps/agent/probe.h"
#include "base/result.h"

namespace wb::agentapp {

struct RunOptions {
  NodeFile node;
  AgentProbe* probe = nullptr;
};

// Runs until SIGTERM or SIGINT, or until every finite source of a local pipeline is read and durable. The exit code.
int run_agent(const RunOptions& options);

}  // namespace wb::agentapp
