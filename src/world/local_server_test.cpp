#include "world/local_server.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <string>
#include <thread>

#include "base/test_memory.h"

namespace wb::world {
namespace {

namespace asio = boost::asio;

// Echoes the body's length to whoever has the token.
class LocalServerTest : public testing::Test {
 protected:
  void SetUp() override {
    LocalServerConfig config;
    config.port = 0;
    config.token = "secret";
    config.body_bytes_max = 1'000;
    auto opened = LocalServer::listen(io_, config, [this](LocalRequest&& request, const LocalServer::Respond& respond) {
      ++handled_count_;
      respond({200, "text/plain", request.path + " " + std::to_string(request.body.size())});
    });
    ASSERT_TRUE(opened.ok()) << opened.error().text;
    server_ = std::move(opened).value();
    thread_ = std::thread([this] { io_.run(); });
  }
  void TearDown() override {
    asio::post(io_, [this] { server_->stop(); });
    thread_.join();
  }
  // Sends the bytes, and reads until the server closes.
  std::string talk(const std::string& bytes) {
    asio::io_context io;
    asio::ip::tcp::socket socket(io);
    socket.connect({asio::ip::make_address("127.0.0.1"), server_->port()});
    asio::write(socket, asio::buffer(bytes));
    std::string answer;
    boost::system::error_code error;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    EXPECT_EQ(error, asio::error::eof) << error.message();
    return answer;
  }

  asio::io_context io_;
  std::unique_ptr<LocalServer> server_;
  std::thread thread_;
  int handled_count_ = 0;
};

TEST_F(LocalServerTest, WithTheTokenABodyIsHandedOn) {
  const std::string answer = talk(
      "POST /v1/records HTTP/1.1\r\nAuthorization: Bearer secret\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc");
  EXPECT_NE(answer.find("200 OK"), std::string::npos) << answer;
  EXPECT_NE(answer.find("/v1/records 3"), std::string::npos) << answer;
}

// The body is announced and not sent: the refusal does not wait for it.
TEST_F(LocalServerTest, WithoutTheTokenTheBodyIsNotEvenRead) {
  for (const std::string token :
       {"", "Authorization: Bearer wrong\r\n", "Authorization: Bearer secret2\r\n", "Authorization: secret\r\n"}) {
    const std::string answer = talk("POST /v1/records HTTP/1.1\r\n" + token + "Content-Length: 900\r\n\r\n");
    EXPECT_NE(answer.find("401 Unauthorized"), std::string::npos) << answer;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
  }
  EXPECT_EQ(handled_count_, 0);
}

TEST_F(LocalServerTest, WhatFollowsARefusedBodyIsNoRequest) {
  const std::string inner = "GET /v1/status HTTP/1.1\r\nAuthorization: Bearer secret\r\n\r\n";
  const std::string answer =
      talk("POST /x HTTP/1.1\r\nContent-Length: " + std::to_string(inner.size()) + "\r\n\r\n" + inner);
  EXPECT_NE(answer.find("401 Unauthorized"), std::string::npos) << answer;
  EXPECT_EQ(handled_count_, 0);
}

TEST_F(LocalServerTest, OnlyPingNeedsNoToken) {
  EXPECT_NE(talk("GET /ping?x=1 HTTP/1.1\r\nConnection: close\r\n\r\n").find("200 OK"), std::string::npos);
  EXPECT_NE(talk("GET /pingx HTTP/1.1\r\nConnection: close\r\n\r\n").find("401"), std::string::npos);
  EXPECT_NE(talk("GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n").find("401"), std::string::npos);
}

// A chunk's extension is no part of the body and has no limit in Beast, and /ping asks for no token (H6).
TEST_F(LocalServerTest, AnEndlessChunkHeaderCostsNoMoreThanTheBuffer) {
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  socket.connect({asio::ip::make_address("127.0.0.1"), server_->port()});
  const std::string head = "POST /ping HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;";
  const std::string piece(64U << 10, 'x');
  boost::system::error_code error;
  const size_t peak = test_memory::peak_bytes_of([&] {
    asio::write(socket, asio::buffer(head), error);
    for (int i = 0; i < 256 && !error; ++i) asio::write(socket, asio::buffer(piece), error);
  });
  EXPECT_TRUE(error) << "the server took all 16 MiB";
  EXPECT_LE(peak, size_t{1} << 20);
}

TEST_F(LocalServerTest, LengthsThatLieAreRefused) {
  const std::string head = "POST /v1/records HTTP/1.1\r\nAuthorization: Bearer secret\r\n";
  for (const char* length : {"1001", "2147483647", "2147483648", "2147483649", "4294967297", "9223372036854775808",
                             "18446744073709551615", "18446744073709551616", "-1"})
    (void)talk(head + "Content-Length: " + length + "\r\n\r\nbody");
  for (const char* size : {"3e9", "7fffffff", "80000001", "100000001", "ffffffffffffffff", "10000000000000000"})
    (void)talk(head + "Transfer-Encoding: chunked\r\n\r\n" + size + "\r\nbody");
  EXPECT_EQ(handled_count_, 0);
}

// A body behind the answer to HEAD would be taken for the next answer.
TEST_F(LocalServerTest, AnAnswerToHeadHasNoBody) {
  const std::string answer = talk("HEAD /ping HTTP/1.1\r\n\r\nHEAD /x HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("Content-Length: 7\r\n"), std::string::npos) << answer;  // of "/ping 0"
  EXPECT_EQ(answer.find("/ping 0"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("wrong token"), std::string::npos) << answer;
}

TEST_F(LocalServerTest, TooLongABodyIsRefusedWithTheLimit) {
  const std::string answer =
      talk("POST /v1/records HTTP/1.1\r\nAuthorization: Bearer secret\r\nContent-Length: 1001\r\n\r\n");
  EXPECT_NE(answer.find("413"), std::string::npos) << answer;
  EXPECT_NE(answer.find("1000 bytes"), std::string::npos) << answer;
}

TEST(LocalServer, ListensOnLoopbackOnly) {
  asio::io_context io;
  LocalServerConfig config;
  config.token = "secret";
  for (const char* address : {"0.0.0.0", "::", "192.0.2.1"}) {
    config.address = address;
    EXPECT_EQ(LocalServer::listen(io, config, {}).error().code, Code::kDenied) << address;
  }
}

}  // namespace
}  // namespace wb::world
