#include "hub/api/dataset.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "base/bytes.h"
#include "base/civil_days.h"
#include "base/json_text.h"
#include "base/typed_rows.h"
#include "hub/ingest/ingest.h"
#include "record/record.h"
#include "wire/wire.h"

namespace wb::hub {
namespace {

constexpr std::string_view kWaybillColumns[] = {
    "node", "pipeline", "release", "schema", "event_time", "rule",   "inclusion_probability",
    "seq",  "lane",     "label",   "score",  "confidence", "novelty"};

struct Cell {
  std::string text;
  bool quoted = false;  // text, not a number
  bool missing = true;
};
Cell text_cell(std::string_view text) { return Cell{std::string(text), true, text.empty()}; }
Cell number_cell(double value) { return Cell{shortest(value), !std::isfinite(value), std::isnan(value)}; }
Cell number_cell(float value) { return Cell{shortest(value), !std::isfinite(value), std::isnan(value)}; }
Cell count_cell(uint64_t value) { return Cell{std::to_string(value), false, false}; }

void append_csv(std::string& out, const Cell& cell) {
  if (cell.missing) return;
  if (cell.text.find_first_of(",\"\r\n") == std::string::npos) {
    out += cell.text;
    return;
  }
  out += '"';
  for (const char c : cell.text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

class Exporter {
 public:
  Exporter(Rows& rows, const DatasetQuery& query) : rows_(rows), query_(query) {
    for (const std::string_view name : kWaybillColumns) columns_.emplace_back(name);
    if (query.dead_letters) columns_.insert(columns_.end(), {"reason", "raw"});
    fixed_ = columns_.size();
    const auto dataset =
        load_row<pb::DatasetRow>(rows, Table::kMeta, "dataset/" + query.pipeline).value_or(pb::DatasetRow{});
    for (const std::string& id : dataset.schemas()) add_schema(id);
  }

  std::string header() const {
    std::string out;
    for (const std::string& name : columns_) {
      if (!out.empty()) out += ',';
      append_csv(out, Cell{name, true, false});
    }
    return out + "\n";
  }

  void append(std::string& out, const RecordId& id, const wire::RecordUp& record) const {
    std::vector<Cell> cells(columns_.size());
    const wire::Verdict& verdict = record.verdict();
    const bool scored = record.has_verdict();
    std::array<Cell, std::size(kWaybillColumns)> waybill = {text_cell(id.node),
                                                            text_cell(record.pipeline()),
                                                            text_cell(record.release()),
                                                            text_cell(record.schema()),
                                                            text_cell(format_time(record.event_time_ms())),
                                                            text_cell(rule_name(static_cast<Rule>(record.rule()))),
                                                            number_cell(record.inclusion_probability()),
                                                            count_cell(record.seq()),
                                                            text_cell(lane_name(static_cast<Lane>(id.lane))),
                                                            text_cell(verdict.label()),
                                                            scored ? number_cell(verdict.score()) : Cell{},
                                                            scored ? number_cell(verdict.confidence()) : Cell{},
                                                            scored ? number_cell(verdict.novelty()) : Cell{}};
    std::move(waybill.begin(), waybill.end(), cells.begin());
    if (query_.dead_letters) {
      cells[fixed_ - 2] = text_cell(record.reason());
      cells[fixed_ - 1] = text_cell(record.raw());
    }
    if (const auto places = schemas_.find(record.schema()); places != schemas_.end()) {
      int number = 0;
      int text = 0;
      for (const auto& [column, is_text] : places->second) {
        if (is_text && text < record.texts_size()) cells[column] = text_cell(record.texts(text++));
        if (!is_text && number < record.numbers_size()) cells[column] = number_cell(record.numbers(number++));
      }
    }
    if (query_.format == DatasetQuery::Format::kCsv)
      append_line(out, cells);
    else
      append_object(out, cells);
  }

 private:
  void append_line(std::string& out, const std::vector<Cell>& cells) const {
    for (size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) out += ',';
      append_csv(out, cells[i]);
    }
    out += '\n';
  }
  void append_object(std::string& out, const std::vector<Cell>& cells) const {
    out += '{';
    for (size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) out += ',';
      append_json_text(columns_[i], out);
      out += ':';
      if (cells[i].missing)
        out += "null";
      else if (cells[i].quoted)
        append_json_text(cells[i].text, out);
      else
        out += cells[i].text;
    }
    out += "}\n";
  }
  void add_schema(const std::string& id) {
    const auto schema = load_row<wire::SchemaDef>(rows_, Table::kSchemas, id);
    if (!schema) return;
    auto& places = schemas_[id];
    for (int i = 0; i < std::min(schema->names_size(), schema->types_size()); ++i) {
      std::string name = schema->names(i);
      const auto fixed_end = columns_.begin() + static_cast<std::ptrdiff_t>(fixed_);
      if (std::find(columns_.begin(), fixed_end, name) != fixed_end)
        name = "value." + name;  // a sensor may be called "node"
      const auto found = std::find(columns_.begin(), columns_.end(), name);
      places.emplace_back(static_cast<size_t>(found - columns_.begin()),
                          schema->types(i) == static_cast<uint32_t>(ColumnType::kText));
      if (found == columns_.end()) columns_.push_back(name);
    }
  }

  Rows& rows_;
  const DatasetQuery& query_;
  std::vector<std::string> columns_;
  size_t fixed_ = 0;
  std::map<std::string, std::vector<std::pair<size_t, bool>>, std::less<>> schemas_;
};

std::string padded(int64_t value, size_t digits) {
  std::string text = std::to_string(value);
  return text.size() < digits ? std::string(digits - text.size(), '0') + text : text;
}

}  // namespace

std::string format_time(int64_t unix_ms) {
  constexpr int64_t kDayMs = 86'400'000;
  int64_t days = unix_ms / kDayMs;
  int64_t rest = unix_ms % kDayMs;
  if (rest < 0) {
    rest += kDayMs;
    --days;
  }
  days += 719'468;
  const int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const int64_t day_of_era = days - era * 146'097;
  const int64_t year_of_era = (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t shifted = (5 * day_of_year + 2) / 153;
  const int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
  const int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  const int64_t day = day_of_year - (153 * shifted + 2) / 5 + 1;
  return padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2) + "T" + padded(rest / 3'600'000, 2) + ":" +
         padded(rest / 60'000 % 60, 2) + ":" + padded(rest / 1'000 % 60, 2) + "." + padded(rest % 1'000, 3) + "Z";
}

Result<int64_t> parse_time(std::string_view text, int64_t now_ms) {
  if (const auto unix_ms = parse_int(text)) return *unix_ms;
  if (const auto age_ms = parse_duration_ms(text); age_ms.ok()) return now_ms - *age_ms;
  const Error bad = fail(Code::kInvalid, "'", text.substr(0, 40),
                         "' is no time; write 2026-11-23T14:00:00Z, Unix milliseconds, or an age such as 7d");
  if (text.size() < 10 || text[4] != '-' || text[7] != '-') return bad;
  const auto number = [&](size_t at, size_t size) { return parse_int(text.substr(at, size)).value_or(-1); };
  const int64_t month = number(5, 2);
  const int64_t day = number(8, 2);
  if (number(0, 4) < 0 || month < 1 || month > 12 || day < 1 || day > 31) return bad;
  int64_t out = days_from_civil(number(0, 4), month, day) * 86'400'000;
  if (text.size() == 10) return out;
  if (text.size() < 20 || text.size() > 24 || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
      text.back() != 'Z')
    return bad;
  const int64_t hour = number(11, 2);
  const int64_t minute = number(14, 2);
  const int64_t second = number(17, 2);
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return bad;
  out += ((hour * 60 + minute) * 60 + second) * 1'000;
  if (text.size() > 20) {
    const auto fraction = parse_int(text.substr(20, text.size() - 21));
    if (text[19] != '.' || !fraction || *fraction < 0) return bad;
    int64_t ms = *fraction;
    for (size_t digits = text.size() - 21; digits < 3; ++digits) ms *= 10;
    out += ms;
  }
  return out;
}

Result<DatasetPage> export_page(Rows& rows, const DatasetQuery& query) {
  if (!rows.get(Table::kMeta, "dataset/" + query.pipeline)) {
    std::vector<std::string> names;
    for (const auto& known : list_datasets(rows)) names.push_back(known.pipeline);
    return fail(Code::kNotFound, "no records of a pipeline '", query.pipeline, "' have arrived",
                names.empty() ? "" : suggestion(query.pipeline, names));
  }
  std::string from;
  if (!query.cursor.empty()) {
    WB_TRY(from, hex_decode(query.cursor));
    from += '\0';
  }
  const Exporter exporter(rows, query);
  DatasetPage page;
  if (query.format == DatasetQuery::Format::kCsv && query.cursor.empty()) page.text = exporter.header();
  const std::string prefix = query.node.empty() ? "" : query.node + '\0';
  size_t looked = 0;
  rows.scan(Table::kRecords, prefix, from, [&](std::string_view key, std::string_view value) {
    if (page.rows_count >= std::min(query.rows_max, kDatasetPageRowsMax) || page.text.size() >= kDatasetPageBytesMax ||
        looked >= kDatasetScanMax) {
      page.next_cursor = hex_encode(from);
      return false;
    }
    ++looked;
    from = key;
    RecordId id;
    wire::RecordUp record;
    if (!parse_record_key(key, id) || !parse_row(value, record) || record.pipeline() != query.pipeline) return true;
    if (record.event_time_ms() < query.since_ms || record.event_time_ms() >= query.until_ms) return true;
    if ((static_cast<Lane>(id.lane) == Lane::kDeadLetter) != query.dead_letters) return true;
    exporter.append(page.text, id, record);
    ++page.rows_count;
    return true;
  });
  return page;
}

std::vector<DatasetInfo> list_datasets(Rows& rows) {
  std::vector<DatasetInfo> out;
  rows.scan(Table::kMeta, "dataset/", {}, [&](std::string_view key, std::string_view value) {
    DatasetInfo info{std::string(key.substr(8)), {}};
    if (parse_row(value, info.row)) out.push_back(std::move(info));
    return true;
  });
  return out;
}

}  // namespace wb::hub
