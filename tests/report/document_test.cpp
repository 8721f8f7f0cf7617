// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <mvrm/report/document.h>

namespace {

using namespace mvrm::report;

Document sample() {
  return {.title = "A <report>",
          .blocks = {Heading{"Numbers"}, Paragraph{"Run `mvrm info`, 1 < 2 & `odd"}, Table{.header = {"arm", "x"}, .rows = {{"a&b", "1"}}},
                     CodeBlock{"mvrm demo"}, Figure{.name = "scatter", .caption = "Risk", .svg = "<svg></svg>\n"}}};
}

TEST(Document, Markdown) {
  EXPECT_EQ(to_markdown(sample()),
            "# A <report>\n\n## Numbers\n\nRun `mvrm info`, 1 < 2 & `odd\n\n| arm | x |\n|---|---:|\n| a&b | 1 |\n\n```\nmvrm demo\n```\n\n![Risk](scatter.svg)\n");
}

TEST(Document, HtmlEscapesWhatComesFromData) {
  const std::string html = to_html(sample());
  EXPECT_NE(html.find("<h1>A &lt;report&gt;</h1>"), std::string::npos);
  EXPECT_NE(html.find("<p>Run <code>mvrm info</code>, 1 &lt; 2 &amp; `odd</p>"), std::string::npos);
  EXPECT_NE(html.find("<td>a&amp;b</td>"), std::string::npos);
  EXPECT_NE(html.find("<svg></svg>"), std::string::npos) << "figures are inside the page";
  EXPECT_EQ(html.find("<script"), std::string::npos);
}

}  // namespace
