#include "apps/waybill/output.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "apps/usage.h"

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

TEST(Output, WhatIsNotUtf8IsAUsageErrorNotTheEnd) {
  EXPECT_EQ(json_body({{"selector", "site=łódź"}}), "{\"selector\":\"site=łódź\"}");
  try {
    (void)json_body({{"selector", "site=\xFF"}});
    FAIL() << "was taken";
  } catch (const Exit& exit) {
    EXPECT_EQ(exit.code, kUsage);
    EXPECT_NE(exit.message.find("not valid UTF-8"), std::string::npos) << exit.message;
  }
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

TEST(Usage, NamesTheWordThatIsUnknownAndTheNearest) {
  CLI::App app{"", "waybill"};
  app.add_subcommand("fit", "")->add_option("data", "");
  auto* rollout = app.add_subcommand("rollout", "");
  std::string target;
  rollout->add_subcommand("start", "")->add_option("--to", target);
  const auto meant = [&](std::vector<const char*> words) {
    words.insert(words.begin(), "waybill");
    return unknown_word(app, static_cast<int>(words.size()), const_cast<char**>(words.data()));
  };
  EXPECT_EQ(meant({"ft", "x.csv"}), "unknown command 'ft'; did you mean 'fit'?");
  EXPECT_EQ(meant({"rollout", "strat"}), "unknown command 'strat'; did you mean 'start'?");
  EXPECT_EQ(meant({"rollout", "start", "--too=x"}), "unknown option '--too'; did you mean '--to'?");
  EXPECT_EQ(meant({"fit", "--hlep"}), "unknown option '--hlep'; did you mean '--help'?");
  EXPECT_EQ(meant({"fit", "ft"}), "") << "an argument is not a command";
  EXPECT_EQ(meant({"rollout"}), "");
}

TEST(HubOptions, ADataFolderAndAnotherHubAreAContradiction) {
  const auto parse = [](const std::string& line) {
    CLI::App app;
    HubOptions options;
    add_hub_options(app, options);
    app.parse(line);
    return options.given();
  };
  EXPECT_EQ(parse("--hub https://h:1 --credentials c"), " --hub https://h:1 --credentials c");
  EXPECT_EQ(parse("--data-dir d"), " --data-dir d");
  EXPECT_THROW(parse("--data-dir d --hub https://h:1"), CLI::ExcludesError);
  EXPECT_THROW(parse("--credentials c --data-dir d"), CLI::ExcludesError);
}

TEST(Output, AFormatIsNoFileName) {
  for (const char* line : {"-o json", "--out yaml"}) {
    CLI::App app;
    std::string out;
    app.add_option("-o,--out", out)->check(an_output_file());
    EXPECT_THROW(app.parse(std::string(line)), CLI::ValidationError) << line;
  }
  CLI::App both;
  std::string out;
  Format format = Format::kTable;
  both.add_option("-o,--out", out)->check(an_output_file());
  add_output_option(both, format);
  both.parse(std::string("-o ./json --output yaml"));
  EXPECT_EQ(out, "./json");
  EXPECT_EQ(format, Format::kYaml);
}

}  // namespace
}  // namespace wb::cli
