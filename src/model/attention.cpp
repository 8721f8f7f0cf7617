// SPDX-License-Identifier: Apache-2.0
// Shape letters: see AttentionInput.
#include "attention.h"

#include <ATen/ATen.h>
#include <cmath>
#include <mvrm/model/attention_backend.h>
#include <limits>

#include "norms.h"

namespace mvrm::model {
namespace {

double scale_of(const AttentionInput& input) { return 1.0 / std::sqrt(static_cast<double>(input.query_BHLE.size(3))); }

at::Tensor joined_heads(const at::Tensor& out_BHLE) { return out_BHLE.transpose(1, 2).flatten(2); }

at::Tensor repeat_heads(const at::Tensor& x_BGTE, int64_t heads) {
  return x_BGTE.size(1) == heads ? x_BGTE : x_BGTE.repeat_interleave(heads / x_BGTE.size(1), 1);
}

}  // namespace

core::Tensor eager_attention(const AttentionInput& input) {
  const int64_t heads = input.query_BHLE.size(1);
  const at::Tensor key_BHTE = repeat_heads(input.key_BGTE, heads), value_BHTE = repeat_heads(input.value_BGTE, heads);
  at::Tensor score_BHLT = at::matmul(input.query_BHLE, key_BHTE.transpose(2, 3)) * scale_of(input);
  if (input.bias.defined()) score_BHLT = score_BHLT + input.bias;
  if (input.causal) {
    const at::Tensor future_LT = at::ones({score_BHLT.size(2), score_BHLT.size(3)}, score_BHLT.options().dtype(at::kBool)).triu(1);
    score_BHLT = score_BHLT.masked_fill(future_LT, -std::numeric_limits<double>::infinity());
  }
  const at::Tensor share_BHLT = at::softmax(score_BHLT, -1, statistics_dtype(score_BHLT)).to(score_BHLT.scalar_type());
  return joined_heads(at::matmul(share_BHLT, value_BHTE));
}

core::Tensor fused_attention(const AttentionInput& input) {
  const std::optional<at::Tensor> bias = input.bias.defined() ? std::make_optional(input.bias) : std::nullopt;
  const bool grouped = input.query_BHLE.size(1) != input.key_BGTE.size(1);
  return joined_heads(at::scaled_dot_product_attention(input.query_BHLE, input.key_BGTE, input.value_BGTE, bias, 0.0, input.causal,
                                                       scale_of(input), grouped));
}

core::Tensor attention(const AttentionInput& input) {
  return input.query_BHLE.scalar_type() == at::kDouble ? eager_attention(input) : fused_attention(input);
}

core::Tensor packed_attention(const AttentionInput& input, std::span<const int64_t> lengths) {
  const at::IntArrayRef sizes(lengths.data(), lengths.size());
  const auto query = input.query_BHLE.split_with_sizes(sizes, 2), key = input.key_BGTE.split_with_sizes(sizes, 2),
             value = input.value_BGTE.split_with_sizes(sizes, 2);
  std::vector<at::Tensor> mixed;
  for (size_t b = 0; b < lengths.size(); ++b)
    mixed.push_back(attention({.query_BHLE = query[b], .key_BGTE = key[b], .value_BGTE = value[b], .bias = {}, .causal = input.causal}));
  return at::cat(mixed, 1);
}

namespace {

const char* backend_of(const RewardModel& model, int64_t heads, int64_t groups, int64_t width, bool causal) {
  if (model.dtype == at::kDouble) return "written out";
  constexpr int64_t kLength = 64;
  const at::Tensor query = at::empty({1, kLength, heads, width}, at::TensorOptions(device_of(model)).dtype(model.dtype)).transpose(1, 2);
  const at::Tensor key = at::empty({1, kLength, groups, width}, query.options()).transpose(1, 2);
  switch (at::_fused_sdp_choice(query, key, key, std::nullopt, 0.0, causal, std::nullopt, heads != groups)) {
    case 1: return "flash";
    case 2: return "memory-efficient";
    case 3: return "cuDNN";
    default: return "math";
  }
}

}  // namespace

std::string attention_backend(const RewardModel& model) {
  const auto& vision = model.config.vision;
  const auto& text = model.config.text;
  return std::string("vision ") + backend_of(model, vision.num_attention_heads, vision.num_attention_heads, vision.hidden_size / vision.num_attention_heads, false) +
         ", text " + backend_of(model, text.num_attention_heads, text.num_key_value_heads, text.head_dim, true);
}

}  // namespace mvrm::model
