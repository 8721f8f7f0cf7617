// SPDX-License-Identifier: Apache-2.0
// What holds for whole runs (spec/reliability.md): another number of ranks behind a kill (R3), the same bytes from the same seed whatever
// the threads (R15), memory and descriptors that don't grow with the number of clips (R14).
#include <gtest/gtest.h>
#include <mvrm/eval/predictions.h>
#include <mvrm/model/reward_model.h>
#include <mvrm/synth/synth.h>
#include <mvrm/train/checkpoint.h>
#include <mvrm/video/video_reader.h>

#include "tests/reliability/jobs.h"
#include "tests/support/memory.h"

namespace mvrm {
namespace {

namespace fs = std::filesystem;
using test::FaultKind;
using test::Ranks;

class RunRules : public testing::Test {
 protected:
  test::Scratch scratch_{"run_rules"};
  test::TinyJobFiles files_{scratch_.path};
  const bool warm_ = test::warm_up(files_, scratch_.path / "warm_up");
  const fs::path dir_ = scratch_.path / "job";

  static std::vector<nlohmann::json> metrics(const fs::path& dir) {
    std::vector<nlohmann::json> rows;
    std::istringstream lines(test::slurp(dir / "metrics.jsonl"));
    for (std::string line; std::getline(lines, line);) rows.push_back(nlohmann::json::parse(line));
    return rows;
  }
};

TEST_F(RunRules, FourRanksAreKilledAndOneTwoOrThreeGoOn) {
  const auto body = test::train_body(test::tiny_run_config(files_, dir_));
  Ranks whole(4);
  ASSERT_EQ(whole.run(dir_, body), std::vector<int>(4, 0)) << whole.said(0);
  const auto expected = metrics(dir_);
  const std::string weights = test::slurp(dir_ / "model" / "model.safetensors");
  ASSERT_EQ(expected.size(), 7U);
  for (const int64_t ranks : {1, 2, 3}) {
    fs::remove_all(dir_);
    Ranks job(4);
    job.plan(0).at = whole.plan(0).calls * 6 / 10;   // in the middle: behind the checkpoint of step 2, before the end
    job.plan(0).whole_group = true;
    EXPECT_EQ(job.run(dir_, body).front(), 128 + SIGKILL);
    const auto newest = train::newest_checkpoint(dir_, core::Log());
    ASSERT_TRUE(newest);
    Ranks again(ranks);
    ASSERT_EQ(again.run(dir_, body), std::vector<int>(static_cast<size_t>(ranks), 0)) << again.said(0);
    const auto found = metrics(dir_);
    ASSERT_EQ(found.size(), expected.size()) << ranks << " ranks: a step is there twice or not at all";
    for (size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(found[i]["step"], expected[i]["step"]);
      const double wanted = expected[i]["loss"];
      EXPECT_NEAR(found[i]["loss"].get<double>(), wanted, (ranks == 3 ? 1e-6 : 0) * wanted) << ranks << " ranks, step " << i + 1;
    }
    EXPECT_TRUE(ranks == 3 || test::slurp(dir_ / "model" / "model.safetensors") == weights) << ranks << " ranks";
  }
}

TEST_F(RunRules, TheSameSeedGivesTheSameBytesWhateverTheThreads) {
  std::map<std::string, std::string> expected;
  struct Way { int64_t threads; bool profile_first; };
  for (const Way& way : {Way{1, false}, Way{1, true}, Way{4, false}}) {
    fs::remove_all(dir_);
    Ranks job(1);
    const auto config = test::tiny_run_config(files_, dir_);
    ASSERT_EQ(job.run(dir_, [&](dist::Communicator& comm) {
      core::Context context;
      context.threads = way.threads;
      // A profile uses every core for its tables; what is trained behind it in the same process must not notice.
      if (way.profile_first) run::profile_run(test::profile_options(files_, files_.model, scratch_.path / "before"), comm, context);
      run::train_run(config, "auto", comm, context);
      run::profile_run(test::profile_options(files_, dir_ / "model", dir_ / "profile"), comm, context);
      return 0;
    }).front(), 0) << job.said(0);
    const auto found = test::contents(dir_);
    if (expected.empty()) expected = found;
    EXPECT_EQ(test::difference(expected, found), "") << way.threads << " threads" << (way.profile_first ? " behind a profile" : "");
  }
}

TEST_F(RunRules, MemoryAndDescriptorsDontGrowWithTheClips) {
  constexpr int64_t kClips = 100, kRounds = 50;
  const fs::path many = scratch_.path / "many";
  fs::create_directories(many);
  test::TinyJobFiles::write_data(many / "data.jsonl", many, kClips);
  Ranks job(1);
  EXPECT_EQ(job.run(dir_, [&](dist::Communicator& comm) {
    const auto model = model::load_reward_model(files_.model, at::kFloat);
    const auto dataset = run::open_dataset({}, many / "data.jsonl", files_.model, {});
    const auto descriptors = [] { return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()); };
    int64_t bytes = 0;
    ptrdiff_t open = 0;
    for (int64_t round = 0; round < kRounds; ++round) {
      if (round == kRounds / 5) bytes = test::process_bytes("VmRSS"), open = descriptors();
      MVRM_CHECK(eval::predict(model, *dataset, 8, comm, {}).reward_NK.size(0) == kClips, "rows");
    }
    const double slope = static_cast<double>(test::process_bytes("VmRSS") - bytes) / static_cast<double>(kClips * kRounds * 4 / 5);
    MVRM_CHECK(slope < 1024, slope, " bytes a clip stay");
    MVRM_CHECK(descriptors() == open, open, " descriptors were open, now ", descriptors());
    std::printf("bounded memory | %lld clips | %.1f bytes a clip\n", static_cast<long long>(kClips * kRounds), slope);
    std::fflush(stdout);
    return 0;
  }).front(), 0) << job.said(0);
}

// 5,000 times through libav, from the file to RGB.
TEST_F(RunRules, MemoryAndDescriptorsDontGrowWithDecodedVideos) {
  constexpr int64_t kClips = 10, kRounds = 500;
  for (int64_t n = 0; n < kClips; ++n) {
    video::Frames frames;
    for (int f = 0; f < 8; ++f) frames.frames.push_back({.height = 32, .width = 48, .rgb_HWC = std::vector<uint8_t>(size_t{32} * 48 * 3, static_cast<uint8_t>(20 * f + n))});
    synth::write_mp4(scratch_.path / (std::to_string(n) + ".mp4"), frames, 8);
  }
  const auto descriptors = [] { return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()); };
  int64_t bytes = 0;
  ptrdiff_t open = 0;
  for (int64_t round = 0; round < kRounds; ++round) {
    if (round == kRounds / 5) bytes = test::process_bytes("VmRSS"), open = descriptors();
    for (int64_t n = 0; n < kClips; ++n) ASSERT_EQ(video::read_video(scratch_.path / (std::to_string(n) + ".mp4"), {}).total, 8);
  }
  const double slope = static_cast<double>(test::process_bytes("VmRSS") - bytes) / static_cast<double>(kClips * kRounds * 4 / 5);
  EXPECT_LT(slope, 1024);
  EXPECT_EQ(descriptors(), open);
  std::printf("bounded memory | %lld videos | %.1f bytes a video\n", static_cast<long long>(kClips * kRounds), slope);
}

}  // namespace
}  // namespace mvrm
