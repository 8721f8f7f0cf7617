// SPDX-License-Identifier: Apache-2.0
// docs/config.md is its introduction and what the description of the configuration says; MVRM_WRITE_DOCS=1 writes it anew.
#include <cstdlib>
#include <gtest/gtest.h>
#include <mvrm/config/yaml_reader.h>
#include <mvrm/core/files.h>
#include <mvrm/run/run_config.h>

namespace {

using namespace mvrm;

TEST(ConfigDocs, AreWhatTheProgramReads) {
  const std::filesystem::path path = std::filesystem::path(MVRM_SOURCE_DIR) / "docs" / "config.md";
  const std::string tables = config::to_markdown(run::RunConfig{}), page = core::read_file(path);
  const size_t begin = page.find("\n## `run`");
  if (std::getenv("MVRM_WRITE_DOCS") != nullptr) core::write_file_atomic(path, page.substr(0, begin) + "\n" + tables);
  ASSERT_NE(begin, std::string::npos);
  EXPECT_EQ(page.substr(begin + 1), tables) << "MVRM_WRITE_DOCS=1 and this test write it anew";
}

}  // namespace
