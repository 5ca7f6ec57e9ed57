// Routing, who may do what, and the one shape of an error.
#include "hub/api/http.h"

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/typed_rows.h"
#include "hub/api/http_internal.h"
#include "hub/registry/registry.h"

namespace wb::hub {
namespace internal {
namespace {

constexpr uint64_t kAnswersKept = 1'024;  // of mutations, for retries

int hex_digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

std::string percent_decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    if (escape) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

// "there is no node 'x'; `waybill node list` shows them" → message and next.
std::pair<std::string, std::string> split_next(const std::string& text) {
  const size_t at = text.rfind("; ");
  if (at == std::string::npos) return {text, ""};
  return {text.substr(0, at), text.substr(at + 2)};
}

Response protobuf_response(const google::protobuf::MessageLite& message) {
  Response out;
  out.content_type = "application/x-protobuf";
  out.body = wire::encode(message);
  return out;
}

Response enrol(const Context& context) {
  if (!context.is("POST")) return method_not_allowed("POST");
  WB_HTTP_TRY(const auto request, wire::decode_enrol_request(context.request.body));
  WB_HTTP_TRY(const auto outcome, context.hub.enrol(context.rows, context.now, request, context.request.entropy));
  if (outcome.response) return protobuf_response(*outcome.response);
  Response out;
  out.issue = outcome.issue;
  return out;
}

Response renew(const Context& context) {
  if (!context.is("POST")) return method_not_allowed("POST");
  WB_HTTP_TRY(const auto request, wire::decode_enrol_request(context.request.body));
  WB_HTTP_TRY(auto issue, context.hub.renew(context.rows, context.caller.id, context.caller.serial, request));
  Response out;
  out.issue = std::move(issue);
  return out;
}

Response exchange(const Context& context) {
  if (!context.is("POST")) return method_not_allowed("POST");
  WB_HTTP_TRY(const auto request, wire::decode_exchange_request(context.request.body));
  WB_HTTP_TRY(const auto outcome,
              context.hub.exchange(context.rows, context.now, context.caller.id, request, context.caller.serial));
  Response out = protobuf_response(outcome.response);
  out.hold_ms = outcome.hold_ms;
  return out;
}

// H2: a mutation with an Idempotency-Key is done once; a retry gets the first answer again.
struct Retry {
  std::string key, digest;
  std::optional<Response> answer;
};

Retry find_retry(const Context& context) {
  Retry out;
  const auto header = context.request.headers.find("idempotency-key");
  if (!context.is("POST") || header == context.request.headers.end() || header->second.empty()) return out;
  if (context.path.size() > 1 && context.path[1] == "tokens") return out;  // its answer is a secret: never kept
  out.key = "idem/" + sha256_hex(context.actor() + '\0' + header->second);
  out.digest = sha256_hex(context.request.path + '\0' + context.request.body);
  const auto stored = load_row<pb::Answer>(context.rows, Table::kMeta, out.key);
  if (!stored) return out;
  if (stored->request_sha256() != out.digest) {
    out.answer = error_response(422, "idempotency_key_reused", "this Idempotency-Key was used for another request",
                                "use a new key for each request");
    return out;
  }
  out.answer = Response{};
  out.answer->status = static_cast<int>(stored->status());
  out.answer->content_type = stored->content_type();
  out.answer->body = stored->body();
  return out;
}

void keep_answer(const Context& context, const Retry& retry, const Response& response) {
  if (retry.key.empty() || response.status >= 400) return;
  const auto count = context.rows.get(Table::kMeta, "idem-count");
  const uint64_t number = (count && count->size() == 8 ? read_u64_be(*count) : 0) + 1;
  const std::string slot = "idem-slot/" + std::to_string(number % kAnswersKept);
  if (const auto old = context.rows.get(Table::kMeta, slot)) context.rows.erase(Table::kMeta, *old);
  pb::Answer answer;
  answer.set_status(static_cast<uint32_t>(response.status));
  answer.set_content_type(response.content_type);
  answer.set_body(response.body);
  answer.set_request_sha256(retry.digest);
  answer.set_time_ms(context.now.unix_ms);
  context.rows.put(Table::kMeta, "idem-count", key_u64(number));
  context.rows.put(Table::kMeta, slot, retry.key);
  save_row(context.rows, Table::kMeta, retry.key, answer);
}

Response admin(const Context& context) {
  const std::string& noun = context.path[1];
  if (noun == "tokens") return tokens(context);
  if (noun == "keys") return keys(context);
  if (noun == "releases") return releases(context);
  if (noun == "nodes") return nodes(context);
  if (noun == "fleet") return fleet(context);
  if (noun == "rollouts") return rollouts(context);
  if (noun == "track") return track(context);
  if (noun == "datasets") return datasets(context);
  if (noun == "audit") return audit_log(context);
  return not_found(context);
}

Response route(const Context& context) {
  const auto& path = context.path;
  if (path.size() == 1 && path[0] == "ping") return json_response(200, {{"ok", true}});
  if (path.size() == 1 && path[0] == "ready")
    return json_response(200, {{"ready", true}, {"version", context.hub.config().version}});
  if (path.size() == 1 && path[0] == "metrics") {
    Response out;
    out.content_type = "text/plain; version=0.0.4";
    out.body = metrics_text(context.hub, context.rows, context.now);
    return out;
  }
  if (path.size() < 2 || path[0] != "v1") return not_found(context);
  if (path.size() == 2 && path[1] == "enrol") return enrol(context);
  const bool is_node = context.caller.kind == Caller::Kind::kNode;
  const bool is_admin = context.caller.kind == Caller::Kind::kAdmin;
  if (!is_node && !is_admin)
    return error_response(401, "no_certificate", "this needs a client certificate of this hub",
                          "enrol the node, or use the admin credential in the hub's data directory");
  if (path[1] == "artifacts" && path.size() == 3) return artifacts(context);
  if ((path[1] == "exchange" || path[1] == "renew") && path.size() == 2) {
    if (is_node) return path[1] == "renew" ? renew(context) : exchange(context);
    return error_response(403, "denied", "only a node may do this", "run waybill-agent with its own credential");
  }
  if (!is_admin)
    return error_response(403, "denied", "a node's certificate does not allow this", "use the admin credential");
  const Retry retry = find_retry(context);
  if (retry.answer) return *retry.answer;
  Response out = admin(context);
  keep_answer(context, retry, out);
  return out;
}

}  // namespace

Response json_response(int status, const Json& body) {
  Response out;
  out.status = status;
  out.body = body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return out;
}

Response error_of(const Error& error) {
  const auto [message, next] = split_next(error.text);
  int status = 500;
  switch (error.code) {
    case Code::kInvalid: status = 400; break;
    case Code::kDenied: status = 403; break;
    case Code::kNotFound: status = 404; break;
    case Code::kExists: status = 409; break;
    case Code::kFull: status = 413; break;
    case Code::kUnavailable: status = 503; break;
    case Code::kUnsupported: status = 501; break;
    case Code::kCorrupt: status = 422; break;
    case Code::kInternal: break;
  }
  return error_response(status, code_name(error.code), message, next);
}

Response not_found(const Context& context) {
  return error_response(404, "not_found", "there is nothing at " + context.request.method + " " + context.request.path,
                        "api/openapi.yaml lists every path");
}

Response method_not_allowed(std::string_view allowed) {
  Response out = error_response(405, "method_not_allowed", "this path allows only " + std::string(allowed), "");
  out.headers.emplace_back("Allow", allowed);
  return out;
}

Result<Json> body_object(const Context& context, std::span<const std::string_view> keys) {
  if (context.request.body.empty()) return Json::object();
  Json body = Json::parse(context.request.body, nullptr, false);
  if (body.is_discarded() || !body.is_object()) return fail(Code::kInvalid, "the body is not a JSON object");
  const std::vector<std::string> known(keys.begin(), keys.end());
  for (const auto& [key, value] : body.items()) {
    bool found = false;
    for (const std::string& name : known) found = found || name == key;
    if (!found) return fail(Code::kInvalid, "unknown key '", key.substr(0, 60), "'", suggestion(key, known));
  }
  return body;
}

Result<std::string> text_of(const Json& object, std::string_view key, std::string_view fallback) {
  const auto found = object.find(std::string(key));
  if (found == object.end() || found->is_null()) return std::string(fallback);
  if (!found->is_string()) return fail(Code::kInvalid, "'", key, "' must be a text");
  return *found->get_ptr<const std::string*>();
}

Result<bool> flag_of(const Json& object, std::string_view key) {
  const auto found = object.find(std::string(key));
  if (found == object.end() || found->is_null()) return false;
  if (!found->is_boolean()) return fail(Code::kInvalid, "'", key, "' must be true or false");
  return found->get<bool>();
}

Result<int64_t> integer_of(const Json& object, std::string_view key, int64_t fallback, int64_t min, int64_t max) {
  const auto found = object.find(std::string(key));
  if (found == object.end() || found->is_null()) return fallback;
  const bool fits = found->is_number_integer() &&
                    (!found->is_number_unsigned() || found->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX));
  const int64_t value = fits ? found->get<int64_t>() : 0;
  if (!fits || value < min || value > max)
    return fail(Code::kInvalid, "'", key, "' must be a whole number from ", std::to_string(min), " to ",
                std::to_string(max));
  return value;
}

Result<int64_t> duration_of(const Json& object, std::string_view key, int64_t fallback) {
  const auto found = object.find(std::string(key));
  if (found == object.end() || found->is_null()) return fallback;
  if (found->is_string()) {
    auto parsed = parse_duration_ms(*found->get_ptr<const std::string*>());
    if (!parsed.ok()) return parsed.error().within(key);
    return parsed;
  }
  return integer_of(object, key, fallback, 0, 366LL * 86'400'000);
}

Result<int64_t> query_number(const Context& context, std::string_view key, int64_t fallback, int64_t min, int64_t max) {
  const auto found = context.query.find(key);
  if (found == context.query.end()) return fallback;
  const auto value = parse_int(found->second);
  if (!value || *value < min || *value > max)
    return fail(Code::kInvalid, "query parameter '", key, "' must be a whole number from ", std::to_string(min), " to ",
                std::to_string(max));
  return *value;
}

Status check_query(const Context& context, std::span<const std::string_view> keys) {
  const std::vector<std::string> known(keys.begin(), keys.end());
  for (const auto& [key, value] : context.query) {
    bool found = false;
    for (const std::string& name : known) found = found || name == key;
    if (!found)
      return fail(Code::kInvalid, "unknown query parameter '", key.substr(0, 60), "'", suggestion(key, known));
  }
  return ok_status();
}

}  // namespace internal

Response error_response(int status, std::string_view code, std::string_view message, std::string_view next) {
  return internal::json_response(status, {{"error", {{"code", code}, {"message", message}, {"next", next}}}});
}

Response handle(Hub& hub, Rows& rows, Moment now, const Caller& caller, const Request& request) {
  internal::Context context{hub, rows, now, caller, request, {}, {}};
  for (const std::string_view part :
       split(std::string_view(request.path).substr(request.path.starts_with('/') ? 1 : 0), '/'))
    context.path.push_back(internal::percent_decoded(part, false));
  if (!request.query.empty()) {
    for (const std::string_view part : split(request.query, '&')) {
      const size_t equals = std::min(part.find('='), part.size());
      if (equals == 0) continue;
      context.query[internal::percent_decoded(part.substr(0, equals), true)] =
          equals == part.size() ? "" : internal::percent_decoded(part.substr(equals + 1), true);
    }
  }
  return internal::route(context);
}

Response finish_enrol(Hub& hub, Rows& rows, Moment now, const IssueCertificate& issued, const std::string& serial,
                      const std::string& certificate_pem, const std::string& ca_pem) {
  const auto response = hub.finish_enrolment(rows, now, issued, serial, certificate_pem, ca_pem);
  if (!response.ok()) return internal::error_of(response.error());
  return internal::protobuf_response(*response);
}

Response resume(Hub& hub, Rows& rows, Moment now, const Caller& caller) {
  const auto response = hub.resume(rows, now, caller.id);
  if (!response.ok()) return internal::error_of(response.error());
  return internal::protobuf_response(*response);
}

}  // namespace wb::hub
