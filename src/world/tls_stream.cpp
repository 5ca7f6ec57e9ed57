#include "world/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ssl/error.hpp>
#include <boost/beast/core/error.hpp>
#include <cerrno>
#include <climits>
#include <stdexcept>

namespace wb::world {

namespace asio = boost::asio;

namespace {

// OpenSSL's own socket BIO writes with write(), which raises SIGPIPE when the other side is gone.
int fd_of(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

int bio_finish(BIO* bio, ssize_t done, int retry_flag) {
  BIO_clear_retry_flags(bio);
  if (done < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
    BIO_set_flags(bio, retry_flag | BIO_FLAGS_SHOULD_RETRY);
  return static_cast<int>(done);
}
int bio_write(BIO* bio, const char* data, int size) {
  return bio_finish(bio, ::send(fd_of(bio), data, static_cast<size_t>(size), MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}
int bio_read(BIO* bio, char* data, int size) {
  return bio_finish(bio, ::recv(fd_of(bio), data, static_cast<size_t>(size), 0), BIO_FLAGS_READ);
}
long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* socket_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "waybill socket");
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

int as_int(size_t size) { return static_cast<int>(std::min<size_t>(size, INT_MAX)); }

}  // namespace

TlsStream::TlsStream(Socket socket, SSL_CTX* context, Side side)
    : socket_(std::move(socket)), deadline_(std::make_shared<Deadline>(socket_)), ssl_(SSL_new(context)) {
  BIO* bio = BIO_new(socket_method());
  if (!ssl_ || bio == nullptr) throw std::bad_alloc();
  ErrorCode ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(socket_.native_handle())));
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  if (side == Side::kServer)
    SSL_set_accept_state(ssl_.get());
  else
    SSL_set_connect_state(ssl_.get());
}

TlsStream::~TlsStream() {
  deadline_->socket = nullptr;
  deadline_->timer.cancel();
}

void TlsStream::expires_after(std::chrono::milliseconds limit) {
  deadline_->at = std::chrono::steady_clock::now() + limit;
  if (deadline_->at < deadline_->armed_for) arm(deadline_);
}

void TlsStream::expires_never() { deadline_->at = Deadline::kNeverPasses; }

// A deadline moves with every step of a request, nearly always further away: the timer is left alone and looks again
// when it fires.
void TlsStream::arm(const std::shared_ptr<Deadline>& deadline) {
  deadline->armed_for = deadline->at;
  deadline->timer.expires_at(deadline->at);
  deadline->timer.async_wait([deadline](ErrorCode error) {
    if (error || deadline->socket == nullptr) return;  // armed anew, or gone
    deadline->armed_for = Deadline::kNeverPasses;
    if (deadline->at == Deadline::kNeverPasses) return;
    if (std::chrono::steady_clock::now() < deadline->at) return arm(deadline);
    deadline->passed = true;
    ErrorCode ignored;
    deadline->socket->close(ignored);
  });
}

void TlsStream::close() {
  ErrorCode ignored;
  socket_.close(ignored);
}

TlsStream::ErrorCode TlsStream::reason_of(ErrorCode error) const {
  if (deadline_->passed) return boost::beast::error::timeout;
  return error;
}

// What OpenSSL's result means: go on later, or done with or without an error.
TlsStream::Want TlsStream::judge(int result, ErrorCode& error) {
  const int reason_errno = errno;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_NONE: return Want::kNothing;
    case SSL_ERROR_WANT_READ: return Want::kRead;
    case SSL_ERROR_WANT_WRITE: return Want::kWrite;
    case SSL_ERROR_ZERO_RETURN: error = asio::error::eof; return Want::kNothing;
    case SSL_ERROR_SYSCALL:
      if (result < 0 && reason_errno != 0)
        error.assign(reason_errno, boost::system::system_category());
      else
        error = asio::ssl::error::stream_truncated;
      return Want::kNothing;
    default: break;
  }
  const unsigned long number = ERR_get_error();
  error.assign(static_cast<int>(number), asio::error::get_ssl_category());
  if (number == 0) error = asio::ssl::error::unexpected_result;
  return Want::kNothing;
}

TlsStream::Want TlsStream::try_handshake(ErrorCode& error) {
  ERR_clear_error();
  errno = 0;
  return judge(SSL_do_handshake(ssl_.get()), error);
}

TlsStream::Want TlsStream::try_read(asio::mutable_buffer buffer, size_t& count, ErrorCode& error) {
  if (buffer.size() == 0) return Want::kNothing;
  ERR_clear_error();
  errno = 0;
  const int done = SSL_read(ssl_.get(), buffer.data(), as_int(buffer.size()));
  if (done > 0) count = static_cast<size_t>(done);
  return judge(done, error);
}

TlsStream::Want TlsStream::try_write(asio::const_buffer buffer, size_t& count, ErrorCode& error) {
  if (buffer.size() == 0) return Want::kNothing;
  ERR_clear_error();
  errno = 0;
  const int done = SSL_write(ssl_.get(), buffer.data(), as_int(buffer.size()));
  if (done > 0) count = static_cast<size_t>(done);
  return judge(done, error);
}

TlsStream::Want TlsStream::try_shutdown(ErrorCode& error) {
  ERR_clear_error();
  errno = 0;
  const int done = SSL_shutdown(ssl_.get());
  return done >= 0 ? Want::kNothing : judge(done, error);
}

void keep_connections_small(SSL_CTX* context) {
  // What is left of a write that did not fit is tried again from where Beast keeps it, which may be elsewhere.
  SSL_CTX_set_mode(context,
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);  // a record in one call of the system, not two
}

}  // namespace wb::world
