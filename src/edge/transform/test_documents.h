#pragma once
// Configuration trees built by hand, with places that tests can name: entries at 2:5, scalars at 3:7.

#include <string>
#include <utility>
#include <vector>

#include "base/document.h"

namespace wb::transform {

inline Document scalar(std::string text) {
  return Document{Document::Kind::kScalar, std::move(text), false, {}, {}, {3, 7}};
}
inline Document map(std::vector<std::pair<std::string, Document>> entries) {
  Document out{Document::Kind::kMap, "", false, {}, {}, {2, 5}};
  for (auto& [key, value] : entries) out.entries.push_back({key, {2, 5}, std::move(value)});
  return out;
}
inline Document list(std::vector<Document> items) {
  return Document{Document::Kind::kList, "", false, std::move(items), {}, {1, 1}};
}

}  // namespace wb::transform
