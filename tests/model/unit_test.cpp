// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <nlohmann/json.hpp>
#include <torch/csrc/autograd/autograd.h>

#include "tests/support/golden.h"
#include "tests/support/tiny_model.h"

namespace mvrm::model {
namespace {

TEST(Units, RunInOrderFromPixelsToReward) {
  const RewardModel model = test::tiny_model();
  const data::Batch batch = test::tiny_batch(model.config, 3);
  const PreparedBatch prepared = prepare(model.config, batch, model.dtype);
  Activation activation;
  for (size_t u = 0; u < model.units.size(); ++u)
    activation = run_unit(model.config, model.units[u], model.parameters[u], activation, prepared);
  EXPECT_EQ(activation.hidden.sizes(), at::IntArrayRef({3, 5}));
  EXPECT_EQ(activation.context.sizes(), at::IntArrayRef({3, 16}));
  EXPECT_TRUE(at::equal(activation.hidden, forward(model, batch).reward_BK));
}

// Training takes gradients unit by unit from detached leaves; that must equal one graph over everything.
TEST(Units, LocalGradientsChainToTheWholeGradient) {
  RewardModel model = test::tiny_model(at::kDouble);
  const data::Batch batch = test::tiny_batch(model.config, 3);
  const PreparedBatch prepared = prepare(model.config, batch, model.dtype);
  torch::autograd::variable_list leaves;
  for (auto& parameters : model.parameters)
    for (auto& parameter : parameters) leaves.push_back(parameter.requires_grad_());
  std::vector<Activation> inputs(1);
  Activation whole;
  for (size_t u = 0; u < model.units.size(); ++u) {
    whole = run_unit(model.config, model.units[u], model.parameters[u], whole, prepared);
    const at::NoGradGuard no_grad;
    inputs.push_back(run_unit(model.config, model.units[u], model.parameters[u], inputs.back(), prepared));
  }
  const auto expected = torch::autograd::grad({whole.hidden.square().sum()}, leaves, {}, /*retain_graph=*/true);

  at::Tensor hidden_gradient = 2 * inputs.back().hidden, context_gradient;
  size_t end = expected.size();
  for (size_t u = model.units.size(); u-- > 0;) {
    const auto leaf = [](const at::Tensor& x) { return x.defined() ? x.detach().requires_grad_() : x; };
    const Activation input{leaf(inputs[u].hidden), leaf(inputs[u].context)};
    const Activation output = run_unit(model.config, model.units[u], model.parameters[u], input, prepared);
    torch::autograd::variable_list outputs, gradients, wanted = model.parameters[u];
    if (hidden_gradient.defined()) outputs.push_back(output.hidden), gradients.push_back(hidden_gradient);
    if (context_gradient.defined()) outputs.push_back(output.context), gradients.push_back(context_gradient);
    for (const at::Tensor& x : {input.hidden, input.context})
      if (x.defined()) wanted.push_back(x);
    auto found = torch::autograd::grad(outputs, wanted, gradients);
    context_gradient = input.context.defined() ? found.back() : at::Tensor();
    if (input.context.defined()) found.pop_back();
    hidden_gradient = input.hidden.defined() ? found.back() : at::Tensor();
    const size_t count = model.parameters[u].size();
    for (size_t i = 0; i < count; ++i)
      EXPECT_TRUE(at::allclose(found[i], expected[end - count + i], 1e-10, 1e-12)) << model.units[u].parameters[i].name;
    end -= count;
  }
  EXPECT_EQ(end, 0u);
}

TEST(Prepare, BuildsABiasOnlyWhereCausalAttentionDoesNotSuffice) {
  ModelConfig config = test::tiny_config();
  data::Batch batch = test::tiny_batch(config, 3);
  PreparedBatch prepared = prepare(config, batch, at::kFloat);
  EXPECT_FALSE(prepared.text_bias_B1LL.defined());
  EXPECT_FALSE(prepared.vision_bias_R11S.defined());
  EXPECT_FALSE(prepared.perceiver_bias_R11T.defined());
  config.text.sliding_window = 3;   // the reference shows W + 1 = 4 keys
  prepared = prepare(config, batch, at::kFloat);
  ASSERT_TRUE(prepared.text_bias_B1LL.defined());
  EXPECT_EQ((prepared.text_bias_B1LL[0][0][5] == 0).sum().item<int64_t>(), 4);
  config.compatibility = Compatibility::hf523;
  EXPECT_EQ((prepare(config, batch, at::kFloat).text_bias_B1LL[0][0][5] == 0).sum().item<int64_t>(), 3);
  config.text.sliding_window.reset();
  batch.input_ids_BL = batch.input_ids_BL.flip(1);
  batch.attention_mask_BL = batch.attention_mask_BL.flip(1);
  prepared = prepare(config, batch, at::kFloat);
  EXPECT_TRUE(prepared.text_bias_B1LL.defined());
  EXPECT_TRUE(prepared.packed_length_B.empty());
}

TEST(Prepare, PoolsThePositionBeforeTheFirstPad) {
  ModelConfig config = test::tiny_config();
  data::Batch batch;
  batch.input_ids_BL = at::tensor({5, 6, 7, 8, /**/ 5, 6, 0, 0, /**/ 0, 0, 5, 6}, at::kLong).view({3, 4});
  batch.attention_mask_BL = (batch.input_ids_BL != 0).to(at::kLong);
  const at::Tensor expected = at::tensor({3, 1, 3}, at::kLong);
  EXPECT_TRUE(at::equal(prepare(config, batch, at::kFloat).pool_index_B, expected));
  config.pad_token_id.reset();
  EXPECT_TRUE(at::equal(prepare(config, batch, at::kFloat).pool_index_B, expected));
}

TEST(Prepare, PacksSamplesOfDifferentLengths) {
  const ModelConfig config = test::tiny_config();
  data::Batch batch;
  batch.ids = {"three", "one", "two"};
  batch.input_ids_BL = at::tensor({5, 6, 7, /**/ 8, 0, 0, /**/ 9, 5, 0}, at::kLong).view({3, 3});
  batch.attention_mask_BL = (batch.input_ids_BL != 0).to(at::kLong);
  const PreparedBatch packed = prepare(config, batch, at::kDouble);
  EXPECT_EQ(packed.packed_length_B, (std::vector<int64_t>{3, 1, 2}));
  EXPECT_TRUE(at::equal(packed.input_ids_BL, at::tensor({5, 6, 7, 8, 9, 5}, at::kLong).view({1, 6})));
  EXPECT_TRUE(at::equal(packed.begin_B, at::tensor({0, 3, 4}, at::kLong)));
  EXPECT_TRUE(at::equal(packed.pool_index_B, at::tensor({2, 0, 1}, at::kLong)));
  EXPECT_FALSE(packed.text_bias_B1LL.defined());
  ModelConfig unpadded = config;
  unpadded.pad_token_id.reset();   // the mask alone says what is padding
  EXPECT_EQ(prepare(unpadded, batch, at::kDouble).packed_length_B, packed.packed_length_B);
  EXPECT_TRUE(at::equal(prepare(unpadded, batch, at::kDouble).pool_index_B, packed.pool_index_B));
  const at::Tensor position = at::tensor({0, 1, 2, 0, 0, 1}, at::kLong);   // each begins at 0 again
  data::Batch alone;
  alone.ids = {"three"};
  alone.input_ids_BL = batch.input_ids_BL.narrow(0, 0, 1);
  alone.attention_mask_BL = batch.attention_mask_BL.narrow(0, 0, 1);
  const PreparedBatch row = prepare(config, alone, at::kDouble);
  EXPECT_TRUE(row.packed_length_B.empty());
  EXPECT_TRUE(at::equal(packed.cos_LD, row.cos_LD.index_select(0, position)));
  EXPECT_TRUE(at::equal(packed.sin_LD, row.sin_LD.index_select(0, position)));
}

// The reference pools before the first pad id, wherever it stands.
TEST(Prepare, APadIdInsideOfAPackedPromptIsPooledAsAlone) {
  const RewardModel model = test::tiny_model(at::kDouble);
  data::Batch batch;
  batch.ids = {"short", "odd"};
  batch.input_ids_BL = at::tensor({5, 6, 0, 0, /**/ 7, 8, 0, 9}, at::kLong).view({2, 4});
  batch.attention_mask_BL = at::tensor({1, 1, 0, 0, /**/ 1, 1, 1, 1}, at::kLong).view({2, 4});
  const PreparedBatch packed = prepare(model.config, batch, at::kDouble);
  EXPECT_EQ(packed.packed_length_B, (std::vector<int64_t>{2, 4}));
  EXPECT_TRUE(at::equal(packed.pool_index_B, at::tensor({1, 1}, at::kLong)));
  data::Batch odd;
  odd.ids = {"odd"};
  odd.input_ids_BL = batch.input_ids_BL.narrow(0, 1, 1);
  odd.attention_mask_BL = batch.attention_mask_BL.narrow(0, 1, 1);
  EXPECT_TRUE(at::allclose(forward(model, odd).reward_BK[0], forward(model, batch).reward_BK[1], 1e-12, 1e-12));
}

TEST(Prepare, NeighboursOfAnotherLengthChangeNoRewardInFloat32) {
  const RewardModel model = test::tiny_model();
  const RewardOutput together = forward(model, test::tiny_batch(model.config, 4));
  for (int64_t b = 0; b < 4; ++b)
    EXPECT_TRUE(at::allclose(forward(model, test::tiny_batch(model.config, 1, 1, b)).reward_BK[0], together.reward_BK[b], 1e-5, 1e-6)) << b;
}

TEST(Prepare, NeighboursOfAnotherLengthChangeNoRewardAndNoPrefix) {
  const RewardModel model = test::tiny_model(at::kDouble);
  const data::Batch batch = test::tiny_batch(model.config, 4);
  ASSERT_FALSE(prepare(model.config, batch, at::kDouble).packed_length_B.empty());
  const ForwardOptions four{.prefix_position_BF = at::tensor({3, -1, 4, 5}, at::kLong).view({4, 1}), .keep_skip = true};
  const RewardOutput together = forward(model, batch, four);
  for (int64_t b = 0; b < 4; ++b) {
    const RewardOutput alone = forward(model, test::tiny_batch(model.config, 1, 1, b),
                                       {.prefix_position_BF = four.prefix_position_BF.narrow(0, b, 1), .keep_skip = true});
    EXPECT_TRUE(at::allclose(alone.reward_BK[0], together.reward_BK[b], 1e-12, 1e-12)) << b;
    EXPECT_TRUE(at::allclose(alone.skip_BD[0], together.skip_BD[b], 1e-12, 1e-12)) << b;
    EXPECT_TRUE(at::allclose(alone.prefix_reward_BFK[0], together.prefix_reward_BFK[b], 1e-12, 1e-12, /*equal_nan=*/true)) << b;
  }
}

TEST(Prepare, ABatchWithoutImagesIsTextOnly) {
  const RewardModel model = test::tiny_model();
  data::Batch batch;
  batch.ids = {"text"};
  batch.input_ids_BL = at::tensor({1, 4, 5, 6}, at::kLong).view({1, 4});
  batch.attention_mask_BL = at::ones({1, 4}, at::kLong);
  EXPECT_TRUE(forward(model, batch).reward_BK.isfinite().all().item<bool>());
}

TEST(Prepare, RefusesImageTokensWithoutImages) {
  const ModelConfig config = test::tiny_config();
  data::Batch batch = test::tiny_batch(config, 1);
  batch.input_ids_BL[0][1] = 5;
  try {
    prepare(config, batch, at::kFloat);
    FAIL() << "one image token was cut off";
  } catch (const core::DataError& error) {
    EXPECT_EQ(error.sample_id(), "s0");
    EXPECT_NE(std::string(error.what()).find("1 image tokens for 1 images of 2 tokens"), std::string::npos) << error.what();
  }
  batch = test::tiny_batch(config, 1);
  batch.input_ids_BL[0][0] = config.text.vocab_size;
  EXPECT_THROW(prepare(config, batch, at::kFloat), core::DataError);
}

}  // namespace
}  // namespace mvrm::model
