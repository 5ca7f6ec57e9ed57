// Publisher keys, releases, artifact bytes, and the records that came back.
#include <algorithm>

#include "base/age.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "hub/api/dataset.h"
#include "hub/api/http_internal.h"
#include "hub/registry/registry.h"

namespace wb::hub::internal {
namespace {

Json release_json(const pb::ReleaseRow& release, int64_t now_ms) {
  Json blobs = Json::array();
  for (const wire::Blob& blob : release.blobs())
    blobs.push_back({{"name", blob.name()}, {"size_bytes", blob.size_bytes()}, {"sha256", blob.sha256()}});
  Json features = Json::array();
  for (const std::string& name : release.feature_names()) features.push_back(name);
  return {{"digest", release.digest()},
          {"name", release.name()},
          {"version", release.version()},
          {"full_name", release.name() + "@" + release.version()},
          {"size_bytes", release.size_bytes()},
          {"pushed_ms", release.pushed_ms()},
          {"age_ms", std::max<int64_t>(0, age_ms(now_ms, release.pushed_ms()))},
          {"pushed_by", release.pushed_by()},
          {"key_id", release.key_id()},
          {"blobs", blobs},
          {"features", features}};
}

struct Range {
  uint64_t first = 0, last = UINT64_MAX;
  bool given = false;
};

// bytes=a-b and bytes=a-; nothing else is needed to fetch an artifact.
Result<Range> parse_range(const Context& context) {
  Range out;
  const auto header = context.request.headers.find("range");
  if (header == context.request.headers.end()) return out;
  const std::string_view text = header->second;
  const size_t dash = text.find('-');
  const Error bad = fail(Code::kInvalid, "range '", text.substr(0, 60), "' is not understood; write bytes=first-last");
  if (!text.starts_with("bytes=") || dash == std::string_view::npos) return bad;
  const auto first = parse_int(text.substr(6, dash - 6));
  if (!first || *first < 0) return bad;
  out.given = true;
  out.first = static_cast<uint64_t>(*first);
  if (dash + 1 == text.size()) return out;
  const auto last = parse_int(text.substr(dash + 1));
  if (!last || *last < *first) return bad;
  out.last = static_cast<uint64_t>(*last);
  return out;
}

}  // namespace

Response keys(const Context& context) {
  if (context.path.size() != 2) return not_found(context);
  if (context.is("GET")) {
    Json list = Json::array();
    for (const pb::PublisherKey& key : trusted_keys(context.rows))
      list.push_back({{"id", wire::key_id(key.public_key())},
                      {"public_key", hex_encode(key.public_key())},
                      {"name", key.name()},
                      {"added_ms", key.added_ms()}});
    return json_response(200, {{"keys", list}});
  }
  if (!context.is("POST")) return method_not_allowed("GET, POST");
  constexpr std::string_view kKeys[] = {"public_key", "name"};
  WB_HTTP_TRY(const Json body, body_object(context, kKeys));
  WB_HTTP_TRY(const std::string hex, text_of(body, "public_key", ""));
  WB_HTTP_TRY(const std::string name, text_of(body, "name", ""));
  WB_HTTP_TRY(const std::string key, hex_decode(hex));
  WB_HTTP_CHECK(context.hub.trust_key(context.rows, context.now, key, name, context.actor()));
  return json_response(200, {{"id", wire::key_id(key)}, {"public_key", hex}, {"name", name}});
}

Response releases(const Context& context) {
  const int64_t now_ms = context.now.unix_ms;
  if (context.path.size() == 3) {
    if (!context.is("GET")) return method_not_allowed("GET");
    const auto release = find_release(context.rows, context.path[2]);
    if (!release)
      return error_of(fail(Code::kNotFound, "there is no release '", context.path[2].substr(0, 80),
                           "'; `waybill release list` shows them"));
    return json_response(200, release_json(*release, now_ms));
  }
  if (context.path.size() != 2) return not_found(context);
  if (context.is("GET")) {
    Json list = Json::array();
    for (const pb::ReleaseRow& release : list_releases(context.rows)) list.push_back(release_json(release, now_ms));
    return json_response(200, {{"releases", list}, {"as_of_ms", now_ms}});
  }
  if (!context.is("POST")) return method_not_allowed("GET, POST");
  const bool known = find_release(context.rows, sha256_hex(context.request.body)).has_value();
  WB_HTTP_TRY(const pb::ReleaseRow row,
              context.hub.push_release(context.rows, context.now, context.request.body, context.actor()));
  return json_response(known ? 200 : 201, release_json(row, now_ms));
}

Response artifacts(const Context& context) {
  if (!context.is("GET")) return method_not_allowed("GET");
  if (context.caller.kind == Caller::Kind::kNode)
    WB_HTTP_CHECK(admit(find_node(context.rows, context.caller.id), context.caller.id, context.caller.serial));
  WB_HTTP_TRY(const Range range, parse_range(context));
  const uint64_t length = range.last == UINT64_MAX ? limits::kFetchRangeBytesMax : range.last - range.first + 1;
  const auto release = find_release(context.rows, context.path[2]);
  if (release && range.first >= release->size_bytes()) {
    Response out = error_response(416, "range", "the artifact has " + std::to_string(release->size_bytes()) + " bytes",
                                  "ask for a range inside it");
    out.headers.emplace_back("Content-Range", "bytes */" + std::to_string(release->size_bytes()));
    return out;
  }
  WB_HTTP_TRY(auto part, context.hub.read_artifact(context.rows, context.path[2], range.first, length));
  const uint64_t size = part.bytes.size();
  if (!range.given && size < part.total_bytes)
    return error_of(fail(Code::kInvalid, "the artifact has ", std::to_string(part.total_bytes),
                         " bytes; ask for ranges of at most ", std::to_string(limits::kFetchRangeBytesMax)));
  Response out;
  out.status = range.given ? 206 : 200;
  out.content_type = "application/octet-stream";
  if (range.given)
    out.headers.emplace_back("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                                  std::to_string(range.first + size - 1) + "/" +
                                                  std::to_string(part.total_bytes));
  out.headers.emplace_back("ETag", "\"" + context.path[2] + "\"");
  out.body = std::move(part.bytes);
  return out;
}

Response datasets(const Context& context) {
  if (!context.is("GET")) return method_not_allowed("GET");
  const int64_t now_ms = context.now.unix_ms;
  if (context.path.size() == 2) {
    Json list = Json::array();
    for (const DatasetInfo& info : list_datasets(context.rows))
      list.push_back({{"pipeline", info.pipeline},
                      {"records", info.row.records()},
                      {"bytes", info.row.bytes()},
                      {"first_event_ms", info.row.first_event_ms()},
                      {"last_event_ms", info.row.last_event_ms()},
                      {"changed_ms", info.row.changed_ms()},
                      {"age_ms", std::max<int64_t>(0, age_ms(now_ms, info.row.changed_ms()))}});
    return json_response(200, {{"datasets", list}, {"as_of_ms", now_ms}});
  }
  if (context.path.size() != 3) return not_found(context);
  constexpr std::string_view kKeys[] = {"format", "since", "until", "cursor", "limit", "node", "lane"};
  WB_HTTP_CHECK(check_query(context, kKeys));
  DatasetQuery query;
  query.pipeline = context.path[2];
  const auto given = [&](std::string_view key) {
    const auto found = context.query.find(key);
    return found == context.query.end() ? std::string() : found->second;
  };
  const std::string format = given("format");
  if (!format.empty() && format != "csv" && format != "ndjson")
    return error_of(fail(Code::kInvalid, "format '", format.substr(0, 40), "' is not known; write csv or ndjson"));
  const std::string lane = given("lane");
  if (!lane.empty() && lane != "dead_letter")
    return error_of(fail(Code::kInvalid, "lane '", lane.substr(0, 40),
                         "' cannot be asked for; write dead_letter, or leave it out for all others"));
  query.format = format == "csv" ? DatasetQuery::Format::kCsv : DatasetQuery::Format::kNdjson;
  query.dead_letters = lane == "dead_letter";
  query.node = given("node");
  query.cursor = given("cursor");
  if (!given("since").empty()) {
    WB_HTTP_TRY(query.since_ms, parse_time(given("since"), now_ms));
  }
  if (!given("until").empty()) {
    WB_HTTP_TRY(query.until_ms, parse_time(given("until"), now_ms));
  }
  WB_HTTP_TRY(const int64_t limit, query_number(context, "limit", 10'000, 1, kDatasetPageRowsMax));
  query.rows_max = static_cast<size_t>(limit);
  WB_HTTP_TRY(DatasetPage page, export_page(context.rows, query));
  Response out;
  out.content_type = query.format == DatasetQuery::Format::kCsv ? "text/csv; charset=utf-8" : "application/x-ndjson";
  out.headers.emplace_back("X-Waybill-Next-Cursor", page.next_cursor);
  out.headers.emplace_back("X-Waybill-Rows", std::to_string(page.rows_count));
  out.body = std::move(page.text);
  return out;
}

}  // namespace wb::hub::internal
