// SPDX-License-Identifier: Apache-2.0
// N samples, K evaluation dimensions.
#include "samples.h"

#include <ATen/ATen.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/train/cost.h>
#include <unordered_map>

namespace mvrm::train {

namespace {

void check_weights(const refine::RefinementPlan& plan, const std::string& source) {
  core::check_shape(plan.weight_NK, {static_cast<int64_t>(plan.ids.size()), static_cast<int64_t>(plan.dimensions.size())}, "plan weights");
  const at::Tensor bad_N = plan.weight_NK.isfinite().logical_and(plan.weight_NK >= 0).logical_not().any(1);
  if (!bad_N.any().item<bool>()) return;
  const auto& id = plan.ids[static_cast<size_t>(bad_N.to(at::kByte).argmax().item<int64_t>())];
  throw core::DataError(source + ": the plan's weight of sample '" + id + "' is negative or not finite; make the plan again", id);
}

// Labels that the plan corrects take the place of the data's.
void correct_labels(LoadedBatch& loaded, const at::Tensor& label_NK) {
  const at::Tensor new_BK = label_NK.index_select(0, at::tensor(at::ArrayRef<int64_t>(loaded.rows), at::kLong));
  loaded.batch.label_BK = at::where(new_BK.isnan(), loaded.batch.label_BK, new_BK.to(loaded.batch.label_BK.scalar_type()));
}

}  // namespace

KeptRows kept_rows(const refine::RefinementPlan& plan, const std::vector<std::string>& ids, const std::vector<std::string>& dimensions,
                   const std::string& source) {
  if (plan.dimensions != dimensions) throw core::DataError(source + ": the plan has other dimensions than the data set; make the plan from this data");
  check_weights(plan, source);
  std::unordered_map<std::string, int64_t> row_of_id;
  for (size_t n = 0; n < plan.ids.size(); ++n) row_of_id.emplace(plan.ids[n], static_cast<int64_t>(n));
  KeptRows kept;
  std::vector<int64_t> rows;
  for (size_t n = 0; n < ids.size(); ++n) {
    const auto found = row_of_id.find(ids[n]);
    if (found == row_of_id.end())
      throw core::DataError(source + ": sample '" + ids[n] + "' has no row in the plan; make the plan from this data", ids[n]);
    if (plan.keep_N[static_cast<size_t>(found->second)] == 0) continue;
    kept.index.push_back(static_cast<int64_t>(n));
    rows.push_back(found->second);
  }
  const at::Tensor row_N = at::tensor(at::ArrayRef<int64_t>(rows), at::kLong);
  kept.weight_NK = plan.weight_NK.to(at::kDouble).index_select(0, row_N);
  if (plan.label_NK.defined()) kept.label_NK = plan.label_NK.to(at::kFloat).index_select(0, row_N);
  return kept;
}

Samples dataset_samples(data::Dataset& dataset, const refine::RefinementPlan& plan, const model::ModelConfig& config) {
  const data::Manifest& manifest = dataset.manifest();
  std::vector<std::string> ids;
  for (const auto& sample : manifest.samples) ids.push_back(sample.id);
  if (config.dimensions != manifest.dimensions)
    throw core::DataError(manifest.path.string() + ": was read with other dimensions than the model's");
  KeptRows kept = kept_rows(plan, ids, manifest.dimensions, manifest.path.string());
  Samples samples{.ids = {}, .weight_NK = kept.weight_NK, .hash = manifest.hash, .load = {}, .prefetch = {}};
  for (const int64_t n : kept.index) samples.ids.push_back(ids[static_cast<size_t>(n)]);
  if (kept.label_NK.defined()) {   // other labels are other data: a run with them does not continue one without
    const at::Tensor label_NK = kept.label_NK.contiguous();
    samples.hash = core::sha256_hex(samples.hash + std::string(static_cast<const char*>(label_NK.data_ptr()), label_NK.nbytes()));
  }
  const int64_t pad_id = config.pad_token_id.value_or(0);
  samples.load = [&dataset, index = kept.index, label_NK = kept.label_NK, pad_id](const std::vector<int64_t>& wanted) {
    LoadedBatch loaded;
    std::vector<std::shared_ptr<const data::Example>> examples;
    for (const int64_t row : wanted) {
      auto example = dataset.get(index[static_cast<size_t>(row)]);
      if (!example) continue;
      examples.push_back(std::move(example));
      loaded.rows.push_back(row);
    }
    if (!examples.empty()) loaded.batch = data::collate(examples, dataset.processor().image_config, pad_id);
    if (!examples.empty() && label_NK.defined()) correct_labels(loaded, label_NK);
    return loaded;
  };
  samples.cost = [&dataset, index = kept.index, config](int64_t row) {
    const data::Processor& processor = dataset.processor();
    const data::SampleSize size = data::size_of(dataset.manifest().samples[static_cast<size_t>(index[static_cast<size_t>(row)])], processor);
    const ClipShape clip{.frames = size.frames, .height = size.height, .width = size.width,
                         .tokens = size.text_tokens + size.frames * processor.text_config.image_seq_len};
    return flops_of(config, clip).forward();
  };
  samples.prefetch = [&dataset, index = std::move(kept.index)](const std::vector<int64_t>& wanted) {
    std::vector<int64_t> indices;
    for (const int64_t row : wanted) indices.push_back(index[static_cast<size_t>(row)]);
    dataset.prefetch(indices);
  };
  return samples;
}

}  // namespace mvrm::train
