use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::branch::{own_of, slice_of};
use super::delegate::is_delegated;
use super::mounts::{self, Hierarchy, Version};
use super::reading::UNLIMITED;
use super::{Controller, knob};

/// The limits of the control groups above this process and above its slice: the tightest limit of each kind,
/// in v1 and v2.
///
/// The limits are read, never tried. Unreadable limits (cgroups not mounted, as in some containers) do not
/// count. The use of a limit by other processes of the same groups is not known here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Above {
    /// Limit of memory, in bytes.
    pub memory: Option<LimitAbove>,
    /// Limit of CPU time, in 1/10,000 of a CPU.
    pub cpu: Option<LimitAbove>,
}

/// A limit, and the group that sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitAbove {
    /// The limit's amount.
    pub amount: u64,
    /// Folder of the control group.
    pub group: PathBuf,
}

impl Above {
    /// Reads the present limits. `root` is `/` except in tests. `slice` is the parent of the workers' groups
    /// ([`super::Cgroups::detect`]), if there are to be any.
    #[must_use]
    pub fn read(root: &Path, slice: Option<&str>) -> Self {
        let mut above = Self::default();
        for hierarchy in mounts::of_this_process(root).unwrap_or_default() {
            for group in groups(&hierarchy, slice) {
                let folder = mounts::inside(root, &group);
                if hierarchy.carries(Controller::Memory) {
                    tighten(&mut above.memory, memory_limit(hierarchy.version, &folder), &group);
                }
                if hierarchy.carries(Controller::Cpu) {
                    tighten(&mut above.cpu, cpu_quota(hierarchy.version, &folder), &group);
                }
            }
        }
        above
    }
}

impl Above {
    /// The files that [`Above::read`] reads below the groups. Files that do not exist are among them.
    pub(crate) fn files(root: &Path, slice: Option<&str>) -> Vec<PathBuf> {
        let mut files = Vec::new();
        for hierarchy in mounts::of_this_process(root).unwrap_or_default() {
            for group in groups(&hierarchy, slice) {
                let folder = mounts::inside(root, &group);
                let names: &[&str] = match hierarchy.version {
                    Version::V1 => &["memory.limit_in_bytes", "cpu.cfs_quota_us", "cpu.cfs_period_us"],
                    Version::V2 => &["memory.max", "cpu.max"],
                };
                files.extend(names.iter().map(|name| folder.join(name)));
            }
        }
        files
    }
}

/// The groups between this process and the visible root of a hierarchy, and those between the slice and the
/// root.
fn groups(hierarchy: &Hierarchy, slice: Option<&str>) -> BTreeSet<PathBuf> {
    let up = |group: &Path| -> Vec<PathBuf> {
        // The group of a tenant, in which a part was delegated, has the tenant's ceiling: admission counts that itself.
        let tenant = group.ancestors().find(|group| is_delegated(group)).and_then(Path::parent);
        let above = group.ancestors().take_while(|group| group.starts_with(&hierarchy.mount));
        above.filter(|group| !tenant.is_some_and(|tenant| group.starts_with(tenant))).map(Path::to_owned).collect()
    };
    let of_slice = slice.map(|slice| up(&slice_of(hierarchy, Some(slice)).1));
    up(&own_of(hierarchy, slice)).into_iter().chain(of_slice.into_iter().flatten()).collect()
}

fn tighten(tightest: &mut Option<LimitAbove>, found: Option<u64>, group: &Path) {
    if let Some(amount) = found.filter(|amount| tightest.as_ref().is_none_or(|limit| *amount < limit.amount)) {
        *tightest = Some(LimitAbove { amount, group: group.to_owned() });
    }
}

/// The limit in bytes. `max` and a missing file mean no limit; v1 writes a number beyond any machine for no
/// limit.
fn memory_limit(version: Version, group: &Path) -> Option<u64> {
    let file = match version {
        Version::V1 => "memory.limit_in_bytes",
        Version::V2 => "memory.max",
    };
    knob::number(&group.join(file)).filter(|bytes| *bytes < UNLIMITED)
}

/// The quota in 1/10,000 of a CPU, rounded down.
fn cpu_quota(version: Version, group: &Path) -> Option<u64> {
    let (quota, period) = match version {
        // -1 means no quota.
        Version::V1 => {
            (knob::number(&group.join("cpu.cfs_quota_us"))?, knob::number(&group.join("cpu.cfs_period_us"))?)
        }
        // `max 100000` means no quota.
        Version::V2 => {
            let text = knob::read(&group.join("cpu.max")).ok()?;
            let (quota, period) = text.split_once(' ')?;
            (quota.parse().ok()?, period.trim().parse().ok()?)
        }
    };
    quota.checked_mul(10_000)?.checked_div(period)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const V2: &str = "31 27 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
    const V1_IN_A_CONTAINER: &str = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
                                     32 31 0:29 /docker/abc /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n";
    const HYBRID: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                          41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    struct Case {
        what: &'static str,
        groups: &'static str,
        mounts: &'static str,
        slice: Option<&'static str>,
        /// Paths below /sys/fs/cgroup.
        limits: &'static [(&'static str, &'static str)],
        /// Amount and group.
        memory: Option<(u64, &'static str)>,
        cpu: Option<(u64, &'static str)>,
    }

    const NOTHING: Case =
        Case { what: "no cgroups", groups: "", mounts: "", slice: None, limits: &[], memory: None, cpu: None };

    #[test]
    fn the_tightest_limit_of_every_group_above_counts() {
        for Case { what, groups, mounts, slice, limits, memory, cpu } in [
            NOTHING,
            Case {
                what: "v2, in the part of a tenant that belongs to its user",
                groups: "0::/a/sage-host/blue/~user-7/sage-host-supervisor\n",
                mounts: V2,
                slice: Some("/a/sage-host/blue/~user-7"),
                limits: &[
                    ("a/memory.max", "5000\n"),
                    ("a/sage-host/memory.max", "4000\n"),
                    ("a/sage-host/blue/memory.max", "300\n"),
                    ("a/sage-host/blue/~user-7/memory.max", "200\n"),
                ],
                memory: Some((4000, "a/sage-host")),
                ..NOTHING
            },
            Case {
                what: "v2, an ancestor is tighter",
                groups: "0::/a/b\n",
                mounts: V2,
                limits: &[
                    ("a/memory.max", "5000\n"),
                    ("a/b/memory.max", "6000\n"),
                    ("a/cpu.max", "max 100000\n"),
                    ("a/b/cpu.max", "20000 100000\n"),
                    ("cpu.max", "150000 100000\n"),
                ],
                memory: Some((5000, "a")),
                cpu: Some((2_000, "a/b")),
                ..NOTHING
            },
            Case {
                what: "v2, this process is in the group of its pipeline, whose limits are no limits from outside",
                groups: "0::/a/sage-host/blue/job/host\n",
                mounts: V2,
                slice: Some("sage-host"),
                limits: &[
                    ("a/memory.max", "9000\n"),
                    ("a/sage-host/blue/memory.max", "1\n"),
                    ("a/sage-host/blue/job/memory.max", "1\n"),
                    ("a/sage-host/blue/cpu.max", "1000 100000\n"),
                ],
                memory: Some((9000, "a")),
                ..NOTHING
            },
            Case {
                what: "v2, unlimited",
                groups: "0::/a\n",
                mounts: V2,
                limits: &[("a/memory.max", "max\n"), ("a/cpu.max", "max 100000\n")],
                ..NOTHING
            },
            Case {
                what: "v1, each controller in a group of its own",
                groups: "4:memory:/a\n1:cpu,cpuacct:/b/c\n",
                mounts: V1,
                limits: &[
                    ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                    ("memory/a/memory.limit_in_bytes", "7000\n"),
                    ("memory/b/memory.limit_in_bytes", "1\n"),
                    ("cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
                    ("cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
                    ("cpu,cpuacct/b/cpu.cfs_quota_us", "75000\n"),
                    ("cpu,cpuacct/b/cpu.cfs_period_us", "50000\n"),
                    ("cpu,cpuacct/b/c/cpu.cfs_quota_us", "200000\n"),
                    ("cpu,cpuacct/b/c/cpu.cfs_period_us", "100000\n"),
                ],
                memory: Some((7000, "memory/a")),
                cpu: Some((15_000, "cpu,cpuacct/b")),
                ..NOTHING
            },
            Case {
                what: "v1, seen from inside a container",
                groups: "4:memory:/docker/abc/inner\n1:cpu:/docker/abc\n",
                mounts: V1_IN_A_CONTAINER,
                limits: &[
                    ("memory/memory.limit_in_bytes", "8000\n"),
                    ("memory/inner/memory.limit_in_bytes", "9000\n"),
                    ("cpu/cpu.cfs_quota_us", "20000\n"),
                    ("cpu/cpu.cfs_period_us", "100000\n"),
                ],
                memory: Some((8000, "memory")),
                cpu: Some((2_000, "cpu")),
                ..NOTHING
            },
            Case {
                what: "hybrid: v2 is there and carries nothing",
                groups: "4:memory:/a\n0::/a\n",
                mounts: HYBRID,
                limits: &[("memory/a/memory.limit_in_bytes", "7000\n")],
                memory: Some((7000, "memory/a")),
                ..NOTHING
            },
            Case {
                what: "a group outside of this process's namespace: what its mount shows counts",
                groups: "0::/../../x\n",
                mounts: V2,
                limits: &[("memory.max", "4000\n"), ("x/memory.max", "1\n")],
                memory: Some((4000, "")),
                ..NOTHING
            },
            Case {
                what: "workers elsewhere: the groups above the slice count too, and those above the process",
                groups: "0::/a\n",
                mounts: V2,
                slice: Some("/pods/blue"),
                limits: &[
                    ("a/memory.max", "9000\n"),
                    ("pods/cpu.max", "5000 10000\n"),
                    ("pods/blue/memory.max", "8000\n"),
                ],
                memory: Some((8000, "pods/blue")),
                cpu: Some((5_000, "pods")),
            },
            Case {
                what: "a slice that an administrator made, beside the supervisors",
                groups: "0::/a/sage-host-supervisor\n",
                mounts: V2,
                slice: Some("sage-host"),
                limits: &[("a/sage-host/cpu.max", "300 1000\n"), ("a/memory.max", "9000\n")],
                memory: Some((9000, "a")),
                cpu: Some((3_000, "a/sage-host")),
            },
            Case {
                what: "a text that is not a number is no limit",
                groups: "0::/a\n",
                mounts: V2,
                limits: &[("a/memory.max", "much\n"), ("a/cpu.max", "1000\n"), ("cpu.max", "1000 0\n")],
                ..NOTHING
            },
        ] {
            let root = tempfile::tempdir().unwrap();
            let write = |path: &str, text: &str| {
                let path = root.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            };
            write("proc/self/cgroup", groups);
            write("proc/self/mountinfo", mounts);
            for (file, text) in limits {
                write(&format!("sys/fs/cgroup/{file}"), text);
            }
            let limit = |(amount, group)| LimitAbove {
                amount,
                group: Path::new("/sys/fs/cgroup").components().chain(Path::new(group).components()).collect(),
            };
            let found = Above::read(root.path(), slice);
            let expected = Above { memory: memory.map(limit), cpu: cpu.map(limit) };
            assert_eq!(found, expected, "{what}");
        }
    }
}
