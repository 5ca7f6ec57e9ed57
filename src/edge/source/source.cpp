#include "edge/source/source.h"

#include <algorithm>

#include "base/bytes.h"
#include "edge/source/parser_impl.h"

namespace wb::source {

namespace {
const std::vector<std::string>& format_names() {
  static const std::vector<std::string> kNames = {"json", "ndjson", "csv"};
  return kNames;
}
}  // namespace

std::string_view format_name(Format format) { return format_names()[static_cast<size_t>(format)]; }

std::optional<Format> format_by_name(std::string_view name) {
  for (size_t i = 0; i < format_names().size(); ++i)
    if (format_names()[i] == name) return static_cast<Format>(i);
  return std::nullopt;
}

Result<Format> format_by_content_type(std::string_view content_type) {
  std::string type(trim(content_type.substr(0, content_type.find(';'))));
  for (char& c : type)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  if (type == "application/json") return Format::kJson;
  if (type == "application/x-ndjson" || type == "application/jsonl" || type == "application/ndjson")
    return Format::kNdjson;
  if (type == "text/csv") return Format::kCsv;
  return fail(Code::kUnsupported, "Content-Type '", shown(type),
              "' is not read here; send application/json, application/x-ndjson or text/csv");
}

Parser::Impl::Impl(ParserConfig given) : config(std::move(given)), rows(config), json(config), csv(config) {}

size_t Parser::Impl::read(std::string_view bytes, Part part) {
  switch (config.format) {
    case Format::kJson: return json.read_document(bytes, rows);
    case Format::kNdjson: return json.read_lines(bytes, part, rows);
    case Format::kCsv: return csv.read(bytes, part, rows);
  }
  return bytes.size();
}

size_t Parser::Impl::guess_rows(std::string_view bytes) const {
  if (config.format == Format::kJson) return std::min<size_t>(bytes.size() / 64, 4096);
  return static_cast<size_t>(std::count(bytes.begin(), bytes.end(), '\n')) + 1;
}

Parser::Parser(ParserConfig config) : impl_(std::make_unique<Impl>(std::move(config))) {}
Parser::~Parser() = default;
Parser::Parser(Parser&&) noexcept = default;
Parser& Parser::operator=(Parser&&) noexcept = default;
const ParserConfig& Parser::config() const { return impl_->config; }

ParseOutcome Parser::parse(std::string_view body, int64_t now_unix_ms) {
  Impl& impl = *impl_;
  if (body.size() > kBodyBytesMax) {
    impl.rows.begin(now_unix_ms, 0, 0);
    impl.rows.refuse(body, "a body of " + std::to_string(body.size()) + " bytes, at most " +
                               std::to_string(kBodyBytesMax) + "; send smaller bodies");
    return impl.rows.finish();
  }
  impl.rows.begin(now_unix_ms, 0, impl.guess_rows(body));
  impl.csv.forget_header();
  size_t used = impl.read(body, Part::kWhole);
  while (used < body.size() && (body[used] == '\n' || body[used] == '\r' || body[used] == ' ')) ++used;
  if (used < body.size())
    impl.rows.refuse(body, "more than " + std::to_string(Batch::kRowsMax) + " rows in one body; send smaller bodies");
  return impl.rows.finish();
}

}  // namespace wb::source
