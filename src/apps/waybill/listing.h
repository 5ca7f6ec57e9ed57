#pragma once
// Lists and details as columns over the hub's JSON: a noun says which field goes under which head, once.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "apps/waybill/output.h"

namespace wb::cli {

struct FieldView {
  enum class As : uint8_t { kText, kAge, kBytes, kLabels, kList };
  std::string head;
  std::string pointer;  // JSON pointer inside one item, "/running/name"
  As as = As::kText;
};

// "site=lyon power=mains"; ages relative to `now_unix_ms`; "–" for what is not there.
std::string show_field(const nlohmann::ordered_json& item, const FieldView& view, int64_t now_unix_ms);
// The array under `field`, or the value itself if it is an array.
const nlohmann::ordered_json& items_of(const nlohmann::ordered_json& answer, std::string_view field);
void print_list(Format format, const nlohmann::ordered_json& answer, std::string_view field,
                const std::vector<FieldView>& columns, std::string_view if_empty);
// "head  value" lines.
void print_detail(const nlohmann::ordered_json& item, const std::vector<FieldView>& fields);

}  // namespace wb::cli
