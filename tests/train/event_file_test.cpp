// SPDX-License-Identifier: Apache-2.0
// TensorBoard's files: checksums of RFC 3720, bytes worked out by hand (the tensorboard package writes the same ones), and what a resumed run leaves.
#include <gtest/gtest.h>
#include <mvrm/core/files.h>

#include "src/train/event_file.h"
#include "tests/support/program.h"
#include "tests/train/ranks.h"

namespace mvrm::train {
namespace {

std::string bytes_of(std::initializer_list<int> values) {
  std::string bytes;
  for (const int value : values) bytes += static_cast<char>(value);
  return bytes;
}

TEST(EventFile, ChecksumsAreThoseOfTheStandard) {   // RFC 3720 B.4
  std::string ascending, descending;
  for (int i = 0; i < 32; ++i) ascending += static_cast<char>(i), descending += static_cast<char>(31 - i);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aaU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43U);
  EXPECT_EQ(crc32c(ascending), 0x46dd794eU);
  EXPECT_EQ(crc32c(descending), 0x113fdb5cU);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283U);
}

TEST(EventFile, AnEventByHand) {
  // wall_time 1.5 (field 1, 8 bytes), step 300 (field 2, varint ac 02), summary (field 5) of one value (field 1) {tag "a/b", simple_value 0.25}.
  const std::string event = bytes_of({0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x10, 0xac, 0x02, 0x2a, 0x0c, 0x0a, 0x0a, 0x0a, 0x03, 'a', '/', 'b', 0x15, 0, 0, 0x80, 0x3e});
  EXPECT_EQ(scalar_event(1.5, 300, {{"a/b", 0.25}}), event);
  EXPECT_EQ(step_of(event), 300);
  EXPECT_EQ(version_event(1.5), bytes_of({0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x1a, 13}) + "brain.Event:2");
  EXPECT_EQ(step_of(version_event(1.5)), 0);
}

TEST(EventFile, RecordsEndAtTheFirstThatIsCutOrDamaged) {
  const std::string file = tfrecord("first") + tfrecord("") + tfrecord("third");
  EXPECT_EQ(records_of(file), (std::vector<std::string>{"first", "", "third"}));
  EXPECT_EQ(tfrecord("first").size(), 8 + 4 + 5 + 4U);
  for (size_t length = file.size() - 1; length > tfrecord("first").size() + tfrecord("").size(); --length)
    EXPECT_EQ(records_of(file.substr(0, length)).size(), 2U) << length;
  for (size_t i = 0; i < tfrecord("first").size(); ++i) {
    std::string damaged = file;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_TRUE(records_of(damaged).empty()) << i;
  }
}

std::vector<int64_t> steps_in(const std::filesystem::path& run_dir, int* files = nullptr) {
  std::vector<int64_t> steps;
  for (const auto& entry : std::filesystem::directory_iterator(run_dir)) {
    if (!entry.path().filename().string().starts_with("events.out.tfevents.")) continue;
    if (files != nullptr) ++*files;
    const auto records = records_of(core::read_file(entry.path()));
    EXPECT_NE(records.front().find("brain.Event:2"), std::string::npos);
    for (size_t i = 1; i < records.size(); ++i) steps.push_back(step_of(records[i]));
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

TEST(EventFile, AResumedRunAppendsAFileAndNoStepTwice) {
  const test::Scratch scratch("events");
  const auto samples = test::tiny_samples(test::tiny_config(), 16);
  test::TinyRun run{.config = test::tiny_train_config(9), .dir = scratch.path};
  run.config.tensorboard = true;
  run.config.checkpoint.every = 4;
  run_tiny(run, samples);
  EXPECT_EQ(steps_in(scratch.path), (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
  run.resume = "auto";   // the newest checkpoint is that of step 8: step 9 comes again
  run_tiny(run, samples);
  int files = 0;
  EXPECT_EQ(steps_in(scratch.path, &files), (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(files, 2);
  run.resume = "never";
  run.config.train.max_steps = 2;
  run_tiny(run, samples);
  EXPECT_EQ(steps_in(scratch.path), (std::vector<int64_t>{1, 2}));
  for (const auto& entry : std::filesystem::directory_iterator(scratch.path)) {
    if (!entry.path().filename().string().starts_with("events.")) continue;
    const std::string text = core::read_file(entry.path());
    for (const char* tag : {"loss", "dimensions/dimension 3", "lr", "grad_norm", "samples_per_second", "tokens_per_second", "peak_memory_gib"})
      EXPECT_NE(text.find(tag), std::string::npos) << tag;
    if (const char* keep = std::getenv("MVRM_KEEP_EVENTS")) std::filesystem::copy_file(entry.path(), keep, std::filesystem::copy_options::overwrite_existing);
  }
}

}  // namespace
}  // namespace mvrm::train
