use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind, ComponentTypeRef, ConstExpr,
    ElementItems, ElementKind, Encoding, ExternalKind, Instance, Operator, Parser, Payload, TypeRef,
};

use super::limiter::MOST_INSTANCES;

/// Bytes that the runtime allocates for one copy of a component without asking a limiter: the contexts of its
/// core instances, with their globals, imports and function references; the descriptors of memories and tables;
/// evaluated element segments; and the component's own context.
///
/// The sum is computed from the binary before the component is instantiated, with the sizes of these structures
/// in wasmtime 48 (its `vmoffsets.rs`, and the structures around them), rounded up. No name is resolved: a
/// module that comes from outside its component (an alias, an import) counts as the largest module of the
/// binary, and such a component counts as all the instances that a limiter allows. So the sum may be too large
/// and is never too small.
///
/// Not counted: linear memories and tables, for which the limiter is asked; compiled code, which all copies
/// share.
#[must_use]
pub(super) fn instance_bytes(component: &[u8]) -> u64 {
    let mut first = Weighing::default();
    first.read(component);
    let largest = first.largest;
    let elsewhere = largest.saturating_mul(MOST_INSTANCES as u64).saturating_add(component.len() as u64);
    let mut second =
        Weighing { unresolved: Unresolved { module: largest, component: elsewhere }, ..Weighing::default() };
    second.read(component)
}

/// A core instance besides its context: the structure, its entry in the store, and its exports as the component
/// keeps them.
const INSTANCE_BYTES: u64 = 1024;
/// A component without its contents.
const COMPONENT_BYTES: u64 = 1024;
/// A component instance within a component.
const INNER_INSTANCE_BYTES: u64 = 128;
/// A function between component and core: its trampoline, its lowering, its options for memories and functions,
/// a part of an adapter.
const CANONICAL_BYTES: u64 = 256;
/// An imported function, memory, table, global or tag.
const IMPORT_BYTES: u64 = 32;
/// A global of any type: 16 bytes.
const GLOBAL_BYTES: u64 = 16;
/// A memory or table: its definition and the runtime's data about it.
const DESCRIPTOR_BYTES: u64 = 512;
/// A function that is used as an element, an export or a constant.
const FUNCTION_REFERENCE_BYTES: u64 = 32;
/// An element of a segment that is not copied into its table at instantiation.
const ELEMENT_BYTES: u64 = 16;
/// A segment of elements or data.
const SEGMENT_BYTES: u64 = 32;
/// A name for a part of an instance: a memory, table or function to which the component's context points.
const ALIAS_BYTES: u64 = 64;
/// An export, through which instances find each other's parts.
const EXPORT_BYTES: u64 = 48;

/// The modules and components whose bytes are being read, the outermost first.
#[derive(Default)]
struct Weighing {
    open: Vec<Open>,
    /// Bytes of the largest module that was read.
    largest: u64,
    unresolved: Unresolved,
}

/// Bytes of one instance of a module, and of a component, that come from outside.
#[derive(Default, Clone, Copy)]
struct Unresolved {
    module: u64,
    component: u64,
}

#[derive(Default)]
struct Open {
    is_component: bool,
    bytes: u64,
    /// Number of functions. References to functions are never counted higher than this.
    functions: u64,
    references: u64,
    /// In a component: bytes of one instance of each of its modules and components, by index; `None` for those
    /// from outside.
    modules: Vec<Option<u64>>,
    components: Vec<Option<u64>>,
}

impl Weighing {
    /// Bytes of one instance of this binary.
    fn read(&mut self, component: &[u8]) -> u64 {
        for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
            self.take(&payload);
        }
        // A truncated binary was not compiled. The loop only closes its open parts.
        while self.open.len() > 1 {
            self.close();
        }
        self.open.pop().map_or(0, |root| root.bytes)
    }

    fn take(&mut self, payload: &Payload<'_>) {
        match payload {
            Payload::Version { encoding, .. } => {
                let is_component = *encoding == Encoding::Component;
                let bytes = if is_component { COMPONENT_BYTES } else { INSTANCE_BYTES };
                self.open.push(Open { is_component, bytes, ..Open::default() });
            }
            Payload::End(_) if self.open.len() > 1 => self.close(),
            other => {
                let unresolved = self.unresolved;
                if let Some(open) = self.open.last_mut() {
                    open.take(other, unresolved);
                }
            }
        }
    }

    /// Ends a module or component within a component.
    fn close(&mut self) {
        let Some(closed) = self.open.pop() else { return };
        let references = closed.references.min(closed.functions);
        let bytes = closed.bytes.saturating_add(references.saturating_mul(FUNCTION_REFERENCE_BYTES));
        if !closed.is_component {
            self.largest = self.largest.max(bytes);
        }
        if let Some(around) = self.open.last_mut() {
            let defined = if closed.is_component { &mut around.components } else { &mut around.modules };
            defined.push(Some(bytes));
        }
    }
}

impl Open {
    /// Gives an index to a module or component from outside.
    fn number(&mut self, kind: ComponentExternalKind) {
        match kind {
            ComponentExternalKind::Module => self.modules.push(None),
            ComponentExternalKind::Component => self.components.push(None),
            _ => {}
        }
    }

    fn add(&mut self, count: u64, each: u64) {
        self.bytes = self.bytes.saturating_add(count.saturating_mul(each));
    }

    fn take(&mut self, payload: &Payload<'_>, unresolved: Unresolved) {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.clone().into_imports().map_while(Result::ok) {
                    self.add(1, IMPORT_BYTES);
                    self.functions += u64::from(matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_)));
                }
            }
            Payload::FunctionSection(functions) => self.functions += u64::from(functions.count()),
            Payload::MemorySection(memories) => self.add(memories.count().into(), DESCRIPTOR_BYTES),
            Payload::TagSection(tags) => self.add(tags.count().into(), GLOBAL_BYTES),
            Payload::TableSection(tables) => self.add(tables.count().into(), DESCRIPTOR_BYTES),
            Payload::GlobalSection(globals) => {
                self.add(globals.count().into(), GLOBAL_BYTES);
                for global in globals.clone().into_iter().map_while(Result::ok) {
                    self.references += referred_to(&global.init_expr);
                }
            }
            Payload::ExportSection(exports) => {
                self.add(exports.count().into(), EXPORT_BYTES);
                for export in exports.clone().into_iter().map_while(Result::ok) {
                    self.references += u64::from(matches!(export.kind, ExternalKind::Func | ExternalKind::FuncExact));
                }
            }
            Payload::StartSection { .. } => self.references += 1,
            Payload::ElementSection(segments) => {
                for segment in segments.clone().into_iter().map_while(Result::ok) {
                    let count = match &segment.items {
                        ElementItems::Functions(functions) => functions.count(),
                        ElementItems::Expressions(_, expressions) => expressions.count(),
                    };
                    self.references += u64::from(count);
                    self.add(1, SEGMENT_BYTES);
                    if !matches!(segment.kind, ElementKind::Declared) {
                        self.add(count.into(), ELEMENT_BYTES);
                    }
                }
            }
            Payload::DataSection(segments) => self.add(segments.count().into(), SEGMENT_BYTES),
            Payload::ComponentImportSection(imports) => {
                for import in imports.clone().into_iter().map_while(Result::ok) {
                    self.add(1, IMPORT_BYTES);
                    match import.ty {
                        ComponentTypeRef::Module(_) => self.modules.push(None),
                        ComponentTypeRef::Component(_) => self.components.push(None),
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone().into_iter().map_while(Result::ok) {
                    self.add(1, EXPORT_BYTES);
                    // An exported item gets a second index.
                    self.number(export.kind);
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone().into_iter().map_while(Result::ok) {
                    match alias {
                        ComponentAlias::InstanceExport { kind, .. } => self.number(kind),
                        ComponentAlias::Outer { kind: ComponentOuterAliasKind::CoreModule, .. } => {
                            self.modules.push(None)
                        }
                        ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, .. } => {
                            self.components.push(None)
                        }
                        ComponentAlias::Outer { .. } | ComponentAlias::CoreInstanceExport { .. } => {}
                    }
                    self.add(1, ALIAS_BYTES);
                }
            }
            Payload::ComponentCanonicalSection(functions) => self.add(functions.count().into(), CANONICAL_BYTES),
            Payload::ComponentTypeSection(types) => self.add(types.count().into(), SEGMENT_BYTES),
            Payload::InstanceSection(instances) => {
                for instance in instances.clone().into_iter().map_while(Result::ok) {
                    if let Instance::Instantiate { module_index, .. } = instance {
                        self.add(1, weight_of(&self.modules, module_index).unwrap_or(unresolved.module));
                    }
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances.clone().into_iter().map_while(Result::ok) {
                    self.add(1, INNER_INSTANCE_BYTES);
                    if let ComponentInstance::Instantiate { component_index, .. } = instance {
                        self.add(1, weight_of(&self.components, component_index).unwrap_or(unresolved.component));
                    }
                }
            }
            _ => {}
        }
    }
}

fn weight_of(weights: &[Option<u64>], index: u32) -> Option<u64> {
    weights.get(usize::try_from(index).ok()?).copied().flatten()
}

/// Number of functions to which a constant expression refers.
fn referred_to(expression: &ConstExpr<'_>) -> u64 {
    let operators = expression.get_operators_reader().into_iter().map_while(Result::ok);
    operators.filter(|operator| matches!(operator, Operator::RefFunc { .. })).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(component: &str) -> u64 {
        instance_bytes(&wat::parse_str(format!("(component {component})")).unwrap())
    }

    const GLOBALS: u64 = 1000;

    fn globals() -> String {
        format!("(core module $M {})", "(global i64 (i64.const 0))".repeat(usize::try_from(GLOBALS).unwrap()))
    }

    #[test]
    fn each_instance_of_a_module_counts_and_a_module_without_one_does_not() {
        let none = bytes_of(&globals());
        assert!(none < 2 * COMPONENT_BYTES, "{none}");
        let one = bytes_of(&format!("{} (core instance (instantiate $M))", globals()));
        assert!((GLOBALS * GLOBAL_BYTES..GLOBALS * GLOBAL_BYTES + 8192).contains(&(one - none)), "{one}");
        let ten = bytes_of(&format!("{} {}", globals(), "(core instance (instantiate $M))".repeat(10)));
        assert_eq!(ten - none, 10 * (one - none));
    }

    #[test]
    fn instances_of_components_multiply() {
        let inner = format!("(component $C {} {})", globals(), "(core instance (instantiate $M))".repeat(3));
        let twice = bytes_of(&format!("{inner} {}", "(instance (instantiate $C))".repeat(2)));
        assert!(twice > 6 * GLOBALS * GLOBAL_BYTES, "{twice}");
    }

    #[test]
    fn a_module_or_component_from_elsewhere_counts_as_the_largest_even_if_it_comes_later() {
        let later = format!(
            "(component $C (import \"m\" (core module $m)) (core instance (instantiate $m))) {}
             (instance (instantiate $C (with \"m\" (core module $M))))",
            globals()
        );
        let outer = format!(
            "{} (component $C (alias outer 1 $M (core module $m)) (core instance (instantiate $m))) \
             (instance (instantiate $C))",
            globals()
        );
        let component = format!(
            "(component $D (import \"c\" (component $c)) (instance (instantiate $c)))
             (component $C {} (core instance (instantiate $M))) \
             (instance (instantiate $D (with \"c\" (component $C))))",
            globals()
        );
        for elsewhere in [later, outer, component] {
            let bytes = bytes_of(&elsewhere);
            assert!(bytes >= GLOBALS * GLOBAL_BYTES, "{bytes} of {elsewhere:.200}");
        }
    }

    #[test]
    fn elements_and_functions_that_are_referred_to_count() {
        let functions = "(func $f)";
        let elements = "$f ".repeat(5000);
        let passive =
            bytes_of(&format!("(core module $M {functions} (elem func {elements})) (core instance (instantiate $M))"));
        assert!(passive > 5000 * ELEMENT_BYTES, "{passive}");
    }

    #[test]
    fn whatever_the_bytes_are_there_is_a_number() {
        for bytes in [&b""[..], b"\0asm", b"\0asm\x0d\0\x01\0\xff\xff\xff\xff\x0f", b"nonsense"] {
            let _ = instance_bytes(bytes);
        }
    }
}
