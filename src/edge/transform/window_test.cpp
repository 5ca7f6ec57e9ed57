#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/bytes.h"
#include "base/prng.h"
#include "edge/transform/test_documents.h"
#include "edge/transform/transform.h"

namespace wb::transform {
namespace {

Schema sensors() {
  return Schema{{{"x", ColumnType::kNumber}, {"unit", ColumnType::kText}, {"site", ColumnType::kNumber}}};
}

struct Row {
  int64_t time_ms;
  double x;
  std::string unit = "u";
  double site = 0;
};

Batch batch_of(const std::vector<Row>& rows) {
  Batch out = Batch::with_schema(sensors());
  for (const Row& row : rows) {
    out.columns[0].numbers.push_back(row.x);
    out.columns[1].texts.push_back(row.unit);
    out.columns[2].numbers.push_back(row.site);
    out.event_time_ms.push_back(row.time_ms);
  }
  return out;
}

using Settings = std::vector<std::pair<std::string, std::string>>;
Document window(const Settings& settings, const Settings& fields) {
  std::vector<std::pair<std::string, Document>> body;
  for (const auto& [key, value] : settings) body.emplace_back(key, scalar(value));
  std::vector<std::pair<std::string, Document>> outputs;
  for (const auto& [key, value] : fields) outputs.emplace_back(key, scalar(value));
  body.emplace_back("fields", map(outputs));
  return list({map({{"window", map(body)}})});
}
Chain chain(const Settings& settings, const Settings& fields) {
  Problems problems;
  Chain out = Chain::build(window(settings, fields), sensors(), problems);
  EXPECT_EQ(problems.format("p"), "");
  return out;
}
std::string text_of(const Batch& batch) {
  std::string out;
  for (size_t i = 0; i < batch.rows_count(); ++i)
    out += std::to_string(batch.event_time_ms[i]) + ": " + batch.row_text(i) + "\n";
  return out;
}
uint64_t count_of(const Chain& of, std::string_view reason) {
  for (const Count& count : of.counters())
    if (count.reason == reason) return count.count;
  ADD_FAILURE() << "no counter " << reason;
  return 0;
}

TEST(Window, TumblingStatistics) {
  Chain w = chain({{"every", "10ms"}}, {{"n", "count()"},
                                        {"p", "count(x)"},
                                        {"m", "mean(x)"},
                                        {"s", "std( x )"},
                                        {"lo", "min(x)"},
                                        {"hi", "max(x)"},
                                        {"r", "rms(x)"},
                                        {"k", "slope(x)"},
                                        {"q", "quantile(x, 0.5)"}});
  EXPECT_TRUE(w.holds_rows());
  EXPECT_EQ(text_of(w.run(batch_of({{0, 1}, {5, 3}, {9, std::nan("")}}), 0)), "");
  EXPECT_EQ(text_of(w.run(batch_of({{10, 7}}), 0)), "10: n=3 p=2 m=2 s=1 lo=1 hi=3 r=2.23606797749979 k=400 q=2\n");
  EXPECT_EQ(text_of(w.flush(0)), "20: n=1 p=1 m=7 s=0 lo=7 hi=7 r=7 k=nan q=7\n");
  EXPECT_EQ(text_of(w.flush(0)), "");
}

TEST(Window, AllMissingIsMissing) {
  Chain w = chain({{"every", "10ms"}}, {{"n", "count()"}, {"m", "mean(x)"}, {"q", "quantile(x,1)"}, {"hi", "max(x)"}});
  w.run(batch_of({{0, std::nan("")}}), 0);
  EXPECT_EQ(text_of(w.flush(0)), "10: n=1 m=nan q=nan hi=nan\n");
}

TEST(Window, InfinityStaysNotFinite) {
  Chain w = chain({{"every", "10ms"}}, {{"m", "mean(x)"}, {"s", "std(x)"}, {"hi", "max(x)"}});
  w.run(batch_of({{0, 1}, {1, HUGE_VAL}}), 0);
  const Batch out = w.flush(0);
  EXPECT_FALSE(std::isfinite(out.columns[0].numbers[0]));
  EXPECT_FALSE(std::isfinite(out.columns[1].numbers[0]));
  EXPECT_FALSE(std::isfinite(out.columns[2].numbers[0]));
}

TEST(Window, SmallSignalOnALargeOffset) {
  Chain w = chain({{"every", "1s"}}, {{"s", "std(x)"}});
  std::vector<Row> rows;
  for (int i = 0; i < 100; ++i) rows.push_back({i, 1e9 + (i % 2)});
  w.run(batch_of(rows), 0);
  EXPECT_EQ(w.flush(0).columns[0].numbers[0], 0.5);
}

TEST(Window, SlidingLatenessAndOrder) {
  Chain w = chain({{"every", "10ms"}, {"length", "20ms"}, {"lateness", "5ms"}, {"by", "unit"}}, {{"n", "count()"}});
  EXPECT_EQ(w.output_schema().names(), (std::vector<std::string>{"unit", "n"}));
  EXPECT_EQ(text_of(w.run(batch_of({{12, 1, "b"}, {3, 1, "c"}, {14, 1, "a"}}), 0)), "");  // 3 is out of order, not late
  EXPECT_EQ(text_of(w.run(batch_of({{15, 1, "b"}}), 0)), "10: unit=c n=1\n");
  EXPECT_EQ(text_of(w.run(batch_of({{9, 1, "b"}, {25, 1, "a"}, {9, 1, "b"}}), 0)),
            "20: unit=a n=1\n20: unit=b n=3\n20: unit=c n=1\n");  // the first 9 counts in [0,20) only
  EXPECT_EQ(count_of(w, "late"), 1U);                             // the second 9 counts nowhere
  EXPECT_EQ(text_of(w.flush(0)), "30: unit=a n=2\n30: unit=b n=2\n40: unit=a n=1\n");
}

TEST(Window, KeysByNumberSortedMissingLast) {
  Chain w = chain({{"every", "10ms"}, {"by", "site"}}, {{"n", "count()"}});
  w.run(batch_of({{0, 1, "", std::nan("")},
                  {0, 1, "", 2},
                  {0, 1, "", -0.0},
                  {0, 1, "", 0.0},
                  {0, 1, "", std::nan("")},
                  {0, 1, "", -3}}),
        0);
  EXPECT_EQ(text_of(w.flush(0)), "10: site=-3 n=1\n10: site=0 n=2\n10: site=2 n=1\n10: site=nan n=2\n");
}

TEST(Window, OldestKeyIsClosedEarlyAndCounted) {
  Chain w = chain({{"every", "10ms"}, {"by", "unit"}, {"keys", "2"}}, {{"n", "count()"}});
  EXPECT_EQ(text_of(w.run(batch_of({{0, 1, "a"}, {1, 1, "b"}, {2, 1, "a"}, {3, 1, "c"}}), 0)), "10: unit=b n=1\n");
  EXPECT_EQ(count_of(w, "keys_evicted"), 1U);
  EXPECT_EQ(text_of(w.flush(0)), "10: unit=a n=2\n10: unit=c n=1\n");
}

TEST(Window, ManyKeysStayWithinTheirMemory) {
  Chain w = chain({{"every", "1h"}, {"by", "site"}, {"keys", "65536"}},
                  {{"a", "mean(x)"}, {"b", "mean(site)"}, {"q", "quantile(x, 0.5)"}});
  size_t out = 0;
  constexpr int kKeys = 200'000;
  for (int from = 0; from < kKeys; from += 50'000) {
    std::vector<Row> rows;
    for (int i = from; i < from + 50'000; ++i) rows.push_back({1, 1, "", static_cast<double>(i)});
    out += w.run(batch_of(rows), 0).rows_count();
  }
  EXPECT_GE(count_of(w, "keys_evicted"), 200'000U - 65'536U);
  Batch rest = w.flush(0);
  out += rest.rows_count();
  EXPECT_EQ(out, static_cast<size_t>(kKeys));
}

TEST(Window, QuantileValuesAreBoundedAndCounted) {
  Chain w = chain({{"every", "1h"}}, {{"q", "quantile(x, 1)"}, {"hi", "max(x)"}});
  std::vector<Row> rows;
  for (size_t i = 0; i < kQuantileRowsMax + 5; ++i) rows.push_back({1, static_cast<double>(i)});
  w.run(batch_of(rows), 0);
  EXPECT_EQ(count_of(w, "quantile_overflow"), 5U);
  EXPECT_EQ(text_of(w.flush(0)), "3600000: q=4095 hi=4100\n");
}

TEST(Window, EventTimesFarAheadCanBeRefused) {
  Chain w = chain({{"every", "10ms"}, {"ahead", "1s"}}, {{"n", "count()"}});
  EXPECT_EQ(text_of(w.run(batch_of({{0, 1}, {999'999, 1}, {5, 1}}), 0)), "");
  EXPECT_EQ(count_of(w, "ahead"), 1U);
  EXPECT_EQ(count_of(w, "late"), 0U);
  EXPECT_EQ(text_of(w.flush(0)), "10: n=2\n");
}

TEST(Window, MoreClosedThanABatchHolds) {
  Chain w = chain({{"every", "1ms"}, {"length", "100ms"}}, {{"n", "count()"}});
  std::vector<Row> rows;
  for (int64_t i = 0; i < 1000; ++i) rows.push_back({i * 1000, 1});
  size_t out = w.run(batch_of(rows), 0).rows_count();
  EXPECT_EQ(out, Batch::kRowsMax);
  while (w.pending()) out += w.run(batch_of({}), 0).rows_count();
  out += w.flush(0).rows_count();
  EXPECT_EQ(out, 100'000U);
  EXPECT_EQ(count_of(w, "overflow"), 0U);
}

// ---------------------------------------------------------------- the slow twin

struct Twin {
  int64_t every, length, lateness;
  struct Closed {
    int64_t end;
    std::string unit;
    std::vector<Row> rows;
  };
  std::vector<Closed> answer(const std::vector<Row>& rows, uint64_t& late) const {
    std::map<std::pair<int64_t, std::string>, std::vector<Row>> windows;  // (end, unit): the order of the output
    int64_t newest = INT64_MIN / 2;
    for (const Row& row : rows) {
      newest = std::max(newest, row.time_ms);
      bool counted = false;
      for (int64_t start = -every * length; start <= row.time_ms; start += every) {
        if (start + length <= row.time_ms || start + length <= newest - lateness) continue;
        windows[{start + length, row.unit}].push_back(row);
        counted = true;
      }
      late += counted ? 0 : 1;
    }
    std::vector<Closed> out;
    for (auto& [key, taken] : windows) out.push_back({key.first, key.second, taken});
    return out;
  }
};

struct Facts {
  double mean = 0, std = 0, min = 0, max = 0, rms = 0, slope = 0, median = 0, p90 = 0;
  explicit Facts(const std::vector<Row>& rows) {
    const auto n = static_cast<double>(rows.size());
    double mean_t = 0, squares = 0, cross = 0, spread = 0;
    std::vector<double> sorted;
    for (const Row& row : rows) {
      mean += row.x / n;
      mean_t += static_cast<double>(row.time_ms) / 1000 / n;
      squares += row.x * row.x / n;
      sorted.push_back(row.x);
    }
    for (const Row& row : rows) {
      std += (row.x - mean) * (row.x - mean) / n;
      const double t = static_cast<double>(row.time_ms) / 1000 - mean_t;
      cross += t * (row.x - mean);
      spread += t * t;
    }
    std = std::sqrt(std);
    rms = std::sqrt(squares);
    slope = spread > 1e-12 ? cross / spread : std::nan("");
    std::sort(sorted.begin(), sorted.end());
    min = sorted.front();
    max = sorted.back();
    const auto quantile = [&](double q) {
      const double place = (n - 1) * q;
      const double low = std::floor(place);
      const double high = std::ceil(place);
      return sorted[static_cast<size_t>(low)] +
             (place - low) * (sorted[static_cast<size_t>(high)] - sorted[static_cast<size_t>(low)]);
    };
    median = quantile(0.5);
    p90 = quantile(0.9);
  }
};

void expect_near(double got, double wanted, const char* what, uint64_t seed) {
  if (std::isnan(wanted))
    EXPECT_TRUE(std::isnan(got)) << what << " seed " << seed;
  else
    EXPECT_NEAR(got, wanted, 1e-6 * std::max(1.0, std::fabs(wanted))) << what << " seed " << seed;
}

TEST(Window, EqualsItsSlowTwinHoweverTheInputIsCut) {
  for (uint64_t seed = 1; seed <= 150; ++seed) {
    Prng prng(seed);
    Twin twin{};
    twin.every = 1 + static_cast<int64_t>(prng.below(20));
    twin.length = prng.below(2) == 0 ? twin.every : twin.every + static_cast<int64_t>(prng.below(40));
    twin.lateness = static_cast<int64_t>(prng.below(30));
    std::vector<Row> rows;
    int64_t now = 0;
    for (uint64_t i = 0, n = prng.below(150); i < n; ++i) {
      now += static_cast<int64_t>(prng.below(8));
      const int64_t back = static_cast<int64_t>(prng.below(25));
      rows.push_back({std::max<int64_t>(0, now - back), 100 + static_cast<double>(prng.below(1000)) / 8,
                      std::string(1, static_cast<char>('a' + prng.below(3)))});
    }
    Chain w = chain({{"every", std::to_string(twin.every) + "ms"},
                     {"length", std::to_string(twin.length) + "ms"},
                     {"lateness", std::to_string(twin.lateness) + "ms"},
                     {"by", "unit"}},
                    {{"n", "count()"},
                     {"mean", "mean(x)"},
                     {"std", "std(x)"},
                     {"min", "min(x)"},
                     {"max", "max(x)"},
                     {"rms", "rms(x)"},
                     {"slope", "slope(x)"},
                     {"median", "quantile(x, 0.5)"},
                     {"p90", "quantile(x, 0.9)"}});
    Batch got = Batch::with_schema(w.output_schema());
    const auto take = [&](const Batch& out) {
      for (size_t i = 0; i < out.rows_count(); ++i) got.append_row_of(out, i);
    };
    for (size_t at = 0; at < rows.size();) {
      const size_t piece = std::min<size_t>(rows.size() - at, 1 + prng.below(40));
      take(w.run(batch_of({rows.begin() + static_cast<std::ptrdiff_t>(at),
                           rows.begin() + static_cast<std::ptrdiff_t>(at + piece)}),
                 0));
      at += piece;
    }
    take(w.flush(0));
    uint64_t late = 0;
    const auto wanted = twin.answer(rows, late);
    EXPECT_EQ(count_of(w, "late"), late) << "seed " << seed;
    ASSERT_EQ(got.rows_count(), wanted.size()) << "seed " << seed;
    for (size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(got.event_time_ms[i], wanted[i].end) << "seed " << seed;
      ASSERT_EQ(got.columns[0].texts[i], wanted[i].unit) << "seed " << seed;
      const Facts facts(wanted[i].rows);
      const double values[] = {static_cast<double>(wanted[i].rows.size()),
                               facts.mean,
                               facts.std,
                               facts.min,
                               facts.max,
                               facts.rms,
                               facts.slope,
                               facts.median,
                               facts.p90};
      for (size_t column = 0; column < 9; ++column)
        expect_near(got.columns[column + 1].numbers[i], values[column], got.schema.fields[column + 1].name.c_str(),
                    seed);
    }
  }
}

// ---------------------------------------------------------------- configuration

std::string problems_of(const Settings& settings, const Settings& fields) {
  Problems problems;
  Chain::build(window(settings, fields), sensors(), problems);
  return problems.format("p");
}

TEST(Window, ProblemsSayWhereAndWhat) {
  const Settings good = {{"n", "count()"}};
  EXPECT_NE(problems_of({}, good).find("window.every: is required"), std::string::npos);
  EXPECT_NE(problems_of({{"every", "0"}}, good).find("out of range"), std::string::npos);
  EXPECT_EQ(problems_of({{"every", "5s"}, {"length", "1s"}}, good),
            "p:3:7: window.length: must not be shorter than every: rows between the windows would be lost\n");
  EXPECT_EQ(
      problems_of({{"every", "1s"}, {"length", "1h"}}, good),
      "p:3:7: window.length: a row would belong to 3600 windows, at most 128; raise every\n"
      "p:2:5: window.lateness: 3602 windows would be open at a time, at most 1024; raise every or lower lateness\n");
  EXPECT_EQ(problems_of({{"every", "1s"}, {"by", "unti"}}, good),
            "p:3:7: window.by: there is no column 'unti' here; did you mean 'unit'?\n");
  EXPECT_EQ(problems_of({{"every", "1s"}}, {{"m", "meen(x)"}}),
            "p:3:7: window.m: unknown statistic 'meen'; did you mean 'mean'?\n");
  EXPECT_EQ(problems_of({{"every", "1s"}}, {{"m", "mean(y)"}}),
            "p:3:7: window.m: there is no column 'y' here; did you mean 'x'?\n");
  EXPECT_EQ(problems_of({{"every", "1s"}}, {{"m", "mean(unit)"}}),
            "p:3:7: window.m: column 'unit' holds text; 'cast' it to number first\n");
  EXPECT_EQ(problems_of({{"every", "1s"}}, {{"m", "x"}}),
            "p:3:7: window.m: expected a statistic such as mean(x), got 'x'\n");
  for (const char* bad : {"quantile(x)", "quantile(x, 2)", "quantile(x, half)", "quantile(x, nan)"})
    EXPECT_EQ(problems_of({{"every", "1s"}}, {{"m", bad}}),
              "p:3:7: window.m: quantile takes a column and a number from 0 to 1, as in quantile(x, 0.95)\n");
  EXPECT_NE(problems_of({{"every", "1s"}, {"by", "unit"}}, {{"unit", "count()"}}).find("already"), std::string::npos);
  EXPECT_NE(problems_of({{"every", "1s"}}, {}).find("names no output column"), std::string::npos);
}

}  // namespace
}  // namespace wb::transform
