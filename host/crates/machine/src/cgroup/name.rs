use xxhash_rust::xxh3::xxh3_64;

/// Longest part of a user's name that is kept in a group's name, in bytes.
const LONGEST: usize = 48;

/// Files of v1 that a folder's name must not equal, besides those with a dot in their name.
const TAKEN: [&str; 3] = ["tasks", "notify_on_release", "release_agent"];

/// A user's name as a folder's name: letters, digits, `_` and `-` stay, every other character becomes `_`. A
/// changed name ends in a hash of the original, so that two names never share a group. The result is never
/// the name of a kernel file, and never contains `~`, which is used only in names that sage-host gives.
pub(super) fn folder_name(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' };
    let safe: String = name.chars().map(kept).take(LONGEST).collect();
    if safe == name && !safe.is_empty() && !TAKEN.contains(&name) {
        safe
    } else {
        // Half of the hash is enough for the names of one machine.
        format!("{safe}-{:08x}", xxh3_64(name.as_bytes()) >> 32)
    }
}

/// The name of the group of an operator's instance.
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
