// SPDX-License-Identifier: Apache-2.0
#include "src/model/attention.h"

#include <ATen/ATen.h>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>

#include "src/model/norms.h"

namespace mvrm::model {
namespace {

AttentionInput random_input(int64_t queries, int64_t keys, at::ScalarType dtype = at::kFloat) {
  at::manual_seed(3);
  return {.query_BHLE = at::randn({2, 4, queries, 6}, dtype), .key_BGTE = at::randn({2, 2, keys, 6}, dtype),
          .value_BGTE = at::randn({2, 2, keys, 6}, dtype)};
}

double difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

// One query, two keys, worked by hand: scores ln 3 and 0 weigh the values 3 to 1.
TEST(Attention, WeighsValuesBySoftmax) {
  const double root = std::sqrt(2.0);
  AttentionInput input{.query_BHLE = at::tensor({std::log(3.0) * root, 0.0}, at::kDouble).view({1, 1, 1, 2}),
                       .key_BGTE = at::tensor({1.0, 0.0, 0.0, 1.0}, at::kDouble).view({1, 1, 2, 2}),
                       .value_BGTE = at::tensor({8.0, 0.0, 0.0, 4.0}, at::kDouble).view({1, 1, 2, 2})};
  EXPECT_LT(difference(attention(input), at::tensor({6.0, 1.0}, at::kDouble).view({1, 1, 2})), 1e-14);
}

TEST(Attention, FusedEqualsEager) {
  AttentionInput plain = random_input(5, 9);
  EXPECT_LT(difference(fused_attention(plain), eager_attention(plain)), 1e-5);
  AttentionInput causal = random_input(9, 9);
  causal.causal = true;
  EXPECT_LT(difference(fused_attention(causal), eager_attention(causal)), 1e-5);
  AttentionInput biased = random_input(5, 9);
  biased.bias = at::zeros({2, 1, 1, 9});
  biased.bias.narrow(3, 6, 3).fill_(std::numeric_limits<float>::lowest());
  EXPECT_LT(difference(fused_attention(biased), eager_attention(biased)), 1e-5);
}

TEST(Attention, MaskedKeysHaveNoInfluence) {
  AttentionInput input = random_input(5, 9, at::kDouble);
  input.bias = at::zeros({1, 1, 1, 9}, at::kDouble);
  input.bias.narrow(3, 6, 3).fill_(std::numeric_limits<double>::lowest());
  AttentionInput shorter = input;
  shorter.bias = at::Tensor();
  shorter.key_BGTE = input.key_BGTE.narrow(2, 0, 6);
  shorter.value_BGTE = input.value_BGTE.narrow(2, 0, 6);
  EXPECT_LT(difference(attention(input), attention(shorter)), 1e-14);
}

TEST(Attention, CausalQueryIgnoresLaterKeys) {
  AttentionInput input = random_input(4, 4, at::kDouble);
  input.causal = true;
  const at::Tensor before = attention(input);
  input.key_BGTE.select(2, 3).fill_(7);
  EXPECT_EQ(difference(attention(input).narrow(1, 0, 3), before.narrow(1, 0, 3)), 0.0);
}

// x = [1, 3]: 3 / sqrt(5) = 1.3416 is 1.34375 in bfloat16; times 1.5078125 that is 2.0262, so 2.03125.
// Multiplied before the cast it would be 2.015625.
TEST(RmsNorm, CastsThenMultiplies) {
  const at::Tensor x = at::tensor({1.0, 3.0}).to(at::kBFloat16), weight = at::full({2}, 1.5078125, at::kBFloat16);
  EXPECT_EQ(rms_norm(x, weight, 1e-12)[1].item<float>(), 2.03125f);
  const at::Tensor wide = rms_norm(x.to(at::kDouble), weight.to(at::kDouble), 0.0);
  EXPECT_NEAR(wide[1].item<double>(), 1.5078125 * 3 / std::sqrt(5.0), 1e-15);
}

}  // namespace
}  // namespace mvrm::model
