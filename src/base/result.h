#pragma once
// Result<T>: a value, or an Error that says what happened, where, and what to do next.
//
// Three kinds of failure exist here. An expected outcome is a value in the type. An operating error (disk full, bytes
// that do not parse) is a Result. A bug is WB_ASSERT (base/assert.h). Nothing in pure code throws.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/assert.h"

namespace wb {

// A code exists only if some caller acts differently on it.
enum class Code : uint8_t {
  kInvalid,      // the input is wrong: repeating it cannot help
  kNotFound,     // the thing named is not there
  kExists,       // the thing is there already, or changed meanwhile
  kDenied,       // identity or signature does not allow it
  kFull,         // a named maximum was reached (disk, quota, queue)
  kUnavailable,  // try again later
  kCorrupt,      // stored bytes are damaged
  kUnsupported,  // valid, but this build cannot do it
  kInternal,     // an operation that should not fail did
};

std::string_view code_name(Code code);

struct Error {
  Code code = Code::kInternal;
  std::string text;

  // Puts where it happened before what happened: "open outbox: disk is full".
  [[nodiscard]] Error within(std::string_view where) const { return Error{code, std::string(where) + ": " + text}; }
};

struct Unit {};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit on purpose
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    WB_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    WB_ASSERT(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    WB_ASSERT(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    WB_ASSERT(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

using Status = Result<Unit>;
inline Status ok_status() { return Unit{}; }

template <class... Parts>
Error fail(Code code, const Parts&... parts) {
  std::string text;
  (text.append(parts), ...);
  return Error{code, std::move(text)};
}

}  // namespace wb

#define WB_CONCAT_INNER(a, b) a##b
#define WB_CONCAT(a, b) WB_CONCAT_INNER(a, b)

// WB_TRY(auto rows, parse(text)): binds the value, or returns the error to the caller.
#define WB_TRY(declaration, expression)                                                \
  auto WB_CONCAT(wb_try_, __LINE__) = (expression);                                    \
  if (!WB_CONCAT(wb_try_, __LINE__).ok()) return WB_CONCAT(wb_try_, __LINE__).error(); \
  declaration = std::move(WB_CONCAT(wb_try_, __LINE__)).value()

// WB_CHECK(write(x)): the same for an expression whose value is not needed.
#define WB_CHECK(expression)                                   \
  do {                                                         \
    auto wb_check_result = (expression);                       \
    if (!wb_check_result.ok()) return wb_check_result.error(); \
  } while (false)
