#include "apps/waybill/load_identities.h"

#include <boost/asio/io_context.hpp>
#include <deque>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/waybill/commands.h"
#include "base/bytes.h"
#include "wire/wire.h"
#include "world/files.h"
#include "world/pki.h"

namespace wb::cli {

namespace {

using Json = nlohmann::json;
namespace asio = boost::asio;

constexpr size_t kDesks = 8;  // enrolments at once
constexpr size_t kFileBytesMax = 1U << 30;

std::vector<LoadIdentity> read_folder(const std::string& folder, const std::string& ca_pem) {
  std::vector<LoadIdentity> out;
  const auto ca = world::read_file(folder + "/ca.pem", kFileBytesMax);
  if (!ca.ok()) return out;
  if (*ca != ca_pem)
    throw Exit{kFailed, "the identities in " + folder +
                            " belong to another hub; remove that folder, or give another --identities"};
  const std::string text = or_exit(world::read_file(folder + "/nodes.jsonl", kFileBytesMax), "read the identities");
  for (const std::string_view line : split(text, '\n')) {
    const Json node = Json::parse(line, nullptr, false);
    if (!node.is_object()) continue;  // a run that was cut left half a line
    out.push_back({node.value("id", ""), {ca_pem, node.value("certificate", ""), node.value("key", "")}});
  }
  return out;
}

// A few desks enrol one node after the other, each on two kept-alive connections.
class Enrolment {
 public:
  Enrolment(const AdminClient& admin, std::vector<LoadIdentity>& nodes, size_t count)
      : admin_(admin), nodes_(nodes), count_(count), next_(nodes.size()) {}

  void run(const std::function<void(size_t, size_t)>& progress) {
    nodes_.resize(count_);
    for (size_t i = 0; i < kDesks; ++i) {
      Desk& desk = desks_.emplace_back();
      desk.admin = std::make_unique<world::HttpsClient>(io_, admin_.endpoint(), admin_.identity());
      desk.anonymous =
          std::make_unique<world::HttpsClient>(io_, admin_.endpoint(), world::TlsIdentity{admin_.ca_pem(), "", ""});
      next_node(desk);
    }
    const size_t first = nodes_.size() - (count_ - done_);
    while (io_.run_one() > 0)
      if (done_ % 100 == 0) progress(first + done_, count_);
    if (failure_) throw Exit{kFailed, "enrol the agents: " + *failure_};
  }

 private:
  struct Desk {
    std::unique_ptr<world::HttpsClient> admin, anonymous;
  };
  bool failed(const Result<world::HttpResponse>& answer) {
    if (answer.ok() && (answer->status == 200 || answer->status == 201)) return failure_.has_value();
    if (!failure_)
      failure_ = answer.ok() ? "HTTP " + std::to_string(answer->status) + " " + answer->body.substr(0, 200)
                             : answer.error().text;
    return true;
  }
  void next_node(Desk& desk) {
    if (next_ == count_ || failure_) return;
    LoadIdentity& node = nodes_[next_++];
    desk.admin->request({"POST", "/v1/tokens", {{"content-type", "application/json"}}, "{}"}, {},
                        [this, &desk, &node](Result<world::HttpResponse> answer) {
                          if (!failed(answer)) enrol(desk, node, answer->body);
                        });
  }
  void enrol(Desk& desk, LoadIdentity& node, const std::string& token_json) {
    const Json token = Json::parse(token_json, nullptr, false);
    const std::string text = token.is_object() ? token.value("token", "") : "";  // wb1-SECRET-PIN
    const auto parts = split(text, '-');
    auto key = world::make_p256_key_pem();
    auto csr = key.ok() ? world::make_csr_der(*key, "load") : key;
    if (!csr.ok() || parts.size() != 3) {
      failure_ = csr.ok() ? "the hub's token is not understood" : csr.error().text;
      return;
    }
    node.tls.key_pem = *key;
    wire::EnrolRequest request;
    request.set_token(std::string(parts[1]));
    request.set_csr_der(*csr);
    request.set_node_name("load-" + std::to_string(&node - nodes_.data()));
    desk.anonymous->request({"POST", "/v1/enrol", {}, wire::encode(request)}, {},
                            [this, &desk, &node](Result<world::HttpResponse> answer) {
                              if (failed(answer)) return;
                              const auto response = wire::decode_enrol_response(answer->body);
                              if (!response.ok()) {
                                failure_ = response.error().text;
                                return;
                              }
                              node.id = response->node_id();
                              node.tls.certificate_pem = response->certificate_pem();
                              node.tls.ca_pem = response->ca_pem();
                              ++done_;
                              next_node(desk);
                            });
  }

  const AdminClient& admin_;
  std::vector<LoadIdentity>& nodes_;
  const size_t count_;
  size_t next_;
  size_t done_ = 0;
  std::optional<std::string> failure_;
  asio::io_context io_{1};
  std::deque<Desk> desks_;
};

void write_folder(const std::string& folder, const std::vector<LoadIdentity>& nodes, const std::string& ca_pem) {
  std::string text;
  for (const LoadIdentity& node : nodes)
    text += Json{{"id", node.id}, {"certificate", node.tls.certificate_pem}, {"key", node.tls.key_pem}}.dump() + "\n";
  Status done = world::make_folders(folder);
  if (done.ok()) done = world::write_file_atomic(folder + "/nodes.jsonl", text, world::kSecretMode);
  if (done.ok()) done = world::write_file_atomic(folder + "/ca.pem", ca_pem, world::kSecretMode);
  if (!done.ok()) throw Exit{kFailed, "keep the identities: " + done.error().text};
}

}  // namespace

std::vector<LoadIdentity> load_identities(const std::string& folder, size_t count, const AdminClient& admin,
                                          const std::function<void(size_t, size_t)>& progress) {
  std::vector<LoadIdentity> nodes = read_folder(folder, admin.ca_pem());
  if (nodes.size() < count) {
    Enrolment(admin, nodes, count).run(progress);
    write_folder(folder, nodes, admin.ca_pem());
  }
  nodes.resize(count);
  return nodes;
}

}  // namespace wb::cli
