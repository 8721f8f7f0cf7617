// SPDX-License-Identifier: Apache-2.0
// One sample to one example. The ids are those of the golden tokenizer file.
#include <ATen/ATen.h>
#include <mvrm/data/dataset.h>

#include "tests/data/data_files.h"
#include "tests/data/tiny_samples.h"
#include "tests/support/program.h"

namespace {

using mvrm::data::make_example;
using mvrm::data::Processor;
using mvrm::data::Sample;
using mvrm::test::message_of;
using mvrm::test::Scratch;

Sample sample_of(const Scratch& scratch, int64_t frames, const std::string& prompt) {
  Sample sample{.id = "x", .prompt = prompt};
  for (int64_t f = 0; f < frames; ++f) {
    sample.images.push_back(scratch.path / (std::to_string(f) + ".png"));
    mvrm::test::write_grey(sample.images.back(), 8, 12, static_cast<uint8_t>(100 + f));
  }
  return sample;
}

// <s>, the text, then per frame: fake, two image tokens, fake, and the space that stands behind every image.
TEST(Processor, PutsTwoFramesBehindThePrompt) {
  const Scratch scratch("processor1");
  const auto example = make_example(sample_of(scratch, 2, "Hello world"), mvrm::test::tiny_processor());
  EXPECT_EQ(example.input_ids, (std::vector<int64_t>{1,   679, 75,  398, 329, 679, 122, 693, 357, 680, 700,
                                                     701, 701, 700, 679, 679, 700, 701, 701, 700, 679, 679}));
  EXPECT_EQ(example.pixels.levels_NCHW.sizes(), at::IntArrayRef({2, 3, 8, 12}));
  EXPECT_EQ(example.pixels.levels_NCHW[1][0][7][11].item<int64_t>(), 101);
  EXPECT_EQ(example.frame_indices, (std::vector<int64_t>{0, 1}));
}

TEST(Processor, ACompletePromptKeepsItsOwnPlacesForFrames) {
  const Scratch scratch("processor2");
  Processor processor = mvrm::test::tiny_processor();
  processor.prompt_template = {"Hello world {text_prompt}"};
  Sample sample = sample_of(scratch, 1, "<image>Hello world");
  sample.prompt_is_complete = true;
  const std::vector<int64_t> complete{1, 700, 701, 701, 700, 679, 75, 398, 329, 679, 122, 693, 357, 680};
  EXPECT_EQ(make_example(sample, processor).input_ids, complete);
}

TEST(Processor, TheSampleRuleChoosesTheFrames) {
  const Scratch scratch("processor3");
  Processor processor = mvrm::test::tiny_processor();
  processor.sample_rule = {.sampling = mvrm::video::Sampling::linspace, .max_frames = 3};
  const auto example = make_example(sample_of(scratch, 5, "p"), processor);
  EXPECT_EQ(example.frame_indices, (std::vector<int64_t>{0, 2, 4}));
  EXPECT_EQ(example.pixels.levels_NCHW[1][0][0][0].item<int64_t>(), 102);
}

// Image tokens that were cut off would shift every later image feature (spec/videoscore.md 2.9).
TEST(Processor, AnImageCutByTheTokenLimitIsAnErrorThatNamesTheSample) {
  const Scratch scratch("processor4");
  Processor processor = mvrm::test::tiny_processor();
  processor.max_tokens = 18;  // inside the second image
  EXPECT_EQ(
      message_of([&] { make_example(sample_of(scratch, 2, "Hello world"), processor); }),
      "sample 'x': the prompt holds 3 image tokens for 4 image features: it is cut at 18 tokens; use fewer frames or a shorter prompt");
  processor.max_tokens = 22;  // exactly as long
  EXPECT_EQ(make_example(sample_of(scratch, 2, "Hello world"), processor).input_ids.size(), 22U);
}

TEST(Processor, MorePlacesThanFramesAreAnErrorThatNamesTheSample) {
  const Scratch scratch("processor5");
  const std::string message = message_of([&] { make_example(sample_of(scratch, 1, "<image><image>"), mvrm::test::tiny_processor()); });
  EXPECT_EQ(message.rfind("sample 'x': ", 0), 0U) << message;
}

TEST(Processor, AMissingFrameIsAnErrorThatNamesSampleAndPath) {
  const Scratch scratch("processor6");
  Sample sample = sample_of(scratch, 2, "p");
  std::filesystem::remove(sample.images[1]);
  EXPECT_EQ(message_of([&] { make_example(sample, mvrm::test::tiny_processor()); }),
            "sample 'x': " + sample.images[1].string() + ": can't be opened: No such file or directory");
}

}  // namespace
