// The text is read event by event instead of through YAML::Node: events carry the position of everything, keep
// duplicate keys, and let every limit stop the parser at the byte where it is passed, before memory is spent.
#include "world/yaml.h"

#include <yaml-cpp/yaml.h>
// yaml-cpp keeps its event interface in these two.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <istream>
#include <sstream>
#include <streambuf>
#include <unordered_map>

#include "base/bytes.h"
#include "base/utf8.h"

namespace wb::world {
namespace {

Position position(const YAML::Mark& mark) {
  return mark.is_null() ? Position{} : Position{mark.line + 1, mark.column + 1};
}

// Thrown inside this file only, to stop the parser at a limit.
struct Stop {
  Position at;
  std::string text;
};

bool name_start(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool name_char(char c) { return name_start(c) || (c >= '0' && c <= '9'); }

// Replaces ${NAME} and ${NAME:default}; the reason if it cannot.
std::optional<std::string> substitute(std::string& text, const EnvLookup& env) {
  if (text.find("${") == std::string::npos) return std::nullopt;
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (text.compare(i, 3, "$${") == 0) {
      out += "${";
      i += 3;
      continue;
    }
    if (text.compare(i, 2, "${") != 0) {
      out += text[i++];
      continue;
    }
    size_t end = i + 2;
    while (end < text.size() && name_char(text[end])) ++end;
    const std::string name = text.substr(i + 2, end - i - 2);
    if (name.empty() || !name_start(name[0]) || end >= text.size() || (text[end] != '}' && text[end] != ':'))
      return "'" + text.substr(i, 40) + "' is not ${NAME} or ${NAME:default}; write $${ for a literal ${";
    const size_t close = text.find('}', end);
    if (close == std::string::npos) return "'${" + name + "' has no closing }";
    if (const auto found = env(name))
      out += *found;
    else if (text[end] == ':')
      out += text.substr(end + 1, close - end - 1);
    else
      return "environment variable " + name + " is not set; set it, or give a default: ${" + name + ":default}";
    i = close + 1;
    if (out.size() > kYamlScalarBytesMax) break;
  }
  text = std::move(out);
  return std::nullopt;
}

struct Extent {
  size_t nodes = 0;
  size_t depth = 0;
  size_t text_bytes = 0;
};
Extent extent_of(const Document& document) {
  Extent out{1, 1, document.text.size()};
  const auto add = [&out](const Document& child) {
    const Extent inner = extent_of(child);
    out.nodes += inner.nodes;
    out.depth = std::max(out.depth, inner.depth + 1);
    out.text_bytes += inner.text_bytes;
  };
  for (const Document& item : document.items) add(item);
  for (const Document::Entry& entry : document.entries) {
    out.text_bytes += entry.key.size();
    add(entry.value);
  }
  return out;
}

class Builder : public YAML::EventHandler {
 public:
  Builder(const EnvLookup& env, Problems& problems) : env_(env), problems_(problems) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Document node;
    node.at = position(mark);
    place(std::move(node), anchor, /*is_key_text=*/false);
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Document node;
    node.kind = Document::Kind::kScalar;
    node.at = position(mark);
    node.quoted = tag == "!";
    refuse_tag(tag, mark);
    node.text = value;
    if (!expects_key()) {
      if (const auto reason = substitute(node.text, env_)) problems_.add(node.at, *reason);
    }
    // Of the environment, or of an escape like "\uD800": the text itself has been looked at.
    if (utf8_fault(node.text)) problems_.add(node.at, "the value is not UTF-8");
    if (node.text.size() > kYamlScalarBytesMax)
      throw Stop{node.at, "a value has more than " + std::to_string(kYamlScalarBytesMax) + " bytes"};
    count_text(node.text.size(), node.at);
    place(std::move(node), anchor, /*is_key_text=*/true);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const Position at = position(mark);
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Stop{at, "an alias refers to the node it stands in"};
    const Extent extent = extent_of(found->second);
    if (open_.size() + extent.depth > kYamlDepthMax) throw too_deep(at);
    count_nodes(extent.nodes - 1, at);
    count_text(extent.text_bytes, at);
    Document copy = found->second;
    copy.at = at;
    const bool is_key_text = copy.is_scalar();  // before the move: arguments are evaluated in any order
    place(std::move(copy), 0, is_key_text);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(Document::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(Document::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { end(); }

  Document take() { return std::move(root_); }

 private:
  struct Open {
    Document node;
    YAML::anchor_t anchor = 0;
    bool key_given = false;  // of a map: the entry at the back waits for its value
  };

  static Stop too_deep(Position at) {
    return Stop{at, "nested deeper than " + std::to_string(kYamlDepthMax) + " levels"};
  }
  bool expects_key() const { return !open_.empty() && open_.back().node.is_map() && !open_.back().key_given; }
  void refuse_tag(const std::string& tag, const YAML::Mark& mark) {
    if (!tag.empty() && tag != "?" && tag != "!")
      problems_.add(position(mark), "YAML tags are not used here: remove '" + tag + "'");
  }
  void count_nodes(size_t more, Position at) {
    nodes_ += more;
    if (nodes_ > kYamlNodesMax)
      throw Stop{at, "more than " + std::to_string(kYamlNodesMax) + " values (aliases counted where they are used)"};
  }

  void count_text(size_t more, Position at) {
    text_bytes_ += more;
    if (text_bytes_ > kYamlTextBytesMax)
      throw Stop{at, "more than " + std::to_string(kYamlTextBytesMax) +
                         " bytes of text (aliases counted where they are used)"};
  }

  void begin(Document::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    const Position at = position(mark);
    refuse_tag(tag, mark);
    if (expects_key()) throw Stop{at, "a key must be plain text"};
    if (open_.size() >= kYamlDepthMax) throw too_deep(at);
    Open next;
    next.node.kind = kind;
    next.node.at = at;
    next.anchor = anchor;
    open_.push_back(std::move(next));
  }
  void end() {
    Open done = std::move(open_.back());
    open_.pop_back();
    place(std::move(done.node), done.anchor, false);
  }
  void place(Document node, YAML::anchor_t anchor, bool is_key_text) {
    count_nodes(1, node.at);
    if (anchor != 0) {  // kept as a copy, and copies of copies where anchors nest: they count too
      const Extent extent = extent_of(node);
      count_nodes(extent.nodes, node.at);
      count_text(extent.text_bytes, node.at);
      anchors_[anchor] = node;
    }
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.is_list()) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.key_given) {
      if (!is_key_text) throw Stop{node.at, "a key must be plain text"};
      parent.node.entries.push_back(Document::Entry{std::move(node.text), node.at, Document{}});
      parent.node.entries.back().value.at = node.at;
      parent.key_given = true;
    } else {
      // yaml-cpp gives an absent value no useful mark: the place of its key is better.
      if (node.kind == Document::Kind::kNull || node.at.line == 0) node.at = parent.node.entries.back().at;
      parent.node.entries.back().value = std::move(node);
      parent.key_given = false;
    }
  }

  const EnvLookup& env_;
  Problems& problems_;
  Document root_;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, Document> anchors_;
  size_t nodes_ = 0;
  size_t text_bytes_ = 0;
};

// A copy-free stream over the text.
class TextBuffer : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // NOLINT: the get area is only read
    setg(begin, begin, begin + text.size());
  }
};

// yaml-cpp reads on while a bracket is open, in case a key ends behind it, and keeps up to 240 bytes for each bracket
// and comma that it has seen before it tells of any: the depth limit would come too late.
size_t flow_marks_count(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return c == '[' || c == '{' || c == ','; }));
}

Position place_of(std::string_view text, size_t offset) {
  Position at{1, 1};
  for (size_t i = 0; i < offset; ++i) {
    if (text[i] == '\n') {
      ++at.line;
      at.column = 1;
    } else {
      ++at.column;
    }
  }
  return at;
}

// yaml-cpp names what its grammar missed; a person wants to know what to change.
std::string_view advice(std::string_view reason) {
  if (reason == YAML::ErrorMsg::MAP_VALUE)
    return ": a value that contains ': ' needs quotes; or the indentation is wrong";
  if (reason == YAML::ErrorMsg::END_OF_MAP || reason == YAML::ErrorMsg::END_OF_SEQ)
    return ": this line does not line up with the lines above it";
  if (reason == YAML::ErrorMsg::END_OF_MAP_FLOW) return ": a '{' above has no '}'";
  if (reason == YAML::ErrorMsg::END_OF_SEQ_FLOW) return ": a '[' above has no ']'";
  if (reason == YAML::ErrorMsg::UNKNOWN_TOKEN) return ": text that starts with this character needs quotes";
  return "";
}

void add_syntax_problem(std::string_view text, const YAML::Exception& error, Problems& problems) {
  const Position at = position(error.mark);
  const auto lines = split(text, '\n');
  if (at.line >= 1 && static_cast<size_t>(at.line) <= lines.size()) {
    const std::string_view line = lines[static_cast<size_t>(at.line) - 1];
    const size_t tab = line.find('\t');
    if (tab != std::string_view::npos && tab <= line.find_first_not_of(" \t")) {
      problems.add({at.line, static_cast<int>(tab) + 1}, "a tab in the indentation: indent with spaces");
      return;
    }
  }
  problems.add(at, error.msg + std::string(advice(error.msg)));
}

void parse_into(std::string_view text, const EnvLookup& env, Problems& problems, Document& out) {
  try {
    TextBuffer buffer(text);
    std::istream stream(&buffer);
    YAML::Parser parser(stream);
    Builder builder(env, problems);
    out.at = {1, 1};
    if (!parser.HandleNextDocument(builder)) return;  // empty text: a null document
    out = builder.take();
    Problems ignored;
    Builder second(env, ignored);
    if (parser.HandleNextDocument(second))
      problems.add(second.take().at, "a second document starts here; only one is allowed");
  } catch (const Stop& stop) {
    problems.add(stop.at, stop.text);
  } catch (const YAML::Exception& error) {
    add_syntax_problem(text, error, problems);
  } catch (const std::exception& error) {  // bad_alloc and whatever else a parser of hostile text may find
    problems.add({}, std::string("cannot be read as YAML: ") + error.what());
  }
}

}  // namespace

EnvLookup process_env() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
}

EnvLookup no_env() {
  return [](const std::string&) -> std::optional<std::string> { return std::nullopt; };
}

Result<Document> parse_yaml(std::string_view text, std::string_view file, const EnvLookup& env) {
  Problems problems;
  Document out;
  const size_t nul = text.find('\0');
  if (text.size() > kYamlBytesMax)
    problems.add({}, "has " + std::to_string(text.size()) + " bytes; a configuration file may have " +
                         std::to_string(kYamlBytesMax));
  else if (nul != std::string_view::npos)
    problems.add(place_of(text, nul), "a zero byte: this is not a text file");
  else if (const auto fault = utf8_fault(text))
    problems.add(place_of(text, *fault), "a byte that is not UTF-8: save the file as UTF-8");
  else if (flow_marks_count(text) > kYamlFlowMarksMax)
    problems.add({}, "more than " + std::to_string(kYamlFlowMarksMax) + " of '[', '{' and ','");
  else
    parse_into(text, env, problems, out);
  if (!problems.empty()) {
    std::string lines = problems.format(file);
    lines.pop_back();
    return Error{Code::kInvalid, std::move(lines)};
  }
  return out;
}

Result<Document> load_yaml(const std::string& path, const EnvLookup& env) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(Code::kNotFound, path, ": cannot be opened; check the path and its permissions");
  std::string text(kYamlBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return fail(Code::kNotFound, path, ": cannot be read");
  text.resize(static_cast<size_t>(in.gcount()));
  return parse_yaml(text, path, env);
}

}  // namespace wb::world
