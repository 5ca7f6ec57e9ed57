#include <algorithm>

#include "base/age.h"
#include "base/bytes.h"
#include "base/checksum.h"
#include "base/planted.h"
#include "base/typed_rows.h"
#include "hub/registry/registry.h"

namespace wb::hub {
namespace {

bool good_id(std::string_view id) {
  if (id.empty() || id.size() > kNodeIdBytesMax || id.front() == '.' || id.front() == '-') return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

std::string wished_id(std::string_view name) {
  std::string id;
  for (char c : name.substr(0, kNodeIdBytesMax - 9)) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    id += good_id(std::string("a") + c) ? c : '-';
  }
  return good_id(id) ? id : "";
}

void set_labels(google::protobuf::RepeatedPtrField<pb::Label>& field, const Labels& labels) {
  field.Clear();
  for (const auto& [key, value] : labels) {
    pb::Label* label = field.Add();
    label->set_key(key);
    label->set_value(value);
  }
}

Labels to_map(const google::protobuf::RepeatedPtrField<pb::Label>& field) {
  Labels out;
  for (const pb::Label& label : field) out[label.key()] = label.value();
  return out;
}

Status check_label(std::string_view key, std::string_view value) {
  if (key.empty() || key.size() > limits::kLabelBytesMax || value.size() > limits::kLabelBytesMax)
    return fail(Code::kInvalid, "label '", key.substr(0, 40), "': key and value have 1 to ",
                std::to_string(limits::kLabelBytesMax), " bytes");
  if (key == "node") return fail(Code::kInvalid, "label 'node' is the node's id and cannot be set");
  return ok_status();
}

}  // namespace

std::optional<pb::Node> find_node(Rows& rows, std::string_view id) {
  return load_row<pb::Node>(rows, Table::kNodes, id);
}
void save_node(Rows& rows, const pb::Node& node) { save_row(rows, Table::kNodes, node.id(), node); }

void each_node(Rows& rows, std::string_view from, const std::function<bool(const pb::Node&)>& visit) {
  rows.scan(Table::kNodes, "", from, [&](std::string_view, std::string_view value) {
    pb::Node node;
    return !parse_row(value, node) || visit(node);
  });
}

Labels labels_of(const pb::Node& node) {
  Labels out = to_map(node.own_labels());
  for (const pb::Label& label : node.operator_labels()) out[label.key()] = label.value();
  out["node"] = node.id();
  return out;
}

Status admit(const std::optional<pb::Node>& node, std::string_view id, std::string_view serial) {
  if (!node)
    return fail(Code::kDenied, "node '", id,
                "' is not known to this hub; enrol it again with a new token (`waybill node token create`)");
  if (node->revoked() && !planted(Bug::kRevokedServed))
    return fail(Code::kDenied, "node '", id, "' is revoked; an operator must enrol it anew");
  const bool renewed = !node->next_serial().empty() && serial == node->next_serial();
  const bool retired = planted(Bug::kOldCertificateRefused) && !node->next_serial().empty();
  if (!serial.empty() && !renewed && (retired || serial != node->certificate_serial()))
    return fail(Code::kDenied, "node '", id,
                "' has enrolled again since this certificate was issued; use the newer one");
  return ok_status();
}

void use_certificate(pb::Node& node, std::string_view serial) {
  if (node.next_serial().empty() || serial != node.next_serial()) return;
  node.set_certificate_serial(node.next_serial());
  node.clear_next_serial();
}

bool set_own_labels(pb::Node& node, const Labels& labels) {
  if (labels == to_map(node.own_labels())) return false;
  set_labels(*node.mutable_own_labels(), labels);
  return true;
}

bool touch(Moment now, pb::Node& node, const wire::ExchangeRequest& request) {
  const Labels said(request.labels().begin(), request.labels().end());
  const bool first = node.last_contact_ms() == 0;
  const bool changed = set_own_labels(node, said) || first;
  node.set_last_contact_ms(now.unix_ms);
  node.set_boot(request.boot());
  node.set_incarnation(request.incarnation());
  node.set_agent_version(fit_text(request.agent_version(), limits::kLabelBytesMax));
  node.set_running_digest(request.reported().running_digest());
  node.set_running_name(request.reported().running_name());
  node.clear_quarantined();
  for (const wire::Quarantined& bad : request.reported().quarantined()) node.add_quarantined(bad.digest());
  return changed;
}

Status change_labels(pb::Node& node, const std::vector<std::pair<std::string, std::optional<std::string>>>& changes) {
  Labels labels = to_map(node.operator_labels());
  for (const auto& [key, value] : changes) {
    WB_CHECK(check_label(key, value.value_or("")));
    if (value)
      labels[key] = *value;
    else
      labels.erase(key);
  }
  if (labels.size() > limits::kLabelsMax)
    return fail(Code::kFull, "a node has at most ", std::to_string(limits::kLabelsMax), " labels");
  set_labels(*node.mutable_operator_labels(), labels);
  return ok_status();
}

// ---- enrolment

Status create_token(Rows& rows, Moment now, const NewToken& request) {
  if (request.secret.size() < 16) return fail(Code::kInvalid, "a token's secret has at least 16 bytes");
  if (request.lifetime_ms <= 0 || request.lifetime_ms > kTokenLifetimeMaxMs)
    return fail(Code::kInvalid, "a token lives for 1 ms to 90 days");
  if (request.labels.size() > limits::kLabelsMax) return fail(Code::kFull, "too many labels");
  pb::Token token;
  Labels labels;
  for (const auto& [key, value] : request.labels) {
    WB_CHECK(check_label(key, value));
    labels[key] = value;
  }
  set_labels(*token.mutable_labels(), labels);
  token.set_created_ms(now.unix_ms);
  token.set_expires_ms(now.unix_ms + request.lifetime_ms);
  token.set_created_by(request.actor);
  save_row(rows, Table::kTokens, sha256_hex(request.secret), token);
  return ok_status();
}

Result<EnrolDecision> decide_enrolment(Rows& rows, Moment now, const wire::EnrolRequest& request,
                                       std::string_view entropy) {
  EnrolDecision out;
  out.token_key = sha256_hex(request.token());
  const auto token = load_row<pb::Token>(rows, Table::kTokens, out.token_key);
  const std::string_view next = "; create a new one with `waybill node token create`";
  if (!token) return fail(Code::kDenied, "this enrolment token is not known here", next);
  if (token->used_ms() != 0) {
    // The answer may have been lost on the way. The same request, by the holder of the same private key, gets it again.
    if (token->csr_sha256() == sha256_hex(request.csr_der()) && !token->enrol_response().empty()) {
      out.node_id = token->node_id();
      out.replay = token->enrol_response();
      return out;
    }
    return fail(Code::kDenied, "this enrolment token was used already, by node '", token->node_id(), "'", next);
  }
  if (now.unix_ms >= token->expires_ms())
    return fail(Code::kDenied, "this enrolment token expired ",
                format_duration_ms(age_ms(now.unix_ms, token->expires_ms())), " ago", next);
  if (request.csr_der().empty()) return fail(Code::kInvalid, "the enrolment request has no certificate request in it");
  const std::string wished = wished_id(request.node_name());
  const std::string random = hex_encode(entropy).substr(0, 8);
  out.node_id = wished.empty() ? "node-" + random : wished;
  if (find_node(rows, out.node_id)) out.node_id = (wished.empty() ? "node" : wished) + "-" + random;
  if (find_node(rows, out.node_id)) return fail(Code::kUnavailable, "no free node id was found; try again");
  return out;
}

Result<pb::Node> complete_enrolment(Rows& rows, Moment now, std::string_view token_key, std::string_view node_id,
                                    std::string_view csr_der, std::string_view serial, std::string_view response) {
  auto token = load_row<pb::Token>(rows, Table::kTokens, token_key);
  if (!token || token->used_ms() != 0) return fail(Code::kDenied, "the enrolment token was used meanwhile");
  if (!planted(Bug::kTokenUsedTwice)) token->set_used_ms(std::max<int64_t>(1, now.unix_ms));
  token->set_node_id(std::string(node_id));
  token->set_csr_sha256(sha256_hex(csr_der));
  token->set_enrol_response(std::string(response));
  save_row(rows, Table::kTokens, token_key, *token);
  pb::Node node;
  node.set_id(std::string(node_id));
  *node.mutable_operator_labels() = token->labels();
  node.set_certificate_serial(std::string(serial));
  node.set_created_ms(now.unix_ms);
  save_node(rows, node);
  return node;
}

}  // namespace wb::hub
