#pragma once
// dataset: the records that came back, as rows with their waybill, in pages. The columns of one pipeline are the same
// in every page: the waybill's, then each value column of every schema it was ever sent with, in order of first sight.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/rows.h"
#include "hub.pb.h"

namespace wb::hub {

inline constexpr size_t kDatasetPageRowsMax = 50'000;
inline constexpr size_t kDatasetPageBytesMax = 8U << 20;
inline constexpr size_t kDatasetScanMax = 200'000;  // rows looked at per page, so that one call stays short

struct DatasetQuery {
  std::string pipeline;
  enum class Format : uint8_t { kCsv, kNdjson };
  Format format = Format::kNdjson;
  int64_t since_ms = INT64_MIN, until_ms = INT64_MAX;  // event time, [since, until)
  bool dead_letters = false;                           // those only; without it, the others only
  std::string node;                                    // "" = all
  std::string cursor;                                  // of the page before; "" = from the start
  size_t rows_max = 10'000;
};
struct DatasetPage {
  std::string text;         // CSV: with a header line on the first page
  std::string next_cursor;  // "" = this was the last page
  size_t rows_count = 0;
};
Result<DatasetPage> export_page(Rows& rows, const DatasetQuery& query);

struct DatasetInfo {
  std::string pipeline;
  pb::DatasetRow row;
};
std::vector<DatasetInfo> list_datasets(Rows& rows);

// "2026-11-23T14:00:00.123Z"; and back, from that, from Unix milliseconds, or from an age such as "7d" before `now_ms`.
std::string format_time(int64_t unix_ms);
Result<int64_t> parse_time(std::string_view text, int64_t now_ms);

}  // namespace wb::hub
