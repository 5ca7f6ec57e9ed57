#include "apps/agent/sources.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "world/files.h"
#include "world/mqtt_client.h"

namespace wb::agentapp {
namespace {

namespace asio = boost::asio;
using source::FileTail;
using source::SourceConfig;

constexpr auto kBusyPause = std::chrono::milliseconds(250);
constexpr auto kStartPause = std::chrono::seconds(10);
constexpr size_t kReadBytes = 256U << 10;
static_assert(world::MqttClient::kPayloadBytesMax > source::kBodyBytesMax);

agent::SourceBatch to_batch(source::ParseOutcome&& parsed) {
  agent::SourceBatch out;
  out.batch = std::move(parsed.batch);
  out.faults_count = parsed.faults_count;
  for (source::RowFault& fault : parsed.faults) out.faults.push_back({std::move(fault.text), std::move(fault.raw)});
  return out;
}

// What every live input shares: deliver a batch, and deliver it again while the agent is busy.
class Input : public std::enable_shared_from_this<Input> {
 public:
  Input(const Sources::Ports& ports, const SourceConfig& config, uint64_t epoch)
      : ports_(ports), config_(config), epoch_(epoch), timer_(ports.io) {}
  virtual ~Input() = default;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;
  virtual void start() = 0;
  virtual void stop() {
    stopped_ = true;
    timer_.cancel();
  }
  bool ended() const { return ended_; }
  const SourceConfig& config() const { return config_; }

 protected:
  void deliver(agent::SourceBatch&& batch, std::function<void()> accepted) {
    batch.epoch = epoch_;
    auto kept = std::make_shared<agent::SourceBatch>(batch);  // for another try
    ports_.deliver(std::move(batch), [self = shared_from_this(), kept,
                                      accepted = std::move(accepted)](const agent::Answer& answer) mutable {
      if (self->stopped_) return;
      if (answer.verdict != agent::Answer::Verdict::kBusy) return accepted();
      self->later(kBusyPause, [self, kept, accepted = std::move(accepted)]() mutable {
        self->deliver(std::move(*kept), std::move(accepted));
      });
    });
  }
  void later(std::chrono::milliseconds pause, std::function<void()> then) {
    timer_.expires_after(pause);
    timer_.async_wait([self = shared_from_this(), then = std::move(then)](const boost::system::error_code& error) {
      if (!error && !self->stopped_) then();
    });
  }
  void end() {
    ended_ = true;
    ports_.ended();
  }

  const Sources::Ports& ports_;
  SourceConfig config_;
  uint64_t epoch_;
  asio::steady_timer timer_;
  bool stopped_ = false;
  bool ended_ = false;
};

class StdinInput : public Input {
 public:
  StdinInput(const Sources::Ports& ports, const SourceConfig& config, const Pipeline& pipeline, uint64_t epoch)
      : Input(ports, config, epoch),
        stream_(pipeline.parser_config(config.format)),
        descriptor_(ports.io),
        buffer_(kReadBytes) {}
  void start() override {
    descriptor_.assign(::dup(STDIN_FILENO));
    read();
  }
  void stop() override {
    Input::stop();
    boost::system::error_code ignored;
    descriptor_.close(ignored);
  }

 private:
  std::shared_ptr<StdinInput> self() { return std::static_pointer_cast<StdinInput>(shared_from_this()); }
  void read() {
    descriptor_.async_read_some(
        asio::buffer(buffer_), [me = self()](const boost::system::error_code& error, size_t bytes) {
          if (me->stopped_) return;
          if (error) return me->hand_on(me->stream_.finish(me->ports_.unix_ms()), true);
          me->hand_on(me->stream_.feed({me->buffer_.data(), bytes}, me->ports_.unix_ms()), false);
        });
  }
  void hand_on(source::ParseOutcome&& parsed, bool at_end) {
    deliver(to_batch(std::move(parsed)), [me = self(), at_end] {
      if (me->stream_.pending())
        return me->hand_on(
            at_end ? me->stream_.finish(me->ports_.unix_ms()) : me->stream_.feed({}, me->ports_.unix_ms()), at_end);
      if (at_end) return me->end();
      me->read();
    });
  }

  source::Stream stream_;
  asio::posix::stream_descriptor descriptor_;
  std::vector<char> buffer_;
};

class FileInput : public Input {
 public:
  FileInput(const Sources::Ports& ports, const SourceConfig& config, const Pipeline& pipeline, uint64_t epoch)
      : Input(ports, config, epoch),
        stream_(pipeline.parser_config(config.format)),
        key_("file:" + config.label),
        tail_(config.mode, stored_state()) {}
  ~FileInput() override {
    if (fd_ >= 0) ::close(fd_);
  }
  void start() override { next(); }

 private:
  std::shared_ptr<FileInput> self() { return std::static_pointer_cast<FileInput>(shared_from_this()); }
  FileTail::State stored_state() const {
    auto state = FileTail::State::decode(ports_.position(key_));
    return state.ok() ? *state : FileTail::State{};
  }
  static source::FileSeen seen(const struct stat& facts) {
    return {{static_cast<uint64_t>(facts.st_dev), static_cast<uint64_t>(facts.st_ino)},
            static_cast<uint64_t>(facts.st_size)};
  }
  void next() {
    std::optional<source::FileSeen> open;
    std::optional<source::FileSeen> path;
    struct stat facts {};
    if (fd_ >= 0 && ::fstat(fd_, &facts) == 0) open = seen(facts);
    if (::stat(config_.path.c_str(), &facts) == 0) path = seen(facts);
    const FileTail::Action action = tail_.next(open, path);
    switch (action.kind) {
      case FileTail::Action::Kind::kWait: return wait();
      case FileTail::Action::Kind::kOpen: return open_file();
      case FileTail::Action::Kind::kRead: return read(action.offset, action.length);
      case FileTail::Action::Kind::kRewind:
        stream_.restart();
        tail_.rewound();
        return wait();
      case FileTail::Action::Kind::kEnd: return hand_on(stream_.finish(ports_.unix_ms()), true);
      case FileTail::Action::Kind::kDone: return end();
    }
  }
  void wait(const std::string& why = "it is not there yet") {
    if (fd_ < 0 && why != told_) {
      told_ = why;
      ports_.log(agent::Log::Level::kWarning, "file source waits for " + config_.path + ": " + why);
    }
    later(std::chrono::milliseconds(config_.poll_ms), [me = self()] { me->next(); });
  }
  void open_file() {
    fd_ = ::open(config_.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat facts {};
    if (fd_ < 0 || ::fstat(fd_, &facts) != 0) return wait(std::strerror(errno));
    if (S_ISDIR(facts.st_mode)) {
      ::close(std::exchange(fd_, -1));
      return wait("it is a folder, not a file");
    }
    told_.clear();
    if (tail_.opened(seen(facts)))
      stream_.resume(tail_.state().csv_header, tail_.state().rows);
    else
      stream_.restart();
    base_ = stream_.consumed_bytes();
    next();
  }
  void read(uint64_t offset, uint64_t length) {
    std::string bytes(std::min<uint64_t>(length, kReadBytes), '\0');
    const ssize_t got = ::pread(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (got <= 0) return wait();
    bytes.resize(static_cast<size_t>(got));
    tail_.took(bytes.size());
    hand_on(stream_.feed(bytes, ports_.unix_ms()), false);
  }
  void hand_on(source::ParseOutcome&& parsed, bool at_end) {
    agent::SourceBatch batch = to_batch(std::move(parsed));
    tail_.handed_on(stream_.consumed_bytes() - base_, stream_.rows_seen(), stream_.csv_header());
    batch.position_key = key_;
    batch.position_value = tail_.state().encode();
    deliver(std::move(batch), [me = self(), at_end] {
      if (me->stream_.pending())
        return me->hand_on(
            at_end ? me->stream_.finish(me->ports_.unix_ms()) : me->stream_.feed({}, me->ports_.unix_ms()), at_end);
      if (at_end) {
        me->tail_.closed();
        ::close(me->fd_);
        me->fd_ = -1;
      }
      me->next();
    });
  }

  source::Stream stream_;
  std::string key_;
  FileTail tail_;
  uint64_t base_ = 0;
  int fd_ = -1;
  std::string told_;  // why it waits, as it stands in the log
};

class MqttInput : public Input {
 public:
  MqttInput(const Sources::Ports& ports, const SourceConfig& config, const Pipeline& pipeline, uint64_t epoch)
      : Input(ports, config, epoch), parser_(pipeline.parser_config(config.format)) {}
  // A missing password or CA may be on its way to this device: tried again until it is there.
  void start() override {
    const Status started = connect();
    if (started.ok()) return;
    if (!warned_)
      ports_.log(agent::Log::Level::kError, "mqtt source " + config_.label + ": " + started.error().text +
                                                "; it is tried again every " + std::to_string(kStartPause.count()) +
                                                " s");
    warned_ = true;
    later(kStartPause, [me = std::static_pointer_cast<MqttInput>(shared_from_this())] { me->start(); });
  }
  void stop() override {
    Input::stop();
    client_.reset();
  }

 private:
  Status connect() {
    world::MqttConfig mqtt;
    mqtt.url = (config_.tls ? "mqtts://" : "mqtt://") + config_.host + ":" + std::to_string(config_.port);
    mqtt.client_id = config_.client_id.empty() ? ports_.node_id + "-" + config_.label : config_.client_id;
    mqtt.persistent = !config_.client_id.empty();
    mqtt.topic = config_.topic;
    mqtt.qos = config_.qos;
    mqtt.version = config_.mqtt_version;
    mqtt.username = config_.username;
    mqtt.ca_file = config_.ca_file;
    if (!config_.password_file.empty()) {
      WB_TRY(const std::string password, world::read_file(config_.password_file, 4'096));
      mqtt.password = std::string(trim(password));
    }
    mqtt.keep_alive_s = static_cast<int>(config_.keep_alive_ms / 1'000);
    const std::weak_ptr<Input> weak = shared_from_this();
    WB_TRY(client_, world::MqttClient::start(
                        ports_.io, std::move(mqtt),
                        [weak](const std::string& payload, world::MqttClient::Done done) {
                          if (const auto me = std::static_pointer_cast<MqttInput>(weak.lock()))
                            me->take(payload, std::move(done));
                        },
                        [weak, log = ports_.log, url = config_.host](bool connected, const std::string& detail) {
                          if (!weak.expired())
                            log(connected ? agent::Log::Level::kInfo : agent::Log::Level::kWarning,
                                "mqtt " + url + ": " + detail);
                        }));
    return ok_status();
  }
  void take(const std::string& payload, world::MqttClient::Done done) {
    if (stopped_) return;
    deliver(to_batch(parser_.parse(payload, ports_.unix_ms())), std::move(done));
  }
  source::Parser parser_;
  bool warned_ = false;
  std::unique_ptr<world::MqttClient> client_;
};

std::string answer_body(const agent::Answer& answer) {
  nlohmann::json body{{"accepted", answer.rows_accepted}, {"rejected", answer.faults_count}};
  if (answer.faults_count > 0) {
    body["errors"] = answer.faults;
    body["next"] = answer.rows_accepted > 0
                       ? "the accepted rows are kept: mend the rejected ones and send only those again"
                       : "nothing of this request was kept: mend it and send it again";
  }
  return body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace

struct Sources::Impl {
  explicit Impl(Ports given) : ports(std::move(given)) {}
  Ports ports;
  const Pipeline* pipeline = nullptr;
  uint64_t epoch = 0;
  std::vector<std::string> http_paths;
  std::map<source::Format, source::Parser> parsers;  // of the http sources
  std::vector<std::shared_ptr<Input>> inputs;
};

Sources::Sources(Ports ports) : impl_(std::make_unique<Impl>(std::move(ports))) {
  // An input that ends tells the agent only when all finite ones have ended.
  impl_->ports.ended = [this, told = std::move(impl_->ports.ended)] {
    for (const auto& input : impl_->inputs)
      if (!input->ended()) return;
    told();
  };
}

Sources::~Sources() { serve(nullptr, 0); }

void Sources::serve(const Pipeline* pipeline, uint64_t epoch) {
  for (const auto& input : impl_->inputs) input->stop();
  impl_->inputs.clear();
  impl_->parsers.clear();
  impl_->http_paths.clear();
  impl_->pipeline = pipeline;
  impl_->epoch = epoch;
  if (pipeline == nullptr) return;
  for (const SourceConfig& config : pipeline->sources()) {
    switch (config.kind) {
      case SourceConfig::Kind::kHttp: impl_->http_paths.push_back(config.path); break;
      case SourceConfig::Kind::kMqtt:
        impl_->inputs.push_back(std::make_shared<MqttInput>(impl_->ports, config, *pipeline, epoch));
        break;
      case SourceConfig::Kind::kFile:
        impl_->inputs.push_back(std::make_shared<FileInput>(impl_->ports, config, *pipeline, epoch));
        break;
      case SourceConfig::Kind::kStdin:
        impl_->inputs.push_back(std::make_shared<StdinInput>(impl_->ports, config, *pipeline, epoch));
        break;
    }
  }
  for (const auto& input : impl_->inputs) input->start();
}

bool Sources::only_finite() const {
  if (impl_->pipeline == nullptr || impl_->pipeline->sources().empty()) return false;
  for (const SourceConfig& config : impl_->pipeline->sources()) {
    const bool finite = config.kind == SourceConfig::Kind::kStdin ||
                        (config.kind == SourceConfig::Kind::kFile && config.mode == FileTail::Mode::kOnce);
    if (!finite) return false;
  }
  return true;
}

bool Sources::post(world::LocalRequest& request, const world::LocalServer::Respond& respond) {
  if (std::find(impl_->http_paths.begin(), impl_->http_paths.end(), request.path) == impl_->http_paths.end())
    return false;
  const auto format = source::format_by_content_type(request.content_type);
  if (!format.ok()) {
    respond({415, "application/json", nlohmann::json{{"error", format.error().text}}.dump() + "\n"});
    return true;
  }
  auto parser = impl_->parsers.find(*format);
  if (parser == impl_->parsers.end())
    parser = impl_->parsers.emplace(*format, source::Parser(impl_->pipeline->parser_config(*format))).first;
  agent::SourceBatch batch = to_batch(parser->second.parse(request.body, impl_->ports.unix_ms()));
  batch.epoch = impl_->epoch;
  impl_->ports.deliver(std::move(batch), [respond](const agent::Answer& answer) {
    switch (answer.verdict) {
      case agent::Answer::Verdict::kAccepted: return respond({200, "application/json", answer_body(answer)});
      case agent::Answer::Verdict::kRejectedRows: return respond({400, "application/json", answer_body(answer)});
      case agent::Answer::Verdict::kBusy: break;
    }
    world::LocalResponse busy{503, "application/json",
                              "{\"error\":\"the agent cannot keep more right now (see GET /v1/status); nothing of this "
                              "request was taken: send it again\"}\n"};
    busy.retry_after_s = 1;
    respond(std::move(busy));
  });
  return true;
}

}  // namespace wb::agentapp
