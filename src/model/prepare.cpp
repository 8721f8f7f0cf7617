// SPDX-License-Identifier: Apache-2.0
// B rows, L positions, R images, S patches, T keys, Q latents, E head_dim.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <limits>
#include <mvrm/core/error.h>

#include "layers.h"
#include "patch_positions.h"

namespace mvrm::model {
namespace {

// finfo.min rather than -infinity: a row without any visible key stays finite, as in the reference.
double lowest(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble: return std::numeric_limits<double>::lowest();
    case at::kBFloat16: return static_cast<float>(std::numeric_limits<at::BFloat16>::lowest());
    case at::kHalf: return static_cast<float>(std::numeric_limits<at::Half>::lowest());
    default: return std::numeric_limits<float>::lowest();
  }
}

at::Tensor additive(const at::Tensor& visible, at::ScalarType dtype) {
  return at::zeros(visible.sizes(), visible.options().dtype(dtype)).masked_fill_(visible.logical_not(), lowest(dtype));
}

void prepare_images(PreparedBatch& prepared, const ModelConfig& config, const data::Batch& batch, at::ScalarType dtype) {
  prepared.pixels_RCHW = batch.pixels_RCHW.to(dtype);
  const int64_t images = batch.pixels_RCHW.size(0), patch = config.vision.patch_size;
  const int64_t rows = batch.pixels_RCHW.size(2) / patch, columns = batch.pixels_RCHW.size(3) / patch;
  const int64_t side = config.vision.image_size / patch;
  if (rows < 1 || columns < 1 || rows > side || columns > side)
    throw core::DataError("images of " + std::to_string(batch.pixels_RCHW.size(2)) + " x " + std::to_string(batch.pixels_RCHW.size(3)) +
                          " pixels don't fit the model: it takes 1 to " + std::to_string(side) + " patches of " + std::to_string(patch) +
                          " pixels a side; check the size in preprocessor_config.json");
  const at::Tensor mask_Rhw = batch.pixel_mask_RHW.defined()
                                  ? patch_mask(batch.pixel_mask_RHW, patch, config.compatibility)
                                  : at::ones({images, rows, columns}, batch.pixels_RCHW.options().dtype(at::kBool));
  prepared.vision_position_ids_RS = position_ids(mask_Rhw, config, dtype).flatten(1);
  prepared.patch_mask_RS = mask_Rhw.flatten(1);
  if (batch.pixel_mask_RHW.defined() && !mask_Rhw.all().item<bool>()) {
    const at::Tensor visible_R11S = prepared.patch_mask_RS.unsqueeze(1).unsqueeze(1);
    const at::Tensor latents_R11Q = at::ones({images, 1, 1, config.perceiver.resampler_n_latents}, visible_R11S.options());
    prepared.vision_bias_R11S = additive(visible_R11S, dtype);
    prepared.perceiver_bias_R11T = additive(at::cat({visible_R11S, latents_R11Q}, 3), dtype);
  }
}

void find_image_rows(PreparedBatch& prepared, const ModelConfig& config, const data::Batch& batch) {
  const at::Tensor rows_I = (prepared.input_ids_BL == config.image_token_id).flatten().nonzero().flatten();
  const int64_t images = batch.pixels_RCHW.defined() ? batch.pixels_RCHW.size(0) : 0;
  const int64_t latents = config.perceiver.resampler_n_latents;
  if (rows_I.size(0) != images * latents) {
    std::string samples;
    for (const std::string& id : batch.ids) samples += (samples.empty() ? "" : ", ") + id;
    throw core::DataError("sample " + samples + ": " + std::to_string(rows_I.size(0)) + " image tokens for " + std::to_string(images) +
                              " images of " + std::to_string(latents) + " tokens each; was the prompt cut inside an image?",
                          batch.ids.size() == 1 ? batch.ids[0] : "");
  }
  if (images > 0) prepared.image_rows_I = rows_I;
}

// The position before the first pad token; without any, or with padding on the left, the last one.
at::Tensor pool_index(const ModelConfig& config, const data::Batch& batch) {
  const int64_t length = batch.input_ids_BL.size(1);
  if (config.pad_token_id) {
    const at::Tensor first_pad_B = (batch.input_ids_BL == *config.pad_token_id).to(at::kInt).argmax(1);
    return (first_pad_B + (length - 1)).remainder(length);
  }
  return (batch.attention_mask_BL != 0).to(at::kLong).mul(at::arange(length, batch.input_ids_BL.options())).argmax(1);
}

at::Tensor text_bias(const ModelConfig& config, const data::Batch& batch, const at::Tensor& pool_index_B, at::ScalarType dtype) {
  const int64_t length = batch.input_ids_BL.size(1);
  const at::Tensor real_BL = batch.attention_mask_BL != 0;
  const std::optional<int64_t> window = visible_keys(config);
  const bool windowed = window && *window < length;
  if (!windowed) {
    if (real_BL.all().item<bool>()) return {};
    const at::Tensor grows = real_BL.narrow(1, 1, length - 1).logical_and(real_BL.narrow(1, 0, length - 1).logical_not()).any();
    const bool pools_padding = !real_BL.gather(1, pool_index_B.unsqueeze(1)).all().item<bool>();
    if (!grows.item<bool>() && !pools_padding) return {};
  }
  const at::Tensor all_LL = at::ones({length, length}, real_BL.options());
  at::Tensor visible_LL = all_LL.tril();
  if (windowed) visible_LL = visible_LL.logical_and(all_LL.triu(1 - *window));
  return additive(visible_LL.logical_and(real_BL.unsqueeze(1)).unsqueeze(1), dtype);
}

// One behind the other where rows differ in length and no mask is needed: not a token is computed for nothing.
void lay_out(PreparedBatch& prepared, const data::Batch& batch) {
  const int64_t rows = batch.input_ids_BL.size(0), length = batch.input_ids_BL.size(1);
  prepared.input_ids_BL = batch.input_ids_BL;
  prepared.begin_B = at::arange(rows, batch.input_ids_BL.options()) * length;
  const at::Tensor real_BL = batch.attention_mask_BL != 0;
  if (prepared.text_bias_B1LL.defined() || real_BL.all().item<bool>()) return;
  const at::Tensor length_B = real_BL.sum(1);
  for (int64_t b = 0; b < rows; ++b) prepared.packed_length_B.push_back(length_B[b].item<int64_t>());
  prepared.begin_B = length_B.cumsum(0) - length_B;
  prepared.input_ids_BL = batch.input_ids_BL.masked_select(real_BL).unsqueeze(0);
}

void prepare_rotary(PreparedBatch& prepared, const TextConfig& config, int64_t length, at::ScalarType dtype) {
  const auto options = prepared.input_ids_BL.options().dtype(dtype == at::kDouble ? at::kDouble : at::kFloat);
  const at::Tensor exponent = at::arange(0, config.head_dim, 2, options) / static_cast<double>(config.head_dim);
  const at::Tensor angle = at::arange(length, options).unsqueeze(1) * at::pow(config.rope_theta, exponent).reciprocal();
  const at::Tensor cos = angle.cos(), sin = angle.sin();
  const auto table_of = [&](const at::Tensor& first, const at::Tensor& second) {
    const at::Tensor table_LD = at::cat({first, second}, 1).to(dtype);
    std::vector<at::Tensor> packed;
    for (const int64_t count : prepared.packed_length_B) packed.push_back(table_LD.narrow(0, 0, count));
    return packed.empty() ? table_LD : at::cat(packed);
  };
  prepared.cos_LD = table_of(cos, cos);
  prepared.sin_LD = table_of(-sin, sin);
}

}  // namespace

PreparedBatch prepare(const ModelConfig& config, const data::Batch& batch, at::ScalarType dtype) {
  const at::NoGradGuard no_grad;
  PreparedBatch prepared;
  const auto [lowest_id, highest_id] = at::aminmax(batch.input_ids_BL);
  const int64_t low = lowest_id.item<int64_t>(), high = highest_id.item<int64_t>();
  if (low < 0 || high >= config.text.vocab_size)
    throw core::DataError("token ids lie in " + std::to_string(low) + ".." + std::to_string(high) + ", the model's vocabulary has " +
                          std::to_string(config.text.vocab_size) + " entries; is the tokenizer the model's?");
  prepared.pool_index_B = pool_index(config, batch);
  prepared.text_bias_B1LL = text_bias(config, batch, prepared.pool_index_B, dtype);
  lay_out(prepared, batch);
  find_image_rows(prepared, config, batch);
  if (batch.pixels_RCHW.defined() && batch.pixels_RCHW.size(0) > 0) prepare_images(prepared, config, batch, dtype);
  prepare_rotary(prepared, config.text, batch.input_ids_BL.size(1), dtype);
  return prepared;
}

core::Tensor to_device(const core::Tensor& tensor, at::Device device) {
  const bool pinned = device.is_cuda() && tensor.is_cpu();
  return (pinned ? tensor.pin_memory() : tensor).to(device, /*non_blocking=*/pinned);
}

PreparedBatch to_device(PreparedBatch batch, at::Device device) {
  for (at::Tensor* tensor : {&batch.input_ids_BL, &batch.begin_B, &batch.pixels_RCHW, &batch.patch_mask_RS, &batch.vision_position_ids_RS, &batch.vision_bias_R11S,
                             &batch.perceiver_bias_R11T, &batch.text_bias_B1LL, &batch.cos_LD, &batch.sin_LD, &batch.pool_index_B, &batch.image_rows_I}) {
    if (tensor->defined()) *tensor = to_device(*tensor, device);
  }
  return batch;
}

}  // namespace mvrm::model
