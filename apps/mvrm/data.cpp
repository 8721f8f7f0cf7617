// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <mvrm/core/error.h>
#include <mvrm/run/data_run.h>
#include <mvrm/run/process.h>
#include <iostream>

namespace mvrm::app {

namespace {

int data_check(const Arguments& arguments) {
  CLI::App app(
      "Looks at a whole data file before anything is trained on it: rows, labels, ids, and every clip and frame decoded. "
      "Prints what the data consist of and every problem with its row; exit status 3 when there is one.");
  std::filesystem::path file;
  std::string workers = "auto";
  bool no_media = false, require_labels = false, json = false;
  double low = 1, high = 4;
  app.add_option("file", file, "data file: .json, .jsonl or .parquet")->required();
  app.add_flag("--no-media", no_media, "rows only: quick, and needs no clips");
  app.add_flag("--require-labels", require_labels, "a row without any label is a problem");
  app.add_option("--label-low", low, "lowest label")->capture_default_str();
  app.add_option("--label-high", high, "highest label")->capture_default_str();
  app.add_option("--workers", workers, "samples decoded at a time: auto or a number")->capture_default_str();
  app.add_flag("--json", json, "print JSON instead of tables");
  app.footer("Example: mvrm data check clips/train.jsonl");
  if (!parse(app, arguments)) return 0;

  mvrm::data::CheckOptions options{.media = !no_media, .manifest = {}};
  options.manifest.require_labels = require_labels;
  options.manifest.label_low = static_cast<float>(low);
  options.manifest.label_high = static_cast<float>(high);
  const auto report = mvrm::data::check_data(file, options, run::make_context({.workers = workers}));
  std::cout << (json ? run::check_json(report) + "\n" : run::check_text(report)) << std::flush;
  if (!report.problems.empty()) throw core::DataError(run::check_verdict(report));
  return 0;
}

int data_convert(const Arguments& arguments) {
  CLI::App app(
      "Rewrites data files into another layout, without loss of what the layout can hold; says what it can't.\n"
      "  mvrm              rows of docs/files.md\n  videofeedback     VideoFeedback's columns\n"
      "  videoscore-train  VideoScore's training file\n  jsonl, json       the rows as they are, e.g. out of Parquet");
  std::vector<std::filesystem::path> files;
  std::filesystem::path out;
  std::string layout;
  bool json = false;
  app.add_option("files", files, "data files, one behind the other")->required();
  app.add_option("--to", layout, "layout to write")->required()->check(CLI::IsMember(mvrm::data::layout_names()));
  app.add_option("--out", out, "file to write: .jsonl or .json")->required();
  app.add_flag("--json", json, "print JSON instead of lines");
  app.footer("Example: mvrm data convert annotated.parquet real.parquet --to videoscore-train --out train_regression.json");
  if (!parse(app, arguments)) return 0;

  const auto report = mvrm::data::convert_data(files, layout, out);
  std::cout << (json ? run::convert_json(report, layout, out) + "\n" : run::convert_text(report, layout, out));
  return 0;
}

}  // namespace

int data(const Arguments& arguments) {
  const std::string what = arguments.size() > 1 ? arguments[1] : "--help";
  if (what == "--help" || what == "-h") {
    std::cout << "usage: mvrm data check|convert [OPTIONS]\n\n  check         every problem of a data file, and what it consists of\n"
                 "  convert       rewrite data files into another layout\n\nExample: mvrm data check clips/train.jsonl\n";
    return 0;
  }
  if (what != "check" && what != "convert") throw core::ConfigError("mvrm data: unknown action '" + what + "'; known: check, convert");
  Arguments rest(arguments.begin() + 1, arguments.end());
  rest.front() = "data " + what;
  return what == "check" ? data_check(rest) : data_convert(rest);
}

}  // namespace mvrm::app
