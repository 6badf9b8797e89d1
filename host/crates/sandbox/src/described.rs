use wasmparser::{Parser, Payload};

use sage_plan::{Description, DescriptionError};

/// The component's description of itself: the only section of that name, in the component or in one of its
/// modules.
pub(super) fn description_in(component: &[u8]) -> Result<Option<Description>, DescriptionError> {
    let mut found = None;
    for payload in Parser::new(0).parse_all(component).map_while(Result::ok) {
        let Payload::CustomSection(section) = payload else { continue };
        if section.name() != Description::SECTION {
            continue;
        }
        if found.is_some() {
            return Err(DescriptionError::Twice);
        }
        found = Some(Description::read(section.data())?);
    }
    Ok(found)
}
