// SPDX-License-Identifier: Apache-2.0
// What headers tell about a sample is what decoding it gives: sizes and frames exactly, tokens about.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/data/tiny_samples.h"
#include "tests/support/program.h"
#include "tests/video/clip_writer.h"

namespace mvrm::data {
namespace {

class SizeOf : public testing::Test {
 protected:
  test::Scratch scratch_{"size_of"};
  Processor processor_ = test::tiny_processor();

  Sample clip(int frames, int width = 64, int height = 48) {
    Sample sample{.id = "clip", .prompt = "Hello world", .line = 1};
    sample.video = test::write_clip(scratch_.path / (std::to_string(frames) + ".mp4"), {{.width = width, .height = height, .frames = frames}});
    return sample;
  }
  Sample pictures(int count) {
    Sample sample{.id = "pictures", .prompt = "Hello world", .line = 1};
    for (int i = 0; i < count; ++i) {
      sample.images.push_back(scratch_.path / (std::to_string(i) + ".png"));
      test::write_grey(sample.images.back(), 30, 20, 100);
    }
    return sample;
  }
  void expect_what_is_decoded(const Sample& sample) {
    const SampleSize size = size_of(sample, processor_);
    const auto levels_NCHW = make_example(sample, processor_).pixels.levels_NCHW;
    EXPECT_EQ((std::vector<int64_t>{size.frames, 3, size.height, size.width}), levels_NCHW.sizes().vec()) << sample.id;
  }
};

TEST_F(SizeOf, IsWhatTheModelWillSee) {
  for (const auto& rule : {video::SampleRule{.sampling = video::Sampling::all}, video::SampleRule{.sampling = video::Sampling::linspace, .max_frames = 5},
                           video::SampleRule{.sampling = video::Sampling::stride, .max_frames = 7}}) {
    processor_.sample_rule = rule;
    expect_what_is_decoded(clip(9));
    expect_what_is_decoded(clip(3));
    expect_what_is_decoded(pictures(4));
  }
  processor_.sample_rule = {};
  processor_.image_config.do_resize = false;
  expect_what_is_decoded(clip(9));
  expect_what_is_decoded(pictures(4));
  processor_.image_config = {.shortest_edge = 8, .longest_edge = 12, .do_image_splitting = true};
  processor_.text_config.do_image_splitting = true;
  expect_what_is_decoded(pictures(2));   // five crops of each
}

TEST_F(SizeOf, CountsTheTextAboutTheModelsWay) {
  Sample sample = pictures(1);
  EXPECT_EQ(size_of(sample, processor_).text_tokens, 2);   // 11 characters of 4
  processor_.prompt_template = {"12345678 {text_prompt}"};
  EXPECT_EQ(size_of(sample, processor_).text_tokens, 5);
  sample.prompt_is_complete = true;                        // no template around it
  EXPECT_EQ(size_of(sample, processor_).text_tokens, 2);
}

TEST_F(SizeOf, IsZeroWhereNothingCanBeRead) {
  const auto expect_nothing = [&](const Sample& sample) {
    const SampleSize size = size_of(sample, processor_);
    EXPECT_EQ(size.frames + size.height + size.width + size.text_tokens, 0) << sample.id;
  };
  Sample sample{.id = "neither clip nor pictures", .prompt = "Hello world", .line = 1};
  expect_nothing(sample);
  sample.id = "missing clip";
  sample.video = scratch_.path / "missing.mp4";
  expect_nothing(sample);
  sample.id = "no clip";
  sample.video = scratch_.path / "text.mp4";
  std::ofstream(sample.video) << "not a clip";
  expect_nothing(sample);
  sample = pictures(2);
  sample.id = "missing picture";
  std::filesystem::remove(sample.images.front());
  expect_nothing(sample);
}

// Only the first picture is looked at: reading all of them would be reading the data set.
TEST_F(SizeOf, LooksAtOnePictureOnly) {
  Sample sample = pictures(3);
  std::filesystem::remove(sample.images.back());
  EXPECT_EQ(size_of(sample, processor_).frames, 3);
}

}  // namespace
}  // namespace mvrm::data
