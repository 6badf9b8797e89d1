/// A map written by hand in the component text format, for components that no compiler would write. The
/// default is correct and echoes its records; each part can be replaced.
///
/// There are two core modules: `libc` has the memory and the allocator, `main` the functions. So
/// `output.payloads` can be lowered over libc's memory before main exists.
#[derive(Debug, Clone)]
pub struct WatGuest {
    /// Name of the exported interface.
    pub interface: String,
    /// Further imports of the component, and other text at its start.
    pub before: String,
    /// Memory of `libc`.
    pub memory: String,
    /// Body of the allocator: `(param $old i32) (param $old-size i32) (param $align i32) (param $size i32)
    /// (result i32)`.
    pub realloc: String,
    /// Further fields of `main`: globals, tables, functions, a start function.
    pub main: String,
    /// Body of `open`: `(result i32)`. The result 0 points at zeros, which mean success.
    pub open: String,
    /// Body of the code for a record that begins with `p`: `(param $offsets i32) (param $n i32) (param $bytes
    /// i32) (param $length i32)`. Other records are echoed.
    pub poisoned: String,
    /// Body of `close`.
    pub close: String,
    /// Further text at the component's end.
    pub after: String,
}

impl Default for WatGuest {
    fn default() -> Self {
        Self {
            interface: "sage:operator/mapper@0.1.0".to_owned(),
            before: String::new(),
            memory: r#"(memory (export "memory") 2)"#.to_owned(),
            realloc: HONEST_REALLOC.to_owned(),
            main: String::new(),
            open: "(i32.const 0)".to_owned(),
            poisoned: String::new(),
            close: String::new(),
            after: String::new(),
        }
    }
}

/// Allocates the next bytes, aligned to 8, and grows the memory if they end beyond it.
const HONEST_REALLOC: &str = "
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (block $there
        (br_if $there (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $there (i32.ne (i32.const -1)
            (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16))))))
        (unreachable))
    (local.get $at)";

impl WatGuest {
    /// The component's bytes.
    ///
    /// # Panics If the text is wrong, with the position.
    pub fn build(&self) -> Vec<u8> {
        self.build_with(|text| text)
    }

    /// The component's bytes, after a change of its text.
    ///
    /// # Panics If the text is wrong, with the position.
    pub fn build_with(&self, change: impl FnOnce(String) -> String) -> Vec<u8> {
        wat(&change(self.text()))
    }

    fn text(&self) -> String {
        let Self { interface, before, memory, realloc, main, open, poisoned, close, after } = self;
        format!(
            r#"(component
  (import "sage:operator/types@0.1.0" (instance $types
    (type $a-column (record (field "offsets" (list u32)) (field "bytes" (list u8))))
    (export "column" (type (eq $a-column)))
    (type $a-context (record (field "operator" string) (field "instance" u32) (field "parallelism" u32)
      (field "lane" u32) (field "lanes" u32) (field "config" string)))
    (export "context" (type (eq $a-context)))))
  (alias export $types "column" (type $column))
  (alias export $types "context" (type $context))
  (import "sage:operator/output@0.1.0" (instance $output
    (alias outer 1 $column (type $a-column))
    (export "column" (type $payloads-column (eq $a-column)))
    (export "payloads" (func (param "payloads" $payloads-column)))))
  (import "sage:operator/log@0.1.0" (instance $log
    (type $a-level (enum "trace" "debug" "info" "warn" "error"))
    (export "level" (type $level (eq $a-level)))
    (export "write" (func (param "level" $level) (param "message" string)))))
  {before}
  (core module $Libc
    {memory}
    (global $next (export "next") (mut i32) (i32.const 65536))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      {realloc}))
  (core instance $libc (instantiate $Libc))
  (core func $payloads (canon lower (func $output "payloads") (memory $libc "memory")))
  (core func $write (canon lower (func $log "write") (memory $libc "memory")))
  (core module $Main
    (import "libc" "memory" (memory $memory 1))
    (import "libc" "next" (global $next (mut i32)))
    (import "libc" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "payloads" (func $payloads (param i32 i32 i32 i32)))
    (import "host" "write" (func $write (param i32 i32 i32)))
    {main}
    ;; Whether a record begins with `p`; the tests' other records do not.
    (func $is-poisoned (param $offsets i32) (param $n i32) (param $bytes i32) (param $length i32) (result i32)
      (local $i i32) (local $at i32)
      (loop $next-record
        (if (i32.lt_u (i32.add (local.get $i) (i32.const 1)) (local.get $n)) (then
          (local.set $at (i32.load (i32.add (local.get $offsets) (i32.shl (local.get $i) (i32.const 2)))))
          (if (i32.lt_u (local.get $at) (local.get $length)) (then
            (if (i32.eq (i32.const 112) (i32.load8_u (i32.add (local.get $bytes) (local.get $at))))
              (then (return (i32.const 1))))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next-record))))
      (i32.const 0))
    (func $poisoned (param $offsets i32) (param $n i32) (param $bytes i32) (param $length i32)
      {poisoned})
    (func (export "open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      {open})
    (func (export "map") (param $offsets i32) (param $n i32) (param $bytes i32) (param $length i32)
      (if (call $is-poisoned (local.get $offsets) (local.get $n) (local.get $bytes) (local.get $length))
        (then (call $poisoned (local.get $offsets) (local.get $n) (local.get $bytes) (local.get $length)))
        (else (call $payloads (local.get $offsets) (local.get $n) (local.get $bytes) (local.get $length))))
      ;; What this call was given can be written over by the next.
      (global.set $next (i32.const 65536)))
    (func (export "close")
      {close}))
  (core instance $main (instantiate $Main
    (with "libc" (instance $libc))
    (with "host" (instance (export "payloads" (func $payloads)) (export "write" (func $write))))))
  (func $open (param "context" $context) (result (result (error string)))
    (canon lift (core func $main "open") (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func $map (param "payloads" $column)
    (canon lift (core func $main "map") (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func $close (canon lift (core func $main "close")))
  (instance $mapper (export "open" (func $open)) (export "map" (func $map)) (export "close" (func $close)))
  (export "{interface}" (instance $mapper))
  {after})"#
        )
    }
}

/// The bytes of a component or module in the text format.
///
/// # Panics If the text is wrong, with the position.
pub fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|e| panic!("{e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_honest_guest_is_a_valid_component() {
        let bytes = WatGuest::default().build();
        let component = wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all()).validate_all(&bytes);
        component.expect("valid");
    }
}
