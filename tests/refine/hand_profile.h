// SPDX-License-Identifier: Apache-2.0
// A profile made of a table of self-influence: feature norm 1, so the residual is its square root. Labels are given or 1.
#pragma once
#include <ATen/ATen.h>
#include <mvrm/influence/profile.h>
#include <mvrm/core/random.h>

#include <limits>
#include <string>
#include <vector>

namespace mvrm::test {

inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

inline at::Tensor table(const std::vector<std::vector<double>>& rows) {
  at::Tensor cells = at::empty({static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows.front().size())}, at::kDouble);
  for (size_t n = 0; n < rows.size(); ++n) {
    for (size_t k = 0; k < rows[n].size(); ++k) cells[static_cast<int64_t>(n)][static_cast<int64_t>(k)] = rows[n][k];
  }
  return cells;
}

inline influence::Profile profile_of(const std::vector<std::string>& ids, const at::Tensor& self_influence_NK, at::Tensor label_NK = {}) {
  influence::Profile profile{.ids = ids};
  for (int64_t k = 0; k < self_influence_NK.size(1); ++k) profile.dimensions.push_back("d" + std::to_string(k));
  for (const auto& id : ids) profile.prompts.push_back("prompt of " + id);
  if (!label_NK.defined()) label_NK = at::ones_like(self_influence_NK).masked_fill(self_influence_NK.isnan(), kNan);
  profile.self_influence_NK = self_influence_NK.to(at::kFloat);
  profile.residual_NK = self_influence_NK.sqrt().to(at::kFloat);
  profile.label_NK = label_NK.to(at::kFloat);
  profile.prediction_NK = profile.label_NK + profile.residual_NK;
  profile.feature_sq_norm_N = at::ones({self_influence_NK.size(0)}, at::kFloat);
  profile.done_N = at::ones({self_influence_NK.size(0)}, at::kByte);
  profile.model_hash = "model";
  profile.data_hash = "data";
  return profile;
}

// "s000", "s001", …: their order as text is that of the rows.
inline std::vector<std::string> numbered_ids(int64_t count) {
  std::vector<std::string> ids;
  for (int64_t n = 0; n < count; ++n) ids.push_back("s" + std::string(n < 10 ? "00" : n < 100 ? "0" : "") + std::to_string(n));
  return ids;
}

inline at::Tensor random_normal(int64_t rows, int64_t columns, uint64_t seed) {
  core::CounterRng rng(seed, "table");
  at::Tensor cells = at::empty({rows, columns}, at::kDouble);
  for (int64_t i = 0; i < cells.numel(); ++i) cells.mutable_data_ptr<double>()[i] = rng.normal();
  return cells;
}

}  // namespace mvrm::test
