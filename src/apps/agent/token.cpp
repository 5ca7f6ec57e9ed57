#include "apps/agent/token.h"

#include "base/bytes.h"

namespace wb::agentapp {

Result<Token> parse_token(std::string_view text) {
  const auto parts = split(trim(text), '-');
  if (parts.size() != 3 || parts[0] != "wb1" || parts[1].empty() || parts[2].size() != 32)
    return fail(Code::kInvalid,
                "the token is not of the form wb1-…-…; copy the whole line that 'waybill node token create' prints");
  return Token{std::string(parts[1]), std::string(parts[2])};
}

}  // namespace wb::agentapp
