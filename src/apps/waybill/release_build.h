#pragma once
// What goes into a release: the pipeline file as it is, the model package as it is, and, so that a node can judge it
// without opening the model, copies of the model's self-test, sketches, reference scores and feature names in the
// signed manifest.

#include <string>

#include "base/document.h"
#include "base/result.h"
#include "wire/wire.h"

namespace wb::cli {

struct ReleaseInputs {
  std::string name;
  std::string version;
  std::string pipeline_file;  // for messages
  std::string pipeline;       // YAML text
  std::string model_file;     // for messages; "" = no model
  std::string model;          // .wbm bytes
  std::string seed;           // 32-byte Ed25519 private key
};

// Same inputs, same bytes. The result has passed everything a node checks before it loads a release.
Result<Bytes> build_release_file(const ReleaseInputs& inputs);

// A key file is one line of text, mode 0600: "waybill-release-key-1 <64 hex digits>".
std::string encode_key_file(std::string_view seed);
Result<std::string> decode_key_file(std::string_view text, std::string_view file);

}  // namespace wb::cli
