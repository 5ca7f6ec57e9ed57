#pragma once
// What the HTTPS server and client hand around: requests and responses without any library's types.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wb::world {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// The first header of that name, compared without case; "" if there is none.
std::string_view find_header(const HttpHeaders& headers, std::string_view name);
// "Retry-After: 30" as 30,000, at most a day; 0 if there is none, or no number of seconds.
int64_t retry_after_ms(const HttpHeaders& headers);
inline constexpr int64_t kRetryAfterMaxS = 86'400;

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";  // path and query as sent
  HttpHeaders headers;
  std::string body;
};

struct HttpResponse {
  int status = 200;
  HttpHeaders headers;
  std::string body;
};

}  // namespace wb::world
