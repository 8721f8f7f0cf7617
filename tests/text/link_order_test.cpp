// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <sentencepiece_processor.h>
#include <string>

namespace {

// libsentencepiece keeps an object of 32 bytes under the name FLAGS_minloglevel, libc10 an int: the library that comes first in the link
// gives its storage to both. With libc10's, starting sentencepiece writes over what lies behind the int.
TEST(LinkOrder, TheLargerFlagOfTwoLibrariesWins) {
  void* flag = dlsym(RTLD_DEFAULT, "FLAGS_minloglevel");
  if (flag == nullptr) GTEST_SKIP() << "neither library exports the flag any more";
  const sentencepiece::SentencePieceProcessor processor;   // so that the library is linked
  Dl_info info{};
  ASSERT_NE(dladdr(flag, &info), 0);
  EXPECT_NE(std::string(info.dli_fname).find("sentencepiece"), std::string::npos) << info.dli_fname << " comes before libsentencepiece in the link";
}

}  // namespace
