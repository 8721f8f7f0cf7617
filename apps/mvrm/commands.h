// SPDX-License-Identifier: Apache-2.0
// The commands of the program. Each parses its options, calls run/ and returns an exit status; errors are thrown to main.
#pragma once
#include <CLI/CLI.hpp>
#include <mvrm/core/context.h>
#include <filesystem>
#include <string>
#include <vector>

namespace mvrm::run { struct DataSection; }

namespace mvrm::app {

// argv[0] is the command's name.
using Arguments = std::vector<std::string>;

int demo(const Arguments& arguments);
int synth(const Arguments& arguments);
int train(const Arguments& arguments);
int profile(const Arguments& arguments);
int refine(const Arguments& arguments);
int whatif(const Arguments& arguments);
int explain(const Arguments& arguments);
int score(const Arguments& arguments);
int eval(const Arguments& arguments);
int data(const Arguments& arguments);
int experiment(const Arguments& arguments);
int estimate(const Arguments& arguments);
int info(const Arguments& arguments);

// Parses; prints help and returns false when --help was asked for. A usage error throws core::ConfigError naming `mvrm CMD --help`.
bool parse(CLI::App& app, const Arguments& arguments);

// Sampling options that score, profile and eval share.
struct SamplingOptions {
  std::string sampling = "all";
  int64_t max_frames = 16, max_bad_samples = 0, batch = 8;
  std::string workers = "auto", dtype = "f32";
};
// Checks of an option; unlike CLI11's they refuse nan, and don't print the largest number there is.
CLI::Validator positive();
CLI::Validator natural();   // CLI11 takes -1 for the largest number there is
CLI::Validator share();   // 0 to 1
// Throws before any work where the file `out` can't be made, or is one of the `inputs`. An empty `out` is none.
void require_place(const std::filesystem::path& out, const std::string& option, const std::vector<std::filesystem::path>& inputs);
void add_sampling_options(CLI::App& app, SamplingOptions& options);
run::DataSection reading_of(const SamplingOptions& options);   // no files

}  // namespace mvrm::app
