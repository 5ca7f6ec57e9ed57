#pragma once
// Sources: the running pipeline's source components as live inputs on the io_context. They read, parse for the pipeline
// that serves, hand a batch on, and wait for its answer before they take more: that is the back-pressure. What to read
// next of a followed file is decided by source::FileTail; this file only performs it.

#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "edge/agent/agent.h"
#include "world/local_server.h"

namespace wb::agentapp {

// Hands a batch to the agent. `answered` is called once, later, on the io_context.
using Answered = std::function<void(const agent::Answer&)>;
using Deliver = std::function<void(agent::SourceBatch&&, Answered)>;

class Sources {
 public:
  struct Ports {
    boost::asio::io_context& io;
    Deliver deliver;
    std::function<std::string(const std::string& key)> position;  // stored, of a followed file
    std::function<void()> ended;                                  // all finite sources are read to their end
    std::function<void(agent::Log::Level, std::string)> log;
    std::function<int64_t()> unix_ms;
    std::string node_id;
  };
  explicit Sources(Ports ports);
  ~Sources();

  // Stops what runs and starts what this pipeline names; nullptr stops all.
  void serve(const Pipeline* pipeline, uint64_t epoch);
  // A POST on the local API. False if no http source of the pipeline has this path.
  bool post(world::LocalRequest& request, const world::LocalServer::Respond& respond);
  bool only_finite() const;  // nothing but stdin and files read once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wb::agentapp
