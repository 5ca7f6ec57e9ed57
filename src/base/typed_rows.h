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

}  // namespace wb
