// The generated pages in the repository are those that the program prints. WB_GOLDEN=write rewrites them.
#include "apps/waybill/pipeline_docs.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string_view>

namespace wb::cli {
namespace {

void expect_page(const std::string& path, const std::string& text) {
  const std::string whole = std::string(WB_SOURCE_DIR) + "/" + path;
  const char* mode = std::getenv("WB_GOLDEN");
  if (mode != nullptr && std::string_view(mode) == "write") std::ofstream(whole, std::ios::binary) << text;
  std::ifstream in(whole, std::ios::binary);
  std::stringstream found;
  found << in.rdbuf();
  EXPECT_TRUE(found.str() == text) << path << " is stale: run this test with WB_GOLDEN=write";
}

TEST(PipelineDocs, ReferenceIsFresh) { expect_page("docs/guide/pipeline-reference.md", reference_page()); }

TEST(PipelineDocs, SchemaIsFresh) { expect_page("docs/formats/pipeline.schema.json", json_schema() + "\n"); }

TEST(PipelineDocs, SchemaNestsEverySection) {
  const auto schema = nlohmann::json::parse(json_schema());
  EXPECT_EQ(schema["additionalProperties"], false);
  const auto& rules = schema["properties"]["sync"]["properties"]["rules"];
  EXPECT_EQ(rules["type"], "array");
  EXPECT_TRUE(rules["items"]["anyOf"][0]["properties"].contains("anomaly"));
  EXPECT_TRUE(schema["properties"]["transforms"]["items"]["anyOf"].size() >= 7);
  EXPECT_EQ(schema["properties"]["schema"]["items"]["required"][0], "name");
}

}  // namespace
}  // namespace wb::cli
