// SPDX-License-Identifier: Apache-2.0
#include <filesystem>
#include <mvrm/core/files.h>
#include <mvrm/report/document.h>
#include <mvrm/report/markup.h>

namespace mvrm::report {

namespace {

template <class... Visitors> struct Overloaded : Visitors... { using Visitors::operator()...; };
template <class... Visitors> Overloaded(Visitors...) -> Overloaded<Visitors...>;

constexpr const char* kStyle =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}"
    "h1,h2,h3{line-height:1.2}table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}"
    "th,td{padding:.3rem .7rem;border-bottom:1px solid #d8dee4;text-align:right;font-variant-numeric:tabular-nums}"
    "th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #57606a}"
    "pre{background:#f6f8fa;padding:.8rem;overflow-x:auto}code{background:#f6f8fa}figure{margin:1.5rem 0}figcaption{color:#57606a}"
    "@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre,code{background:#161b22}th,td{border-color:#30363d}"
    "figure svg{background:#fff}}";

// Text between backquotes becomes code; an odd one stays as it is.
std::string inline_html(const std::string& text) {
  std::string out;
  size_t begin = 0;
  while (true) {
    const size_t open = text.find('`', begin);
    const size_t close = open == std::string::npos ? open : text.find('`', open + 1);
    if (close == std::string::npos) return out + escaped(text.substr(begin));
    out += escaped(text.substr(begin, open - begin)) + "<code>" + escaped(text.substr(open + 1, close - open - 1)) + "</code>";
    begin = close + 1;
  }
}

std::string table_html(const Table& table) {
  const auto row = [](const std::vector<std::string>& cells, const char* tag) {
    std::string line = "<tr>";
    for (const auto& cell : cells) line += std::string("<") + tag + ">" + escaped(cell) + "</" + tag + ">";
    return line + "</tr>\n";
  };
  std::string html = "<table>\n<thead>" + row(table.header, "th") + "</thead>\n<tbody>\n";
  for (const auto& cells : table.rows) html += row(cells, "td");
  return html + "</tbody>\n</table>\n";
}

}  // namespace

std::string to_markdown(const Document& document) {
  std::string text = "# " + document.title + "\n";
  for (const auto& block : document.blocks) {
    text += "\n" + std::visit(Overloaded{
        [](const Heading& heading) { return std::string(static_cast<size_t>(heading.level), '#') + " " + heading.text + "\n"; },
        [](const Paragraph& paragraph) { return paragraph.text + "\n"; },
        [](const Table& table) { return to_markdown(table); },
        [](const CodeBlock& code) { return "```\n" + code.text + (code.text.ends_with('\n') ? "" : "\n") + "```\n"; },
        [](const Figure& figure) { return "![" + figure.caption + "](" + figure.name + ".svg)\n"; },
    }, block);
  }
  return text;
}

std::string to_html(const Document& document) {
  std::string html = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>" +
                     escaped(document.title) + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n<h1>" + escaped(document.title) + "</h1>\n";
  for (const auto& block : document.blocks) {
    html += std::visit(Overloaded{
        [](const Heading& heading) {
          const std::string tag = "h" + std::to_string(heading.level);
          return "<" + tag + ">" + escaped(heading.text) + "</" + tag + ">\n";
        },
        [](const Paragraph& paragraph) { return "<p>" + inline_html(paragraph.text) + "</p>\n"; },
        [](const Table& table) { return table_html(table); },
        [](const CodeBlock& code) { return "<pre>" + escaped(code.text) + "</pre>\n"; },
        [](const Figure& figure) { return "<figure>\n" + figure.svg + "<figcaption>" + escaped(figure.caption) + "</figcaption>\n</figure>\n"; },
    }, block);
  }
  return html + "</body>\n</html>\n";
}

void write_document(const std::string& directory, const std::string& name, const Document& document) {
  const std::filesystem::path folder(directory);
  std::filesystem::create_directories(folder);
  for (const auto& block : document.blocks) {
    if (const auto* figure = std::get_if<Figure>(&block)) core::write_file_atomic(folder / (figure->name + ".svg"), figure->svg);
  }
  core::write_file_atomic(folder / (name + ".md"), to_markdown(document));
  core::write_file_atomic(folder / (name + ".html"), to_html(document));
}

}  // namespace mvrm::report
