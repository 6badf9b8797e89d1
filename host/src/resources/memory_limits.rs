use std::fs;
use std::io;
use std::path::{Component, Path};

use super::ResourceError;

/// The memory that this process can have: the machine's, or the tightest cgroup limit (v1 and v2) between this process and the
/// root, whichever is less. `root` is `/` but in tests.
///
/// Not what is free now: other processes may hold much of it. Limits that cannot be read (cgroups not mounted, as in some
/// containers) do not count.
pub(super) fn memory_of_this_process(root: &Path) -> Result<u64, ResourceError> {
    let path = root.join("proc/meminfo");
    let of_the_machine = fs::read_to_string(&path)
        .and_then(|text| total_in(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no MemTotal line")))
        .map_err(|cause| ResourceError::ReadMemory { path, cause })?;
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).unwrap_or_default();
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| limit_of(root, line, &mounts));
    Ok(limits.fold(of_the_machine, u64::min))
}

/// `MemTotal:       24684096 kB`
fn total_in(meminfo: &str) -> Option<u64> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The tightest limit of one line of `/proc/self/cgroup`: `4:memory:/a/b` (v1) or `0::/a/b` (v2).
fn limit_of(root: &Path, line: &str, mounts: &str) -> Option<u64> {
    let mut fields = line.splitn(3, ':');
    let (_, controllers, group) = (fields.next()?, fields.next()?, fields.next()?);
    let (file, mount) = if controllers.is_empty() {
        ("memory.max", mounts.lines().find_map(|mount| Mount::of(mount, |m| m.kind == "cgroup2"))?)
    } else if controllers.split(',').any(|controller| controller == "memory") {
        let v1 = |m: &Mount<'_>| m.kind == "cgroup" && m.options.split(',').any(|option| option == "memory");
        ("memory.limit_in_bytes", mounts.lines().find_map(|mount| Mount::of(mount, v1))?)
    } else {
        return None;
    };
    // A container often has only its own part of the hierarchy mounted, and the group's path counts from above it.
    let inside = Path::new(group).strip_prefix(mount.shows).unwrap_or(Path::new(""));
    let mut folder = root.join(mount.at.trim_start_matches('/'));
    let mut tightest = read_limit(&folder.join(file));
    for name in inside.components().filter(|part| matches!(part, Component::Normal(_))) {
        folder.push(name);
        tightest = [tightest, read_limit(&folder.join(file))].into_iter().flatten().min();
    }
    tightest
}

/// A line of `/proc/self/mountinfo`: `35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory`.
struct Mount<'a> {
    /// Which part of the file system is mounted.
    shows: &'a str,
    at: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn of(line: &'a str, wanted: impl Fn(&Self) -> bool) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let (mut before, mut after) = (before.split(' ').skip(3), after.split(' '));
        let mount = Self { shows: before.next()?, at: before.next()?, kind: after.next()?, options: after.nth(1)? };
        wanted(&mount).then_some(mount)
    }
}

/// A limit in bytes; `max`, and a file that is not there, is none. v1 says "none" as a number beyond any machine.
fn read_limit(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "31 27 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    const V1: &str = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
    const V1_IN_A_CONTAINER: &str = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";

    #[test]
    fn the_tightest_limit_above_this_process_counts() {
        struct Case {
            what: &'static str,
            groups: &'static str,
            mounts: &'static str,
            limits: &'static [(&'static str, &'static str)],
            expected: u64,
        }
        let machine = 1000 * 1024;
        for Case { what, groups, mounts, limits, expected } in [
            Case { what: "no cgroups", groups: "", mounts: "", limits: &[], expected: machine },
            Case {
                what: "v2, an ancestor is tighter",
                groups: "0::/a/b\n",
                mounts: V2,
                limits: &[("a/memory.max", "5000\n"), ("a/b/memory.max", "6000\n")],
                expected: 5000,
            },
            Case {
                what: "v2, unlimited",
                groups: "0::/a\n",
                mounts: V2,
                limits: &[("a/memory.max", "max\n")],
                expected: machine,
            },
            Case {
                what: "v1",
                groups: "4:memory:/a\n1:cpu:/b\n",
                mounts: V1,
                limits: &[
                    ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
                    ("memory/a/memory.limit_in_bytes", "7000\n"),
                    ("memory/b/memory.limit_in_bytes", "1\n"),
                ],
                expected: 7000,
            },
            Case {
                what: "v1, seen from inside a container",
                groups: "4:memory:/docker/abc/inner\n",
                mounts: V1_IN_A_CONTAINER,
                limits: &[("memory/memory.limit_in_bytes", "8000\n"), ("memory/inner/memory.limit_in_bytes", "9000\n")],
                expected: 8000,
            },
            Case {
                what: "a group that points out of the mount",
                groups: "0::/../../x\n",
                mounts: V2,
                limits: &[("x/memory.max", "4000\n")],
                expected: 4000,
            },
        ] {
            let root = tempfile::tempdir().unwrap();
            let write = |path: &str, text: &str| {
                let path = root.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            };
            write("proc/meminfo", "MemTotal:       1000 kB\nMemFree: 1 kB\n");
            write("proc/self/cgroup", groups);
            write("proc/self/mountinfo", mounts);
            for (file, text) in limits {
                write(&format!("sys/fs/cgroup/{file}"), text);
            }
            assert_eq!(memory_of_this_process(root.path()).unwrap(), expected, "{what}");
        }
    }

    #[test]
    fn a_machine_that_does_not_say_is_an_error_with_the_file() {
        let root = tempfile::tempdir().unwrap();
        let error = memory_of_this_process(root.path()).unwrap_err();
        let expected = root.path().join("proc/meminfo");
        assert_eq!(
            error.to_string(),
            format!("cannot read how much memory this machine has from {}", expected.display())
        );
    }
}
