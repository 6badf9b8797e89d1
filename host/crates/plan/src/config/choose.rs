use super::{Diagnostic, Diagnostics, Spanned, closest};

/// The choice that a word names. A word that names none is reported, with the closest name or all names.
pub(crate) fn choose<T: Copy>(
    key: &str,
    place: &str,
    word: &Spanned<String>,
    choices: &[(&'static str, T)],
    errors: &mut Diagnostics,
) -> Option<T> {
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == word.value) {
        return Some(*choice);
    }
    let message = format!("{key} of {place} is \"{}\"", word.value);
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let hint = match closest(&word.value, names.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => format!("there are {}", names.join(", ")),
    };
    errors.push(Diagnostic::new(message).on(word).hint(hint));
    None
}
