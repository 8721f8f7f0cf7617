// SPDX-License-Identifier: Apache-2.0
// A look at the bytes of a SentencePiece model before the library parses them: what it would follow blindly or blow up in memory.
#pragma once
#include <filesystem>
#include <string_view>

namespace mvrm::text {

// Throws Error (model) naming the file when the outer structure is cut or malformed, when there are more than 131,072 pieces (each costs
// some 200 bytes), or when text is to be normalised by a table: the models of this family have none, and the library trusts its offsets.
void check_sentencepiece(std::string_view bytes, const std::filesystem::path& path);

}  // namespace mvrm::text
