// SPDX-License-Identifier: Apache-2.0
// Run directories that aren't what they seem (spec/reliability.md R12): a link is followed once or refused with status 5 and its path, and
// nothing beside the directory is touched. Links inside a frame cache: tests/data/frame_cache_test.cpp.
#include <gtest/gtest.h>

#include "tests/reliability/jobs.h"

namespace mvrm {
namespace {

namespace fs = std::filesystem;
using test::Ranks;

constexpr uid_t kNobody = 65534;

class Links : public testing::Test {
 protected:
  test::Scratch scratch_{"links"};
  test::TinyJobFiles files_{scratch_.path};
  const bool warm_ = test::warm_up(files_, scratch_.path / "warm_up");
  const fs::path dir_ = scratch_.path / "job";
  const Ranks::Body train_ = test::train_body(test::tiny_run_config(files_, dir_)), profile_ = test::profile_body(files_, dir_);

  void expect_refused(const Ranks::Body& body, const std::string& what) {
    Ranks job(1);
    EXPECT_EQ(job.run(scratch_.path, body).front(), 5) << what << ": " << job.said(0);
    EXPECT_NE(job.said(0).find(dir_.string()), std::string::npos) << what << ": " << job.said(0);
    EXPECT_EQ(job.said(0).find('\n'), std::string::npos) << what << ": " << job.said(0);
  }
  // Root may write everywhere: the job gives that up.
  static Ranks::Body as_nobody(const Ranks::Body& body) {
    return [body](dist::Communicator& comm) {
      MVRM_CHECK(::geteuid() != 0 || ::setuid(kNobody) == 0, "setuid");
      return body(comm);
    };
  }
};

TEST_F(Links, ALinkToADirectoryIsFollowed) {
  for (const auto& body : {train_, profile_}) {
    fs::remove_all(dir_);
    Ranks plain(1);
    ASSERT_EQ(plain.run(dir_, body).front(), 0) << plain.said(0);
    const auto expected = test::contents(dir_);
    fs::remove_all(dir_);
    fs::remove_all(scratch_.path / "elsewhere");
    fs::create_directories(scratch_.path / "elsewhere");
    fs::create_directory_symlink("elsewhere", dir_);
    Ranks linked(1);
    EXPECT_EQ(linked.run(dir_, body).front(), 0) << linked.said(0);
    EXPECT_EQ(test::difference(expected, test::contents(scratch_.path / "elsewhere")), "");
    EXPECT_TRUE(fs::is_symlink(dir_)) << "the link itself is left alone";
    fs::remove(dir_);
  }
}

TEST_F(Links, WhatLeadsNowhereIsRefused) {
  for (const auto& body : {train_, profile_}) {
    fs::remove(dir_);
    fs::create_directory_symlink(scratch_.path / "nothing there", dir_);
    expect_refused(body, "a dangling link");
    EXPECT_FALSE(fs::exists(scratch_.path / "nothing there"));
    fs::remove(dir_);
    fs::create_directory_symlink(dir_, dir_);
    expect_refused(body, "a loop");
    fs::remove(dir_);
    std::ofstream(dir_) << "my file";
    expect_refused(body, "a file");
    EXPECT_EQ(test::slurp(dir_), "my file");
  }
}

TEST_F(Links, DirectoriesThatMayNotBeWrittenAreRefused) {
  for (const auto& body : {train_, profile_}) {
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    fs::permissions(dir_, fs::perms::owner_read | fs::perms::owner_exec | fs::perms::group_read | fs::perms::group_exec | fs::perms::others_read | fs::perms::others_exec);
    expect_refused(as_nobody(body), "a directory that is read-only");
    fs::permissions(dir_, fs::perms::owner_all);
    if (::geteuid() == 0) expect_refused(as_nobody(body), "a directory of somebody else");
    EXPECT_TRUE(fs::is_empty(dir_));
  }
}

// The lock would otherwise be written through the link.
TEST_F(Links, ALockThatIsALinkIsRefused) {
  fs::create_directories(dir_);
  std::ofstream(scratch_.path / "mine") << "my file";
  fs::create_symlink(scratch_.path / "mine", dir_ / ".lock");
  expect_refused(train_, "a lock that is a link");
  expect_refused(profile_, "a lock that is a link");
  EXPECT_EQ(test::slurp(scratch_.path / "mine"), "my file");
}

// Everything that is put in place by a rename takes the link's place, not its target's.
TEST_F(Links, LinksAtTheNamesOfResultsAreReplaced) {
  fs::create_directories(dir_ / "model");
  std::ofstream(scratch_.path / "mine") << "my file";
  const auto names = {"config.yaml", "done", "model/model.safetensors", "model/config.json"};
  for (const char* name : names) fs::create_symlink(scratch_.path / "mine", dir_ / name);
  Ranks job(1);
  ASSERT_EQ(job.run(dir_, train_).front(), 0) << job.said(0);
  for (const char* name : names) EXPECT_FALSE(fs::is_symlink(dir_ / name)) << name;
  EXPECT_EQ(test::slurp(scratch_.path / "mine"), "my file");
}

}  // namespace
}  // namespace mvrm
