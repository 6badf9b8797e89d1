use std::path::{Path, PathBuf};

use wasmtime::component::{Component, ComponentExportIndex, InstancePre};

use super::failure::{Failure, FailureCode};
use super::inspect::Inspection;
use super::load_error::LoadError;
use super::store::GuestStore;
use super::ticker::Alarm;
use sage_batch::fields::{FieldType, Schema};
use sage_plan::{ComponentFacts, Kind};

/// A component that is an operator: compiled, checked against the contract, and ready to start.
#[derive(Clone)]
pub struct Loaded {
    pub(super) path: PathBuf,
    pub(super) component: Component,
    pub(super) facts: ComponentFacts,
    pub(super) instance_bytes: u64,
    pub(super) inspection: Inspection,
    pub(super) exports: Exports,
    pub(super) pre: InstancePre<GuestStore>,
    pub(super) alarm: Alarm,
}

/// The functions of a kind's interface in a component.
#[derive(Clone)]
pub(super) struct Exports {
    pub(super) open: ComponentExportIndex,
    pub(super) close: ComponentExportIndex,
    pub(super) work: ComponentExportIndex,
    pub(super) end: Option<ComponentExportIndex>,
    pub(super) ports: Option<ComponentExportIndex>,
    pub(super) position: Option<ComponentExportIndex>,
    pub(super) seek: Option<ComponentExportIndex>,
    pub(super) merge: Option<ComponentExportIndex>,
    pub(super) finish: Option<ComponentExportIndex>,
}

impl Loaded {
    /// The facts that planning needs about the component.
    #[must_use]
    pub fn facts(&self) -> &ComponentFacts {
        &self.facts
    }

    /// The compiled code, for [`Sandbox::load_compiled`](super::Sandbox::load_compiled) in another process.
    ///
    /// # Errors
    /// A fault of the engine.
    pub fn compiled(&self) -> Result<Vec<u8>, LoadError> {
        self.component.serialize().map_err(LoadError::engine)
    }

    /// Path of the component's file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The facts about the component that are shown to users.
    #[must_use]
    pub fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    /// Bytes that the runtime allocates for each copy of the component, without linear memories and tables. The
    /// instance's budget must have room for them.
    #[must_use]
    pub fn instance_bytes(&self) -> u64 {
        self.instance_bytes
    }

    /// The columns that the component reads, in the order in which it reads them, of tables with this schema.
    pub(super) fn columns_in(&self, schema: &Schema) -> Result<Vec<usize>, Failure> {
        let fields = self.facts.shape().map_or(&[][..], |fields| fields.reads.fields());
        let column = |field: &FieldType| {
            let at = schema.position(&field.name);
            let fits = |at: usize| {
                let given = schema.fields().get(at)?;
                (given.data_type == field.data_type && (field.nullable || !given.nullable)).then_some(at)
            };
            at.and_then(fits).ok_or_else(|| {
                let message = format!("the records have no field `{}` of type {}", field.name, field.data_type);
                Failure::new(FailureCode::Malformed, message)
            })
        };
        fields.iter().map(column).collect()
    }

    pub(super) fn kind(&self) -> Kind {
        self.facts.kind
    }

    pub(super) fn exports(&self) -> &Exports {
        &self.exports
    }

    pub(super) fn pre(&self) -> &InstancePre<GuestStore> {
        &self.pre
    }

    pub(super) fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    pub(super) fn engine(&self) -> &wasmtime::Engine {
        self.component.engine()
    }
}

/// Whether components of this kind have side outputs.
pub(super) fn has_ports(kind: Kind) -> bool {
    matches!(kind, Kind::Process | Kind::Source)
}
