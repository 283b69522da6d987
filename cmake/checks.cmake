# `check`: the project's own rules and the format of the sources, without compiling anything.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
find_program(FALCONER_CLANG_FORMAT NAMES clang-format-14 clang-format)

set(FALCONER_CHECKS layers names sizes docs)
set(check_commands)
foreach(check ${FALCONER_CHECKS})
    list(APPEND check_commands
        COMMAND Python3::Interpreter ${PROJECT_SOURCE_DIR}/tools/check_${check}.py ${PROJECT_SOURCE_DIR})
endforeach()
add_custom_target(check ${check_commands}
    COMMAND ${PROJECT_SOURCE_DIR}/tools/check_format.sh ${PROJECT_SOURCE_DIR} ${FALCONER_CLANG_FORMAT}
    VERBATIM)
