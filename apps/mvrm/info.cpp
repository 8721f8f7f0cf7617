// SPDX-License-Identifier: Apache-2.0
#include "commands.h"

#include <ATen/ATen.h>
#include <ATen/Version.h>
#include <iostream>
#include <mvrm/data/manifest.h>
#include <mvrm/dist/plugin.h>
#include <mvrm/report/table.h>
#include <mvrm/video/video_reader.h>
#include <nlohmann/json.hpp>
#include <thread>
#include <torch/version.h>

namespace mvrm::app {

int info(const Arguments& arguments) {
  CLI::App app("Versions, devices and what this build can do.");
  bool json = false;
  app.add_flag("--json", json, "print JSON instead of a table");
  app.footer("Example: mvrm info --json");
  if (!parse(app, arguments)) return 0;

  const bool plugin = dist::load_cuda_plugin({});
  nlohmann::ordered_json document{
      {"mvrm", MVRM_VERSION},
      {"torch", TORCH_VERSION},
      {"libav", mvrm::video::library_version()},
      {"parquet", mvrm::data::reads_parquet()},
      {"cores", std::thread::hardware_concurrency()},
      {"cpu capability", at::get_cpu_capability()},
      {"cuda plug-in", plugin ? "loaded" : "not loaded"},
      {"devices", plugin ? dist::cuda_device_count() : 0},
  };
  if (json) {
    std::cout << document.dump(2) << "\n";
    return 0;
  }
  report::Table table{.header = {"what", "value"}, .rows = {}};
  for (const auto& [key, value] : document.items()) table.rows.push_back({key, value.is_string() ? value.get<std::string>() : value.dump()});
  std::cout << report::to_text(table);
  return 0;
}

}  // namespace mvrm::app
