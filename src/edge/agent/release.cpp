// What runs here. Deploy decides; this file builds the pipelines it names, lets the candidate shadow the running
// release (or serve, when it cannot be a shadow), and brings both score sketches to the verdict.
#include <algorithm>

#include "base/planted.h"
#include "edge/agent/core.h"

namespace wb {

void Agent::Core::on(agent::DeployEvent&& event) { drive_deploy(event.event); }

// A node that was started with a pipeline of its own takes no release. It says so of each that it is assigned, as long
// as this process lives, so that no rollout waits for it.
void Agent::Core::refuse_for_local(const wire::Desired& desired) {
  heard_generation_ = std::max(heard_generation_, desired.generation());  // seen, so that the hub holds its answers
  if (desired.digest().empty()) return;
  for (const wire::Quarantined& entry : refused_for_local_)
    if (entry.digest() == desired.digest()) return;
  wire::Quarantined entry;
  entry.set_digest(desired.digest());
  entry.set_error_code("DEPLOY_NOT_TAKEN/LOCAL_PIPELINE");
  entry.set_reason("this node runs a pipeline of its own; start its agent without --pipeline");
  entry.set_generation(desired.generation());
  if (refused_for_local_.size() >= limits::kQuarantinedMax) refused_for_local_.erase(refused_for_local_.begin());
  refused_for_local_.push_back(std::move(entry));
  log(agent::Log::Level::kWarning, "release " + desired.name() +
                                       " was assigned and is not taken: this agent runs the "
                                       "pipeline that it was started with (--pipeline)");
  drive_sync(sync::Urgent{});
}

deploy::View Agent::Core::deploy_view() const {
  deploy::View view = deploy_.view();
  if (!local_) return view;
  view.desired_generation = heard_generation_;
  view.quarantined = refused_for_local_;
  if (!view.quarantined.empty())
    view.waiting_for = "a start without --pipeline: this agent runs a pipeline of its own and takes no release";
  return view;
}

void Agent::Core::drive_deploy(const deploy::Event& event) {
  if (local_) return;
  std::deque<deploy::Event> events{event};
  while (!events.empty()) {
    Step<deploy::Effect> step = deploy_.step(now_, events.front());
    events.pop_front();
    deploy_wake_ = planted(Bug::kTimerAdded) ? earlier(deploy_wake_, step.wake_at) : step.wake_at;
    for (deploy::Effect& effect : step.effects) perform(std::move(effect), events);
  }
}

namespace {
template <class... Cases>
struct Overload : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overload(Cases...) -> Overload<Cases...>;
}  // namespace

void Agent::Core::perform(deploy::Effect&& effect, std::deque<deploy::Event>& follow_up) {
  std::visit(Overload{
                 [&](deploy::Store&& e) { store(std::move(e.ops), std::nullopt, e.ticket); },
                 [&](deploy::LoadCandidate&& e) { follow_up.push_back(load_candidate(e.release)); },
                 [&](deploy::Promote&& e) {
                   if (!candidate_ || candidate_digest_ != e.digest) return;
                   const bool served = candidate_serves_;
                   running_ = std::move(candidate_);
                   candidate_.reset();
                   candidate_serves_ = false;
                   candidate_digest_.clear();
                   running_sketch_ = std::exchange(candidate_sketch_, {});
                   log(agent::Log::Level::kInfo,
                       "release " + e.digest.substr(0, 12) + " (" + running_->name() + ") is committed");
                   if (!served) serve_again();
                 },
                 [&](deploy::Drop&&) {
                   const bool served = candidate_serves_;
                   candidate_.reset();
                   candidate_serves_ = false;
                   candidate_digest_.clear();
                   candidate_sketch_.Clear();
                   shadow_batch_.reset();
                   if (served) serve_again();
                 },
                 [&](deploy::Run&& e) { follow_up.push_back(run_release(e.release)); },
                 [&](deploy::EnterSafeMode&& e) {
                   log(agent::Log::Level::kError, "safe mode: " + e.text);
                   tell(NodeEvent::kSafeMode, "", "", e.text);
                   if (!running_) return;
                   running_.reset();
                   serve_again();
                 },
                 [&](deploy::WentBack&& e) {
                   log(agent::Log::Level::kWarning, "went back to release " + e.name + ": " + e.text);
                   tell(NodeEvent::kWentBack, e.digest, e.name, e.text);
                 },
                 [&](deploy::Refused&& e) {
                   tell(NodeEvent::kRefused, e.digest, e.release, e.code + ": " + e.text);
                   log(agent::Log::Level::kWarning, "release " + e.release + " is refused here (" + e.code +
                                                        "): " + e.text + "; this node goes on with " +
                                                        (running_ ? "what it runs" : "nothing to run"));
                 },
                 [&](auto&& io) { effects_.push_back(std::forward<decltype(io)>(io)); },
             },
             std::move(effect));
}

deploy::Loaded Agent::Core::load_candidate(const wire::Release& release) {
  auto built = build(release);
  if (!built.ok()) return {release.digest, false, built.error().text};
  candidate_ = std::move(built).value();
  candidate_digest_ = release.digest;
  candidate_sketch_.Clear();
  incumbent_sketch_.Clear();
  shadow_batch_.reset();
  const bool one_served = candidate_serves_;
  candidate_serves_ = !running_ || !(running_->input_schema() == candidate_->input_schema());
  log(agent::Log::Level::kInfo, "release " + release.full_name() + " is in probation" +
                                    (candidate_serves_ ? ", serving" : ", shadowing what runs"));
  if (candidate_serves_ || one_served) serve_again();
  return {release.digest, true, {}};
}

deploy::Loaded Agent::Core::run_release(const wire::Release& release) {
  auto built = build(release);
  if (!built.ok()) {
    log(agent::Log::Level::kError, "release " + release.full_name() + ": " + built.error().text);
    return {release.digest, false, built.error().text};
  }
  running_ = std::move(built).value();
  running_sketch_.Clear();
  // The candidate served while nothing else could. Now it is a shadow, and is measured anew.
  if (candidate_ && candidate_serves_ && running_->input_schema() == candidate_->input_schema()) {
    candidate_serves_ = false;
    candidate_sketch_.Clear();
    incumbent_sketch_.Clear();
  }
  log(agent::Log::Level::kInfo, "running release " + release.full_name());
  serve_again();
  return {release.digest, true, {}};
}

Result<std::unique_ptr<Pipeline>> Agent::Core::build(const wire::Release& release) {
  const Bytes* text = release.find("pipeline.yaml");
  if (text == nullptr) return fail(Code::kInvalid, "the release has no pipeline.yaml");
  WB_TRY(const Document document, config_.read_document(*text));
  std::vector<BlobView> blobs;
  for (int i = 0; i < release.manifest.blobs_size(); ++i)
    blobs.push_back({release.manifest.blobs(i).name(), release.contents[static_cast<size_t>(i)]});
  Problems problems;
  auto built = Pipeline::build(document, blobs, {config_.node_id, release.digest, seed_, false}, problems);
  if (!built.ok())
    return fail(Code::kInvalid, problems.empty() ? built.error().text : problems.format("pipeline.yaml"));
  return std::make_unique<Pipeline>(std::move(built).value());
}

Result<std::unique_ptr<Pipeline>> Agent::Core::build_local(const LocalPipeline& local) {
  std::vector<BlobView> blobs;
  for (const auto& [name, bytes] : local.blobs) blobs.push_back({name, bytes});
  Problems problems;
  auto built = Pipeline::build(local.document, blobs, {config_.node_id, "", seed_, false}, problems);
  if (!built.ok()) return fail(Code::kInvalid, problems.empty() ? built.error().text : problems.format("pipeline"));
  return std::make_unique<Pipeline>(std::move(built).value());
}

void Agent::Core::serve_again() {
  ++epoch_;
  const Pipeline* serves = serving();
  // With nothing to serve, what waits goes on under the last budget; it is not suddenly without one (B2).
  if (serves != nullptr)
    set_budget(serves->budget_bytes_per_day() > 0 ? static_cast<uint64_t>(serves->budget_bytes_per_day())
                                                  : outbox::kNoBudget);
  effects_.push_back(agent::Serve{epoch_});
}

void Agent::Core::feed_scores() {
  if (!candidate_) return;
  drive_deploy(deploy::Scores{candidate_digest_, candidate_sketch_,
                              candidate_serves_ ? wire::ScoreSketch() : incumbent_sketch_});
}

}  // namespace wb
