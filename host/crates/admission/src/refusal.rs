use std::fmt;

use thiserror::Error;

use super::Holding;
use sage_machine::cgroup::LimitAbove;
use sage_machine::{CpuSet, DeviceShare, HeldCpu, Mechanism, NotHere, ResourceError, Tier, counted, ten_thousandths};
use sage_text::{exact_size, short_size};

/// Why a pipeline does not start: everything that speaks against it. Nothing was taken.
#[derive(Debug, Error)]
pub struct Refusal {
    /// At least one.
    pub reasons: Vec<Reason>,
}

/// Each reason on a line, under it what is behind it and what to do.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, reason) in self.reasons.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\n" };
            write!(f, "{separator}{reason}")?;
            for note in reason.notes() {
                write!(f, "\n  {note}")?;
            }
            if let Some(hint) = reason.hint() {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

/// One thing that speaks against starting.
#[derive(Debug, Error)]
pub enum Reason {
    /// There are not as many CPUs to lease as an operator wants.
    #[error(
        "operator \"{operator}\" wants {} ({} × {each}), {free} {} free",
        counted(*.wanted, "CPU"), counted(*.instances, "instance"), if *.free == 1 { "is" } else { "are" }
    )]
    Cpus {
        /// The operator.
        operator: String,
        /// CPUs of all its instances.
        wanted: u32,
        /// How many instances.
        instances: u32,
        /// CPUs of one instance.
        each: u32,
        /// CPUs that it could have.
        free: u32,
        /// CPUs that are given away.
        allowed: CpuSet,
        /// How many more the process may use.
        not_given: u32,
        /// CPUs that are never leased.
        reserved: u32,
        /// CPUs that go to operators before it in this pipeline.
        taken: u32,
        /// CPUs that are leased already.
        held: Vec<HeldCpu>,
    },

    /// Fractions of CPUs come to more than the CPUs that nobody leases.
    #[error(
        "shares come to {} CPUs{}, {shared} {} left unleased",
        ten_thousandths(*.wanted),
        if *.elsewhere == 0 { String::new() } else { format!(" beside {} of other pipelines", ten_thousandths(*.elsewhere)) },
        if *.shared == 1 { "is" } else { "are" }
    )]
    Shares {
        /// The sum of this pipeline's, in 1/10,000.
        wanted: u64,
        /// The sum of those of running pipelines, in 1/10,000.
        elsewhere: u64,
        /// CPUs left.
        shared: u32,
        /// Who asks.
        askers: Vec<Asker>,
        /// Whose the others are.
        held: Vec<Holding>,
    },

    /// CPUs and shares come to more CPU time than the control groups above this process give.
    #[error(
        "the pipeline wants {} CPUs of time, the control group {} gives {}{}",
        ten_thousandths(*.wanted), .limit.group.display(), ten_thousandths(.limit.amount),
        if .held.is_empty() { String::new() } else { format!(", {} of it free", ten_thousandths(*.free)) }
    )]
    Quota {
        /// Whole CPUs and shares of this pipeline, in 1/10,000.
        wanted: u64,
        /// What it could have, in 1/10,000.
        free: u64,
        /// What there is, and whose quota says so.
        limit: LimitAbove,
        /// Who asks.
        askers: Vec<Asker>,
        /// What others hold of it, in words.
        held: Vec<String>,
    },

    /// Memory comes to more than there is.
    #[error(
        "the pipeline wants {} of memory, {} is {}",
        short_size(*.wanted), short_size(*.free), if .held.is_empty() { "there" } else { "free" }
    )]
    Memory {
        /// Bytes of `memory` and `object_store_memory` of all instances.
        wanted: u64,
        /// Bytes that the pipeline could have.
        free: u64,
        /// Bytes that operators can have, those of all pipelines together.
        available: u64,
        /// Bytes that host.toml gives away at most.
        most: Option<u64>,
        /// Bytes that are kept from them.
        reserved: u64,
        /// Bytes that are for models on CPU devices.
        of_devices: u64,
        /// Of what is wanted, bytes of the pipeline's control group beside its instances.
        room: u64,
        /// Who asks.
        askers: Vec<Asker>,
        /// Who has the rest.
        held: Vec<Holding>,
    },

    /// An instance's memory has no room for the worker process around it.
    #[error(
        "operator \"{operator}\" has memory = {}, of which its worker process takes {} for itself",
        short_size(*.memory), short_size(*.overhead)
    )]
    TooSmall {
        /// The operator.
        operator: String,
        /// Bytes of an instance.
        memory: u64,
        /// Bytes of a worker.
        overhead: u64,
        /// The smallest amount with which a guest has any memory at all.
        least: u64,
    },

    /// Nothing here can bound how many processes and threads a worker has.
    #[error("a worker of operator \"{operator}\" is to have at most {}, and nothing here can hold it to that", counted(*.most, "thread"))]
    Pids {
        /// The operator.
        operator: String,
        /// Threads of a worker.
        most: u32,
        /// What was found of the kernel's limits.
        place: String,
    },

    /// host.toml gives away what is not there.
    #[error("host.toml gives away {}, this process may use {} ({})", .0.given, counted(.0.usable.count(), "CPU"), .0.usable)]
    CpusNotHere(NotHere),

    /// host.toml gives away more memory than there is.
    #[error("host.toml gives away {} of memory, this process may use {}", short_size(*.given), short_size(*.there))]
    MemoryNotHere {
        /// Bytes that it gives away.
        given: u64,
        /// Bytes of the machine, or of the tightest control group above this process.
        there: u64,
    },

    /// host.toml keeps more for the host than there is.
    #[error("host.toml keeps {key} = {kept} for the host, this process may use {there}")]
    ReserveNotHere {
        /// `cpus` or `memory`.
        key: &'static str,
        /// What it keeps, as people read it.
        kept: String,
        /// What there is.
        there: String,
    },

    /// A tenant that host.toml does not name, where it names any.
    #[error("host.toml names no tenant \"{tenant}\"")]
    UnknownTenant {
        /// The tenant.
        tenant: String,
        /// Whom it names.
        declared: Vec<String>,
    },

    /// A tenant's pipelines would come to more than the tenant may have.
    #[error("the pipeline wants {wanted} of tenant \"{tenant}\"'s {resource}, {free} of {most} is free")]
    Ceiling {
        /// The tenant.
        tenant: String,
        /// What of: `CPUs`, `memory`, or a custom resource.
        resource: String,
        /// What the pipeline comes to.
        wanted: String,
        /// What it could have.
        free: String,
        /// What the tenant may have.
        most: String,
        /// Who has the rest.
        held: Vec<Holding>,
    },

    /// There is no device that may serve `num_gpus`.
    #[error("operator \"{operator}\" wants num_gpus = {}, and this host has no device for it", ten_thousandths(u64::from(*.value)))]
    NoDevice {
        /// The operator.
        operator: String,
        /// Devices of one instance, in 1/10,000.
        value: u32,
        /// Why not, of each that could be thought of.
        why: Vec<String>,
        /// Devices that would serve if host.toml let them count as GPUs.
        could_count: Vec<String>,
    },

    /// Not as much of devices is free as an operator wants.
    #[error(
        "operator \"{operator}\" wants {} of devices ({} × {}), {} {} free",
        ten_thousandths(*.wanted), counted(*.instances, "instance"), ten_thousandths(u64::from(*.each)),
        ten_thousandths(*.free), if *.free == 10_000 { "is" } else { "are" }
    )]
    Devices {
        /// The operator.
        operator: String,
        /// Of all its instances, in 1/10,000.
        wanted: u64,
        /// How many instances.
        instances: u32,
        /// Of one instance, in 1/10,000.
        each: u32,
        /// What its instances could have, in 1/10,000: what is left of devices in pieces that are too small is not among it.
        free: u64,
        /// The devices that serve `num_gpus`.
        devices: Vec<String>,
        /// What goes to other operators of this pipeline, in 1/10,000.
        taken: u64,
        /// Who has the rest.
        held: Vec<DeviceShare>,
    },

    /// The models of an operator do not fit into the memory of devices.
    #[error(
        "operator \"{operator}\" wants {} of device memory for each lease ({}), and no device has as much free for all of them",
        short_size(*.each), counted(*.instances, "instance")
    )]
    DeviceMemory {
        /// The operator.
        operator: String,
        /// Bytes for each of its leases.
        each: u64,
        /// How many instances.
        instances: u32,
        /// What they are for.
        models: Vec<String>,
        /// What is free of each device.
        devices: Vec<String>,
        /// Who has the rest.
        held: Vec<DeviceShare>,
    },

    /// host.toml gives every CPU to devices.
    #[error("host.toml gives CPUs {of_devices} to devices, and none of CPUs {given} is left for operators")]
    NoCpuLeft {
        /// The CPUs that are given away.
        given: CpuSet,
        /// Those of devices.
        of_devices: CpuSet,
    },

    /// Others hold every CPU, so that whatever leases none would run on a CPU that is somebody's.
    #[error(
        "no CPU of {allowed} is left that nobody leased: sources, sinks and operators without num_cpus would run on leased ones"
    )]
    NoSharedCpu {
        /// The CPUs that operators may use.
        allowed: CpuSet,
        /// Who holds them.
        held: Vec<HeldCpu>,
    },

    /// A CPU that `host.toml` gives to a device is somebody else's.
    #[error("host.toml gives CPUs {cpus} to device \"{device}\", and others hold of them")]
    DeviceCpus {
        /// The device.
        device: String,
        /// Its CPUs.
        cpus: CpuSet,
        /// Who holds them.
        held: Vec<HeldCpu>,
    },

    /// Bytes of input edges where there is no input edge.
    #[error("\"{operator}\" wants object_store_memory = {}, and has no input on which batches could wait", exact_size(*.value))]
    NoEdge {
        /// The operator.
        operator: String,
        /// Bytes.
        value: u64,
    },

    /// A resource for a built-in source or sink, which runs in the host itself.
    #[error("\"{stage}\" is built in and runs in the host, where nothing holds it to {resource} = {value}")]
    BuiltIn {
        /// The source or sink.
        stage: String,
        /// The resource.
        resource: &'static str,
        /// What was asked for.
        value: String,
    },

    /// A custom resource that the host does not have.
    #[error("operator \"{operator}\" wants {resource} = {}, and this host declares no {resource}", ten_thousandths(*.value))]
    Undeclared {
        /// The operator.
        operator: String,
        /// The resource.
        resource: String,
        /// Of one instance, in 1/10,000.
        value: u64,
        /// What the host declares.
        declared: Vec<String>,
    },

    /// A custom resource of which the host has less.
    #[error(
        "the pipeline wants {} of {resource}, this host declares {}{}",
        ten_thousandths(*.wanted),
        ten_thousandths(*.declared),
        if .held.is_empty() { String::new() } else { format!(" and {} is free", ten_thousandths(*.free)) }
    )]
    Custom {
        /// The resource.
        resource: String,
        /// Of all instances, in 1/10,000.
        wanted: u64,
        /// What the pipeline could have, in 1/10,000.
        free: u64,
        /// What the host declares, in 1/10,000.
        declared: u64,
        /// Who asks.
        askers: Vec<Asker>,
        /// Who has the rest.
        held: Vec<Holding>,
    },

    /// A limit that does not hold whatever anybody does, in a run that takes no others.
    #[error(
        "{resource} of operator \"{operator}\" ({effective}) is {}, by {}, and a strict run takes hard limits only",
        .tier.name(), .mechanism.name()
    )]
    NotHard {
        /// The operator.
        operator: String,
        /// The resource or limit.
        resource: String,
        /// What each instance would get.
        effective: String,
        /// What makes it hold.
        mechanism: Mechanism,
        /// How hard.
        tier: Tier,
        /// Why it is not hard.
        note: Option<String>,
    },

    /// Leases cannot be taken or seen.
    #[error(transparent)]
    Leases(ResourceError),
}

/// One operator's part of a sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The operator.
    pub operator: String,
    /// How many instances.
    pub instances: u32,
    /// What each asks for, as people read it.
    pub each: String,
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\": {} × {}", self.operator, counted(self.instances, "instance"), self.each)
    }
}
