#include "apps/waybill/output.h"

#include <gtest/gtest.h>

#include "apps/waybill/client.h"
#include "apps/waybill/commands.h"

namespace wb::cli {
namespace {

using Json = nlohmann::ordered_json;

TEST(Output, TableIsAlignedByCodePoints) {
  TextTable table({"node", "runs", "seen"});
  table.row({"gw-017", "–", "3 s ago"});
  table.row({"é", "pump@2", "never"});
  EXPECT_EQ(table.text(), "node    runs    seen\ngw-017  –       3 s ago\né       pump@2  never\n");
}

TEST(Output, YamlQuotesWhatWouldReadAsSomethingElse) {
  const Json value = Json::parse(
      R"({"id":"gw-1","version":"2","on":"yes","text":"a: b","none":null,"labels":{"site":"lyon"},"empty":{},"list":[1,"x",{"a":1,"b":[true]}],"nothing":[]})");
  EXPECT_EQ(to_yaml(value),
            "id: gw-1\nversion: \"2\"\n\"on\": \"yes\"\ntext: \"a: b\"\nnone: null\nlabels:\n  site: lyon\nempty: "
            "{}\nlist:\n  - 1\n  - x\n"
            "  - a: 1\n    b:\n      - true\nnothing: []\n");
}

TEST(Output, AgesAreHonest) {
  EXPECT_EQ(age(0, 1'000'000), "never");
  EXPECT_EQ(age(2'000'000, 1'000'000), "in the future");
  EXPECT_NE(age(1'000'000, 1'012'000).find("12 s"), std::string::npos);
}

TEST(Client, EncodesWhatAPathCannotCarry) { EXPECT_EQ(url_encode("pump@2/a b"), "pump%402%2Fa%20b"); }

TEST(Client, WithoutAHubSaysHowToGiveOne) {
  try {
    const AdminClient client(HubOptions{});
    FAIL();
  } catch (const Exit& exit) {
    EXPECT_EQ(exit.code, kBadConfiguration);
    EXPECT_NE(exit.message.find("--credentials"), std::string::npos);
  }
}

}  // namespace
}  // namespace wb::cli
