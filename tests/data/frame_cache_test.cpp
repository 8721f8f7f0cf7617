// SPDX-License-Identifier: Apache-2.0
// Frames on disk: batches don't change, damage is found, the folder keeps to its bound, several readers get along.
#include "src/data/frame_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/core/files.h>
#include <mvrm/data/batch.h>

#include <fstream>
#include <sys/stat.h>
#include <thread>

#include "tests/data/tiny_samples.h"
#include "tests/support/program.h"

namespace mvrm::data {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> found;
  for (const auto& file : fs::directory_iterator(folder))
    if (file.path().extension() == ".frames") found.push_back(file.path());
  std::sort(found.begin(), found.end());
  return found;
}
int64_t bytes_in(const fs::path& folder) {
  int64_t bytes = 0;
  for (const auto& path : entries(folder)) bytes += static_cast<int64_t>(fs::file_size(path));
  return bytes;
}

class Frames : public testing::Test {
 protected:
  test::Scratch scratch_{"frames"};
  fs::path folder_ = scratch_.path / "cache";
  Manifest manifest_ = test::grey_manifest(scratch_.path, 6);
  Processor processor_ = test::tiny_processor();
  core::Log log_;

  Dataset dataset(bool cached, int64_t bytes = int64_t{1} << 30) {
    return Dataset(manifest_, processor_, {.cache_bytes = 0, .frame_cache = cached ? folder_ : fs::path{}, .frame_cache_bytes = bytes}, {});
  }
  Batch batch(Dataset& data) {
    std::vector<std::shared_ptr<const Example>> examples;
    for (int64_t n = 0; n < data.size(); ++n) examples.push_back(data.get(n));
    return collate(examples, processor_.image_config, 0);
  }
  // Two pictures of different sizes: a mask comes along.
  void add_unequal_pictures() {
    Sample sample{.id = "unequal", .prompt = "Hello world", .line = 7};
    for (const uint32_t width : {8U, 12U}) {
      sample.images.push_back(scratch_.path / ("wide" + std::to_string(width) + ".png"));
      test::write_grey(sample.images.back(), 8, width, 77);
    }
    sample.label_K = {1, 2};
    manifest_.samples.push_back(sample);
  }
};

TEST_F(Frames, BatchesAreTheSameWithAndWithout) {
  add_unequal_pictures();
  Dataset plain = dataset(false);
  const Batch expected = batch(plain);
  for (int pass = 0; pass < 2; ++pass) {   // made, then found
    Dataset cached = dataset(true);
    const Batch found = batch(cached);
    EXPECT_TRUE(at::equal(expected.pixels_RCHW, found.pixels_RCHW));
    EXPECT_TRUE(at::equal(expected.pixel_mask_RHW, found.pixel_mask_RHW));
    EXPECT_TRUE(at::equal(expected.input_ids_BL, found.input_ids_BL));
    EXPECT_EQ(cached.get(6)->frame_indices, plain.get(6)->frame_indices);
    EXPECT_EQ(entries(folder_).size(), 7U);
  }
}

TEST_F(Frames, AnEntryBelongsToContentAndSettings) {
  const auto key = FrameCache::key_of(manifest_.samples[0], processor_);
  EXPECT_NE(key, FrameCache::key_of(manifest_.samples[1], processor_));
  Sample moved = manifest_.samples[0];
  moved.images = {scratch_.path / "elsewhere.png"};
  fs::copy_file(manifest_.samples[0].images[0], moved.images[0]);
  EXPECT_EQ(key, FrameCache::key_of(moved, processor_));
  Processor larger = processor_, rarer = processor_;
  larger.image_config.longest_edge = 16;
  rarer.sample_rule = {.sampling = video::Sampling::linspace, .max_frames = 4};
  EXPECT_NE(key, FrameCache::key_of(manifest_.samples[0], larger));
  EXPECT_NE(key, FrameCache::key_of(manifest_.samples[0], rarer));
  Processor brighter = processor_;   // normalisation comes later
  brighter.image_config.mean = {0, 0, 0};
  EXPECT_EQ(key, FrameCache::key_of(manifest_.samples[0], brighter));
  moved.images = {scratch_.path / "missing.png"};
  EXPECT_EQ(FrameCache::key_of(moved, processor_), std::nullopt);
  moved.images = {scratch_.path};
  EXPECT_EQ(FrameCache::key_of(moved, processor_), std::nullopt);
}

TEST_F(Frames, EveryDamageIsFoundAndMended) {
  ModelFrames frames{.pixels = {.levels_NCHW = at::arange(24, at::kByte).view({2, 3, 2, 2}), .mask_NHW = at::ones({2, 2, 2}, at::kBool)}, .frame_indices = {0, 5}};
  const std::string bytes = encode(frames, "key");
  const auto back = decode(bytes, "key");
  ASSERT_TRUE(back);
  EXPECT_TRUE(at::equal(back->pixels.levels_NCHW, frames.pixels.levels_NCHW));
  EXPECT_TRUE(at::equal(back->pixels.mask_NHW, frames.pixels.mask_NHW));
  EXPECT_EQ(back->frame_indices, frames.frame_indices);
  EXPECT_FALSE(decode(bytes, "another key"));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(decode(damaged, "key")) << "byte " << i;
    EXPECT_FALSE(decode(std::string_view(bytes).substr(0, i), "key")) << "cut at " << i;
  }

  Dataset first = dataset(true);
  const auto expected = first.get(3)->pixels.levels_NCHW;
  const auto files = entries(folder_);
  ASSERT_EQ(files.size(), 1U);
  const std::string whole = core::read_file(files[0]);
  std::fstream(files[0], std::ios::in | std::ios::out | std::ios::binary).seekp(70).put('\x55');
  ASSERT_NE(core::read_file(files[0]), whole);
  Dataset second = dataset(true);
  EXPECT_TRUE(at::equal(second.get(3)->pixels.levels_NCHW, expected));
  EXPECT_EQ(core::read_file(files[0]), whole);   // made again
}

// Entries are whole and of the right size, but at each other's places.
TEST_F(Frames, ExchangedEntriesAreFoundAndMended) {
  Dataset plain = dataset(false), first = dataset(true);
  const Batch expected = batch(plain);
  batch(first);
  const auto files = entries(folder_);
  ASSERT_EQ(files.size(), 6U);
  std::vector<std::string> whole;
  for (const auto& file : files) whole.push_back(core::read_file(file));
  for (size_t i = 0; i < files.size(); ++i) std::ofstream(files[i], std::ios::binary) << whole[(i + 1) % files.size()];
  Dataset second = dataset(true);
  EXPECT_TRUE(at::equal(batch(second).pixels_RCHW, expected.pixels_RCHW));
  for (size_t i = 0; i < files.size(); ++i) EXPECT_EQ(core::read_file(files[i]), whole[i]);
}

// What others put into a shared folder: names that lead elsewhere are neither read nor written through.
TEST_F(Frames, LinksAndPipesAtTheNamesOfEntriesLeadNowhere) {
  Dataset plain = dataset(false);
  const Batch expected = batch(plain);
  fs::create_directories(folder_);
  const fs::path mine = scratch_.path / "mine";
  std::ofstream(mine) << "my file";
  const auto place_of = [&](size_t n) { return folder_ / (*FrameCache::key_of(manifest_.samples[n], processor_) + ".frames"); };
  fs::create_symlink(mine, place_of(0));
  fs::create_symlink(scratch_.path / "nothing there", place_of(1));
  ASSERT_EQ(::mkfifo(place_of(2).c_str(), 0644), 0);
  fs::create_symlink(place_of(3), place_of(3));
  for (int i = 0; i < 8; ++i) fs::create_symlink(mine, folder_ / (".tmp-" + std::to_string(::getpid()) + "-" + std::to_string(i)));
  Dataset cached = dataset(true);
  EXPECT_TRUE(at::equal(batch(cached).pixels_RCHW, expected.pixels_RCHW));
  EXPECT_EQ(test::slurp(mine), "my file");
  EXPECT_FALSE(fs::exists(scratch_.path / "nothing there"));
  for (size_t n = 0; n < 6; ++n) EXPECT_EQ(fs::symlink_status(place_of(n)).type(), fs::file_type::regular) << n;
  fs::remove(folder_ / ".lock");
  fs::create_symlink(mine, folder_ / ".lock");
  EXPECT_THROW(FrameCache(folder_, 1000, log_), core::Error);
  EXPECT_EQ(test::slurp(mine), "my file");
}

// The folder is taken away and something else stands at its place while a run goes on.
TEST_F(Frames, AFolderThatIsExchangedUnderARunChangesNothing) {
  Dataset plain = dataset(false), cached = dataset(true);
  const Batch expected = batch(plain);
  cached.get(0);
  fs::rename(folder_, scratch_.path / "moved");
  std::ofstream(folder_) << "a file";
  EXPECT_TRUE(at::equal(cached.get(1)->pixels.levels_NCHW, plain.get(1)->pixels.levels_NCHW));
  fs::remove(folder_);
  fs::create_directory_symlink(scratch_.path / "moved", folder_);
  EXPECT_TRUE(at::equal(batch(cached).pixels_RCHW, expected.pixels_RCHW));
}

TEST_F(Frames, TheFolderKeepsToItsBound) {
  Dataset measure = dataset(true);
  measure.get(0);
  const int64_t one = bytes_in(folder_);
  Dataset bounded = dataset(true, 3 * one);
  for (int64_t n = 0; n < 6; ++n) {
    EXPECT_NE(bounded.get(n), nullptr);
    EXPECT_LE(bytes_in(folder_), 3 * one);
  }
  EXPECT_EQ(entries(folder_).size(), 3U);   // those of this run stay, the rest is not kept
  // A later run: what it uses stays, the oldest of the others goes for what is new.
  const auto old = fs::file_time_type::clock::now() - std::chrono::hours(5);
  for (const auto& path : entries(folder_)) fs::last_write_time(path, old);
  Dataset later = dataset(true, 3 * one);
  const auto key_of = [&](int64_t n) { return *FrameCache::key_of(manifest_.samples[static_cast<size_t>(n)], processor_); };
  const auto is_there = [&](int64_t n) { return fs::exists(folder_ / (key_of(n) + ".frames")); };
  EXPECT_TRUE(is_there(0) && is_there(1) && is_there(2));
  fs::last_write_time(folder_ / (key_of(2) + ".frames"), old - std::chrono::hours(1));
  later.get(0);
  later.get(4);   // the place of 2, the oldest
  EXPECT_TRUE(is_there(0) && is_there(1) && is_there(4));
  later.get(5);   // the place of 1, since 0 is in use
  EXPECT_TRUE(is_there(0) && is_there(4) && is_there(5));
  later.get(3);
  EXPECT_FALSE(is_there(3));
  EXPECT_LE(bytes_in(folder_), 3 * one);
  Dataset tiny = dataset(true, one - 1);
  EXPECT_NE(tiny.get(3), nullptr);
}

TEST_F(Frames, ServesSeveralRanksAtOnce) {
  Dataset plain = dataset(false);
  const Batch expected = batch(plain);
  const int64_t bound = int64_t{5} << 10;
  std::vector<std::thread> threads;
  std::atomic<int> equal{0};
  for (int rank = 0; rank < 4; ++rank) {
    threads.emplace_back([&] {
      for (int pass = 0; pass < 3; ++pass) {
        Dataset mine = dataset(true, bound);   // a run of its own: others' entries may go while they are read
        equal += at::equal(batch(mine).pixels_RCHW, expected.pixels_RCHW) ? 1 : 0;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(equal, 12);
  EXPECT_LE(bytes_in(folder_), bound);
  EXPECT_GT(entries(folder_).size(), 0U);
  for (const auto& file : fs::directory_iterator(folder_)) EXPECT_FALSE(file.path().filename().string().starts_with(".tmp-")) << file.path();
}

TEST_F(Frames, AFolderThatCantBeWrittenEndsNothing) {
  std::ofstream(scratch_.path / "file") << "x";
  EXPECT_THROW(FrameCache(scratch_.path / "file", 1, log_), core::Error);
  Dataset data = dataset(true);
  fs::remove_all(folder_);
  EXPECT_NE(data.get(0), nullptr);
  EXPECT_NE(data.get(1), nullptr);
}

TEST_F(Frames, AWriterThatDiedLeavesNothingForLong) {
  fs::create_directories(folder_);
  std::ofstream(folder_ / ".tmp-1-0") << "half";
  std::ofstream(folder_ / ".tmp-1-1") << "half";
  fs::last_write_time(folder_ / ".tmp-1-0", fs::file_time_type::clock::now() - std::chrono::hours(2));
  const FrameCache cache(folder_, 1000, log_);
  EXPECT_FALSE(fs::exists(folder_ / ".tmp-1-0"));
  EXPECT_TRUE(fs::exists(folder_ / ".tmp-1-1"));   // perhaps still being written
}

}  // namespace
}  // namespace mvrm::data
