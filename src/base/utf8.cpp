#include "base/utf8.h"

namespace wb {

std::string valid_text(std::string_view text, size_t bytes_max) {
  std::string out;
  size_t i = 0;
  while (i < text.size() && out.size() < bytes_max) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = byte < 0x80                   ? 1
                          : byte >= 0xC2 && byte < 0xE0 ? 2
                          : byte >= 0xE0 && byte < 0xF0 ? 3
                          : byte >= 0xF0 && byte < 0xF5 ? 4
                                                        : 0;
    bool whole = length > 0 && i + length <= text.size() && out.size() + length <= bytes_max;
    for (size_t j = 1; whole && j < length; ++j) whole = (static_cast<unsigned char>(text[i + j]) & 0xC0) == 0x80;
    // Overlong forms and surrogates hide in the second byte.
    if (whole && length >= 3) {
      const auto second = static_cast<unsigned char>(text[i + 1]);
      if ((byte == 0xE0 && second < 0xA0) || (byte == 0xED && second > 0x9F) || (byte == 0xF0 && second < 0x90) ||
          (byte == 0xF4 && second > 0x8F))
        whole = false;
    }
    if (whole)
      out += text.substr(i, length);
    else
      out += '?';
    i += whole ? length : 1;
  }
  return out;
}

std::optional<size_t> utf8_fault(std::string_view text) {
  const std::string valid = valid_text(text, text.size());  // as long as the text: each bad byte became one '?'
  for (size_t i = 0; i < text.size(); ++i)
    if (valid[i] != text[i]) return i;
  return std::nullopt;
}

}  // namespace wb
