#include "apps/agent/runner.h"

#include <spdlog/spdlog.h>
#include <time.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>

#include "apps/agent/sources.h"
#include "apps/agent/status.h"
#include "base/bytes.h"
#include "base/utf8.h"
#include "world/actions.h"
#include "world/files.h"
#include "world/http_message.h"
#include "world/log.h"
#include "world/node_store.h"
#include "world/pki.h"
#include "world/slots.h"
#include "world/yaml.h"

namespace wb::agentapp {
namespace {

namespace asio = boost::asio;

constexpr int kBadConfiguration = 78;
constexpr std::chrono::seconds kFirstRenewalCheck{20};
constexpr std::chrono::seconds kRenewalCheck{6 * 3600};
constexpr size_t kModelFileBytesMax = 64U << 20;

int64_t boot_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);  // goes on while the device sleeps (T1)
  return int64_t{now.tv_sec} * kNsPerSecond + now.tv_nsec;
}
int64_t wall_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

class Runner {
 public:
  static Result<std::unique_ptr<Runner>> create(const RunOptions& options);
  int run();

 private:
  explicit Runner(const RunOptions& options)
      : node_(options.node), probe_(options.probe), timer_(io_), renewal_timer_(io_), signals_(io_, SIGTERM, SIGINT) {}
  Result<std::optional<LocalPipeline>> load_local() const;
  Status open_store(Prng& prng);
  Status open_local_api();

  Moment now() const { return {Instant{boot_ns() - started_ns_}, wall_ms()}; }
  void feed(agent::Event event);
  void post_event(agent::Event event) {
    asio::post(io_, [this, event = std::move(event)]() mutable { feed(std::move(event)); });
  }
  void set_timer(Instant wake_at);
  void renew_later(std::chrono::seconds pause);
  void renew_if_due();
  void deliver(agent::SourceBatch&& batch, Answered answered);
  void sources_ended();
  void finish_if_stored();
  void give_up_waiting();
  Measured measured() const { return {store_->stats(), actions_->counts()}; }
  void handle_local(world::LocalRequest&& request, const world::LocalServer::Respond& respond);

  void perform_one(agent::Effect&& effect);
  void perform(agent::Store&& effect) {
    store_->submit(effect.ticket, std::move(effect.ops));
    last_ticket_ = effect.ticket;
  }
  void perform(agent::LoadRows&& effect);
  void perform(agent::SendExchange&& effect);
  void perform(agent::CancelExchange&& effect);
  void perform(agent::Answer&& effect);
  void perform(agent::Serve&& effect);
  void perform(agent::Act&& effect);
  void perform(agent::Shadow&&) { post_event(agent::ShadowRun{}); }
  void perform(agent::Restart&& effect);
  void perform(agent::Log&& effect);
  void perform(deploy::FetchRange&& effect);
  void perform(deploy::WriteSlot&& effect);
  void perform(deploy::SealSlot&& effect);
  void perform(deploy::ReadSlot&& effect);
  void perform(deploy::RemoveSlot&& effect);

  NodeFile node_;
  AgentProbe* const probe_;
  std::optional<Identity> identity_;
  int64_t started_ns_ = boot_ns();
  asio::io_context io_{1};
  asio::steady_timer timer_;
  asio::steady_timer renewal_timer_;
  asio::signal_set signals_;
  std::optional<Agent> agent_;
  std::optional<world::Slots> slots_;
  std::unique_ptr<world::HttpsClient> exchange_client_;
  std::unique_ptr<world::HttpsClient> fetch_client_;
  std::unique_ptr<world::HttpsClient> renewal_client_;
  std::unique_ptr<world::Actions> actions_;
  std::unique_ptr<Sources> sources_;
  std::unique_ptr<world::LocalServer> local_;
  std::map<uint64_t, Answered> waiting_;
  uint64_t next_answer_ = 1;
  uint64_t last_ticket_ = 0;
  uint64_t stored_ticket_ = 0;
  bool ending_ = false;
  int exit_code_ = 0;
  bool local_mode_ = false;
  std::unique_ptr<world::NodeStore> store_;  // last: its thread posts to io_ until it is destroyed
};

Result<std::optional<LocalPipeline>> Runner::load_local() const {
  if (node_.pipeline.empty()) return std::optional<LocalPipeline>();
  LocalPipeline out;
  WB_TRY(out.document, world::load_yaml(node_.pipeline, world::process_env()));
  std::string folder = node_.pipeline.substr(
      0, node_.pipeline.find_last_of('/') == std::string::npos ? 0 : node_.pipeline.find_last_of('/') + 1);
  if (const auto name = Pipeline::model_name(out.document)) {
    const std::string path = folder + *name + ".wbm";
    auto bytes = world::read_file(path, kModelFileBytesMax);
    if (!bytes.ok())
      return bytes.error().within(node_.pipeline + ": infer.model '" + *name + "' is read from beside the pipeline");
    out.blobs.emplace_back("model/" + *name, std::move(bytes).value());
  }
  // Checked here with the file's own name, so that the error points into it.
  Problems problems;
  std::vector<BlobView> blobs;
  for (const auto& [name, bytes] : out.blobs) blobs.push_back({name, bytes});
  const auto built = Pipeline::build(out.document, blobs, {"check", "", 1, false}, problems);
  if (!built.ok()) return fail(Code::kInvalid, problems.empty() ? built.error().text : problems.format(node_.pipeline));
  return std::optional<LocalPipeline>(std::move(out));
}

Result<std::unique_ptr<Runner>> Runner::create(const RunOptions& options) {
  const NodeFile& node = options.node;
  auto runner = std::unique_ptr<Runner>(new Runner(options));
  WB_CHECK(world::make_folders(node.data_dir));
  auto identity = load_identity(node.data_dir);
  if (identity.ok())
    runner->identity_ = std::move(identity).value();
  else if (identity.error().code != Code::kNotFound || node.pipeline.empty())
    return identity.error();
  if (runner->identity_)
    if (const Status room = keep_room_for_renewal(node.data_dir); !room.ok())
      spdlog::warn("{}; until then a renewed certificate may find no room", room.error().text);

  WB_TRY(world::Slots slots, world::Slots::open(node.data_dir + "/slots", limits::kReleaseBytesMax));
  runner->slots_ = std::move(slots);
  const std::string seed = world::random_bytes(8);
  Prng prng(read_u64_be(seed));
  WB_CHECK(runner->open_store(prng));
  if (runner->identity_) {
    WB_TRY(const world::Endpoint endpoint, world::parse_endpoint(runner->identity_->hub_url));
    runner->exchange_client_ = std::make_unique<world::HttpsClient>(runner->io_, endpoint, runner->identity_->tls);
    runner->fetch_client_ = std::make_unique<world::HttpsClient>(runner->io_, endpoint, runner->identity_->tls);
  }
  Runner* self = runner.get();
  runner->actions_ = std::make_unique<world::Actions>(
      runner->io_, self->agent_->view().node_id, [self](bool works, const std::string& text) {
        using Level = agent::Log::Level;
        self->perform(agent::Log{works ? Level::kInfo : Level::kWarning, text});
      });
  runner->sources_ = std::make_unique<Sources>(Sources::Ports{
      runner->io_,
      [self](agent::SourceBatch&& batch, Answered answered) { self->deliver(std::move(batch), std::move(answered)); },
      [self](const std::string& key) { return self->agent_->position(key); }, [self] { self->sources_ended(); },
      [self](agent::Log::Level level, std::string text) {
        self->perform(agent::Log{level, std::move(text)});
      },
      wall_ms, runner->identity_ ? runner->identity_->node_id : "local"});
  WB_CHECK(runner->open_local_api());
  return runner;
}

Status Runner::open_store(Prng& prng) {
  WB_TRY(std::optional<LocalPipeline> local, load_local());
  local_mode_ = local.has_value();
  world::NodeStore::Options options;
  options.data_dir = node_.data_dir;
  options.file_bytes_max = static_cast<uint64_t>(node_.outbox_bytes);
  options.free_bytes_floor = static_cast<uint64_t>(node_.free_bytes_floor);
  WB_TRY(world::NodeStore::Opened opened,
         world::NodeStore::open(options, [this](const world::NodeStore::Completion& done) {
           if (done.error) return post_event(agent::StoreFailed{done.ticket, *done.error});
           reached(probe_, AgentStep::kStored);
           post_event(agent::Stored{done.ticket, done.no_space});
         }));
  store_ = std::move(opened.store);
  reached(probe_, AgentStep::kStoreOpened);
  if (!opened.set_aside.empty())
    spdlog::error("the store was damaged and set aside as {}; what could be read was kept, the rest is counted as lost",
                  opened.set_aside);
  AgentConfig config;
  config.node_id = identity_ ? identity_->node_id : "local";
  config.version = WB_VERSION;
  if (identity_) config.labels = identity_->labels;
  for (const auto& [key, value] : node_.labels) config.labels[key] = value;
  config.has_hub = identity_.has_value();
  config.read_document = [](std::string_view text) {
    return world::parse_yaml(text, "pipeline.yaml", world::process_env());
  };
  if (identity_) config.deploy.trusted_keys = identity_->release_keys;
  config.outbox.bytes_max = static_cast<uint64_t>(node_.outbox_bytes);
  config.flash_bytes_per_day = static_cast<uint64_t>(node_.flash_bytes_per_day);
  WB_TRY(const auto listed, slots_->list());
  std::vector<deploy::SlotFile> files;
  files.reserve(listed.size());
  for (const auto& file : listed) files.push_back({file.digest, file.bytes, file.sealed});
  WB_TRY(Agent opened_agent, Agent::open(std::move(config), opened.found, std::move(files), prng, std::move(local)));
  agent_ = std::move(opened_agent);
  return ok_status();
}

Status Runner::open_local_api() {
  const std::string token_path = node_.data_dir + "/local_token";
  auto token = world::read_file(token_path, 4'096);
  if (!token.ok()) {
    token = hex_encode(world::random_bytes(16));
    WB_CHECK(world::write_file_atomic(token_path, *token, world::kSecretMode));
    reached(probe_, AgentStep::kTokenKept);
  }
  world::LocalServerConfig config;
  config.address = node_.local_address;
  config.port = node_.local_port;
  config.token = std::string(trim(*token));
  config.body_bytes_max = source::kBodyBytesMax;
  auto opened = world::LocalServer::listen(
      io_, std::move(config), [this](world::LocalRequest&& request, const world::LocalServer::Respond& respond) {
        handle_local(std::move(request), respond);
      });
  if (!opened.ok()) return opened.error();
  local_ = std::move(opened).value();
  const std::string url = "http://" + node_.local_address + ":" + std::to_string(local_->port());
  const std::string url_path = node_.data_dir + "/local_url";
  Status said = world::write_file_atomic(url_path, url + "\n", world::kPublicMode);
  if (!said.ok()) said = world::overwrite_file(url_path, url + "\n");  // a full disk does not stop a start (R1)
  if (!said.ok()) spdlog::warn("{}; 'waybill-agent status' will not find the local API {}", said.error().text, url);
  reached(probe_, AgentStep::kUrlKept);
  return ok_status();
}

int Runner::run() {
  signals_.async_wait([this](const boost::system::error_code& error, int) {
    if (error) return;
    spdlog::info("stopping: what is taken in is being made durable");
    ending_ = true;
    reached(probe_, AgentStep::kStopping);
    sources_->serve(nullptr, 0);
    feed(agent::Stopping{});
    finish_if_stored();
  });
  spdlog::info("node {} · local API http://{}:{} · data {}", agent_->view().node_id, node_.local_address,
               local_->port(), node_.data_dir);
  if (!identity_) spdlog::info("local mode: no hub; run waybill-agent enroll to join one");
  feed(agent::Opened{});
  if (identity_) renew_later(kFirstRenewalCheck);
  io_.run();
  store_.reset();  // commits what is queued
  return exit_code_;
}

void Runner::feed(agent::Event event) {
  const auto* batch = std::get_if<agent::SourceBatch>(&event);
  const auto* shadow = std::get_if<agent::ShadowRun>(&event);
  const uint32_t rows = batch != nullptr ? static_cast<uint32_t>(batch->batch.rows_count()) : 0;
  if (const auto* stored = std::get_if<agent::Stored>(&event)) stored_ticket_ = stored->ticket;
  static uint32_t shadow_rows = 0;
  if (rows > 0) shadow_rows = rows;
  const uint32_t timed_rows = shadow != nullptr ? shadow_rows : rows;

  const int64_t before = timed_rows > 0 ? boot_ns() : 0;
  Step<agent::Effect> step = agent_->step(now(), std::move(event));
  const int64_t took_ns = timed_rows > 0 ? boot_ns() - before : 0;
  for (agent::Effect& effect : step.effects) perform_one(std::move(effect));
  set_timer(step.wake_at);
  if (timed_rows > 0) {
    const auto us = static_cast<uint32_t>(std::min<int64_t>(took_ns / 1000, UINT32_MAX));
    agent_->step(now(), agent::Event(agent::Latency{shadow != nullptr, us, timed_rows}));
  }
  if (ending_) finish_if_stored();
}

void Runner::perform_one(agent::Effect&& effect) {
  const size_t kind = effect.index();
  if (probe_ != nullptr) probe_->before(kind);
  std::visit([this](auto&& e) { perform(std::forward<decltype(e)>(e)); }, std::move(effect));
  if (probe_ != nullptr) probe_->after(kind);
}

void Runner::renew_later(std::chrono::seconds pause) {
  renewal_timer_.expires_after(pause);
  renewal_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error && !ending_) renew_if_due();
  });
}

// A certificate that nears its end is renewed in the background; until that worked the old one is used (I2).
void Runner::renew_if_due() {
  renew_later(kRenewalCheck);
  if (!renewal_due(*identity_, wall_ms() / 1000)) return;
  const auto endpoint = world::parse_endpoint(identity_->hub_url);
  auto request = renewal_request(*identity_);
  if (!endpoint.ok() || !request.ok())
    return spdlog::error("certificate renewal: {}", endpoint.ok() ? request.error().text : endpoint.error().text);
  renewal_client_ = std::make_unique<world::HttpsClient>(io_, *endpoint, identity_->tls);
  renewal_client_->request(
      std::move(*request), {30'000, limits::kExchangeResponseBytesMax}, [this](Result<world::HttpResponse> response) {
        if (!response.ok() || response->status != 200)
          return spdlog::warn(
              "certificate renewal: {}; the old one stays, next try in {} h",
              response.ok() ? "the hub answered HTTP " + std::to_string(response->status) : response.error().text,
              std::chrono::duration_cast<std::chrono::hours>(kRenewalCheck).count());
        reached(probe_, AgentStep::kRenewalAnswered);
        auto renewed = take_renewal(node_.data_dir, *identity_, response->body);
        if (!renewed.ok()) return spdlog::error("certificate renewal: {}", renewed.error().text);
        reached(probe_, AgentStep::kRenewalKept);
        identity_ = std::move(renewed).value();
        exchange_client_->set_identity(identity_->tls);
        fetch_client_->set_identity(identity_->tls);
        spdlog::info("the node's certificate is renewed");
      });
}

void Runner::set_timer(Instant wake_at) {
  if (wake_at == kNever) {
    timer_.cancel();
    return;
  }
  const int64_t delay_ns = std::max<int64_t>(0, wake_at.ns - now().mono.ns);
  timer_.expires_after(std::chrono::nanoseconds(delay_ns));
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) feed(agent::Wake{});
  });
}

void Runner::deliver(agent::SourceBatch&& batch, Answered answered) {
  batch.answer_id = next_answer_++;
  waiting_.emplace(batch.answer_id, std::move(answered));
  feed(std::move(batch));
}

void Runner::sources_ended() {
  if (agent_->serving() == nullptr) return;
  feed(agent::SourcesEnded{agent_->serving_epoch()});
  if (!sources_->only_finite() || !local_mode_ || identity_) return;
  spdlog::info("all input is read");
  ending_ = true;
  feed(agent::Stopping{});
}

void Runner::finish_if_stored() {
  if (stored_ticket_ >= last_ticket_ || !agent_->view().store_error.empty()) {
    give_up_waiting();
    io_.stop();
  }
}

// What is not durable is not accepted: its producer keeps it and sends it again.
void Runner::give_up_waiting() {
  for (auto& [id, answered] : std::exchange(waiting_, {}))
    answered(agent::Answer{id, agent::Answer::Verdict::kBusy, 0, {}, 0});
}

void Runner::perform(agent::LoadRows&& effect) {
  store_->load(std::move(effect.keys), [this, id = effect.id](Result<std::vector<StoredRow>> rows) {
    reached(probe_, AgentStep::kRowsLoaded);
    if (!rows.ok()) return post_event(agent::RowsLoaded{id, {}, rows.error()});
    post_event(agent::RowsLoaded{id, std::move(rows).value()});
  });
}

void Runner::perform(agent::SendExchange&& effect) {
  world::HttpRequest request{
      "POST", "/v1/exchange", {{"content-type", "application/x-protobuf"}}, std::move(effect.request)};
  const world::CallLimits call{static_cast<uint32_t>(effect.deadline_ms), limits::kExchangeResponseBytesMax};
  exchange_client_->request(std::move(request), call, [this, id = effect.id](Result<world::HttpResponse> response) {
    reached(probe_, AgentStep::kExchangeEnded);
    if (!response.ok()) {
      using Got = agent::ExchangeFailed::Got;
      using Progress = world::HttpsClient::Progress;
      const Progress progress = exchange_client_->progress();
      const Got got = progress == Progress::kNowhere     ? Got::kNowhere
                      : progress == Progress::kConnected ? Got::kConnected
                                                         : Got::kSent;
      return feed(agent::ExchangeFailed{id, response.error(), 0, got});
    }
    if (response->status == 200) return feed(agent::ExchangeDone{id, std::move(response->body)});
    const int status = response->status;
    agent::ExchangeFailed failed{id,
                                 fail(Code::kInvalid, "the hub answered HTTP ", std::to_string(status), ": ",
                                      valid_text(trim(response->body), 300)),
                                 world::retry_after_ms(response->headers)};
    failed.refused = status == 400 || status == 413 || status == 422;
    feed(std::move(failed));
  });
}

void Runner::perform(agent::CancelExchange&&) { exchange_client_->cancel(); }

void Runner::perform(agent::Answer&& effect) {
  const auto found = waiting_.find(effect.answer_id);
  if (found == waiting_.end()) return;
  // Later, not inside this step: the answered input may deliver its next batch at once.
  asio::post(io_, [answered = std::move(found->second), answer = std::move(effect)] { answered(answer); });
  waiting_.erase(found);
}

void Runner::perform(agent::Serve&& effect) {
  asio::post(io_, [this, epoch = effect.epoch] {
    if (!ending_ && epoch == agent_->serving_epoch()) sources_->serve(agent_->serving(), epoch);
  });
}

void Runner::perform(agent::Act&& effect) {
  switch (effect.action.kind) {
    case route::ActionKind::kStdout: return actions_->to_stdout(effect.payload);
    case route::ActionKind::kFile: return actions_->to_file(effect.action.path, effect.payload);
    case route::ActionKind::kHttp: return actions_->to_http(effect.action.url, effect.payload);
    case route::ActionKind::kMqtt: {
      const route::Action& to = effect.action;
      return actions_->to_mqtt({to.url, to.topic, to.qos, to.username, to.password_file, to.ca_file}, effect.payload);
    }
  }
}

void Runner::perform(agent::Restart&& effect) {
  spdlog::error("{}", effect.text);
  exit_code_ = 1;
  ending_ = true;
  give_up_waiting();
  io_.stop();
}

void Runner::perform(agent::Log&& effect) {
  switch (effect.level) {
    case agent::Log::Level::kInfo: return spdlog::info("{}", effect.text);
    case agent::Log::Level::kWarning: return spdlog::warn("{}", effect.text);
    case agent::Log::Level::kError: return spdlog::error("{}", effect.text);
  }
}

void Runner::perform(deploy::FetchRange&& effect) {
  if (fetch_client_->busy()) fetch_client_->cancel();
  world::HttpRequest request{
      "GET",
      "/v1/artifacts/" + effect.digest,
      {{"range", "bytes=" + std::to_string(effect.offset) + "-" + std::to_string(effect.offset + effect.length - 1)}},
      ""};
  fetch_client_->request(
      std::move(request), {90'000, limits::kFetchRangeBytesMax + 4'096},
      [this, digest = effect.digest, offset = effect.offset](Result<world::HttpResponse> response) {
        reached(probe_, AgentStep::kFetchEnded);
        if (response.ok() && response->status == 206)
          return feed(agent::DeployEvent{deploy::Fetched{digest, offset, std::move(response->body)}});
        const Error error = response.ok() ? fail(response->status == 404 ? Code::kNotFound : Code::kUnavailable,
                                                 "the hub answered HTTP ", std::to_string(response->status))
                                          : response.error();
        const int64_t retry_ms = response.ok() ? world::retry_after_ms(response->headers) : 0;
        feed(agent::DeployEvent{deploy::FetchFailed{digest, offset, error, retry_ms}});
      });
}

void Runner::perform(deploy::WriteSlot&& effect) {
  const auto written = slots_->write(effect.digest, effect.offset, effect.bytes);
  if (written.ok())
    post_event(agent::DeployEvent{deploy::SlotWritten{effect.digest, *written}});
  else
    post_event(agent::DeployEvent{deploy::SlotFailed{effect.digest, written.error()}});
}
void Runner::perform(deploy::SealSlot&& effect) {
  const Status sealed = slots_->seal(effect.digest);
  if (sealed.ok())
    post_event(agent::DeployEvent{deploy::SlotSealed{effect.digest}});
  else
    post_event(agent::DeployEvent{deploy::SlotFailed{effect.digest, sealed.error()}});
}
void Runner::perform(deploy::ReadSlot&& effect) {
  auto bytes = slots_->read(effect.digest);
  if (bytes.ok())
    post_event(agent::DeployEvent{deploy::SlotRead{effect.digest, std::move(bytes).value()}});
  else
    post_event(agent::DeployEvent{deploy::SlotFailed{effect.digest, bytes.error()}});
}
void Runner::perform(deploy::RemoveSlot&& effect) {
  const Status removed = slots_->remove(effect.digest);
  if (!removed.ok()) spdlog::warn("{}", removed.error().text);
}

void Runner::handle_local(world::LocalRequest&& request, const world::LocalServer::Respond& respond) {
  if (request.path == "/ping") return respond({200, "text/plain", "pong\n"});
  if (request.method == "GET" && request.path == "/ready") {
    const bool ready = agent_->serving() != nullptr;
    return respond(
        {ready ? 200 : 503, "text/plain", ready ? "ready\n" : "no pipeline runs yet: waiting for a release\n"});
  }
  if (request.method == "GET" && request.path == "/v1/status")
    return respond({200, "application/json", status_json(agent_->view(), now(), measured())});
  if (request.method == "GET" && request.path == "/metrics")
    return respond({200, "text/plain; version=0.0.4", metrics_text(agent_->view(), now(), measured())});
  if (request.method == "POST") {
    if (sources_->post(request, respond)) return;
    if (agent_->serving() == nullptr) {
      world::LocalResponse response{
          503, "application/json",
          "{\"error\":\"no pipeline runs yet: this node waits for a release; send again later\"}\n"};
      response.retry_after_s = 2;
      return respond(std::move(response));
    }
  }
  respond({404, "application/json",
           "{\"error\":\"nothing here: GET /ping /ready /metrics /v1/status, or POST records to the path of the "
           "pipeline's http source\"}\n"});
}

}  // namespace

int run_agent(const RunOptions& options) {
  world::log_to_stderr("agent");
  spdlog::set_level(spdlog::level::from_str(options.node.log_level == "warning" ? "warn" : options.node.log_level));
  std::signal(SIGPIPE, SIG_IGN);
  auto runner = Runner::create(options);
  if (!runner.ok()) {
    std::fprintf(stderr, "waybill-agent: %s\n", std::string(trim(runner.error().text)).c_str());
    return runner.error().code == Code::kInvalid ? kBadConfiguration : 1;
  }
  return (*runner)->run();
}

}  // namespace wb::agentapp
