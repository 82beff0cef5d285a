// The op table of one ISA, from ops.def.
#include "base/op.hpp"

namespace quernel {
namespace QUERNEL_ISA {

#define QUERNEL_OP(name, inputs, outputs) \
    bool name##_prepare(Call&);           \
    void name##_run(const Call&, const Team&, char*);
#include "ops.def"
#undef QUERNEL_OP

static constexpr Op ops[] = {
#define QUERNEL_OP(name, inputs, outputs) {#name, inputs, outputs, name##_prepare, name##_run},
#include "ops.def"
#undef QUERNEL_OP
};

#define QUERNEL_TEXT_(x) #x
#define QUERNEL_TEXT(x) QUERNEL_TEXT_(x)

extern const Probe probes[PROBES];
extern const Table table;
const Table table = {QUERNEL_TEXT(QUERNEL_ISA), __VERSION__, (int32_t)(sizeof(ops) / sizeof(ops[0])),
                     (int32_t)sizeof(Call),     ops,         probes};

}  // namespace QUERNEL_ISA
}  // namespace quernel
