/// The name in `known` that `written` most likely means, if one is close enough.
#[must_use]
pub fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A longer word is no name, and the cost of the distance grows with the product of both lengths.
    if written.len() > 128 {
        return None;
    }
    let lower = written.to_lowercase();
    let length = lower.chars().count();
    known
        .into_iter()
        .filter_map(|name| {
            let other = name.chars().count();
            let longer = length.max(other);
            let most = 1.max(longer / 3);
            if length.abs_diff(other) > most {
                return None;
            }
            let distance = strsim::damerau_levenshtein(&lower, &name.to_lowercase());
            // Without this check, any two words of one letter would be close.
            (distance <= most && distance < longer).then_some((distance, name))
        })
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, name)| name)
}

/// The hint `did you mean "x"?`, or the list of all known names.
pub(crate) fn hint<'a>(written: &str, known: impl IntoIterator<Item = &'a str> + Clone, what: &str) -> String {
    if let Some(name) = closest(written, known.clone()) {
        return format!("did you mean \"{name}\"?");
    }
    let all: Vec<&str> = known.into_iter().collect();
    let (shown, rest) = all.split_at(all.len().min(16));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    if shown.is_empty() { "nothing goes here".to_owned() } else { format!("{what}: {}{more}", shown.join(", ")) }
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
        assert_eq!(hint("disk", known, "known"), "known: num_cpus, memory, num_gpus");
    }
}
