#pragma once
// YAML text becomes a Document (base/document.h) in which every node knows its line and column. Hostile text is refused
// before it costs anything: size and depth are bounded, and so are the nodes and the text that aliases may expand to.
// No exception leaves here.
//
// `${NAME:default}` and `${NAME}` in values are replaced from the environment (`$${` writes a literal `${`); a variable
// that is not set and has no default is an error at its place. Keys are taken as written. Duplicate keys are kept as
// entries: check_fields() (base/spec.h) reports them with both the name and the place. One document per text.

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/document.h"
#include "base/result.h"

namespace wb::world {

inline constexpr size_t kYamlBytesMax = 1U << 20;
inline constexpr size_t kYamlDepthMax = 32;
inline constexpr size_t kYamlNodesMax = 20'000;           // after aliases are expanded
inline constexpr size_t kYamlFlowMarksMax = 100'000;      // '[', '{' and ',' wherever they stand
inline constexpr size_t kYamlScalarBytesMax = 64U << 10;  // after ${…} is replaced
inline constexpr size_t kYamlTextBytesMax = 4U << 20;     // of all values and keys, aliases expanded

using EnvLookup = std::function<std::optional<std::string>(const std::string& name)>;
EnvLookup process_env();  // getenv
EnvLookup no_env();       // nothing is set: only defaults apply

// The error text is ready to print: one "file:line:column: what is wrong" per line (kInvalid).
Result<Document> parse_yaml(std::string_view text, std::string_view file, const EnvLookup& env);
// kNotFound if the file cannot be read.
Result<Document> load_yaml(const std::string& path, const EnvLookup& env);

}  // namespace wb::world
