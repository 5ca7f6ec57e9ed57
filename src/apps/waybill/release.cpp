// `waybill release`: makes, signs and shows releases, and brings them to the hub.
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "apps/waybill/commands.h"
#include "apps/waybill/release_build.h"
#include "base/checksum.h"
#include "base/signature.h"
#include "world/files.h"

namespace wb::cli {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
T or_exit(Result<T> result) {
  if (!result.ok()) throw Exit{result.error().code == Code::kInvalid ? kBadConfiguration : kFailed, result.error().text};
  return std::move(result).value();
}

struct Options {
  ReleaseInputs inputs;
  std::string key_file;
  std::string out;
  std::string what;
  std::string output = "table";
};

void create_key(const Options& options) {
  if (world::file_exists(options.out))
    throw Exit{kFailed, options.out + " exists already; a release key is never overwritten: choose another --out"};
  std::string seed(kEd25519KeyBytes, '\0');
  if (RAND_priv_bytes(reinterpret_cast<unsigned char*>(seed.data()), static_cast<int>(seed.size())) != 1)
    throw Exit{kFailed, "the machine gave no random bytes for a key"};
  const std::string public_key = or_exit(ed25519_public_key(seed));
  std::string text = encode_key_file(seed);
  const Status written = world::write_file_atomic(options.out, text, 0600);
  OPENSSL_cleanse(text.data(), text.size());
  OPENSSL_cleanse(seed.data(), seed.size());
  or_exit(written);
  std::printf("private key  %s (keep it: whoever has it can release)\npublic key   %s\nkey id       %s\n"
              "next: waybill release key trust %s\n",
              options.out.c_str(), hex_encode(public_key).c_str(), wire::key_id(public_key).c_str(), hex_encode(public_key).c_str());
}

void build(Options& options) {
  ReleaseInputs& inputs = options.inputs;
  inputs.pipeline = or_exit(world::read_file(inputs.pipeline_file, 1U << 20));
  if (!inputs.model_file.empty()) inputs.model = or_exit(world::read_file(inputs.model_file, limits::kReleaseBytesMax));
  inputs.seed = or_exit(decode_key_file(or_exit(world::read_file(options.key_file, 4'096)), options.key_file));
  const Bytes artifact = or_exit(build_release_file(inputs));
  if (options.out.empty()) options.out = inputs.name + "-" + inputs.version + ".wbr";
  or_exit(world::write_file_atomic(options.out, artifact, 0644));
  std::printf("%s@%s  %s  %s\n%s\nnext: waybill release push %s\n", inputs.name.c_str(), inputs.version.c_str(),
              format_size_bytes(static_cast<int64_t>(artifact.size())).c_str(), options.out.c_str(), sha256_hex(artifact).c_str(),
              options.out.c_str());
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
  json["features"] = std::vector<std::string>(release.manifest.feature_names().begin(), release.manifest.feature_names().end());
  json["labels"] = std::vector<std::string>(release.manifest.reference_scores().labels().begin(),
                                            release.manifest.reference_scores().labels().end());
  json["self_test_rows"] = release.manifest.self_test().rows();
  json["reference_records"] = release.manifest.reference_scores().records();
  json["min_confidence"] = release.manifest.min_confidence();
  json["max_novelty"] = release.manifest.max_novelty();
  return json;
}

// A file says what it is, not who may trust it: that is decided where it is pushed and loaded.
void show(const Options& options) {
  if (!world::file_exists(options.what)) throw Exit{kFailed, "no such file: " + options.what};
  const Bytes artifact = or_exit(world::read_file(options.what, limits::kReleaseBytesMax));
  const Result<wire::Release> opened = wire::inspect_release(artifact);
  if (!opened.ok()) throw Exit{kFailed, options.what + ": " + opened.error().text};
  const Json json = to_json(*opened, artifact.size());
  if (options.output == "json") {
    std::printf("%s\n", json.dump(2).c_str());
    return;
  }
  std::printf("%s  %s\n%s\n", opened->full_name().c_str(), format_size_bytes(static_cast<int64_t>(artifact.size())).c_str(),
              opened->digest.c_str());
  for (const wire::Blob& blob : opened->manifest.blobs())
    std::printf("  %-16s %10s  %.12s\n", blob.name().c_str(), format_size_bytes(static_cast<int64_t>(blob.size_bytes())).c_str(),
                blob.sha256().c_str());
  std::printf("  %d features, %d classes, %u self-test rows, reference of %llu records\n", opened->manifest.feature_names_size(),
              opened->manifest.reference_scores().labels_size(), opened->manifest.self_test().rows(),
              static_cast<unsigned long long>(opened->manifest.reference_scores().records()));
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

  CLI::App* builder = release->add_subcommand("build", "put a pipeline and its model into one signed file; same inputs, same bytes");
  builder->add_option("--name", options->inputs.name, "name of the release")->required();
  builder->add_option("--version", options->inputs.version, "version of the release")->required();
  builder->add_option("--pipeline", options->inputs.pipeline_file, "pipeline YAML")->required();
  builder->add_option("--model", options->inputs.model_file, "model package (.wbm), if the pipeline has 'infer'");
  builder->add_option("--key", options->key_file, "private key of `waybill release key create`")->required();
  builder->add_option("-o,--out", options->out, "file to write (default NAME-VERSION.wbr)");
  builder->callback([options] { build(*options); });

  CLI::App* shower = release->add_subcommand("show", "what is in a release file");
  shower->add_option("what", options->what, "a .wbr file")->required();
  shower->add_option("-o,--output", options->output, "table or json")->check(CLI::IsMember({"table", "json"}));
  shower->callback([options] { show(*options); });
}

}  // namespace wb::cli
