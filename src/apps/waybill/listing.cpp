#include "apps/waybill/listing.h"

#include <cstdio>

#include "base/bytes.h"

namespace wb::cli {

namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& value) {
  if (value.is_null()) return "–";
  if (!value.is_string()) return value.dump();
  const std::string text = value.get<std::string>();
  return text.empty() ? "–" : text;
}

std::string joined(const Json& value) {
  std::string text;
  for (const auto& [key, inner] : value.items()) {
    if (!text.empty()) text += " ";
    text += value.is_object() ? key + "=" + text_of(inner) : text_of(inner);
  }
  return text.empty() ? "–" : text;
}

}  // namespace

std::string show_field(const Json& item, const FieldView& view, int64_t now_unix_ms) {
  const Json::json_pointer pointer(view.pointer);
  if (!item.contains(pointer)) return "–";
  const Json& value = item.at(pointer);
  const bool whole = value.is_number_integer();
  if (view.as == FieldView::As::kAge && whole) return age(value.get<int64_t>(), now_unix_ms);
  if (view.as == FieldView::As::kBytes && whole) return format_size_bytes(value.get<int64_t>());
  if (value.is_structured()) return joined(value);
  return text_of(value);
}

const Json& items_of(const Json& answer, std::string_view field) {
  static const Json kNone = Json::array();
  if (answer.is_array()) return answer;
  const auto found = answer.find(std::string(field));
  return found == answer.end() ? kNone : *found;
}

void print_list(Format format, const Json& answer, std::string_view field, const std::vector<FieldView>& columns,
                std::string_view if_empty) {
  if (print_structured(format, answer)) return;
  const Json& items = items_of(answer, field);
  if (items.empty()) {
    std::printf("%s\n", std::string(if_empty).c_str());
    return;
  }
  std::vector<std::string> head;
  for (const FieldView& column : columns) head.push_back(column.head);
  TextTable table(head);
  const int64_t now = unix_ms_now();
  for (const Json& item : items) {
    std::vector<std::string> cells;
    for (const FieldView& column : columns) cells.push_back(show_field(item, column, now));
    table.row(std::move(cells));
  }
  std::fputs(table.text().c_str(), stdout);
}

void print_detail(const Json& item, const std::vector<FieldView>& fields) {
  TextTable table({"", ""});
  const int64_t now = unix_ms_now();
  for (const FieldView& field : fields) table.row({field.head, show_field(item, field, now)});
  const std::string text = table.text();
  std::fputs(text.substr(text.find('\n') + 1).c_str(), stdout);  // no heads over a detail
}

}  // namespace wb::cli
