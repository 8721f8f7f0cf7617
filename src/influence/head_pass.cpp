// SPDX-License-Identifier: Apache-2.0
// One sweep over the features: K dot products and the squared norm of a row while it is in registers. The work is bound by memory, so the
// instructions only have to keep up: two rows share the loads of the head, and the widest vectors of the machine are chosen at run time.
#include <mvrm/influence/estimator.h>

#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <algorithm>
#include <thread>
#include <vector>

namespace mvrm::influence {

namespace {

constexpr int64_t kMostOutputs = 8;   // rows of the head a sweep
constexpr int64_t kColumns = 1024;    // head columns that stay in the first-level cache; lanes are emptied into float64 after so many

struct Sweep {
  const float *feature, *weight;      // [rows, width], [outputs, width]
  int64_t rows, width, outputs;
  double* product;                    // [rows, outputs + 1]; the squared norm comes last
};

typedef float Lanes8 __attribute__((vector_size(32)));
typedef float Lanes16 __attribute__((vector_size(64)));

// By reference: a vector that is returned is part of the calling convention, which differs between machines.
template <class Lanes> inline __attribute__((always_inline)) void load(Lanes& lanes, const float* at) { __builtin_memcpy(&lanes, at, sizeof lanes); }
template <class Lanes> inline __attribute__((always_inline)) double total(const Lanes& lanes) {
  double sum = 0;
  for (size_t i = 0; i < sizeof(Lanes) / sizeof(float); ++i) sum += static_cast<double>(lanes[i]);
  return sum;
}

// Rows r .. r + R - 1, all columns.
template <class Lanes, int R, int K> inline __attribute__((always_inline)) void sweep_rows(const Sweep& s, int64_t r) {
  constexpr int64_t kStep = sizeof(Lanes) / sizeof(float);
  double sums[R][K + 1] = {};
  for (int64_t begin = 0; begin < s.width; begin += kColumns) {
    const int64_t end = std::min(begin + kColumns, s.width), whole = begin + (end - begin) / kStep * kStep;
    Lanes lanes[R][K + 1] = {};
    for (int64_t d = begin; d < whole; d += kStep) {
      Lanes h[R];
      for (int i = 0; i < R; ++i) {
        load(h[i], s.feature + (r + i) * s.width + d);
        lanes[i][K] += h[i] * h[i];
      }
      for (int k = 0; k < K; ++k) {
        Lanes w;
        load(w, s.weight + k * s.width + d);
        for (int i = 0; i < R; ++i) lanes[i][k] += h[i] * w;
      }
    }
    for (int i = 0; i < R; ++i) {
      for (int k = 0; k <= K; ++k) sums[i][k] += total(lanes[i][k]);
      for (int64_t d = whole; d < end; ++d) {
        const double h = static_cast<double>(s.feature[(r + i) * s.width + d]);
        for (int k = 0; k < K; ++k) sums[i][k] += h * static_cast<double>(s.weight[k * s.width + d]);
        sums[i][K] += h * h;
      }
    }
  }
  for (int i = 0; i < R; ++i) {
    for (int k = 0; k <= K; ++k) s.product[(r + i) * (K + 1) + k] = sums[i][k];
  }
}

template <class Lanes, int K> inline __attribute__((always_inline)) void sweep_outputs(const Sweep& s) {
  int64_t r = 0;
  for (; r + 2 <= s.rows; r += 2) sweep_rows<Lanes, 2, K>(s, r);
  for (; r < s.rows; ++r) sweep_rows<Lanes, 1, K>(s, r);
}

template <class Lanes> inline __attribute__((always_inline)) void sweep(const Sweep& s) {
  switch (s.outputs) {
    case 1: return sweep_outputs<Lanes, 1>(s);
    case 2: return sweep_outputs<Lanes, 2>(s);
    case 3: return sweep_outputs<Lanes, 3>(s);
    case 4: return sweep_outputs<Lanes, 4>(s);
    case 5: return sweep_outputs<Lanes, 5>(s);
    case 6: return sweep_outputs<Lanes, 6>(s);
    case 7: return sweep_outputs<Lanes, 7>(s);
    default: return sweep_outputs<Lanes, 8>(s);
  }
}

#if defined(__x86_64__) && defined(__GNUC__)
__attribute__((target("avx512f"))) void sweep_avx512(const Sweep& s) { sweep<Lanes16>(s); }
__attribute__((target("avx2,fma"))) void sweep_avx2(const Sweep& s) { sweep<Lanes8>(s); }
void run_sweep(const Sweep& s) {
  if (__builtin_cpu_supports("avx512f")) return sweep_avx512(s);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return sweep_avx2(s);
  sweep<Lanes8>(s);
}
#else
void run_sweep(const Sweep& s) { sweep<Lanes8>(s); }
#endif

// What a thread needs to turn products into the row's numbers.
struct Job {
  const float *feature, *weight, *bias, *label;
  int64_t width, dimensions;
  float *prediction, *norm, *influence;
};

// Rows begin .. end, a block at a time: the block is still in the cache when a head of many outputs comes back to it.
void run_rows(const Job& job, int64_t begin, int64_t end) {
  constexpr int64_t kBlock = 32;
  double product[kBlock * (kMostOutputs + 1)];
  for (int64_t row = begin; row < end; row += kBlock) {
    const int64_t rows = std::min(kBlock, end - row);
    for (int64_t first = 0; first < job.dimensions; first += kMostOutputs) {
      const int64_t outputs = std::min(kMostOutputs, job.dimensions - first);
      run_sweep({.feature = job.feature + row * job.width, .weight = job.weight + first * job.width, .rows = rows, .width = job.width,
                 .outputs = outputs, .product = product});
      for (int64_t i = 0; i < rows; ++i) {
        const double* at = product + i * (outputs + 1);
        const auto norm = static_cast<float>(at[outputs]);
        job.norm[row + i] = norm;
        for (int64_t k = 0; k < outputs; ++k) {
          const int64_t cell = (row + i) * job.dimensions + first + k;
          job.prediction[cell] = static_cast<float>(at[k] + static_cast<double>(job.bias[first + k]));
          const auto residual = static_cast<double>(job.prediction[cell] - job.label[cell]);
          job.influence[cell] = static_cast<float>(residual * residual * static_cast<double>(norm));
        }
      }
    }
  }
}

}  // namespace

HeadPass head_pass(const at::Tensor& feature_ND, const at::Tensor& label_NK, const at::Tensor& weight_KD, const at::Tensor& bias_K, int64_t threads) {
  const int64_t rows = feature_ND.size(0), dimensions = weight_KD.size(0);
  core::check_shape(weight_KD, {-1, feature_ND.size(1)}, "head weight");
  core::check_shape(bias_K, {dimensions}, "head bias");
  core::check_shape(label_NK, {rows, dimensions}, "label");
  MVRM_CHECK(feature_ND.scalar_type() == at::kFloat && feature_ND.is_contiguous(), "features must be contiguous float32");
  MVRM_CHECK(threads >= 1, "threads ", threads);
  const at::Tensor weight = weight_KD.to(at::kFloat).contiguous(), bias = bias_K.to(at::kFloat).contiguous(), label = label_NK.to(at::kFloat).contiguous();
  HeadPass pass{.prediction_NK = at::empty({rows, dimensions}, at::kFloat), .feature_sq_norm_N = at::empty({rows}, at::kFloat),
                .self_influence_NK = at::empty({rows, dimensions}, at::kFloat)};
  const Job job{.feature = feature_ND.const_data_ptr<float>(), .weight = weight.const_data_ptr<float>(), .bias = bias.const_data_ptr<float>(),
                .label = label.const_data_ptr<float>(), .width = feature_ND.size(1), .dimensions = dimensions,
                .prediction = pass.prediction_NK.mutable_data_ptr<float>(), .norm = pass.feature_sq_norm_N.mutable_data_ptr<float>(),
                .influence = pass.self_influence_NK.mutable_data_ptr<float>()};
  const int64_t each = std::max<int64_t>(1, (rows + threads - 1) / threads);
  std::vector<std::thread> workers;
  for (int64_t begin = each; begin < rows; begin += each) workers.emplace_back(run_rows, job, begin, std::min(begin + each, rows));
  run_rows(job, 0, std::min(each, rows));
  for (auto& worker : workers) worker.join();
  return pass;
}

}  // namespace mvrm::influence
