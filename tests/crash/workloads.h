#pragma once
// The named workloads and the random ones, as data for the subjects of subject.h.

#include <vector>

#include "tests/crash/subject.h"

namespace wb::crash {

std::vector<NodeWorkload> node_workloads();
NodeWorkload random_node_workload(uint64_t seed);
std::vector<HubWorkload> hub_workloads();
HubWorkload random_hub_workload(uint64_t seed);

}  // namespace wb::crash
