#pragma once
// Small pipelines and signed releases for the tests of the agent.

#include <string>
#include <vector>

#include "base/signature.h"
#include "edge/agent/agent.h"
#include "wire/wire.h"

namespace wb {

// ---- pipelines by name

inline Document test_scalar(std::string text) {
  return Document{Document::Kind::kScalar, std::move(text), false, {}, {}, {1, 1}};
}
inline Document test_map(std::vector<std::pair<std::string, Document>> entries) {
  Document out{Document::Kind::kMap, "", false, {}, {}, {1, 1}};
  for (auto& [key, value] : entries) out.entries.push_back({key, {1, 1}, std::move(value)});
  return out;
}
inline Document test_list(std::vector<Document> items) {
  return Document{Document::Kind::kList, "", false, std::move(items), {}, {1, 1}};
}
// One number column; rows with more than 10 in it are kept, and all that are kept go up.
inline Document test_pipeline(const std::string& name, const std::string& field, const std::string& budget = "1MiB") {
  return test_map(
      {{"name", test_scalar(name)},
       {"schema", test_list({test_map({{"name", test_scalar(field)}, {"type", test_scalar("number")}})})},
       {"transforms", test_list({test_map({{"filter", test_map({{"where", test_scalar(field + " > 10")}})}})})},
       {"sync",
        test_map({{"budget", test_scalar(budget)}, {"rules", test_list({test_map({{"all", test_map({})}})})}})}});
}

inline const std::string kTestPublisher(32, 'p');

// A release whose pipeline text is the column's name.
inline Bytes test_release(const std::string& version, const std::string& field) {
  wire::ReleaseContent content;
  content.manifest.set_name("pump");
  content.manifest.set_version(version);
  content.contents = {{"pipeline.yaml", field}};
  return *wire::build_release(std::move(content), kTestPublisher);
}

}  // namespace wb
