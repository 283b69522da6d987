# What `cmake --install` puts where. Programs find the library by pkg-config (falconer) or find_package(falconer).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set_target_properties(falconer PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
install(TARGETS falconer RUNTIME)
install(TARGETS falconer_static ARCHIVE)
install(TARGETS falconer_shared EXPORT falconer LIBRARY)
install(DIRECTORY include/falconer TYPE INCLUDE FILES_MATCHING PATTERN "*.h" PATTERN "*.def")

file(RELATIVE_PATH FALCONER_UP "/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/")
configure_file(cmake/falconer.pc.in falconer.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/falconer.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/falconer)
install(EXPORT falconer NAMESPACE falconer:: FILE falconer-config.cmake DESTINATION ${package})
write_basic_package_version_file(
    ${PROJECT_BINARY_DIR}/falconer-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/falconer-config-version.cmake DESTINATION ${package})

# The program writes its own manual pages and completions, so that they cannot differ from it.
set(pages ${PROJECT_BINARY_DIR}/pages)
add_custom_command(OUTPUT ${pages}/done
    COMMAND ${PROJECT_SOURCE_DIR}/tools/write_pages.sh $<TARGET_FILE:falconer> ${pages}
    DEPENDS falconer ${PROJECT_SOURCE_DIR}/tools/write_pages.sh
    VERBATIM)
add_custom_target(pages DEPENDS ${pages}/done)
install(DIRECTORY ${pages}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
install(FILES ${pages}/falconer.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME falconer)
install(FILES ${pages}/_falconer DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${pages}/falconer.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

# A unit for systemd, where the prefix has units.
configure_file(deploy/falconer.service.in falconer.service @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/falconer.service DESTINATION lib/systemd/system)

add_custom_target(product ALL DEPENDS falconer falconer_static falconer_shared pages)
