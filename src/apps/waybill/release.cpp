// `waybill release`: makes, signs and shows releases, and brings them to the hub.
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/waybill/client.h"
#include "apps/waybill/commands.h"
#include "apps/waybill/output.h"
#include "apps/waybill/release_build.h"
#include "base/checksum.h"
#include "base/signature.h"
#include "world/files.h"

namespace wb::cli {
namespace {

using Json = nlohmann::ordered_json;

// What a person wrote wrongly is bad configuration.
template <class T>
T or_bad_configuration(Result<T> result) {
  if (!result.ok())
    throw Exit{result.error().code == Code::kInvalid ? kBadConfiguration : kFailed, result.error().text};
  return std::move(result).value();
}

struct Options {
  ReleaseInputs inputs;
  std::string key_file;
  std::string out;
  std::string what;
  std::string key_name;
  Format format = Format::kTable;
  HubOptions hub;
};

void create_key(const Options& options) {
  if (world::file_exists(options.out))
    throw Exit{kFailed, options.out + " exists already; a release key is never overwritten: choose another --out"};
  std::string seed(kEd25519KeyBytes, '\0');
  if (RAND_priv_bytes(reinterpret_cast<unsigned char*>(seed.data()), static_cast<int>(seed.size())) != 1)
    throw Exit{kFailed, "the machine gave no random bytes for a key"};
  const std::string public_key = or_bad_configuration(ed25519_public_key(seed));
  std::string text = encode_key_file(seed);
  const Status written = world::write_file_atomic(options.out, text, 0600);
  OPENSSL_cleanse(text.data(), text.size());
  OPENSSL_cleanse(seed.data(), seed.size());
  or_bad_configuration(written);
  std::printf(
      "private key  %s (keep it: whoever has it can release)\npublic key   %s\nkey id       %s\n"
      "next: waybill release key trust %s%s\n",
      options.out.c_str(), hex_encode(public_key).c_str(), wire::key_id(public_key).c_str(),
      hex_encode(public_key).c_str(), hub_to_fill_in().c_str());
}

void build(Options& options) {
  ReleaseInputs& inputs = options.inputs;
  inputs.pipeline = or_bad_configuration(world::read_file(inputs.pipeline_file, 1U << 20));
  if (!inputs.model_file.empty())
    inputs.model = or_bad_configuration(world::read_file(inputs.model_file, limits::kReleaseBytesMax));
  inputs.seed = or_bad_configuration(
      decode_key_file(or_bad_configuration(world::read_file(options.key_file, 4'096)), options.key_file));
  const Bytes artifact = or_bad_configuration(build_release_file(inputs));
  if (options.out.empty()) options.out = inputs.name + "-" + inputs.version + ".wbr";
  or_bad_configuration(world::write_file_atomic(options.out, artifact, 0644));
  std::printf("%s@%s  %s  %s\n%s\nnext: waybill release push %s%s\n", inputs.name.c_str(), inputs.version.c_str(),
              format_size_bytes(static_cast<int64_t>(artifact.size())).c_str(), options.out.c_str(),
              sha256_hex(artifact).c_str(), options.out.c_str(), hub_to_fill_in().c_str());
}

Json to_json(const wire::Release& release, size_t size) {
  Json json;
  json["name"] = release.manifest.name();
  json["version"] = release.manifest.version();
  json["digest"] = release.digest;
  json["size_bytes"] = size;
  json["blobs"] = Json::array();
  for (const wire::Blob& blob : release.manifest.blobs())
    json["blobs"].push_back({{"name", blob.name()}, {"size_bytes", blob.size_bytes()}, {"sha256", blob.sha256()}});
  json["features"] =
      std::vector<std::string>(release.manifest.feature_names().begin(), release.manifest.feature_names().end());
  json["labels"] = std::vector<std::string>(release.manifest.reference_scores().labels().begin(),
                                            release.manifest.reference_scores().labels().end());
  json["self_test_rows"] = release.manifest.self_test().rows();
  json["reference_records"] = release.manifest.reference_scores().records();
  json["min_confidence"] = release.manifest.min_confidence();
  json["max_novelty"] = release.manifest.max_novelty();
  return json;
}

// A file says what it is, not who may trust it: that is decided where it is pushed and loaded.
void show_file(const Options& options) {
  const Bytes artifact = or_bad_configuration(world::read_file(options.what, limits::kReleaseBytesMax));
  const Result<wire::Release> opened = wire::inspect_release(artifact);
  if (!opened.ok()) throw Exit{kFailed, options.what + ": " + opened.error().text};
  if (print_structured(options.format, to_json(*opened, artifact.size()))) return;
  std::printf("%s  %s\n%s\n", opened->full_name().c_str(),
              format_size_bytes(static_cast<int64_t>(artifact.size())).c_str(), opened->digest.c_str());
  TextTable table({"BLOB", "SIZE", "SHA-256"});
  for (const wire::Blob& blob : opened->manifest.blobs())
    table.row({blob.name(), format_size_bytes(static_cast<int64_t>(blob.size_bytes())), blob.sha256().substr(0, 12)});
  std::fputs(table.text().c_str(), stdout);
  std::printf("%d features, %d classes, %u self-test rows, reference of %llu records\n",
              opened->manifest.feature_names_size(), opened->manifest.reference_scores().labels_size(),
              opened->manifest.self_test().rows(),
              static_cast<unsigned long long>(opened->manifest.reference_scores().records()));
}

void show(const Options& options) {
  if (world::file_exists(options.what)) return show_file(options);
  if (options.what.ends_with(".wbr")) throw Exit{kFailed, "no such file: " + options.what};
  const Json json = AdminClient(options.hub).get("/v1/releases/" + url_encode(options.what));
  if (print_structured(options.format, json)) return;
  for (const auto& [field, value] : json.items())
    if (!value.is_structured()) std::printf("%-16s %s\n", field.c_str(), cell(json, field).c_str());
}

void list(const Options& options) {
  const Json json = AdminClient(options.hub).get("/v1/releases");
  if (print_structured(options.format, json)) return;
  TextTable table({"RELEASE", "SIZE", "DIGEST"});
  for (const Json& release : json.is_object() ? json.value("releases", Json::array()) : json) {
    const std::string size = cell(release, "size_bytes");
    table.row({cell(release, "name") + "@" + cell(release, "version"), format_size_bytes(parse_int(size).value_or(0)),
               cell(release, "digest").substr(0, 12)});
  }
  std::fputs(table.text().c_str(), stdout);
}

// Looked at here first: a damaged file should not travel to be refused.
void push(const Options& options) {
  const Bytes artifact = or_bad_configuration(world::read_file(options.what, limits::kReleaseBytesMax));
  const Result<wire::Release> opened = wire::inspect_release(artifact);
  if (!opened.ok()) throw Exit{kFailed, options.what + ": " + opened.error().text};
  AdminClient client(options.hub);
  client.call({"POST", "/v1/releases", {{"Content-Type", "application/octet-stream"}}, artifact},
              {.deadline_ms = 300'000});
  const Json pushed = {
      {"name", opened->manifest.name()}, {"version", opened->manifest.version()}, {"digest", opened->digest}};
  if (print_structured(options.format, pushed)) return;
  std::printf("pushed %s  %s\nnext: waybill rollout start %s --to 'SELECTOR'%s\n", opened->full_name().c_str(),
              opened->digest.c_str(), opened->full_name().c_str(), options.hub.given().c_str());
}

void trust(const Options& options) {
  const Result<Bytes> key = hex_decode(options.what);
  if (!key.ok() || key->size() != kEd25519KeyBytes)
    throw Exit{kUsage, "a public key is 64 hex digits, as `waybill release key create` prints it"};
  AdminClient(options.hub).post("/v1/keys", {{"public_key", options.what}, {"name", options.key_name}});
  std::printf("key %s is trusted; nodes that enrol from now on accept its releases\n", wire::key_id(*key).c_str());
}

}  // namespace

void add_release(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* release = app.add_subcommand("release", "make, sign, show and push releases");
  release->require_subcommand(1);

  CLI::App* key = release->add_subcommand("key", "the publisher's signing keys");
  key->require_subcommand(1);
  CLI::App* create = key->add_subcommand("create", "make an Ed25519 signing key");
  create->add_option("--out", options->out, "file for the private key (mode 0600)")->required();
  create->callback([options] { create_key(*options); });
  CLI::App* truster = key->add_subcommand("trust", "register a publisher's public key at the hub");
  truster->add_option("public_key", options->what, "64 hex digits")->required();
  truster->add_option("--name", options->key_name, "whose key it is");
  add_hub_options(*truster, options->hub);
  truster->callback([options] { trust(*options); });

  CLI::App* builder =
      release->add_subcommand("build", "put a pipeline and its model into one signed file; same inputs, same bytes");
  builder->add_option("--name", options->inputs.name, "name of the release")->required();
  builder->add_option("--version", options->inputs.version, "version of the release")->required();
  builder->add_option("--pipeline", options->inputs.pipeline_file, "pipeline YAML")->required();
  builder->add_option("--model", options->inputs.model_file, "model package (.wbm), if the pipeline has 'infer'");
  builder->add_option("--key", options->key_file, "private key of `waybill release key create`")->required();
  builder->add_option("-o,--out", options->out, "file to write (default NAME-VERSION.wbr)")->check(an_output_file());
  builder->callback([options] { build(*options); });

  CLI::App* shower = release->add_subcommand("show", "what is in a release file, or what the hub knows of a release");
  shower->add_option("what", options->what, "a .wbr file, NAME@VERSION or a digest")->required();
  add_output_option(*shower, options->format);
  add_hub_options(*shower, options->hub);
  shower->callback([options] { show(*options); });

  CLI::App* lister = release->add_subcommand("list", "the releases that the hub holds");
  add_output_option(*lister, options->format);
  add_hub_options(*lister, options->hub);
  lister->callback([options] { list(*options); });

  CLI::App* pusher = release->add_subcommand("push", "bring a release file to the hub");
  pusher->add_option("file", options->what, "a .wbr file")->required();
  add_output_option(*pusher, options->format);
  add_hub_options(*pusher, options->hub);
  pusher->callback([options] { push(*options); });
}

}  // namespace wb::cli
