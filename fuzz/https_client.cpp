// The client's side of HTTPS, as the agent and the command line use it: production's HttpsClient, which calls a hub of
// our own on loopback that presents a good certificate and then says the input. Whatever the bytes: every call ends
// with one answer inside the caller's limits or with one error that says something, nothing is left of a client that is
// gone, and no call connects more than twice.
//
// The input is answers: two bytes of length and the answer's bytes. The next one is said when the next request is
// there; when there is none, the hub hangs up. The first byte chooses how.
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "fuzz/tls_peer.h"
#include "world/https_client.h"

namespace asio = boost::asio;
namespace http = boost::beast::http;
using namespace wb;

namespace {

constexpr uint8_t kRudeEnd = 1;
constexpr uint8_t kWithoutTls = 2;
constexpr uint8_t kSpeaksFirst = 4;  // the first answer comes before the request
constexpr uint8_t kAsksForHeads = 8;
constexpr uint8_t kInPieces = 0x80;
constexpr uint32_t kNeverMs = 3'600'000;  // a call that waits for its deadline is one that does not end
constexpr size_t kAnswerBytesMax = 2'000;
constexpr int kCallsCount = 3;

class Hub {
 public:
  Hub(asio::io_context& io, fuzz::Feed feed, uint8_t choice)
      : feed_(feed), choice_(choice), acceptor_(io, {asio::ip::make_address("127.0.0.1"), 0}) {
    accept();
  }
  world::Endpoint endpoint() const { return {"127.0.0.1", acceptor_.local_endpoint().port()}; }
  void stop() { acceptor_.close(); }
  int connections_count = 0;

 private:
  struct Connection {
    std::shared_ptr<fuzz::TlsPeer> peer;
    int asked_count = 0;
    size_t read_bytes = 0;
  };
  using ConnectionPtr = std::shared_ptr<Connection>;

  void accept() {
    acceptor_.async_accept([this](boost::system::error_code error, fuzz::TlsPeer::Socket socket) {
      if (error) return;
      accept();
      ++connections_count;
      static const auto kTls = fuzz::make_tls(asio::ssl::context::tls_server, &fuzz::credentials().hub);
      SSL_CTX* tls = (choice_ & kWithoutTls) != 0 ? nullptr : kTls->native_handle();
      const auto connection = std::make_shared<Connection>();
      connection->peer = std::make_shared<fuzz::TlsPeer>(std::move(socket), tls, world::TlsStream::Side::kServer);
      const bool first = (choice_ & (kSpeaksFirst | kWithoutTls)) != 0;
      connection->peer->start(
          [this, connection, first] {
            if (first) answer(connection);
          },
          [this, connection, first] { hear(connection, first ? 1 : 0); });
    });
  }
  void hear(const ConnectionPtr& connection, int answered_ahead) {
    const std::string& heard = connection->peer->heard();
    for (size_t at; (at = heard.find("\r\n\r\n", connection->read_bytes)) != std::string::npos;) {
      connection->read_bytes = at + 4;
      if (++connection->asked_count > answered_ahead) answer(connection);
    }
  }
  // A client that cannot be content with what was said would wait for more: then nothing follows but the end.
  void answer(const ConnectionPtr& connection) {
    const std::string text(feed_.text());
    const bool last = feed_.empty() || !complete(text);
    connection->peer->say(text, (choice_ & kInPieces) != 0 ? 5 : 16'000, [this, connection, last] {
      if (last) connection->peer->end((choice_ & kRudeEnd) == 0);
    });
  }
  bool complete(std::string_view text) const {
    http::response_parser<http::string_body> parser;
    parser.eager(true);
    parser.skip((choice_ & kAsksForHeads) != 0);
    boost::system::error_code error;
    (void)parser.put(asio::buffer(text), error);
    return !error && parser.is_done();
  }

  fuzz::Feed feed_;
  uint8_t choice_;
  asio::ip::tcp::acceptor acceptor_;
};

class Caller {
 public:
  Caller(asio::io_context& io, const world::Endpoint& hub, bool heads, std::function<void()> done)
      : client_(io, hub, {fuzz::credentials().ca, "", ""}), heads_(heads), done_(std::move(done)) {}
  void call() {
    world::HttpRequest request{heads_ ? "HEAD" : "POST", "/v1/x", {}, heads_ ? "" : "body"};
    client_.request(std::move(request), {kNeverMs, kAnswerBytesMax}, [this](const Result<world::HttpResponse>& answer) {
      check(answer);
      if (++answers_count == kCallsCount) return done_();
      call();
    });
  }
  int answers_count = 0;

 private:
  void check(const Result<world::HttpResponse>& answer) const {
    if (!answer.ok()) return WB_HOLDS(!answer.error().text.empty(), "an error without a reason");
    WB_HOLDS(answer->status >= 200 && answer->status < 1'000, std::to_string(answer->status));
    WB_HOLDS(answer->body.size() <= (heads_ ? 0 : kAnswerBytesMax), "a body longer than allowed");
    const int64_t wait_ms = world::retry_after_ms(answer->headers);
    WB_HOLDS(wait_ms >= 0 && wait_ms <= world::kRetryAfterMaxS * 1'000, std::to_string(wait_ms));
  }
  world::HttpsClient client_;
  bool heads_;
  std::function<void()> done_;
};

}  // namespace

WB_FUZZ_TARGET(https_client) {
  static asio::io_context& io = *new asio::io_context(1);  // with the thread that its resolver keeps
  fuzz::Feed feed(bytes);
  const uint8_t choice = feed.byte();
  Hub hub(io, feed, choice);
  std::unique_ptr<Caller> caller;
  int answers_count = 0;
  caller = std::make_unique<Caller>(io, hub.endpoint(), (choice & kAsksForHeads) != 0, [&] {
    hub.stop();
    asio::post(io, [&] {
      answers_count = caller->answers_count;
      caller.reset();
    });
  });
  caller->call();
  io.restart();
  io.run();  // until nothing is left to do
  WB_HOLDS(answers_count == kCallsCount, "a call without an answer");
  WB_HOLDS(hub.connections_count <= 2 * kCallsCount, "more connections than calls need");
}

WB_FUZZ_SEEDS(https_client) {
  const auto seed = [&](uint8_t choice, std::initializer_list<std::string_view> answers) {
    fuzz::FeedWriter out;
    out.byte(choice);
    for (const std::string_view answer : answers) out.text(answer);
    put(out.bytes());
  };
  seed(0, {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
           "HTTP/1.1 503 Busy\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n",
           "HTTP/1.1 206 Part\r\nConnection: close\r\n\r\nuntil the end"});
  seed(kInPieces, {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
                   "HTTP/1.0 404 No\r\n\r\n"});
  seed(kSpeaksFirst,
       {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 Nothing\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"});
  seed(kAsksForHeads,
       {"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", "HTTP/1.1 304 Same\r\n\r\nmore than nothing"});
  seed(0, {"HTTP/1.1 503 Busy\r\nRetry-After: 9223372036854775807\r\nContent-Length: 18446744073709551616\r\n\r\n"});
  seed(0, {"HTTP/1.1 200 OK\r\nContent-Length: 2147483649\r\n\r\nx",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"});
  seed(kRudeEnd, {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", ""});
  seed(kWithoutTls, {"HTTP/1.1 400 Bad Request\r\n\r\nthis port speaks TLS", "\x15\x03\x01\x00\x02\x02\x28"});
}
