#include "world/plain_http.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <memory>
#include <utility>

namespace wb::world {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

constexpr uint32_t kHeaderBytesMax = 16U << 10;
// What may wait to be parsed. It also bounds what the parser bounds not: a chunk's extension, and trailers.
constexpr size_t kBufferBytesMax = 128U << 10;

class PlainRequest : public std::enable_shared_from_this<PlainRequest> {
 public:
  PlainRequest(asio::io_context& io, PlainCall call, std::function<void(Result<HttpResponse>)> done)
      : resolver_(io), stream_(io), call_(std::move(call)), done_(std::move(done)) {
    request_.version(11);
    request_.method_string(call_.request.method);
    request_.target(call_.request.target);
    request_.set(http::field::host, call_.host + ":" + call_.port);
    for (const auto& [name, value] : call_.request.headers) request_.set(name, value);
    request_.body() = std::move(call_.request.body);
    request_.prepare_payload();
    parser_.header_limit(kHeaderBytesMax);
    parser_.body_limit(call_.response_bytes_max);
  }

  void start() {
    resolver_.async_resolve(
        call_.host, call_.port,
        [self = shared_from_this()](beast::error_code error, const tcp::resolver::results_type& found) {
          if (error) return self->failed(error);
          self->connect(found);
        });
  }

 private:
  void connect(const tcp::resolver::results_type& found) {
    stream_.expires_after(std::chrono::milliseconds(call_.deadline_ms));
    stream_.async_connect(found, [self = shared_from_this()](beast::error_code error, const tcp::endpoint&) {
      if (error) return self->failed(error);
      self->send();
    });
  }
  void send() {
    http::async_write(stream_, request_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (error) return self->failed(error);
      self->receive();
    });
  }
  void receive() {
    http::async_read(stream_, buffer_, parser_, [self = shared_from_this()](beast::error_code error, size_t) {
      if (error) return self->failed(error);
      auto message = self->parser_.release();
      if (message.result_int() < 200)
        return self->done_(fail(Code::kUnavailable, "an interim answer that nobody asked for"));
      HttpResponse response;
      response.status = static_cast<int>(message.result_int());
      for (const auto& field : message)
        response.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
      response.body = std::move(message.body());
      self->done_(std::move(response));
    });
  }
  void failed(beast::error_code error) {
    const bool long_answer =
        error == http::error::body_limit || error == http::error::header_limit || error == http::error::buffer_overflow;
    done_(fail(long_answer ? Code::kFull : Code::kUnavailable, error.message()));
  }

  tcp::resolver resolver_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{kBufferBytesMax};
  http::request<http::string_body> request_;
  http::response_parser<http::string_body> parser_;
  PlainCall call_;
  std::function<void(Result<HttpResponse>)> done_;
};

}  // namespace

void plain_http(asio::io_context& io, PlainCall call, std::function<void(Result<HttpResponse>)> done) {
  std::make_shared<PlainRequest>(io, std::move(call), std::move(done))->start();
}

}  // namespace wb::world
