#pragma once
// The named workloads and the random ones, as data for the subjects of subject.h.

#include <vector>

#include "tests/crash/subject.h"

namespace wb::crash {

std::vector<NodeWorkload> node_workloads();
NodeWorkload random_node_workload(uint64_t seed);
// Records of all lanes, some sent; more than fit into a file of `bytes`.
NodeWorkload full_file_workload(uint64_t bytes);
// Records of all lanes in the file, then a few tickets that take, send and ack: one transaction each.
NodeWorkload log_workload();
std::vector<HubWorkload> hub_workloads();
HubWorkload random_hub_workload(uint64_t seed);

}  // namespace wb::crash
