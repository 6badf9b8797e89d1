use wasmtime::StoreContextMut;
use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LiftContext};
use wasmtime::component::{ComponentType, Lift, WasmList};

use super::store::GuestStore;

/// A list of floats in a guest's memory, read in place.
///
/// The runtime has such a view of integers only, and copies a list of floats into a vector. These types are a list of
/// the integers of the same bits for everything but the check of the type, so the floats are copied once, into their
/// column. The traits are implemented by hand because only their implementation can say so.
macro_rules! float_list {
    ($(#[$docs:meta])* $name:ident: $float:ty, $bits:ty) => {
        $(#[$docs])*
        pub(super) struct $name(WasmList<$bits>);

        impl $name {
            pub(super) fn as_slice<'a>(&self, store: &'a StoreContextMut<'_, GuestStore>) -> &'a [$float] {
                bytemuck::cast_slice(self.0.as_le_slice(store))
            }
        }

        // SAFETY: the layout is that of a list, a pointer and a length, whatever its elements are. `typecheck` accepts
        // a list of floats only, whose elements have the size and alignment of the integers.
        unsafe impl ComponentType for $name {
            type Lower = <WasmList<$bits> as ComponentType>::Lower;
            const ABI: CanonicalAbiInfo = <WasmList<$bits> as ComponentType>::ABI;

            fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
                <WasmList<$float> as ComponentType>::typecheck(ty, types)
            }
        }

        // SAFETY: pointer and length are read and checked as those of a list of integers, which have the size and
        // alignment of the floats. Every bit pattern is a float.
        unsafe impl Lift for $name {
            fn linear_lift_from_flat(
                cx: &mut LiftContext<'_>,
                ty: InterfaceType,
                src: &Self::Lower,
            ) -> wasmtime::Result<Self> {
                WasmList::linear_lift_from_flat(cx, ty, src).map(Self)
            }

            fn linear_lift_from_memory(
                cx: &mut LiftContext<'_>,
                ty: InterfaceType,
                bytes: &[u8],
            ) -> wasmtime::Result<Self> {
                WasmList::linear_lift_from_memory(cx, ty, bytes).map(Self)
            }
        }
    };
}

float_list!(
    /// `list<f32>`.
    F32List: f32, u32
);
float_list!(
    /// `list<f64>`.
    F64List: f64, u64
);
