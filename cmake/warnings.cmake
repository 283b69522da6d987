# Flags that every target of the project shares. No -ffast-math: infinity and NaN stay meaningful.
add_library(falconer_warnings INTERFACE)
target_compile_options(falconer_warnings INTERFACE
    -fno-math-errno -fno-trapping-math -ffp-contract=off
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wdouble-promotion
    -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wcast-qual -Wpointer-arith
    -Wwrite-strings -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough
    $<$<BOOL:${FALCONER_WERROR}>:-Werror>)
