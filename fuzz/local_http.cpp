// The agent's local HTTP server over a loopback socket, in one thread: the client sends the input in pieces, closes its
// half, and reads to the end. Whatever the bytes: the server ends the connection, hands on only what carries the token
// (or /ping), and never more body than it allows.
//
// A first piece of the input may be replaced by a good request head, so that mutation need not find the token.
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include "fuzz/fuzz.h"
#include "world/local_server.h"

namespace asio = boost::asio;
using namespace wb;

namespace {

constexpr size_t kBodyBytesMax = 2'000;
constexpr int64_t kNeverMs = 3'600'000;  // a connection that waits for its time limit is one that does not end
constexpr const char* kHeads[] = {
    "",
    "POST /v1/records HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer secret\r\n",
    "POST /v1/records HTTP/1.1\r\nAuthorization: Bearer secret\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET /ping HTTP/1.1\r\n",
};

class Talk {
 public:
  Talk(std::string bytes, size_t piece_bytes) : bytes_(std::move(bytes)), piece_bytes_(piece_bytes) {}

  void run() {
    world::LocalServerConfig config;
    config.token = "secret";
    config.body_bytes_max = kBodyBytesMax;
    config.request_timeout_ms = config.idle_timeout_ms = kNeverMs;
    auto server = world::LocalServer::listen(io_, config, [this](world::LocalRequest&& request, const auto& respond) {
      WB_HOLDS(request.body.size() <= kBodyBytesMax, "over-long body");
      WB_HOLDS(request.path == "/ping" || bytes_.find("secret") != std::string::npos, "served without the token");
      respond({200, "text/plain", request.path});
    });
    WB_HOLDS(server.ok(), server.ok() ? "" : server.error().text);
    // Not connect(): the fuzzer's alarm would interrupt it.
    socket_.async_connect({asio::ip::make_address("127.0.0.1"), (*server)->port()},
                          [this](boost::system::error_code error) {
                            WB_HOLDS(!error, error.message());
                            send();
                            read();
                          });
    while (!done_) io_.run_one();
    boost::system::error_code ignored;
    socket_.close(ignored);
    (*server)->stop();
    io_.run();  // until nothing is left to do
    WB_HOLDS(answer_.empty() || answer_.starts_with("HTTP/1.1 "), answer_);
  }

 private:
  void send() {
    if (sent_ == bytes_.size()) {
      boost::system::error_code ignored;
      socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
      return;
    }
    const size_t size = std::min(piece_bytes_, bytes_.size() - sent_);
    asio::async_write(socket_, asio::buffer(bytes_.data() + sent_, size),
                      [this](boost::system::error_code error, size_t count) {
                        sent_ += count;
                        if (!error) send();
                      });
  }
  void read() {
    socket_.async_read_some(asio::buffer(buffer_), [this](boost::system::error_code error, size_t count) {
      answer_.append(buffer_, count);
      done_ = static_cast<bool>(error);
      if (!done_) read();
    });
  }

  asio::io_context io_{1};
  asio::ip::tcp::socket socket_{io_};
  std::string bytes_;
  size_t piece_bytes_;
  size_t sent_ = 0;
  char buffer_[2'048] = {};
  std::string answer_;
  bool done_ = false;
};

}  // namespace

WB_FUZZ_TARGET(local_http) {
  fuzz::Feed feed(bytes);
  const uint8_t choice = feed.byte();
  std::string request = kHeads[choice % std::size(kHeads)];
  request += feed.rest();
  Talk(std::move(request), (choice & 0x80U) != 0 ? 7 : 4'096).run();
}

WB_FUZZ_SEEDS(local_http) {
  const auto seed = [&](uint8_t choice, std::string_view text) {
    put(fuzz::FeedWriter().byte(choice).rest(text).bytes());
  };
  seed(0, "GET /ping HTTP/1.1\r\nConnection: close\r\n\r\n");
  seed(0, "GET /ping HTTP/1.1\r\n\r\nGET /ping?x=1 HTTP/1.0\r\n\r\n");
  seed(0, "POST /v1/records HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
  seed(0x81, "Content-Length: 5\r\nContent-Type: text/csv\r\nConnection: close\r\n\r\nhello");
  seed(1, "Content-Length: 99999999999999999999\r\n\r\n");
  seed(1, "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
  seed(2, "5;a=b\r\nhello\r\n0\r\nTrailer: x\r\n\r\n");
  seed(0x82, "ffffffffffffffff\r\nhello\r\n0\r\n\r\n");
}
