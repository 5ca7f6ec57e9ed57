#pragma once
// Typed access to Rows for any message with ParseFromArray and SerializeAsString. A row that does not parse counts as
// absent: the hub then treats the thing as new, and what that costs is decided (and counted) where it is used.

#include <optional>
#include <string>
#include <string_view>

#include "base/rows.h"

namespace wb {

template <class Message>
bool parse_row(std::string_view bytes, Message& message) {
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

template <class Message>
std::optional<Message> load_row(Rows& rows, Table table, std::string_view key) {
  const auto bytes = rows.get(table, key);
  Message message;
  if (!bytes || !parse_row(*bytes, message)) return std::nullopt;
  return message;
}

template <class Message>
void save_row(Rows& rows, Table table, std::string_view key, const Message& message) {
  rows.put(table, key, message.SerializeAsString());
}

// The start of `text` that fits, cut between characters: half a UTF-8 character would make a row that does not parse
// again.
inline std::string fit_text(std::string_view text, size_t bytes_max) {
  if (text.size() <= bytes_max) return std::string(text);
  while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xC0) == 0x80) --bytes_max;
  return std::string(text.substr(0, bytes_max));
}

}  // namespace wb
