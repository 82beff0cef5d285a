// CPU detection in baseline code: CPUID and XGETBV on x86, compile-time facts elsewhere. Header only: _core and every
// ISA module use it.
#pragma once
#include <cstring>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define QUERNEL_X86 1
#else
#define QUERNEL_X86 0
#endif

namespace quernel {

struct CpuFeatures {
    bool avx2 = false, fma = false, avx512 = false, avx512_bf16 = false, amx_bf16 = false, neon = false;
};

#if QUERNEL_X86
inline unsigned long long xgetbv0() {
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((unsigned long long)high << 32) | low;
}
#endif

inline CpuFeatures detect_cpu() {
    CpuFeatures f;
#if QUERNEL_X86
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return f;
    const bool osxsave = c & (1u << 27), fma = c & (1u << 12);
    const unsigned long long xcr0 = osxsave ? xgetbv0() : 0;
    const bool ymm = (xcr0 & 0x6) == 0x6, zmm = (xcr0 & 0xe6) == 0xe6, tiles = (xcr0 & 0x60000) == 0x60000;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return f;
    f.fma = ymm && fma;
    f.avx2 = ymm && (b & (1u << 5));
    const unsigned f_bw_dq_vl = (1u << 16) | (1u << 30) | (1u << 17) | (1u << 31);
    f.avx512 = zmm && f.avx2 && f.fma && (b & f_bw_dq_vl) == f_bw_dq_vl;
    f.amx_bf16 = tiles && (d & (1u << 22)) && (d & (1u << 24));
    unsigned a1, b1, c1, d1;
    if (__get_cpuid_count(7, 1, &a1, &b1, &c1, &d1)) f.avx512_bf16 = f.avx512 && (a1 & (1u << 5));
#elif defined(__aarch64__)
    f.neon = true;
#endif
    return f;
}

// Whether the module `isa` may run here. avx2 means AVX2 and FMA; avx512 means F, BW, DQ, VL as well.
inline bool cpu_runs(const char* isa) {
    const CpuFeatures f = detect_cpu();
    if (!std::strcmp(isa, "base")) return true;
    if (!std::strcmp(isa, "avx2")) return f.avx2 && f.fma;
    if (!std::strcmp(isa, "avx512")) return f.avx512;
    return false;
}

}  // namespace quernel
