// SPDX-License-Identifier: Apache-2.0
#include "src/experiment/steps.h"

#include <algorithm>
#include <csignal>
#include <gtest/gtest.h>
#include <mutex>
#include <mvrm/core/error.h>

namespace {

using namespace mvrm;
using experiment::Steps;

struct Diary {
  std::mutex mutex;
  std::vector<std::string> lines;
  Steps::Work write(const std::string& line) {
    return [this, line](const core::Context&) {
      const std::lock_guard lock(mutex);
      lines.push_back(line);
    };
  }
  size_t place(const std::string& line) { return static_cast<size_t>(std::find(lines.begin(), lines.end(), line) - lines.begin()); }
};

TEST(Steps, StartInTheirOrderOnceWhatTheyWaitForIsDone) {
  for (const int64_t jobs : {1, 3}) {
    Diary diary;
    Steps steps;
    const size_t data = steps.add("data", {}, diary.write("data"));
    const size_t baseline = steps.add("baseline", {data}, diary.write("baseline"));
    const size_t profile = steps.add("profile", {baseline}, diary.write("profile"));
    steps.add("other", {}, diary.write("other"));
    steps.add("refined", {profile, data}, diary.write("refined"));
    steps.run(jobs, {});
    EXPECT_EQ(diary.lines.size(), 5U);
    EXPECT_LT(diary.place("data"), diary.place("baseline"));
    EXPECT_LT(diary.place("baseline"), diary.place("profile"));
    EXPECT_LT(diary.place("profile"), diary.place("refined"));
    if (jobs == 1) {
      EXPECT_EQ(diary.lines, (std::vector<std::string>{"data", "baseline", "profile", "other", "refined"}));
    }
  }
}

TEST(Steps, ThreadsAreShared) {
  Steps steps;
  int64_t threads = 0;
  steps.add("one", {}, [&](const core::Context& context) { threads = context.threads; });
  core::Context context;
  context.threads = 8;
  steps.run(3, context);
  EXPECT_EQ(threads, 2);
}

TEST(Steps, TheFirstErrorEndsItAndIsThrown) {
  for (const int64_t jobs : {1, 2}) {
    Diary diary;
    Steps steps;
    const size_t bad = steps.add("bad", {}, [](const core::Context&) { throw core::DataError("clip.mp4: broken"); });
    steps.add("never", {bad}, diary.write("never"));
    EXPECT_THROW(steps.run(jobs, {}), core::DataError);
    EXPECT_TRUE(diary.lines.empty());
  }
}

TEST(Steps, ASignalEndsItBetweenTwoSteps) {
  Diary diary;
  Steps steps;
  steps.add("stopped here", {}, [](const core::Context&) { std::raise(SIGTERM); });
  steps.add("never", {}, diary.write("never"));
  try {
    steps.run(1, {});
    FAIL() << "goes on after SIGTERM";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.status(), core::ExitStatus::stopped);
  }
  EXPECT_TRUE(diary.lines.empty());
}

TEST(Steps, WaitingForWhatIsNotThereIsRefused) {
  Steps steps;
  EXPECT_THROW(steps.add("a", {0}, {}), core::Error);
}

}  // namespace
