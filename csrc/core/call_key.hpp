// What two calls of a kernel must share for one to be made as the other was: a sequence of numbers that says it.
#pragma once
#include <Python.h>

#include <cstdint>
#include <vector>

namespace quernel {

using CallKey = std::vector<int64_t>;

struct HashCallKey {
    size_t operator()(const CallKey& key) const {
        uint64_t h = key.size();
        for (int64_t word : key) {
            h = (h ^ (uint64_t)word) * 0x9E3779B97F4A7C15u;
            h ^= h >> 29;
        }
        return h;
    }
};

// Each adds what it says to the key, or returns false where a closer look is needed.
bool describe_array(PyObject* object, CallKey& key);  // or None; dtype, shape, and whether it may be written
void describe_text(PyObject* text, CallKey& key);
bool describe_value(PyObject* value, CallKey& key);  // of an attribute: a number, text, None, or a tuple of such
bool describe_out(PyObject* out, CallKey& key);      // an array in C order

}  // namespace quernel
