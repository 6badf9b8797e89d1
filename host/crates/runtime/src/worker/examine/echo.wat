;; A map that returns its input.
(component
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
  ;; The input of a call lies behind the first page, and the next call overwrites it.
  (core module $Libc
    (memory (export "memory") 2)
    (global $next (export "next") (mut i32) (i32.const 65536))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (block $there
        (br_if $there (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
        (br_if $there (i32.ne (i32.const -1)
          (memory.grow (i32.add (i32.const 1) (i32.shr_u (local.get $size) (i32.const 16))))))
        (unreachable))
      (local.get $at)))
  (core instance $libc (instantiate $Libc))
  (core func $payloads (canon lower (func $output "payloads") (memory $libc "memory")))
  (core module $Main
    (import "libc" "next" (global $next (mut i32)))
    (import "host" "payloads" (func $payloads (param i32 i32 i32 i32)))
    (func (export "open") (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      (i32.const 0))
    (func (export "map") (param $offsets i32) (param $n i32) (param $bytes i32) (param $length i32)
      (call $payloads (local.get $offsets) (local.get $n) (local.get $bytes) (local.get $length))
      (global.set $next (i32.const 65536)))
    (func (export "close")))
  (core instance $main (instantiate $Main
    (with "libc" (instance $libc))
    (with "host" (instance (export "payloads" (func $payloads))))))
  (func $open (param "context" $context) (result (result (error string)))
    (canon lift (core func $main "open") (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func $map (param "payloads" $column)
    (canon lift (core func $main "map") (memory $libc "memory") (realloc (func $libc "realloc"))))
  (func $close (canon lift (core func $main "close")))
  (instance $mapper (export "open" (func $open)) (export "map" (func $map)) (export "close" (func $close)))
  (export "sage:operator/mapper@0.1.0" (instance $mapper)))
