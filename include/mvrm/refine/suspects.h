// SPDX-License-Identifier: Apache-2.0
// Ranked suspects: the (sample, dimension) pairs whose label most likely is wrong, for a person to look at.
#pragma once
#include <mvrm/influence/profile.h>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace mvrm::refine {

struct SuspectOptions {
  int64_t count = 20;
  // "High here, low there": only samples whose risk is at or above `high_percentile` in every dimension of `high` and at or below
  // `low_percentile` in every dimension of `low`. With `high`, only pairs of these dimensions are listed.
  std::vector<std::string> high = {}, low = {};
  double high_percentile = 95, low_percentile = 50;
};

// risk, z (the risk standardised in its dimension) and percentile: percent of the dimension's labels of the same or a lower risk, so 100 is
// the riskiest. probability and suggestion are NaN unless noise was calibrated (calibration.h).
struct Suspect {
  int64_t row = 0, dimension = 0;
  double risk = 0, z = 0, percentile = 0;
  double probability = 0, suggestion = 0;
};

// Ranked by z, so that no dimension drowns the others, ties by row, then dimension. `order_NK`, where defined, ranks instead of z (the
// calibrated probability does). Throws ConfigError for an unknown dimension or a percentile outside 0..100.
std::vector<Suspect> list_suspects(const influence::Profile& profile, const core::Tensor& risk_NK, const SuspectOptions& options,
                                   const core::Tensor& order_NK = {});

// One object or line a suspect: id, prompt, dimension, label, prediction, residual, risk, z, percentile, and noise_probability and
// suggested_label where they are known. CSV quotes where it must (RFC 4180).
nlohmann::ordered_json to_json(const std::vector<Suspect>& suspects, const influence::Profile& profile);
std::string to_csv(const std::vector<Suspect>& suspects, const influence::Profile& profile);

}  // namespace mvrm::refine
