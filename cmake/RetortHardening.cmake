# What makes a mistake in memory end a process instead of handing it over, wherever compiler and
# linker have it: canaries, checked string functions, no gaps under the stack, branch targets that
# are marked, addresses that differ from start to start, tables that are read-only after the start.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)

foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE)
  string(MAKE_C_IDENTIFIER "RT_HAS${flag}" has)
  check_c_compiler_flag(${flag} ${has})
  if(${has})
    target_compile_options(rt_settings INTERFACE ${flag})
  endif()
endforeach()

# Needs an optimiser, and gets in the way of the sanitizers' own checks.
if(NOT RT_SANITIZE)
  set(CMAKE_REQUIRED_FLAGS "-O2 -Werror")
  check_c_compiler_flag("-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3" RT_HAS_FORTIFY_3)
  unset(CMAKE_REQUIRED_FLAGS)
  set(level 2)
  if(RT_HAS_FORTIFY_3)
    set(level 3)
  endif()
  target_compile_options(rt_settings INTERFACE
    "$<$<NOT:$<OR:$<CONFIG:Debug>,$<BOOL:$<TARGET_PROPERTY:RT_TEST_PROGRAM>>>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=${level}>")
endif()

foreach(flag -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,separate-code)
  string(MAKE_C_IDENTIFIER "RT_LINKS${flag}" has)
  check_linker_flag(C ${flag} ${has})
  if(${has})
    target_link_options(rt_settings INTERFACE ${flag})
  endif()
endforeach()
