// SPDX-License-Identifier: Apache-2.0
// N samples, K dimensions.
#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/refine/automatic_alpha.h>
#include <mvrm/refine/held_out.h>
#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

namespace mvrm::refine {

namespace {

// Mean of the two middle values for an even count. `values` must not be empty; they are reordered.
double median_of(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return 0.5 * (*middle + *std::max_element(values.begin(), middle));
}

constexpr double kDeviationOfMad = 1.4826;  // a normal's standard deviation over its median absolute deviation

}  // namespace

RobustScale robust_scale(const at::Tensor& residual_NK) {
  const int64_t dimensions = residual_NK.size(1);
  RobustScale scale{.median_K = at::zeros({dimensions}, at::kDouble), .deviation_K = at::zeros({dimensions}, at::kDouble)};
  for (int64_t k = 0; k < dimensions; ++k) {
    const at::Tensor column_N = residual_NK.select(1, k).to(at::kDouble).contiguous();
    std::vector<double> values(column_N.const_data_ptr<double>(), column_N.const_data_ptr<double>() + column_N.numel());
    std::erase_if(values, [](double value) { return std::isnan(value); });
    if (values.empty()) continue;
    const double median = median_of(values);
    for (double& value : values) value = std::abs(value - median);
    scale.median_K[k] = median;
    scale.deviation_K[k] = kDeviationOfMad * median_of(values);
  }
  return scale;
}

at::Tensor robust_residual(const at::Tensor& residual_NK, const RobustScale& scale) {
  const at::Tensor distance_NK = residual_NK.to(at::kDouble) - scale.median_K;
  return at::where(scale.deviation_K > 0, distance_NK / scale.deviation_K, distance_NK * 0).contiguous();
}

at::Tensor robust_residual(const at::Tensor& residual_NK) { return robust_residual(residual_NK, robust_scale(residual_NK)); }

std::vector<uint8_t> benjamini_hochberg(const std::vector<double>& p, double q) {
  std::vector<double> sorted;
  for (const double value : p) {
    if (!std::isnan(value)) sorted.push_back(value);
  }
  std::sort(sorted.begin(), sorted.end());
  double largest = -1;
  for (size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] <= q * static_cast<double>(i + 1) / static_cast<double>(sorted.size())) largest = sorted[i];
  }
  std::vector<uint8_t> rejected;
  for (const double value : p) rejected.push_back(value <= largest ? 1 : 0);
  return rejected;
}

AutomaticAlpha automatic_alpha(const at::Tensor& residual_NK, double q) {
  if (!(q > 0 && q < 1)) throw core::ConfigError("false discovery rate: must be between 0 and 1, got " + std::to_string(q));
  const at::Tensor scaled_NK = robust_residual(residual_NK);
  const int64_t rows = scaled_NK.size(0), dimensions = scaled_NK.size(1);
  AutomaticAlpha result{.percent_K = {}, .rejected_NK = at::zeros({rows, dimensions}, at::kByte)};
  for (int64_t k = 0; k < dimensions; ++k) {
    std::vector<double> p;
    int64_t labelled = 0, count = 0;
    for (int64_t n = 0; n < rows; ++n) {
      p.push_back(std::erfc(std::abs(scaled_NK.const_data_ptr<double>()[n * dimensions + k]) / std::numbers::sqrt2));
      labelled += std::isnan(p.back()) ? 0 : 1;
    }
    const auto rejected = benjamini_hochberg(p, q);
    for (int64_t n = 0; n < rows; ++n) {
      result.rejected_NK.mutable_data_ptr<uint8_t>()[n * dimensions + k] = rejected[static_cast<size_t>(n)];
      count += rejected[static_cast<size_t>(n)];
    }
    result.percent_K.push_back(labelled > 0 ? 100.0 * static_cast<double>(count) / static_cast<double>(labelled) : 0);
  }
  return result;
}

AutomaticAlpha automatic_alpha(const influence::Profile& profile, double q) {
  const HeldOutHead head(profile);
  AutomaticAlpha first = automatic_alpha(head.residual(profile.label_NK), q);
  if (!head.refits()) return first;
  return automatic_alpha(head.residual_without(profile.label_NK, first.rejected_NK), q);
}

std::vector<double> paper_best_alpha(const std::vector<std::string>& dimensions) {
  static const std::map<std::string, double> kBest{{"visual quality", 0.1},
                                                   {"temporal consistency", 0.5},
                                                   {"dynamic degree", 0.5},
                                                   {"text-to-video alignment", 0.1},
                                                   {"factual consistency", 0.5}};
  std::vector<double> percent;
  for (const auto& dimension : dimensions) {
    const auto found = kBest.find(dimension);
    if (found == kBest.end()) throw core::ConfigError("alpha: paper_best knows VideoFeedback's five dimensions only, not '" + dimension + "'");
    percent.push_back(found->second);
  }
  return percent;
}

}  // namespace mvrm::refine
