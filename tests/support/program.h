// SPDX-License-Identifier: Apache-2.0
// Starts the program under test and collects what it says; a scratch folder that removes itself.
#pragma once
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace mvrm::test {

struct Scratch {
  std::filesystem::path path;
  explicit Scratch(const std::string& name)
      : path(std::filesystem::temp_directory_path() / ("mvrm_" + name + "_" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path);
    std::filesystem::create_directories(path);
  }
  ~Scratch() { std::filesystem::remove_all(path); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
};

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream content;
  content << in.rdbuf();
  return content.str();
}

struct Outcome {
  int status = -1;
  std::string out, err;
};

// `arguments` is a shell command line behind the program's name.
inline Outcome run_program(const std::string& program, const std::string& arguments, const std::filesystem::path& scratch) {
  const auto out = scratch / "stdout", err = scratch / "stderr";
  const std::string line = "'" + program + "' " + arguments + " >'" + out.string() + "' 2>'" + err.string() + "' </dev/null";
  const int raw = std::system(line.c_str());
  return {WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw), slurp(out), slurp(err)};
}

// Starts the program by itself and returns its process id.
inline pid_t start_program(const std::string& program, const std::string& arguments, const std::filesystem::path& log) {
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string line = "exec '" + program + "' " + arguments + " >'" + log.string() + "' 2>&1 </dev/null";
    ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    ::_exit(127);
  }
  return child;
}

}  // namespace mvrm::test
