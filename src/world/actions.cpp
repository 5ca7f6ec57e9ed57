#include "world/actions.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>

#include "base/bytes.h"
#include "world/files.h"
#include "world/mqtt_client.h"
#include "world/plain_http.h"

namespace wb::world {
namespace {

namespace asio = boost::asio;

constexpr size_t kHttpInFlightMax = 64;
constexpr size_t kFilesMax = 16;
constexpr size_t kBrokersMax = 8;
constexpr size_t kFailingMax = 64;  // places that are remembered as failing

}  // namespace

struct Actions::Impl {
  asio::io_context& io;
  std::string client_id;
  Tell tell;
  Counts counts = {};
  size_t http_in_flight = 0;
  std::map<std::string, int> files = {};  // path → descriptor, opened once
  std::map<std::string, std::unique_ptr<MqttClient>> brokers = {};
  std::map<std::string, std::string> failing = {};  // place → why, as it was told
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);

  void works(const std::string& place) {
    if (failing.erase(place) > 0) tell(true, "action to " + place + " works again");
  }
  // Told once for each place; a cause that comes to light after a mere consequence is told as well.
  void fails(const std::string& place, const std::string& why, bool is_cause = false) {
    const auto known = failing.find(place);
    if (known != failing.end() && (!is_cause || known->second == why)) return;
    if (known == failing.end() && failing.size() >= kFailingMax) failing.clear();
    failing[place] = why;
    tell(false, "action to " + place + " fails: " + why + "; what cannot be done is dropped and counted");
  }
  void done(const std::string& place) {
    ++counts.done;
    works(place);
  }
  void drop(const std::string& place, const std::string& why) {
    ++counts.dropped;
    fails(place, why);
  }
  Result<MqttClient*> broker(const MqttTarget& target);
};

Actions::Actions(asio::io_context& io, std::string client_id, Tell tell)
    : impl_(new Impl{io, std::move(client_id), std::move(tell)}) {}

Actions::~Actions() {
  *impl_->alive = false;
  for (const auto& [path, descriptor] : impl_->files) ::close(descriptor);
}

void Actions::to_stdout(const std::string& line) {
  const std::string text = line + "\n";
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return impl_->done("stdout");
  impl_->drop("stdout", std::strerror(errno));
}

void Actions::to_file(const std::string& path, const std::string& line) {
  auto found = impl_->files.find(path);
  if (found == impl_->files.end()) {
    if (impl_->files.size() >= kFilesMax)
      return impl_->drop(path, "more than " + std::to_string(kFilesMax) + " files are open already");
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (descriptor < 0) return impl_->drop(path, std::string("cannot open it: ") + std::strerror(errno));
    found = impl_->files.emplace(path, descriptor).first;
  }
  const std::string text = line + "\n";
  const ssize_t written = ::write(found->second, text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) return impl_->done(path);
  impl_->drop(path, written < 0 ? std::strerror(errno) : "only a part of the line could be written");
}

void Actions::to_http(const std::string& url, const std::string& json) {
  constexpr std::string_view kScheme = "http://";
  if (url.rfind(kScheme, 0) != 0) return impl_->drop(url, "the url must start with http://");
  if (impl_->http_in_flight >= kHttpInFlightMax)
    return impl_->drop(url, std::to_string(kHttpInFlightMax) + " posts wait for an answer already");
  const std::string rest = url.substr(kScheme.size());
  const size_t slash = rest.find('/');
  const std::string authority = rest.substr(0, slash);
  const size_t colon = authority.rfind(':');
  ++impl_->http_in_flight;
  PlainCall call{
      .host = authority.substr(0, colon),
      .port = colon == std::string::npos ? "80" : authority.substr(colon + 1),
      .request = {
          "POST", slash == std::string::npos ? "/" : rest.substr(slash), {{"Content-Type", "application/json"}}, json}};
  plain_http(impl_->io, std::move(call), [this, url, alive = impl_->alive](const Result<HttpResponse>& answer) {
    if (!*alive) return;
    --impl_->http_in_flight;
    if (!answer.ok()) return impl_->drop(url, answer.error().text);
    if (answer->status / 100 == 2) return impl_->done(url);
    impl_->drop(url, "it answered HTTP " + std::to_string(answer->status));
  });
}

Result<MqttClient*> Actions::Impl::broker(const MqttTarget& target) {
  const std::string key = target.url + '\n' + std::to_string(target.qos) + '\n' + target.username + '\n' +
                          target.password_file + '\n' + target.ca_file;
  const auto found = brokers.find(key);
  if (found != brokers.end()) return found->second.get();
  if (brokers.size() >= kBrokersMax)
    return fail(Code::kFull, "more than ", std::to_string(kBrokersMax), " brokers are in use already");
  MqttConfig config;
  config.url = target.url;
  config.client_id = client_id + "-actions-" + std::to_string(brokers.size());
  config.qos = target.qos;
  config.username = target.username;
  config.ca_file = target.ca_file;
  if (!target.password_file.empty()) {
    WB_TRY(const std::string password, read_file(target.password_file, 4'096));
    config.password = std::string(trim(password));
  }
  WB_TRY(auto client, MqttClient::start(
                          io, std::move(config), [](const std::string&, const MqttClient::Done& done) { done(); },
                          [this, kept = alive, url = target.url](bool connected, const std::string& detail) {
                            if (*kept && !connected) fails(url, detail, true);
                          },
                          [this, kept = alive, url = target.url] {
                            if (*kept) done(url);
                          }));
  return brokers.emplace(key, std::move(client)).first->second.get();
}

void Actions::to_mqtt(const MqttTarget& target, const std::string& json) {
  const auto client = impl_->broker(target);
  if (!client.ok()) return impl_->drop(target.url, client.error().text);
  if (!(*client)->publish(target.topic, json))
    impl_->drop(target.url, "the broker does not take messages now (topic " + target.topic + ")");
}

Actions::Counts Actions::counts() const { return impl_->counts; }

}  // namespace wb::world
