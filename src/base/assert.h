#pragma once
// WB_ASSERT: on in every build. A broken invariant stops the process before it can spread to durable state.

namespace wb {
[[noreturn]] void assert_failed(const char* expression, const char* file, int line);
}

#define WB_ASSERT(expression) \
  (static_cast<bool>(expression) ? static_cast<void>(0) : ::wb::assert_failed(#expression, __FILE__, __LINE__))
