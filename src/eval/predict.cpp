// SPDX-License-Identifier: Apache-2.0
// Scores a data set. N samples, K dimensions, D feature width; ranks take interleaved rows and exchange them at the end.
#include <ATen/ATen.h>
#include <mvrm/dist/shard.h>
#include <mvrm/eval/predictions.h>
#include <mvrm/model/forward_pass.h>
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace mvrm::eval {

namespace {

void take(Predictions& result, const model::SampleOutput& output, const data::Dataset& dataset) {
  const auto n = static_cast<size_t>(output.index);
  at::Tensor reward_K = result.reward_NK[output.index];
  if (!output.example) {
    reward_K.fill_(std::numeric_limits<float>::quiet_NaN());
    result.errors[n] = dataset.why_bad(output.index);
    return;
  }
  reward_K.copy_(output.reward_K);
  if (!reward_K.isfinite().all().item<bool>()) result.errors[n] = "the model's output is not finite";
  if (result.feature_ND.defined()) {
    result.feature_ND[output.index].copy_(output.feature_D);
    result.input_ids[n] = output.example->input_ids;
  }
  result.frame_indices[n] = output.example->frame_indices;
  result.tokens[n] = static_cast<int64_t>(output.example->input_ids.size());
}

// What is not a tensor travels as text, rank by rank.
void share_remarks(Predictions& result, const std::vector<int64_t>& mine, dist::Communicator& comm) {
  if (comm.size() == 1) return;
  auto rows = nlohmann::json::array();
  for (const int64_t row : mine) {
    const auto n = static_cast<size_t>(row);
    rows.push_back({n, result.frame_indices[n], result.tokens[n], result.errors[n]});
    if (result.feature_ND.defined()) rows.back().push_back(result.input_ids[n]);
  }
  for (const auto& text : dist::gather_texts(comm, rows.dump())) {
    for (const auto& row : nlohmann::json::parse(text)) {
      const auto n = row[0].get<size_t>();
      result.frame_indices[n] = row[1].get<std::vector<int64_t>>();
      result.tokens[n] = row[2].get<int64_t>();
      result.errors[n] = row[3].get<std::string>();
      if (result.feature_ND.defined()) result.input_ids[n] = row[4].get<std::vector<int64_t>>();
    }
  }
}

}  // namespace

// By name: a data file without labels may name other dimensions than the model's.
at::Tensor labels_of(const data::Manifest& manifest, const std::vector<std::string>& dimensions) {
  const auto count = static_cast<int64_t>(manifest.samples.size()), width = static_cast<int64_t>(dimensions.size());
  at::Tensor label_NK = at::full({count, width}, std::numeric_limits<float>::quiet_NaN(), at::kFloat);
  for (int64_t k = 0; k < width; ++k) {
    const auto found = std::find(manifest.dimensions.begin(), manifest.dimensions.end(), dimensions[static_cast<size_t>(k)]);
    const auto column = static_cast<size_t>(found - manifest.dimensions.begin());
    for (int64_t n = 0; n < count; ++n) {
      const auto& label_K = manifest.samples[static_cast<size_t>(n)].label_K;
      if (column < label_K.size()) label_NK.mutable_data_ptr<float>()[n * width + k] = label_K[column];
    }
  }
  return label_NK;
}

Predictions predict(const model::RewardModel& model, data::Dataset& dataset, int64_t batch, dist::Communicator& comm,
                    const core::Context& context, bool keep_features, const OnRow& on_row) {
  const int64_t count = dataset.size();
  const auto dimensions = static_cast<int64_t>(model.config.dimensions.size());
  Predictions result{.ids = {},
                     .dimensions = model.config.dimensions,
                     .reward_NK = at::zeros({count, dimensions}, at::kFloat),
                     .label_NK = labels_of(dataset.manifest(), model.config.dimensions)};
  if (keep_features) {
    result.feature_ND = at::zeros({count, model.config.text.hidden_size}, at::kFloat);
    result.input_ids.resize(static_cast<size_t>(count));
  }
  for (const auto& sample : dataset.manifest().samples) {
    result.ids.push_back(sample.id);
    result.prompts.push_back(sample.prompt);
  }
  result.frame_indices.resize(static_cast<size_t>(count));
  result.tokens.resize(static_cast<size_t>(count));
  result.errors.resize(static_cast<size_t>(count));

  const auto mine = dist::interleaved_rows(count, comm);
  model::forward_pass(model, dataset, mine, batch, context, "score", [&](std::span<const model::SampleOutput> outputs) {
    comm.check_peers();
    for (const auto& output : outputs) {
      take(result, output, dataset);
      if (on_row) on_row(result, output.index);
    }
  });
  dist::share_interleaved_rows(result.reward_NK, comm);
  if (keep_features) dist::share_interleaved_rows(result.feature_ND, comm);
  share_remarks(result, mine, comm);
  return result;
}

}  // namespace mvrm::eval
