// SPDX-License-Identifier: Apache-2.0
// The list of commands, and the one place that turns an error into a line and an exit status.
#include "commands.h"

#include <c10/util/Exception.h>
#include <exception>
#include <filesystem>
#include <iostream>
#include <mvrm/core/error.h>
#include <mvrm/dist/launcher.h>

namespace {

using mvrm::app::Arguments;

struct Command {
  const char* name;
  const char* help;
  int (*run)(const Arguments&);
};
constexpr Command kCommands[] = {
    {"demo", "the whole story on rendered clips, on a machine with nothing but a CPU", mvrm::app::demo},
    {"synth", "render a video data set with known quality and planted label noise", mvrm::app::synth},
    {"train", "train a reward model, with any refinement strategy", mvrm::app::train},
    {"profile", "one forward pass over a data set: self-influence per sample and dimension", mvrm::app::profile},
    {"refine", "turn a profile into a refinement plan, or list suspect labels", mvrm::app::refine},
    {"whatif", "what the head would score if labels were dropped or changed", mvrm::app::whatif},
    {"explain", "which frames and regions of a clip carry its rewards and their risk", mvrm::app::explain},
    {"score", "score videos", mvrm::app::score},
    {"eval", "Spearman per dimension over predictions or a model", mvrm::app::eval},
    {"data", "check a data file as a whole, or convert it into another layout", mvrm::app::data},
    {"experiment", "a table or figure of the paper, on rendered clips or on your data", mvrm::app::experiment},
    {"estimate", "memory, operations and time of a training run on GPUs of a given size", mvrm::app::estimate},
    {"info", "versions, devices and what this build can do", mvrm::app::info},
};

void print_usage(std::ostream& out) {
  out << "usage: mvrm COMMAND [OPTIONS]\n\nTrains multidimensional video reward models and refines the data they are trained on.\n\n";
  for (const auto& command : kCommands) {
    out << "  " << command.name << std::string(12 - std::string(command.name).size(), ' ') << command.help << "\n";
  }
  out << "\n'mvrm COMMAND --help' explains a command. For a first look: mvrm demo --quick\n";
}

int dispatch(const Arguments& arguments) {
  if (arguments.empty()) {
    print_usage(std::cerr);
    return static_cast<int>(mvrm::core::ExitStatus::usage);
  }
  if (arguments.front() == "--help" || arguments.front() == "-h" || arguments.front() == "help") {
    print_usage(std::cout);
    return 0;
  }
  for (const auto& command : kCommands) {
    if (arguments.front() == command.name) return command.run(arguments);
  }
  std::string names;
  for (const auto& command : kCommands) names += (names.empty() ? "" : ", ") + std::string(command.name);
  throw mvrm::core::ConfigError("unknown command '" + arguments.front() + "'; commands: " + names);
}

// One line, nested causes behind it.
std::string message_of(const std::exception& error) {
  std::string message = error.what();
  try {
    std::rethrow_if_nested(error);
  } catch (const std::exception& inner) {
    message += ": " + message_of(inner);
  } catch (...) {
  }
  for (char& c : message) c = c == '\n' ? ' ' : c;
  return message;
}

// In one write: ranks share the terminal, and their lines must not run into each other.
void print_error(const std::exception& error) { std::cerr << "mvrm: error: " + message_of(error) + "\n" << std::flush; }

}  // namespace

int main(int argc, char** argv) {
  try {
    mvrm::dist::ensure_passive_openmp(argv);
    return dispatch(Arguments(argv + 1, argv + argc));
  } catch (const mvrm::core::Error& error) {
    print_error(error);
    return static_cast<int>(error.status());
  } catch (const std::filesystem::filesystem_error& error) {
    const bool place = error.code() == std::errc::permission_denied || error.code() == std::errc::no_such_file_or_directory || error.code() == std::errc::not_a_directory;
    print_error(mvrm::core::io_error(error.path1().string() + ": " + error.code().message() + (place ? "; does the folder above it exist, and may it be written?" : "")));
    return static_cast<int>(mvrm::core::ExitStatus::io);
  } catch (const c10::OutOfMemoryError& error) {
    const std::string why = error.what_without_backtrace();
    print_error(mvrm::core::Error(why.substr(0, why.find(". ")) + "; fewer clips a pass (--batch, data.batch) or a smaller train.micro_batch need less, "
                                  "'mvrm estimate' says what training needs", mvrm::core::ExitStatus::failed));
    return static_cast<int>(mvrm::core::ExitStatus::failed);
  } catch (const std::exception& error) {
    print_error(error);
    return static_cast<int>(mvrm::core::ExitStatus::failed);
  }
}
