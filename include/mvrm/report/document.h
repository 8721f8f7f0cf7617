// SPDX-License-Identifier: Apache-2.0
// A report as a list of blocks, written once and rendered as Markdown or as one self-contained HTML page. Not here: the numbers.
#pragma once
#include <mvrm/report/table.h>
#include <string>
#include <variant>
#include <vector>

namespace mvrm::report {

struct Heading { std::string text; int level = 2; };   // level 2 or 3; the title is level 1
struct Paragraph { std::string text; };                // plain text; `backquotes` mark code
struct CodeBlock { std::string text; };
struct Figure { std::string name, caption, svg; };     // name: file name without extension

struct Document {
  std::string title;
  std::vector<std::variant<Heading, Paragraph, Table, CodeBlock, Figure>> blocks;
};

// Figures become links to NAME.svg, which write_document() puts beside the file.
std::string to_markdown(const Document& document);
// One page without scripts or outside resources: styles and figures are inside, everything from data is escaped.
std::string to_html(const Document& document);
// Writes DIRECTORY/NAME.md, NAME.html and one NAME.svg for each figure, each atomically. Throws Error (io).
void write_document(const std::string& directory, const std::string& name, const Document& document);

}  // namespace mvrm::report
