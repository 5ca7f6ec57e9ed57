#pragma once
// The other end of a connection with a hub or with its client, in the same thread as the code under test: says hostile
// bytes in pieces, through a real TLS session or without one, and hears everything until the connection ends. Keys and
// certificates are made once per process.

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <optional>

#include "fuzz/fuzz.h"
#include "world/pki.h"
#include "world/tls_stream.h"

namespace wb::fuzz {

struct Credentials {
  std::string ca;
  world::Credential hub;
  world::Credential node;
};
const Credentials& credentials();
// Of one side, with that certificate (nullptr: none). Whatever the other side shows must be of our CA.
std::unique_ptr<boost::asio::ssl::context> make_tls(boost::asio::ssl::context::method side,
                                                    const world::Credential* shown);

class TlsPeer : public std::enable_shared_from_this<TlsPeer> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  // `tls` nullptr: what is said goes out as it is.
  TlsPeer(Socket socket, SSL_CTX* tls, world::TlsStream::Side side);
  // Makes the TLS connection, if it comes about; then `ready`, and `heard` whenever there is more, until the end.
  void start(std::function<void()> ready, std::function<void()> heard);
  // `then` comes in any case: the other side may have gone.
  void say(std::string bytes, size_t piece_bytes, std::function<void()> then);
  // Politely: a goodbye of TLS. Otherwise, our half of the connection ends without a word.
  void end(bool politely);
  const std::string& heard() const { return heard_; }

 private:
  void say_piece(std::shared_ptr<const std::string> bytes, size_t from, size_t piece_bytes, std::function<void()> then);
  void listen();

  std::optional<Socket> bare_;
  std::optional<world::TlsStream> tls_;
  std::function<void()> on_heard_;
  char buffer_[4'096] = {};
  std::string heard_;
};

}  // namespace wb::fuzz
