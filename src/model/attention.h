// SPDX-License-Identifier: Apache-2.0
// Scaled dot-product attention with grouped key/value heads, scale head_dim^-0.5.
// The eager path rounds as the reference does (scores in model dtype, softmax in float32, float64 for double); the fused path is ATen's.
#pragma once
#include <mvrm/core/tensor.h>
#include <span>

namespace mvrm::model {

// B batch, H query heads, G key/value heads (H a multiple of G), L queries, T keys, E head_dim.
struct AttentionInput {
  core::Tensor query_BHLE, key_BGTE, value_BGTE;
  core::Tensor bias;      // additive, broadcast to [B,H,L,T], model dtype; undefined = none
  bool causal = false;    // key t visible to query l iff t <= l; needs L = T and no bias
};

// [B, L, H*E]. Eager for float64, fused otherwise.
core::Tensor attention(const AttentionInput& input);
// Samples one behind the other in one row: B = 1, L = T = the sum of their lengths, no bias. Each one attends to itself only; no position
// is padding, and no mask keeps a GPU from its fastest kernel.
core::Tensor packed_attention(const AttentionInput& input, std::span<const int64_t> lengths);
core::Tensor eager_attention(const AttentionInput& input);
core::Tensor fused_attention(const AttentionInput& input);

}  // namespace mvrm::model
