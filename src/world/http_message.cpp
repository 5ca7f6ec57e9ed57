#include "world/http_message.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>

#include "base/bytes.h"

namespace wb::world {

std::string_view find_header(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (boost::beast::iequals(key, name)) return value;
  return {};
}

int64_t retry_after_ms(const HttpHeaders& headers) {
  const auto seconds = parse_int(find_header(headers, "retry-after"));
  return std::clamp<int64_t>(seconds.value_or(0), 0, kRetryAfterMaxS) * 1'000;
}

}  // namespace wb::world
