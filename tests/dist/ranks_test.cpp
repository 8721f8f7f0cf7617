// SPDX-License-Identifier: Apache-2.0
// Every collective on thread ranks and on Gloo between processes, against numbers that can be seen at a glance.
#include <ATen/ATen.h>
#include <arpa/inet.h>
#include <csignal>
#include <functional>
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/dist/communicator.h>
#include <mvrm/dist/heartbeat.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>

#include "tests/support/program.h"

namespace {

using namespace mvrm;
using dist::Communicator;

// Throws where a result is wrong, so that it serves in a child process too.
void expect_equal(const at::Tensor& found, const std::vector<double>& wanted, const char* what) {
  MVRM_CHECK(at::equal(found.to(at::kDouble), at::tensor(wanted, at::kDouble)), what, ": ", found);
}

void try_everything(Communicator& comm) {
  const auto rank = static_cast<double>(comm.rank());
  ASSERT_EQ(comm.size(), 2);
  for (const auto dtype : {at::kFloat, at::kDouble, at::kBFloat16, at::kLong}) {
    at::Tensor sum = at::full({3}, rank + 1).to(dtype);
    comm.all_reduce_sum(sum);
    expect_equal(sum, {3, 3, 3}, "all_reduce");
    at::Tensor from_one = at::full({2}, rank * 7).to(dtype);
    comm.broadcast(from_one, 1);
    expect_equal(from_one, {7, 7}, "broadcast");
    at::Tensor gathered = at::empty({4}, dtype);
    const at::Tensor mine = at::tensor({rank, rank + 10}, at::kDouble).to(dtype);
    comm.all_gather(gathered, mine);
    expect_equal(gathered, {0, 10, 1, 11}, "all_gather");
    at::Tensor part = at::empty({2}, dtype);
    const at::Tensor whole = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kDouble).add(rank).to(dtype);
    comm.reduce_scatter_sum(part, whole);
    expect_equal(part, rank == 0 ? std::vector<double>{3, 5} : std::vector<double>{7, 9}, "reduce_scatter");
    at::Tensor exchanged = at::empty({4}, dtype);
    comm.all_to_all(exchanged, whole);
    expect_equal(exchanged, rank == 0 ? std::vector<double>{1, 2, 2, 3} : std::vector<double>{3, 4, 4, 5}, "all_to_all");
    // Two under way at once, taken in the other order.
    at::Tensor first = at::empty({4}, dtype), second = at::empty({4}, dtype);
    const auto a = comm.start_all_gather(first, mine), b = comm.start_all_to_all(second, whole);
    b();
    a();
    expect_equal(first, {0, 10, 1, 11}, "start_all_gather");
    expect_equal(second, rank == 0 ? std::vector<double>{1, 2, 2, 3} : std::vector<double>{3, 4, 4, 5}, "start_all_to_all");
  }
  MVRM_CHECK(dist::gather_values(comm, rank * 2) == (std::vector<double>{0, 2}), "gather_values");
  MVRM_CHECK(dist::gather_texts(comm, rank == 0 ? "" : "two words") == (std::vector<std::string>{"", "two words"}), "gather_texts");
  comm.barrier();
}

TEST(ThreadRanks, DoEverything) {
  auto ranks = dist::make_thread_ranks(2);
  std::thread other([&] { try_everything(*ranks[1]); });
  try_everything(*ranks[0]);
  other.join();
}

TEST(RequireSame, NamesRankKeyAndValues) {
  auto ranks = dist::make_thread_ranks(3);
  std::vector<std::string> said(3);
  std::vector<std::thread> threads;
  for (size_t r = 0; r < 3; ++r) {
    threads.emplace_back([&, r] {
      dist::require_same(*ranks[r], {{"data", "d"}, {"model", "m"}});
      try {
        dist::require_same(*ranks[r], {{"data", "d"}, {"model", r == 2 ? "n" : "m"}});
      } catch (const core::ConfigError& error) {
        said[r] = error.what();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& text : said) {
    EXPECT_NE(text.find("rank 2"), std::string::npos) << text;
    EXPECT_NE(text.find("model is 'n' there and 'm' on rank 0"), std::string::npos) << text;
    EXPECT_EQ(text.find("data"), std::string::npos) << text;
  }
}

int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  ::bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length);
  ::close(socket);
  return ntohs(address.sin_port);
}

// Runs `body` as ranks of one Gloo world in processes of their own. Exit status: 0, or the error's; its text is in <folder>/said-R.
std::vector<pid_t> start_ranks(int64_t size, double timeout, const std::filesystem::path& folder, const std::function<void(Communicator&)>& body) {
  const int port = free_port();
  std::vector<pid_t> children;
  for (int64_t r = 0; r < size; ++r) {
    const pid_t child = ::fork();
    if (child > 0) {
      children.push_back(child);
      continue;
    }
    int status = 0;
    try {
      const auto comm = dist::connect({.rank = r, .size = size, .local_rank = r, .master_port = port, .timeout_seconds = timeout});
      comm->watch(folder / "ranks");
      body(*comm);
    } catch (const core::Error& error) {
      std::ofstream(folder / ("said-" + std::to_string(r))) << error.what();
      status = static_cast<int>(error.status());
    } catch (const std::exception& error) {
      std::ofstream(folder / ("said-" + std::to_string(r))) << error.what();
      status = 99;
    }
    ::_exit(status);
  }
  return children;
}
int status_of(pid_t child) {
  int raw = 0;
  ::waitpid(child, &raw, 0);
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

TEST(Gloo, DoesEverythingBetweenProcesses) {
  const test::Scratch scratch("gloo");
  const auto children = start_ranks(2, 30, scratch.path, try_everything);
  for (const pid_t child : children) EXPECT_EQ(status_of(child), 0) << test::slurp(scratch.path / "said-0") << test::slurp(scratch.path / "said-1");
}

// A rank that writes to one that has just ended gets SIGPIPE, now and then: 2 of 554 kills.
TEST(Gloo, ABrokenPipeEndsNoRank) {
  const test::Scratch scratch("pipe");
  const auto before = ::signal(SIGPIPE, SIG_DFL);   // who started this test may ignore it
  const auto children = start_ranks(2, 30, scratch.path, [](Communicator&) { ::raise(SIGPIPE); });
  ::signal(SIGPIPE, before);
  for (const pid_t child : children) EXPECT_EQ(status_of(child), 0);
}

void reduce_forever(Communicator& comm) {
  for (;;) {
    at::Tensor sum = at::ones({1000});
    comm.all_reduce_sum(sum);
  }
}

// The others end with status 7 and name it. No bound on the time here: that is tests/e2e's business.
TEST(Gloo, AKilledRankIsNamed) {
  const test::Scratch scratch("killed");
  const auto children = start_ranks(3, 60, scratch.path, reduce_forever);
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  ::kill(children[1], SIGKILL);
  for (const size_t r : {size_t{0}, size_t{2}}) {
    EXPECT_EQ(status_of(children[r]), 7);
    const std::string said = test::slurp(scratch.path / ("said-" + std::to_string(r)));
    EXPECT_NE(said.find("rank 1 (pid " + std::to_string(children[1])), std::string::npos) << said;
    EXPECT_NE(said.find("does not answer"), std::string::npos) << said;
  }
  EXPECT_EQ(status_of(children[1]), 128 + SIGKILL);
}

TEST(Gloo, AStoppedRankIsNamedBehindTheTimeout) {
  const test::Scratch scratch("stopped");
  const auto children = start_ranks(3, 3, scratch.path, reduce_forever);
  std::this_thread::sleep_for(std::chrono::milliseconds(700));
  ::kill(children[2], SIGSTOP);
  for (const size_t r : {size_t{0}, size_t{1}}) {
    EXPECT_EQ(status_of(children[r]), 7);
    const std::string said = test::slurp(scratch.path / ("said-" + std::to_string(r)));
    EXPECT_NE(said.find("rank 2 (pid " + std::to_string(children[2])), std::string::npos) << said;
  }
  ::kill(children[2], SIGKILL);
  status_of(children[2]);
}

// Its process lives and its heartbeat too: only the thread that should work stands still.
TEST(Gloo, ARankThatHangsIsNamedBehindTheTimeout) {
  const test::Scratch scratch("hangs");
  const auto children = start_ranks(3, 3, scratch.path, [](Communicator& comm) {
    at::Tensor x = at::ones({1000});
    for (int i = 0; i < 5; ++i) comm.all_reduce_sum(x);
    if (comm.rank() == 1) std::this_thread::sleep_for(std::chrono::seconds(60));
    comm.all_reduce_sum(x);
  });
  for (const size_t r : {size_t{0}, size_t{2}}) {
    EXPECT_EQ(status_of(children[r]), 7);
    const std::string said = test::slurp(scratch.path / ("said-" + std::to_string(r)));
    EXPECT_NE(said.find("rank 1 (pid " + std::to_string(children[1])), std::string::npos) << said;
    EXPECT_NE(said.find("has not come to what the others wait for"), std::string::npos) << said;
  }
  ::kill(children[1], SIGKILL);
  status_of(children[1]);
}

// Nobody waits for anybody: there is no collective under way that could fail.
TEST(Gloo, ARankThatIsKilledIsMissedBetweenCollectives) {
  const test::Scratch scratch("between");
  const auto children = start_ranks(2, 60, scratch.path, [&](Communicator& comm) {
    comm.barrier();
    if (comm.rank() == 1) std::ofstream(scratch.path / "at_work") << "yes";
    for (int i = 0; i < 1200; ++i) {   // a minute
      comm.check_peers();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  for (int wait = 0; wait < 600 && !std::filesystem::exists(scratch.path / "at_work"); ++wait) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  std::this_thread::sleep_for(std::chrono::milliseconds(600));   // a heartbeat behind the first
  ::kill(children[1], SIGKILL);
  const auto start = std::chrono::steady_clock::now();
  status_of(children[1]);
  EXPECT_EQ(status_of(children[0]), 7);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10)) << "5, but for busy machines";
  const std::string said = test::slurp(scratch.path / "said-0");
  EXPECT_NE(said.find("rank 1 (pid " + std::to_string(children[1])), std::string::npos) << said;
}

TEST(Gloo, RankZeroMayWorkForLongerThanTheTimeout) {
  const test::Scratch scratch("main_works");
  const auto children = start_ranks(3, 2, scratch.path, [](Communicator& comm) {
    bool worked = false;
    while_main_works(comm, [&] {
      std::this_thread::sleep_for(std::chrono::seconds(5));
      worked = true;
    });
    if (worked != comm.is_main()) throw core::Error("worked on rank " + std::to_string(comm.rank()));
    at::Tensor x = at::ones({1});
    comm.all_reduce_sum(x);
    if (x.item<double>() != 3) throw core::Error("out of step");
  });
  for (size_t r = 0; r < 3; ++r) EXPECT_EQ(status_of(children[r]), 0) << test::slurp(scratch.path / ("said-" + std::to_string(r)));
}

TEST(Gloo, AnErrorOfTheWorkIsRankZerosOwn) {
  const test::Scratch scratch("main_fails");
  const auto children = start_ranks(2, 2, scratch.path, [](Communicator& comm) {
    while_main_works(comm, [] { throw core::io_error("the disk is full"); });
  });
  EXPECT_EQ(status_of(children[0]), 5);
  EXPECT_EQ(test::slurp(scratch.path / "said-0"), "the disk is full");
  EXPECT_EQ(status_of(children[1]), 7);
}

TEST(Heartbeat, TellsEndedFromSilent) {
  const test::Scratch scratch("heartbeat");
  dist::Heartbeat mine(scratch.path, 0, 3);
  std::ofstream(scratch.path / "rank-2") << "17 4711 elsewhere 3\n";   // never changes
  auto other = std::make_unique<dist::Heartbeat>(scratch.path, 1, 3);
  EXPECT_EQ(mine.diagnosis(), "rank 2 (pid 4711 on elsewhere) does not answer");
  other.reset();
  EXPECT_EQ(mine.diagnosis(), "rank 1 has ended, rank 2 (pid 4711 on elsewhere) does not answer");
}

}  // namespace
