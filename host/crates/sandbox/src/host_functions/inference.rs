use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Linker, Resource, ResourceType, WasmList, WasmStr};
use wasmtime::{AsContext, StoreContextMut};

use crate::contract::{PACKAGE, WIT_VERSION};
use crate::store::GuestStore;
use crate::tensor_views::{ErrorAnswer, LeaseStateAnswer, SpecAnswer, TensorAnswer, TensorView};
use sage_models::{InferenceError, ModelFacts, NamedTensor, Tensor};

type Store<'a> = StoreContextMut<'a, GuestStore>;

/// A guest's handle on its instance's lease.
struct LeaseHandle;

/// A guest's handle on a model.
struct ModelHandle {
    name: String,
    facts: Arc<ModelFacts>,
}

/// Most tensors of one call: more than the inputs of any model, and few enough to be examined before they are
/// counted.
const MOST_TENSORS: usize = 256;
/// Most bytes in the name of a model or tensor, far above the length of real names.
const LONGEST_NAME: usize = 4 << 10;
/// Most dimensions of one tensor; ONNX models have at most about 6.
const MOST_DIMENSIONS: usize = 32;

/// Links `sage:operator/inference`.
pub(crate) fn link_inference(linker: &mut Linker<GuestStore>) -> wasmtime::Result<()> {
    let mut inference = linker.instance(&format!("{PACKAGE}inference@{WIT_VERSION}"))?;
    inference.resource("lease", ResourceType::host::<LeaseHandle>(), |mut store, handle| {
        store.data_mut().resources.delete(Resource::<LeaseHandle>::new_own(handle))?;
        Ok(())
    })?;
    inference.resource("model", ResourceType::host::<ModelHandle>(), |mut store, handle| {
        store.data_mut().resources.delete(Resource::<ModelHandle>::new_own(handle))?;
        Ok(())
    })?;
    inference.func_wrap("[static]lease.acquire", |mut store: Store<'_>, (timeout,): (u32,)| {
        let data = store.data_mut();
        let timeout = data.deadline.timeout().min(Duration::from_millis(timeout.into()));
        let acquired = data.models.acquire(timeout).and_then(|_| keep(data, LeaseHandle));
        Ok((acquired.map_err(ErrorAnswer::from),))
    })?;
    inference.func_wrap("[method]lease.state", |store: Store<'_>, (lease,): (Resource<LeaseHandle>,)| {
        store.data().resources.get(&lease)?;
        Ok((LeaseStateAnswer::from(store.data().models.view().state),))
    })?;
    inference.func_wrap("[method]lease.share", |store: Store<'_>, (lease,): (Resource<LeaseHandle>,)| {
        store.data().resources.get(&lease)?;
        Ok((store.data().models.view().share,))
    })?;
    inference.func_wrap(
        "[method]lease.open",
        |mut store: Store<'_>, (lease, name): (Resource<LeaseHandle>, WasmStr)| {
            store.data().resources.get(&lease)?;
            let name = match named(&store, &name, "bytes of a model's name are")? {
                Ok(name) => name,
                Err(error) => return Ok((Err(ErrorAnswer::from(error)),)),
            };
            let data = store.data_mut();
            let opened = data.models.open(&name).and_then(|facts| keep(data, ModelHandle { name, facts }));
            Ok((opened.map_err(ErrorAnswer::from),))
        },
    )?;
    inference.func_wrap("[method]model.inputs", |store: Store<'_>, (model,): (Resource<ModelHandle>,)| {
        let model = store.data().resources.get(&model)?;
        Ok((model.facts.inputs.iter().map(SpecAnswer::from).collect::<Vec<_>>(),))
    })?;
    inference.func_wrap("[method]model.outputs", |store: Store<'_>, (model,): (Resource<ModelHandle>,)| {
        let model = store.data().resources.get(&model)?;
        Ok((model.facts.outputs.iter().map(SpecAnswer::from).collect::<Vec<_>>(),))
    })?;
    inference.func_wrap(
        "[method]model.run",
        |mut store: Store<'_>,
         (model, inputs, deadline): (Resource<ModelHandle>, WasmList<TensorView>, Option<u32>)| {
            let name = store.data().resources.get(&model)?.name.clone();
            let read = match read_tensors(&mut store, &inputs)? {
                Ok(read) => read,
                Err(error) => return Ok((Err(ErrorAnswer::from(error)),)),
            };
            let data = store.data_mut();
            let asked = deadline.map_or(Duration::MAX, |deadline| Duration::from_millis(deadline.into()));
            let limit = data.tensor_bytes;
            let outputs = data.waiting(|data| data.models.run(&name, read, data.deadline.timeout().min(asked)));
            let outputs = outputs.and_then(|outputs| {
                let bytes = outputs.iter().map(|output| output.tensor.bytes().len()).fold(0, usize::saturating_add);
                if bytes > limit { Err(excess("bytes of output are", bytes, limit)) } else { Ok(outputs) }
            });
            let answer = outputs.map(|outputs| outputs.into_iter().map(TensorAnswer::from).collect::<Vec<_>>());
            Ok((answer.map_err(ErrorAnswer::from),))
        },
    )
}

/// Gives the guest a handle. WASI handles count towards the same bound.
fn keep<T: Send + 'static>(data: &mut GuestStore, what: T) -> Result<Resource<T>, InferenceError> {
    data.resources.push(what).map_err(|_| InferenceError::Busy)
}

/// Copies the tensors that the guest passes out of its memory, once. Traps only if the guest breaks a rule of
/// the component model itself.
fn read_tensors(
    store: &mut Store<'_>,
    passed: &WasmList<TensorView>,
) -> wasmtime::Result<Result<Vec<NamedTensor>, InferenceError>> {
    let too_large = |what, size, limit| Ok(Err(excess(what, size, limit)));
    if passed.len() > MOST_TENSORS {
        return too_large("tensors are", passed.len(), MOST_TENSORS);
    }
    // Views of lists are no copies, and the bytes to copy are bounded below. With wasmtime's fuel for lists, a
    // large input would be a trap and not an error that the guest can handle.
    let fuel = store.hostcall_fuel();
    store.set_hostcall_fuel(usize::MAX);
    let views: wasmtime::Result<Vec<TensorView>> = passed.iter(&mut *store).and_then(Iterator::collect);
    store.set_hostcall_fuel(fuel);
    let views = views?;
    let bytes = views.iter().map(|view| view.data.len()).fold(0, usize::saturating_add);
    let limit = store.data().tensor_bytes;
    if bytes > limit {
        return too_large("bytes of input are", bytes, limit);
    }
    let mut read = Vec::with_capacity(views.len());
    for view in views {
        // All names may be views of the same bytes. Each copy is counted.
        let name = match named(store, &view.name, "bytes of an input's name are")? {
            Ok(name) => name,
            Err(error) => return Ok(Err(error)),
        };
        let shape = view.shape.as_le_slice(store.as_context());
        if shape.len() > MOST_DIMENSIONS {
            return too_large("dimensions are", shape.len(), MOST_DIMENSIONS);
        }
        let shape = shape.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect();
        match Tensor::read(view.dtype.into(), shape, view.data.as_le_slice(store.as_context())) {
            Ok(tensor) => read.push(NamedTensor { name, tensor }),
            Err(error) => return Ok(Err(InferenceError::of_tensor(&name, error))),
        }
    }
    Ok(Ok(read))
}

/// Copies a name out of the guest's memory, unless the name is too long.
fn named(store: &Store<'_>, name: &WasmStr, what: &str) -> wasmtime::Result<Result<String, InferenceError>> {
    let name = name.to_str(store)?;
    if name.len() > LONGEST_NAME {
        return Ok(Err(excess(what, name.len(), LONGEST_NAME)));
    }
    Ok(Ok(name.into_owned()))
}

fn excess(what: &str, size: usize, limit: usize) -> InferenceError {
    let (size, limit) = (u64::try_from(size).unwrap_or(u64::MAX), u64::try_from(limit).unwrap_or(u64::MAX));
    InferenceError::TooLarge { what: what.to_owned(), size, limit }
}
