#pragma once
// plain_http(): one HTTP/1.1 request without TLS on a connection of its own, for what stays near the device: the
// agent's own local API (`waybill-agent status`) and the HTTP action of a pipeline. Who answers is not trusted: header,
// body and what waits to be parsed are bounded, and one deadline covers everything from the connection to the last
// byte.
//
// kUnavailable: not reachable, too slow, not HTTP, or ended half way; the text is the reason alone, for the caller to
// say what was wanted. kFull: the answer is longer than allowed. A status is an answer, whatever it says. All calls and
// callbacks happen on the io_context's one thread.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "world/http_message.h"

namespace wb::world {

struct PlainCall {
  std::string host;
  std::string port;
  HttpRequest request;
  uint32_t deadline_ms = 10'000;  // after the host's name was found
  size_t response_bytes_max = 64U << 10;
};

// `done` runs once on the io_context, never inside this call.
void plain_http(boost::asio::io_context& io, PlainCall call, std::function<void(Result<HttpResponse>)> done);

}  // namespace wb::world
