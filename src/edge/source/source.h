#pragma once
// source: bytes from the world become batches. This is the first stop of a reading.
//
// Three doors, all pure (the sockets and files are in world/):
//   Parser    one whole body (an HTTP request, an MQTT message) → rows and faults
//   Stream    bytes that arrive in pieces (stdin, a file being written) → the same, line by line
//   FileTail  which bytes of a followed file to read next, over rotation, truncation and restart
// and read_sources(), which checks the `source:` part of a pipeline file.
//
// A bad row never costs a good one. What could not be read comes back as a RowFault that says row, field and reason and
// carries the raw text, cut to a limit, for the dead-letter lane. Nothing is guessed:
//   JSON null and an empty CSV cell are "missing": NaN in a number column, "" in a text column.
//   A key that is absent altogether is a fault. A key given twice in one JSON object is a fault.
//   A JSON string is not a number and a JSON number is not a text. A number too large for a double is a fault.
//   CSV accepts nan and inf as numbers; JSON cannot say them.
//   Text must be UTF-8.
//   Event time is Unix milliseconds, as a number, or RFC 3339 text; without an event_time field it is the arrival time.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"
#include "base/result.h"
#include "base/spec.h"
#include "record/record.h"

namespace wb::source {

inline constexpr size_t kBodyBytesMax = 4U << 20;  // one body given to Parser
inline constexpr size_t kRowBytesMax = 64U << 10;  // one JSON object, NDJSON line or CSV row, all before its newline
inline constexpr size_t kTextBytesMax = 4U << 10;  // one text cell
inline constexpr size_t kJsonDepthMax = 16;        // of one row, ignored fields included
inline constexpr size_t kRawBytesMax = 1024;       // of a fault's raw text; equals the wire's dead-letter limit
inline constexpr size_t kFaultsMax = 1024;         // kept per outcome; the rest is only counted
inline constexpr size_t kSourcesMax = 16;          // components in one pipeline file
static_assert(kRowBytesMax < kBodyBytesMax && kRawBytesMax < kRowBytesMax);

enum class Format : uint8_t { kJson, kNdjson, kCsv };  // kJson: one object, or an array of objects
std::string_view format_name(Format format);           // as in the pipeline file
std::optional<Format> format_by_name(std::string_view name);
// application/json, application/x-ndjson (or application/jsonl), text/csv; parameters after ';' are ignored.
Result<Format> format_by_content_type(std::string_view content_type);

// RFC 3339, e.g. 2026-11-03T07:15:00.250Z or +01:00 → Unix milliseconds. nullopt for anything else.
std::optional<int64_t> parse_rfc3339_ms(std::string_view text);

// What to expect of the bytes; made from the head of the pipeline file.
struct ParserConfig {
  Schema schema;  // the columns, in order
  Format format = Format::kNdjson;
  std::string event_time;  // name of the input field that carries the time; "" = arrival time. It is a column only if
                           // the schema names it too
  bool refuse_extra = false;  // extra_fields: refuse
};

struct RowFault {
  uint64_t row = 0;   // 1-based, of data rows (a CSV header and blank lines do not count); 0 = the body as a whole
  std::string field;  // "" if the fault is not about one field
  std::string text;   // "row 3: field 'V2': expected a number, got \"abc\""
  std::string raw;    // the row as it came, at most kRawBytesMax
};

struct ParseOutcome {
  Batch batch;                   // the good rows, at most Batch::kRowsMax
  std::vector<RowFault> faults;  // the first kFaultsMax
  uint64_t faults_count = 0;     // all of them; rows seen = batch.rows_count() + faults_count (without row-0 faults)
};

// Parses whole bodies. One thread at a time; keeps buffers between calls, so keep it.
class Parser {
 public:
  explicit Parser(ParserConfig config);
  ~Parser();
  Parser(Parser&&) noexcept;
  Parser& operator=(Parser&&) noexcept;

  // Never fails as a whole except with one row-0 fault: body too large, more than Batch::kRowsMax rows, a CSV header
  // that does not fit the schema, JSON that is no object or array.
  ParseOutcome parse(std::string_view body, int64_t now_unix_ms);
  const ParserConfig& config() const;

 private:
  friend class Stream;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Parses bytes that arrive in pieces. NDJSON and CSV only (asserted). A line longer than kRowBytesMax is a fault, and
// the stream goes on at the next newline. Rows are counted through the whole stream.
class Stream {
 public:
  explicit Stream(ParserConfig config);

  // Complete lines become rows. At most Batch::kRowsMax rows come back at once: while pending() is true, call again
  // with no bytes. Give at most kBodyBytesMax bytes per call, and none while pending() (asserted).
  ParseOutcome feed(std::string_view bytes, int64_t now_unix_ms);
  // The input has ended: a last line without a newline is a row too. Call until pending() is false.
  ParseOutcome finish(int64_t now_unix_ms);
  bool pending() const;

  // Bytes of the input that are accounted for: rows returned, faults returned, skipped. Never in the middle of a line
  // unless that line was too long. A followed file may be read again from here after a restart.
  uint64_t consumed_bytes() const;
  // The CSV header line seen so far ("" before that), to be given back to resume() after a restart.
  std::string_view csv_header() const;
  // Starts in the middle of an input: the header that was seen, and the rows counted before.
  void resume(std::string_view csv_header, uint64_t rows_before);
  // A new input (a rotated file) begins: partial line, header and row count are forgotten.
  void restart();
  uint64_t rows_seen() const;

 private:
  Parser parser_;
  std::string buffer_;     // what has not become rows yet
  size_t start_ = 0;       // of buffer_: consumed up to here
  size_t cut_ = 0;         // of buffer_: end of the last complete row
  size_t scanned_ = 0;     // of buffer_: searched for row ends up to here
  bool skipping_ = false;  // dropping the rest of an over-long line
  uint64_t rows_ = 0;
  uint64_t consumed_ = 0;

  // CSV: where scanned_ stands. Closed: behind the quote that ends a cell or begins an escaped one; return: behind \r
  // there; faulty: what began at cut_ is no row.
  enum class At : uint8_t { kCellBegin, kPlain, kQuoted, kClosed, kReturn, kFaulty };
  At at_ = At::kCellBegin;

  bool at_start() const;
  void scan();
  static bool allowed(At at, char c);
  static At after(At at, char c);
  void fault();
  void skip_long_line(ParseOutcome& out);
  ParseOutcome take(int64_t now_unix_ms);
};

// ---------------------------------------------------------------- following a file

struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
struct FileSeen {  // what fstat or stat says
  FileIdentity identity;
  uint64_t size = 0;
};

// Decides; world/ does. Loop: ask next(open, path); do it; report. `open` is the file held open now, if any; `path` is
// what the path names now, if anything.
class FileTail {
 public:
  enum class Mode : uint8_t { kTail, kOnce };
  struct Action {
    enum class Kind : uint8_t {
      kWait,    // nothing to do until the file changes: poll again later
      kOpen,    // (re)open the path, then opened(what fstat says of it)
      kRead,    // read [offset, offset + length) of the open file, then took(bytes read)
      kRewind,  // the open file was cut short: it starts again at 0 (Stream::restart), then rewound()
      kEnd,     // the open file is complete (rotated away, or mode once): Stream::finish, then closed(), close it
      kDone,    // mode once: all was read
    };
    Kind kind = Kind::kWait;
    uint64_t offset = 0;
    uint64_t length = 0;
  };
  // Where we are, for the durable store. Small text, persisted since 0.1: "1 device inode offset rows\nheader".
  struct State {
    FileIdentity identity;
    uint64_t offset = 0;  // all before it was handed on
    uint64_t rows = 0;
    std::string csv_header;
    bool known = false;  // false: never opened
    std::string encode() const;
    static Result<State> decode(std::string_view text);
  };
  struct Counters {
    uint64_t rotations = 0;     // the path named a new file and the old one was read to its end
    uint64_t truncations = 0;   // the file became shorter than what we had read
    uint64_t rotated_away = 0;  // the file was replaced while we were not running: its rest may be lost
  };

  FileTail(Mode mode, State state);
  Action next(std::optional<FileSeen> open, std::optional<FileSeen> path) const;
  // The file is open. True: it is the file of the stored state, go on there (Stream::resume with state()). False: it
  // is read from its start (Stream::restart).
  bool opened(const FileSeen& seen);
  void took(uint64_t bytes);
  void rewound();
  void closed();
  // Rows through this many bytes of the input (Stream::consumed_bytes since opened/rewound) are durable further on.
  // Only this moves the stored offset.
  void handed_on(uint64_t consumed_bytes, uint64_t rows, std::string_view csv_header);
  const State& state() const { return state_; }
  const Counters& counters() const { return counters_; }

 private:
  Mode mode_;
  State state_;
  Counters counters_;
  uint64_t base_ = 0;         // offset at which this run began to read the open file
  uint64_t read_offset_ = 0;  // next byte to read
  uint64_t end_once_ = 0;     // mode once: the size when opened
  bool ended_ = false;        // the last file was read to its end and closed
  bool done_ = false;
};

// ---------------------------------------------------------------- components

struct SourceConfig {
  enum class Kind : uint8_t { kHttp, kMqtt, kFile, kStdin };
  Kind kind = Kind::kHttp;
  std::string label;  // given, or the component's name made unique
  Position at;
  Format format = Format::kNdjson;  // mqtt, file, stdin; http goes by Content-Type
  std::string path;                 // http: URL path; file: file path
  FileTail::Mode mode = FileTail::Mode::kTail;
  int64_t poll_ms = 1000;  // file
  std::string host;        // mqtt
  int port = 0;
  bool tls = false;
  std::string ca_file, topic, client_id, username, password_file;
  int qos = 1;
  int mqtt_version = 5;  // 5, or 4 for 3.1.1
  int64_t keep_alive_ms = 30'000;
};

// Every source component: for the reference page, the JSON schema and lint.
const std::vector<Spec>& specs();
// Checks the `source:` list (a null document is an empty list). The result is usable only if no problem was added.
std::vector<SourceConfig> read_sources(const Document& list, Problems& problems);

}  // namespace wb::source
