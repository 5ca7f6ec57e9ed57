#pragma once
// HttpsSession: one connection of HttpsServer, from handshake to close. Only https_server.cpp includes this.
//
// handshake → (first byte → header → policy → body → submitted → answered)* → lingering close. Each arrow has a time
// limit. All of it runs on the io thread; between submit() and answer() the database thread owns `call`.

#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "world/https_server.h"
#include "world/tls_stream.h"

namespace wb::world {

class HttpsSession;

// What a session needs of the server. All on the io thread.
class SessionHost {
 public:
  virtual ~SessionHost() = default;
  virtual const ServerOptions& options() const = 0;
  virtual const Service& service() const = 0;
  virtual bool stopping() const = 0;
  virtual bool reserve_body(size_t bytes, bool large) = 0;  // false: too many bytes in flight
  virtual void release_body(size_t bytes) = 0;
  // 0: taken in. Otherwise the seconds after which the client may try again.
  virtual uint32_t submit(std::shared_ptr<HttpsSession> session) = 0;
  virtual uint32_t retry_after_s() const = 0;
  virtual bool proven(HttpsSession* session) = 0;  // it has shown a certificate of ours; false: too many of that peer
  virtual bool count_refused_handshake() = 0;      // whether to tell: a flood of them must not fill the log
  virtual void count_overload() = 0;
  virtual void count_timeout() = 0;
  virtual void opened(HttpsSession* session) = 0;
  virtual void closed(HttpsSession* session) = 0;
};

class HttpsSession : public std::enable_shared_from_this<HttpsSession> {
 public:
  HttpsSession(boost::asio::ip::tcp::socket socket, SSL_CTX* tls, SessionHost& host);
  ~HttpsSession();
  void start();
  void answer();         // call.response is complete
  void close_if_idle();  // the server is stopping
  void close_now();
  void release_memory();  // of a call that waits: what its answer does not need

  // For the server: among those that have not shown a certificate, in the order in which they came.
  struct Unproven {
    std::list<HttpsSession*>::iterator place;
    std::chrono::steady_clock::time_point since;
  };
  std::optional<Unproven> unproven;
  bool counted = false;  // among those of its peer
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
  bool reserve(size_t body_bytes);
  void body_complete();
  void reject(int status, std::string_view code, std::string_view message, std::string_view next);
  void reject_overload(uint32_t retry_after_s, std::string_view message);
  void write();
  void shut_down();
  void drain_raw(size_t bytes_left);
  void expire_after(uint32_t ms) { stream_.expires_after(std::chrono::milliseconds(ms)); }
  void failed(ErrorCode error);

  SessionHost& host_;
  TlsStream stream_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  std::optional<boost::beast::http::response<boost::beast::http::string_body>> response_;
  std::string from_;          // address of the other side, for logs
  size_t body_reserved_ = 0;  // as much as has arrived
  std::chrono::steady_clock::time_point body_deadline_;
  uint32_t retry_after_s_ = 0;
  bool idle_ = false;
  bool keep_alive_ = false;
};

// "HTTP" error body in the one shape that the hub's API uses.
std::string error_body(std::string_view code, std::string_view message, std::string_view next);

}  // namespace wb::world
