// SPDX-License-Identifier: Apache-2.0
// The index rules in float64 exactly as numpy computes them: the last bit decides after truncation.
#include <mvrm/core/error.h>
#include <mvrm/video/frame_sampler.h>
#include <numeric>

namespace mvrm::video {

namespace {

struct Named { const char* name; Sampling sampling; };
constexpr Named kNames[] = {{"all", Sampling::all}, {"linspace", Sampling::linspace}, {"stride", Sampling::stride}};

}  // namespace

Sampling sampling_from_name(const std::string& name) {
  std::string known;
  for (const auto& entry : kNames) {
    if (name == entry.name) return entry.sampling;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw core::ConfigError("unknown sampling '" + name + "'; known: " + known);
}

std::string name_of(Sampling sampling) {
  for (const auto& entry : kNames) {
    if (sampling == entry.sampling) return entry.name;
  }
  return "";
}

std::vector<int64_t> sample_indices(Sampling sampling, int64_t total, int64_t max_frames) {
  MVRM_CHECK(total >= 1, "sampling from ", total, " frames");
  MVRM_CHECK(max_frames >= 1, "sampling at most ", max_frames, " frames");
  if (sampling == Sampling::all || (sampling == Sampling::stride && total <= max_frames)) {
    std::vector<int64_t> every(static_cast<size_t>(total));
    std::iota(every.begin(), every.end(), int64_t{0});
    return every;
  }
  std::vector<int64_t> indices;
  if (sampling == Sampling::linspace) {
    const double step = max_frames > 1 ? static_cast<double>(total - 1) / static_cast<double>(max_frames - 1) : 0.0;
    for (int64_t i = 0; i < max_frames; ++i) indices.push_back(static_cast<int64_t>(static_cast<double>(i) * step));
    if (max_frames > 1) indices.back() = total - 1;   // numpy.linspace sets its end point
    return indices;
  }
  const double step = static_cast<double>(total) / static_cast<double>(max_frames);   // numpy.arange(0, total, step)
  for (int64_t i = 0; i < max_frames; ++i) indices.push_back(static_cast<int64_t>(static_cast<double>(i) * step));
  return indices;
}

}  // namespace mvrm::video
