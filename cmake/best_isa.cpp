// Prints the ISAs this machine runs, worst first, separated by semicolons (a CMake list).
#include <cstdio>

#include "core/cpu.hpp"

int main() {
    std::printf("base");
    if (quernel::cpu_runs("avx2")) std::printf(";avx2");
    if (quernel::cpu_runs("avx512")) std::printf(";avx512");
    return 0;
}
