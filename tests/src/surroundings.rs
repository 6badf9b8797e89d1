use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// A control group around a run, as a container or an administrator has one: the program is started in it, and knows nothing of it. Removed when
/// dropped, once what ran in it has ended.
#[derive(Debug)]
pub struct Surroundings {
    group: PathBuf,
    is_v1: bool,
}

impl Surroundings {
    /// A group of the hierarchy that has this controller (`cpu`, `cpuset`, `memory`); `None`, and says why, where none can be made.
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
            eprintln!("skipped: no control group {} can be made around a run: {why}", group.display());
            return None;
        }
        let surroundings = Self { group, is_v1 };
        if is_v1 && controller == "cpuset" {
            // Nothing can be in a group of v1's without both.
            for file in ["cpuset.mems", "cpuset.cpus"] {
                surroundings.set(file, &fs::read_to_string(above.join(file)).unwrap());
            }
        }
        Some(surroundings)
    }

    /// Holds what is in it to so much CPU time, in hundredths of a CPU.
    pub fn set_quota(&self, hundredths: u32) {
        let quota = hundredths * 1000;
        if self.is_v1 {
            self.set("cpu.cfs_period_us", "100000");
            self.set("cpu.cfs_quota_us", &quota.to_string());
        } else {
            self.set("cpu.max", &format!("{quota} 100000"));
        }
    }

    /// Holds what is in it to these CPUs.
    pub fn set_cpus(&self, cpus: &str) {
        self.set("cpuset.cpus", cpus);
    }

    /// Holds what is in it to so many bytes of memory.
    pub fn set_memory(&self, bytes: u64) {
        self.set(if self.is_v1 { "memory.limit_in_bytes" } else { "memory.max" }, &bytes.to_string());
    }

    /// Where it is.
    pub fn group(&self) -> &Path {
        &self.group
    }

    /// The same command, started in here.
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
        // The kernel lets go of a group a moment after the last process in it is gone.
        let started = Instant::now();
        while fs::remove_dir(&self.group).is_err() && started.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
