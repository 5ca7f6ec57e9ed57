// ONNX Runtime gives out one table of functions, to which versions only append; the places of the few that are needed
// here are named below, as of version 13 of the table. One thread, all graph optimisations (the default); the answer
// goes into memory of ours. For one row the two tensors are made once and the row is copied into the first.
#include <cstdint>
#include <cstring>

#include "bench/engine/library.h"
#include "bench/engine/peers.h"

#include "bench/processes.h"

namespace wb::bench {
namespace {

constexpr uint32_t kTableVersion = 13;
enum Place : size_t {
  kErrorMessage = 2,
  kCreateEnv = 3,
  kCreateSession = 7,
  kRun = 9,
  kCreateOptions = 10,
  kSetThreads = 24,
  kTensorOver = 49,
  kCpuMemory = 69,
  kReleaseValue = 96,
};

class Onnx : public Peer {
 public:
  Onnx(const PeerLine& line, const Rows& rows)
      : Peer(rows), line_(line), library_(line.library), row_(rows.features), out_(rows.count * line.width) {
    struct Base {
      const void* const* (*table)(uint32_t);
    };
    const Base* (*base)() = nullptr;
    library_.find("OrtGetApiBase", base);
    table_ = base()->table(kTableVersion);
    if (table_ == nullptr) give_up("onnxruntime: no table of functions of version 13");
    void *env = nullptr, *options = nullptr;
    must(call<void*(int, const char*, void**)>(kCreateEnv)(3, "bench", &env));
    must(call<void*(void**)>(kCreateOptions)(&options));
    must(call<void*(void*, int)>(kSetThreads)(options, 1));
    must(call<void*(void*, const char*, void*, void**)>(kCreateSession)(env, line.file.c_str(), options, &session_));
    must(call<void*(int, int, void**)>(kCpuMemory)(0, 0, &memory_));
    row_in_ = tensor(row_.data(), 1, rows.features);
    row_out_ = tensor(out_.data(), 1, line.width);
  }
  void ask(size_t first, size_t count) override {
    const float* rows = rows_.f32.data() + first * rows_.features;
    if (count == 1) {
      std::memcpy(row_.data(), rows, row_.size() * sizeof(float));
      return run(row_in_, row_out_);
    }
    void* in = tensor(const_cast<float*>(rows), count, rows_.features);
    void* out = tensor(out_.data(), count, line_.width);
    run(in, out);
    call<void(void*)>(kReleaseValue)(in);
    call<void(void*)>(kReleaseValue)(out);
  }
  double said(size_t i) const override { return static_cast<double>(out_[i]); }
  size_t width() const override { return line_.width; }

 private:
  template <class Function>
  Function* call(Place place) const {
    return reinterpret_cast<Function*>(const_cast<void*>(table_[place]));
  }
  void must(void* status) const {
    if (status != nullptr) give_up(std::string("onnxruntime: ") + call<const char*(void*)>(kErrorMessage)(status));
  }
  void* tensor(float* data, size_t count, size_t columns) const {
    const int64_t shape[] = {static_cast<int64_t>(count), static_cast<int64_t>(columns)};
    constexpr int kFloats = 1;
    void* out = nullptr;
    must(call<void*(void*, void*, size_t, const int64_t*, size_t, int, void**)>(kTensorOver)(
        memory_, data, count * columns * sizeof(float), shape, 2, kFloats, &out));
    return out;
  }
  void run(void* in, void* out) const {
    const char *input = line_.input.c_str(), *output = line_.output.c_str();
    using Run = void*(void*, const void*, const char* const*, void* const*, size_t, const char* const*, size_t, void**);
    must(call<Run>(kRun)(session_, nullptr, &input, &in, 1, &output, 1, &out));
  }

  PeerLine line_;
  Library library_;
  const void* const* table_ = nullptr;
  void *session_ = nullptr, *memory_ = nullptr, *row_in_ = nullptr, *row_out_ = nullptr;
  std::vector<float> row_, out_;
};

}  // namespace

std::unique_ptr<Peer> open_onnx(const PeerLine& line, const Rows& rows) { return std::make_unique<Onnx>(line, rows); }

}  // namespace wb::bench
