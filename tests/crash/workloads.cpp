#include "tests/crash/workloads.h"

#include <utility>

namespace wb::crash {

std::vector<std::unique_ptr<Subject>> named_subjects() {
  std::vector<std::unique_ptr<Subject>> all;
  for (NodeWorkload& workload : node_workloads()) all.push_back(node_subject(std::move(workload)));
  for (HubWorkload& workload : hub_workloads()) all.push_back(hub_subject(std::move(workload)));
  all.push_back(files_subject());
  all.push_back(slots_subject());
  return all;
}

// Two of three are a node's.
std::unique_ptr<Subject> random_subject(uint64_t seed) {
  if (seed % 3 == 2) return hub_subject(random_hub_workload(seed));
  return node_subject(random_node_workload(seed));
}

}  // namespace wb::crash
