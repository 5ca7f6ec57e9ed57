#include "world/yaml.h"

#include <gtest/gtest.h>

#include "base/test_memory.h"

namespace wb::world {
namespace {

EnvLookup env_of(std::string name, std::string value) {
  return [=](const std::string& asked) -> std::optional<std::string> {
    if (asked == name) return value;
    return std::nullopt;
  };
}

std::string error_of(std::string_view text) {
  const auto parsed = parse_yaml(text, "p.yaml", no_env());
  return parsed.ok() ? "no error" : parsed.error().text;
}

TEST(Yaml, KnowsEveryPlaceAndKind) {
  const auto parsed =
      parse_yaml("name: pump\nrules:\n  - novel: {above: 3.0}\n  - \"5\"\nempty:\nnull_too: ~\n", "p.yaml", no_env());
  ASSERT_TRUE(parsed.ok()) << parsed.error().text;
  ASSERT_TRUE(parsed->is_map());
  EXPECT_EQ(parsed->find("name")->text, "pump");
  EXPECT_EQ(parsed->find("name")->at.column, 7);
  const Document& rules = *parsed->find("rules");
  ASSERT_EQ(rules.items.size(), 2U);
  const Document& above = *rules.items[0].find("novel")->find("above");
  EXPECT_EQ(above.at.line, 3);
  EXPECT_EQ(above.at.column, 20);
  EXPECT_FALSE(above.quoted);
  EXPECT_TRUE(rules.items[1].quoted);
  EXPECT_EQ(parsed->find("empty")->kind, Document::Kind::kNull);
  EXPECT_EQ(parsed->find("empty")->at.line, 5);
  EXPECT_EQ(parsed->find("null_too")->kind, Document::Kind::kNull);
}

TEST(Yaml, DuplicateKeysAreKeptForTheSpecToReport) {
  const auto parsed = parse_yaml("a: 1\na: 2\n", "p.yaml", no_env());
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->entries.size(), 2U);
  EXPECT_EQ(parsed->entries[1].at.line, 2);
}

TEST(Yaml, EnvironmentFillsValuesAndOnlyValues) {
  const auto parsed =
      parse_yaml("url: 'mqtt://${HOST:localhost}:${PORT:1883}/'\nraw: $${HOST}\n${X:k}: 1\nnone: ${E:}\n", "p.yaml",
                 env_of("HOST", "broker"));
  ASSERT_TRUE(parsed.ok()) << parsed.error().text;
  EXPECT_EQ(parsed->find("url")->text, "mqtt://broker:1883/");
  EXPECT_EQ(parsed->find("raw")->text, "${HOST}");
  EXPECT_EQ(parsed->entries[2].key, "${X:k}");
  EXPECT_EQ(parsed->find("none")->text, "");
  EXPECT_EQ(error_of("a: 1\nb: ${TOKEN}\nc: ${1}\nd: ${OPEN:x\n"),
            "p.yaml:2:4: environment variable TOKEN is not set; set it, or give a default: ${TOKEN:default}\n"
            "p.yaml:3:4: '${1}' is not ${NAME} or ${NAME:default}; write $${ for a literal ${\n"
            "p.yaml:4:4: '${OPEN' has no closing }");
}

TEST(Yaml, WhatCannotBeReadSaysWhere) {
  EXPECT_EQ(error_of("a:\n\tb: 1\n"), "p.yaml:2:1: a tab in the indentation: indent with spaces");
  EXPECT_EQ(error_of("a: b: c\n"),
            "p.yaml:1:5: illegal map value: a value that contains ': ' needs quotes; or the indentation is wrong");
  EXPECT_EQ(error_of("a: [1, 2\nb: 3\n").substr(0, 9), "p.yaml:2:");
  EXPECT_EQ(error_of("a: 1\n---\nb: 2\n").substr(0, 9), "p.yaml:3:");
  EXPECT_EQ(error_of("a: !!binary aGk=\n").substr(0, 11), "p.yaml:1:4:");
  EXPECT_EQ(error_of("? [a]\n: 1\n").substr(0, 11), "p.yaml:1:3:");
  EXPECT_EQ(error_of(std::string_view("a: 1\nb\0c", 8)), "p.yaml:2:2: a zero byte: this is not a text file");
  EXPECT_EQ(error_of("a: &x [*x]\n").substr(0, 9), "p.yaml:1:");
  EXPECT_EQ(error_of("a: *nobody\n").substr(0, 9), "p.yaml:1:");
  EXPECT_EQ(error_of(""), "no error");
}

TEST(Yaml, EveryLimitHolds) {
  EXPECT_NE(error_of(std::string(kYamlBytesMax + 1, '#')).find("1048577 bytes"), std::string::npos);
  EXPECT_NE(error_of(std::string(40, '[') + std::string(40, ']')).find("deeper than 32"), std::string::npos);
  EXPECT_NE(error_of(std::string(500'000, '[')), "no error");
  std::string wide = "a:\n";
  for (int i = 0; i < 20'001; ++i) wide += " - 1\n";
  EXPECT_NE(error_of(wide).find("more than 20000 values"), std::string::npos);
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) laughs += "*a" + std::to_string(i - 1) + (j < 9 ? ", " : "]\n");
  }
  EXPECT_NE(error_of(laughs).find("aliases counted"), std::string::npos);
  EXPECT_NE(error_of("a: " + std::string(70'000, 'x')).find("65536 bytes"), std::string::npos);
  EXPECT_TRUE(parse_yaml(std::string(32, '[') + std::string(32, ']'), "p", no_env()).ok());
}

// Few nodes may still be much text, and an anchor inside an anchor is kept twice.
TEST(Yaml, WhatAliasesExpandToIsBoundedInBytesToo) {
  std::string long_text = "- &a " + std::string(kYamlScalarBytesMax - 1, 'x') + "\n";
  for (int i = 0; i < 15'000; ++i) long_text += "- *a\n";
  std::string nested;
  for (size_t i = 1; i < kYamlDepthMax; ++i) nested += "&a" + std::to_string(i) + " [";
  for (int i = 0; i < 9'000; ++i) nested += std::string(100, 'y') + ", ";
  for (const std::string& text :
       {long_text, nested + std::string(kYamlDepthMax - 1, ']'), std::string(kYamlBytesMax, '['),
        std::string(kYamlFlowMarksMax, '{'), "[" + std::string(kYamlFlowMarksMax - 1, ','),
        "[" + std::string(kYamlBytesMax - 1, ','), std::string(kYamlBytesMax, '-'),
        "[" + std::string(kYamlBytesMax - 1, '\n'), "x: " + std::string(kYamlBytesMax - 3, 'x'),
        std::string(kYamlBytesMax, '\n')}) {
    EXPECT_LE(test_memory::peak_bytes_of([&] { (void)error_of(text); }), size_t{32} << 20) << text.substr(0, 40);
  }
  EXPECT_NE(error_of(long_text).find("bytes of text"), std::string::npos);
  EXPECT_NE(error_of(nested + std::string(kYamlDepthMax - 1, ']')).find("more than"), std::string::npos);
}

// Any byte may arrive: the answer is a Document or an error with a place, never an exception or a crash.
TEST(Yaml, DamagedTextIsAnAnswer) {
  const std::string good =
      "name: shuttle\nschema:\n  - {name: s1, type: number}\nroute: &r\n  actions: [stdout, *r2]\nx: |\n  text\n";
  for (size_t at = 0; at < good.size(); ++at) {
    for (const char byte : {'\t', '{', '*', '&', '\x80', '-', '%', '"'}) {
      std::string bad = good;
      bad[at] = byte;
      const auto parsed = parse_yaml(bad, "p.yaml", no_env());
      const std::string text = parsed.ok() ? "p.yaml:" : parsed.error().text;
      EXPECT_EQ(text.substr(0, 7), "p.yaml:") << bad;
    }
    (void)parse_yaml(good.substr(0, at), "p.yaml", no_env());
  }
}

TEST(Yaml, FilesThatAreNotThere) {
  const auto loaded = load_yaml("/nonexistent/p.yaml", no_env());
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, Code::kNotFound);
}

}  // namespace
}  // namespace wb::world
