use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::device::read_devices;
use super::given_amount::given_amount;
use super::given_cpus::{GivenCpus, given_cpus};
use super::model::{of_the_host, read_models};
use super::read_pipeline::{parse_toml, source_text};
use super::read_tenants::read_tenants;
use super::serve::{ServeSettings, read_serve};
use super::table::Table;
use super::{Device, Diagnostic, Diagnostics, Model, Spanned, TenantCeiling, TenantName, format_duration, resolve};
use sage_text::exact_size;

/// The settings of `host.toml`. Every key is optional.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSettings {
    /// Control group above the control groups of tenants. A relative path is below the control group of this
    /// process.
    pub slice: String,
    /// CPUs to give away.
    pub cpus: GivenCpus,
    /// Bytes of memory to give away at most. `None` means all memory except the reserve.
    pub memory: Option<u64>,
    /// CPUs and memory that the host keeps for itself.
    pub reserve: Reserve,
    /// Custom resources to give away, by name, in 1/10,000.
    pub resources: BTreeMap<String, u64>,
    /// Tenants that may run pipelines here, with the ceiling of each. If the map is empty, every tenant name
    /// may run pipelines, without a ceiling of its own.
    pub tenants: BTreeMap<TenantName, TenantCeiling>,
    /// What a server on this machine does.
    pub serve: ServeSettings,
    /// Models that the operators of every pipeline may list.
    pub models: Vec<Model>,
    /// Devices that run models.
    pub devices: Vec<Device>,
    /// Whether CUDA devices that are not listed in [`HostSettings::devices`] are given away too.
    pub discover_devices: bool,
    /// Path of ONNX Runtime's library. `None` leaves the path to the environment.
    pub onnxruntime_library: Option<PathBuf>,
    /// Lifetime of a device lease that is not renewed. The lease is lost after this time.
    pub lease_ttl: Duration,
    /// Folder of CPU leases and claims. `None` leaves the choice to the process that takes a lease. Hosts with
    /// different folders do not see each other's leases.
    pub lease_folder: Option<PathBuf>,
    /// Folder of compiled components. `None` leaves the choice to the process that compiles.
    pub cache_folder: Option<PathBuf>,
    /// Bytes of compiled components that are kept in the cache folder at most. The least recently used goes
    /// first.
    pub max_cache_bytes: u64,
    /// Largest component, in bytes. A larger one is refused before it is compiled, because compiling takes time
    /// and memory in proportion to the size.
    pub max_component_bytes: u64,
    /// Time that compiling one component may take.
    pub compile_timeout: Duration,
    /// Bytes of memory that compiling one component may take.
    pub compile_memory: u64,
}

const SHORTEST_TTL: Duration = Duration::from_secs(1);
const LONGEST_TTL: Duration = Duration::from_secs(60 * 60);
const SHORTEST_COMPILE: Duration = Duration::from_millis(100);
const LONGEST_COMPILE: Duration = Duration::from_secs(24 * 60 * 60);
/// Smallest `compile_memory`, in bytes. A process that compiles a minimal component needs a quarter of this.
const LEAST_COMPILE_MEMORY: u64 = 64 << 20;

/// CPUs and memory that the host keeps for its own threads and buffers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserve {
    /// CPUs that are never leased. `None` means 1 if there is more than one CPU, else 0. See
    /// [`Reserve::cpus_of`].
    pub cpus: Option<u32>,
    /// Bytes of memory that are never given to instances.
    pub memory: u64,
}

impl HostSettings {
    /// Default control group.
    pub const DEFAULT_SLICE: &str = "sage-host";
    /// Default of the largest component, in bytes.
    pub const DEFAULT_MAX_COMPONENT_BYTES: u64 = 64 << 20;
    /// Default size of the cache of compiled components, in bytes: about a thousand small operators.
    pub const DEFAULT_MAX_CACHE_BYTES: u64 = 1 << 30;
    /// Default time to compile a component. 9 MiB of code took 25 s on two CPUs with six other compilations at
    /// work.
    pub const DEFAULT_COMPILE_TIMEOUT: Duration = Duration::from_secs(120);
    /// Default memory to compile a component, in bytes. The same 9 MiB of code took 144 MiB.
    pub const DEFAULT_COMPILE_MEMORY: u64 = 1 << 30;
    /// Default lifetime of a device lease that is not renewed. A lease is renewed four times in this period. A
    /// process that gets no CPU for seconds on a crowded machine keeps its leases; a stopped process does not.
    pub const DEFAULT_LEASE_TTL: Duration = Duration::from_secs(10);
}

impl Default for HostSettings {
    fn default() -> Self {
        Self {
            slice: Self::DEFAULT_SLICE.to_owned(),
            cpus: GivenCpus::All,
            memory: None,
            reserve: Reserve::default(),
            resources: BTreeMap::new(),
            tenants: BTreeMap::new(),
            serve: ServeSettings::default(),
            models: Vec::new(),
            devices: Vec::new(),
            discover_devices: true,
            onnxruntime_library: None,
            lease_ttl: Self::DEFAULT_LEASE_TTL,
            lease_folder: None,
            cache_folder: None,
            max_cache_bytes: Self::DEFAULT_MAX_CACHE_BYTES,
            max_component_bytes: Self::DEFAULT_MAX_COMPONENT_BYTES,
            compile_timeout: Self::DEFAULT_COMPILE_TIMEOUT,
            compile_memory: Self::DEFAULT_COMPILE_MEMORY,
        }
    }
}

impl Reserve {
    /// Default memory of the reserve, in bytes: for code, compiled components and batches in transit.
    pub const DEFAULT_MEMORY: u64 = 256 << 20;

    /// Number of CPUs that are kept, out of `available`.
    #[must_use]
    pub fn cpus_of(&self, available: u32) -> u32 {
        self.cpus.unwrap_or(u32::from(available > 1)).min(available)
    }
}

impl Default for Reserve {
    fn default() -> Self {
        Self { cpus: None, memory: Self::DEFAULT_MEMORY }
    }
}

/// Parses `host.toml`. A relative folder is resolved against `base`, the folder of the file.
///
/// # Errors
/// All errors in the file.
pub fn parse_host(name: &str, bytes: &[u8], base: &Path) -> Result<HostSettings, Diagnostics> {
    let (source, mut errors) = source_text(name, bytes);
    let (root, _) = parse_toml(&source, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut table = Table::root(&root, "the host file");
    let mut settings = HostSettings::default();
    if let Some(slice) = table.string("slice", &mut errors).and_then(|slice| whole_path(slice, &mut errors)) {
        settings.slice = slice;
    }
    settings.cpus = given_cpus(&mut table, &mut errors).unwrap_or_default();
    settings.memory = table.size("memory", &mut errors).and_then(|memory| some_memory(&memory, &mut errors));
    if let Some(mut inner) = table.table("reserve", &mut errors) {
        settings.reserve.cpus = inner.count("cpus", &mut errors).and_then(|cpus| whole_cpus(&cpus, &mut errors));
        if let Some(memory) = inner.size("memory", &mut errors) {
            settings.reserve.memory = memory.value;
        }
        inner.finish(&mut errors);
    }
    let declared = table.table("resources", &mut errors);
    if let Some(inner) = &declared {
        for (resource, node) in inner.entries() {
            if let Some(amount) = inner.amount_of(&resource.value, node, &mut errors)
                && let Some(amount) = given_amount(&format!("resource \"{}\"", resource.value), &amount, &mut errors)
            {
                settings.resources.insert(resource.value, amount);
            }
        }
    }
    if let Some(inner) = table.table("tenant", &mut errors) {
        let known = |resource: &str| declared.as_ref().is_some_and(|declared| declared.key_span(resource).is_some());
        settings.tenants = read_tenants(&inner, known, &mut errors);
    }
    settings.serve = read_serve(&mut table, base, &mut errors);
    settings.models = of_the_host(read_models(&mut table, &mut errors), base);
    settings.devices = read_devices(&mut table, &mut errors);
    settings.discover_devices = table.boolean("discover_devices", &mut errors).unwrap_or(true);
    settings.onnxruntime_library =
        table.string("onnxruntime_library", &mut errors).map(|library| resolve(base, &library.value));
    if let Some(ttl) = table.duration("lease_ttl", &mut errors) {
        if !(SHORTEST_TTL..=LONGEST_TTL).contains(&ttl.value) {
            errors.push(
                Diagnostic::new(format!("lease_ttl is {}", format_duration(ttl.value))).on(&ttl).hint("1s to 1h"),
            );
        }
        settings.lease_ttl = ttl.value;
    }
    settings.lease_folder = table.string("lease_folder", &mut errors).map(|folder| resolve(base, &folder.value));
    settings.cache_folder = table.string("cache_folder", &mut errors).map(|folder| resolve(base, &folder.value));
    if let Some(bytes) = table.size("max_cache_bytes", &mut errors) {
        settings.max_cache_bytes = bytes.value;
    }
    if let Some(bytes) = table.size("max_component_bytes", &mut errors) {
        if bytes.value == 0 {
            errors.push(Diagnostic::new("max_component_bytes is 0: no component would be loaded").on(&bytes));
        }
        settings.max_component_bytes = bytes.value;
    }
    if let Some(timeout) = table.duration("compile_timeout", &mut errors) {
        if !(SHORTEST_COMPILE..=LONGEST_COMPILE).contains(&timeout.value) {
            let message = format!("compile_timeout is {}", format_duration(timeout.value));
            errors.push(Diagnostic::new(message).on(&timeout).hint("100ms to 24h"));
        }
        settings.compile_timeout = timeout.value;
    }
    if let Some(memory) = table.size("compile_memory", &mut errors) {
        if memory.value < LEAST_COMPILE_MEMORY {
            let message = format!("compile_memory is {}", exact_size(memory.value));
            let hint = format!("at least {}: the compiler itself takes some", exact_size(LEAST_COMPILE_MEMORY));
            errors.push(Diagnostic::new(message).on(&memory).hint(hint));
        }
        settings.compile_memory = memory.value;
    }
    table.finish(&mut errors);
    errors.sort();
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

fn whole_cpus(cpus: &Spanned<u64>, errors: &mut Diagnostics) -> Option<u32> {
    let count = u32::try_from(cpus.value).ok();
    if count.is_none() {
        errors.push(Diagnostic::new(format!("{} CPUs cannot be kept", cpus.value)).on(cpus));
    }
    count
}

/// Checks a path of plain names, absolute or relative, without `.` or `..`: the path stays below its parent
/// group.
fn whole_path(slice: Spanned<String>, errors: &mut Diagnostics) -> Option<String> {
    let inner = slice.value.strip_prefix('/').unwrap_or(&slice.value);
    let plain = |name: &str| !name.is_empty() && name != "." && name != ".." && !name.contains(char::is_control);
    if inner.split('/').all(plain) {
        return Some(slice.value);
    }
    let message = format!("slice of the host file: {:?} is no control group", slice.value);
    errors.push(Diagnostic::new(message).on(&slice).hint("\"sage-host\", \"a/b\" or an absolute \"/a/b\""));
    None
}

fn some_memory(memory: &Spanned<u64>, errors: &mut Diagnostics) -> Option<u64> {
    if memory.value == 0 {
        errors.push(Diagnostic::new("memory of the host file is 0: nothing would be given away").on(memory));
        return None;
    }
    Some(memory.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_means_the_defaults() {
        let settings = parse_host("host.toml", b"", Path::new("/etc")).unwrap();
        assert_eq!(settings, HostSettings::default());
        assert_eq!([1, 2, 64].map(|n| settings.reserve.cpus_of(n)), [0, 1, 1]);
    }

    #[test]
    fn everything_in_the_file_is_read() {
        let text = "lease_folder = 'leases'\ncache_folder = '/var/cache/x'\nmax_cache_bytes = '2MB'\n\
            max_component_bytes = '1MiB'\n\
            compile_timeout = '5s'\ncompile_memory = '2GiB'\n\
            slice = '/a/b'\ncpus = '0-2,5'\nmemory = '16GiB'\n\
            [reserve]\ncpus = 3\nmemory = '1GiB'\n[resources]\nlicence = 4\nslot = 0.5\n\
            [tenant.blue]\ncpus = 1.25\nmemory = '4GiB'\nresources = { licence = 2 }\n[tenant.green]\n";
        let settings = parse_host("host.toml", text.as_bytes(), Path::new("/etc")).unwrap();
        assert_eq!(settings.reserve, Reserve { cpus: Some(3), memory: 1 << 30 });
        assert_eq!([2, 8].map(|n| settings.reserve.cpus_of(n)), [2, 3]);
        assert_eq!(settings.lease_folder.as_deref(), Some(Path::new("/etc/leases")));
        assert_eq!(settings.cache_folder.as_deref(), Some(Path::new("/var/cache/x")));
        assert_eq!(settings.max_cache_bytes, 2_000_000);
        assert_eq!(settings.max_component_bytes, 1 << 20);
        assert_eq!((settings.compile_timeout, settings.compile_memory), (Duration::from_secs(5), 2 << 30));
        let resources = BTreeMap::from([("licence".to_owned(), 40_000), ("slot".to_owned(), 5_000)]);
        assert_eq!(settings.resources, resources);
        assert_eq!(settings.slice, "/a/b");
        assert_eq!(settings.cpus, GivenCpus::These([0, 1, 2, 5].into()));
        assert_eq!(settings.memory, Some(16 << 30));
        let blue = TenantCeiling {
            cpus: Some(12_500),
            memory: Some(4 << 30),
            resources: BTreeMap::from([("licence".to_owned(), 20_000)]),
            ..TenantCeiling::default()
        };
        let tenants = [("blue", blue), ("green", TenantCeiling::default())];
        assert_eq!(settings.tenants, tenants.map(|(name, ceiling)| (name.parse().unwrap(), ceiling)).into());
    }

    #[test]
    fn cpus_are_a_count_a_list_or_ranges() {
        for (text, cpus) in [
            ("cpus = 4", GivenCpus::Count(4)),
            ("cpus = [3, 0]", GivenCpus::These([0, 3].into())),
            ("cpus = '1'", GivenCpus::These([1].into())),
            ("", GivenCpus::All),
        ] {
            assert_eq!(parse_host("host.toml", text.as_bytes(), Path::new("/")).unwrap().cpus, cpus, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_what_is_given_away_is_reported_with_its_place() {
        let text = "slice = '../up'\ncpus = '0-'\nmemory = 0\n[resources]\nlicence = 4\n[tenant.'a b']\ncpus = 1\n\
            [tenant.blue]\ncpus = -1\nmemory = 'much'\nmemroy = 1\nresources = { licence = 1, seat = 1 }\n";
        assert_eq!(
            wrong(text),
            [
                (1, "slice of the host file: \"../up\" is no control group"),
                (2, "cpus of the host file: \"0-\" is no CPU and no range of CPUs"),
                (3, "memory of the host file is 0: nothing would be given away"),
                (6, "\"a b\" is no name for a tenant: 1 to 64 letters, digits, _ and -, the first a letter or digit"),
                (9, "cpus of [tenant.blue]: -1 cannot be given away"),
                (10, "memory of [tenant.blue]: \"much\" does not begin with a plain number"),
                (11, "unknown key \"memroy\" in [tenant.blue]"),
                (12, "[tenant.blue] bounds seat, which [resources] does not declare"),
            ]
            .map(|(line, message)| (line, message.to_owned()))
        );
        for (text, message) in [
            ("cpus = 0", "cpus of the host file is 0"),
            ("cpus = []", "cpus of the host file is empty"),
            ("cpus = [0, 'x']", "an item of cpus of the host file is a string, not the number of a CPU"),
            ("cpus = [5000]", "an item of cpus of the host file is no CPU of any machine"),
            ("cpus = true", "cpus of the host file is a boolean, not a count, a list or ranges of CPUs"),
            ("tenant = 1", "tenant of the host file is a whole number, not a table"),
            ("[tenant]\nblue = 1", "blue of [tenant] is a whole number, not a table"),
        ] {
            assert_eq!(wrong(text).into_iter().map(|(_, message)| message).collect::<Vec<_>>(), [message]);
        }
    }

    #[test]
    fn what_compiling_may_take_is_in_bounds() {
        let text = "compile_timeout = '50ms'\ncompile_memory = '1MiB'\n";
        let expected = [(1, "compile_timeout is 50ms"), (2, "compile_memory is 1MiB")];
        assert_eq!(wrong(text), expected.map(|(line, message)| (line, message.to_owned())));
        assert_eq!(wrong("compile_timeout = '25h'"), [(1, "compile_timeout is 25h".to_owned())]);
    }

    /// Line and message of every error.
    fn wrong(text: &str) -> Vec<(usize, String)> {
        let errors = parse_host("host.toml", text.as_bytes(), Path::new("/")).unwrap_err();
        let place = |e: &Diagnostic| errors.source().unwrap().line_and_column(e.labels[0].span.start).0;
        errors.iter().map(|e| (place(e), e.message.clone())).collect()
    }

    #[test]
    fn all_errors_are_reported_with_their_places() {
        let text = "max_component_bytes = 0\nlease_foldr = 'x'\n[reserve]\ncpus = -1\nmemory = '1G'\n\
             [resources]\nlicence = 'four'\nslot = 0.00001\n";
        let errors = parse_host("host.toml", text.as_bytes(), Path::new("/")).unwrap_err();
        let places: Vec<_> = errors
            .iter()
            .map(|e| (errors.source().unwrap().line_and_column(e.labels[0].span.start).0, e.message.as_str()))
            .collect();
        assert_eq!(
            places,
            [
                (1, "max_component_bytes is 0: no component would be loaded"),
                (2, "unknown key \"lease_foldr\" in the host file"),
                (4, "cpus of [reserve] is -1"),
                (5, "memory of [reserve]: unknown unit \"G\" in \"1G\""),
                (7, "licence of [resources] is a string, not a number"),
                (8, "resource \"slot\": 0.00001 cannot be given away"),
            ]
        );
    }
}
