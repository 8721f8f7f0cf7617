// SPDX-License-Identifier: Apache-2.0
// What a data set promises: examples by index, bad samples counted up to an allowance, reading ahead in order and within a budget.
#include <ATen/ATen.h>
#include <mvrm/data/dataset.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <thread>

#include "src/data/example_cache.h"
#include "tests/data/data_files.h"
#include "tests/data/tiny_samples.h"
#include "tests/support/program.h"

namespace {

namespace fs = std::filesystem;
using mvrm::data::Dataset;
using mvrm::data::DatasetConfig;
using mvrm::test::message_of;
using mvrm::test::Scratch;

Dataset grey_dataset(const Scratch& scratch, int64_t count, const DatasetConfig& config, int64_t threads = 1) {
  return Dataset(mvrm::test::grey_manifest(scratch.path, count), mvrm::test::tiny_processor(), config, {.threads = threads});
}

TEST(Dataset, GivesExamplesByIndex) {
  const Scratch scratch("dataset1");
  Dataset dataset = grey_dataset(scratch, 3, {});
  EXPECT_EQ(dataset.size(), 3);
  const auto example = dataset.get(2);
  EXPECT_EQ(example->id, "s2");
  EXPECT_EQ(example->label_K, (std::vector<float>{3, 2}));
  EXPECT_EQ(example->pixels.levels_NCHW.sizes(), at::IntArrayRef({1, 3, 8, 8}));
  EXPECT_EQ(example->pixels.levels_NCHW[0][0][0][0].item<int64_t>(), 20);
  EXPECT_EQ(dataset.get(2), example);  // kept, not decoded again
  EXPECT_THROW(dataset.get(3), mvrm::core::Error);
  EXPECT_THROW(dataset.get(-1), mvrm::core::Error);
}

TEST(Dataset, ABadSampleIsSkippedAndCountedUpToTheAllowance) {
  const Scratch scratch("dataset2");
  Dataset dataset = grey_dataset(scratch, 5, {.max_bad_samples = 2});
  for (const char* name : {"s1.png", "s3.png", "s4.png"}) fs::remove(scratch.path / name);
  EXPECT_NE(dataset.get(0), nullptr);
  EXPECT_EQ(dataset.get(1), nullptr);
  EXPECT_EQ(dataset.get(3), nullptr);
  EXPECT_EQ(dataset.get(3), nullptr);  // counts once
  EXPECT_EQ(dataset.bad_ids(), (std::vector<std::string>{"s1", "s3"}));
  EXPECT_NE(dataset.get(2), nullptr);
  EXPECT_EQ(message_of([&] { dataset.get(4); }),
            "sample 's4': " + (scratch.path / "s4.png").string() +
                ": can't be opened: No such file or directory (bad samples: 3, allowed: 2; see data.max_bad_samples, --max-bad-samples)");
}

TEST(Dataset, WithoutAnAllowanceTheFirstBadSampleEndsTheRun) {
  const Scratch scratch("dataset3");
  Dataset dataset = grey_dataset(scratch, 2, {});
  std::ofstream(scratch.path / "s1.png", std::ios::trunc) << "text";
  const std::string message = message_of([&] { dataset.get(1); });
  EXPECT_NE(message.find("sample 's1'"), std::string::npos) << message;
  EXPECT_NE(message.find("s1.png: is neither JPEG nor PNG (bad samples: 1, allowed: 0; see data.max_bad_samples, --max-bad-samples)"), std::string::npos) << message;
}

// Which samples count as bad must not depend on how far ahead the workers are.
TEST(Dataset, ABadSampleThatIsOnlyReadAheadDoesNotCount) {
  const Scratch scratch("dataset4");
  Dataset dataset = grey_dataset(scratch, 4, {});
  fs::remove(scratch.path / "s1.png");
  dataset.prefetch({1, 2, 3});
  EXPECT_NE(dataset.get(3), nullptr);
  EXPECT_TRUE(dataset.bad_ids().empty());
  EXPECT_THROW(dataset.get(1), mvrm::core::DataError);
}

// Hears which pictures are opened, in which order.
class OpenedFiles {
 public:
  explicit OpenedFiles(const fs::path& folder) : descriptor_(::inotify_init1(IN_CLOEXEC)) {
    ::inotify_add_watch(descriptor_, folder.c_str(), IN_OPEN);
  }
  ~OpenedFiles() { ::close(descriptor_); }
  OpenedFiles(const OpenedFiles&) = delete;
  OpenedFiles& operator=(const OpenedFiles&) = delete;
  // The next name, or "" when nothing happens for so long.
  std::string next(int milliseconds) {
    if (names_.empty()) {
      pollfd waiting{.fd = descriptor_, .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, milliseconds) <= 0) return "";
      alignas(inotify_event) std::array<char, 4096> buffer{};
      const ssize_t got = ::read(descriptor_, buffer.data(), buffer.size());
      for (ssize_t at = 0; at < got;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
        if (event->len > 0) names_.emplace_back(event->name);
        at += static_cast<ssize_t>(sizeof *event + event->len);
      }
    }
    if (names_.empty()) return "";
    std::string name = names_.front();
    names_.erase(names_.begin());
    return name;
  }

 private:
  int descriptor_;
  std::vector<std::string> names_;
};

TEST(Dataset, ReadsAheadInTheGivenOrder) {
  const Scratch scratch("dataset5");
  Dataset dataset = grey_dataset(scratch, 6, {});
  OpenedFiles opened(scratch.path);
  dataset.prefetch({4, 1, 5, 0});
  for (const char* name : {"s4.png", "s1.png", "s5.png", "s0.png"}) EXPECT_EQ(opened.next(20'000), name);
  for (const int64_t index : {4, 1, 5, 0}) EXPECT_EQ(dataset.get(index)->id, "s" + std::to_string(index));
  EXPECT_EQ(opened.next(0), "");  // none of them was read a second time
}

TEST(Dataset, ReadingAheadStopsAtTheBudgetAndGoesOnWhenExamplesAreTaken) {
  const Scratch scratch("dataset6");
  const int64_t bytes = mvrm::data::bytes_of(*grey_dataset(scratch, 1, {}).get(0));
  Dataset dataset = grey_dataset(scratch, 7, {.cache_bytes = 3 * bytes + bytes / 2});
  OpenedFiles opened(scratch.path);
  dataset.prefetch({0, 1, 2, 3, 4, 5, 6});
  for (const char* name : {"s0.png", "s1.png", "s2.png"}) EXPECT_EQ(opened.next(20'000), name);
  EXPECT_EQ(opened.next(50), "");
  for (int64_t n = 0; n < 3; ++n) EXPECT_NE(dataset.get(n), nullptr);
  // Two of the three stay for the next epoch (three quarters of the budget), so there is room for one.
  EXPECT_EQ(opened.next(20'000), "s3.png");
  EXPECT_EQ(opened.next(50), "");
  EXPECT_EQ(dataset.get(3)->id, "s3");
  EXPECT_EQ(opened.next(20'000), "s4.png");
}

TEST(Dataset, ANewListReplacesWhatWasStillToBeRead) {
  const Scratch scratch("dataset7");
  const int64_t bytes = mvrm::data::bytes_of(*grey_dataset(scratch, 1, {}).get(0));
  Dataset dataset = grey_dataset(scratch, 6, {.cache_bytes = 2 * bytes});
  OpenedFiles opened(scratch.path);
  dataset.prefetch({0, 1, 2, 3});
  EXPECT_EQ(opened.next(20'000), "s0.png");
  EXPECT_EQ(opened.next(20'000), "s1.png");
  dataset.prefetch({5});
  EXPECT_EQ(opened.next(20'000), "s5.png");
}

TEST(Dataset, WithoutACacheEveryCallDecodes) {
  const Scratch scratch("dataset8");
  Dataset dataset = grey_dataset(scratch, 2, {.cache_bytes = 0});
  const auto first = dataset.get(0);
  EXPECT_NE(dataset.get(0), first);
  dataset.prefetch({0, 1});
  EXPECT_EQ(dataset.get(1)->id, "s1");
}

TEST(Dataset, ServesManyThreads) {
  const Scratch scratch("dataset9");
  Dataset dataset = grey_dataset(scratch, 20, {}, 3);
  std::vector<int64_t> order;
  for (int64_t n = 0; n < 20; ++n) order.push_back(n * 7 % 20);
  dataset.prefetch(order);
  std::atomic<int64_t> right{0};
  std::vector<std::thread> readers;
  for (int64_t r = 0; r < 4; ++r) {
    readers.emplace_back([&, r] {
      for (int64_t n = 0; n < 20; ++n) {
        const int64_t index = (n * 3 + r * 5) % 20;
        const auto example = dataset.get(index);
        right += example->id == "s" + std::to_string(index) && example->pixels.levels_NCHW[0][0][0][0].item<int64_t>() == 10 * index;
      }
    });
  }
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(right, 80);
}

TEST(ExampleCache, KeptExamplesLeaveAQuarterOfTheBudgetFree) {
  using mvrm::data::Example;
  const auto make = [](const char* id) { return std::make_shared<Example>(Example{.id = id, .input_ids = std::vector<int64_t>(100)}); };
  const auto one = make("1"), two = make("2"), three = make("3"), four = make("4");
  const int64_t bytes = mvrm::data::bytes_of(*one);
  EXPECT_GE(bytes, 800);
  mvrm::data::ExampleCache cache(4 * bytes);
  for (const auto& [index, example] : {std::pair{1, one}, {2, two}, {3, three}, {4, four}}) cache.keep(index, example);
  EXPECT_EQ(cache.used(), 3 * bytes);
  EXPECT_EQ(cache.take(4), nullptr);
  EXPECT_EQ(cache.take(3), three);
  EXPECT_TRUE(cache.has_room_for(1));
  cache.put_ahead(4, four);
  EXPECT_FALSE(cache.has_room_for(1));
  cache.want_only({});  // nobody will take it: it leaves, because it can't be kept
  EXPECT_FALSE(cache.contains(4));
  EXPECT_EQ(cache.used(), 3 * bytes);
}

}  // namespace
