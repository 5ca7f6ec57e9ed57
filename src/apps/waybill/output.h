#pragma once
// How every noun prints: a table for people, JSON or YAML for programs. A command builds one JSON value and, for the
// table, the rows a person wants; it never prints half of each.

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
class Validator;
}  // namespace CLI

namespace wb::cli {

enum class Format : uint8_t { kTable, kJson, kYaml };
void add_output_option(CLI::App& app, Format& format);
// For verbs that write a file, where -o names that file: refuses "json", "yaml" and "table".
CLI::Validator an_output_file();

// Columns as wide as their widest cell, two spaces between; no colours, so that it can be piped.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> head) : head_(std::move(head)) {}
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string text() const;  // heads alone if there are no rows

 private:
  std::vector<std::string> head_;
  std::vector<std::vector<std::string>> rows_;
};

std::string to_yaml(const nlohmann::ordered_json& value);
// The body of a request made of what a person gave. Throws Exit (2) if that is not UTF-8.
std::string json_body(const nlohmann::ordered_json& value);
// Prints `value` if the format is JSON or YAML and returns true; false means: print your table.
bool print_structured(Format format, const nlohmann::ordered_json& value);

int64_t unix_ms_now();
// "12 s ago", "never" for 0, "in the future" for a clock ahead of ours.
std::string age(int64_t then_unix_ms, int64_t now_unix_ms);
// A field of a JSON object as text: strings bare, numbers and booleans as in JSON, "–" for absent, null and "".
std::string cell(const nlohmann::ordered_json& object, std::string_view field);

}  // namespace wb::cli
