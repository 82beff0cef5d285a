// bits: prints a hash of every output of every case in tests/bits_cases.txt, without Python. Linked with one ISA's
// kernels.
//
//   bits_avx512 tests/bits_cases.txt            prints "case hash" lines, the content of tests/bits.txt
//   bits_avx512 tests/bits_cases.txt bits.txt   compares with a file; exit 1 and the names where a hash differs
//
// The hashes are public API (docs/numerics.md): the same for avx2 and avx512 and for every compiler.
// A line of the case file:  name op | view view ... | view ... | ints | floats
// with a view  dtype:AxBxC:kind:low:high[:v,v,...]  ("-" for an absent input); the first group are inputs, the second
// outputs (kind "none", or the initial content of an array that the op updates in place).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/op.hpp"
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace quernel {
namespace QUERNEL_ISA {
extern const Table table;
}
}  // namespace quernel
using namespace quernel;

// Philox4x32-10 (Salmon et al., 2011), written out here so that the inputs do not come from the code under test.
static uint32_t philox(uint64_t counter, uint32_t key0, uint32_t key1) {
    uint32_t c[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), 0, 0};
    for (int round = 0; round < 10; ++round) {
        const uint64_t a = (uint64_t)0xD2511F53u * c[0], b = (uint64_t)0xCD9E8D57u * c[2];
        const uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ key0, (uint32_t)b, (uint32_t)(a >> 32) ^ c[3] ^ key1,
                                  (uint32_t)a};
        std::memcpy(c, next, sizeof(c));
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return c[0];
}

static uint64_t hash_bytes(const unsigned char* p, size_t n, uint64_t h = 0xcbf29ce484222325ull) {
    for (size_t i = 0; i < n; ++i) h = (h ^ p[i]) * 0x100000001b3ull;
    return h;
}

static std::vector<std::string> parts(const std::string& text, char mark) {
    std::vector<std::string> out;
    std::stringstream stream(text);
    for (std::string piece; std::getline(stream, piece, mark);) out.push_back(piece);
    return out;
}

struct Buffer {
    View view;
    std::vector<unsigned char> bytes;
};

static void put(Buffer& b, size_t i, double value) {
    switch (b.view.dtype) {
        case F32:
            b.view.as<float>()[i] = (float)value;
            break;
        case F64:
            b.view.as<double>()[i] = value;
            break;
        case I32:
            b.view.as<int32_t>()[i] = (int32_t)value;
            break;
        case I64:
            b.view.as<int64_t>()[i] = (int64_t)value;
            break;
        default:
            b.bytes[i] = (unsigned char)value;
    }
}

static void fill(Buffer& b, const std::string& text, uint32_t key) {
    View& v = b.view;
    std::memset(&v, 0, sizeof(v));
    if (text == "-") {
        v.rank = -1;
        return;
    }
    const std::vector<std::string> f = parts(text, ':');
    static const std::map<std::string, int> codes = {{"float32", F32}, {"float64", F64}, {"int32", I32},
                                                     {"int64", I64},   {"uint8", U8},    {"bool", B8}};
    v.dtype = codes.at(f[0]);
    for (const std::string& n : parts(f[1], 'x')) v.shape[v.rank++] = std::atoll(n.c_str());
    ptrdiff_t stride = 1;
    for (int d = v.rank - 1; d >= 0; --d) {
        v.stride[d] = stride;
        stride *= v.shape[d];
    }
    const size_t n = (size_t)v.size();
    b.bytes.assign(n * item_size(v.dtype) + 64, 0);
    v.data = reinterpret_cast<char*>(b.bytes.data());
    const double low = std::atof(f[3].c_str()), high = std::atof(f[4].c_str());
    if (f[2] == "given") {
        const std::vector<std::string> data = parts(f[5], ',');
        for (size_t i = 0; i < n; ++i) put(b, i, std::atof(data[i].c_str()));
    } else if (f[2] == "integers") {
        const uint64_t span = (uint64_t)(high - low);
        for (size_t i = 0; i < n; ++i) put(b, i, low + (double)(philox(i, key, 1) % span));
    } else if (f[2] == "uniform") {
        for (size_t i = 0; i < n; ++i) put(b, i, low + (high - low) * (philox(i, key, 1) >> 8) / 16777216.0);
    }
}

int main(int count, char** arguments) {
    if (count < 2) {
        std::fprintf(stderr, "usage: bits CASES [EXPECTED]\n");
        return 2;
    }
    std::map<std::string, std::string> expected;
    if (count > 2) {
        std::ifstream file(arguments[2]);
        for (std::string name, hash; file >> name >> hash;) expected[name] = hash;
    }
    const Table& table = QUERNEL_ISA::table;
    std::ifstream file(arguments[1]);
    int wrong = 0, done = 0;
    for (std::string line; std::getline(file, line);) {
        const std::vector<std::string> group = parts(line, '|');
        std::stringstream head(group[0]);
        std::string name, op_name;
        head >> name >> op_name;
        const Op* op = nullptr;
        for (int i = 0; i < table.count; ++i)
            if (op_name == table.ops[i].name) op = &table.ops[i];
        if (!op) {
            std::fprintf(stderr, "%s: no op %s in the table\n", name.c_str(), op_name.c_str());
            return 1;
        }
        const uint32_t key = (uint32_t)hash_bytes((const unsigned char*)name.data(), name.size());
        std::vector<Buffer> in, out;
        for (int side = 0; side < 2; ++side) {
            std::stringstream views(group[1 + side]);
            std::vector<Buffer>& target = side ? out : in;
            uint32_t index = 0;
            for (std::string text; views >> text;) {
                target.emplace_back();
                fill(target.back(), text, key + 101 * index++ + 7919 * side);
            }
        }
        std::vector<int64_t> ints;
        std::vector<double> floats;
        std::stringstream a(group[3]), b(group.size() > 4 ? group[4] : "");
        for (int64_t i; a >> i;) ints.push_back(i);
        for (std::string x; b >> x;) floats.push_back(std::strtod(x.c_str(), nullptr));
        std::vector<View> in_views, out_views;
        for (Buffer& x : in) in_views.push_back(x.view);
        for (Buffer& x : out) out_views.push_back(x.view);
        Call call;
        std::memset(&call, 0, sizeof(call));
        call.in = in_views.data();
        call.out = out_views.data();
        call.n_in = (int32_t)in_views.size();
        call.n_out = (int32_t)out_views.size();
        call.ints = ints.data();
        call.floats = floats.data();
        call.n_ints = (int32_t)ints.size();
        call.n_floats = (int32_t)floats.size();
        call.threads = 1;
        call.ranks = 1;
        call.wake_us = 8;
        if (!op->prepare(call)) {
            std::fprintf(stderr, "%s: %s\n", name.c_str(), call.error);
            return 1;
        }
        std::vector<char> scratch((size_t)call.scratch + 128);
        char* room = scratch.data() + (64 - (uintptr_t)scratch.data() % 64) % 64;
        int32_t bad = 0;
#if defined(__SSE2__)
        const unsigned before = _mm_getcsr();
        _mm_setcsr(before | 0x8040);  // as the team does
#endif
        op->run(call, Team{0, 1, &bad, nullptr, nullptr}, room);
#if defined(__SSE2__)
        _mm_setcsr(before);
#endif
        uint64_t h = 0xcbf29ce484222325ull;
        for (Buffer& o : out) {
            if (o.view.absent()) continue;
            const size_t n = (size_t)o.view.size();
            if (o.view.dtype == F32)
                for (size_t i = 0; i < n; ++i)
                    if (o.view.as<float>()[i] != o.view.as<float>()[i]) o.view.as<uint32_t>()[i] = 0x7fc00000u;
            if (o.view.dtype == F64)
                for (size_t i = 0; i < n; ++i)
                    if (o.view.as<double>()[i] != o.view.as<double>()[i])
                        o.view.as<uint64_t>()[i] = 0x7ff8000000000000ull;
            h = hash_bytes(o.bytes.data(), n * item_size(o.view.dtype), h);
        }
        char text[17];
        std::snprintf(text, sizeof(text), "%016llx", (unsigned long long)h);
        ++done;
        if (count == 2) {
            std::printf("%s %s\n", name.c_str(), text);
        } else if (expected[name] != text) {
            ++wrong;
            std::printf("%s: expected %s, received %s\n", name.c_str(), expected[name].c_str(), text);
        }
    }
    if (count > 2) std::printf("%s, %s: %d cases, %d differ\n", table.isa, table.compiler, done, wrong);
    return wrong || !done;
}
