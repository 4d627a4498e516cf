# `cmake --install`: program, manual pages, completion, docs, examples, licence. CPack makes a Debian
# package of the same (`./dev package`).
include(GNUInstallDirs)

# Pages are written by the program itself, so a build for another machine (sanitizers, fuzzing) has none.
set(pages "${CMAKE_BINARY_DIR}/pages")
if(NOT RT_SANITIZE AND NOT RT_FUZZ)
  add_custom_command(OUTPUT "${pages}/made"
    COMMAND ${CMAKE_COMMAND} -DRETORT=$<TARGET_FILE:retort> -DOUT=${pages}
            -DCHANGELOG=${CMAKE_SOURCE_DIR}/CHANGELOG.md -P "${CMAKE_SOURCE_DIR}/cmake/WritePages.cmake"
    DEPENDS retort "${CMAKE_SOURCE_DIR}/cmake/WritePages.cmake" "${CMAKE_SOURCE_DIR}/CHANGELOG.md" VERBATIM)
  add_custom_target(pages ALL DEPENDS "${pages}/made")
  install(DIRECTORY "${pages}/man1" DESTINATION "${CMAKE_INSTALL_MANDIR}")
  install(FILES "${pages}/completion.bash" RENAME retort
    DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
  install(FILES "${pages}/completion.zsh" RENAME _retort
    DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions")
  install(FILES "${pages}/completion.fish" RENAME retort.fish
    DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
  install(FILES "${pages}/changelog.gz" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
endif()

install(TARGETS retort DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(TARGETS arithmetic-problems DESTINATION "${CMAKE_INSTALL_LIBEXECDIR}/retort")
install(FILES README.md LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(FILES LICENSE RENAME copyright DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY docs/ DESTINATION "${CMAKE_INSTALL_DOCDIR}/docs")
install(DIRECTORY examples DESTINATION "${CMAKE_INSTALL_DOCDIR}" USE_SOURCE_PERMISSIONS
  PATTERN data EXCLUDE PATTERN CMakeLists.txt EXCLUDE PATTERN "*.c" EXCLUDE PATTERN "*.h" EXCLUDE)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME retort)
set(CPACK_PACKAGE_VENDOR "The Retort authors")
set(CPACK_PACKAGE_CONTACT "The Retort authors <retort@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "distil a large language model into a small one, step by step")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"You bring an unlabeled corpus, a prompt and a teacher; you take away a
labelled dataset with rationales and a small trained student that runs
on your own servers. One program plays every role, on one machine or on
a cluster: coordinator, teachers, students, parameter servers.")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# The OpenMP build, by name: libopenblas.so.0 alone may be one with threads of its own.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libopenblas0-openmp")
# `retort run` starts a Redis of its own; a worker of a cluster needs none.
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "redis-server, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "bash-completion, man-db")
include(CPack)
