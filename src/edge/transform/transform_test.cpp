#include "edge/transform/transform.h"

#include <gtest/gtest.h>

#include <cmath>

#include "edge/transform/test_documents.h"

namespace wb::transform {
namespace {

Schema pump() { return Schema{{{"a", ColumnType::kNumber}, {"b", ColumnType::kNumber}, {"unit", ColumnType::kText}}}; }

Batch rows(std::vector<std::pair<double, double>> values) {
  Batch out = Batch::with_schema(pump());
  for (const auto& [a, b] : values) {
    out.columns[0].numbers.push_back(a);
    out.columns[1].numbers.push_back(b);
    out.columns[2].texts.push_back("u" + std::to_string(out.rows_count()));
    out.event_time_ms.push_back(1000 + static_cast<int64_t>(out.rows_count()));
  }
  return out;
}

Chain chain(const Document& transforms) {
  Problems problems;
  Chain out = Chain::build(transforms, pump(), problems);
  EXPECT_EQ(problems.format("p"), "");
  return out;
}
std::string problems_of(const Document& component) {
  Problems problems;
  Chain::build(list({component}), pump(), problems);
  return problems.format("p");
}
std::string text_of(const Batch& batch) {
  std::string out;
  for (size_t i = 0; i < batch.rows_count(); ++i) out += batch.row_text(i) + "\n";
  return out;
}

TEST(Chain, NoneHandsOn) {
  Chain none = chain(Document{});
  EXPECT_EQ(none.output_schema(), pump());
  EXPECT_EQ(text_of(none.run(rows({{1, 2}}), 0)), "a=1 b=2 unit=u0\n");
  EXPECT_TRUE(none.counters().empty());
  EXPECT_FALSE(none.holds_rows());
}

TEST(Chain, StepsFollowEachOther) {
  Chain all = chain(list({
      map({{"rename", map({{"fields", map({{"a", scalar("b")}, {"b", scalar("a")}})}})}}),  // a swap
      map({{"scale", map({{"fields", list({scalar("a")})}, {"factor", scalar("10")}, {"offset", scalar("1")}})}}),
      map({{"scale", map({{"fields", map({{"b", map({{"factor", scalar("2")}})}})}})}}),
      map({{"derive", map({{"fields", map({{"p", scalar("a*b")}, {"q", scalar("p > 40 ? sqrt(p) : -1")}})}})}}),
      map({{"filter", map({{"where", scalar("a > 0 && b != 6")}})}}),
      map({{"filter", map({{"where", scalar("a < 1000")}})}}),
      map({{"cast", map({{"fields", map({{"b", scalar("text")}})}})}}),
      map({{"select", map({{"fields", list({scalar("q"), scalar("unit"), scalar("b"), scalar("p")})}})}}),
  }));
  const Batch out = all.run(rows({{1, 2}, {3, 4}, {2, std::nan("")}, {0.5, 4}, {7, 1e6}}), 0);
  EXPECT_EQ(out.schema, all.output_schema());
  EXPECT_EQ(text_of(out), "q=6.48074069840786 unit=u0 b=2 p=42\nq=6.4031242374328485 unit=u3 b=1 p=41\n");
  EXPECT_EQ(out.event_time_ms, (std::vector<int64_t>{1000, 1003}));
  const std::vector<Count> expected = {
      {"filter", "filtered", 2}, {"filter_2", "filtered", 1}, {"cast", "not_a_number", 0}};
  EXPECT_EQ(all.counters(), expected);
}

TEST(Cast, TextThatIsNoNumberIsMissingAndCounted) {
  Chain cast = chain(
      list({map({{"label", scalar("to_number")}, {"cast", map({{"fields", map({{"unit", scalar("number")}})}})}})}));
  Batch in = rows({{1, 1}, {1, 1}, {1, 1}});
  in.columns[2].texts = {" 7 ", "x", ""};
  EXPECT_EQ(text_of(cast.run(std::move(in), 0)), "a=1 b=1 unit=7\na=1 b=1 unit=nan\na=1 b=1 unit=nan\n");
  EXPECT_EQ(cast.counters(), (std::vector<Count>{{"to_number", "not_a_number", 1}}));
}

TEST(Expressions, NonFiniteIsNotTrue) {
  Chain filter = chain(list({map({{"filter", map({{"where", scalar("a / b")}})}})}));
  EXPECT_EQ(text_of(filter.run(rows({{0, 0}, {1, 0}, {0, 1}, {2, 1}}), 0)), "a=1 b=0 unit=u1\na=2 b=1 unit=u3\n");
}

TEST(Problems, SayWhereAndWhat) {
  const auto one = [](const char* name, Document body) { return problems_of(map({{name, std::move(body)}})); };
  EXPECT_EQ(one("fiter", map({})), "p:2:5: unknown transform 'fiter'; did you mean 'filter'?\n");
  EXPECT_EQ(one("filter", map({{"were", scalar("a")}})),
            "p:2:5: filter: unknown key 'were'; did you mean 'where'?\n"
            "p:2:5: filter.where: is required: expression over number columns; see derive for its grammar\n");
  EXPECT_EQ(one("select", map({{"fields", list({scalar("a"), scalar("unti")})}})),
            "p:3:7: select: there is no column 'unti' here; did you mean 'unit'?\n");
  EXPECT_EQ(one("select", map({{"fields", list({scalar("a"), scalar("a")})}})),
            "p:3:7: select: there is a column 'a' already; 'rename' that one or choose another name\n");
  EXPECT_EQ(one("rename", map({{"fields", map({{"a", scalar("b")}})}})),
            "p:2:5: rename: there is a column 'b' already; 'rename' that one or choose another name\n");
  EXPECT_EQ(one("cast", map({{"fields", map({{"a", scalar("numbr")}})}})),
            "p:3:7: cast: unknown type 'numbr'; did you mean 'number'?\n");
  EXPECT_EQ(one("scale", map({{"fields", list({scalar("unit")})}})),
            "p:3:7: scale: column 'unit' holds text; 'cast' it to number first\n");
  EXPECT_EQ(one("scale", map({{"fields", map({{"a", map({{"facto", scalar("2")}})}})}})),
            "p:2:5: scale.fields: unknown key 'facto'; did you mean 'factor'?\n");
  EXPECT_EQ(one("filter", map({{"where", scalar("unit > 3")}})),
            "p:3:7: filter.where: column 'unit' holds text; 'cast' it to number first\n");
  EXPECT_EQ(one("filter", map({{"where", scalar("aa > 3")}})),
            "p:3:7: filter.where: there is no column 'aa' here; did you mean 'a'?\n");
  EXPECT_EQ(one("filter", map({{"where", scalar("a = 3")}})),
            "p:3:7: filter.where: 'a = 3': a single '=' would assign; write '==' to compare\n");
  EXPECT_EQ(one("filter", map({{"where", scalar("unit == \"x\"")}})),
            "p:3:7: filter.where: 'unit == \"x\"': expressions work on numbers; text in quotes cannot be compared\n");
  EXPECT_EQ(one("filter", map({{"where", scalar("a, b")}})),
            "p:3:7: filter.where: 'a, b': expected one value, got 2 (a ',' outside of a function?)\n");
  for (const char* bad : {"", "a +", "(a", "a b", "foo(a)", "a >", "min()", "1 ? 2"})
    EXPECT_NE(one("filter", map({{"where", scalar(bad)}})).find("p:3:7: filter.where: '"), std::string::npos) << bad;
  EXPECT_EQ(one("derive", map({{"fields", map({{"a", scalar("b")}})}})),
            "p:2:5: derive: there is a column 'a' already; 'rename' that one or choose another name\n");
  EXPECT_NE(one("derive", map({{"fields", map({{"c", scalar(std::string(2000, '1'))}})}})).find("longer than 1024"),
            std::string::npos);
}

TEST(Specs, AreComplete) {
  EXPECT_EQ(specs().size(), 7U);
  for (const Spec& spec : specs())
    EXPECT_FALSE(spec.summary.empty() || spec.example.empty() || spec.costs.empty()) << spec.name;
}

}  // namespace
}  // namespace wb::transform
