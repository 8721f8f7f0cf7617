// SPDX-License-Identifier: Apache-2.0
// What the launchers leave in the environment, and what is made of it.
#include <gtest/gtest.h>
#include <mvrm/core/error.h>
#include <mvrm/dist/communicator.h>

#include <cstdlib>
#include <map>
#include <string>

namespace mvrm::dist {
namespace {

using Environment = std::map<std::string, std::string>;

// The variables of all launchers are taken away, `environment` is put in their place, and all is put back.
class Surroundings {
 public:
  explicit Surroundings(const Environment& environment) {
    for (const char* name : kNames) {
      if (const char* value = std::getenv(name)) before_[name] = value;
      ::unsetenv(name);
    }
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Surroundings() {
    for (const char* name : kNames) ::unsetenv(name);
    for (const auto& [name, value] : before_) ::setenv(name.c_str(), value.c_str(), 1);
  }
  Surroundings(const Surroundings&) = delete;
  Surroundings& operator=(const Surroundings&) = delete;

 private:
  static constexpr const char* kNames[] = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "MVRM_LISTEN_FD",
      "TORCHELASTIC_USE_AGENT_STORE", "TORCHELASTIC_RESTART_COUNT", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NODEID", "SLURM_NTASKS_PER_NODE",
      "SLURM_JOB_ID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_TASKS_PER_NODE", "SLURM_STEP_NODELIST", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
      "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"};
  Environment before_;
};

Environment srun(const std::string& rank, const std::string& node, const std::string& tasks_per_node, const std::string& hosts) {
  return {{"SLURM_PROCID", rank}, {"SLURM_NTASKS", "7"}, {"SLURM_LOCALID", "1"}, {"SLURM_NODEID", node}, {"SLURM_JOB_ID", "200505"},
          {"SLURM_STEP_NUM_TASKS", "7"}, {"SLURM_STEP_TASKS_PER_NODE", tasks_per_node}, {"SLURM_STEP_NODELIST", hosts}};
}

std::string error_of(const Environment& environment) {
  const Surroundings here(environment);
  try {
    world_from_environment();
  } catch (const core::ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(World, WithoutALauncherIsOne) {
  const Surroundings here({});
  EXPECT_EQ(world_from_environment().size, 1);
  EXPECT_EQ(local_world_size(), 1);
}

TEST(World, OfTorchrunJoinsTheStoreOfItsAgent) {
  const Surroundings here({{"RANK", "5"}, {"WORLD_SIZE", "8"}, {"LOCAL_RANK", "1"}, {"LOCAL_WORLD_SIZE", "4"}, {"MASTER_ADDR", "node7"}, {"MASTER_PORT", "29500"},
                           {"TORCHELASTIC_USE_AGENT_STORE", "True"}, {"TORCHELASTIC_RESTART_COUNT", "2"}, {"SLURM_PROCID", "0"}, {"SLURM_STEP_NUM_TASKS", "2"}});
  const WorldConfig world = world_from_environment();
  EXPECT_EQ(world.rank, 5);
  EXPECT_EQ(world.size, 8);
  EXPECT_EQ(world.local_rank, 1);
  EXPECT_EQ(world.master_addr, "node7");
  EXPECT_EQ(world.master_port, 29500);
  EXPECT_TRUE(world.agent_store);
  EXPECT_EQ(world.store_prefix, "/worker/attempt_2");
  EXPECT_EQ(local_world_size(), 4);
}

TEST(World, OfSrunMeetsOnTheFirstHost) {
  const Surroundings here(srun("6", "2", "2(x2),3", "gpu[07-09,12]"));
  const WorldConfig world = world_from_environment();
  EXPECT_EQ(world.rank, 6);
  EXPECT_EQ(world.size, 7);
  EXPECT_EQ(world.local_rank, 1);
  EXPECT_EQ(world.master_addr, "gpu07");
  EXPECT_EQ(world.master_port, 15000 + 505);
  EXPECT_FALSE(world.agent_store);
  EXPECT_EQ(local_world_size(), 3);
}

TEST(World, OfSrunReadsListsOfHosts) {
  for (const auto& [list, first] : Environment{{"gpu7,gpu8", "gpu7"}, {"gpu[1,3]", "gpu1"}, {"a[001-003]-ib,b1", "a001-ib"}, {"rack2gpu", "rack2gpu"}}) {
    const Surroundings here(srun("0", "0", "3,4", list));
    EXPECT_EQ(world_from_environment().master_addr, first) << list;
  }
  auto given = srun("0", "0", "3,4", "gpu[07-09]");
  given["MASTER_ADDR"] = "10.0.0.1", given["MASTER_PORT"] = "4000";
  const Surroundings here(given);
  EXPECT_EQ(world_from_environment().master_addr, "10.0.0.1");
  EXPECT_EQ(world_from_environment().master_port, 4000);
}

TEST(World, OnOneMachineMeetsThere) {
  const Surroundings here(srun("0", "0", "7", "gpu07"));
  EXPECT_EQ(world_from_environment().master_addr, "127.0.0.1");
  EXPECT_EQ(local_world_size(), 7);
}

// `mvrm train` in it may start ranks of its own.
TEST(World, OfABatchScriptIsOne) {
  const Surroundings here({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "4"}, {"SLURM_LOCALID", "0"}, {"SLURM_NTASKS_PER_NODE", "4"}, {"SLURM_JOB_ID", "200505"}});
  EXPECT_EQ(world_from_environment().size, 1);
  EXPECT_EQ(local_world_size(), 1);
}

TEST(World, OfMpirunNeedsAPlace) {
  Environment environment{{"OMPI_COMM_WORLD_RANK", "3"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"OMPI_COMM_WORLD_LOCAL_RANK", "1"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "2"}};
  EXPECT_NE(error_of(environment).find("MASTER_ADDR"), std::string::npos);
  environment["MASTER_ADDR"] = "node1";
  EXPECT_NE(error_of(environment).find("MASTER_PORT"), std::string::npos);
  environment["MASTER_PORT"] = "4000";
  const Surroundings here(environment);
  EXPECT_EQ(world_from_environment().rank, 3);
  EXPECT_EQ(local_world_size(), 2);
}

TEST(World, OfPmiIsTakenToo) {
  const Surroundings here({{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}, {"MPI_LOCALRANKID", "1"}, {"MPI_LOCALNRANKS", "2"}, {"MASTER_PORT", "4000"}});
  const WorldConfig world = world_from_environment();
  EXPECT_EQ(world.rank, 1);
  EXPECT_EQ(world.local_rank, 1);
  EXPECT_EQ(world.master_addr, "127.0.0.1");
}

TEST(World, ContradictionsAreNamed) {
  EXPECT_NE(error_of({{"WORLD_SIZE", "2"}}).find("RANK is not set"), std::string::npos) << error_of({{"WORLD_SIZE", "2"}});
  EXPECT_NE(error_of({{"RANK", "2"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "1"}}).find("RANK is 2 in a world of 2"), std::string::npos);
  EXPECT_NE(error_of({{"RANK", "x"}, {"WORLD_SIZE", "2"}}).find("RANK must be a whole number, got 'x'"), std::string::npos);
  EXPECT_NE(error_of(srun("0", "2", "3(x2)", "gpu[1-2]")).find("SLURM_STEP_TASKS_PER_NODE"), std::string::npos);
}

}  // namespace
}  // namespace mvrm::dist
