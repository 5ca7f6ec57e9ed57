#pragma once
// Actions: performs what the router decided on this device: a line to stdout, a line to a file, an HTTP POST, an MQTT
// publish. Best effort and bounded: an action that cannot be done now is counted and dropped, it never holds up
// records. Whoever runs the device is told once when the actions to one place begin to fail, and once when they work
// again.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace wb::world {

struct MqttTarget {
  std::string url;
  std::string topic;
  int qos = 1;
  std::string username = {};
  std::string password_file = {};
  std::string ca_file = {};
};

class Actions {
 public:
  struct Counts {
    uint64_t done = 0;     // the receiver has it
    uint64_t dropped = 0;  // it never will
  };
  using Tell = std::function<void(bool works, const std::string& text)>;  // on the io_context's thread

  Actions(boost::asio::io_context& io, std::string client_id, Tell tell);
  ~Actions();

  void to_stdout(const std::string& line);
  void to_file(const std::string& path, const std::string& line);
  void to_http(const std::string& url, const std::string& json);  // http:// only
  void to_mqtt(const MqttTarget& target, const std::string& json);

  Counts counts() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wb::world
