// Both HTTP clients against a server that says what it likes: lengths that lie, answers that nobody asked for, headers
// without an end, waits of centuries. Each call ends with one answer within its limits or with an error that says why.
#include <functional>

#include "base/test_memory.h"
#include "world/plain_http.h"
#include "world/test_https.h"

namespace wb::world {
namespace {

namespace asio = boost::asio;

constexpr size_t kAnswerBytesMax = 1'000;

// Listens on loopback, in a thread of its own; says `answer` on each connection and hangs up. With `pieces` it says the
// last piece again and again, until that is refused or 64 MiB went out.
class Liar {
 public:
  Liar(std::string answer, std::string piece, const Credential* certificate)
      : answer_(std::move(answer)), piece_(std::move(piece)), acceptor_(io_, {asio::ip::make_address("127.0.0.1"), 0}) {
    if (certificate != nullptr) {
      tls_.emplace(asio::ssl::context::tls_server);
      tls_->use_certificate_chain(asio::buffer(certificate->certificate_pem));
      tls_->use_private_key(asio::buffer(certificate->key_pem), asio::ssl::context::pem);
    }
    thread_ = std::thread([this] { run(); });
  }
  ~Liar() {
    acceptor_.cancel();
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);  // wakes accept()
    thread_.join();
  }
  uint16_t port() const { return acceptor_.local_endpoint().port(); }

 private:
  void run() {
    while (true) {
      asio::ip::tcp::socket socket(io_);
      boost::system::error_code error;
      acceptor_.accept(socket, error);
      if (error) return;
      if (!tls_) {
        say(socket);
        continue;
      }
      asio::ssl::stream<asio::ip::tcp::socket> stream(std::move(socket), *tls_);
      stream.handshake(asio::ssl::stream_base::server, error);
      if (!error) say(stream);
      if (!error) stream.shutdown(error);
    }
  }
  template <class Stream>
  void say(Stream& stream) {
    boost::system::error_code error;
    char request[4'096];
    (void)stream.read_some(asio::buffer(request), error);
    if (!error) asio::write(stream, asio::buffer(answer_), error);
    for (size_t said = 0; !piece_.empty() && said < (64U << 20) && !error; said += piece_.size())
      asio::write(stream, asio::buffer(piece_), error);
  }

  asio::io_context io_;
  std::string answer_, piece_;
  asio::ip::tcp::acceptor acceptor_;
  std::optional<asio::ssl::context> tls_;
  std::thread thread_;
};

// The same for each client.
class HttpAnswers : public testing::TestWithParam<bool> {
 protected:
  bool with_tls() const { return GetParam(); }
  Result<HttpResponse> answered(const std::string& answer, const std::string& piece = "") {
    const Liar liar(answer, piece, with_tls() ? &certificate_ : nullptr);
    HttpRequest request{"GET", "/v1/x", {}, ""};
    if (with_tls())
      return https_call({"127.0.0.1", liar.port()}, {ca_.certificate_pem(), "", ""}, std::move(request),
                        {.response_bytes_max = kAnswerBytesMax});
    asio::io_context io;
    Result<HttpResponse> out = fail(Code::kInternal, "no callback");
    plain_http(io,
               {.host = "127.0.0.1",
                .port = std::to_string(liar.port()),
                .request = std::move(request),
                .deadline_ms = 30'000,
                .response_bytes_max = kAnswerBytesMax},
               [&](Result<HttpResponse> got) { out = std::move(got); });
    io.run();
    return out;
  }

  int64_t now_ = std::time(nullptr);
  CertificateAuthority ca_ = CertificateAuthority::create("test hub", now_).value();
  Credential certificate_ = ca_.issue_server({}, now_).value();
};

TEST_P(HttpAnswers, AnAnswerIsRead) {
  const auto answer = answered("HTTP/1.1 206 Part\r\nX-Part: 1\r\nContent-Length: 5\r\n\r\nhello");
  ASSERT_TRUE(answer.ok()) << answer.error().text;
  EXPECT_EQ(answer->status, 206);
  EXPECT_EQ(answer->body, "hello");
  EXPECT_EQ(find_header(answer->headers, "x-part"), "1");
}

TEST_P(HttpAnswers, LengthsThatLieAreErrors) {
  for (const char* length : {"1001", "2147483647", "2147483648", "2147483649", "4294967297", "9223372036854775808",
                             "18446744073709551615"}) {
    const auto answer = answered("HTTP/1.1 200 OK\r\nContent-Length: " + std::string(length) + "\r\n\r\nbody");
    ASSERT_FALSE(answer.ok()) << length;
    EXPECT_EQ(answer.error().code, Code::kFull) << length << ": " << answer.error().text;
  }
  for (const char* length : {"1000", "18446744073709551616", "-1", "4x"})
    EXPECT_FALSE(answered("HTTP/1.1 200 OK\r\nContent-Length: " + std::string(length) + "\r\n\r\nbody").ok()) << length;
  for (const char* size : {"3e9", "7fffffff", "80000001", "100000001", "ffffffffffffffff", "10000000000000000"})
    EXPECT_FALSE(
        answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string(size) + "\r\nbody").ok())
        << size;
}

TEST_P(HttpAnswers, WhatHasNoEndCostsNoMoreThanTheBuffer) {
  const std::string piece(64U << 10, 'x');
  for (const char* head :
       {"HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ", "HTTP/1.1 200 OK\r\n\r\n"}) {
    std::optional<Result<HttpResponse>> answer;
    const size_t peak = test_memory::peak_bytes_of([&] { answer = answered(head, piece); });
    EXPECT_FALSE(answer->ok()) << head;
    EXPECT_LE(peak, size_t{2} << 20) << head;
  }
}

TEST_P(HttpAnswers, WhatIsNotHttpIsAnError) {
  for (const char* text :
       {"", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 2\r\n\r\n", "HTTP/1.1 200 OK\r\nX"})
    EXPECT_FALSE(answered(text).ok()) << text;
}

// Nobody asked to continue: taken for the answer, it would make the answer the next one's.
TEST_P(HttpAnswers, AnInterimAnswerIsNoAnswer) {
  EXPECT_FALSE(answered("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").ok());
}

INSTANTIATE_TEST_SUITE_P(Clients, HttpAnswers, testing::Bool(),
                         [](const auto& tls) { return tls.param ? "Tls" : "Plain"; });

// What comes behind an answer unasked is not the next call's.
TEST(HttpsAnswers, WhatFollowsAnAnswerIsDropped) {
  const int64_t now = std::time(nullptr);
  const auto ca = CertificateAuthority::create("test hub", now).value();
  const Credential certificate = ca.issue_server({}, now).value();
  const Liar liar("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirstHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale",
                  "", &certificate);
  Awaiting client({"127.0.0.1", liar.port()}, {ca.certificate_pem(), "", ""});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.call({"GET", "/v1/x", {}, ""})->body, "first");
}

TEST(RetryAfter, IsANumberOfSecondsUpToADay) {
  const auto of = [](const char* value) { return retry_after_ms({{"Retry-After", value}}); };
  EXPECT_EQ(retry_after_ms({}), 0);
  EXPECT_EQ(of("30"), 30'000);
  for (const char* value :
       {"", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "9223372036854775808", "-9223372036854775808"})
    EXPECT_EQ(of(value), 0) << value;
  for (const char* value : {"86401", "2147483648", "9223372036854775", "9223372036854775807"})
    EXPECT_EQ(of(value), 86'400'000) << value;
}

}  // namespace
}  // namespace wb::world
