use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use super::Controller;

/// The kernel's two versions of cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// One hierarchy for each controller.
    V1,
    /// One hierarchy, whose groups hand controllers down.
    V2,
}

/// A mounted hierarchy, and this process's place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    /// On v1, the supported controllers that are mounted here. On v2 empty, because each group's files list
    /// them.
    pub(super) controllers: Vec<Controller>,
    /// Start of the hierarchy's line in /proc/PID/cgroup: `4:memory:`.
    pub(super) line: String,
    /// Folder of the hierarchy's visible root.
    pub(super) mount: PathBuf,
    /// Folder of this process's group.
    pub(super) own: PathBuf,
}

/// The hierarchies of this process that it can see, in the kernel's order. `root` is `/` except in tests.
pub(super) fn of_this_process(root: &Path) -> io::Result<Vec<Hierarchy>> {
    let text = |file: &str| fs::read_to_string(root.join("proc/self").join(file));
    Ok(parse(&text("mountinfo")?, &text("cgroup")?))
}

/// The path under `root` of a path of the machine.
pub(super) fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Parses the texts of /proc/self/mountinfo and /proc/self/cgroup. v1 hierarchies without a supported
/// controller are left out.
pub(super) fn parse(mountinfo: &str, memberships: &str) -> Vec<Hierarchy> {
    let mounts: Vec<Mount> = mountinfo.lines().filter_map(Mount::parse).collect();
    memberships.lines().filter_map(|line| Hierarchy::find(line, &mounts)).collect()
}

impl Hierarchy {
    /// True if the hierarchy may have files for this controller's limits. On v2 each group's files list its
    /// controllers.
    pub(super) fn carries(&self, controller: Controller) -> bool {
        self.version == Version::V2 || self.controllers.contains(&controller)
    }

    fn find(line: &str, mounts: &[Mount]) -> Option<Self> {
        let mut parts = line.splitn(3, ':');
        let (number, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        let version = if number == "0" && names.is_empty() { Version::V2 } else { Version::V1 };
        let carried = |name: &str| Controller::ALL.into_iter().find(|controller| controller.name() == name);
        let controllers: Vec<Controller> = match version {
            Version::V1 => names.split(',').filter_map(carried).collect(),
            Version::V2 => Vec::new(),
        };
        if version == Version::V1 && controllers.is_empty() {
            return None;
        }
        let of_it = |mount: &&Mount| match version {
            Version::V2 => mount.kind == "cgroup2",
            Version::V1 => mount.kind == "cgroup" && names.split(',').all(|name| mount.has_option(name)),
        };
        // A mount that shows this process's group. Without one (a container that sees another part of the
        // tree), any mount: the canary tests it.
        let seen = mounts.iter().filter(of_it).find_map(|mount| Some((mount, mount.place_of(path)?)));
        let (mount, own) = seen.or_else(|| mounts.iter().find(of_it).map(|mount| (mount, mount.point.clone())))?;
        Some(Self { version, controllers, line: format!("{number}:{names}:"), mount: mount.point.clone(), own })
    }
}

/// A line of mountinfo.
struct Mount {
    /// The part of the hierarchy that is mounted.
    root: PathBuf,
    point: PathBuf,
    kind: String,
    options: String,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        let (root, point) = (unescaped(fields.next()?), unescaped(fields.next()?));
        let mut fields = after.split(' ');
        let (kind, options) = (fields.next()?.to_owned(), fields.nth(1)?.to_owned());
        Some(Self { root, point, kind, options })
    }

    fn has_option(&self, name: &str) -> bool {
        self.options.split(',').any(|option| option == name)
    }

    /// Folder of a group, if this mount shows it.
    fn place_of(&self, group: &str) -> Option<PathBuf> {
        let below = Path::new(group).strip_prefix(&self.root).ok()?;
        // `/../x` is outside of this process's cgroup namespace.
        below.components().all(|part| matches!(part, Component::Normal(_))).then(|| {
            match below.as_os_str().is_empty() {
                true => self.point.clone(),
                false => self.point.join(below),
            }
        })
    }
}

/// Decodes a field of mountinfo, which writes spaces and similar characters as `\040`.
fn unescaped(field: &str) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let code = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, after.get(3..)) {
            (Some(byte), Some(remaining)) => {
                bytes.push(byte);
                rest = remaining;
            }
            _ => {
                bytes.push(b'\\');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    PathBuf::from(OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(hierarchies: &[Hierarchy]) -> Vec<String> {
        let one = |h: &Hierarchy| {
            let carried: Vec<&str> = h.controllers.iter().map(|controller| controller.name()).collect();
            format!("{:?} [{}] {} at {}", h.version, carried.join(" "), h.own.display(), h.mount.display())
        };
        hierarchies.iter().map(one).collect()
    }

    #[test]
    fn each_composition_is_read_as_it_is() {
        let separate = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
35 31 0:32 / /sys/fs/cgroup/memory rw shared:7 - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";
        let docker = "35 31 0:32 /docker/ab /sys/fs/cgroup/memory ro master:7 - cgroup cgroup rw,memory\n";
        let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
        let odd = "30 23 0:26 / /mnt/c\\040g rw - cgroup2 none rw\n";
        for (mountinfo, memberships, expected) in [
            (
                separate,
                "9:name=systemd:/\n5:devices:/\n4:memory:/service/a b\n3:cpuset:/\n2:cpu,cpuacct:/x\n0::/\n",
                &[
                    "V1 [memory] /sys/fs/cgroup/memory/service/a b at /sys/fs/cgroup/memory",
                    "V1 [cpuset] /sys/fs/cgroup/cpuset at /sys/fs/cgroup/cpuset",
                    "V1 [cpu] /sys/fs/cgroup/cpu,cpuacct/x at /sys/fs/cgroup/cpu,cpuacct",
                    "V2 [] /sys/fs/cgroup/unified at /sys/fs/cgroup/unified",
                ][..],
            ),
            (docker, "4:memory:/docker/ab/x\n", &["V1 [memory] /sys/fs/cgroup/memory/x at /sys/fs/cgroup/memory"]),
            (docker, "4:memory:/elsewhere\n", &["V1 [memory] /sys/fs/cgroup/memory at /sys/fs/cgroup/memory"]),
            (unified, "0::/user.slice/a.scope\n", &["V2 [] /sys/fs/cgroup/user.slice/a.scope at /sys/fs/cgroup"]),
            (unified, "0::/../outside\n", &["V2 [] /sys/fs/cgroup at /sys/fs/cgroup"]),
            (odd, "0::/\n", &["V2 [] /mnt/c g at /mnt/c g"]),
            ("", "0::/\n", &[]),
            (unified, "", &[]),
            ("nonsense\n1 2 - \n", "nonsense\n", &[]),
        ] {
            assert_eq!(shown(&parse(mountinfo, memberships)), expected, "{memberships}");
        }
    }
}
