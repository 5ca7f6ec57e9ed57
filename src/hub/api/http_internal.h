#pragma once
// Shared by the files of the HTTP surface only. One handler per noun; http.cpp routes.

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hub/api/http.h"
#include "hub/rollout/rollout.h"
#include "hub/telemetry/telemetry.h"

namespace wb::hub::internal {

using Json = nlohmann::json;  // sorted keys: one answer, one byte string

struct Context {
  Hub& hub;
  Rows& rows;
  Moment now;
  const Caller& caller;
  const Request& request;
  std::vector<std::string> path;                          // decoded segments after the leading '/'
  std::map<std::string, std::string, std::less<>> query;  // decoded
  std::string actor() const { return caller.id.empty() ? "admin" : caller.id; }
  bool is(std::string_view method) const { return request.method == method; }
};

Response json_response(int status, const Json& body);
Response error_of(const Error& error);  // Code → HTTP status
Response not_found(const Context& context);
Response method_not_allowed(std::string_view allowed);

// The body as a JSON object whose keys are all in `keys`; else kInvalid with the nearest name. An empty body is {}.
Result<Json> body_object(const Context& context, std::span<const std::string_view> keys);
Result<std::string> text_of(const Json& object, std::string_view key, std::string_view fallback);
Result<bool> flag_of(const Json& object, std::string_view key);
Result<int64_t> integer_of(const Json& object, std::string_view key, int64_t fallback, int64_t min, int64_t max);
// "15m", or a number of milliseconds.
Result<int64_t> duration_of(const Json& object, std::string_view key, int64_t fallback);
// A query parameter that is a number in [min, max].
Result<int64_t> query_number(const Context& context, std::string_view key, int64_t fallback, int64_t min, int64_t max);
// kInvalid if a parameter is not in `keys`.
Status check_query(const Context& context, std::span<const std::string_view> keys);

Json labels_json(const std::map<std::string, std::string, std::less<>>& labels);
Json counters_json(const wire::Counters& counters);
Json sketch_json(const wire::ScoreSketch& sketch);
Json rollout_json(const pb::Rollout& rollout, int64_t now_ms);
Json event_json(const pb::Event& event, int64_t now_ms);

Response tokens(const Context& context);
Response keys(const Context& context);
Response releases(const Context& context);
Response artifacts(const Context& context);
Response nodes(const Context& context);
Response fleet(const Context& context);
Response rollouts(const Context& context);
Response track(const Context& context);
Response datasets(const Context& context);
Response audit_log(const Context& context);
std::string metrics_text(Hub& hub, Rows& rows, Moment now);
FleetSummary fleet_summary(Hub& hub, Rows& rows, Moment now);

}  // namespace wb::hub::internal

// WB_TRY for a handler: an error becomes its response.
#define WB_HTTP_TRY(declaration, expression)                                                       \
  auto WB_CONCAT(wb_http_, __LINE__) = (expression);                                               \
  if (!WB_CONCAT(wb_http_, __LINE__).ok()) return error_of(WB_CONCAT(wb_http_, __LINE__).error()); \
  declaration = std::move(WB_CONCAT(wb_http_, __LINE__)).value()
#define WB_HTTP_CHECK(expression)                                      \
  do {                                                                 \
    auto wb_http_result = (expression);                                \
    if (!wb_http_result.ok()) return error_of(wb_http_result.error()); \
  } while (false)
