# rt_embed(NAME FILES ...)   a library rt_NAME, alias rt::NAME, with the table
#     const rt_embedded_file NAME[];      (common/base/embedded_file.h; ends with a NULL name)
# declared in the generated header "FOLDER/NAME.h" of the folder that calls it. A file is known by its own name, or by the one behind a
# "=": /usr/share/javascript/chart.js/Chart.bundle.min.js=chart.js
find_program(GZIP_PROGRAM gzip)

function(rt_embed name)
  cmake_parse_arguments(ARG "" "" "FILES" ${ARGN})
  file(RELATIVE_PATH folder "${CMAKE_SOURCE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}")
  set(out "${CMAKE_BINARY_DIR}/embedded/${folder}/${name}")
  file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/embedded/${folder}")
  set(files "")
  set(inputs "")
  foreach(file ${ARG_FILES})
    string(REGEX REPLACE "=[^=/]*$" "" path "${file}")
    get_filename_component(path "${path}" ABSOLUTE)
    string(REGEX MATCH "[^=/]*$" known "${file}")
    list(APPEND inputs "${path}")
    list(APPEND files "${path}=${known}")
  endforeach()
  string(REPLACE ";" "|" files "${files}")
  add_custom_command(OUTPUT "${out}.c" "${out}.h"
    COMMAND "${CMAKE_COMMAND}" "-DNAME=${name}" "-DOUT=${out}" "-DFILES=${files}" "-DGZIP=${GZIP_PROGRAM}"
            -P "${CMAKE_SOURCE_DIR}/cmake/embed.cmake"
    DEPENDS ${inputs} "${CMAKE_SOURCE_DIR}/cmake/embed.cmake"
    COMMENT "Embedding ${name}" VERBATIM)
  rt_library(${name} SOURCES "${out}.c" "${out}.h" DEPS rt::base)
  target_include_directories(rt_${name} PUBLIC "${CMAKE_BINARY_DIR}/embedded")
endfunction()
