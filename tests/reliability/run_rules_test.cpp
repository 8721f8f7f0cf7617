// SPDX-License-Identifier: Apache-2.0
// What holds for whole runs (spec/reliability.md): another number of ranks behind a kill (R3), the same bytes from the same seed whatever
// the threads (R15), memory and descriptors that don't grow with the number of clips (R14), one job a run directory (R16).
#include <gtest/gtest.h>
#include <mvrm/eval/predictions.h>
#include <mvrm/model/reward_model.h>
#include <mvrm/train/checkpoint.h>
#include <thread>

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

TEST_F(RunRules, ASecondJobInTheSameDirectoryIsRefusedAndNamesTheFirst) {
  auto config = test::tiny_run_config(files_, dir_);
  config.training.train.max_steps = 100000;
  config.training.train.epochs = 100000;
  Ranks first(1);
  const auto statuses = first.run(dir_, test::train_body(config), 30, [&](const std::vector<pid_t>& ranks) {
    for (int i = 0; i < 6000 && metrics(dir_).empty(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    Ranks second(2);
    EXPECT_EQ(second.run(dir_, test::train_body(config)), (std::vector<int>{2, 2}));
    char host[256] = "";
    ::gethostname(host, sizeof host - 1);
    EXPECT_NE(second.said(0).find("another job (pid " + std::to_string(ranks.front()) + " on " + host), std::string::npos) << second.said(0);
    EXPECT_EQ(second.said(1), second.said(0));
    ::kill(ranks.front(), SIGKILL);
  });
  EXPECT_EQ(statuses.front(), 128 + SIGKILL);
  // The lock of a job that was killed holds nobody up, though its file is there.
  EXPECT_TRUE(fs::exists(dir_ / ".lock"));
  config.training.train.max_steps = 7;
  fs::remove_all(dir_ / "checkpoints");
  Ranks third(1);
  EXPECT_EQ(third.run(dir_, test::train_body(config)).front(), 0) << third.said(0);
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

}  // namespace
}  // namespace mvrm
