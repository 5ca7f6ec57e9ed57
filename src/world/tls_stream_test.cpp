// Two TlsStreams against each other over loopback, with socket buffers so small that nearly nothing fits at once.

#include "world/tls_stream.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <ctime>
#include <optional>

#include "world/pki.h"

namespace wb::world {
namespace {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;
using Tcp = asio::ip::tcp;

class TlsPair : public testing::Test {
 protected:
  TlsPair() : server_context_(asio::ssl::context::tls_server), client_context_(asio::ssl::context::tls_client) {
    const int64_t now = std::time(nullptr);
    const auto authority = CertificateAuthority::create("test", now).value();
    const Credential credential = authority.issue_server({}, now).value();
    server_context_.use_certificate_chain(asio::buffer(credential.certificate_pem));
    server_context_.use_private_key(asio::buffer(credential.key_pem), asio::ssl::context::pem);
    keep_connections_small(server_context_.native_handle());
    keep_connections_small(client_context_.native_handle());
    Tcp::acceptor acceptor(io_, Tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    acceptor.set_option(asio::socket_base::receive_buffer_size(4'096));
    Tcp::socket near(io_);
    near.open(Tcp::v4());
    near.set_option(asio::socket_base::receive_buffer_size(4'096));
    near.set_option(asio::socket_base::send_buffer_size(4'096));
    near.connect(acceptor.local_endpoint());
    Tcp::socket far = acceptor.accept();
    far.set_option(asio::socket_base::send_buffer_size(4'096));
    client_.emplace(std::move(near), client_context_.native_handle(), TlsStream::Side::kClient);
    server_.emplace(std::move(far), server_context_.native_handle(), TlsStream::Side::kServer);
  }
  void shake_hands() {
    int done = 0;
    for (TlsStream* stream : {&*client_, &*server_})
      stream->async_handshake([&done](ErrorCode error, size_t) {
        EXPECT_FALSE(error) << error.message();
        ++done;
      });
    run();
    ASSERT_EQ(done, 2);
  }
  void run() {
    io_.restart();
    io_.run();
  }
  ErrorCode read_error(TlsStream& stream) {
    ErrorCode out;
    char byte = 0;
    stream.async_read_some(asio::buffer(&byte, 1), [&out](ErrorCode error, size_t) { out = error; });
    run();
    return out;
  }

  asio::io_context io_{1};
  asio::ssl::context server_context_, client_context_;
  std::optional<TlsStream> client_, server_;
};

std::string pattern(size_t size, uint32_t seed) {
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>((seed = seed * 1'664'525 + 1'013'904'223) >> 24);
  return out;
}

TEST_F(TlsPair, BothWaysAtOnceThroughAPipeThatTakesLittle) {
  shake_hands();
  const std::string up = pattern(1U << 20, 1);
  const std::string down = pattern((1U << 20) + 12'345, 2);
  std::string up_got(up.size(), '\0');
  std::string down_got(down.size(), '\0');
  int done = 0;
  const auto finished = [&done](ErrorCode error, size_t) {
    EXPECT_FALSE(error) << error.message();
    ++done;
  };
  // A header and a body, as an HTTP message is written.
  const std::array<asio::const_buffer, 3> pieces = {asio::buffer(up.data(), 300), asio::buffer(up.data() + 300, 0),
                                                    asio::buffer(up.data() + 300, up.size() - 300)};
  asio::async_write(*client_, pieces, finished);
  asio::async_write(*server_, asio::buffer(down), finished);
  asio::async_read(*server_, asio::buffer(up_got), finished);
  asio::async_read(*client_, asio::buffer(down_got), finished);
  run();
  EXPECT_EQ(done, 4);
  EXPECT_EQ(up_got, up);
  EXPECT_EQ(down_got, down);
}

TEST_F(TlsPair, AGoodbyeIsToldFromATornConnection) {
  shake_hands();
  client_->async_shutdown([](ErrorCode error, size_t) { EXPECT_FALSE(error) << error.message(); });
  EXPECT_EQ(read_error(*server_), asio::error::eof);
  server_->close();
  EXPECT_EQ(read_error(*client_), asio::ssl::error::stream_truncated);
}

TEST_F(TlsPair, ADeadlineThatPassesEndsWhatIsPending) {
  shake_hands();
  server_->expires_after(std::chrono::hours(1));
  server_->expires_after(std::chrono::milliseconds(20));  // nearer than the timer was set for
  EXPECT_EQ(read_error(*server_), boost::beast::error::timeout);
  EXPECT_FALSE(server_->socket().is_open());
}

// The deadline moved on, or away, before the timer looked.
TEST_F(TlsPair, ADeadlineThatMovedCutsNobody) {
  shake_hands();
  server_->expires_after(std::chrono::milliseconds(20));
  server_->expires_never();
  client_->expires_after(std::chrono::milliseconds(20));
  client_->expires_after(std::chrono::hours(1));
  asio::steady_timer later(io_, std::chrono::milliseconds(60));
  bool looked = false;
  later.async_wait([&looked](ErrorCode) { looked = true; });
  io_.restart();
  while (!looked) io_.run_one();
  EXPECT_TRUE(server_->socket().is_open());
  EXPECT_TRUE(client_->socket().is_open());
}

TEST_F(TlsPair, WaitingForSomethingToReadTakesNothingAway) {
  shake_hands();
  const std::string text = "two requests at once";
  asio::async_write(*client_, asio::buffer(text), [](ErrorCode, size_t) {});
  std::string got(text.size(), '\0');
  server_->async_wait_readable([&](ErrorCode error, size_t) {
    EXPECT_FALSE(error);
    asio::async_read(*server_, asio::buffer(got.data(), 3), [&](ErrorCode, size_t) {
      // The rest lies decrypted in OpenSSL, not in the socket: waiting must not look at the socket alone.
      server_->async_wait_readable([&](ErrorCode, size_t) {
        asio::async_read(*server_, asio::buffer(got.data() + 3, got.size() - 3), [](ErrorCode, size_t) {});
      });
    });
  });
  run();
  EXPECT_EQ(got, text);
}

// A write to somebody who is gone is an error, not a signal that ends the process.
TEST_F(TlsPair, WritingToNobodyIsAnError) {
  shake_hands();
  client_->close();
  ErrorCode last;
  const std::string text(64U << 10, 'x');
  asio::async_write(*server_, asio::buffer(text), [&](ErrorCode error, size_t) { last = error; });
  run();
  EXPECT_TRUE(last);
}

}  // namespace
}  // namespace wb::world
