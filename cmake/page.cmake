# The chat page inside the program: its files as they are in the tree, and what it takes from npm, bundled in the build tree.
option(FALCONER_PAGE_LIBRARIES "Bundle Markdown for the chat page from npm; without it the page shows plain text" ON)
find_program(FALCONER_NPM npm)
set(npm "")
if(FALCONER_PAGE_LIBRARIES AND FALCONER_NPM)
    set(npm ${FALCONER_NPM})
endif()

set(web ${CMAKE_CURRENT_SOURCE_DIR}/web)
set(made ${CMAKE_CURRENT_BINARY_DIR}/web)
file(GLOB files CONFIGURE_DEPENDS ${web}/*.html ${web}/*.css ${web}/*.js ${web}/*.svg)
list(FILTER files EXCLUDE REGEX "/libraries(_none)?\\.js$")
list(APPEND files ${made}/libraries.js ${made}/licenses.txt)

add_custom_command(OUTPUT ${made}/libraries.js ${made}/licenses.txt
    COMMAND ${PROJECT_SOURCE_DIR}/tools/bundle_page.sh ${web} ${made} ${PROJECT_SOURCE_DIR}/NOTICE ${npm}
    DEPENDS ${PROJECT_SOURCE_DIR}/tools/bundle_page.sh ${PROJECT_SOURCE_DIR}/NOTICE
        ${web}/libraries.js ${web}/libraries_none.js ${web}/package-lock.json
    COMMENT "Bundling the chat page" VERBATIM)
add_custom_command(OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/page_files.c
    COMMAND ${CMAKE_COMMAND} -D "OUT=${CMAKE_CURRENT_BINARY_DIR}/page_files.c" -D "FILES=${files}"
        -P ${PROJECT_SOURCE_DIR}/cmake/embed_page.cmake
    DEPENDS ${files} ${PROJECT_SOURCE_DIR}/cmake/embed_page.cmake VERBATIM)
