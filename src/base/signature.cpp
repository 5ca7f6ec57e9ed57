#include "base/signature.h"

#include <openssl/evp.h>

#include <memory>

namespace wb {
namespace {

struct KeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct ContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, KeyFree>;
using Context = std::unique_ptr<EVP_MD_CTX, ContextFree>;

const unsigned char* raw(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

Result<Key> private_key(std::string_view seed) {
  if (seed.size() != kEd25519KeyBytes) return fail(Code::kInvalid, "an Ed25519 private key is 32 bytes");
  Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, raw(seed), seed.size()));
  if (!key) return fail(Code::kInternal, "OpenSSL refused the Ed25519 private key");
  return key;
}

}  // namespace

bool ed25519_verify(std::string_view public_key, std::string_view message, std::string_view signature) {
  if (public_key.size() != kEd25519KeyBytes || signature.size() != kEd25519SignatureBytes) return false;
  const Key key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw(public_key), public_key.size()));
  const Context context(EVP_MD_CTX_new());
  if (!key || !context) return false;
  if (EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1) return false;
  return EVP_DigestVerify(context.get(), raw(signature), signature.size(), raw(message), message.size()) == 1;
}

Result<std::string> ed25519_sign(std::string_view seed, std::string_view message) {
  WB_TRY(const Key key, private_key(seed));
  const Context context(EVP_MD_CTX_new());
  std::string signature(kEd25519SignatureBytes, '\0');
  size_t length = signature.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &length, raw(message),
                     message.size()) != 1)
    return fail(Code::kInternal, "OpenSSL could not sign");
  return signature;
}

Result<std::string> ed25519_public_key(std::string_view seed) {
  WB_TRY(const Key key, private_key(seed));
  std::string out(kEd25519KeyBytes, '\0');
  size_t length = out.size();
  if (EVP_PKEY_get_raw_public_key(key.get(), reinterpret_cast<unsigned char*>(out.data()), &length) != 1)
    return fail(Code::kInternal, "OpenSSL could not derive the public key");
  return out;
}

}  // namespace wb
