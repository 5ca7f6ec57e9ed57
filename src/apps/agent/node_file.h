#pragma once
// The node file: how this device runs its agent. `data_dir` is the only required key; everything can be given by flags
// too.

#include <map>
#include <string>

#include "base/result.h"

namespace wb::agentapp {

struct NodeFile {
  std::string data_dir;
  std::string pipeline;  // a pipeline file to run in place of releases from a hub
  std::string local_address = "127.0.0.1";
  uint16_t local_port = 0;  // 0 = any free one; the address is written to <data_dir>/local_url
  int64_t outbox_bytes = 16LL << 20;
  int64_t flash_bytes_per_day = 4'300'000'000;  // what the agent's store may write (W1); 0 = no limit
  int64_t free_bytes_floor = 0;
  std::map<std::string, std::string> labels;
  std::string log_level = "info";
};

// The error text is ready to print, one problem a line with file:line:column. Throws nothing.
Result<NodeFile> load_node_file(const std::string& path);

}  // namespace wb::agentapp
