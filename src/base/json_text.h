#pragma once
// A text as JSON, with quotes. Valid UTF-8 passes (RFC 3629); any other byte becomes U+FFFD, so that what came from a
// broken sensor cannot break a reader.

#include <string>
#include <string_view>

namespace wb {

void append_json_text(std::string_view text, std::string& out);

}  // namespace wb
