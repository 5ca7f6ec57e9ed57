#pragma once
// Rows: where the JSON and the CSV reader put what they read. It knows the schema, writes columns directly, and keeps
// the promise that a bad row leaves no trace in the columns: a row's cells wait in one scratch row until the row is
// complete.

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "edge/source/source.h"

namespace wb::source {

// `text` made fit for a message: cut, control bytes and broken UTF-8 replaced.
std::string shown(std::string_view text);

// An input field that we want: a column, the event time, or both.
struct Slot {
  std::string name;
  int column = -1;
  ColumnType type = ColumnType::kNumber;
  bool time = false;
};

class Rows {
 public:
  explicit Rows(const ParserConfig& config);

  void begin(int64_t now_unix_ms, uint64_t rows_before, size_t rows_guess);
  ParseOutcome finish() { return std::move(out_); }
  size_t taken() const { return taken_; }  // rows since begin(), good and bad

  size_t slots_count() const { return slots_.size(); }
  const Slot& slot(int index) const { return slots_[static_cast<size_t>(index)]; }
  int find(std::string_view name) const;  // -1: not wanted
  const std::vector<std::string>& names() const { return names_; }

  // One row: open, then each cell once, then close. Any of them answers false after it reported a fault for the row.
  void open(std::string_view raw);
  bool number(int slot, double value);
  bool text(int slot, std::string_view value);  // must live until close()
  bool missing(int slot);
  bool close();
  bool given(int slot) const { return seen_[static_cast<size_t>(slot)] == stamp_; }
  bool fault(std::string_view field, std::string_view reason);  // always false
  void body_fault(std::string_view raw, std::string_view reason);
  // Forgets all rows and says why the body as a whole is refused.
  void refuse(std::string_view raw, std::string_view reason);
  bool unknown_field(std::string_view name);  // fault with the nearest name

 private:
  const ParserConfig& config_;
  std::vector<Slot> slots_;
  std::vector<std::string> names_;
  std::unordered_map<std::string_view, int> by_name_;  // into slots_; looked up only
  std::vector<uint64_t> seen_;                         // [slots], stamp of the row that last gave it
  std::vector<double> numbers_;                        // [columns], the row being read
  std::vector<std::string_view> texts_;                // [columns]
  std::string_view raw_;
  uint64_t stamp_ = 0;
  size_t given_count_ = 0;
  uint64_t row_ = 0;
  size_t taken_ = 0;
  int64_t now_ms_ = 0;
  int64_t time_ms_ = 0;
  ParseOutcome out_;

  void mark(int slot);
  void add_fault(RowFault fault);
};

// Which part of an input the bytes are: only its first bytes may be a byte order mark.
enum class Part : uint8_t { kWhole, kFirst, kLater };

// The readers. Each reads complete rows from the front of `bytes` until Batch::kRowsMax rows were taken, and answers
// how many bytes that were.
class JsonReader {
 public:
  explicit JsonReader(const ParserConfig& config);
  ~JsonReader();
  size_t read_lines(std::string_view bytes, Part part, Rows& rows);
  size_t read_document(std::string_view bytes, Rows& rows);  // an object, or an array of objects

 private:
  struct Dom;
  std::unique_ptr<Dom> dom_;
  std::string scratch_;     // a row too near the end of its buffer to be read in place
  std::vector<int> order_;  // slot that stood at this place in the row before
  bool refuse_extra_;

  void read_row(std::string_view row, const char* readable_end, Rows& rows);
  size_t read_array(std::string_view bytes, size_t at, Rows& rows);
};

class CsvReader {
 public:
  explicit CsvReader(const ParserConfig& config);
  // The first row is the header, unless one is known.
  size_t read(std::string_view bytes, Part part, Rows& rows);
  void forget_header();
  void set_header(std::string_view line, Rows& rows);
  const std::string& header() const { return header_; }
  bool header_known() const { return header_known_; }
  void refuse_header(std::string reason);  // every row will be a fault that says so

 private:
  struct Cell {
    std::string_view text;
    size_t unquoted = kInPlace;  // index into unquoted_, if the cell had quotes
    static constexpr size_t kInPlace = static_cast<size_t>(-1);
  };
  std::vector<Cell> cells_;
  std::vector<std::string> unquoted_;
  size_t unquoted_count_ = 0;
  std::vector<int> slots_;  // [cells of the header], -1 = ignored
  std::string header_;
  std::string header_fault_;
  bool header_known_ = false;
  bool refuse_extra_;

  std::string split_quoted(std::string_view bytes, size_t at, size_t limit, size_t& end);
  void split_plain(std::string_view line);
  std::string map_header(Rows& rows);
  void read_cells(Rows& rows);
  bool read_cell(Rows& rows, int slot, std::string_view text);
};

}  // namespace wb::source
