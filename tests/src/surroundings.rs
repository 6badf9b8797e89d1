use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sage_test_support::{Need, skip};

/// A control group around a run, such as a container or an administrator makes. The program is started in the
/// group and is not told about it. The group is removed when this value is dropped, after its processes have
/// ended.
#[derive(Debug)]
pub struct Surroundings {
    group: PathBuf,
    is_v1: bool,
}

impl Surroundings {
    /// Makes a group in the hierarchy of `controller` (`cpu`, `cpuset` or `memory`). The result is `None`,
    /// with a message, if no group can be made.
    pub fn new(controller: &str, name: &str) -> Option<Self> {
        let v1 = Path::new("/sys/fs/cgroup").join(controller);
        let is_v1 = v1.join("cgroup.procs").exists();
        let above = if is_v1 { v1 } else { PathBuf::from("/sys/fs/cgroup") };
        let group = above.join(format!("sage-test-{name}-{}", std::process::id()));
        let file = if is_v1 { "cgroup.procs".to_owned() } else { format!("{controller}.stat") };
        let made = fs::create_dir(&group).map_err(|error| error.to_string());
        let made = made.and_then(|()| match group.join(&file).exists() {
            true => Ok(()),
            false => {
                let _ = fs::remove_dir(&group);
                Err(format!("it has no {file}"))
            }
        });
        if let Err(why) = made {
            skip(Need::Cgroup, format_args!("no control group {} can be made around a run: {why}", group.display()));
            return None;
        }
        let surroundings = Self { group, is_v1 };
        if is_v1 && controller == "cpuset" {
            // In cgroup v1, no process can join a group unless both files are set.
            for file in ["cpuset.mems", "cpuset.cpus"] {
                surroundings.set(file, &fs::read_to_string(above.join(file)).unwrap());
            }
        }
        Some(surroundings)
    }

    /// Limits the CPU time of the group, in hundredths of a CPU.
    pub fn set_quota(&self, hundredths: u32) {
        let quota = hundredths * 1000;
        if self.is_v1 {
            self.set("cpu.cfs_period_us", "100000");
            self.set("cpu.cfs_quota_us", &quota.to_string());
        } else {
            self.set("cpu.max", &format!("{quota} 100000"));
        }
    }

    /// Limits the group to these CPUs.
    pub fn set_cpus(&self, cpus: &str) {
        self.set("cpuset.cpus", cpus);
    }

    /// Limits the memory of the group, in bytes.
    pub fn set_memory(&self, bytes: u64) {
        self.set(if self.is_v1 { "memory.limit_in_bytes" } else { "memory.max" }, &bytes.to_string());
    }

    /// Path of the group.
    pub fn group(&self) -> &Path {
        &self.group
    }

    /// The same command, started in this group.
    pub fn around(&self, command: &Command) -> Command {
        let mut inside = Command::new("sh");
        inside.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(self.group.join("cgroup.procs"));
        inside.arg(command.get_program()).args(command.get_args());
        if let Some(folder) = command.get_current_dir() {
            inside.current_dir(folder);
        }
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    fn set(&self, file: &str, value: &str) {
        let path = self.group.join(file);
        fs::write(&path, value.trim()).unwrap_or_else(|error| panic!("{} = {value}: {error}", path.display()));
    }
}

impl Drop for Surroundings {
    fn drop(&mut self) {
        // The kernel releases a group a moment after its last process has ended.
        let started = Instant::now();
        while fs::remove_dir(&self.group).is_err() && started.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
