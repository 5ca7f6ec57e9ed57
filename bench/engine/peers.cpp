#include "bench/engine/peers.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>

#include "bench/engine/library.h"
#include "bench/processes.h"
#include "engine/engine.h"

namespace wb::bench {

double Peer::cpu_seconds(const Stretch& stretch) {
  const double start = own_cpu_s();
  for (size_t done = 0; done < stretch.rows; done += stretch.at_once)
    ask((stretch.first + done) % rows_.count, stretch.at_once);
  return own_cpu_s() - start;
}

std::vector<double> Peer::latencies_us(const Stretch& stretch) {
  std::vector<double> out;
  for (size_t done = 0; done < stretch.rows; done += stretch.at_once) {
    const double start = wall_s();
    ask((stretch.first + done) % rows_.count, stretch.at_once);
    out.push_back((wall_s() - start) * 1e6);
  }
  return out;
}

std::vector<double> Peer::margins(size_t count, size_t at_once) {
  std::vector<double> out;
  for (size_t first = 0; first < count; first += at_once) {
    ask(first, at_once);
    for (size_t i = 0; i < at_once * width(); ++i) out.push_back(said(i));
  }
  return out;
}

Library::Library(const std::string& path) : handle_(::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr) give_up(std::string("dlopen: ") + ::dlerror());
}

void* Library::symbol(const char* name) const {
  void* out = ::dlsym(handle_, name);
  if (out == nullptr) give_up(std::string("dlsym: ") + ::dlerror());
  return out;
}

namespace {

// In the width that the model computes in.
template <class Number>
class Engine : public Peer {
 public:
  Engine(engine::Model model, const Rows& rows, const std::vector<Number>& numbers)
      : Peer(rows), model_(std::move(model)), numbers_(numbers), out_(rows.count * model_.outputs_count()) {}
  void ask(size_t first, size_t count) override {
    model_.predict_margins(std::span(numbers_).subspan(first * rows_.features, count * rows_.features), count,
                           std::span(out_).first(count * model_.outputs_count()));
  }
  double said(size_t i) const override { return static_cast<double>(out_[i]); }
  size_t width() const override { return model_.outputs_count(); }

 private:
  engine::Model model_;
  const std::vector<Number>& numbers_;
  std::vector<Number> out_;
};

// In place from dense rows, margins only. The texts that describe the arrays are made before anything is timed, and a
// proxy matrix is handed in: without one, version 3 makes one in each call and reads the limits of the control group
// from files on the way, which doubles the time of a row.
class Xgboost : public Peer {
 public:
  Xgboost(const PeerLine& line, const Rows& rows) : Peer(rows), library_(line.library) {
    library_.find("XGBGetLastError", error_);
    library_.find("XGBoosterPredictFromDense", predict_);
    int (*create)(const void*, uint64_t, void**) = nullptr;
    int (*load)(void*, const char*) = nullptr;
    int (*set)(void*, const char*, const char*) = nullptr;
    library_.find("XGBoosterCreate", create);
    library_.find("XGBoosterLoadModel", load);
    library_.find("XGBoosterSetParam", set);
    must(create(nullptr, 0, &booster_));
    must(load(booster_, line.file.c_str()));
    must(set(booster_, "nthread", "1"));
    int (*create_proxy)(void**) = nullptr;
    library_.find("XGProxyDMatrixCreate", create_proxy);
    must(create_proxy(&proxy_));
    for (size_t i = 0; i < rows.count; ++i) single_.push_back(array(i, 1));
    ask(0, 1);
  }
  void ask(size_t first, size_t count) override {
    static constexpr const char* kConfig =
        R"({"type":1,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":false,"missing":NaN,"cache_id":0})";
    const uint64_t* shape = nullptr;
    uint64_t dimensions = 0;
    const std::string many = count == 1 ? std::string() : array(first, count);
    must(predict_(booster_, (count == 1 ? single_[first] : many).c_str(), kConfig, proxy_, &shape, &dimensions, &out_));
    width_ = dimensions < 2 ? 1 : shape[1];
  }
  double said(size_t i) const override { return static_cast<double>(out_[i]); }
  size_t width() const override { return width_; }

 private:
  std::string array(size_t first, size_t count) const {
    return "{\"data\":[" + std::to_string(reinterpret_cast<uintptr_t>(rows_.f32.data() + first * rows_.features)) +
           ",true],\"shape\":[" + std::to_string(count) + "," + std::to_string(rows_.features) +
           "],\"typestr\":\"<f4\",\"version\":3}";
  }
  void must(int code) const {
    if (code != 0) give_up(std::string("xgboost: ") + error_());
  }
  Library library_;
  const char* (*error_)() = nullptr;
  int (*predict_)(void*, const char*, const char*, void*, const uint64_t**, uint64_t*, const float**) = nullptr;
  void *booster_ = nullptr, *proxy_ = nullptr;
  std::vector<std::string> single_;
  const float* out_ = nullptr;
  size_t width_ = 1;
};

class Lightgbm : public Peer {
 public:
  Lightgbm(const PeerLine& line, const Rows& rows) : Peer(rows), library_(line.library) {
    library_.find("LGBM_GetLastError", error_);
    library_.find("LGBM_BoosterPredictForMat", predict_);
    library_.find("LGBM_BoosterPredictForMatSingleRowFast", predict_row_);
    int (*load)(const char*, int*, void**) = nullptr;
    int (*prepare)(void*, int, int, int, int, int32_t, const char*, void**) = nullptr;
    library_.find("LGBM_BoosterCreateFromModelfile", load);
    library_.find("LGBM_BoosterPredictForMatSingleRowFastInit", prepare);
    int iterations = 0;
    must(load(line.file.c_str(), &iterations, &booster_));
    must(prepare(booster_, kMargins, 0, -1, kF64, static_cast<int32_t>(rows.features), kOptions, &row_));
    out_.resize(rows.count * 64);
    ask(0, 1);
    width_ = static_cast<size_t>(length_);
  }
  void ask(size_t first, size_t count) override {
    const double* row = rows_.f64.data() + first * rows_.features;
    if (count == 1) return must(predict_row_(row_, row, &length_, out_.data()));
    must(predict_(booster_, row, kF64, static_cast<int32_t>(count), static_cast<int32_t>(rows_.features), 1, kMargins,
                  0, -1, kOptions, &length_, out_.data()));
  }
  double said(size_t i) const override { return out_[i]; }
  size_t width() const override { return width_; }

 private:
  static constexpr int kMargins = 1, kF64 = 1;
  static constexpr const char* kOptions = "num_threads=1";
  void must(int code) const {
    if (code != 0) give_up(std::string("lightgbm: ") + error_());
  }
  Library library_;
  const char* (*error_)() = nullptr;
  int (*predict_)(void*, const void*, int, int32_t, int32_t, int, int, int, int, const char*, int64_t*,
                  double*) = nullptr;
  int (*predict_row_)(void*, const void*, int64_t*, double*) = nullptr;
  void *booster_ = nullptr, *row_ = nullptr;
  std::vector<double> out_;
  int64_t length_ = 0;
  size_t width_ = 1;
};

// What TL2cgen writes takes a row as a union of an int that is -1 where a number is missing, and the number. Rows
// without missing numbers have that form already, so that nothing is copied.
template <class Entry, class Answer>
class Tl2cgen : public Peer {
 public:
  Tl2cgen(const PeerLine& line, const Rows& rows, const std::vector<Entry>& numbers)
      : Peer(rows), library_(line.file), numbers_(numbers), width_(line.width), out_(rows.count * line.width) {
    library_.find("predict", predict_);
  }
  void ask(size_t first, size_t count) override {
    std::fill_n(out_.begin(), count * width_, Answer{0});  // what it says is added to what stands there
    for (size_t i = 0; i < count; ++i)
      predict_(numbers_.data() + (first + i) * rows_.features, 1, out_.data() + i * width_);
  }
  double said(size_t i) const override { return static_cast<double>(out_[i]); }
  size_t width() const override { return width_; }

 private:
  Library library_;
  void (*predict_)(const Entry*, int, Answer*) = nullptr;
  const std::vector<Entry>& numbers_;
  size_t width_;
  std::vector<Answer> out_;
};

std::unique_ptr<Peer> open_tl2cgen(const PeerLine& line, const Rows& rows) {
  if (line.entry_f64 && line.result_f64) return std::make_unique<Tl2cgen<double, double>>(line, rows, rows.f64);
  if (line.entry_f64) return std::make_unique<Tl2cgen<double, float>>(line, rows, rows.f64);
  return std::make_unique<Tl2cgen<float, float>>(line, rows, rows.f32);
}

class Lleaves : public Peer {
 public:
  Lleaves(const PeerLine& line, const Rows& rows) : Peer(rows), library_(line.file), width_(line.width) {
    library_.find("forest_root", predict_);
    out_.resize(rows.count * width_);
  }
  void ask(size_t first, size_t count) override {
    predict_(rows_.f64.data() + first * rows_.features, out_.data(), 0, static_cast<int32_t>(count));
  }
  double said(size_t i) const override { return out_[i]; }
  size_t width() const override { return width_; }

 private:
  Library library_;
  void (*predict_)(const double*, double*, int32_t, int32_t) = nullptr;
  size_t width_;
  std::vector<double> out_;
};

class Catboost : public Peer {
 public:
  Catboost(const PeerLine& line, const Rows& rows) : Peer(rows), library_(line.file), out_(rows.count) {
    library_.find("bench_apply", apply_);
  }
  void ask(size_t first, size_t count) override {
    for (size_t i = 0; i < count; ++i)
      out_[i] = apply_(rows_.f32.data() + (first + i) * rows_.features, rows_.features);
  }
  double said(size_t i) const override { return out_[i]; }
  size_t width() const override { return 1; }

 private:
  Library library_;
  double (*apply_)(const float*, size_t) = nullptr;
  std::vector<double> out_;
};

// python_peer.py at the other end of two pipes: a line with what to do, a line with the answer.
class Python : public Peer {
 public:
  Python(const PeerLine& line, const Rows& rows) : Peer(rows) {
    int to[2], from[2];
    if (::pipe2(to, O_CLOEXEC) != 0 || ::pipe2(from, O_CLOEXEC) != 0) give_up("no pipe");
    pid_ = ::fork();
    if (pid_ < 0) give_up("fork failed");
    if (pid_ == 0) {
      ::dup2(to[0], STDIN_FILENO);
      ::dup2(from[1], STDOUT_FILENO);
      const std::string features = std::to_string(rows.features);
      ::execl(line.program.c_str(), line.program.c_str(), "-B", line.script.c_str(), line.file.c_str(),
              rows.file.c_str(), features.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    ask_ = ::fdopen(to[1], "w");
    answer_ = ::fdopen(from[0], "r");
    const std::vector<double> hello = numbers();
    if (hello.size() != 3) give_up(line.title + ": python_peer.py did not start");
    load_ms_ = hello[0], rss_kib_ = hello[1], width_ = static_cast<size_t>(hello[2]);
  }
  ~Python() override {
    std::fclose(ask_);
    std::fclose(answer_);
    ::waitpid(pid_, nullptr, 0);
  }
  void ask(size_t first, size_t count) override { said_ = command("margins", {first, count, count}); }
  double said(size_t i) const override { return said_[i]; }
  size_t width() const override { return width_; }
  double cpu_seconds(const Stretch& stretch) override { return command("seconds", stretch).at(0); }
  std::vector<double> latencies_us(const Stretch& stretch) override { return command("latencies", stretch); }
  std::vector<double> margins(size_t count, size_t at_once) override { return command("margins", {0, count, at_once}); }
  bool tells_load(double* load_ms, double* rss_kib) const override {
    *load_ms = load_ms_, *rss_kib = rss_kib_;
    return true;
  }

 private:
  std::vector<double> command(const char* what, const Stretch& stretch) {
    std::fprintf(ask_, "%s %zu %zu %zu\n", what, stretch.first, stretch.rows, stretch.at_once);
    std::fflush(ask_);
    std::vector<double> out = numbers();
    if (out.empty()) give_up("python_peer.py ended early");
    return out;
  }
  std::vector<double> numbers() {  // one line: how many, and those
    size_t count = 0;
    if (std::fscanf(answer_, "%zu", &count) != 1) return {};
    std::vector<double> out(count);
    for (double& number : out)
      if (std::fscanf(answer_, "%la", &number) != 1) return {};
    return out;
  }
  pid_t pid_ = -1;
  FILE *ask_ = nullptr, *answer_ = nullptr;
  double load_ms_ = 0, rss_kib_ = 0;
  size_t width_ = 1;
  std::vector<double> said_;
};

}  // namespace

std::unique_ptr<Peer> open_engine(const std::string& package, const Rows& rows) {
  std::ifstream in(package, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  auto model = engine::Model::load(bytes);
  if (!model.ok()) give_up(package + ": " + model.error().text);
  if (model->features_count() != rows.features) give_up(package + ": not the features of the plan");
  if (model->computes_f64()) return std::make_unique<Engine<double>>(std::move(model).value(), rows, rows.f64);
  return std::make_unique<Engine<float>>(std::move(model).value(), rows, rows.f32);
}

std::unique_ptr<Peer> open_peer(const PeerLine& line, const Rows& rows) {
  if (line.kind == "xgboost") return std::make_unique<Xgboost>(line, rows);
  if (line.kind == "lightgbm") return std::make_unique<Lightgbm>(line, rows);
  if (line.kind == "onnx") return open_onnx(line, rows);
  if (line.kind == "tl2cgen") return open_tl2cgen(line, rows);
  if (line.kind == "lleaves") return std::make_unique<Lleaves>(line, rows);
  if (line.kind == "catboost") return std::make_unique<Catboost>(line, rows);
  if (line.kind == "python") return std::make_unique<Python>(line, rows);
  give_up("a peer of unknown kind: " + line.kind);
}

}  // namespace wb::bench
