// SPDX-License-Identifier: Apache-2.0
// N samples of the data set, K dimensions.
#include "online_run.h"

#include <ATen/ATen.h>
#include <limits>
#include <unordered_map>

namespace mvrm::run {

namespace {

std::unordered_map<std::string, int64_t> rows_of(const refine::RefinementPlan& plan) {
  std::unordered_map<std::string, int64_t> row_of_id;
  for (size_t n = 0; n < plan.ids.size(); ++n) row_of_id.emplace(plan.ids[n], static_cast<int64_t>(n));
  return row_of_id;
}

// The labels that training uses: those of the data, with the plan's corrections.
at::Tensor labels_of(const data::Manifest& manifest, const refine::RefinementPlan& plan) {
  const auto row_of_id = rows_of(plan);
  const auto dimensions = static_cast<int64_t>(manifest.dimensions.size());
  at::Tensor label_NK = at::full({static_cast<int64_t>(manifest.samples.size()), dimensions}, std::numeric_limits<float>::quiet_NaN(), at::kFloat);
  for (size_t n = 0; n < manifest.samples.size(); ++n) {
    const auto& sample = manifest.samples[n];
    at::Tensor label_K = label_NK[static_cast<int64_t>(n)];
    if (!sample.label_K.empty()) label_K.copy_(at::tensor(at::ArrayRef<float>(sample.label_K), at::kFloat));
    const auto row = row_of_id.find(sample.id);
    if (!plan.label_NK.defined() || row == row_of_id.end()) continue;
    const at::Tensor new_K = plan.label_NK[row->second].to(at::kFloat);
    label_K.copy_(at::where(new_K.isnan(), label_K, new_K));
  }
  return label_NK;
}

}  // namespace

std::unique_ptr<influence::OnlineProfile> collect_online(const RunConfig& config, const data::Manifest& manifest, const refine::RefinementPlan& plan,
                                                         const std::string& key, const core::Context& context) {
  if (!config.training.train.collect_influence) return nullptr;
  influence::Profile rows{.dimensions = manifest.dimensions, .label_NK = labels_of(manifest, plan), .model_hash = "training run " + key, .data_hash = manifest.hash,
                          .reading = "collected while training, model " + config.model.dtype};
  for (const auto& sample : manifest.samples) {
    rows.ids.push_back(sample.id);
    rows.prompts.push_back(sample.prompt);
  }
  return std::make_unique<influence::OnlineProfile>(config.run.dir / "online_profile", std::move(rows), key, context.log);
}

std::function<void(int64_t, double, const std::vector<train::SampleView>&)> observer(influence::OnlineProfile& online, const data::Manifest& manifest,
                                                                                     const refine::RefinementPlan& plan, int64_t checkpoint_every) {
  const auto row_of_id = rows_of(plan);
  std::vector<int64_t> row_of_kept;   // the loop counts kept samples
  for (size_t n = 0; n < manifest.samples.size(); ++n) {
    const auto row = row_of_id.find(manifest.samples[n].id);
    if (row != row_of_id.end() && plan.keep_N[static_cast<size_t>(row->second)] != 0) row_of_kept.push_back(static_cast<int64_t>(n));
  }
  const size_t dimensions = manifest.dimensions.size();
  return [&online, row_of_kept = std::move(row_of_kept), dimensions, checkpoint_every](int64_t step, double lr, const std::vector<train::SampleView>& samples) {
    std::vector<influence::OnlineVisit> visits;
    for (const auto& view : samples) {
      visits.push_back({.row = row_of_kept.at(static_cast<size_t>(view.sample)), .reward_K = {view.reward_K, view.reward_K + dimensions},
                        .feature_sq_norm = view.feature_sq_norm});
    }
    online.add(step, lr, visits);
    if (step % checkpoint_every == 0) online.sync();
  };
}

}  // namespace mvrm::run
