// waybill-agent: the node's daemon. Everything is in cli.cpp.
#include "apps/agent/cli.h"

int main(int argc, char** argv) { return wb::agentapp::agent_main(argc, argv); }
