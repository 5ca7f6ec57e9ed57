#pragma once
// Document: a parsed YAML or JSON configuration text as a tree in which every node knows its line and column, so that
// an error can point at the place. world/yaml.h makes one from text; pure code checks it against a Spec (base/spec.h).

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wb {

struct Position {
  int line = 0;  // 1-based; 0 = unknown
  int column = 0;
};

struct Document {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };
  struct Entry;

  Kind kind = Kind::kNull;
  std::string text;             // of a scalar, after ${ENV:default} was filled in
  bool quoted = false;          // "5" in quotes is text, never a number
  std::vector<Document> items;  // of a list
  std::vector<Entry> entries;   // of a map, in file order
  Position at;

  bool is_map() const { return kind == Kind::kMap; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_scalar() const { return kind == Kind::kScalar; }
  const Document* find(std::string_view key) const;
};

struct Document::Entry {
  std::string key;
  Position at;
  Document value;
};

inline const Document* Document::find(std::string_view key) const {
  for (const Entry& entry : entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

// One thing wrong with a configuration file. A file may have many; lint shows them all.
struct Problem {
  Position at;
  std::string text;
};

class Problems {
 public:
  static constexpr size_t kMax = 50;  // past that the file is not a configuration file
  void add(Position at, std::string text) {
    if (items_.size() < kMax) items_.push_back(Problem{at, std::move(text)});
  }
  bool empty() const { return items_.empty(); }
  const std::vector<Problem>& items() const { return items_; }
  // "pump.yaml:3:5: unknown key 'fiter'; did you mean 'filter'?" one line each
  std::string format(std::string_view file) const;

 private:
  std::vector<Problem> items_;
};

}  // namespace wb
