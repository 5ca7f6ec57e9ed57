#pragma once
// The text of an enrolment token, "wb1-<secret>-<CA pin>", as `waybill node token create` prints it.

#include <string>
#include <string_view>

#include "base/result.h"

namespace wb::agentapp {

struct Token {
  std::string secret;
  std::string pin;  // of the hub's CA, 32 hex digits
};
Result<Token> parse_token(std::string_view text);

}  // namespace wb::agentapp
