// SPDX-License-Identifier: Apache-2.0
// A cache of frames can be damaged, shared and raced for, and changes no training (spec/reliability.md R11). Every byte of an entry:
// tests/data/frame_cache_test.cpp.
#include <gtest/gtest.h>

#include "tests/reliability/jobs.h"

namespace mvrm {
namespace {

namespace fs = std::filesystem;
using test::Ranks;

class Cache : public testing::Test {
 protected:
  test::Scratch scratch_{"cache"};
  test::TinyJobFiles files_{scratch_.path};
  const bool warm_ = test::warm_up(files_, scratch_.path / "warm_up");
  const fs::path dir_ = scratch_.path / "job", folder_ = scratch_.path / "frames";

  Ranks::Body training(const fs::path& dir, bool cached = true) const {
    run::RunConfig config = test::tiny_run_config(files_, dir);
    if (cached) config.data.cache = folder_;
    return test::train_body(config);
  }
  // Of the run in `dir`, but for the configuration, which names the cache.
  static std::map<std::string, std::string> results(const fs::path& dir) {
    auto found = test::contents(dir);
    found.erase("config.yaml");
    return found;
  }
  std::map<std::string, std::string> train_anew(bool cached = true) {
    fs::remove_all(dir_);
    Ranks job(1);
    EXPECT_EQ(job.run(dir_, training(dir_, cached)).front(), 0) << job.said(0);
    return results(dir_);
  }
  std::vector<fs::path> entries() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder_))
      if (entry.path().extension() == ".frames") found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
  }
};

TEST_F(Cache, DamageOfAnyKindChangesNoTraining) {
  const auto expected = train_anew(false);
  EXPECT_EQ(test::difference(expected, train_anew()), "") << "made";
  EXPECT_EQ(test::difference(expected, train_anew()), "") << "found";
  ASSERT_EQ(entries().size(), 12U);
  std::map<fs::path, std::string> whole;
  for (const auto& entry : entries()) whole[entry] = test::slurp(entry);
  using Damage = std::function<std::string(size_t, std::string)>;
  const std::map<std::string, Damage> damages{
      {"a flipped bit", [](size_t i, std::string bytes) { return bytes[bytes.size() * (i + 1) / 13] ^= 4, bytes; }},
      {"cut", [](size_t i, const std::string& bytes) { return bytes.substr(0, bytes.size() * i / 12); }},
      {"longer", [](size_t, const std::string& bytes) { return bytes + "x"; }},
      {"exchanged", [&](size_t i, const std::string&) { return std::next(whole.begin(), static_cast<std::ptrdiff_t>((i + 1) % whole.size()))->second; }},
      {"zeros", [](size_t, const std::string& bytes) { return std::string(bytes.size(), '\0'); }},
  };
  for (const auto& [name, damage] : damages) {
    size_t i = 0;
    for (const auto& [path, bytes] : whole) std::ofstream(path, std::ios::binary) << damage(i++, bytes);
    EXPECT_EQ(test::difference(expected, train_anew()), "") << name;
    for (const auto& [path, bytes] : whole) EXPECT_EQ(test::slurp(path), bytes) << name << ": not mended";
  }
}

TEST_F(Cache, RunsThatRaceForOneFolderEndAsIfAlone) {
  const auto expected = train_anew(false);
  constexpr int64_t kRuns = 4;
  Ranks runs(kRuns);
  // Four jobs of one rank each: the communicator that connects them is not used.
  const auto statuses = runs.run(scratch_.path, [&](dist::Communicator& comm) {
    const auto alone = dist::make_single();
    return training(scratch_.path / ("racer" + std::to_string(comm.rank())))(*alone);
  });
  EXPECT_EQ(statuses, std::vector<int>(kRuns, 0)) << runs.said(0) << runs.said(1);
  for (int64_t r = 0; r < kRuns; ++r) EXPECT_EQ(test::difference(expected, results(scratch_.path / ("racer" + std::to_string(r)))), "") << "run " << r;
  EXPECT_EQ(entries().size(), 12U);
}

}  // namespace
}  // namespace mvrm
