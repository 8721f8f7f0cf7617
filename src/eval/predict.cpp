// SPDX-License-Identifier: Apache-2.0
// Scores a data set. N samples, K dimensions, D feature width; ranks take interleaved rows and exchange them at the end.
#include <ATen/ATen.h>
#include <algorithm>
#include <limits>
#include <mvrm/eval/predictions.h>
#include <mvrm/model/forward_pass.h>

namespace mvrm::eval {

namespace {

// Rows that a rank did not compute are 0 in its copy, so the sum over ranks is the whole table.
void combine(at::Tensor& table, dist::Communicator& comm) {
  if (comm.size() > 1) comm.all_reduce_sum(table);
}

at::Tensor labels_of(const data::Manifest& manifest) {
  const auto count = static_cast<int64_t>(manifest.samples.size()), dimensions = static_cast<int64_t>(manifest.dimensions.size());
  at::Tensor label_NK = at::full({count, dimensions}, std::numeric_limits<float>::quiet_NaN(), at::kFloat);
  for (int64_t n = 0; n < count; ++n) {
    const auto& label_K = manifest.samples[static_cast<size_t>(n)].label_K;
    std::copy(label_K.begin(), label_K.end(), label_NK.mutable_data_ptr<float>() + n * dimensions);
  }
  return label_NK;
}

}  // namespace

Predictions predict(const model::RewardModel& model, data::Dataset& dataset, int64_t batch, dist::Communicator& comm,
                    const core::Context& context, bool keep_features) {
  const int64_t count = dataset.size();
  const auto dimensions = static_cast<int64_t>(model.config.dimensions.size());
  Predictions result{.ids = {}, .dimensions = model.config.dimensions, .reward_NK = at::zeros({count, dimensions}, at::kFloat),
                     .label_NK = labels_of(dataset.manifest())};
  if (keep_features) result.feature_ND = at::zeros({count, model.config.text.hidden_size}, at::kFloat);
  for (const auto& sample : dataset.manifest().samples) result.ids.push_back(sample.id);
  result.frame_indices.resize(static_cast<size_t>(count));
  result.tokens.resize(static_cast<size_t>(count));
  result.errors.resize(static_cast<size_t>(count));

  std::vector<int64_t> mine;
  for (int64_t n = comm.rank(); n < count; n += comm.size()) mine.push_back(n);
  model::forward_pass(model, dataset, mine, batch, context, "score", [&](std::span<const model::SampleOutput> outputs) {
    for (const auto& output : outputs) {
      const auto n = static_cast<size_t>(output.index);
      if (!output.example) {
        result.reward_NK[output.index].fill_(std::numeric_limits<float>::quiet_NaN());
        result.errors[n] = "the sample could not be read; see the log";
        continue;
      }
      result.reward_NK[output.index].copy_(output.reward_K);
      if (keep_features) result.feature_ND[output.index].copy_(output.feature_D);
      result.frame_indices[n] = output.example->frame_indices;
      result.tokens[n] = static_cast<int64_t>(output.example->input_ids.size());
    }
  });
  combine(result.reward_NK, comm);
  if (keep_features) combine(result.feature_ND, comm);
  return result;
}

}  // namespace mvrm::eval
