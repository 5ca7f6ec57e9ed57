#include "import/json.h"

#include <gtest/gtest.h>

#include <cmath>

#include "import/import.h"

namespace wb::imports {
namespace {

std::string error_of(const Result<Json>& json) { return json.ok() ? "" : json.error().text; }

TEST(Json, ReadsEveryKindOfValue) {
  const auto json =
      parse_json(R"( {"a": [1, -2.5e3, true, NaN], "b": {"c": "x\n\u00e9\ud83d\ude00"}, "d": null, "e": [1, "y"],
    "f": [], "g": Infinity} )",
                 Decimals::kF64);
  ASSERT_TRUE(json.ok()) << error_of(json);
  const JsonView view(*json);
  const auto numbers = view.field("a")->numbers();
  ASSERT_TRUE(numbers.ok());
  EXPECT_EQ((*numbers)[1], -2500);
  EXPECT_EQ((*numbers)[2], 1);
  EXPECT_TRUE(std::isnan((*numbers)[3]));
  EXPECT_EQ(*view.field("b")->field("c")->text(), "x\n\xC3\xA9\xF0\x9F\x98\x80");
  EXPECT_TRUE(view.field("d")->is_null());
  const auto items = view.field("e")->items();
  ASSERT_TRUE(items.ok());
  EXPECT_EQ(*(*items)[0].number(), 1);
  EXPECT_EQ(*(*items)[1].text(), "y");
  EXPECT_TRUE(view.field("f")->items()->empty());
  EXPECT_TRUE(view.field("f")->numbers()->empty());
  EXPECT_EQ(*view.field("g")->number(), HUGE_VAL);
}

TEST(Json, AFaultSaysThePathAndTheByte) {
  const auto json = parse_json(R"({"a": {"b": [{"c": "x"}]}})", Decimals::kF64);
  const auto items = JsonView(*json).field("a")->field("b")->items();
  EXPECT_EQ((*items)[0].field("c")->number().error().text, "/a/b/0/c (byte 19): is no number");
  EXPECT_EQ((*items)[0].field("d").error().text, "/a/b/0 (byte 13): has no 'd'");
}

// A decimal that lies so close to the middle between two f32 that reading it as f64 first rounds the wrong way.
TEST(Json, DecimalsAreRoundedOnce) {
  constexpr std::string_view kText = "1.000000059604644775390625000000000000001";
  EXPECT_EQ(*JsonView(*parse_json(kText, Decimals::kF32)).number(), static_cast<double>(std::nextafter(1.0F, 2.0F)));
  EXPECT_EQ(static_cast<float>(*JsonView(*parse_json(kText, Decimals::kF64)).number()), 1.0F);
}

TEST(Json, RefusesWhatIsNoJson) {
  const auto error = [](std::string_view text) { return error_of(parse_json(text, Decimals::kF64)); };
  EXPECT_EQ(error(""), "byte 0: the file ends in the middle");
  EXPECT_EQ(error("{\"a\": 1"), "byte 7: expected ',' or '}'");
  EXPECT_EQ(error("[1 2]"), "byte 3: expected ',' or ']'");
  EXPECT_EQ(error("[1,]"), "byte 3: expected a value");
  EXPECT_EQ(error("{} x"), "byte 3: text after the end of the model");
  EXPECT_EQ(error("\"abc"), "byte 0: a text that is never closed");
  EXPECT_EQ(error("\"\\q\""), "byte 2: an escape that JSON does not have");
  EXPECT_EQ(error("\"\\ud800\""), "byte 7: half a surrogate pair");
  EXPECT_EQ(error("1e999"), "byte 0: '1e999' is not a number, or too large for one");
  EXPECT_EQ(error(R"({"a":1,"b":2,"a":3})"), "byte 17: the key 'a' stands twice in one object");
  EXPECT_EQ(error(std::string(300, '[')), "byte 201: nested deeper than 200");
}

std::string long_of(uint64_t value) {  // type and bytes
  std::string out = "L";
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
  return out;
}

TEST(Ubjson, ReadsEveryKindOfValue) {
  using namespace std::string_literals;
  const std::string bytes = "{"s + long_of(1) + "a[$d#" + long_of(2) + "\x3F\x80\0\0\xC0\0\0\0"s + "i\x01" +
                            "bSi\x02xy" + "i\x01" + "c[i\xFF" + "U\xFF" + "I\x80\0"s + "l\0\0\0\x07"s + "T]" + "i\x01" +
                            "d[#i\x02" + "ZSi\x01q" + "i\x01" + "eD\x40\x09\x21\xFB\x54\x44\x2D\x18" + "N}";
  const auto json = parse_ubjson(bytes);
  ASSERT_TRUE(json.ok()) << error_of(json);
  const JsonView view(*json);
  EXPECT_EQ((*view.field("a")->numbers())[0], 1);
  EXPECT_EQ((*view.field("a")->numbers())[1], -2);
  EXPECT_EQ(*view.field("b")->text(), "xy");
  const auto numbers = *view.field("c")->numbers();
  EXPECT_EQ(std::vector<double>(numbers.begin(), numbers.end()), (std::vector<double>{-1, 255, -32768, 7, 1}));
  EXPECT_EQ(view.field("d")->items()->size(), 2U);
  EXPECT_EQ(*view.field("e")->number(), 3.141592653589793);
}

// A length that the bytes cannot hold must not be believed: what it promises is never allocated.
TEST(Ubjson, RefusesLengthsThatLie) {
  const auto error = [](const std::string& bytes) { return error_of(parse_ubjson(bytes)); };
  EXPECT_EQ(error("[$d#" + long_of(uint64_t{1} << 60)), "byte 13: a count that the file is too short for");
  EXPECT_EQ(error("[$Z#" + long_of(uint64_t{1} << 60)),
            "byte 3: a list of what takes no bytes, or of a type that is not known");
  EXPECT_EQ(error("[#" + long_of(uint64_t{1} << 60)), "byte 11: a count that the file is too short for");
  EXPECT_EQ(error("S" + long_of(5) + "abc"), "byte 10: a text that is longer than the file");
  EXPECT_EQ(error("S" + long_of(~uint64_t{0})), "byte 10: a length below 0");
  EXPECT_EQ(error("[i\x01"), "byte 3: the file ends in the middle");
  EXPECT_EQ(error(std::string(300, '[')), "byte 201: nested deeper than 200");
  EXPECT_EQ(error("Hi\x01"
                  "1"),
            "byte 1: a type that is not known, or not read here");
}

TEST(Json, FindsAKeyOfTheOutermostObject) {
  EXPECT_TRUE(json_has_key(R"({"a": {"b": 1}, "learner" : 2})", "learner"));
  EXPECT_FALSE(json_has_key(R"({"a": {"learner": 1}, "b": "learner", "c": "\"learner\":"})", "learner"));
  EXPECT_FALSE(json_has_key("\"learner", "learner"));
}

}  // namespace
}  // namespace wb::imports
