use std::path::Path;
use std::sync::Arc;

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre};

use super::check_shape::check_shape;
use super::contract::{BatchRef, ClosingRef, ColumnRef, ContextRef, PACKAGE, ProgressView, speaks};
use super::fields_contract::{FieldBatchRef, TableRef};
use super::footprint::Footprint;
use super::imports::{ImportAccess, with_denied_http};
use super::inspect::Inspection;
use super::known::Known;
use super::load_error::LoadError;
use super::loaded::{Exports, Loaded, has_ports};
use super::runtime::Sandbox;
use super::store::GuestStore;
use sage_plan::{ComponentFacts, Kind};

/// The side output of a window operator.
const LATE: &str = "late";

/// Most imports or exports of a component. A Rust component imports about 20 interfaces.
const MOST_NAMES: usize = 256;

impl Sandbox {
    /// Compiles the component in a file, or takes it from the cache, and checks that it is an operator that
    /// imports only interfaces that this host provides. A compilation takes milliseconds to seconds.
    ///
    /// # Errors
    /// Any [`LoadError`]. Of the component's code, at most its start function and `ports` have run, and these
    /// in the compiler's process if components are compiled there.
    pub fn load(&self, path: &Path) -> Result<Arc<Loaded>, LoadError> {
        let known = self.known(path)?;
        self.load_known(path, &known)
    }

    /// Loads a component that another process of this host compiled and examined. `compiled` is the file with
    /// the result of [`Loaded::compiled`] there, and `instance_bytes` is the result of
    /// [`Loaded::instance_bytes`] there. Nothing is compiled, and no code of the component runs.
    ///
    /// # Errors
    /// The bytes are from another version or configuration of the engine.
    ///
    /// # Safety
    /// The file must hold bytes that this host wrote, and no other user may be able to change the file: its
    /// code is run without a check.
    pub unsafe fn load_compiled(
        &self,
        compiled: &Path,
        (facts, instance_bytes): (ComponentFacts, u64),
    ) -> Result<Arc<Loaded>, LoadError> {
        // SAFETY: the caller ensures it.
        let component = unsafe { Component::deserialize_file(self.engine(), compiled) }.map_err(LoadError::engine)?;
        let inspection = describe(self, compiled, &component, &Footprint::default())?;
        let exports = find_exports(self, compiled, &component, (facts.kind, facts.by_field))?;
        let pre = self.link(compiled, &component, &inspection, facts.kind)?;
        let (path, alarm) = (compiled.to_owned(), self.ticker().alarm());
        Ok(Arc::new(Loaded { path, component, facts, instance_bytes, inspection, exports, pre, alarm }))
    }

    /// The facts that planning needs about the component in a file, which must be an operator.
    ///
    /// # Errors
    /// As [`Sandbox::load`].
    pub fn facts(&self, path: &Path) -> Result<ComponentFacts, LoadError> {
        self.load(path).map(|loaded| loaded.facts.clone())
    }

    /// Describes the component in a file, even if it is not an operator of this contract.
    ///
    /// # Errors
    /// As [`Sandbox::load`], except for violations of the contract.
    pub fn inspect(&self, path: &Path) -> Result<Inspection, LoadError> {
        let known = self.known(path)?;
        let mut inspection = describe(self, path, &known.component, &known.facts.footprint)?;
        if inspection.kind.is_some()
            && let Ok(loaded) = self.load_known(path, &known)
        {
            inspection.ports.clone_from(&loaded.facts.ports);
        }
        inspection.description = known.facts.description.as_deref().cloned();
        Ok(inspection)
    }

    fn load_known(&self, path: &Path, known: &Known) -> Result<Arc<Loaded>, LoadError> {
        let mut loaded = self.operator(path, known.component.clone(), &known.facts.footprint)?;
        let ports = match loaded.kind() {
            // The host sends late records on an output of its own.
            Kind::Window => vec![LATE.to_owned()],
            kind if has_ports(kind) => self.ports_of(known, &loaded)?,
            _ => Vec::new(),
        };
        check_ports(path, &ports)?;
        if let Some(loaded) = Arc::get_mut(&mut loaded) {
            loaded.inspection.ports.clone_from(&ports);
            loaded.facts.ports = ports;
            loaded.facts.description.clone_from(&known.facts.description);
        }
        check_shape(path, &loaded.facts)?;
        Ok(loaded)
    }

    /// Checks that a component is an operator, as far as this is possible without running its code.
    pub(super) fn operator(
        &self,
        path: &Path,
        component: Component,
        footprint: &Footprint,
    ) -> Result<Arc<Loaded>, LoadError> {
        let inspection = describe(self, path, &component, footprint)?;
        let Some(kind) = inspection.kind else {
            let found = match inspection.exports.as_slice() {
                [] => "none".to_owned(),
                names => names.join(", "),
            };
            return Err(LoadError::NoOperator { path: path.to_owned(), found });
        };
        let by_field = inspection.by_field;
        let exports = find_exports(self, path, &component, (kind, by_field))?;
        let pre = self.link(path, &component, &inspection, kind)?;
        let initial_bytes = inspection.memories.iter().map(|memory| memory.initial_bytes).sum();
        let facts = ComponentFacts { kind, ports: Vec::new(), description: None, initial_bytes, by_field };
        Ok(Arc::new(Loaded {
            path: path.to_owned(),
            component,
            facts,
            instance_bytes: footprint.instance,
            inspection,
            exports,
            pre,
            alarm: self.ticker().alarm(),
        }))
    }

    fn link(
        &self,
        path: &Path,
        component: &Component,
        inspection: &Inspection,
        kind: Kind,
    ) -> Result<InstancePre<GuestStore>, LoadError> {
        let linker = self.linker(kind == Kind::Process).map_err(LoadError::engine)?;
        let with_http = with_denied_http(linker, component).map_err(LoadError::engine)?;
        with_http.as_ref().unwrap_or(linker).instantiate_pre(component).map_err(|error| {
            let refused = inspection.access.iter().filter(|(_, access)| **access == ImportAccess::Refused);
            let imports: Vec<_> = refused.map(|(name, _)| name.clone()).collect();
            if imports.is_empty() {
                LoadError::WrongShape { path: path.to_owned(), what: format!("{error:#}") }
            } else {
                LoadError::NotProvided { path: path.to_owned(), imports }
            }
        })
    }
}

fn describe(
    sandbox: &Sandbox,
    path: &Path,
    component: &Component,
    footprint: &Footprint,
) -> Result<Inspection, LoadError> {
    let ty = component.component_type();
    let names = |count: usize, what: &str| {
        if count <= MOST_NAMES {
            return Ok(());
        }
        let what = format!("{count} {what}, at most {MOST_NAMES} are allowed");
        Err(LoadError::WrongShape { path: path.to_owned(), what })
    };
    let imports: Vec<String> = ty.imports(sandbox.engine()).map(|(name, _)| name.to_owned()).collect();
    let exports: Vec<String> = ty.exports(sandbox.engine()).map(|(name, _)| name.to_owned()).collect();
    names(imports.len(), "imports")?;
    names(exports.len(), "exports")?;
    let mut kinds = exports.iter().filter_map(|name| operator_export(name));
    let (kind, wit_version) = match (kinds.next(), kinds.next()) {
        (Some((kind, version)), None) => (kind.filter(|_| speaks(version)), Some(version.to_owned())),
        (Some((_, version)), Some(_)) => (None, Some(version.to_owned())),
        (None, _) => (None, None),
    };
    let by_field = kind.is_some_and(|(_, by_field)| by_field);
    let kind = kind.map(|(kind, _)| kind);
    let access = imports.iter().map(|import| (import.clone(), ImportAccess::of(import, kind))).collect();
    Ok(Inspection {
        bytes: footprint.binary,
        kind,
        by_field,
        wit_version,
        ports: Vec::new(),
        description: None,
        imports,
        access,
        exports,
        memories: footprint.memories.clone(),
    })
}

/// Splits `sage:operator/mapper@0.1.0` into the kind and whether records come by field (if the interface is one of
/// this contract), and the version.
fn operator_export(name: &str) -> Option<(Option<(Kind, bool)>, &str)> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.split_once('@')?;
    let found = Kind::ALL.into_iter().find_map(|kind| match interface {
        by_bytes if by_bytes == kind.interface() => Some((kind, false)),
        by_field if by_field == kind.interface_by_field() => Some((kind, true)),
        _ => None,
    });
    Some((found, version))
}

fn check_ports(path: &Path, ports: &[String]) -> Result<(), LoadError> {
    let fine = |port: &String| {
        !port.is_empty()
            && port.len() <= 64
            && port != "rejects"
            && port.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let unique = ports.iter().enumerate().all(|(i, port)| ports.iter().skip(i + 1).all(|other| other != port));
    if ports.len() <= 32 && unique && ports.iter().all(fine) {
        return Ok(());
    }
    let what =
        format!("its side outputs {ports:?} are not up to 32 different names of [a-z0-9-]+ other than \"rejects\"");
    Err(LoadError::WrongShape { path: path.to_owned(), what })
}

fn find_exports(
    sandbox: &Sandbox,
    path: &Path,
    component: &Component,
    found: (Kind, bool),
) -> Result<Exports, LoadError> {
    let (kind, by_field) = found;
    let engine = sandbox.engine();
    let ty = component.component_type();
    let shapes = ty.instance_type();
    let wrong = |what: String| LoadError::WrongShape { path: path.to_owned(), what };
    let Some((interface_name, interface)) =
        ty.exports(engine).find_map(|(name, export)| match (operator_export(name), export.ty) {
            (Some((Some(of), _)), ComponentItem::ComponentInstance(instance)) if of == found => {
                Some((name.to_owned(), instance))
            }
            _ => None,
        })
    else {
        return Err(wrong(format!("the export for {kind} is not an interface")));
    };
    let (_, interface_index) =
        component.get_export(None, &interface_name).ok_or_else(|| wrong(format!("{interface_name} is missing")))?;
    let function = |name: &str, fits: &dyn Fn(&wasmtime::component::types::ComponentFunc) -> wasmtime::Result<()>| {
        let export = interface.get_export(engine, name);
        let Some(ComponentItem::ComponentFunc(found)) = export.map(|export| export.ty) else {
            return Err(wrong(format!("{interface_name} has no function `{name}`")));
        };
        fits(&found).map_err(|e| wrong(format!("{interface_name}: `{name}` is not the contract's: {e:#}")))?;
        component
            .get_export_index(Some(&interface_index), name)
            .ok_or_else(|| wrong(format!("{interface_name}: `{name}` cannot be found")))
    };
    type Outcome = (Result<(), String>,);
    type FoldOf<'a, B> = (B, &'a [u32], &'a [u32], ColumnRef<'a>, &'a [u8]);
    let work = match kind {
        Kind::Map if by_field => function("map", &|f| f.typecheck::<(TableRef<'_>,), ()>(&shapes)),
        Kind::Filter if by_field => function("filter", &|f| f.typecheck::<(TableRef<'_>,), ()>(&shapes)),
        Kind::FlatMap if by_field => function("flat-map", &|f| f.typecheck::<(TableRef<'_>,), ()>(&shapes)),
        Kind::KeyBy if by_field => function("key-by", &|f| f.typecheck::<(TableRef<'_>,), ()>(&shapes)),
        Kind::Map => function("map", &|f| f.typecheck::<(ColumnRef<'_>,), ()>(&shapes)),
        Kind::Filter => function("filter", &|f| f.typecheck::<(ColumnRef<'_>,), ()>(&shapes)),
        Kind::FlatMap => function("flat-map", &|f| f.typecheck::<(ColumnRef<'_>,), ()>(&shapes)),
        Kind::KeyBy => function("key-by", &|f| f.typecheck::<(ColumnRef<'_>,), ()>(&shapes)),
        Kind::Process if by_field => function("process", &|f| f.typecheck::<(FieldBatchRef<'_>,), ()>(&shapes)),
        Kind::Sink if by_field => function("write", &|f| f.typecheck::<(FieldBatchRef<'_>,), ()>(&shapes)),
        Kind::Process => function("process", &|f| f.typecheck::<(BatchRef<'_>,), ()>(&shapes)),
        Kind::Sink => function("write", &|f| f.typecheck::<(BatchRef<'_>,), ()>(&shapes)),
        Kind::Window if by_field => function("fold", &|f| f.typecheck::<FoldOf<'_, FieldBatchRef<'_>>, ()>(&shapes)),
        Kind::Window => function("fold", &|f| f.typecheck::<FoldOf<'_, BatchRef<'_>>, ()>(&shapes)),
        Kind::Source => function("next", &|f| f.typecheck::<(u32, u32), (Result<ProgressView, String>,)>(&shapes)),
    }?;
    let makes = has_ports(kind);
    let ports = |f: &wasmtime::component::types::ComponentFunc| f.typecheck::<(), (Vec<String>,)>(&shapes);
    Ok(Exports {
        open: function("open", &|f| f.typecheck::<(ContextRef<'_>,), Outcome>(&shapes))?,
        close: function("close", &|f| f.typecheck::<(), ()>(&shapes))?,
        work,
        end: match kind {
            Kind::Process => Some(function("end", &|f| f.typecheck::<(), ()>(&shapes))?),
            Kind::Sink => Some(function("flush", &|f| f.typecheck::<(), Outcome>(&shapes))?),
            _ => None,
        },
        ports: makes.then(|| function("ports", &ports)).transpose()?,
        position: (kind == Kind::Source)
            .then(|| function("position", &|f| f.typecheck::<(), (Vec<u8>,)>(&shapes)))
            .transpose()?,
        seek: (kind == Kind::Source)
            .then(|| function("seek", &|f| f.typecheck::<(&[u8],), Outcome>(&shapes)))
            .transpose()?,
        merge: (kind == Kind::Window)
            .then(|| function("merge", &|f| f.typecheck::<(ColumnRef<'_>, ColumnRef<'_>), ()>(&shapes)))
            .transpose()?,
        finish: (kind == Kind::Window)
            .then(|| function("finish", &|f| f.typecheck::<(ClosingRef<'_>,), ()>(&shapes)))
            .transpose()?,
    })
}
