#include "apps/waybill/hub_home.h"

#include <utility>

namespace wb::cli {

namespace {

using world::CertificateAuthority;
using world::Credential;

constexpr size_t kPemBytesMax = 64U << 10;
constexpr int64_t kRenewBeforeSeconds = 30 * world::kDaySeconds;
constexpr std::string_view kKeyMark = "-----BEGIN PRIVATE KEY-----";

// Certificate and key lie in one file, so that no power cut can leave one without the other.
Result<Credential> read_pair(const std::string& path) {
  WB_TRY(const std::string text, world::read_file(path, kPemBytesMax));
  const size_t mark = text.find(kKeyMark);
  if (mark == std::string::npos) return fail(Code::kInvalid, path, " holds no private key");
  Credential pair{text.substr(0, mark), text.substr(mark)};
  const Status fits = world::check_pair(pair.certificate_pem, pair.key_pem);
  if (!fits.ok()) return fits.error().within(path);
  return pair;
}

Result<CertificateAuthority> open_authority(const std::string& path, int64_t now, HubProbe* probe, bool& first_start) {
  if (world::file_exists(path)) {
    const auto pair = read_pair(path);
    if (pair.ok()) return CertificateAuthority::load(pair->certificate_pem, pair->key_pem);
    return fail(pair.error().code, pair.error().text,
                "; restore it from a backup: without it no enrolled node can be spoken to");
  }
  first_start = true;
  WB_TRY(const CertificateAuthority made, CertificateAuthority::create("waybill hub CA", now));
  WB_CHECK(world::write_file_atomic(path, made.certificate_pem() + made.key_pem(), world::kSecretMode));
  reached(probe, HubPoint::kAuthorityKept);
  return made;
}

bool fresh(const Credential& credential, int64_t now) {
  const auto facts = world::read_certificate(credential.certificate_pem);
  return facts.ok() && facts->not_after - kRenewBeforeSeconds > now && facts->not_before <= now;
}

Result<Credential> open_server(const std::string& folder, const CertificateAuthority& authority,
                               const std::vector<std::string>& hosts, int64_t now, HubProbe* probe) {
  std::string wanted;
  for (const std::string& host : hosts) wanted += "# host " + host + "\n";
  const auto found = read_pair(folder + "/server.pem");
  if (found.ok() && fresh(*found, now) && found->certificate_pem.starts_with(wanted + "-----BEGIN"))
    return Credential{found->certificate_pem.substr(wanted.size()), found->key_pem};
  WB_TRY(const Credential made, authority.issue_server(hosts, now));
  WB_CHECK(world::write_file_atomic(folder + "/server.pem", wanted + made.certificate_pem + made.key_pem,
                                    world::kSecretMode));
  reached(probe, HubPoint::kServerKept);
  return made;
}

// Three plain files, because people and other tools (curl) take them as such. The certificate is written last: a start
// that finds a pair that does not fit makes it anew.
Status open_admin(const std::string& folder, const CertificateAuthority& authority, int64_t now, HubProbe* probe) {
  WB_CHECK(world::make_folders(folder));
  WB_CHECK(world::keep_file(folder + "/ca.pem", authority.certificate_pem(), world::kPublicMode));
  const auto certificate = world::read_file(folder + "/cert.pem", kPemBytesMax);
  const auto key = world::read_file(folder + "/key.pem", kPemBytesMax);
  if (certificate.ok() && key.ok() && world::check_pair(*certificate, *key).ok() &&
      fresh(Credential{*certificate, *key}, now))
    return ok_status();
  WB_TRY(const Credential made, authority.issue_admin("admin", now));
  WB_CHECK(world::write_file_atomic(folder + "/key.pem", made.key_pem, world::kSecretMode));
  reached(probe, HubPoint::kAdminKeyKept);
  WB_CHECK(world::write_file_atomic(folder + "/cert.pem", made.certificate_pem, world::kPublicMode));
  reached(probe, HubPoint::kAdminKept);
  return ok_status();
}

}  // namespace

Result<HubHome> open_hub_home(const std::string& folder, const std::vector<std::string>& hosts, int64_t now_unix_s,
                              HubProbe* probe) {
  WB_CHECK(world::make_folders(folder));
  WB_TRY(world::FolderLock lock, world::FolderLock::take(folder, "hub"));
  bool first_start = false;
  WB_TRY(CertificateAuthority authority, open_authority(folder + "/ca.pem", now_unix_s, probe, first_start));
  WB_TRY(Credential server, open_server(folder, authority, hosts, now_unix_s, probe));
  WB_CHECK(open_admin(folder + "/admin", authority, now_unix_s, probe));
  return HubHome{folder, std::move(lock), std::move(authority), std::move(server), first_start};
}

Status write_hub_url(const HubHome& home, const std::string& url, HubProbe* probe) {
  WB_CHECK(world::keep_file(home.folder + "/admin/hub_url", url + "\n", world::kPublicMode));
  reached(probe, HubPoint::kAdminUrlKept);
  return world::keep_file(home.folder + "/hub_url", url + "\n", world::kPublicMode);
}

}  // namespace wb::cli
