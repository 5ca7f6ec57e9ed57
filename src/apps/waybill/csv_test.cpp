#include "apps/waybill/csv.h"

#include <gtest/gtest.h>

#include <cmath>

namespace wb::cli {
namespace {

std::string refusal(const std::string& text) {
  const auto table = CsvTable::parse(text, "x.csv");
  return table.ok() ? "" : table.error().text;
}

TEST(Csv, ReadsQuotesLineEndsAndABlankTail) {
  const CsvTable table =
      std::move(CsvTable::parse("\xEF\xBB\xBF a ,b\r\n1,\"x,\"\"y\"\"\"\r\n\"2\",\"\"\n\n", "x.csv")).value();
  EXPECT_EQ(table.header(), (std::vector<std::string>{"a", "b"}));
  ASSERT_EQ(table.rows_count(), 2U);
  EXPECT_EQ(table.cell(0, 1), "x,\"y\"");
  EXPECT_EQ(table.cell(1, 0), "2");
  EXPECT_EQ(table.cell(1, 1), "");
}

TEST(Csv, LastRowNeedsNoLineEnd) {
  EXPECT_EQ(std::move(CsvTable::parse("a,b\n1,2\n3,", "x.csv")).value().rows_count(), 2U);
  EXPECT_EQ(std::move(CsvTable::parse("a,b\n1,2\n3,\"4\"", "x.csv")).value().cell(1, 1), "4");
}

TEST(Csv, ComplaintsNameRowAndColumn) {
  EXPECT_EQ(refusal("a,b\n1,2\n1\n"), "x.csv: row 2 has 1 cells, the header has 2");
  EXPECT_EQ(refusal("\n\na,b\n\n1,2\n\n1\n"), "x.csv: row 2 has 1 cells, the header has 2");
  EXPECT_EQ(refusal("a,a\n"), "x.csv: header, column 2: the name 'a' stands twice");
  EXPECT_NE(refusal("a,,b\n").find("column 2: the name is empty"), std::string::npos);
  EXPECT_NE(refusal("a\n\"open\n").find("row 1, cell 1: the quote is never closed"), std::string::npos);
  EXPECT_NE(refusal("a\n\"x\"y\n").find("text after the closing quote"), std::string::npos);
  EXPECT_NE(refusal("").find("the file is empty"), std::string::npos);
  const CsvTable table = std::move(CsvTable::parse("a,b\n1,2\n3,x\n5,1e99\n", "x.csv")).value();
  EXPECT_TRUE(table.numbers(0).ok());
  EXPECT_EQ(table.numbers(1).error().text, "x.csv: row 2, column 'b': 'x' is not a number");
}

TEST(Csv, NumbersKnowMissingAndRefuseInfinity) {
  const CsvTable table = std::move(CsvTable::parse("a,b,c\n1.5,1,inf\n,NA,1\n NaN ,null,1\n", "x.csv")).value();
  const std::vector<float> a = *table.numbers(0);
  EXPECT_EQ(a[0], 1.5F);
  EXPECT_TRUE(std::isnan(a[1]) && std::isnan(a[2]));
  EXPECT_TRUE(table.numbers(1).ok());
  EXPECT_NE(table.numbers(2).error().text.find("row 1, column 'c': 'inf' is not a finite"), std::string::npos);
}

TEST(Csv, FieldsAreQuotedOnlyWhenTheyMust) {
  EXPECT_EQ(csv_field("plain"), "plain");
  EXPECT_EQ(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
}

}  // namespace
}  // namespace wb::cli
