#pragma once
// TlsStream: TLS over a connected TCP socket, as a Beast AsyncStream, for both sides of a connection.
//
// It has no buffers of its own. OpenSSL reads and writes the non-blocking socket itself; where it can go no further, we
// wait until the socket can. With SSL_MODE_RELEASE_BUFFERS a connection on which nothing happens holds no record buffer
// at all, which is what lets a hub hold many (promise H6); Boost.Asio's own stream keeps 34 KiB and a pair of memory
// BIOs for each.
//
// One deadline for whatever is pending: expires_after(). When it passes, the socket is closed and the operation ends
// with beast::error::timeout. At most one read (or wait) and one write pending; one thread. Every operation completes
// with (error, count); a close_notify is asio::error::eof, an end without one stream_truncated.

#include <openssl/ssl.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <utility>

namespace wb::world {

class TlsStream {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using ErrorCode = boost::system::error_code;
  using executor_type = Socket::executor_type;
  enum class Side : uint8_t { kServer, kClient };

  // `context` must outlive the stream or be counted by OpenSSL (SSL_new counts it).
  TlsStream(Socket socket, SSL_CTX* context, Side side);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  executor_type get_executor() { return socket_.get_executor(); }
  Socket& socket() { return socket_; }
  SSL* native_handle() { return ssl_.get(); }

  void expires_after(std::chrono::milliseconds limit);
  void expires_never();
  void close();

  template <class Token>
  auto async_handshake(Token&& token) {
    return run([](TlsStream& stream, size_t&, ErrorCode& error) { return stream.try_handshake(error); },
               std::forward<Token>(token));
  }
  // Until there is something to read, without a buffer to read it into.
  template <class Token>
  auto async_wait_readable(Token&& token) {
    return run(
        [waited = false](TlsStream& stream, size_t&, ErrorCode&) mutable {
          return std::exchange(waited, true) || stream.has_pending() ? Want::kNothing : Want::kRead;
        },
        std::forward<Token>(token));
  }
  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return run(
        [buffers](TlsStream& stream, size_t& count, ErrorCode& error) {
          return stream.try_read(first_of<boost::asio::mutable_buffer>(buffers), count, error);
        },
        std::forward<Token>(token));
  }
  // A header and a body that fit go out as one TLS record.
  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return run(
        [buffers](TlsStream& stream, size_t& count, ErrorCode& error) {
          const auto first = first_of<boost::asio::const_buffer>(buffers);
          const size_t total = boost::asio::buffer_size(buffers);
          if (first.size() >= kRecordBytes || first.size() == total) return stream.try_write(first, count, error);
          std::array<char, kRecordBytes> joined;
          const size_t size = boost::asio::buffer_copy(boost::asio::buffer(joined), buffers);
          return stream.try_write(boost::asio::buffer(joined.data(), size), count, error);
        },
        std::forward<Token>(token));
  }
  // Sends our close_notify; does not wait for theirs.
  template <class Token>
  auto async_shutdown(Token&& token) {
    return run([](TlsStream& stream, size_t&, ErrorCode& error) { return stream.try_shutdown(error); },
               std::forward<Token>(token));
  }

 private:
  static constexpr size_t kRecordBytes = 16U << 10;  // what one TLS record carries at most
  enum class Want : uint8_t { kNothing, kRead, kWrite };

  // Lives as long as the timer that looks at it.
  struct Deadline {
    explicit Deadline(Socket& watched) : timer(watched.get_executor()), socket(&watched) {}
    boost::asio::steady_timer timer;
    std::chrono::steady_clock::time_point at = kNeverPasses;
    std::chrono::steady_clock::time_point armed_for = kNeverPasses;
    Socket* socket;  // nullptr: the stream is gone
    bool passed = false;
    static constexpr auto kNeverPasses = std::chrono::steady_clock::time_point::max();
  };
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  template <class Attempt>
  struct Operation {
    TlsStream& stream;
    Attempt attempt;
    bool waited = false, done = false;
    ErrorCode result = {};
    size_t count = 0;

    template <class Self>
    void operator()(Self& self, ErrorCode error = {}) {
      if (done) return self.complete(result, count);
      Want want = Want::kNothing;
      if (!error && !stream.socket_.is_open()) error = boost::asio::error::operation_aborted;
      if (error)
        error = stream.reason_of(error);
      else
        want = attempt(stream, count, error);
      if (want != Want::kNothing) {
        waited = true;
        return stream.socket_.async_wait(want == Want::kRead ? Socket::wait_read : Socket::wait_write, std::move(self));
      }
      if (waited) return self.complete(error, count);
      done = true;  // never inside the call that started it
      result = error;
      boost::asio::post(stream.get_executor(), std::move(self));
    }
  };
  template <class Attempt, class Token>
  auto run(Attempt attempt, Token&& token) {
    return boost::asio::async_compose<Token, void(ErrorCode, size_t)>(Operation<Attempt>{*this, std::move(attempt)},
                                                                      token, socket_);
  }
  template <class Buffer, class Buffers>
  static Buffer first_of(const Buffers& buffers) {
    auto it = boost::asio::buffer_sequence_begin(buffers);
    const auto end = boost::asio::buffer_sequence_end(buffers);
    while (it != end && Buffer(*it).size() == 0) ++it;
    return it == end ? Buffer() : Buffer(*it);
  }

  Want try_handshake(ErrorCode& error);
  Want try_read(boost::asio::mutable_buffer buffer, size_t& count, ErrorCode& error);
  Want try_write(boost::asio::const_buffer buffer, size_t& count, ErrorCode& error);
  Want try_shutdown(ErrorCode& error);
  Want judge(int result, ErrorCode& error);
  bool has_pending() const { return SSL_has_pending(ssl_.get()) == 1; }
  ErrorCode reason_of(ErrorCode error) const;
  static void arm(const std::shared_ptr<Deadline>& deadline);

  Socket socket_;
  std::shared_ptr<Deadline> deadline_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

// For every context whose connections are TlsStreams: what keeps them small.
void keep_connections_small(SSL_CTX* context);

}  // namespace wb::world
