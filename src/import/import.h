#pragma once
// Models of other libraries, from the files that those libraries save, as descriptions of the engine's own
// (engine/model.h): what a library does to the last bit is said in the description, or the file is refused by name with
// the reason. Nothing is approximated.
//
// Bytes come in, values go out; a file is hostile until it has been read. Depth, counts and memory are bounded before
// anything is allocated, and an error says where: a byte offset, a line, or a path within the file
// ("/learner/gradient_booster/model/trees/3").
//
// A format is recognised by its content. One file here reads each of them; import.cpp holds the table.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"

namespace wb::imports {

namespace limits {
inline constexpr size_t kFileBytesMax = size_t{512} << 20;
inline constexpr size_t kNestingMax = 200;       // JSON inside JSON
inline constexpr size_t kValuesMax = 2'000'000;  // JSON values that are not in a list of numbers
inline constexpr size_t kNumbersMax = 64U << 20;
}  // namespace limits

enum class Format : uint8_t { kXgboostJson, kXgboostUbjson, kLightgbmText, kCatboostJson, kOnnx };

struct Options {
  std::optional<Format> format = {};  // none: recognised by content
  // Training that stopped early keeps the rounds after its best one in the file. True: they are left out, as the
  // libraries' scikit-learn classes do. False: every tree counts, as XGBoost's Booster.predict does.
  bool best_only = true;
  std::vector<std::string> labels = {};  // of the classes, in their order; none: "0", "1", …
  // LightGBM with pandas categories: rows hold the codes that pandas gave the categories, not the categories.
  bool category_codes = false;
  // How much training weight reached each leaf comes along, for engine/explain.h; kUnsupported if the file has none.
  bool covers = false;
};

// The description, and notes for people: "library", "objective", what was left out or folded. No sketches, scores or
// self-test: a file does not hold them. check_description() has taken it, and pack() will.
// kInvalid: not what the format says, with the place. kUnsupported: valid, but not to be carried exactly, with the
// reason.
Result<engine::PlainModel> import_model(std::string_view bytes, const Options& options = {});

std::string_view format_name(Format format);  // "xgboost-json", …
std::optional<Format> format_by_name(std::string_view name);
std::vector<std::string> format_names();

}  // namespace wb::imports
