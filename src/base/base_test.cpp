#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/civil_days.h"
#include "base/evidence.h"
#include "base/json_text.h"
#include "base/prng.h"
#include "base/signature.h"
#include "base/spec.h"
#include "base/step.h"
#include "base/utf8.h"

namespace wb {
namespace {

TEST(Checksum, KnownAnswers) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);                                                       // RFC 3720, B.4
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");  // FIPS 180-2
  Sha256Stream stream;
  stream.update("a");
  stream.update("bc");
  EXPECT_EQ(stream.finish_hex(), sha256_hex("abc"));
}

TEST(Signature, Rfc8032TestTwo) {
  const std::string seed = *hex_decode("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const std::string key = *ed25519_public_key(seed);
  EXPECT_EQ(hex_encode(key), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  std::string signature = *ed25519_sign(seed, "\x72");
  EXPECT_TRUE(ed25519_verify(key, "\x72", signature));
  signature[0] = static_cast<char>(signature[0] ^ 1);
  EXPECT_FALSE(ed25519_verify(key, "\x72", signature));
  EXPECT_FALSE(ed25519_verify("short", "\x72", signature));
}

TEST(Bytes, DurationsAndSizes) {
  EXPECT_EQ(*parse_duration_ms("250ms"), 250);
  EXPECT_EQ(*parse_duration_ms("7d"), 7LL * 86'400'000);
  EXPECT_FALSE(parse_duration_ms("5").ok());
  EXPECT_FALSE(parse_duration_ms("-5s").ok());
  EXPECT_FALSE(parse_duration_ms("999999999999999999d").ok());
  EXPECT_EQ(*parse_size_bytes("16MiB"), 16LL << 20);
  EXPECT_FALSE(parse_size_bytes("16 MiB").ok());
}

TEST(Bytes, NumbersAreReadWholeOrNotAtAll) {
  EXPECT_EQ(parse_double("1.5"), 1.5);
  EXPECT_FALSE(parse_double("1.5x"));
  EXPECT_FALSE(parse_double(""));
  EXPECT_EQ(shortest(0.1), "0.1");
  EXPECT_EQ(shortest(0.1F), "0.1");
}

TEST(Bytes, NearestNameNeedsToBeNear) {
  const std::vector<std::string> names{"filter", "select", "window"};
  EXPECT_EQ(nearest("fiter", names), "filter");
  EXPECT_EQ(nearest("zzzzzz", names), std::nullopt);
  const std::vector<std::string> short_names = {"ts", "V2"};
  EXPECT_EQ(nearest("V1", short_names), "V2");
  EXPECT_EQ(nearest("cvs", std::vector<std::string>{"csv"}), "csv") << "two letters the wrong way round";
  EXPECT_EQ(nearest("x1", std::vector<std::string>{"ts"}), std::nullopt);
}

TEST(Time, AddingForEverIsNever) {
  EXPECT_EQ(after_ms(Instant{5}, INT64_MAX), kNever);
  EXPECT_EQ(after_ms(Instant{0}, 2).ns, 2'000'000);
}

TEST(Prng, IsTheSameEverywhere) {
  Prng prng(42);
  EXPECT_EQ(prng.next(), 0xBDD732262FEB6E95ULL);  // SplitMix64 reference sequence for seed 42
  EXPECT_EQ(keyed_hash(1, "a"), keyed_hash(1, "a"));
  EXPECT_NE(keyed_hash(1, "a"), keyed_hash(2, "a"));
}

TEST(JsonText, IsValidWhateverTheBytes) {
  const auto text = [](std::string_view bytes) {
    std::string out = "x";
    append_json_text(bytes, out);
    return out;
  };
  EXPECT_EQ(text(""), "x\"\"");
  EXPECT_EQ(text("a\"b\\c\n\t\x7F"), "x\"a\\\"b\\\\c\\n\\u0009\\u007f\"");
  EXPECT_EQ(text("\xC3\xA9\xF0\x9F\x98\x80"), "x\"\xC3\xA9\xF0\x9F\x98\x80\"");
  EXPECT_EQ(text("\xC3"), "x\"\\ufffd\"");                        // cut short
  EXPECT_EQ(text("\xED\xA0\x80"), "x\"\\ufffd\\ufffd\\ufffd\"");  // a surrogate is no character
  EXPECT_EQ(text("\xC0\xAF"), "x\"\\ufffd\\ufffd\"");             // an overlong '/'
}

TEST(Evidence, CountsByIdAndSaysSo) {
  Evidence one, sum;
  one.decided("B1 Q2", 2);
  one.decided("Q2");
  one.decided("wire Q");  // no ids
  sum += one;
  sum += one;
  EXPECT_EQ(sum.count("Q2"), 6U);
  EXPECT_EQ(sum.count("Q3"), 0U);
  EXPECT_EQ(evidence_json({"p", "a \"b\"", {{"points", 7}}, 5, 4, 3, sum}),
            "{\"program\": \"p\",\n \"what\": \"a \\\"b\\\"\",\n \"finished_unix_s\": 5,\n \"seconds\": 4,\n"
            " \"violations\": 3,\n \"sizes\": {\"points\": 7},\n \"decided\": {\"B1\": 4, \"Q2\": 6}}\n");
}

TEST(CivilDays, AgreeWithTheCalendar) {
  EXPECT_EQ(days_from_civil(1970, 1, 1), 0);
  EXPECT_EQ(days_from_civil(1969, 12, 31), -1);
  EXPECT_EQ(days_from_civil(2000, 3, 1) - days_from_civil(2000, 2, 28), 2);
  EXPECT_EQ(days_from_civil(2100, 3, 1) - days_from_civil(2100, 2, 28), 1);
}

Document scalar(std::string text, int line) {
  Document out;
  out.kind = Document::Kind::kScalar;
  out.text = std::move(text);
  out.at = {line, 7};
  return out;
}

TEST(Utf8, FaultsAreFoundAndMended) {
  for (const char* good : {"", "plain", "caf\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x8C\x8D"}) {
    EXPECT_FALSE(utf8_fault(good).has_value()) << good;
    EXPECT_EQ(valid_text(good, 100), good);
  }
  EXPECT_EQ(utf8_fault("caf\xE9!"), 3U);          // Latin-1
  EXPECT_EQ(utf8_fault("a\xE2\x82"), 1U);         // cut
  EXPECT_EQ(utf8_fault("\xC0\x80"), 0U);          // overlong
  EXPECT_EQ(utf8_fault("ab\xED\xA0\x80"), 2U);    // surrogate
  EXPECT_EQ(utf8_fault("\xF4\x90\x80\x80"), 0U);  // beyond the last code point
  EXPECT_EQ(valid_text("a\xFF"
                       "b",
                       100),
            "a?b");
  // A cut that falls inside a character takes no part of it.
  for (size_t bytes_max = 0; bytes_max <= 9; ++bytes_max) {
    const std::string cut = valid_text("\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC", bytes_max);
    EXPECT_LE(cut.size(), bytes_max);
    EXPECT_FALSE(utf8_fault(cut).has_value()) << bytes_max;
  }
}

TEST(Spec, EveryFaultIsNamedWithItsPlace) {
  const Spec spec{"window",
                  "",
                  {{.name = "every", .type = FieldType::kDuration, .summary = "length", .required = true},
                   {.name = "kind",
                    .type = FieldType::kText,
                    .summary = "",
                    .fallback = "tumbling",
                    .choices = {"tumbling", "sliding"}}},
                  "",
                  ""};
  Document body;
  body.kind = Document::Kind::kMap;
  body.entries.push_back({"evry", {3, 5}, scalar("5s", 3)});
  body.entries.push_back({"kind", {4, 5}, scalar("slidin", 4)});
  Problems problems;
  check_fields(spec, body, problems);
  EXPECT_EQ(problems.format("p.yaml"),
            "p.yaml:3:5: window: unknown key 'evry'; did you mean 'every'?\n"
            "p.yaml: window.every: is required: length\n"
            "p.yaml:4:7: window.kind: unknown value 'slidin'; did you mean 'sliding'?\n");
}

}  // namespace
}  // namespace wb
