use std::cell::{Cell, RefCell};

use crate::host;

thread_local! {
    /// The edge of the current call, once it was asked for.
    static CURRENT: Cell<Option<Option<&'static str>>> = const { Cell::new(None) };
    /// The names that the host has given. A pipeline names a few inputs, so they are kept for ever.
    static NAMES: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Returns the name of the input from which the records of the current call come, as the pipeline file names it:
/// `inputs = { left = "orders", right = "clicks" }`. Returns `None` if the file does not name the inputs, and in a call
/// without records, such as `open` or `end`. The records of one call all come from one input.
///
/// The first use in a call asks the host; later ones cost a few instructions.
///
/// ```
/// use sage_guest::Error;
/// use sage_guest::testing;
///
/// #[sage_guest::map]
/// fn tagged(text: &str) -> Result<String, Error> {
///     let edge = sage_guest::edge().ok_or("name the inputs: inputs = { left = … }")?;
///     Ok(format!("{edge}: {text}"))
/// }
///
/// let mut lane = testing::Map::<tagged>::open(serde_json::json!({})).unwrap();
/// lane.on_edge("left");
/// assert_eq!(lane.run(["a"]).texts(), ["left: a"]);
/// ```
#[inline]
pub fn edge() -> Option<&'static str> {
    CURRENT.get().unwrap_or_else(ask)
}

/// Forgets the edge, because the call ends.
#[inline]
pub(crate) fn forget() {
    CURRENT.set(None);
}

#[cold]
fn ask() -> Option<&'static str> {
    let name = host::edge().map(kept);
    CURRENT.set(Some(name));
    name
}

fn kept(name: String) -> &'static str {
    NAMES.with_borrow_mut(|names| match names.iter().find(|known| **known == name) {
        Some(known) => known,
        None => {
            let name: &'static str = Box::leak(name.into_boxed_str());
            names.push(name);
            name
        }
    })
}
