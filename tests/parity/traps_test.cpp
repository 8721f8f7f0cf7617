// SPDX-License-Identifier: Apache-2.0
// Places where a reasonable implementation gives other scores than the reference (spec/idefics2.md section 10). Each test fails when its rule
// is undone; that was tried once for each, by the change that the comment names.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/data/batch.h>
#include <mvrm/video/frame_sampler.h>

#include "src/model/patch_positions.h"
#include "tests/model/golden_case.h"
#include "tests/support/program.h"
#include "tests/support/tiny_dataset.h"

namespace mvrm {
namespace {

data::Sample sample_of(const test::Scratch& scratch, const std::string& prompt, int frames) {
  data::Sample sample{.id = "clip", .prompt = prompt};
  for (int f = 0; f < frames; ++f) {
    sample.images.push_back(scratch.path / (std::to_string(f) + ".png"));
    test::write_picture(sample.images.back(), 8, 12, static_cast<uint32_t>(f));
  }
  return sample;
}

// Tried: text::add_image_placeholders appending "<image>" without the space.
TEST(Traps, ThePooledTokenIsTheSpaceBehindTheLastImage) {
  const test::Scratch scratch("trap_space");
  const data::Processor processor = test::tiny_processor();
  const data::Example example = data::make_example(sample_of(scratch, "a dog", 3), processor);
  const std::vector<int64_t> space = processor.tokenizer.encode(" ");   // <s> and the ids of one space
  ASSERT_GT(space.size(), 1U);
  EXPECT_TRUE(std::equal(space.begin() + 1, space.end(), example.input_ids.end() - static_cast<std::ptrdiff_t>(space.size() - 1)));
  const model::RewardModel model = test::tiny_model_for_text(at::kDouble);
  const data::Batch batch = data::collate({std::make_shared<data::Example>(example)}, processor.image_config, 0);
  EXPECT_EQ(model::prepare(model.config, batch, at::kDouble).pool_index_B.item<int64_t>(), static_cast<int64_t>(example.input_ids.size()) - 1);
  data::Example trimmed = example;
  trimmed.input_ids.pop_back();
  const data::Batch other = data::collate({std::make_shared<data::Example>(trimmed)}, processor.image_config, 0);
  EXPECT_GT((forward(model, batch).reward_BK - forward(model, other).reward_BK).abs().max().item<double>(), 1e-3) << "the space matters";
}

// Tried: model::patch_mask with all() for every mode.
TEST(Traps, APatchIsRealWhenAnyOfItsPixelsIs) {
  at::Tensor mask_RHW = at::zeros({1, 28, 28}, at::kBool);
  mask_RHW[0][0][14] = true;
  EXPECT_TRUE(model::patch_mask(mask_RHW, 14, model::Compatibility::reference)[0][0][1].item<bool>());
  MVRM_NEEDS_GOLDEN("model_f64.safetensors");
  const model::Named f32 = model::read_named("model_f32.safetensors");
  const auto pixels = f32.at("c2_batch.in.pixel_attention_mask") != 0;
  const int64_t patch = model::golden_model(at::kFloat, "c2_batch").config.vision.patch_size;
  const at::Tensor images = pixels.flatten(0, 1);
  EXPECT_FALSE(at::equal(model::patch_mask(images, patch, model::Compatibility::reference), model::patch_mask(images, patch, model::Compatibility::hf523)))
      << "c2_batch has a picture that ends inside a patch, so the parity tests see this rule";
}

// Tried: load_model_config with 1e-6 for every mode.
TEST(Traps, ThePerceiverTakesTheTextModelsEpsilon) {
  const test::Scratch scratch("trap_eps");
  std::ofstream(scratch.path / "config.json") << R"({"model_type": "idefics2", "text_config": {"rms_norm_eps": 1e-05, "vocab_size": 32003}})";
  EXPECT_EQ(model::load_model_config(scratch.path).perceiver.rms_norm_eps, 1e-5);
}

// Tried: model::rms_norm multiplying by the weight in float32 before the cast. 2.015625 would come out.
TEST(Traps, RmsNormMultipliesAfterTheCast) {
  const at::Tensor x = at::tensor({1.0, 3.0}).to(at::kBFloat16), weight = at::full({2}, 1.5078125, at::kBFloat16);
  EXPECT_EQ(model::rms_norm(x, weight, 1e-12)[1].item<float>(), 2.03125F);
}

// Tried: model::perceiver_layer without input_context_norm behind layer 0.
TEST(Traps, EveryPerceiverLayerNormalisesTheSameContextAnew) {
  model::ModelConfig config = test::tiny_config();
  config.perceiver.resampler_depth = 2;
  model::RewardModel model = model::random_reward_model(config, at::kDouble, 3);
  const model::PreparedBatch prepared = model::prepare(config, test::tiny_batch(config, 1), at::kDouble);
  model::Activation into_second, again;
  for (size_t u = 0; u < model.units.size(); ++u) {
    if (model.units[u].kind == model::UnitKind::perceiver_layer && model.units[u].layer == 1) break;
    into_second = run_unit(config, model.units[u], model.parameters[u], into_second, prepared);
    if (model.units[u].kind == model::UnitKind::projection) again = into_second;
  }
  EXPECT_TRUE(at::equal(into_second.context, again.context)) << "layer 1 gets the projection itself";
  const auto second = std::find_if(model.units.begin(), model.units.end(), [](const model::Unit& unit) {
    return unit.kind == model::UnitKind::perceiver_layer && unit.layer == 1;
  });
  const auto& parameters = model.parameters[static_cast<size_t>(second - model.units.begin())];
  const at::Tensor plain = run_unit(config, *second, parameters, into_second, prepared).hidden;
  const at::Tensor scaled = run_unit(config, *second, parameters, {into_second.hidden, into_second.context * 8}, prepared).hidden;
  EXPECT_LT((plain - scaled).abs().max().item<double>(), 1e-3 * plain.abs().max().item<double>()) << "its norm takes the scale out";
  auto other = parameters;
  for (size_t i = 0; i < other.size(); ++i)
    if (second->parameters[i].name.ends_with("input_context_norm.weight")) other[i] = at::linspace(0.2, 3, other[i].numel(), at::kDouble);
  EXPECT_GT((plain - run_unit(config, *second, other, into_second, prepared).hidden).abs().max().item<double>(), 1e-6) << "by its own weight";
}

// Tried: data::make_example counting before it cuts.
TEST(Traps, ImageTokensAreCountedAfterTruncation) {
  const test::Scratch scratch("trap_cut");
  data::Processor processor = test::tiny_processor();
  const data::Sample sample = sample_of(scratch, "a dog", 3);
  const auto whole = static_cast<int64_t>(data::make_example(sample, processor).input_ids.size());
  processor.max_tokens = whole - 1;   // only the space is lost
  EXPECT_EQ(static_cast<int64_t>(data::make_example(sample, processor).input_ids.size()), whole - 1);
  processor.max_tokens = whole - 5;   // into the last image
  try {
    data::make_example(sample, processor);
    FAIL() << "an image without all of its tokens was accepted";
  } catch (const core::DataError& error) {
    EXPECT_NE(std::string(error.what()).find("image tokens"), std::string::npos) << error.what();
  }
}

// `<unk>` is the pad token: written in a prompt it ends the text as far as pooling goes, in the reference too.
// Tried: model::prepare pooling the last position that attention_mask marks.
TEST(Traps, UnkInAPromptIsAPadTokenToThePooling) {
  const test::Scratch scratch("trap_unk");
  const data::Processor processor = test::tiny_processor();
  const data::Example example = data::make_example(sample_of(scratch, "a <unk> dog", 1), processor);
  const auto unknown = std::find(example.input_ids.begin(), example.input_ids.end(), 0);
  ASSERT_NE(unknown, example.input_ids.end()) << "<unk> in text is the id 0";
  const model::RewardModel model = test::tiny_model_for_text();
  ASSERT_EQ(model.config.pad_token_id, 0);
  const data::Batch batch = data::collate({std::make_shared<data::Example>(example)}, processor.image_config, 0);
  EXPECT_EQ(model::prepare(model.config, batch, at::kFloat).pool_index_B.item<int64_t>(), unknown - example.input_ids.begin() - 1);
}

// Tried: video::sample_indices giving every frame once when there are fewer than asked for.
TEST(Traps, ShortClipsRepeatFrames) {
  EXPECT_EQ(video::sample_indices(video::Sampling::linspace, 8, 16), (std::vector<int64_t>{0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7}));
  EXPECT_EQ(video::sample_indices(video::Sampling::linspace, 1, 4), (std::vector<int64_t>{0, 0, 0, 0}));
  EXPECT_EQ(video::sample_indices(video::Sampling::stride, 8, 16).size(), 8U) << "the example script's rule doesn't";
}

}  // namespace
}  // namespace mvrm
