// SPDX-License-Identifier: Apache-2.0
// Figures of the suites as SVG text.
#pragma once
#include <cstdint>
#include <mvrm/core/tensor.h>
#include <string>
#include <vector>

namespace mvrm::experiment {

// Values at evenly spaced places along x; NaN leaves a gap.
struct Curve {
  std::string name;
  std::vector<double> values;
};
std::string curves_svg(const std::vector<std::string>& places, const std::vector<Curve>& curves, const std::string& axis);

// A panel for each pair of dimensions: risk_NK in 0..1 as position, colour_N in 0..1 from blue to red. NaN rows are left out.
std::string scatter_svg(const core::Tensor& risk_NK, const core::Tensor& colour_N, const std::vector<std::string>& dimensions);

}  // namespace mvrm::experiment
