#pragma once
// The command line of waybill-agent: run, enroll, status. Exit codes: 0 ok, 1 failed, 2 usage, 78 bad configuration.

#include "apps/agent/probe.h"

namespace wb::agentapp {

int agent_main(int argc, char** argv, AgentProbe* probe = nullptr);

}  // namespace wb::agentapp
