# rt_library(NAME SOURCES ... DEPS ...)   a static library `rt_NAME`, alias rt::NAME
# rt_test(PATH DEPS...)                   a Criterion program tests/unit/PATH.c, test name unit/PATH
# rt_test_optimised(PATH)                 compiles that one with an optimiser, unlike the others
# rt_race_test(NAME DEPS...)              tests/race/NAME.c, a plain main() program, with RT_RACE
# rt_fuzz(NAME DEPS...)                   tests/fuzz/fuzz_NAME.c: libFuzzer with RT_FUZZ, else a
#                                         program that replays the seed corpus as a test

add_library(rt_settings INTERFACE)
target_include_directories(rt_settings INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_features(rt_settings INTERFACE c_std_17 cxx_std_17)
target_compile_definitions(rt_settings INTERFACE _GNU_SOURCE RT_VERSION="${PROJECT_VERSION}")
target_compile_options(rt_settings INTERFACE
  $<$<BOOL:${RT_MARCH}>:-march=${RT_MARCH}>
  -fno-math-errno
  $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes
    -Wmissing-prototypes -Wvla -Wformat=2 -Wundef -Wno-missing-field-initializers>
  $<$<BOOL:${RT_WERROR}>:-Werror>)
# Hundreds of test programs: linked by mold where it is there, compiled without an optimiser. What
# they test is built as ever.
find_program(RT_MOLD mold)
set(RT_TEST_LINK $<$<BOOL:${RT_MOLD}>:-fuse-ld=mold>)
function(rt_test_program target)
  set_target_properties(${target} PROPERTIES RT_TEST_PROGRAM ON)
  target_compile_options(${target} PRIVATE -O0 -g1)
  target_link_options(${target} PRIVATE ${RT_TEST_LINK})
endfunction()

if(RT_SANITIZE)
  target_link_options(rt_settings INTERFACE $<$<C_COMPILER_ID:GNU>:${RT_TEST_LINK}>)
  target_compile_options(rt_settings INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(rt_settings INTERFACE -fsanitize=address,undefined)
endif()
if(RT_RACE)
  target_compile_options(rt_settings INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(rt_settings INTERFACE -fsanitize=thread)
endif()
if(RT_FAULTS)
  target_compile_definitions(rt_settings INTERFACE RT_FAULTS)
endif()
if(RT_FUZZ)
  target_compile_options(rt_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()

function(rt_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(rt_${name} STATIC ${ARG_SOURCES})
  add_library(rt::${name} ALIAS rt_${name})
  target_link_libraries(rt_${name} PUBLIC rt_settings ${ARG_DEPS})
endfunction()

set(RT_TEST_ENV
  "ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1"
  "UBSAN_OPTIONS=print_stacktrace=1"
  "RT_SOURCE_DIR=${CMAKE_SOURCE_DIR}"
  "RT_BUILD_DIR=${CMAKE_BINARY_DIR}")
# LeakSanitizer under Criterion prints its report and lets the test pass: read the text.
set(RT_TEST_FAIL "(Leak|Address|Thread)Sanitizer;runtime error:")

function(rt_test path)
  string(REPLACE "/" "_" target "unit_${path}")
  get_filename_component(source "${path}" NAME)
  add_executable(${target} "${CMAKE_SOURCE_DIR}/tests/unit/${path}.c")
  rt_test_program(${target})
  target_link_libraries(${target} PRIVATE rt_settings ${ARGN} criterion)
  add_test(NAME unit/${path} COMMAND ${target} -j1)
  set_tests_properties(unit/${path} PROPERTIES LABELS unit TIMEOUT 300
    ENVIRONMENT "${RT_TEST_ENV}" FAIL_REGULAR_EXPRESSION "${RT_TEST_FAIL}")
endfunction()

# One whose own loops take longer than an optimiser.
function(rt_test_optimised path)
  string(REPLACE "/" "_" target "unit_${path}")
  target_compile_options(${target} PRIVATE -O1)
endfunction()

# A test once more as on a processor without products of bfloat16: by the plain loops.
function(rt_test_without_bf16 path)
  string(REPLACE "/" "_" target "unit_${path}")
  add_test(NAME unit/${path}_without_bf16 COMMAND ${target} -j1)
  set_tests_properties(unit/${path}_without_bf16 PROPERTIES LABELS unit TIMEOUT 300
    ENVIRONMENT "DNNL_MAX_CPU_ISA=AVX2;${RT_TEST_ENV}" FAIL_REGULAR_EXPRESSION "${RT_TEST_FAIL}")
endfunction()

function(rt_race_test name)
  set(target race_${name})
  add_executable(${target} "${CMAKE_SOURCE_DIR}/tests/race/${name}.c")
  target_link_libraries(${target} PRIVATE rt_settings rt::temp_folder Threads::Threads ${ARGN})
  add_dependencies(race_targets ${target})
  add_test(NAME race/${name} COMMAND ${target})
  set_tests_properties(race/${name} PROPERTIES LABELS race TIMEOUT 300
    ENVIRONMENT "TSAN_OPTIONS=suppressions=${CMAKE_SOURCE_DIR}/tests/race/suppressions.txt"
    FAIL_REGULAR_EXPRESSION "${RT_TEST_FAIL}")
endfunction()

function(rt_fuzz name)
  set(target fuzz_${name})
  set(seeds "${CMAKE_SOURCE_DIR}/tests/fuzz/seeds/${name}")
  if(RT_FUZZ)
    add_executable(${target} "${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_${name}.c")
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    add_test(NAME fuzz/${name} COMMAND ${target} -runs=20000 -max_total_time=20 ${seeds})
  else()
    add_executable(${target} "${CMAKE_SOURCE_DIR}/tests/fuzz/fuzz_${name}.c"
      "${CMAKE_SOURCE_DIR}/tests/fuzz/replay.c")
    add_test(NAME fuzz/${name} COMMAND ${target} ${seeds})
  endif()
  target_link_libraries(${target} PRIVATE rt_settings ${ARGN})
  add_dependencies(fuzz_targets ${target})
  set_tests_properties(fuzz/${name} PROPERTIES LABELS fuzz TIMEOUT 300
    ENVIRONMENT "${RT_TEST_ENV}" FAIL_REGULAR_EXPRESSION "${RT_TEST_FAIL}")
endfunction()
