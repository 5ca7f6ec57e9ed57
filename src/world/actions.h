#pragma once
// Actions: performs what the router decided on this device: a line to stdout, a line to a file, an HTTP POST, an MQTT
// publish. Best effort and bounded: an action that cannot be done now is counted and dropped, it never holds up
// records.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"

namespace wb::world {

class Actions {
 public:
  explicit Actions(boost::asio::io_context& io, std::string client_id);
  ~Actions();

  void to_stdout(const std::string& line);
  void to_file(const std::string& path, const std::string& line);
  void to_http(const std::string& url, const std::string& json);  // http:// only
  void to_mqtt(const std::string& url, const std::string& topic, const std::string& json);

  uint64_t done_count() const;
  uint64_t dropped_count() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace wb::world
