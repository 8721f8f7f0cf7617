// SPDX-License-Identifier: Apache-2.0
// Expected indices are those of numpy in VideoScore's scripts, written down in spec/videoscore.md 2.11, 2.12 and 10.2.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/video/frame_sampler.h>

#include <map>
#include <numeric>
#include <set>

namespace {

using mvrm::video::sample_indices;
using mvrm::video::Sampling;
using Indices = std::vector<int64_t>;

TEST(FrameSampler, EvaluationScriptTakesSixteenAndTheLastFrame) {
  EXPECT_EQ(sample_indices(Sampling::linspace, 24, 16), (Indices{0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16, 18, 19, 21, 23}));
  EXPECT_EQ(sample_indices(Sampling::linspace, 8, 16), (Indices{0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7}));
  EXPECT_EQ(sample_indices(Sampling::linspace, 1, 16), Indices(16, 0));
  EXPECT_EQ(sample_indices(Sampling::linspace, 16, 16).back(), 15);
}

TEST(FrameSampler, DemoScriptLeavesOutTheLastFrameAndRepeatsNothing) {
  EXPECT_EQ(sample_indices(Sampling::stride, 24, 16), (Indices{0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16, 18, 19, 21, 22}));
  EXPECT_EQ(sample_indices(Sampling::stride, 3, 16), (Indices{0, 1, 2}));
  EXPECT_EQ(sample_indices(Sampling::stride, 16, 16).size(), 16U);
  EXPECT_EQ(sample_indices(Sampling::stride, 24, 48).size(), 24U);  // v1.1 on the published example: all 24
}

// "Integer floor is exact for n <= 3000."
TEST(FrameSampler, LinspaceOfSixteenIsIntegerFloor) {
  for (int64_t n = 1; n <= 3000; ++n) {
    const Indices indices = sample_indices(Sampling::linspace, n, 16);
    ASSERT_EQ(indices.size(), 16U);
    for (int64_t i = 0; i < 16; ++i) ASSERT_EQ(indices[static_cast<size_t>(i)], i * (n - 1) / 15) << "n " << n << ", i " << i;
  }
}

TEST(FrameSampler, StrideOfSixteenIsIntegerFloor) {
  for (int64_t n = 17; n <= 3000; ++n) {
    const Indices indices = sample_indices(Sampling::stride, n, 16);
    ASSERT_EQ(indices.size(), 16U);
    for (int64_t i = 0; i < 16; ++i) ASSERT_EQ(indices[static_cast<size_t>(i)], i * n / 16) << "n " << n << ", i " << i;
  }
}

// With 48 frames numpy's float64 gives one less at exactly these (n, i), spec/videoscore.md 2.12.
TEST(FrameSampler, StrideOfFortyEightHasNumpysExceptions) {
  const std::map<int64_t, std::set<int64_t>> one_less{{208, {27}},          {392, {30}},  {416, {27}},  {784, {15, 27, 30}},  {808, {30}},
                                                      {832, {27}},          {880, {27}},  {1544, {30}}, {1568, {15, 27, 30}}, {1592, {30}},
                                                      {1616, {15, 27, 30}}, {1664, {27}}, {1712, {27}}, {1760, {27}},         {1808, {27}}};
  for (int64_t n = 49; n <= 3000; ++n) {
    const Indices indices = sample_indices(Sampling::stride, n, 48);
    ASSERT_EQ(indices.size(), 48U);
    for (int64_t i = 0; i < 48; ++i) {
      const auto found = one_less.find(n);
      const bool exception = found != one_less.end() && found->second.contains(i);
      ASSERT_EQ(indices[static_cast<size_t>(i)], i * n / 48 - (exception ? 1 : 0)) << "n " << n << ", i " << i;
    }
  }
}

TEST(FrameSampler, AllTakesEveryFrameWhateverTheLimit) {
  Indices every(100);
  std::iota(every.begin(), every.end(), int64_t{0});
  EXPECT_EQ(sample_indices(Sampling::all, 100, 16), every);
}

TEST(FrameSampler, OneFrameIsTheFirst) {
  EXPECT_EQ(sample_indices(Sampling::linspace, 10, 1), Indices{0});
  EXPECT_EQ(sample_indices(Sampling::stride, 10, 1), Indices{0});
}

TEST(FrameSampler, ImpossibleCountsAreErrors) {
  EXPECT_THROW(sample_indices(Sampling::all, 0, 16), mvrm::core::Error);
  EXPECT_THROW(sample_indices(Sampling::stride, 5, 0), mvrm::core::Error);
}

TEST(FrameSampler, NamesGoBothWaysAndAnUnknownOneListsThem) {
  for (const auto* name : {"all", "linspace", "stride"}) EXPECT_EQ(mvrm::video::name_of(mvrm::video::sampling_from_name(name)), name);
  try {
    mvrm::video::sampling_from_name("uniform");
    FAIL() << "no error";
  } catch (const mvrm::core::ConfigError& error) {
    EXPECT_STREQ(error.what(), "unknown sampling 'uniform'; known: all, linspace, stride");
  }
}

}  // namespace
