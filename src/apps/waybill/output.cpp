#include "apps/waybill/output.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>

#include "apps/waybill/commands.h"
#include "base/bytes.h"

namespace wb::cli {

namespace {

using Json = nlohmann::ordered_json;

// Code points, not bytes: a dash must not shift a column.
size_t width(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool plain_scalar(const std::string& text) {
  if (text.empty() || text.size() > 200) return false;
  static constexpr std::string_view kWords[] = {"true", "false", "null", "yes", "no", "on", "off", "~"};
  for (const std::string_view word : kWords)
    if (text == word) return false;
  if (parse_double(text).has_value()) return false;
  constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./@";
  return text.find_first_not_of(kPlain) == std::string::npos && text[0] != '-' && text[0] != '@' && text[0] != '.';
}

// A JSON string is a valid YAML double-quoted scalar.
std::string scalar(const Json& value) {
  if (value.is_string() && plain_scalar(value.get<std::string>())) return value.get<std::string>();
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool is_block(const Json& value) { return value.is_structured() && !value.empty(); }

void append_yaml(std::string& out, const Json& value, size_t indent) {
  const std::string margin(indent, ' ');
  if (value.is_object() && !value.empty()) {
    for (const auto& [key, inner] : value.items()) {
      out += margin + scalar(Json(key)) + ":";
      if (is_block(inner)) {
        out += "\n";
        append_yaml(out, inner, indent + 2);
      } else {
        out += " " + scalar(inner) + "\n";
      }
    }
  } else if (value.is_array() && !value.empty()) {
    for (const Json& inner : value) {
      if (!is_block(inner)) {
        out += margin + "- " + scalar(inner) + "\n";
        continue;
      }
      std::string block;
      append_yaml(block, inner, indent + 2);
      block.replace(indent, 2, "- ");
      out += block;
    }
  } else {
    out += margin + scalar(value) + "\n";
  }
}

}  // namespace

void add_output_option(CLI::App& app, Format& format) {
  static const std::vector<std::pair<std::string, Format>> kNames = {
      {"table", Format::kTable}, {"json", Format::kJson}, {"yaml", Format::kYaml}};
  // In verbs that write a file, -o is that file's already.
  const char* names = app.get_option_no_throw("-o") == nullptr ? "-o,--output" : "--output";
  app.add_option(names, format, "table, json or yaml")
      ->transform(CLI::CheckedTransformer(kNames).description("table|json|yaml"))
      ->default_str("table");
}

CLI::Validator an_output_file() {
  return CLI::Validator(
      [](const std::string& path) {
        if (path != "json" && path != "yaml" && path != "table") return std::string();
        return "here -o names a file, and '" + path + "' is a format: give a path such as ./" + path;
      },
      "");
}

std::string TextTable::text() const {
  std::vector<size_t> widths;
  for (const std::string& name : head_) widths.push_back(width(name));
  for (const auto& cells : rows_)
    for (size_t i = 0; i < cells.size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], width(cells[i]));
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (size_t i = 0; i < cells.size() && i < widths.size(); ++i) {
      text += cells[i];
      if (i + 1 < cells.size()) text += std::string(widths[i] - width(cells[i]) + 2, ' ');
    }
    out += text + "\n";
  };
  line(head_);
  for (const auto& cells : rows_) line(cells);
  return out;
}

std::string json_body(const Json& value) {
  try {
    return value.dump();
  } catch (const Json::exception&) {
    throw Exit{kUsage,
               "what was given is not valid UTF-8: " + value.dump(-1, ' ', false, Json::error_handler_t::replace)};
  }
}

std::string to_yaml(const Json& value) {
  std::string out;
  append_yaml(out, value, 0);
  return out;
}

bool print_structured(Format format, const Json& value) {
  if (format == Format::kTable) return false;
  const std::string text =
      format == Format::kYaml ? to_yaml(value) : value.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  return true;
}

int64_t unix_ms_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string age(int64_t then_unix_ms, int64_t now_unix_ms) {
  if (then_unix_ms <= 0) return "never";
  if (then_unix_ms > now_unix_ms + 5'000) return "in the future";
  return format_duration_ms(std::max<int64_t>(0, now_unix_ms - then_unix_ms)) + " ago";
}

std::string cell(const Json& object, std::string_view field) {
  const auto found = object.find(std::string(field));
  if (found == object.end() || found->is_null()) return "–";
  if (!found->is_string()) return found->dump();
  const std::string text = found->get<std::string>();
  return text.empty() ? "–" : text;
}

}  // namespace wb::cli
