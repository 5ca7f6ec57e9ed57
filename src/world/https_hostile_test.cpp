// Clients that do nothing, do it slowly, or stop half way. Each is cut in the end, and others are served meanwhile
// (promise H6). Time limits are short by option; nothing is said about how long anything took.

#include <poll.h>

#include "world/test_https.h"

namespace wb::world {
namespace {

namespace asio = boost::asio;

class Hostile : public Https {
 protected:
  // A bare TCP connection to the server.
  class Raw {
   public:
    explicit Raw(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(port);
      address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    Raw(Raw&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Raw(const Raw&) = delete;
    Raw& operator=(const Raw&) = delete;
    ~Raw() {
      if (fd_ >= 0) ::close(fd_);
    }
    int fd() const { return fd_; }

   private:
    int fd_;
  };

  // A client with TLS whose every byte is ours to send or not. Its receive buffer is small and fixed: one that the
  // kernel tunes can hold a whole large answer, and then nobody waits for the reader.
  struct Tls {
    explicit Tls(asio::ssl::context& context, const Endpoint& endpoint) : stream(io, context) {
      stream.lowest_layer().open(asio::ip::tcp::v4());
      stream.lowest_layer().set_option(asio::socket_base::receive_buffer_size(64 * 1024));
      stream.lowest_layer().connect({asio::ip::make_address(endpoint.host), endpoint.port});
      stream.handshake(asio::ssl::stream_base::client);
    }
    void send(const std::string& text) {
      boost::system::error_code ignored;
      asio::write(stream, asio::buffer(text), ignored);
    }
    // Everything until the server ends the connection.
    std::string read_all() {
      std::string answer;
      boost::system::error_code error;
      while (!error) {
        char buffer[4096];
        answer.append(buffer, stream.read_some(asio::buffer(buffer), error));
      }
      return answer;
    }
    asio::io_context io;
    asio::ssl::stream<asio::ip::tcp::socket> stream;
  };
  void use(asio::ssl::context& context, const TlsIdentity& identity) {
    context.use_certificate_chain(asio::buffer(identity.certificate_pem));
    context.use_private_key(asio::buffer(identity.key_pem), asio::ssl::context::pem);
  }
  std::unique_ptr<Tls> tls_as(const std::string& id) {
    asio::ssl::context context(asio::ssl::context::tls_client);
    use(context, node(id));
    return std::make_unique<Tls>(context, endpoint_);
  }
  void expect_served(const std::string& id = "good") {
    const auto answer = call(node(id), "GET", "/v1/x");
    ASSERT_TRUE(answer.ok()) << answer.error().text;
    EXPECT_EQ(answer->status, 200);
  }
  template <class Condition>
  void wait_until(Condition condition) {
    while (!condition()) std::this_thread::yield();
  }
};

// Connections on which nothing comes would each hold a place until their handshake is overdue, an hour here.
TEST_F(Hostile, SilentConnectionsMakeRoom) {
  start({.unproven_max = 4, .unproven_grace_ms = 0, .handshake_ms = 3'600'000});
  std::vector<Raw> silent;
  for (int i = 0; i < 12; ++i) silent.emplace_back(endpoint_.port);
  expect_served();
  EXPECT_GE(server_->stats().made_room, 8U);
  EXPECT_LE(server_->stats().connections_open, 6U);
}

TEST_F(Hostile, SilentConnectionsTakeNotTheLastPlace) {
  start({.connections_max = 6, .unproven_max = 100, .unproven_grace_ms = 0, .handshake_ms = 3'600'000});
  std::vector<Raw> silent;
  for (int i = 0; i < 12; ++i) silent.emplace_back(endpoint_.port);
  expect_served();
  EXPECT_GE(server_->stats().made_room, 6U);
}

// A handshake that stops half way is as silent as none.
TEST_F(Hostile, HalfAHandshakeIsCut) {
  start({.handshake_ms = 150});
  const Raw raw(endpoint_.port);
  const char half[] = {0x16, 0x03, 0x01, 0x02, 0x00, 0x01};  // announces 512 bytes of ClientHello
  ASSERT_EQ(::send(raw.fd(), half, sizeof half, 0), static_cast<ssize_t>(sizeof half));
  expect_served();
  EXPECT_LT(wait_for_close(raw.fd()), 100);
}

// A newcomer has its grace, so a flood of silence does not cut the handshakes that are under way.
TEST_F(Hostile, ANewcomerKeepsItsPlaceForAWhile) {
  start({.unproven_max = 2, .unproven_grace_ms = 3'600'000, .handshake_ms = 150});
  std::vector<Raw> silent;
  for (int i = 0; i < 3; ++i) silent.emplace_back(endpoint_.port);
  expect_served();  // in the end, when they were overdue
  EXPECT_EQ(server_->stats().made_room, 0U);
}

TEST_F(Hostile, OneIdentityDoesNotTakeAllPlaces) {
  start({.connections_per_peer_max = 3});
  std::vector<std::unique_ptr<Tls>> greedy;
  for (int i = 0; i < 3; ++i) {
    greedy.push_back(tls_as("greedy"));
    greedy.back()->send("GET /v1/x HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_until([&] { return server_->stats().requests == static_cast<uint64_t>(i + 1); });
  }
  EXPECT_EQ(tls_as("greedy")->read_all(), "");
  expect_served();
  greedy.pop_back();
  wait_until([&] { return server_->stats().connections_open == 2; });
  expect_served("greedy");
}

// The header's time counts from its first byte, however steadily the others follow.
TEST_F(Hostile, AHeaderThatDripsIsCut) {
  start({.header_ms = 150});
  const auto slow = tls_as("slow");
  slow->send("GET /v1/x HTTP/1.1\r\nX-Long: ");
  expect_served();
  pollfd ready{slow->stream.lowest_layer().native_handle(), POLLIN, 0};
  while (::poll(&ready, 1, 20) == 0) slow->send("x");
  wait_until([&] { return server_->stats().timed_out == 1; });
}

// What was promised and has not come takes no room from others.
TEST_F(Hostile, PromisedBodiesTakeNoRoom) {
  start({.body_bytes_total_max = 4'000, .body_ms = 3'600'000});
  std::vector<std::unique_ptr<Tls>> slow;
  for (int i = 0; i < 20; ++i) {
    slow.push_back(tls_as("slow-" + std::to_string(i)));
    slow.back()->send("POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nten bytes!");
  }
  EXPECT_EQ(call(node("good"), "POST", "/v1/x", std::string(1'000, 'b'))->status, 200);
  EXPECT_EQ(server_->stats().overloaded, 0U);
}

// Bodies that really come are bounded in sum; who brings too much is told when to come again (L3).
TEST_F(Hostile, BodiesOnTheirWayAreBounded) {
  start({.body_bytes_total_max = 1'500, .body_ms = 3'600'000});
  const auto first = tls_as("first");
  first->send("POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n" + std::string(900, 'b'));
  wait_until([&] { return server_->stats().body_bytes == 900; });
  const auto refused = call(node("second"), "POST", "/v1/x", std::string(900, 'b'));
  EXPECT_EQ(refused->status, 503);
  EXPECT_EQ(find_header(refused->headers, "Retry-After"), "2");
  expect_served();
}

// Whoever asks and never reads is cut; the others do not wait for it.
TEST_F(Hostile, AnAnswerThatIsNotReadIsCut) {
  start({.write_ms = 200});
  const auto deaf = tls_as("deaf");
  deaf->send("GET /v1/large HTTP/1.1\r\nHost: h\r\n\r\n");
  expect_served();
  wait_until([&] { return server_->stats().timed_out == 1; });
  expect_served();
}

// Reading a little now and then does not buy more time: the whole answer has one limit.
TEST_F(Hostile, AnAnswerThatIsSippedIsCut) {
  start({.write_ms = 300});
  const auto slow = tls_as("slow");
  slow->send("GET /v1/large HTTP/1.1\r\nHost: h\r\n\r\n");
  boost::system::error_code error;
  size_t total = 0;
  while (!error && server_->stats().timed_out == 0) {
    char sip[64];
    total += slow->stream.read_some(asio::buffer(sip), error);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // a quick reader has it all before its time is up
  }
  EXPECT_LT(total, EchoService::kLargeBytes);
  expect_served();
}

// A large answer over a narrow pipe arrives whole: writes that fit only in part go on where they stopped.
TEST_F(Hostile, AnAnswerLargerThanThePipeArrivesWhole) {
  start();
  const auto answer = https_call(endpoint_, node("n"), {"GET", "/v1/large", {}, ""},
                                 {.deadline_ms = 60'000, .response_bytes_max = EchoService::kLargeBytes});
  ASSERT_TRUE(answer.ok()) << answer.error().text;
  EXPECT_EQ(answer->body, std::string(EchoService::kLargeBytes, 'L'));
}

// The other half of the connection is closed without a goodbye: nothing more can come, so the place is free.
TEST_F(Hostile, AHalfOpenConnectionIsClosed) {
  start({.idle_ms = 3'600'000});
  const auto half = tls_as("half");
  half->send("GET /v1/x HTTP/1.1\r\nHost: h\r\n\r\n");
  wait_until([&] { return server_->stats().requests == 1; });
  half->stream.lowest_layer().shutdown(asio::ip::tcp::socket::shutdown_send);
  EXPECT_TRUE(half->read_all().starts_with("HTTP/1.1 200"));
  wait_until([&] { return server_->stats().connections_open == 0; });
}

TEST_F(Hostile, AGoodbyeEndsTheConnection) {
  start({.idle_ms = 3'600'000});
  const auto polite = tls_as("polite");
  polite->send("GET /v1/x HTTP/1.1\r\nHost: h\r\n\r\n");
  wait_until([&] { return server_->stats().requests == 1; });
  boost::system::error_code ignored;
  polite->stream.shutdown(ignored);  // returns when the server has closed, too
  wait_until([&] { return server_->stats().connections_open == 0; });
}

// TLS 1.2 lets a client ask for handshakes without end on one connection; ours are one each.
TEST_F(Hostile, RenegotiationIsRefused) {
  start();
  asio::ssl::context context(asio::ssl::context::tls_client);
  use(context, node("n"));
  SSL_CTX_set_max_proto_version(context.native_handle(), TLS1_2_VERSION);
  Tls client(context, endpoint_);
  ASSERT_EQ(SSL_version(client.stream.native_handle()), TLS1_2_VERSION);
  ASSERT_EQ(SSL_renegotiate(client.stream.native_handle()), 1);
  boost::system::error_code error;
  client.stream.handshake(asio::ssl::stream_base::client, error);
  EXPECT_TRUE(error);
  expect_served();
}

// L1, L3: under load records are refused before what steers.
TEST_F(Hostile, AFullQueueStillTakesWhatSteers) {
  start({.admission = {.queue_max = 4}});  // three of records
  std::vector<std::thread> callers;
  callers.emplace_back([&] { EXPECT_TRUE(call(node("n"), "GET", "/v1/block").ok()); });
  service_.blocked.acquire();
  for (int i = 0; i < 3; ++i)
    callers.emplace_back([&] { EXPECT_EQ(call(node("n"), "POST", "/v1/records")->status, 200); });
  wait_until([&] { return server_->stats().requests == 4; });
  EXPECT_EQ(call(node("n"), "POST", "/v1/records")->status, 503);
  callers.emplace_back([&] { EXPECT_EQ(call(node("n"), "GET", "/v1/x")->status, 200); });
  wait_until([&] { return server_->stats().requests == 5; });
  service_.unblock.release();
  for (std::thread& caller : callers) caller.join();
}

// A length that promises more than a body may have is refused at once, however it is written.
TEST_F(Hostile, LengthsThatLieAreRefused) {
  start();
  const struct {
    const char* length;
    int status;
  } rows[] = {{"1001", 413},
              {"2147483647", 413},
              {"2147483648", 413},
              {"2147483649", 413},
              {"4294967296", 413},
              {"4294967297", 413},
              {"9223372036854775808", 413},
              {"18446744073709551615", 413},
              {"18446744073709551616", 400},
              {"-1", 400},
              {"0x10", 400},
              {"1 1", 400}};
  for (const auto& row : rows) {
    const std::string answer = raw_call("POST /v1/x HTTP/1.1\r\nContent-Length: " + std::string(row.length) +
                                        "\r\nConnection: close\r\n\r\nbody");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + std::to_string(row.status))) << row.length << ": " << answer;
  }
  for (const char* size : {"3e9", "7fffffff", "80000000", "80000001", "100000001", "7fffffffffffffff",
                           "ffffffffffffffff", "10000000000000000"}) {
    const std::string answer =
        raw_call("POST /v1/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + std::string(size) +
                 "\r\nbody");
    EXPECT_FALSE(answer.starts_with("HTTP/1.1 200")) << size << ": " << answer;
  }
  EXPECT_EQ(server_->stats().requests, 0U);
}

// The answer to HEAD is a header: a body behind it would be taken for the next answer.
TEST_F(Hostile, AnAnswerToHeadHasNoBody) {
  start();
  const std::string answer =
      raw_call("HEAD /v1/x HTTP/1.1\r\n\r\nHEAD /none HTTP/1.1\r\n\r\nGET /v1/y HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_NE(answer.find("Content-Length: 11\r\n"), std::string::npos) << answer;  // of "HEAD /v1/x "
  EXPECT_EQ(answer.find("HEAD /v1/x"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("not_found"), std::string::npos) << answer;
  EXPECT_TRUE(answer.ends_with("\r\n\r\nGET /v1/y ")) << answer;
}

// A refusal costs no handshake: the connection stays.
TEST_F(Hostile, ARefusedCallKeepsItsConnection) {
  start({.admission = {.queue_max = 1}});
  std::thread blocker([&] { EXPECT_TRUE(call(node("n"), "GET", "/v1/block").ok()); });
  service_.blocked.acquire();
  std::thread queued([&] { EXPECT_EQ(call(node("n"), "GET", "/v1/x")->status, 200); });
  wait_until([&] { return server_->stats().requests == 2; });
  const auto client = tls_as("n");
  for (int i = 0; i < 3; ++i) client->send("POST /v1/x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody");
  wait_until([&] { return server_->stats().overloaded == 3; });
  EXPECT_EQ(server_->stats().connections, 3U);
  service_.unblock.release();
  blocker.join();
  queued.join();
}

}  // namespace
}  // namespace wb::world
