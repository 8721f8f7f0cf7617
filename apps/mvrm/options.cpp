// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <cmath>
#include <iostream>
#include <mvrm/core/error.h>
#include <mvrm/run/run_config.h>

namespace mvrm::app {

bool parse(CLI::App& app, const Arguments& arguments) {
  app.name("mvrm " + arguments.front());
  app.set_help_flag("-h,--help", "show this help");
  app.get_formatter()->column_width(34);
  app.option_defaults()->always_capture_default();
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend() - 1);
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help() << std::flush;
    return false;
  } catch (const CLI::ParseError& error) {
    std::string message = error.what();
    for (char& c : message) c = c == '\n' ? ' ' : c;
    throw core::ConfigError("mvrm " + arguments.front() + ": " + message + "; see 'mvrm " + arguments.front() + " --help'");
  }
  return true;
}

namespace {

// `holds` decides, `must` ends the sentence.
CLI::Validator number_that(const std::string& must, bool (*holds)(double)) {
  return CLI::Validator([=](std::string& text) {
    double value = 0;
    const bool number = CLI::detail::lexical_cast(text, value);
    return number && holds(value) ? std::string() : "'" + text + "' must be " + must;
  }, "");
}

}  // namespace

CLI::Validator positive() {
  return number_that("greater than 0", [](double x) { return x > 0 && std::isfinite(x); });
}
CLI::Validator natural() {
  return CLI::Validator([](std::string& text) {
    const bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
    return digits ? std::string() : "'" + text + "' must be a whole number, 0 or more";
  }, "");
}
CLI::Validator share() {
  return number_that("from 0 to 1", [](double x) { return x >= 0 && x <= 1; });
}

void require_place(const std::filesystem::path& out, const std::string& option, const std::vector<std::filesystem::path>& inputs) {
  if (out.empty()) return;
  const auto folder = out.has_parent_path() ? out.parent_path() : std::filesystem::path(".");
  if (!std::filesystem::is_directory(folder)) throw core::io_error(out.string() + ": there is no folder " + folder.string() + "; make it, or choose another " + option);
  if (std::filesystem::is_directory(out)) throw core::io_error(out.string() + ": is a folder; " + option + " names a file");
  for (const auto& input : inputs) {
    if (!input.empty() && std::filesystem::weakly_canonical(input) == std::filesystem::weakly_canonical(out))
      throw core::ConfigError(option + " " + out.string() + ": is what is read; choose another file");
  }
}

void add_sampling_options(CLI::App& app, SamplingOptions& options) {
  app.add_option("--sampling", options.sampling, "which frames are used: all, linspace (VideoScore's benchmark), stride (its example)")
      ->check(CLI::IsMember({"all", "linspace", "stride"}))->capture_default_str();
  app.add_option("--max-frames", options.max_frames, "upper bound of linspace and stride")->check(CLI::Range(1, 4096))->capture_default_str();
  app.add_option("--max-bad-samples", options.max_bad_samples, "bad samples that are skipped before the command ends with status 3")
      ->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--batch", options.batch, "clips of one shape that share a forward pass; fewer need less memory")->check(CLI::Range(1, 4096))->capture_default_str();
  app.add_option("--dtype", options.dtype, "dtype of the model")->check(CLI::IsMember({"f32", "bf16"}))->capture_default_str();
  app.add_option("--workers", options.workers, "worker threads: auto or a number")->capture_default_str();
}

run::DataSection reading_of(const SamplingOptions& options) {
  return {.sampling = options.sampling, .max_frames = options.max_frames, .max_bad_samples = options.max_bad_samples, .batch = options.batch, .workers = options.workers};
}

}  // namespace mvrm::app
