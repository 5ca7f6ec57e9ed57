#pragma once
// LocalServer: the agent's HTTP door on this device. Plain HTTP/1.1 because it never leaves loopback: listen() refuses
// any other address. Every request but GET /ping carries "Authorization: Bearer <token>"; the token lies in the data
// folder, readable by the agent's user alone. Bounded: header and body bytes, connections, time per request. A handler
// may answer late (after the commit): that is the back-pressure a producer feels.
//
// All calls and callbacks happen on the io_context's one thread.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"

namespace wb::world {

struct LocalRequest {
  std::string method;
  std::string path;  // without the query
  std::string query;
  std::string content_type;
  std::string body;
};

struct LocalResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  int retry_after_s = 0;  // sent if > 0
};

struct LocalServerConfig {
  std::string address = "127.0.0.1";
  uint16_t port = 0;  // 0 = any free one
  std::string token;
  size_t body_bytes_max = 8U << 20;
  size_t connections_max = 256;
  int64_t request_timeout_ms = 30'000;
  int64_t idle_timeout_ms = 60'000;
};

class LocalServer {
 public:
  using Respond = std::function<void(LocalResponse)>;  // call once; a second call does nothing
  using Handler = std::function<void(LocalRequest&&, Respond)>;

  static Result<std::unique_ptr<LocalServer>> listen(boost::asio::io_context& io, LocalServerConfig config,
                                                     Handler handler);
  ~LocalServer();
  uint16_t port() const;
  void stop();

 private:
  struct Impl;
  explicit LocalServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace wb::world
