use xxhash_rust::xxh3::xxh3_64;

/// The longest name of a group, in bytes: of what a user wrote, this much is kept.
const LONGEST: usize = 48;

/// Files of v1 that a folder could not be called, besides those with a dot in their name.
const TAKEN: [&str; 3] = ["tasks", "notify_on_release", "release_agent"];

/// A user's name as a folder's: letters, digits, `_` and `-` stay, everything else is `_`. A name that was changed for it ends in a
/// hash of what it was, so that two names never share a group. No name of the kernel's own files can come out, nor one with `~`,
/// which stands in the names we give.
pub(super) fn folder_name(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let safe: String = name.chars().map(kept).take(LONGEST).collect();
    if safe == name && !safe.is_empty() && !TAKEN.contains(&name) {
        safe
    } else {
        // Half of the hash is plenty for the names of one machine.
        format!("{safe}-{:08x}", xxh3_64(name.as_bytes()) >> 32)
    }
}

/// The group of one of an operator's instances.
pub(super) fn instance_name(operator: &str, instance: u32) -> String {
    format!("{}-{instance}", folder_name(operator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_names_stay_as_they_are() {
        for name in ["default", "flights", "parse_2", "a-b"] {
            assert_eq!(folder_name(name), name);
        }
        assert_eq!(instance_name("embed", 3), "embed-3");
    }

    #[test]
    fn names_that_could_leave_the_tree_or_hit_a_file_are_made_safe_and_stay_apart() {
        let long = "x".repeat(300);
        let names = [
            "",
            ".",
            "..",
            "../etc",
            "a/b",
            "a_b",
            ".hidden",
            "memory.max",
            "cgroup.procs",
            "tasks",
            "é",
            "~canary",
            "a\0b",
            &long,
        ];
        let safe: std::collections::BTreeSet<String> = names.iter().map(|name| folder_name(name)).collect();
        assert_eq!(safe.len(), names.len(), "{safe:?}");
        for name in safe {
            assert!(!name.is_empty() && name.len() <= LONGEST + 9, "{name}");
            assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'), "{name}");
            assert!(!TAKEN.contains(&name.as_str()));
        }
    }
}
