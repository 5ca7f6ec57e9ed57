#include "fuzz/tls_peer.h"

#include <boost/asio/write.hpp>
#include <ctime>

namespace wb::fuzz {

namespace asio = boost::asio;
using ErrorCode = boost::system::error_code;

const Credentials& credentials() {
  static const Credentials kMade = [] {
    const int64_t now = std::time(nullptr);  // for the check of validity alone
    const auto authority = *world::CertificateAuthority::create("hub", now);
    const std::string key = *world::make_p256_key_pem();
    const std::string certificate = *authority.issue_node(*world::make_csr_der(key, "n1"), "n1", now);
    return Credentials{authority.certificate_pem(), *authority.issue_server({}, now), {certificate, key}};
  }();
  return kMade;
}

std::unique_ptr<asio::ssl::context> make_tls(asio::ssl::context::method side, const world::Credential* shown) {
  auto context = std::make_unique<asio::ssl::context>(side);
  context->add_certificate_authority(asio::buffer(credentials().ca));
  context->set_verify_mode(asio::ssl::verify_peer);
  SSL_CTX_set_num_tickets(context->native_handle(), 0);
  SSL_CTX_set_session_cache_mode(context->native_handle(), SSL_SESS_CACHE_OFF);
  world::keep_connections_small(context->native_handle());
  if (shown == nullptr) return context;
  context->use_certificate_chain(asio::buffer(shown->certificate_pem));
  context->use_private_key(asio::buffer(shown->key_pem), asio::ssl::context::pem);
  return context;
}

TlsPeer::TlsPeer(Socket socket, SSL_CTX* tls, world::TlsStream::Side side) {
  if (tls == nullptr)
    bare_.emplace(std::move(socket));
  else
    tls_.emplace(std::move(socket), tls, side);
}

void TlsPeer::start(std::function<void()> ready, std::function<void()> heard) {
  on_heard_ = std::move(heard);
  if (bare_) {
    listen();
    return ready();
  }
  tls_->async_handshake([self = shared_from_this(), ready = std::move(ready)](ErrorCode error, size_t) {
    if (error) return self->end(false);
    self->listen();
    ready();
  });
}

void TlsPeer::listen() {
  const auto on_bytes = [self = shared_from_this()](ErrorCode error, size_t count) {
    self->heard_.append(self->buffer_, count);
    if (!error) return self->on_heard_(), self->listen();
    self->on_heard_ = nullptr;  // it may hold us
    if (self->tls_) self->tls_->close();
    if (self->bare_) self->bare_->close();
  };
  if (bare_)
    bare_->async_read_some(asio::buffer(buffer_), on_bytes);
  else
    tls_->async_read_some(asio::buffer(buffer_), on_bytes);
}

void TlsPeer::say(std::string bytes, size_t piece_bytes, std::function<void()> then) {
  say_piece(std::make_shared<const std::string>(std::move(bytes)), 0, piece_bytes, std::move(then));
}

void TlsPeer::say_piece(std::shared_ptr<const std::string> bytes, size_t from, size_t piece_bytes,
                        std::function<void()> then) {
  const size_t size = std::min(piece_bytes, bytes->size() - from);
  if (size == 0) return then();
  const auto piece = asio::buffer(bytes->data() + from, size);
  const auto said = [self = shared_from_this(), bytes, from, size, piece_bytes, then = std::move(then)](ErrorCode error,
                                                                                                        size_t) {
    if (error) return then();
    self->say_piece(bytes, from + size, piece_bytes, then);
  };
  if (bare_)
    asio::async_write(*bare_, piece, said);
  else
    asio::async_write(*tls_, piece, said);
}

void TlsPeer::end(bool politely) {
  ErrorCode ignored;
  if (bare_) {
    bare_->shutdown(Socket::shutdown_send, ignored);
    return;
  }
  if (!politely) {
    tls_->socket().shutdown(Socket::shutdown_send, ignored);
    return;
  }
  tls_->async_shutdown([self = shared_from_this()](ErrorCode, size_t) {});
}

}  // namespace wb::fuzz
