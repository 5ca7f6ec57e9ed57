#pragma once
// Hub: the control plane as one pure object over Rows. It composes ingest, telemetry, registry, rollout and dispatch;
// the sockets, TLS, certificates and the database are in world/, the virtual ones in sim/.
//
// Every call runs inside a transaction of `rows` (many may share one): the caller begins it, calls, commits, and only
// then sends the answers (H1: acked means durable). If the commit fails the caller answers "unavailable", and calls
// forget_wakes(). A call that returns an error has written nothing.
//
// A Hub keeps nothing that matters between calls: configuration, the load hint, and the ids of nodes to wake. A new
// process over the same rows goes on where the old one stopped. One thread at a time.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/rows.h"
#include "base/step.h"
#include "hub.pb.h"
#include "wire/wire.h"

namespace wb::hub {

struct HubConfig {
  std::string version = "0.1.0";
  std::string ca_pin;                     // first 32 hex digits of the CA certificate's SHA-256: goes into tokens
  uint64_t drain_bytes_per_s = 1U << 20;  // granted to one node while the hub is idle
  uint32_t next_contact_ms = 30'000;      // while idle; stretched with the load
  uint32_t jitter_floor_ms = 1'000;       // for a small fleet; see reconnects_per_s
  uint32_t reconnects_per_s = 1'000;      // all that are connected now may come back at this rate, spread by jitter
  uint32_t long_poll_max_ms = 60'000;
  int64_t dark_after_ms = 15 * 60'000;  // default of a rollout, and of the fleet view
  uint32_t drained_at_permille = 900;   // load from which new records are refused and only control is served
};

struct ExchangeOutcome {
  wire::ExchangeResponse response;
  // > 0: nothing is new for this node. The server may hold the answer this long (after the commit), and calls resume()
  // when the node is woken or the time is over. 0: answer now.
  uint32_t hold_ms = 0;
};

// What world must do before an enrolment can be answered: sign the CSR, then call finish_enrolment() in the same
// transaction.
struct IssueCertificate {
  std::string node_id;                                          // the certificate's common name
  std::string csr_der;                                          // as received; world checks its self-signature
  std::string token_key;                                        // pass back; "" = a renewal
  std::map<std::string, std::string, std::less<>> labels = {};  // the node's own
};

struct EnrolOutcome {
  std::optional<IssueCertificate> issue;  // absent: `response` is the answer (a retry of a finished enrolment)
  std::optional<wire::EnrolResponse> response;
};

class Hub {
 public:
  explicit Hub(HubConfig config) : config_(std::move(config)) {}

  // ---- nodes
  // One contact: registry touch, ingest, telemetry, rollouts, dispatch, grants. A replay gives the same acks (H2, Q3).
  // `serial`: of the client certificate; "" = not checked (simulator). kDenied: unknown, revoked or replaced identity.
  Result<ExchangeOutcome> exchange(Rows& rows, Moment now, std::string_view node_id,
                                   const wire::ExchangeRequest& request, std::string_view serial = {});
  // The held answer, made again: desired state and grants, nothing ingested, no contact counted.
  Result<wire::ExchangeResponse> resume(Rows& rows, Moment now, std::string_view node_id);
  // Rollouts move even if nobody calls: call about once a second.
  void tick(Rows& rows, Moment now);
  // Nodes whose desired state may have changed since the last call; wake their held exchanges after the commit. "" =
  // all.
  std::vector<std::string> take_wakes();
  void forget_wakes() { wakes_.clear(); }

  // ---- enrolment
  // `secret`: fresh random bytes (≥ 16) from world, hex-encoded by the caller into the token's text. Only its hash is
  // kept.
  struct TokenRequest {
    std::string secret;
    int64_t lifetime_ms = 3'600'000;
    std::vector<std::pair<std::string, std::string>> labels;
    std::string actor = {};
  };
  Status create_token(Rows& rows, Moment now, const TokenRequest& request);
  // entropy: 16 fresh random bytes, used if the wished name is taken. I6: single use, expiring; the same CSR again gets
  // the same answer.
  Result<EnrolOutcome> enrol(Rows& rows, Moment now, const wire::EnrolRequest& request, std::string_view entropy);
  // A node asks for a fresh certificate for its key while the old one is valid (I2, I3). No release keys are given
  // again: those that were pinned at enrolment stay (K2).
  Result<IssueCertificate> renew(Rows& rows, std::string_view node_id, std::string_view serial,
                                 const wire::EnrolRequest& request);
  Result<wire::EnrolResponse> finish_enrolment(Rows& rows, Moment now, const IssueCertificate& issued,
                                               std::string_view serial, std::string_view certificate_pem,
                                               std::string_view ca_pem);

  // ---- releases: bytes in ranges (≤ limits::kFetchRangeBytesMax per call)
  struct ArtifactRange {
    std::string bytes;
    uint64_t total_bytes = 0;
  };
  Result<ArtifactRange> read_artifact(Rows& rows, std::string_view digest, uint64_t offset, uint64_t length) const;
  // K2: only artifacts signed by a trusted publisher key. Pushing the same bytes again is fine; other bytes under the
  // same name@version are refused (kExists).
  Result<pb::ReleaseRow> push_release(Rows& rows, Moment now, std::string_view artifact, std::string_view actor);
  Status trust_key(Rows& rows, Moment now, std::string_view public_key, std::string_view name, std::string_view actor);

  // ---- rollouts
  struct RolloutSpec {
    std::string release;  // name@version or digest
    std::string selector = "all";
    std::vector<uint32_t> waves_percent = {1, 5, 25, 100};
    int64_t dark_after_ms = 0;  // 0 = HubConfig::dark_after_ms
    uint32_t max_failure_permille = 100;
    uint32_t probation_records = 100;
    uint32_t probation_ms = 10'000;
    bool supersede = false;     // abort (keeping the committed) what still runs on these nodes
    bool allow_halted = false;  // roll out again what a gate has halted before
    std::string actor = {};
  };
  struct WavePlan {
    uint32_t percent = 0;
    uint32_t nodes = 0;  // exposure at the end of this wave, at most
  };
  struct RolloutPlan {
    uint32_t matching = 0, reachable = 0;
    std::vector<WavePlan> waves;
  };
  Result<RolloutPlan> plan_rollout(Rows& rows, Moment now, const RolloutSpec& spec);
  Result<pb::Rollout> start_rollout(Rows& rows, Moment now, const RolloutSpec& spec);
  enum class RolloutCommand : uint8_t { kPause, kResume, kPromote, kAbort, kAbortAndRollBack };
  Result<pb::Rollout> command_rollout(Rows& rows, Moment now, std::string_view id, RolloutCommand command,
                                      std::string_view actor);

  // ---- nodes, by an operator
  Status set_labels(Rows& rows, Moment now, std::string_view node_id,
                    const std::vector<std::pair<std::string, std::optional<std::string>>>& changes,
                    std::string_view actor);
  Status revoke_node(Rows& rows, Moment now, std::string_view node_id, std::string_view actor);

  // How busy the server is, 0 … 1000: shapes grants, and refuses new records past drained_at_permille (L1).
  // `connected`: connections that would come back at once if this hub went away.
  void set_load(uint32_t permille, size_t connected = 0) {
    load_permille_ = permille;
    connected_ = connected;
  }
  const HubConfig& config() const { return config_; }

 private:
  Result<wire::EnrolResponse> finish_renewal(Rows& rows, Moment now, const IssueCertificate& issued,
                                             std::string_view serial, wire::EnrolResponse response);
  // Works out what the node should run; true if that changed. `reported` is null when no report came with the call.
  bool settle(Rows& rows, Moment now, pb::Node& node, const wire::Reported* reported, bool& scan_now,
              int64_t& contact_within_ms);
  bool scan_if_due(Rows& rows, Moment now, bool at_once);
  void apply(Rows& rows, Moment now, const struct RolloutNews& news, std::string_view actor);
  wire::ExchangeResponse answer(Moment now, const pb::Node& node, int64_t contact_within_ms) const;
  int64_t up_ms(Moment now);

  HubConfig config_;
  uint32_t load_permille_ = 0;
  size_t connected_ = 0;
  std::optional<Instant> started_;
  std::vector<std::string> wakes_;
};

}  // namespace wb::hub
