#pragma once
// The hub's HTTP surface as a pure function: request in, response out, described by api/openapi.yaml. It translates
// JSON and protobuf to commands and queries of Hub and decides nothing. No sockets: world/ carries the bytes.
//
// Errors are {"error":{"code","message","next"}}: what happened, and what to do next.
// Every call runs inside a transaction of `rows`, which is committed before the response is sent. A response with an
// error status has written nothing, so many calls may share one transaction.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hub/api/hub.h"

namespace wb::hub {

struct Caller {
  enum class Kind : uint8_t { kAnonymous, kNode, kAdmin };
  Kind kind = Kind::kAnonymous;  // proved by the client certificate
  std::string id;                // its common name
  std::string serial;            // its serial number, hex
};

struct Request {
  std::string method;  // "GET"
  std::string path;    // "/v1/nodes/pump-7", still percent-encoded, without the query
  std::string query;   // "since=…&limit=…", without '?'
  std::map<std::string, std::string, std::less<>>
      headers;  // names in lower case; only those named in openapi.yaml matter
  std::string body;
  std::string entropy;  // 32 fresh random bytes from world: secrets and ids are made of it
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // POST /v1/enrol: sign, then call finish_enrol() in the same transaction and send what it returns instead of this.
  std::optional<IssueCertificate> issue;
  // POST /v1/exchange: if > 0, commit, hold the answer this long or until take_wakes() names the node, then send
  // resume().
  uint32_t hold_ms = 0;
};

Response handle(Hub& hub, Rows& rows, Moment now, const Caller& caller, const Request& request);
Response finish_enrol(Hub& hub, Rows& rows, Moment now, const IssueCertificate& issued, const std::string& serial,
                      const std::string& certificate_pem, const std::string& ca_pem);
Response resume(Hub& hub, Rows& rows, Moment now, const Caller& caller);
// For what world answers itself (413, 429, 503 …), in the same shape.
Response error_response(int status, std::string_view code, std::string_view message, std::string_view next);

}  // namespace wb::hub
