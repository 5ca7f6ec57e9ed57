#pragma once
// HttpsSession: one connection of HttpsServer, from handshake to close. Only https_server.cpp includes this.
//
// handshake → (first byte → header → policy → body → submitted → answered)* → lingering close. Each arrow has a time
// limit. All of it runs on the io thread; between submit() and answer() the database thread owns `call`.

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "world/https_server.h"

namespace wb::world {

class HttpsSession;

// What a session needs of the server. All on the io thread.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual const ServerOptions& options() const = 0;
  virtual const Service& service() const = 0;
  virtual bool stopping() const = 0;
  virtual bool reserve_body(size_t bytes) = 0;  // false: too many bytes in flight
  virtual void release_body(size_t bytes) = 0;
  virtual bool submit(std::shared_ptr<HttpsSession> session) = 0;  // false: the queue is full
  virtual void count_refused_handshake() = 0;
  virtual void count_overload() = 0;
  virtual void count_timeout() = 0;
  virtual void opened(HttpsSession* session) = 0;
  virtual void closed(HttpsSession* session) = 0;
};

class HttpsSession : public std::enable_shared_from_this<HttpsSession> {
 public:
  HttpsSession(boost::asio::ip::tcp::socket socket, boost::asio::ssl::context& tls, SessionHost& host);
  ~HttpsSession();
  void start();
  void answer();         // call.response is complete
  void close_if_idle();  // the server is stopping
  void close_now();

  ServerCall call;
  boost::asio::steady_timer park_timer;
  bool parked = false;

 private:
  using ErrorCode = boost::system::error_code;
  void handshaken(ErrorCode error);
  void refuse_handshake(ErrorCode error);
  void wait_first_byte();
  void read_header();
  void header_read(ErrorCode error);
  bool refused_by_policy();
  void read_body();
  void read_body_part();
  void body_complete();
  void reject(int status, std::string_view code, std::string_view message, std::string_view next);
  void write();
  void shut_down();
  void drain_raw(size_t bytes_left);
  void expire_after(uint32_t ms);
  void failed(ErrorCode error);

  SessionHost& host_;
  boost::beast::ssl_stream<boost::beast::tcp_stream> stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  std::optional<boost::beast::http::response<boost::beast::http::string_body>> response_;
  std::string from_;  // address of the other side, for logs
  size_t body_reserved_ = 0;
  std::chrono::steady_clock::time_point body_deadline_;
  bool idle_ = false;
  bool keep_alive_ = false;
};

// "HTTP" error body in the one shape that the hub's API uses.
std::string error_body(std::string_view code, std::string_view message, std::string_view next);

}  // namespace wb::world
