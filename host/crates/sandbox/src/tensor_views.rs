use std::mem::MaybeUninit;

use wasmtime::component::__internal::{CanonicalAbiInfo, InstanceType, InterfaceType, LowerContext};
use wasmtime::component::{ComponentType, Lift, Lower, WasmList, WasmStr};

use sage_models::{DType, Dimension, InferenceError, LeaseEnd, LeaseState, NamedTensor, TensorData, TensorSpec};

/// `inference.dtype`.
#[derive(ComponentType, Lift, Lower, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
pub(super) enum DTypeView {
    #[component(name = "bool")]
    Bool,
    #[component(name = "u8")]
    U8,
    #[component(name = "i32")]
    I32,
    #[component(name = "i64")]
    I64,
    #[component(name = "f16")]
    F16,
    #[component(name = "bf16")]
    Bf16,
    #[component(name = "f32")]
    F32,
    #[component(name = "f64")]
    F64,
}

/// `inference.tensor` as a guest sends it: a view of the guest's memory.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct TensorView {
    pub(super) name: WasmStr,
    pub(super) dtype: DTypeView,
    pub(super) shape: WasmList<u32>,
    pub(super) data: WasmList<u8>,
}

/// `inference.tensor` as the host returns it. The elements are copied once, into the guest's memory.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct TensorAnswer {
    name: String,
    dtype: DTypeView,
    shape: Vec<u32>,
    data: Elements,
}

/// Tensor elements of any type, lowered as `list<u8>`.
pub(super) struct Elements(TensorData);

/// `inference.tensor-spec`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct SpecAnswer {
    name: String,
    dtype: DTypeView,
    shape: Vec<Option<u32>>,
}

/// `inference.lease-end`.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
pub(super) enum LeaseEndAnswer {
    #[component(name = "draining")]
    Draining,
    #[component(name = "revoked")]
    Revoked,
    #[component(name = "expired")]
    Expired,
}

/// `inference.lease-state`.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(enum)]
#[repr(u8)]
pub(super) enum LeaseStateAnswer {
    #[component(name = "pending")]
    Pending,
    #[component(name = "held")]
    Held,
    #[component(name = "draining")]
    Draining,
    #[component(name = "released")]
    Released,
    #[component(name = "revoked")]
    Revoked,
    #[component(name = "expired")]
    Expired,
    #[component(name = "device-lost")]
    DeviceLost,
}

/// `inference.mismatch`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct MismatchAnswer {
    input: String,
    expected: String,
    got: String,
}

/// `inference.excess`.
#[derive(ComponentType, Lower)]
#[component(record)]
pub(super) struct ExcessAnswer {
    what: String,
    size: u64,
    limit: u64,
}

/// `inference.error`.
#[derive(ComponentType, Lower)]
#[component(variant)]
pub(super) enum ErrorAnswer {
    #[component(name = "no-lease")]
    NoLease,
    #[component(name = "lease-lost")]
    LeaseLost(LeaseEndAnswer),
    #[component(name = "device-lost")]
    DeviceLost(String),
    #[component(name = "unknown-model")]
    UnknownModel(String),
    #[component(name = "denied-model")]
    DeniedModel(String),
    #[component(name = "bad-input")]
    BadInput(MismatchAnswer),
    #[component(name = "too-large")]
    TooLarge(ExcessAnswer),
    #[component(name = "out-of-memory")]
    OutOfMemory(String),
    #[component(name = "busy")]
    Busy,
    #[component(name = "deadline")]
    Deadline,
    #[component(name = "unsupported")]
    Unsupported(String),
    #[component(name = "backend")]
    Backend(String),
}

impl From<DTypeView> for DType {
    fn from(view: DTypeView) -> Self {
        match view {
            DTypeView::Bool => Self::Bool,
            DTypeView::U8 => Self::U8,
            DTypeView::I32 => Self::I32,
            DTypeView::I64 => Self::I64,
            DTypeView::F16 => Self::F16,
            DTypeView::Bf16 => Self::Bf16,
            DTypeView::F32 => Self::F32,
            DTypeView::F64 => Self::F64,
        }
    }
}

impl From<DType> for DTypeView {
    fn from(dtype: DType) -> Self {
        match dtype {
            DType::Bool => Self::Bool,
            DType::U8 => Self::U8,
            DType::I32 => Self::I32,
            DType::I64 => Self::I64,
            DType::F16 => Self::F16,
            DType::Bf16 => Self::Bf16,
            DType::F32 => Self::F32,
            DType::F64 => Self::F64,
        }
    }
}

impl From<NamedTensor> for TensorAnswer {
    fn from(NamedTensor { name, tensor }: NamedTensor) -> Self {
        let (shape, data) = tensor.into_parts();
        Self { name, dtype: data.dtype().into(), shape: shape.into_iter().map(narrow).collect(), data: Elements(data) }
    }
}

impl From<&TensorSpec> for SpecAnswer {
    fn from(spec: &TensorSpec) -> Self {
        let shape = spec.shape.iter().map(|dimension| match dimension {
            Dimension::Fixed(size) => Some(narrow(*size)),
            Dimension::Free(_) => None,
        });
        Self { name: spec.name.clone(), dtype: spec.dtype.into(), shape: shape.collect() }
    }
}

/// Converts a dimension. A tensor that fits into a guest's memory has dimensions below 2^32.
fn narrow(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

impl From<LeaseState> for LeaseStateAnswer {
    fn from(state: LeaseState) -> Self {
        match state {
            LeaseState::Pending => Self::Pending,
            LeaseState::Held => Self::Held,
            LeaseState::Draining => Self::Draining,
            LeaseState::Released => Self::Released,
            LeaseState::Revoked => Self::Revoked,
            LeaseState::Expired => Self::Expired,
            LeaseState::DeviceLost => Self::DeviceLost,
        }
    }
}

impl From<InferenceError> for ErrorAnswer {
    fn from(error: InferenceError) -> Self {
        match error {
            InferenceError::NoLease => Self::NoLease,
            InferenceError::LeaseLost(LeaseEnd::Draining) => Self::LeaseLost(LeaseEndAnswer::Draining),
            InferenceError::LeaseLost(LeaseEnd::Revoked) => Self::LeaseLost(LeaseEndAnswer::Revoked),
            InferenceError::LeaseLost(LeaseEnd::Expired) => Self::LeaseLost(LeaseEndAnswer::Expired),
            InferenceError::DeviceLost(why) => Self::DeviceLost(why),
            InferenceError::UnknownModel(name) => Self::UnknownModel(name),
            InferenceError::DeniedModel(name) => Self::DeniedModel(name),
            InferenceError::BadInput { input, expected, got } => {
                Self::BadInput(MismatchAnswer { input, expected, got })
            }
            InferenceError::TooLarge { what, size, limit } => Self::TooLarge(ExcessAnswer { what, size, limit }),
            InferenceError::OutOfMemory(why) => Self::OutOfMemory(why),
            InferenceError::Busy => Self::Busy,
            InferenceError::Deadline => Self::Deadline,
            InferenceError::Unsupported(what) => Self::Unsupported(what),
            InferenceError::Backend(why) => Self::Backend(why),
        }
    }
}

// SAFETY: every item is that of `[u8]`, and the elements are passed on as their bytes. Safe code would first
// have to copy the elements into a `Vec<u8>`: a vector of typed elements cannot become one, since it would be
// freed with another alignment.
unsafe impl ComponentType for Elements {
    type Lower = <[u8] as ComponentType>::Lower;

    const ABI: CanonicalAbiInfo = <[u8] as ComponentType>::ABI;
    const MAY_REQUIRE_REALLOC: bool = <[u8] as ComponentType>::MAY_REQUIRE_REALLOC;

    fn typecheck(ty: &InterfaceType, types: &InstanceType<'_>) -> wasmtime::Result<()> {
        <[u8] as ComponentType>::typecheck(ty, types)
    }
}

// SAFETY: as above.
unsafe impl Lower for Elements {
    fn linear_lower_to_flat<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        dst: &mut MaybeUninit<Self::Lower>,
    ) -> wasmtime::Result<()> {
        <[u8] as Lower>::linear_lower_to_flat(self.0.bytes(), cx, ty, dst)
    }

    fn linear_lower_to_memory<T>(
        &self,
        cx: &mut LowerContext<'_, T>,
        ty: InterfaceType,
        offset: usize,
    ) -> wasmtime::Result<()> {
        <[u8] as Lower>::linear_lower_to_memory(self.0.bytes(), cx, ty, offset)
    }
}
