/// The one of `known` that `written` was probably meant to be, if one is close enough.
#[must_use]
pub fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer words are not names, and the distance takes the product of both lengths.
    if written.len() > 128 {
        return None;
    }
    known
        .into_iter()
        .filter(|name| name.len() <= 128)
        .map(|name| (strsim::damerau_levenshtein(&written.to_lowercase(), &name.to_lowercase()), name))
        .filter(|&(distance, name)| distance <= 1.max(written.chars().count().max(name.chars().count()) / 3))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// `did you mean "x"?`, or all there are.
pub(crate) fn hint<'a>(written: &str, known: impl IntoIterator<Item = &'a str> + Clone, what: &str) -> Option<String> {
    if let Some(name) = closest(written, known.clone()) {
        return Some(format!("did you mean \"{name}\"?"));
    }
    let all: Vec<&str> = known.into_iter().collect();
    let (shown, rest) = all.split_at(all.len().min(16));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    (!shown.is_empty()).then(|| format!("{what}: {}{more}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["num_cpus", "memory", "num_gpus"];
        for (written, meant) in [
            ("num_cpu", Some("num_cpus")),
            ("Memory", Some("memory")),
            ("memroy", Some("memory")),
            ("disk", None),
            ("", None),
        ] {
            assert_eq!(closest(written, known), meant, "{written}");
        }
        assert_eq!(hint("disk", known, "known").as_deref(), Some("known: num_cpus, memory, num_gpus"));
    }
}
