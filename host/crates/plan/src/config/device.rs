use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::given_cpus::cpu_numbers;
use super::model::backend;
use super::table::Table;
use super::{BackendChoice, Diagnostic, Diagnostics, Spanned, closest, format_size};

/// A `[[device]]` of `host.toml`, with every value in its range. A later step checks that the machine has the
/// device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Name of the device, unique in the file.
    pub name: String,
    /// Kind of the device.
    pub kind: DeviceKind,
    /// Bytes of memory that models may take on the device. `None` means the default of the kind: all memory of
    /// a CUDA device, [`Device::DEFAULT_MEMORY`] of any other.
    pub memory: Option<u64>,
    /// Whether the device serves `num_gpus`. Always true for a CUDA device; true for another device only if the
    /// file says so.
    pub counts_as_gpu: bool,
    /// Thread or process in which the device's models run.
    pub placement: Placement,
}

/// The kind of a device, with the settings of that kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// Threads on the CPUs of this machine.
    Cpu {
        /// Number of runs at the same time.
        slots: u32,
        /// Number of threads of each run.
        threads: u32,
        /// CPUs on which the runs execute; sage-host starts nothing else there. `None` means every CPU that the
        /// process may use.
        cpus: Option<BTreeSet<u32>>,
        /// Library that runs models on the device.
        backend: BackendChoice,
    },
    /// A GPU, or a MIG instance of one.
    Cuda {
        /// UUID as `nvidia-smi -L` prints it: `GPU-...`, `MIG-...`.
        uuid: String,
    },
    /// A device without hardware: its models (`backend = "fake"`) are simulated. For tests of the effects of a
    /// device on a pipeline.
    Fake {
        /// Number of runs at the same time.
        slots: u32,
    },
}

impl DeviceKind {
    /// Returns `true` if a vendor's driver does the work. Its threads, files and system calls cannot be listed.
    #[must_use]
    pub fn has_driver(&self) -> bool {
        matches!(self, Self::Cuda { .. })
    }
}

/// Place in which the models of a device run: a thread or a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// In threads of the host's own process. A run that crashes or hangs its process does so to the host.
    Thread,
    /// In a process of the device's own, which can be killed.
    Process,
}

impl Placement {
    const NAMES: [(&str, Self); 2] = [("thread", Self::Thread), ("process", Self::Process)];

    /// The placement as the file spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Process => "process",
        }
    }
}

impl Device {
    /// Default memory, in bytes, of a device without memory of its own: enough for a few models of the size of
    /// MiniLM with their workspace.
    pub const DEFAULT_MEMORY: u64 = 1 << 30;
    /// Smallest `memory` of a device, in bytes. Less does not hold the workspace of even a small model.
    const LEAST_MEMORY: u64 = 1 << 20;
    /// Largest number of `slots`, and of `threads`. No machine gains from more.
    const MOST: u64 = 1024;
    /// Longest name, in bytes. The name becomes part of a file name and of a metric label.
    const LONGEST_NAME: usize = 64;
    const KINDS: [&str; 3] = ["cpu", "cuda", "fake"];
}

/// Reads the `[[device]]` tables.
pub(super) fn read_devices(root: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Vec<Device> {
    let Some(items) = root.array("device", errors) else { return Vec::new() };
    let (mut read, mut named, mut uuids) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let mut given: BTreeMap<u32, String> = BTreeMap::new();
    for item in items {
        let Some(table) = root.table_of("device", item, errors).map(|table| table.called("[[device]]")) else {
            continue;
        };
        let Some(device) = device(table, &mut named, &mut uuids, errors) else { continue };
        if let DeviceKind::Cpu { cpus: Some(cpus), .. } = &device.kind {
            for cpu in cpus {
                if let Some(other) = given.insert(*cpu, device.name.clone()) {
                    let message = format!("devices \"{other}\" and \"{}\" both have CPU {cpu}", device.name);
                    errors.push(Diagnostic::new(message).at(Some(item.span().into())));
                }
            }
        }
        read.push(device);
    }
    read
}

type Seen = BTreeMap<String, Option<super::Span>>;

fn device(mut table: Table<'_, '_>, named: &mut Seen, uuids: &mut Seen, errors: &mut Diagnostics) -> Option<Device> {
    let name = table.string("name", errors);
    if name.is_none() && table.key_span("name").is_none() {
        table.missing("name", "name = \"cpu0\": letters, digits, _, - and dots", errors);
    }
    if let Some(name) = &name {
        check_name(name, errors);
        once("device", name, named, errors);
        table = table.called(&format!("[[device]] \"{}\"", name.value));
    }
    let word = table.string("kind", errors);
    if word.is_none() && table.key_span("kind").is_none() {
        table.missing("kind", "kind = \"cpu\", \"cuda\" or \"fake\"", errors);
    }
    let memory = table.size("memory", errors).and_then(|memory| some_memory(&memory, table.place(), errors));
    let placement = one_of("placement", &Placement::NAMES, &mut table, errors);
    let kind = match word.as_ref().map(|word| word.value.as_str()) {
        Some("cpu") => Some(cpu(&mut table, errors)),
        Some("cuda") => cuda(&mut table, uuids, errors),
        Some("fake") => Some(fake(&mut table, errors)),
        _ => None,
    };
    let counts = match word {
        Some(word) if !Device::KINDS.contains(&word.value.as_str()) => {
            let hint = match closest(&word.value, Device::KINDS) {
                // Among words of three letters, "tpu" is as close to "cpu" as a typing error, so no suggestion
                // is made.
                Some(kind) if word.value.len() > 3 => format!("did you mean \"{kind}\"?"),
                _ => format!("there are {}", Device::KINDS.join(", ")),
            };
            errors
                .push(Diagnostic::new(format!("kind of {} is \"{}\"", table.place(), word.value)).on(&word).hint(hint));
            return None;
        }
        Some(word) if word.value == "cuda" => Some(true),
        Some(_) => table.boolean("counts_as_gpu", errors).or(Some(false)),
        None => return None,
    };
    let kind = kind?;
    let placement = place(&kind, placement, &table, errors);
    table.finish(errors);
    Some(Device { name: name?.value, kind, memory, counts_as_gpu: counts?, placement })
}

fn cpu(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> DeviceKind {
    let slots = few("slots", table, errors).unwrap_or(1);
    let threads = few("threads", table, errors).unwrap_or(1);
    let cpus = cpu_numbers(table, errors);
    if let (Some(cpus), Some(node)) = (&cpus, table.key_span("cpus"))
        && u64::from(slots) * u64::from(threads) < u64::try_from(cpus.len()).unwrap_or(u64::MAX)
    {
        let message = format!(
            "{} has {} CPUs for {slots} × {threads} threads: some would never be used",
            table.place(),
            cpus.len()
        );
        errors.push(Diagnostic::new(message).at(Some(node)).hint("raise slots or threads, or give it fewer CPUs"));
    }
    let backend = table.string("backend", errors).and_then(|word| match backend(&word, table.place(), errors) {
        Some(BackendChoice::Fake) => {
            let message = format!("backend of {} is \"fake\"", table.place());
            let hint = "only a device of kind = \"fake\" runs simulated models";
            errors.push(Diagnostic::new(message).on(&word).hint(hint));
            None
        }
        found => found,
    });
    DeviceKind::Cpu { slots, threads, cpus, backend: backend.unwrap_or_default() }
}

fn cuda(table: &mut Table<'_, '_>, uuids: &mut Seen, errors: &mut Diagnostics) -> Option<DeviceKind> {
    let uuid = table.string("uuid", errors);
    if uuid.is_none() && table.key_span("uuid").is_none() {
        table.missing(
            "uuid",
            "the device's UUID, as `nvidia-smi -L` prints it: uuid = \"GPU-...\" or \"MIG-...\"",
            errors,
        );
    }
    let uuid = uuid?;
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/');
    let prefixed = uuid.value.starts_with("GPU-") || uuid.value.starts_with("MIG-");
    if !prefixed || !uuid.value.chars().all(fine) {
        let message = format!("uuid of {}: \"{}\" is no device's UUID", table.place(), uuid.value.escape_debug());
        errors
            .push(Diagnostic::new(message).on(&uuid).hint("as `nvidia-smi -L` prints it: \"GPU-...\" or \"MIG-...\""));
    }
    once("uuid", &uuid, uuids, errors);
    Some(DeviceKind::Cuda { uuid: uuid.value })
}

fn fake(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> DeviceKind {
    DeviceKind::Fake { slots: few("slots", table, errors).unwrap_or(1) }
}

/// The placement of a device's models. A CUDA device always gets a process, because its driver may crash or
/// hang.
fn place(kind: &DeviceKind, asked: Option<Placement>, table: &Table<'_, '_>, errors: &mut Diagnostics) -> Placement {
    match kind {
        DeviceKind::Cuda { .. } => {}
        DeviceKind::Cpu { .. } => return asked.unwrap_or(Placement::Thread),
        // Fake models may hang, or end their process.
        DeviceKind::Fake { .. } => return asked.unwrap_or(Placement::Process),
    }
    if asked == Some(Placement::Thread) {
        let message = format!("{} cannot have placement = \"thread\"", table.place());
        errors.push(
            Diagnostic::new(message).at(table.key_span("placement")).hint("its driver can take its process with it"),
        );
    }
    Placement::Process
}

fn one_of<T: Copy>(
    key: &'static str,
    names: &[(&str, T)],
    table: &mut Table<'_, '_>,
    errors: &mut Diagnostics,
) -> Option<T> {
    let word = table.string(key, errors)?;
    let found = names.iter().find(|(name, _)| *name == word.value).map(|(_, value)| *value);
    if found.is_none() {
        let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let message = format!("{key} of {} is \"{}\"", table.place(), word.value);
        errors.push(Diagnostic::new(message).on(&word).hint(format!("there are {}", known.join(", "))));
    }
    found
}

fn few(key: &'static str, table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<u32> {
    let count = table.count(key, errors)?;
    let found = u32::try_from(count.value).ok().filter(|_| (1..=Device::MOST).contains(&count.value));
    if found.is_none() {
        let message = format!("{key} of {} is {}", table.place(), count.value);
        errors.push(Diagnostic::new(message).on(&count).hint(format!("1 to {}", Device::MOST)));
    }
    found
}

fn some_memory(memory: &Spanned<u64>, place: &str, errors: &mut Diagnostics) -> Option<u64> {
    if memory.value < Device::LEAST_MEMORY {
        let message = format!("memory of {place} is {}", format_size(memory.value));
        errors
            .push(Diagnostic::new(message).on(memory).hint(format!("at least {}", format_size(Device::LEAST_MEMORY))));
        return None;
    }
    Some(memory.value)
}

fn check_name(name: &Spanned<String>, errors: &mut Diagnostics) {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let begins = name.value.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !begins || name.value.len() > Device::LONGEST_NAME || !name.value.chars().all(fine) {
        let message = format!("\"{}\" is no name for a device", name.value.escape_debug());
        let hint = format!("1 to {} letters, digits, _, - and dots, the first a letter or digit", Device::LONGEST_NAME);
        errors.push(Diagnostic::new(message).on(name).hint(hint));
    }
}

fn once(what: &str, value: &Spanned<String>, seen: &mut Seen, errors: &mut Diagnostics) {
    if let Some(first) = seen.get(&value.value) {
        let message = format!("{what} \"{}\" is there twice", value.value);
        errors.push(Diagnostic::new(message).on(value).label(*first, "first here"));
        return;
    }
    seen.insert(value.value.clone(), value.span);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Diagnostic, parse_host};
    use super::*;

    fn read(text: &str) -> Vec<Device> {
        parse_host("host.toml", text.as_bytes(), Path::new("/")).unwrap().devices
    }

    #[test]
    fn devices_are_read_with_their_defaults() {
        let text = "[[device]]\nname = 'cpu0'\nkind = 'cpu'\n\
            [[device]]\nname = 'cpu1'\nkind = 'cpu'\nslots = 2\nthreads = 3\ncpus = '2-3,5'\nmemory = '2GiB'\n\
            backend = 'onnxruntime'\ncounts_as_gpu = true\nplacement = 'process'\n\
            [[device]]\nname = 'gpu0'\nkind = 'cuda'\nuuid = 'GPU-5fd4'\n\
            [[device]]\nname = 'pretend'\nkind = 'fake'\nslots = 3\n";
        let [cpu0, cpu1, gpu0, pretend] = read(text).try_into().unwrap();
        let cpu = |slots, threads, cpus, backend| DeviceKind::Cpu { slots, threads, cpus, backend };
        assert_eq!(cpu0.kind, cpu(1, 1, None, BackendChoice::Auto));
        assert_eq!((cpu0.memory, cpu0.counts_as_gpu, cpu0.placement), (None, false, Placement::Thread));
        assert_eq!(cpu1.kind, cpu(2, 3, Some([2, 3, 5].into()), BackendChoice::Onnxruntime));
        assert_eq!((cpu1.memory, cpu1.counts_as_gpu, cpu1.placement), (Some(2 << 30), true, Placement::Process));
        assert_eq!(gpu0.kind, DeviceKind::Cuda { uuid: "GPU-5fd4".to_owned() });
        assert_eq!((gpu0.memory, gpu0.counts_as_gpu, gpu0.placement), (None, true, Placement::Process));
        assert_eq!(pretend.kind, DeviceKind::Fake { slots: 3 });
        assert_eq!((pretend.counts_as_gpu, pretend.placement), (false, Placement::Process));
    }

    #[test]
    fn everything_wrong_with_devices_is_reported_with_its_place() {
        let cases: [(&str, &[(usize, &str)]); 12] = [
            ("[[device]]\n", &[(1, "[[device]] has no name"), (1, "[[device]] has no kind")]),
            ("[[device]]\nname = 'a/b'\nkind = 'cpu'", &[(2, "\"a/b\" is no name for a device")]),
            ("[[device]]\nname = 'a'\nkind = 'cppu'", &[(3, "kind of [[device]] \"a\" is \"cppu\"")]),
            (
                "[[device]]\nname = 'a'\nkind = 'cpu'\nslots = 0\nthreads = 4096\nmemory = 1\nuuid = 'GPU-1'",
                &[
                    (4, "slots of [[device]] \"a\" is 0"),
                    (5, "threads of [[device]] \"a\" is 4096"),
                    (6, "memory of [[device]] \"a\" is 1 byte"),
                    (7, "unknown key \"uuid\" in [[device]] \"a\""),
                ],
            ),
            (
                "[[device]]\nname = 'a'\nkind = 'cpu'\ncpus = 2",
                &[(4, "cpus of [[device]] \"a\" is a count: which ones must be said")],
            ),
            (
                "[[device]]\nname = 'a'\nkind = 'cpu'\ncpus = '0-3'",
                &[(4, "[[device]] \"a\" has 4 CPUs for 1 × 1 threads: some would never be used")],
            ),
            (
                "[[device]]\nname = 'a'\nkind = 'cpu'\ncpus = '1'\n[[device]]\nname = 'b'\nkind = 'cpu'\ncpus = '1'",
                &[(5, "devices \"a\" and \"b\" both have CPU 1")],
            ),
            (
                "[[device]]\nname = 'a'\nkind = 'cpu'\n[[device]]\nname = 'a'\nkind = 'cpu'",
                &[(5, "device \"a\" is there twice")],
            ),
            ("[[device]]\nname = 'a'\nkind = 'cuda'", &[(1, "[[device]] \"a\" has no uuid")]),
            (
                "[[device]]\nname = 'a'\nkind = 'cuda'\nuuid = '0'\ncounts_as_gpu = false\nplacement = 'thread'",
                &[
                    (4, "uuid of [[device]] \"a\": \"0\" is no device's UUID"),
                    (5, "unknown key \"counts_as_gpu\" in [[device]] \"a\""),
                    (6, "[[device]] \"a\" cannot have placement = \"thread\""),
                ],
            ),
            (
                "[[device]]\nname = 'a'\nkind = 'fake'\nhang_after = 1\n\
                 [[device]]\nname = 'b'\nkind = 'cpu'\nbackend = 'fake'",
                &[
                    (4, "unknown key \"hang_after\" in [[device]] \"a\""),
                    (8, "backend of [[device]] \"b\" is \"fake\""),
                ],
            ),
            (
                "lease_ttl = '10ms'\ndiscover_devices = 1\n[device]\n",
                &[
                    (1, "lease_ttl is 10ms"),
                    (2, "discover_devices of the host file is a whole number, not true or false"),
                    (3, "device of the host file is a table, not a list"),
                ],
            ),
        ];
        for (text, expected) in cases {
            let errors = parse_host("host.toml", text.as_bytes(), Path::new("/")).unwrap_err();
            let line = |e: &Diagnostic| errors.source().unwrap().line_and_column(e.labels[0].span.start).0;
            let found: Vec<_> = errors.iter().map(|e| (line(e), e.message.as_str())).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
