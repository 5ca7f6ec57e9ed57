#pragma once
// UTF-8 is what a protobuf string must be: one that is not makes the whole message unreadable. So text from outside is
// checked where it comes in, and mended where it is only cited.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace wb {

// At most bytes_max bytes of `text`, with '?' for every byte that is not valid UTF-8 or whose character was cut.
std::string valid_text(std::string_view text, size_t bytes_max);
// Offset of the first byte that is not valid UTF-8; nullopt if all are.
std::optional<size_t> utf8_fault(std::string_view text);

}  // namespace wb
