// How many CPUs this process may use: affinity, the quota of its control groups, physical cores.
#pragma once
#include <string>

namespace quernel {

int affinity();  // CPUs that the process may run on

// The least quota in CPUs of the process's cgroup and the groups around it, rounded down, at least 1; 0 where there is
// none. `root` stands before /proc and /sys: empty but in tests.
int cgroup_quota(const std::string& root = "");

int physical_cores();  // 0 where unknown

}  // namespace quernel
