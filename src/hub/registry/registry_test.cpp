#include "hub/registry/registry.h"

#include <gtest/gtest.h>

#include "base/memory_rows.h"
#include "base/signature.h"

namespace wb::hub {
namespace {

const std::string kSecret(16, 's');
const std::string kSeed(32, 'k');
const std::string kEntropy(16, '\x5a');

class Registry : public testing::Test {
 protected:
  wire::EnrolRequest request(const std::string& csr, const std::string& name = "Pump 7") {
    wire::EnrolRequest out;
    out.set_token(kSecret);
    out.set_csr_der(csr);
    out.set_node_name(name);
    return out;
  }
  void make_token(int64_t lifetime_ms = 1'000) {
    ASSERT_TRUE(create_token(rows, now, NewToken{kSecret, lifetime_ms, {{"site", "lyon"}}, "ada"}).ok());
  }
  Bytes artifact(const std::string& version, const std::string& body, const std::string& seed = kSeed) {
    wire::ReleaseContent content;
    content.manifest.set_name("pump");
    content.manifest.set_version(version);
    content.contents = {{"pipeline.yaml", body}};
    return *wire::build_release(content, seed);
  }
  MemoryRows rows;
  Moment now{{0}, 10'000};
};

TEST_F(Registry, ATokenWorksOnceAndTheSameRequestGetsTheSameAnswer) {  // I6, H2
  make_token();
  const auto first = decide_enrolment(rows, now, request("csr-1"), kEntropy);
  ASSERT_TRUE(first.ok()) << first.error().text;
  EXPECT_EQ(first->node_id, "pump-7");
  ASSERT_TRUE(complete_enrolment(rows, now, first->token_key, first->node_id, "csr-1", "aa", "answer").ok());
  EXPECT_EQ(labels_of(*find_node(rows, "pump-7")).at("site"), "lyon");
  EXPECT_EQ(decide_enrolment(rows, now, request("csr-1"), kEntropy)->replay, "answer");
  const auto other = decide_enrolment(rows, now, request("csr-2"), kEntropy);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(
      other.error().text,
      "this enrolment token was used already, by node 'pump-7'; create a new one with `waybill node token create`");
  EXPECT_FALSE(complete_enrolment(rows, now, first->token_key, "x", "csr-2", "ab", "other").ok());
}

TEST_F(Registry, ATokenExpires) {  // I6
  make_token(1'000);
  now.unix_ms += 999;
  EXPECT_TRUE(decide_enrolment(rows, now, request("csr"), kEntropy).ok());
  now.unix_ms += 1;
  EXPECT_EQ(decide_enrolment(rows, now, request("csr"), kEntropy).error().code, Code::kDenied);
  auto unknown = request("csr");
  unknown.set_token("guess");
  EXPECT_EQ(decide_enrolment(rows, now, unknown, kEntropy).error().code, Code::kDenied);
}

TEST_F(Registry, TheHubDecidesTheName) {
  make_token();
  pb::Node taken;
  taken.set_id("pump-7");
  save_node(rows, taken);
  EXPECT_EQ(decide_enrolment(rows, now, request("csr"), kEntropy)->node_id, "pump-7-5a5a5a5a");
  EXPECT_EQ(decide_enrolment(rows, now, request("csr", ""), kEntropy)->node_id, "node-5a5a5a5a");
  EXPECT_EQ(decide_enrolment(rows, now, request("csr", "../x"), kEntropy)->node_id, "node-5a5a5a5a");
}

TEST_F(Registry, OnlyAKnownUnrevokedIdentityIsAdmitted) {  // I4
  pb::Node node;
  node.set_id("n1");
  node.set_certificate_serial("aa");
  EXPECT_TRUE(admit(node, "n1", "aa").ok());
  EXPECT_EQ(admit(node, "n1", "bb").error().code, Code::kDenied);
  EXPECT_EQ(admit(std::nullopt, "n2", "aa").error().code, Code::kDenied);
  node.set_revoked(true);
  EXPECT_EQ(admit(node, "n1", "aa").error().code, Code::kDenied);
}

// I2: until the renewed certificate is used, both are good; then only the new one.
TEST_F(Registry, ARenewedCertificateRetiresTheOldOneOnceItIsUsed) {
  pb::Node node;
  node.set_id("n1");
  node.set_certificate_serial("aa");
  node.set_next_serial("bb");
  EXPECT_TRUE(admit(node, "n1", "aa").ok());
  EXPECT_TRUE(admit(node, "n1", "bb").ok());
  use_certificate(node, "aa");
  EXPECT_TRUE(admit(node, "n1", "bb").ok());
  use_certificate(node, "bb");
  EXPECT_TRUE(admit(node, "n1", "bb").ok());
  EXPECT_EQ(admit(node, "n1", "aa").error().code, Code::kDenied);
}

TEST_F(Registry, LabelsOfTheOperatorWin) {
  pb::Node node;
  node.set_id("n1");
  wire::ExchangeRequest contact;
  (*contact.mutable_labels())["site"] = "oslo";
  EXPECT_TRUE(touch(now, node, contact));
  EXPECT_FALSE(touch(now, node, contact));
  ASSERT_TRUE(change_labels(node, {{"site", "lyon"}, {"battery", "true"}}).ok());
  EXPECT_EQ(labels_of(node), (Labels{{"battery", "true"}, {"node", "n1"}, {"site", "lyon"}}));
  ASSERT_TRUE(change_labels(node, {{"site", std::nullopt}}).ok());
  EXPECT_EQ(labels_of(node).at("site"), "oslo");
  EXPECT_FALSE(change_labels(node, {{"node", "x"}}).ok());
}

TEST_F(Registry, AnOverlongVersionDoesNotMakeANodeUnreadable) {
  pb::Node node;
  node.set_id("n1");
  wire::ExchangeRequest contact;
  std::string version = "v";
  while (version.size() < 200) version += "\xc3\xa9";
  contact.set_agent_version(version);
  (void)touch(now, node, contact);
  save_node(rows, node);
  ASSERT_TRUE(find_node(rows, "n1"));
  EXPECT_EQ(find_node(rows, "n1")->agent_version().size(), 127U);
}

TEST_F(Registry, OnlyReleasesOfATrustedPublisherAreTaken) {  // K2
  EXPECT_EQ(push_release(rows, now, artifact("1", "a"), "ada").error().code, Code::kDenied);
  ASSERT_TRUE(trust_key(rows, now, *ed25519_public_key(kSeed), "ci").ok());
  ASSERT_TRUE(trust_key(rows, now, *ed25519_public_key(kSeed), "ci").ok());
  EXPECT_EQ(trusted_keys(rows).size(), 1U);
  EXPECT_EQ(push_release(rows, now, artifact("1", "a", std::string(32, 'x')), "ada").error().code, Code::kDenied);
  EXPECT_FALSE(push_release(rows, now, "junk", "ada").ok());
  const auto pushed = push_release(rows, now, artifact("1", "a"), "ada");
  ASSERT_TRUE(pushed.ok()) << pushed.error().text;
  EXPECT_TRUE(pushed->fresh);
  EXPECT_FALSE(push_release(rows, now, artifact("1", "a"), "bob")->fresh);
  EXPECT_EQ(push_release(rows, now, artifact("1", "b"), "ada").error().code, Code::kExists);
  EXPECT_EQ(find_release(rows, "pump@1")->digest(), pushed->row.digest());
  EXPECT_EQ(find_release(rows, pushed->row.digest())->version(), "1");
  EXPECT_FALSE(find_release(rows, "pump@2"));
  EXPECT_EQ(list_releases(rows).size(), 1U);
}

TEST_F(Registry, RangesPutTogetherAreTheArtifact) {  // U7
  ASSERT_TRUE(trust_key(rows, now, *ed25519_public_key(kSeed), "ci").ok());
  std::string body(700'000, 'x');
  for (size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i % 23);
  const Bytes bytes = artifact("1", body);
  const auto row = push_release(rows, now, bytes, "ada")->row;
  for (const uint64_t step : {100'000U, 262'144U, 1'000'000U}) {
    std::string got;
    while (got.size() < bytes.size()) {
      const auto part = read_artifact(rows, row, got.size(), step);
      ASSERT_TRUE(part.ok());
      EXPECT_LE(part->size(), limits::kFetchRangeBytesMax);
      got += *part;
    }
    EXPECT_EQ(got, bytes);
  }
  EXPECT_EQ(read_artifact(rows, row, bytes.size(), 1).error().code, Code::kInvalid);
}

}  // namespace
}  // namespace wb::hub
