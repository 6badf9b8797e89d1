use std::fmt;

use thiserror::Error;

use super::Holding;
use sage_machine::cgroup::LimitAbove;
use sage_machine::{CpuSet, DeviceShare, HeldCpu, Mechanism, NotHere, ResourceError, Tier, counted, ten_thousandths};
use sage_text::{exact_size, short_size};

/// The refusal of a pipeline, with every reason against it. Nothing was taken.
#[derive(Debug, Error)]
pub struct Refusal {
    /// At least one reason.
    pub reasons: Vec<Reason>,
}

/// Each reason on a line of its own, followed by its numbers and a hint.
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

/// A reason against starting a pipeline.
#[derive(Debug, Error)]
pub enum Reason {
    /// There are fewer free CPUs to lease than an operator requests.
    #[error(
        "operator \"{operator}\" wants {} ({} × {each}), {free} {} free",
        counted(*.wanted, "CPU"), counted(*.instances, "instance"), if *.free == 1 { "is" } else { "are" }
    )]
    Cpus {
        /// The operator.
        operator: String,
        /// CPUs of all its instances.
        wanted: u32,
        /// Number of instances.
        instances: u32,
        /// CPUs of one instance.
        each: u32,
        /// CPUs that the operator could have.
        free: u32,
        /// CPUs that are given away.
        allowed: CpuSet,
        /// Number of CPUs that the process may use but `host.toml` does not give away.
        not_given: u32,
        /// Number of CPUs that are never leased.
        reserved: u32,
        /// Number of CPUs that go to earlier operators of this pipeline.
        taken: u32,
        /// CPUs that are already leased.
        held: Vec<HeldCpu>,
    },

    /// CPU shares add up to more than the CPUs without a lease.
    #[error(
        "shares come to {} CPUs{}, {shared} {} left unleased",
        ten_thousandths(*.wanted),
        if *.elsewhere == 0 {
            String::new()
        } else {
            format!(" beside {} of other pipelines", ten_thousandths(*.elsewhere))
        },
        if *.shared == 1 { "is" } else { "are" }
    )]
    Shares {
        /// Sum of this pipeline's shares, in 1/10,000 of a CPU.
        wanted: u64,
        /// Sum of the shares of running pipelines, in 1/10,000 of a CPU.
        elsewhere: u64,
        /// CPUs that are left without a lease.
        shared: u32,
        /// The operators that request shares.
        askers: Vec<Asker>,
        /// The holders of the other shares.
        held: Vec<Holding>,
    },

    /// CPUs and shares add up to more CPU time than the control groups above this process give.
    #[error(
        "the pipeline wants {} CPUs of time, the control group {} gives {}{}",
        ten_thousandths(*.wanted), .limit.group.display(), ten_thousandths(.limit.amount),
        if .held.is_empty() { String::new() } else { format!(", {} of it free", ten_thousandths(*.free)) }
    )]
    Quota {
        /// Whole CPUs and shares of this pipeline, in 1/10,000 of a CPU.
        wanted: u64,
        /// CPU time that the pipeline could have, in 1/10,000 of a CPU.
        free: u64,
        /// The quota and the control group that sets it.
        limit: LimitAbove,
        /// The operators that request CPU time.
        askers: Vec<Asker>,
        /// Holdings of other pipelines, as text.
        held: Vec<String>,
    },

    /// The requested memory exceeds the available memory.
    #[error(
        "the pipeline wants {} of memory, {} is {}",
        short_size(*.wanted), short_size(*.free), if .held.is_empty() { "there" } else { "free" }
    )]
    Memory {
        /// Bytes of `memory` and `object_store_memory` of all instances.
        wanted: u64,
        /// Bytes that the pipeline could have.
        free: u64,
        /// Bytes that operators of all pipelines can have together.
        available: u64,
        /// Bytes that host.toml gives away at most.
        most: Option<u64>,
        /// Bytes that are reserved for the host.
        reserved: u64,
        /// Bytes for models on CPU devices.
        of_devices: u64,
        /// The part of `wanted` for the pipeline's control group beside its instances, in bytes.
        room: u64,
        /// The operators that request memory.
        askers: Vec<Asker>,
        /// The holders of the remaining memory.
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
        /// The smallest amount of memory that leaves a page for a guest, in bytes.
        least: u64,
    },

    /// No mechanism on this host can bound the processes and threads of a worker.
    #[error(
        "a worker of operator \"{operator}\" must have at most {}, and this host cannot enforce that",
        counted(*.most, "thread")
    )]
    Pids {
        /// The operator.
        operator: String,
        /// Threads of a worker.
        most: u32,
        /// The limits of the kernel that were found.
        place: String,
    },

    /// host.toml gives away CPUs that this process may not use.
    #[error(
        "host.toml gives away {}, this process may use {} ({})",
        .0.given, counted(.0.usable.count(), "CPU"), .0.usable
    )]
    CpusNotHere(NotHere),

    /// host.toml gives away more memory than this process may use.
    #[error("host.toml gives away {} of memory, this process may use {}", short_size(*.given), short_size(*.there))]
    MemoryNotHere {
        /// Bytes that host.toml gives away.
        given: u64,
        /// Bytes of the machine, or of the tightest control group above this process.
        there: u64,
    },

    /// host.toml reserves more for the host than this process may use.
    #[error("host.toml keeps {key} = {kept} for the host, this process may use {there}")]
    ReserveNotHere {
        /// `cpus` or `memory`.
        key: &'static str,
        /// The reserved amount, formatted for people.
        kept: String,
        /// The available amount, formatted for people.
        there: String,
    },

    /// host.toml names tenants, but not this one.
    #[error("host.toml names no tenant \"{tenant}\"")]
    UnknownTenant {
        /// The tenant.
        tenant: String,
        /// The tenants that host.toml names.
        declared: Vec<String>,
    },

    /// A tenant's pipelines would exceed the tenant's ceiling.
    #[error("the pipeline wants {wanted} of tenant \"{tenant}\"'s {resource}, {free} of {most} is free")]
    Ceiling {
        /// The tenant.
        tenant: String,
        /// The resource: `CPUs`, `memory`, or a custom resource.
        resource: String,
        /// The amount of the pipeline.
        wanted: String,
        /// The amount that the pipeline could have.
        free: String,
        /// The tenant's ceiling.
        most: String,
        /// The holders of the remaining amount.
        held: Vec<Holding>,
    },

    /// No device may serve `num_gpus`.
    #[error(
        "operator \"{operator}\" wants num_gpus = {}, and this host has no device for it",
        ten_thousandths(u64::from(*.value))
    )]
    NoDevice {
        /// The operator.
        operator: String,
        /// Devices of one instance, in 1/10,000 of a device.
        value: u32,
        /// For each possible device, the reason why it cannot serve.
        why: Vec<String>,
        /// Devices that would serve if host.toml let them count as GPUs.
        could_count: Vec<String>,
    },

    /// The free part of the devices is smaller than an operator requests.
    #[error(
        "operator \"{operator}\" wants {} of devices ({} × {}), {} {} free",
        ten_thousandths(*.wanted), counted(*.instances, "instance"), ten_thousandths(u64::from(*.each)),
        ten_thousandths(*.free), if *.free == 10_000 { "is" } else { "are" }
    )]
    Devices {
        /// The operator.
        operator: String,
        /// Devices of all its instances, in 1/10,000 of a device.
        wanted: u64,
        /// Number of instances.
        instances: u32,
        /// Devices of one instance, in 1/10,000 of a device.
        each: u32,
        /// The amount that its instances could have, in 1/10,000 of a device. Pieces of devices that are too
        /// small are not included.
        free: u64,
        /// The devices that serve `num_gpus`.
        devices: Vec<String>,
        /// The amount that goes to other operators of this pipeline, in 1/10,000 of a device.
        taken: u64,
        /// The holders of the remaining shares.
        held: Vec<DeviceShare>,
    },

    /// The models of an operator do not fit into the memory of the devices.
    #[error(
        "operator \"{operator}\" wants {} of device memory for each lease ({}), \
         and no device has as much free for all of them",
        short_size(*.each), counted(*.instances, "instance")
    )]
    DeviceMemory {
        /// The operator.
        operator: String,
        /// Bytes for each of its leases.
        each: u64,
        /// Number of instances.
        instances: u32,
        /// The purpose of the bytes, one line for each model.
        models: Vec<String>,
        /// The free memory of each device.
        devices: Vec<String>,
        /// The holders of the remaining memory.
        held: Vec<DeviceShare>,
    },

    /// host.toml gives every CPU to devices.
    #[error("host.toml gives CPUs {of_devices} to devices, and none of CPUs {given} is left for operators")]
    NoCpuLeft {
        /// The CPUs that are given away.
        given: CpuSet,
        /// The CPUs of devices.
        of_devices: CpuSet,
    },

    /// Others lease every CPU, so threads without a lease would run on leased CPUs.
    #[error(
        "no CPU of {allowed} is left without a lease: \
         sources, sinks and operators without num_cpus would run on leased CPUs"
    )]
    NoSharedCpu {
        /// The CPUs that operators may use.
        allowed: CpuSet,
        /// The leases on these CPUs.
        held: Vec<HeldCpu>,
    },

    /// Another run holds a CPU that `host.toml` gives to a device.
    #[error("host.toml gives CPUs {cpus} to device \"{device}\", and other runs hold some of them")]
    DeviceCpus {
        /// The device.
        device: String,
        /// The device's CPUs.
        cpus: CpuSet,
        /// The leases on these CPUs.
        held: Vec<HeldCpu>,
    },

    /// An operator without input edges requests bytes for input edges.
    #[error(
        "\"{operator}\" wants object_store_memory = {}, and has no input on which batches could wait",
        exact_size(*.value)
    )]
    NoEdge {
        /// The operator.
        operator: String,
        /// The requested bytes.
        value: u64,
    },

    /// A built-in source or sink, which runs in the host itself, requests a resource.
    #[error("\"{stage}\" is built in and runs in the host, where nothing holds it to {resource} = {value}")]
    BuiltIn {
        /// The source or sink.
        stage: String,
        /// The resource.
        resource: &'static str,
        /// The requested amount.
        value: String,
    },

    /// The host does not declare a requested custom resource.
    #[error(
        "operator \"{operator}\" wants {resource} = {}, and this host declares no {resource}",
        ten_thousandths(*.value)
    )]
    Undeclared {
        /// The operator.
        operator: String,
        /// The resource.
        resource: String,
        /// The amount for one instance, in 1/10,000 of a unit.
        value: u64,
        /// The resources that the host declares.
        declared: Vec<String>,
    },

    /// The host has less of a custom resource than the pipeline requests.
    #[error(
        "the pipeline wants {} of {resource}, this host declares {}{}",
        ten_thousandths(*.wanted),
        ten_thousandths(*.declared),
        if .held.is_empty() { String::new() } else { format!(" and {} is free", ten_thousandths(*.free)) }
    )]
    Custom {
        /// The resource.
        resource: String,
        /// The amount for all instances, in 1/10,000 of a unit.
        wanted: u64,
        /// The amount that the pipeline could have, in 1/10,000 of a unit.
        free: u64,
        /// The amount that the host declares, in 1/10,000 of a unit.
        declared: u64,
        /// The operators that request the resource.
        askers: Vec<Asker>,
        /// The holders of the remaining amount.
        held: Vec<Holding>,
    },

    /// A limit is not hard, in a strict run, which accepts only hard limits.
    #[error(
        "{resource} of operator \"{operator}\" ({effective}) is {}, by {}, and a strict run takes hard limits only",
        .tier.name(), .mechanism.name()
    )]
    NotHard {
        /// The operator.
        operator: String,
        /// The resource or limit.
        resource: String,
        /// The effective limit of each instance.
        effective: String,
        /// The mechanism that enforces the limit.
        mechanism: Mechanism,
        /// The tier of the enforcement.
        tier: Tier,
        /// The reason why the limit is not hard.
        note: Option<String>,
    },

    /// Leases cannot be taken or read.
    #[error(transparent)]
    Leases(ResourceError),
}

/// An operator's part of a sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The operator.
    pub operator: String,
    /// Number of instances.
    pub instances: u32,
    /// The request of each instance, formatted for people.
    pub each: String,
}

impl fmt::Display for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\": {} × {}", self.operator, counted(self.instances, "instance"), self.each)
    }
}
