#pragma once
// Selector: which nodes a rollout names, as a person writes it.
//
//   expression = and-part { "or" and-part }
//   and-part   = factor { "and" factor }
//   factor     = "not" factor | "(" expression ")" | "all" | test
//   test       = label                       the node has the label, and it is not "false"
//              | label ("=" | "!=") value
//              | label ["not"] "in" "(" value { "," value } ")"
//
// A label or value is letters, digits and _ . : / @ - or a text in single or double quotes. A node without the label is
// unequal to every value. The label `node` is the node's id. Example: site=lyon and not battery
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace wb::hub {

using Labels = std::map<std::string, std::string, std::less<>>;

class Selector {
 public:
  static constexpr size_t kBytesMax = 1'024;
  static constexpr int kDepthMax = 32;

  // Errors say where: "selector, column 11: expected a value after '='".
  static Result<Selector> parse(std::string_view text);
  bool matches(const Labels& labels) const;
  // kInvalid if it names a label that is not in `known`, with the nearest one: most typing errors select nothing. A
  // label under "not" may be unknown, unless it is nearly a known one.
  Status check_labels(std::span<const std::string> known) const;
  // "; 'site' is never 'lyo'; did you mean 'lyon'?" of the first value that no node has, or "". known: label → values.
  std::string unknown_value(const std::map<std::string, std::set<std::string>, std::less<>>& known) const;

 private:
  friend class SelectorParser;
  enum class Kind : uint8_t { kAll, kNot, kAnd, kOr, kHas, kIn };
  struct Node {
    Kind kind = Kind::kAll;
    size_t left = 0, right = 0;  // indices into nodes_
    std::string label;
    std::vector<std::string> values;  // of kIn; "=" is a list of one, "!=" is its negation
    size_t column = 0;
  };
  bool matches(size_t at, const Labels& labels) const;
  Status check_labels(size_t at, bool negated, std::span<const std::string> known) const;
  std::vector<Node> nodes_;
  size_t root_ = 0;
};

}  // namespace wb::hub
