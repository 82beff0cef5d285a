// How many CPUs this process may use: what the system says about affinity, quotas and cores.
#include "core/cpus.hpp"

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace quernel {
namespace {

// The quota in CPUs that one group's folder names, 0 for none: "cpu.max" of version 2, two files of version 1.
double quota_of(const std::string& folder) {
    std::ifstream both(folder + "/cpu.max");
    std::string quota;
    double period = 0;
    if (!(both >> quota >> period)) {
        std::ifstream first(folder + "/cpu.cfs_quota_us"), second(folder + "/cpu.cfs_period_us");
        if (!(first >> quota) || !(second >> period)) return 0;
    }
    const double us = std::atof(quota.c_str());  // "max" and -1 mean none
    return us > 0 && period > 0 ? us / period : 0;
}

bool has_cpu(const std::string& controllers) {  // a comma-separated list; empty for the one tree of version 2
    if (controllers.empty()) return true;
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');)
        if (name == "cpu") return true;
    return false;
}

}  // namespace

int affinity() {
#if defined(_OPENMP)
    return omp_get_num_procs();  // also right under OMP_PROC_BIND, which leaves this thread one CPU of its own
#elif defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
    const unsigned n = std::thread::hardware_concurrency();
    return n ? (int)n : 1;
}

// A group's quota binds every group inside it. In a container the path may be the host's, of which nothing is mounted
// but the container's own group as the top: the walk upwards ends there.
int cgroup_quota(const std::string& root) {
    double least = 0;
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string line; std::getline(groups, line);) {  // "4:cpu,cpuacct:/a/b", "0::/a/b"
        const size_t first = line.find(':'), second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        if (!has_cpu(controllers)) continue;
        std::string path = line.substr(second + 1);
        const std::string top = root + "/sys/fs/cgroup", tree = controllers.empty() ? top : top + "/cpu";
        while (!path.empty() && path.back() == '/') path.pop_back();
        for (;;) {
            const double quota = quota_of(tree + path);
            if (quota > 0 && (least == 0 || quota < least)) least = quota;
            if (path.empty()) break;
            path.erase(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
        }
    }
    return least == 0 ? 0 : least < 1 ? 1 : (int)least;
}

int physical_cores() {
#if defined(__linux__)
    std::set<std::string> cores;
    for (int cpu = 0;; ++cpu) {
        std::ostringstream path;
        path << "/sys/devices/system/cpu/cpu" << cpu << "/topology/";
        std::ifstream package(path.str() + "physical_package_id"), core(path.str() + "core_id");
        std::string p, c;
        if (!(package >> p) || !(core >> c)) break;
        cores.insert(p + ":" + c);
    }
    return (int)cores.size();
#else
    return 0;
#endif
}

}  // namespace quernel
