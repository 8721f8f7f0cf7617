# SPDX-License-Identifier: Apache-2.0
# mvrm_warnings(target): the one place that says what the compiler and the sanitizers check.
function(mvrm_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wno-missing-field-initializers
    -Wno-restrict -Wno-array-bounds -Wno-stringop-overflow)   # false inside std::string of g++ 12 (GCC bugs 105651, 105329)
  if(MVRM_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

if(MVRM_SANITIZE)
  add_compile_options(-fsanitize=${MVRM_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${MVRM_SANITIZE})
endif()
