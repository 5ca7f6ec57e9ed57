// A recursive-descent parser over at most 1 KiB with a depth limit: a selector comes from outside.
#include "hub/rollout/selector.h"

#include <algorithm>

#include "base/bytes.h"

namespace wb::hub {
namespace {
bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
         c == ':' || c == '/' || c == '@' || c == '-';
}
}  // namespace

class SelectorParser {
 public:
  explicit SelectorParser(std::string_view text) : text_(text) { advance(); }

  Result<Selector> run() {
    if (token_.kind == Kind::kEnd) return fail(Code::kInvalid, "selector is empty; write 'all' to name every node");
    WB_TRY(out_.root_, expression(0));
    if (token_.kind != Kind::kEnd) return error("expected 'and', 'or' or the end");
    return std::move(out_);
  }

 private:
  enum class Kind { kEnd, kWord, kQuoted, kSymbol, kBad };
  struct Token {
    Kind kind = Kind::kEnd;
    std::string text;
    size_t column = 0;
  };
  using Node = Selector::Node;

  void advance() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
    token_ = Token{Kind::kEnd, "", at_ + 1};
    if (at_ >= text_.size()) return;
    const char c = text_[at_];
    if (c == '"' || c == '\'') {
      const size_t end = text_.find(c, at_ + 1);
      token_.kind = end == std::string_view::npos ? Kind::kBad : Kind::kQuoted;
      token_.text = end == std::string_view::npos ? "a quote that is not closed"
                                                  : std::string(text_.substr(at_ + 1, end - at_ - 1));
      at_ = end == std::string_view::npos ? text_.size() : end + 1;
    } else if (is_word(c)) {
      while (at_ < text_.size() && is_word(text_[at_])) token_.text += text_[at_++];
      token_.kind = Kind::kWord;
    } else {
      token_.kind = Kind::kSymbol;
      token_.text = text_.substr(at_).starts_with("!=")   ? "!="
                    : text_.substr(at_).starts_with("==") ? "="
                                                          : std::string(1, c);
      at_ += text_.substr(at_).starts_with("!=") || text_.substr(at_).starts_with("==") ? 2 : 1;
    }
  }
  bool is(std::string_view text) const {
    return (token_.kind == Kind::kWord || token_.kind == Kind::kSymbol) && token_.text == text;
  }
  bool take(std::string_view text) {
    if (!is(text)) return false;
    advance();
    return true;
  }
  Error error(std::string_view expected) const {
    const std::string found = token_.kind == Kind::kEnd   ? "the end"
                              : token_.kind == Kind::kBad ? token_.text
                                                          : "'" + token_.text + "'";
    return fail(Code::kInvalid, "selector, column ", std::to_string(token_.column), ": ", expected, "; found ", found);
  }
  size_t add(Node node) {
    out_.nodes_.push_back(std::move(node));
    return out_.nodes_.size() - 1;
  }
  size_t negate(size_t what) {
    Node node;
    node.kind = Selector::Kind::kNot;
    node.left = what;
    return add(std::move(node));
  }
  Result<size_t> chain(int depth, std::string_view word, Selector::Kind kind) {
    WB_TRY(size_t left, word == "or" ? chain(depth, "and", Selector::Kind::kAnd) : factor(depth));
    while (take(word)) {
      WB_TRY(const size_t right, word == "or" ? chain(depth, "and", Selector::Kind::kAnd) : factor(depth));
      Node node;
      node.kind = kind;
      node.left = left;
      node.right = right;
      left = add(std::move(node));
    }
    return left;
  }
  Result<size_t> expression(int depth) { return chain(depth, "or", Selector::Kind::kOr); }

  Result<size_t> factor(int depth) {
    if (depth >= Selector::kDepthMax) return error("too many parentheses");
    if (take("not")) {
      WB_TRY(const size_t what, factor(depth + 1));
      return negate(what);
    }
    if (take("(")) {
      WB_TRY(const size_t inside, expression(depth + 1));
      if (!take(")")) return error("expected ')'");
      return inside;
    }
    if (take("all")) return add(Node{});
    return test();
  }

  Result<std::string> value(std::string_view expected) {
    if (token_.kind != Kind::kWord && token_.kind != Kind::kQuoted) return error(expected);
    std::string text = token_.text;
    advance();
    return text;
  }

  Result<size_t> test() {
    Node node;
    node.column = token_.column;
    if (is("and") || is("or") || is("in")) return error("expected a label");
    WB_TRY(node.label, value("expected a label"));
    node.kind = Selector::Kind::kIn;
    if (is("=") || is("!=")) {
      const bool unequal = is("!=");
      advance();
      WB_TRY(std::string one, value("expected a value"));
      node.values.push_back(std::move(one));
      const size_t at = add(std::move(node));
      return unequal ? negate(at) : at;
    }
    const bool unequal = take("not");
    if (take("in")) {
      if (!take("(")) return error("expected '(' after 'in'");
      do {
        WB_TRY(std::string one, value("expected a value"));
        node.values.push_back(std::move(one));
      } while (take(","));
      if (!take(")")) return error("expected ',' or ')'");
      const size_t at = add(std::move(node));
      return unequal ? negate(at) : at;
    }
    if (unequal) return error("expected 'in' after 'not'");
    node.kind = Selector::Kind::kHas;
    return add(std::move(node));
  }

  std::string_view text_;
  size_t at_ = 0;
  Token token_;
  Selector out_;
};

Result<Selector> Selector::parse(std::string_view text) {
  if (text.size() > kBytesMax)
    return fail(Code::kFull, "selector is longer than ", std::to_string(kBytesMax), " bytes");
  return SelectorParser(text).run();
}

bool Selector::matches(const Labels& labels) const { return matches(root_, labels); }

bool Selector::matches(size_t at, const Labels& labels) const {
  const Node& node = nodes_[at];
  switch (node.kind) {
    case Kind::kAll: return true;
    case Kind::kNot: return !matches(node.left, labels);
    case Kind::kAnd: return matches(node.left, labels) && matches(node.right, labels);
    case Kind::kOr: return matches(node.left, labels) || matches(node.right, labels);
    case Kind::kHas: {
      const auto found = labels.find(node.label);
      return found != labels.end() && found->second != "false";
    }
    case Kind::kIn: {
      const auto found = labels.find(node.label);
      return found != labels.end() &&
             std::find(node.values.begin(), node.values.end(), found->second) != node.values.end();
    }
  }
  return false;
}

std::string Selector::unknown_value(const std::map<std::string, std::set<std::string>, std::less<>>& known) const {
  for (const Node& node : nodes_) {
    const auto found = known.find(node.label);
    if (node.kind != Kind::kIn || found == known.end()) continue;
    const std::vector<std::string> there(found->second.begin(), found->second.end());
    for (const std::string& value : node.values)
      if (!found->second.contains(value))
        return "; '" + node.label + "' is never '" + value + "'" + suggestion(value, there);
  }
  return "";
}

Status Selector::check_labels(std::span<const std::string> known) const { return check_labels(root_, false, known); }

// Under "not" a label that nobody has yet is a reasonable thing to say; one that is nearly a known label is a
// misspelling that would select too much.
Status Selector::check_labels(size_t at, bool negated, std::span<const std::string> known) const {
  const Node& node = nodes_[at];
  switch (node.kind) {
    case Kind::kAll: return ok_status();
    case Kind::kNot: return check_labels(node.left, !negated, known);
    case Kind::kAnd:
    case Kind::kOr: WB_CHECK(check_labels(node.left, negated, known)); return check_labels(node.right, negated, known);
    case Kind::kHas:
    case Kind::kIn: break;
  }
  if (std::find(known.begin(), known.end(), node.label) != known.end()) return ok_status();
  if (negated && !nearest(node.label, known)) return ok_status();
  return fail(Code::kInvalid, "selector, column ", std::to_string(node.column), ": no node has a label '", node.label,
              "'", suggestion(node.label, known));
}

}  // namespace wb::hub
