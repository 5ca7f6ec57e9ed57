#include "edge/source/source.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/prng.h"

namespace wb::source {
namespace {

constexpr int64_t kNow = 1'700'000'000'000;

ParserConfig config(Format format) {
  ParserConfig out;
  out.schema.fields = {{"V1", ColumnType::kNumber}, {"V2", ColumnType::kNumber}, {"unit", ColumnType::kText}};
  out.format = format;
  return out;
}
ParserConfig timed(Format format) {
  ParserConfig out = config(format);
  out.event_time = "ts";
  return out;
}
std::string rows_text(const Batch& batch) {
  std::string out;
  for (size_t i = 0; i < batch.rows_count(); ++i) out += batch.row_text(i) + "\n";
  return out;
}
std::string faults_text(const ParseOutcome& outcome) {
  std::string out;
  for (const RowFault& fault : outcome.faults) out += fault.text + "\n";
  return out;
}
ParseOutcome parse(const ParserConfig& how, std::string_view body) { return Parser(how).parse(body, kNow); }

TEST(Json, ObjectAndArray) {
  const auto one = parse(config(Format::kJson), R"({"V1": 1, "V2": -2.5e1, "unit": "a\u00e9"})");
  EXPECT_EQ(rows_text(one.batch), "V1=1 V2=-25 unit=a\u00e9\n");
  EXPECT_EQ(one.batch.event_time_ms[0], kNow);
  const auto many = parse(config(Format::kJson),
                          " [ {\"unit\":\"]}\\\"\",\"V1\":1,\"V2\":2} ,\n{\"V1\":3,\"V2\":null,\"unit\":null}]\n");
  EXPECT_EQ(faults_text(many), "");
  EXPECT_EQ(rows_text(many.batch), "V1=1 V2=2 unit=]}\"\nV1=3 V2=nan unit=\n");
  EXPECT_EQ(parse(config(Format::kJson), "[]").batch.rows_count(), 0U);
  EXPECT_EQ(parse(config(Format::kJson), "[]").faults_count, 0U);
}

TEST(Json, ABadRowNeverCostsAGoodOne) {
  const auto out = parse(config(Format::kNdjson),
                         "{\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n"
                         "{\"V1\":1,\"V2\":\"abc\",\"unit\":\"a\"}\r\n"
                         "\n"
                         "{\"V1\":1,\"V2\":2\n"
                         "{\"V1\":1,\"unit\":\"a\"}\n"
                         "{\"V1\":1,\"V2\":1e999,\"unit\":\"a\"}\n"
                         "{\"V1\":1,\"V2\":2,\"V2\":3,\"unit\":\"a\"}\n"
                         "{\"V1\":1,\"V2\":true,\"unit\":\"a\"}\n"
                         "{\"V1\":1,\"V2\":2,\"unit\":7}\n"
                         "[1]\n"
                         "{\"V1\":1,\"V2\":2,\"unit\":\"a\xff\"}\n"
                         "{\"V1\":9,\"V2\":2,\"unit\":\"z\"}");
  EXPECT_EQ(rows_text(out.batch), "V1=1 V2=2 unit=a\nV1=9 V2=2 unit=z\n");
  EXPECT_EQ(faults_text(out),
            "row 2: field 'V2': expected a number, got \"abc\"\n"
            "row 3: not valid JSON: expected {\"name\": value, …}\n"
            "row 4: field 'V2': is missing\n"
            "row 5: field 'V2': a number is malformed or out of range\n"
            "row 6: field 'V2': is given twice\n"
            "row 7: field 'V2': expected a number, got true\n"
            "row 8: field 'unit': expected text, got the number 7\n"
            "row 9: expected an object {\"name\": value, …}\n"
            "row 10: the text is not UTF-8\n");
  EXPECT_EQ(out.faults[0].row, 2U);
  EXPECT_EQ(out.faults[0].field, "V2");
  EXPECT_EQ(out.faults[0].raw, "{\"V1\":1,\"V2\":\"abc\",\"unit\":\"a\"}");
}

TEST(Json, BrokenArraysKeepWhatCameBefore) {
  const std::string good = R"({"V1":1,"V2":2,"unit":"a"})";
  auto out = parse(config(Format::kJson), "[" + good + ", {\"V1\": nope}, " + good + "]");
  EXPECT_EQ(out.batch.rows_count(), 2U);
  EXPECT_EQ(faults_text(out), "row 2: not valid JSON: a word that is not true, false or null\n");
  out = parse(config(Format::kJson), "[" + good + ",{\"V1\":1");
  EXPECT_EQ(out.batch.rows_count(), 1U);
  EXPECT_EQ(faults_text(out), "row 2: the array ends in the middle of this row: a bracket or quote is not closed\n");
  out = parse(config(Format::kJson), "[" + good + " " + good + "]");
  EXPECT_EQ(faults_text(out), "expected ',' or ']' after row 1; the rest was not read\n");
  out = parse(config(Format::kJson), "[" + good + "] x");
  EXPECT_EQ(faults_text(out), "there is text after the closing ']': \"x\"\n");
  out = parse(config(Format::kJson), "[" + good + ",]");
  EXPECT_EQ(out.batch.rows_count(), 1U);
  EXPECT_EQ(faults_text(out), "row 2: is empty\n");
  for (const char* bad : {"", "  ", "7", "nul", "\"x\""}) {
    out = parse(config(Format::kJson), bad);
    ASSERT_EQ(out.faults_count, 1U) << bad;
    EXPECT_EQ(out.faults[0].row, 0U);
  }
}

TEST(Json, ExtraFields) {
  ParserConfig how = config(Format::kNdjson);
  const std::string body = R"({"V1":1,"V22":[{"deep":1}],"V2":2,"unit":"a"})";
  EXPECT_EQ(parse(how, body).batch.rows_count(), 1U);
  how.refuse_extra = true;
  EXPECT_EQ(faults_text(parse(how, body)), "row 1: field 'V22': is not in the schema; did you mean 'V2'?\n");
}

TEST(Json, EventTime) {
  Parser parser(timed(Format::kNdjson));
  const auto out = parser.parse(
      "{\"ts\":1600000000123,\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n"
      "{\"ts\":\"2026-11-03T08:15:00.25+01:00\",\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n"
      "{\"ts\":\"yesterday\",\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n"
      "{\"ts\":-1,\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n"
      "{\"ts\":null,\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n"
      "{\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n",
      kNow);
  EXPECT_EQ(out.batch.event_time_ms, (std::vector<int64_t>{1'600'000'000'123, 1'793'690'100'250}));
  EXPECT_EQ(out.batch.columns.size(), 3U);
  EXPECT_EQ(faults_text(out),
            "row 3: field 'ts': expected the event time as RFC 3339 text or Unix milliseconds, got \"yesterday\"\n"
            "row 4: field 'ts': expected the event time in Unix milliseconds up to year 9999, got -1\n"
            "row 5: field 'ts': the event time is empty\n"
            "row 6: field 'ts': is missing\n");
}

TEST(Json, Limits) {
  const ParserConfig how = config(Format::kNdjson);
  std::string deep = "{\"V1\":1,\"V2\":2,\"unit\":\"a\",\"x\":" + std::string(40, '[') + std::string(40, ']') + "}";
  EXPECT_EQ(faults_text(parse(how, deep)), "row 1: nested deeper than 16\n");
  const std::string long_text = "{\"V1\":1,\"V2\":2,\"unit\":\"" + std::string(kTextBytesMax + 1, 'x') + "\"}";
  auto out = parse(how, long_text);
  EXPECT_EQ(faults_text(out), "row 1: field 'unit': text of 4097 bytes, at most 4096\n");
  EXPECT_EQ(out.faults[0].raw.size(), kRawBytesMax);
  const std::string long_row = "{\"V1\":1,\"V2\":2,\"unit\":\"a\",\"x\":\"" + std::string(kRowBytesMax, 'x') + "\"}";
  out = parse(how, long_row + "\n{\"V1\":1,\"V2\":2,\"unit\":\"a\"}");
  EXPECT_EQ(out.batch.rows_count(), 1U);
  EXPECT_EQ(out.faults_count, 1U);
  out = parse(how, std::string(kBodyBytesMax + 1, ' '));
  ASSERT_EQ(out.faults_count, 1U);
  EXPECT_EQ(out.faults[0].row, 0U);
  std::string many;
  for (size_t i = 0; i <= Batch::kRowsMax; ++i) many += "{\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n";
  many.resize(many.size() - 27);  // exactly kRowsMax again
  EXPECT_EQ(parse(how, many).batch.rows_count(), Batch::kRowsMax);
  out = parse(how, many + "{\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n");
  EXPECT_EQ(out.batch.rows_count(), 0U);
  EXPECT_EQ(faults_text(out), "more than 65536 rows in one body; send smaller bodies\n");
  out = parse(how, [] {
    std::string bad;
    for (int i = 0; i < 2000; ++i) bad += "x\n";
    return bad;
  }());
  EXPECT_EQ(out.faults.size(), kFaultsMax);
  EXPECT_EQ(out.faults_count, 2000U);
}

// Numbers at the ends of every width are what a double makes of them; what has none is a fault, not a wrapped value.
TEST(Json, NumbersAtTheEndsOfTheirWidths) {
  const auto csv = [](const std::string& number) {
    return parse(config(Format::kCsv), "V1,V2,unit\n" + number + ",2,a\n");
  };
  const auto json = [](const std::string& number) {
    return parse(config(Format::kJson), R"({"V1":)" + number + R"(,"V2":2,"unit":"a"})");
  };
  for (const char* text : {"2147483647", "2147483648", "2147483649", "-2147483648", "-2147483649", "4294967295",
                           "4294967297", "9007199254740993", "9223372036854775807", "9223372036854775808",
                           "-9223372036854775808", "18446744073709551615", "1e308", "-0", "4e-324"})
    for (const ParseOutcome& out : {csv(text), json(text)}) {
      ASSERT_EQ(out.batch.rows_count(), 1U) << text << ": " << faults_text(out);
      EXPECT_EQ(out.batch.columns[0].numbers[0], std::strtod(text, nullptr)) << text;
    }
  for (const char* text : {"1e309", "-1e309"})
    for (const ParseOutcome& out : {csv(text), json(text)}) EXPECT_EQ(out.faults_count, 1U) << text;
  for (const char* text : {"-9223372036854775809", "18446744073709551616"})  // no integer of 64 bits
    EXPECT_EQ(faults_text(json(text)), "row 1: field 'V1': a number is malformed or out of range\n");
  for (const char* ts : {"9223372036854775807", "-9223372036854775808", "9223372036854775808", "1e300"}) {
    const auto out = parse(timed(Format::kJson), R"({"V1":1,"V2":2,"unit":"a","ts":)" + std::string(ts) + "}");
    EXPECT_EQ(out.batch.rows_count() + out.faults_count, 1U) << ts;
  }
}

TEST(Json, DepthIsCountedNotRecursed) {
  const auto nested = [](size_t depth) {  // the row itself is one level
    return "{\"V1\":1,\"V2\":2,\"unit\":\"a\",\"x\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_EQ(parse(config(Format::kJson), nested(kJsonDepthMax)).batch.rows_count(), 1U);
  EXPECT_EQ(parse(config(Format::kJson), nested(kJsonDepthMax + 1)).faults_count, 1U);
  for (const char* open : {"[", "{\"a\":", "[{\"a\":"}) {
    std::string endless;
    while (endless.size() < kBodyBytesMax - 16) endless += open;
    EXPECT_EQ(parse(config(Format::kJson), endless).batch.rows_count(), 0U) << open;
    EXPECT_GE(parse(config(Format::kNdjson), endless).faults_count, 1U) << open;
  }
}

TEST(Csv, HeaderMapsColumnsInAnyOrder) {
  const auto out = parse(timed(Format::kCsv),
                         "\xEF\xBB\xBFunit, V2 ,note,\"V1\",ts\r\n"
                         "a, 2 ,x,1,1600000000000\r\n"
                         "\r\n"
                         "\"b, \"\"c\"\"\nd\",+3,,,2020-09-13T12:26:40Z\r\n"
                         ",NaN,\"\",-inf,1600000000000\n");
  EXPECT_EQ(faults_text(out), "");
  EXPECT_EQ(rows_text(out.batch), "V1=1 V2=2 unit=a\nV1=nan V2=3 unit=b, \"c\"\nd\nV1=-inf V2=nan unit=\n");
  EXPECT_EQ(out.batch.event_time_ms, (std::vector<int64_t>{1'600'000'000'000, 1'600'000'000'000, 1'600'000'000'000}));
}

TEST(Csv, ABadRowNeverCostsAGoodOne) {
  const auto out = parse(config(Format::kCsv),
                         "V1,V2,unit\n"
                         "1,abc,a\n"
                         "1,2\n"
                         "1,2,a,b\n"
                         "1,\"2\"x,a\n"
                         "1,2,a\"b\n"
                         "1,1e999,a\n"
                         "1,2,\xff\n"
                         "1,1e-999,ok\n"
                         "1,2,\"never closed\n"
                         "7,8,good\n");
  EXPECT_EQ(rows_text(out.batch), "V1=1 V2=0 unit=ok\nV1=7 V2=8 unit=good\n");
  EXPECT_EQ(faults_text(out),
            "row 1: field 'V2': expected a number, got \"abc\"\n"
            "row 2: 2 cells, the header has 3 columns\n"
            "row 3: 4 cells, the header has 3 columns\n"
            "row 4: text after the closing quote of a cell\n"
            "row 5: a quote inside a cell that does not begin with one (write \"a \"\"b\"\"\")\n"
            "row 6: field 'V2': '1e999' is out of range of a number\n"
            "row 7: the text is not UTF-8\n"
            "row 9: a quoted cell is not closed\n");
  EXPECT_EQ(out.faults[0].raw, "1,abc,a");
}

// The words that `waybill fit` takes for a missing number; a text keeps them.
TEST(Csv, WordsForMissing) {
  const auto out = parse(config(Format::kCsv), "V1,V2,unit\nNA,1,NA\n2, nan ,null\nNULL,NaN,\n,na,x\n5,nano,x\n");
  EXPECT_EQ(rows_text(out.batch),
            "V1=nan V2=1 unit=NA\nV1=2 V2=nan unit=null\nV1=nan V2=nan unit=\nV1=nan V2=nan unit=x\n");
  EXPECT_EQ(faults_text(out), "row 5: field 'V2': expected a number, got \"nano\"\n");
}

TEST(Csv, HeaderFaultsRefuseTheBodyOnce) {
  ParserConfig how = config(Format::kCsv);
  const auto text = [&](std::string_view body) {
    const auto out = parse(how, body);
    EXPECT_EQ(out.batch.rows_count(), 0U);
    EXPECT_EQ(out.faults_count, 1U);
    EXPECT_EQ(out.faults[0].row, 0U);
    return faults_text(out);
  };
  EXPECT_EQ(text("V1,V3,unit\n1,2,a\n"), "CSV header: column 'V2' is missing; did you mean 'V1'?\n");
  EXPECT_EQ(text("V1;V2;unit\n1;2;a\n"),
            "CSV header: column 'V1' is missing; its cells seem to be split by ';': split them by ','\n");
  EXPECT_EQ(text("V1\tV2\tunit\n1\t2\ta\n"),
            "CSV header: column 'V1' is missing; its cells seem to be split by tabs: split them by ','\n");
  EXPECT_EQ(text("V1,V2,V1,unit\n1,2,3,a\n"), "CSV header: column 'V1' stands there twice\n");
  EXPECT_EQ(text(""), "the body is empty; expected a CSV header row\n");
  how.refuse_extra = true;
  EXPECT_EQ(text("V1,V2,unit,unitt\n1,2,a,b\n"),
            "CSV header: column 'unitt' is not in the schema; did you mean 'unit'?\n");
}

TEST(Time, Rfc3339) {
  EXPECT_EQ(parse_rfc3339_ms("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_rfc3339_ms("2000-02-29T23:59:59.999999-00:30"), 951'870'599'999);
  EXPECT_EQ(parse_rfc3339_ms("1969-12-31T23:59:59Z"), -1000);
  for (const char* bad :
       {"", "2026", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00Zx", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00+1:00"})
    EXPECT_FALSE(parse_rfc3339_ms(bad)) << bad;
}

TEST(Formats, ByNameAndContentType) {
  EXPECT_EQ(format_by_name("csv"), Format::kCsv);
  EXPECT_FALSE(format_by_name("xml"));
  EXPECT_EQ(*format_by_content_type("Application/JSON; charset=utf-8"), Format::kJson);
  EXPECT_EQ(*format_by_content_type("application/x-ndjson"), Format::kNdjson);
  EXPECT_FALSE(format_by_content_type("text/html").ok());
}

// What is no row ends at its first newline, also when that stands inside quotes which are closed later: what follows is
// read anew, and must be so in pieces too.
TEST(Stream, AFaultyRowWithQuotesIsLeftAtItsFirstNewlineHoweverItIsCut) {
  for (const std::string rows : {"1,2,\"b\"\"\n\n3,4,\"two\nlines\"\n5,6,c\n", "1,2,\"a\n3,4,b\"x\n5,6,\"c\nd\"\n",
                                 "1,2,\"a\nb\",c\"d\n3,4,\"e\nf\"\n", "1,2,\"a\nb\"\r3,4,\"\n5,6,\"c\nd\"\n"})
    for (size_t size = 1; size < 40; ++size) {
      std::string seen[2];
      for (const size_t piece : {size_t{1'000}, size}) {
        Stream stream(config(Format::kCsv));
        std::string bytes = "\xEF\xBB\xBF\"V1\",V2,unit\n" + rows;
        std::string& out = seen[piece == size ? 1 : 0];
        for (; !bytes.empty(); bytes.erase(0, piece)) {
          const auto got = stream.feed(std::string_view(bytes).substr(0, piece), kNow);
          out += rows_text(got.batch);
        }
        out += rows_text(stream.finish(kNow).batch);
      }
      EXPECT_EQ(seen[0], seen[1]) << rows << " in pieces of " << size;
    }
}

// Whatever the bytes, and however they are cut: no crash, each row is either good or a fault, and good rows survive.
TEST(Property, StreamEqualsBodyHoweverItIsCut) {
  Prng prng(7);
  for (int round = 0; round < 200; ++round) {
    const Format format = round % 2 == 0 ? Format::kCsv : Format::kNdjson;
    std::string body = format == Format::kCsv ? "V1,V2,unit\n" : "";
    const uint64_t rows = prng.below(30);
    for (uint64_t i = 0; i < rows; ++i) {
      const std::string number = std::to_string(prng.below(100));
      const bool bad = prng.below(5) == 0;
      if (format == Format::kCsv)
        body += number + (bad ? ",x," : ",2,") + (prng.below(3) == 0 ? "\"q,\"\"\nz\"" : "plain") + "\n";
      else
        body += "{\"V1\":" + number + (bad ? ",\"V2\":2}\n" : ",\"V2\":2,\"unit\":\"a\"}\n");
    }
    const auto whole = parse(config(format), body);
    ASSERT_EQ(whole.batch.rows_count() + whole.faults_count, rows);
    Stream stream(config(format));
    std::string seen;
    std::string faults;
    const auto add = [&](const ParseOutcome& out) {
      seen += rows_text(out.batch);
      faults += faults_text(out);
    };
    for (size_t at = 0; at < body.size();) {
      const size_t piece = std::min<size_t>(body.size() - at, 1 + prng.below(20));
      add(stream.feed(std::string_view(body).substr(at, piece), kNow));
      at += piece;
      ASSERT_LE(stream.consumed_bytes(), at);
    }
    add(stream.finish(kNow));
    EXPECT_EQ(seen, rows_text(whole.batch));
    EXPECT_EQ(faults, faults_text(whole));
    EXPECT_EQ(stream.consumed_bytes(), body.size());
    EXPECT_EQ(stream.rows_seen(), rows);
  }
}

TEST(Property, MutilatedBytesNeverCrash) {
  Prng prng(11);
  const std::string seeds[] = {"[{\"V1\":1,\"V2\":2.5,\"unit\":\"a\"},{\"V1\":1,\"V2\":2,\"unit\":\"b\"}]",
                               "{\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n{\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n",
                               "V1,V2,unit\n1,2,\"a\"\"b\"\n3,4,c\n"};
  for (int round = 0; round < 3000; ++round) {
    const auto format = static_cast<Format>(round % 3);
    std::string body = seeds[round % 3];
    for (uint64_t i = 0, n = 1 + prng.below(4); i < n; ++i) {
      const size_t at = prng.below(body.size());
      if (prng.below(2) == 0)
        body[at] = static_cast<char>(prng.below(256));
      else
        body.erase(at, 1 + prng.below(3));
      if (body.empty()) body = "x";
    }
    const auto out = parse(timed(format), body);
    for (const RowFault& fault : out.faults) EXPECT_FALSE(fault.text.empty());
  }
}

TEST(Stream, OverLongLineIsAFaultAndReadingGoesOn) {
  Stream stream(config(Format::kNdjson));
  auto out = stream.feed(std::string(kRowBytesMax + 1, 'x'), kNow);
  EXPECT_EQ(faults_text(out), "row 1: no newline after 65536 bytes; skipped up to the next one\n");
  EXPECT_EQ(out.faults[0].raw.size(), kRawBytesMax);
  out = stream.feed("yyy", kNow);
  EXPECT_EQ(out.faults_count, 0U);
  out = stream.feed("y\n{\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n{", kNow);
  EXPECT_EQ(rows_text(out.batch), "V1=1 V2=2 unit=a\n");
  EXPECT_EQ(stream.rows_seen(), 2U);
}

TEST(Stream, OpenQuoteDoesNotSwallowTheFile) {
  Stream stream(config(Format::kCsv));
  auto out = stream.feed("V1,V2,unit\n1,2,\"open\n", kNow);
  EXPECT_EQ(out.batch.rows_count(), 0U);
  std::string lines;
  while (lines.size() <= kRowBytesMax) lines += "3,4,b\n";
  out = stream.feed(lines, kNow);
  size_t rows = out.batch.rows_count();
  uint64_t faults = out.faults_count;
  for (out = stream.feed("", kNow); out.batch.rows_count() > 0; out = stream.feed("", kNow))
    rows += out.batch.rows_count();
  EXPECT_EQ(rows, lines.size() / 6);
  EXPECT_EQ(faults, 1U);
}

// Whether a line is too long is decided by its bytes up to the newline, with spaces and \r, and so the same however
// they are cut.
TEST(Stream, ALineAtTheLimitReadsTheSameInOnePieceAndInTwo) {
  struct Shape {
    Format format;
    std::string before, first, last;  // what stands before the long line, and its ends
  };
  const std::string header = "V1,V2,unit\n";
  const Shape shapes[] = {{Format::kNdjson, "", "", ""},
                          {Format::kNdjson, "", "{\"V1\":1,\"V2\":2,\"unit\":\"a\"}", ""},
                          {Format::kNdjson, "", "\xEF\xBB\xBF{\"V1\":1,\"V2\":2,\"unit\":\"a\"}", ""},
                          {Format::kNdjson, "{}\n", "", "{\"V1\":1,\"V2\":2,\"unit\":\"a\"}"},
                          {Format::kCsv, header, "1,2,a,", ""},
                          {Format::kCsv, header, "1,2", ",a"},
                          {Format::kCsv, header, "1,2,\"", "\""},
                          {Format::kCsv, header, "1,2,\"\n", "\""},
                          {Format::kCsv, "", "V1,V2,unit", ""},
                          {Format::kCsv, "", "\xEF\xBB\xBFV1,V2,unit", ""}};
  const auto read = [](Format format, std::initializer_list<std::string_view> pieces) {
    Stream stream(config(format));
    std::string rows, faults;
    const auto add = [&](const ParseOutcome& out) {
      rows += rows_text(out.batch);
      for (const RowFault& fault : out.faults) faults += std::to_string(fault.row) + ' ';
    };
    for (const std::string_view piece : pieces) add(stream.feed(piece, kNow));
    add(stream.finish(kNow));
    return rows + "faults at " + faults;
  };
  for (const Shape& shape : shapes)
    for (size_t length = kRowBytesMax - 3; length <= kRowBytesMax + 3; ++length)
      for (const std::string_view end : {"\n", "\r\n", "\r", ""}) {
        std::string line = shape.first;
        line.append(length - shape.first.size() - shape.last.size(), ' ');
        line += shape.last;
        line += end;
        const std::string bytes = shape.before + line + (end.ends_with('\n') ? "{}\n5,6,b\n" : "");
        const std::string_view all = bytes;
        const std::string whole = read(shape.format, {all});
        const size_t begin = shape.before.size();
        for (size_t cut = begin + kRowBytesMax - 6; cut <= std::min(all.size(), begin + kRowBytesMax + 8); ++cut)
          ASSERT_EQ(read(shape.format, {all.substr(0, cut), all.substr(cut)}), whole)
              << "begins '" << shape.first << "', " << length << " bytes, cut at " << cut - begin;
      }
}

TEST(Stream, MoreRowsThanABatchHolds) {
  Stream stream(config(Format::kCsv));
  std::string lines = "V1,V2,unit\n";
  for (size_t i = 0; i < Batch::kRowsMax + 10; ++i) lines += "3,4,b\n";
  EXPECT_EQ(stream.feed(lines, kNow).batch.rows_count(), Batch::kRowsMax);
  ASSERT_TRUE(stream.pending());
  EXPECT_EQ(stream.feed("", kNow).batch.rows_count(), 10U);
  EXPECT_FALSE(stream.pending());
}

TEST(Stream, BadCsvHeaderMakesEveryRowAFault) {
  Stream stream(config(Format::kCsv));
  const auto out = stream.feed("V1,unit\n1,a\n2,b\n", kNow);
  EXPECT_EQ(out.batch.rows_count(), 0U);
  EXPECT_EQ(out.faults_count, 3U);  // the header, and each row with its raw text
  EXPECT_EQ(out.faults[2].raw, "2,b");
}

TEST(Stream, ACsvHeaderWithoutAnEndIsNotReplacedByTheNextRow) {
  Stream stream(config(Format::kCsv));
  EXPECT_EQ(faults_text(stream.feed(std::string(kRowBytesMax + 1, 'x'), kNow)),
            "CSV header: no newline after 65536 bytes; skipped up to the next one\n");
  const auto out = stream.feed("x\nV1,V2,unit\n1,2,a\n", kNow);
  EXPECT_EQ(out.batch.rows_count(), 0U);
  EXPECT_EQ(out.faults_count, 2U);
}

TEST(Stream, OnlyTheFirstBytesAreAByteOrderMark) {
  Stream stream(config(Format::kNdjson));
  const std::string row = "\xEF\xBB\xBF{\"V1\":1,\"V2\":2,\"unit\":\"a\"}\n";
  EXPECT_EQ(stream.feed(row, kNow).batch.rows_count(), 1U);
  EXPECT_EQ(stream.feed(row, kNow).faults_count, 1U);  // as it is when both come at once
}

TEST(Stream, AQuoteInsideAPlainCellHoldsNothingBack) {
  Stream stream(config(Format::kCsv));
  const auto out = stream.feed("V1,V2,unit\n1,2,x\"\"y\n3,4,b\n", kNow);
  EXPECT_EQ(rows_text(out.batch), "V1=3 V2=4 unit=b\n");
  EXPECT_EQ(out.faults_count, 1U);
}

// A file on a table: what the world would do with the plan. Ends at kWait, kDone.
struct Follower {
  struct File {
    uint64_t inode;
    std::string text;
  };
  FileTail tail;
  Stream stream{config(Format::kCsv)};
  std::optional<File*> open;
  std::string rows;
  uint64_t faults = 0;

  explicit Follower(FileTail plan) : tail(std::move(plan)) {}
  static FileSeen seen(const File& file) { return {{1, file.inode}, file.text.size()}; }
  void take(const ParseOutcome& out) {
    rows += rows_text(out.batch);
    faults += out.faults_count;
    tail.handed_on(stream.consumed_bytes(), stream.rows_seen(), stream.csv_header());
  }
  void poll(File* path) {
    while (true) {
      const auto action = tail.next(open ? std::optional(seen(**open)) : std::nullopt,
                                    path ? std::optional(seen(*path)) : std::nullopt);
      switch (action.kind) {
        case FileTail::Action::Kind::kOpen:
          open = path;
          if (tail.opened(seen(*path)))
            stream.resume(tail.state().csv_header, tail.state().rows);
          else
            stream.restart();
          break;
        case FileTail::Action::Kind::kRead:
          tail.took(action.length);
          take(stream.feed(std::string_view((*open)->text).substr(action.offset, action.length), kNow));
          break;
        case FileTail::Action::Kind::kRewind:
          stream.restart();
          tail.rewound();
          break;
        case FileTail::Action::Kind::kEnd:
          take(stream.finish(kNow));
          tail.closed();
          open.reset();
          break;
        default: return;
      }
    }
  }
};

TEST(FileTail, GrowsRotatesAndRestarts) {
  Follower::File first{10, "V1,V2,unit\n1,1,a\n2,2,"};
  Follower one(FileTail(FileTail::Mode::kTail, {}));
  one.poll(nullptr);
  one.poll(&first);
  EXPECT_EQ(one.rows, "V1=1 V2=1 unit=a\n");
  EXPECT_EQ(one.tail.state().offset, 17U);  // the half line is not handed on

  // The process dies here; the half line is read again, the header is remembered.
  const auto stored = FileTail::State::decode(one.tail.state().encode());
  ASSERT_TRUE(stored.ok());
  Follower two(FileTail(FileTail::Mode::kTail, *stored));
  first.text += "b\n3,x,c\n4,4,d";
  two.poll(&first);
  EXPECT_EQ(two.rows, "V1=2 V2=2 unit=b\n");
  EXPECT_EQ(two.faults, 1U);
  EXPECT_EQ(two.stream.rows_seen(), 3U);

  Follower::File second{11, "unit,V1,V2\ne,5,5\n"};
  two.poll(&second);  // the rest of the old file first, without a newline at its end
  EXPECT_EQ(two.rows, "V1=2 V2=2 unit=b\nV1=4 V2=4 unit=d\nV1=5 V2=5 unit=e\n");
  EXPECT_EQ(two.tail.counters().rotations, 1U);
  EXPECT_EQ(two.tail.counters().rotated_away, 0U);

  second.text = "V1,V2,unit\n6,6,f\n";
  second.text.resize(11);  // cut short
  two.poll(&second);
  second.text += "6,6,f\n";
  two.poll(&second);
  EXPECT_EQ(two.tail.counters().truncations, 1U);
  EXPECT_EQ(two.rows.substr(two.rows.size() - 17), "V1=6 V2=6 unit=f\n");
}

TEST(FileTail, ReplacedOrCutShortWhileAway) {
  FileTail::State state{{1, 10}, 500, 3, "V1,V2,unit\n", true};
  Follower::File fresh{11, "V1,V2,unit\n7,7,g\n"};
  Follower replaced(FileTail(FileTail::Mode::kTail, state));
  replaced.poll(&fresh);
  EXPECT_EQ(replaced.rows, "V1=7 V2=7 unit=g\n");
  EXPECT_EQ(replaced.tail.counters().rotated_away, 1U);
  fresh.inode = 10;
  Follower cut(FileTail(FileTail::Mode::kTail, state));
  cut.poll(&fresh);
  EXPECT_EQ(cut.rows, "V1=7 V2=7 unit=g\n");
  EXPECT_EQ(cut.tail.counters().truncations, 1U);
}

TEST(FileTail, OnceEnds) {
  Follower::File file{10, "V1,V2,unit\n1,1,a\n2,2,b"};
  Follower once(FileTail(FileTail::Mode::kOnce, {}));
  once.poll(&file);
  EXPECT_EQ(once.rows, "V1=1 V2=1 unit=a\nV1=2 V2=2 unit=b\n");
  EXPECT_EQ(once.tail.next(std::nullopt, std::nullopt).kind, FileTail::Action::Kind::kDone);
  Follower again(FileTail(FileTail::Mode::kOnce, once.tail.state()));  // restarted after the end: nothing twice
  again.poll(&file);
  EXPECT_EQ(again.rows, "");
  EXPECT_EQ(again.tail.next(std::nullopt, std::nullopt).kind, FileTail::Action::Kind::kDone);
}

TEST(FileTail, DamagedStateIsRefused) {
  for (const char* bad : {"2 1 1 1 1\n", "1 1 1\n", "1 a 1 1 1\n", "1 1 1 1 1", "1 1 1 1 -1\n"})
    EXPECT_FALSE(FileTail::State::decode(bad).ok()) << bad;
  EXPECT_TRUE(FileTail::State::decode("").ok());
}

// ---------------------------------------------------------------- components

Document scalar(std::string text) { return Document{Document::Kind::kScalar, std::move(text), false, {}, {}, {3, 7}}; }
Document map(std::vector<std::pair<std::string, Document>> entries) {
  Document out{Document::Kind::kMap, "", false, {}, {}, {2, 5}};
  for (auto& [key, value] : entries) out.entries.push_back({key, {2, 5}, std::move(value)});
  return out;
}
Document list(std::vector<Document> items) {
  return Document{Document::Kind::kList, "", false, std::move(items), {}, {1, 1}};
}

TEST(Components, ReadsAllKinds) {
  Problems problems;
  const auto sources =
      read_sources(list({map({{"http", map({})}}),
                         map({{"mqtt", map({{"url", scalar("mqtts://[::1]:8884")},
                                            {"topic", scalar("a/+/#")},
                                            {"version", scalar("3.1.1")}})}}),
                         map({{"file", map({{"path", scalar("in.csv")}, {"mode", scalar("once")}})}}),
                         map({{"http", map({{"path", scalar("/b")}})}}),
                         map({{"label", scalar("pipe")}, {"stdin", map({{"format", scalar("csv")}})}})}),
                   problems);
  EXPECT_EQ(problems.format("p.yaml"), "");
  ASSERT_EQ(sources.size(), 5U);
  EXPECT_EQ(sources[0].path, "/v1/records");
  EXPECT_EQ(sources[1].host, "::1");
  EXPECT_EQ(sources[1].port, 8884);
  EXPECT_EQ(sources[1].mqtt_version, 4);
  EXPECT_TRUE(sources[1].tls);
  EXPECT_EQ(sources[2].mode, FileTail::Mode::kOnce);
  EXPECT_EQ(sources[3].label, "http_2");
  EXPECT_EQ(sources[4].label, "pipe");
}

TEST(Components, ProblemsSayWhereAndWhat) {
  const auto text = [](const Document& component) {
    Problems problems;
    read_sources(list({component}), problems);
    return problems.format("p");
  };
  EXPECT_EQ(text(map({{"htp", map({})}})), "p:2:5: unknown source 'htp'; did you mean 'http'?\n");
  EXPECT_EQ(text(map({{"http", map({{"pth", scalar("/x")}})}})),
            "p:2:5: http: unknown key 'pth'; did you mean 'path'?\n");
  EXPECT_EQ(text(map({{"http", map({{"path", scalar("x")}})}})), "p:3:7: http.path: must begin with '/'\n");
  EXPECT_EQ(text(map({{"mqtt", map({{"url", scalar("tcp://a")}, {"topic", scalar("a#")}})}})),
            "p:3:7: mqtt.url: must begin with mqtt:// or mqtts://\n"
            "p:3:7: mqtt.topic: '+' must be a whole level and '#' the whole last level, as in plant/+/pump/#\n");
  EXPECT_EQ(text(map({{"mqtt", map({{"url", scalar("mqtt://a:0")},
                                    {"topic", scalar("a")},
                                    {"ca_file", scalar("x")},
                                    {"password_file", scalar("x")}})}})),
            "p:3:7: mqtt.url: the port must be 1 to 65535\np:3:7: mqtt.password_file: needs username\np:3:7: "
            "mqtt.ca_file: needs an mqtts:// url\n");
  EXPECT_NE(text(map({{"file", map({{"path", scalar("x")}, {"format", scalar("xml")}})}})).find("unknown value 'xml'"),
            std::string::npos);
  for (const Spec& spec : specs()) {
    EXPECT_FALSE(spec.summary.empty() || spec.example.empty() || spec.costs.empty()) << spec.name;
  }
}

}  // namespace
}  // namespace wb::source
