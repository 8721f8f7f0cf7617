// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <limits>
#include <mvrm/report/table.h>

namespace {

using mvrm::report::fixed;
using mvrm::report::Table;

TEST(Table, TextAlignsColumns) {
  const Table table{.header = {"arm", "x"}, .rows = {{"ddr", "1.50"}, {"naïve", "12.25"}}};
  EXPECT_EQ(mvrm::report::to_text(table), "arm        x\n------------\nddr     1.50\nnaïve  12.25\n");
}

TEST(Table, MarkdownEscapesBars) {
  const Table table{.header = {"a", "b"}, .rows = {{"x|y", "1"}}};
  EXPECT_EQ(mvrm::report::to_markdown(table), "| a | b |\n|---|---:|\n| x\\|y | 1 |\n");
}

TEST(Table, NumbersAreFixedAndNanIsNotAvailable) {
  EXPECT_EQ(fixed(78.78020, 4), "78.7802");
  EXPECT_EQ(fixed(std::numeric_limits<double>::quiet_NaN(), 2), "n/a");
}

}  // namespace
