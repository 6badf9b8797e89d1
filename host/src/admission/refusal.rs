use std::fmt;

use thiserror::Error;

use crate::resources::{CpuSet, HeldCpu, LeaseRefused, ResourceError, bytes, counted, ten_thousandths};

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
        /// CPUs of the process.
        allowed: CpuSet,
        /// CPUs that are never leased.
        reserved: u32,
        /// CPUs that go to operators before it in this pipeline.
        taken: u32,
        /// CPUs that are leased already.
        held: Vec<HeldCpu>,
    },

    /// Fractions of CPUs come to more than the CPUs that nobody leases.
    #[error(
        "shares come to {} CPUs, {shared} {} left unleased",
        ten_thousandths(*.wanted), if *.shared == 1 { "is" } else { "are" }
    )]
    Shares {
        /// The sum, in 1/10,000.
        wanted: u64,
        /// CPUs left.
        shared: u32,
        /// Who asks.
        askers: Vec<Asker>,
    },

    /// Memory comes to more than there is.
    #[error("the pipeline wants {} of memory, {} is there", bytes(*.wanted), bytes(*.available))]
    Memory {
        /// Bytes of `memory` and `object_store_memory` of all instances.
        wanted: u64,
        /// Bytes that operators can have.
        available: u64,
        /// Bytes that are kept from them.
        reserved: u64,
        /// Who asks.
        askers: Vec<Asker>,
    },

    /// This build cannot give devices.
    #[error(
        "operator \"{operator}\" wants num_gpus = {}, and this build has no inference import that could hold it to that",
        ten_thousandths(u64::from(*.value))
    )]
    Gpus {
        /// The operator.
        operator: String,
        /// Devices of one instance, in 1/10,000.
        value: u32,
    },

    /// Bytes of input edges where there is no input edge.
    #[error("\"{operator}\" wants object_store_memory = {}, and has no input on which batches could wait", bytes(*.value))]
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
    #[error("the pipeline wants {} of {resource}, this host declares {}", ten_thousandths(*.wanted), ten_thousandths(*.declared))]
    Custom {
        /// The resource.
        resource: String,
        /// Of all instances, in 1/10,000.
        wanted: u64,
        /// What the host declares, in 1/10,000.
        declared: u64,
        /// Who asks.
        askers: Vec<Asker>,
    },

    /// Between deciding and leasing another process took CPUs.
    #[error("another sage-host was faster: {0}")]
    Outrun(LeaseRefused),

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

impl Reason {
    /// The numbers behind it, a line each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        match self {
            Self::Cpus { allowed, reserved, taken, held, .. } => {
                let mut notes = vec![format!(
                    "of {} ({allowed}), {reserved} never leased, {taken} for other operators of this pipeline, {} leased already",
                    counted(allowed.count(), "CPU"),
                    held.len()
                )];
                notes.extend(held.iter().map(HeldCpu::to_string));
                notes
            }
            Self::Outrun(refused) => refused.held.iter().map(HeldCpu::to_string).collect(),
            Self::Memory { reserved, askers, .. } => {
                let mut notes: Vec<_> = askers.iter().map(Asker::to_string).collect();
                notes.push(format!("{} kept for the host", bytes(*reserved)));
                notes
            }
            Self::Shares { askers, .. } | Self::Custom { askers, .. } => askers.iter().map(Asker::to_string).collect(),
            Self::Undeclared { declared, .. } if declared.is_empty() => Vec::new(),
            Self::Undeclared { declared, .. } => vec![format!("it declares {}", declared.join(", "))],
            Self::Leases(error) => {
                let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
                causes.map(ToString::to_string).collect()
            }
            Self::Gpus { .. } | Self::NoEdge { .. } | Self::BuiltIn { .. } => Vec::new(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Cpus { .. } | Self::Shares { .. } | Self::Outrun(_) => {
                "lower num_cpus or parallelism, or pass --overcommit".to_owned()
            }
            Self::Memory { .. } => "lower memory or parallelism, or pass --overcommit".to_owned(),
            Self::Gpus { .. } => "remove num_gpus, or pass --allow-unenforced to run without".to_owned(),
            Self::NoEdge { .. } => {
                "remove object_store_memory, or give it to the stages that take this one's output".to_owned()
            }
            Self::BuiltIn { resource, .. } => format!("remove {resource}, or pass --allow-unenforced to run without"),
            Self::Undeclared { resource, value, .. } => {
                format!(
                    "add resources = {{ {resource} = {} }} to host.toml if this host has it",
                    ten_thousandths(*value)
                )
            }
            Self::Custom { resource, .. } => {
                format!("lower {resource} or parallelism, raise it in host.toml if there is more, or pass --overcommit")
            }
            Self::Leases(error) => return error.hint().map(str::to_owned),
        })
    }
}
