use std::collections::BTreeSet;

use toml::de::DeValue;

use super::table::{Node, Table};
use super::{Diagnostic, Diagnostics};

/// The CPUs that a host gives away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum GivenCpus {
    /// All CPUs that the process may use.
    #[default]
    All,
    /// This number of CPUs; the host chooses which.
    Count(u32),
    /// These CPUs, by the kernel's numbers.
    These(BTreeSet<u32>),
}

/// Size of the kernel's CPU set: the largest CPU number plus one.
const NUMBERS: u64 = 1024;
const HINT: &str = "cpus = \"0-3,8\", cpus = [0, 1, 2, 3, 8] or a count: cpus = 4";

/// Reads `cpus` of the host file: a count, a list of numbers, or ranges in the kernel's notation.
pub(super) fn given_cpus(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<GivenCpus> {
    let node = table.node("cpus")?;
    let place = table.place().to_owned();
    match node.get_ref() {
        DeValue::Integer(_) => {
            let count = table.count("cpus", errors)?;
            match u32::try_from(count.value) {
                Ok(count @ 1..=1024) => Some(GivenCpus::Count(count)),
                _ => wrong(format!("cpus of {place} is {}", count.value), node, errors),
            }
        }
        DeValue::String(text) => match ranges(text) {
            Ok(cpus) => Some(GivenCpus::These(cpus)),
            Err(part) => wrong(format!("cpus of {place}: \"{part}\" is no CPU and no range of CPUs"), node, errors),
        },
        DeValue::Array(items) if items.is_empty() => wrong(format!("cpus of {place} is empty"), node, errors),
        DeValue::Array(items) => {
            let mut cpus = BTreeSet::new();
            for item in items.iter() {
                let number = match item.get_ref() {
                    DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
                    _ => return table.wrong_type("an item of cpus", "the number of a CPU", item, errors),
                };
                match number.filter(|number| *number < NUMBERS).and_then(|number| u32::try_from(number).ok()) {
                    Some(cpu) => cpus.insert(cpu),
                    None => return wrong(format!("an item of cpus of {place} is no CPU of any machine"), item, errors),
                };
            }
            Some(GivenCpus::These(cpus))
        }
        _ => table.wrong_type("cpus", "a count, a list or ranges of CPUs", node, errors),
    }
}

/// Reads `cpus` of a device: a set of CPU numbers. A count is an error.
pub(super) fn cpu_numbers(table: &mut Table<'_, '_>, errors: &mut Diagnostics) -> Option<BTreeSet<u32>> {
    match given_cpus(table, errors)? {
        GivenCpus::These(cpus) => Some(cpus),
        GivenCpus::Count(_) | GivenCpus::All => {
            let node = table.node("cpus")?;
            let message = format!("cpus of {} is a count: which ones must be said", table.place());
            let hint = "cpus = \"0-3,8\" or cpus = [0, 1, 2, 3, 8]";
            errors.push(Diagnostic::new(message).at(Some(node.span().into())).hint(hint));
            None
        }
    }
}

fn wrong<T>(message: String, node: &Node<'_>, errors: &mut Diagnostics) -> Option<T> {
    errors.push(Diagnostic::new(message).at(Some(node.span().into())).hint(HINT));
    None
}

/// Parses ranges such as `0-3,8`. The error is the part that is wrong.
fn ranges(text: &str) -> Result<BTreeSet<u32>, &str> {
    let mut cpus = BTreeSet::new();
    for part in text.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
            digits.parse::<u32>().ok().filter(|number| plain && u64::from(*number) < NUMBERS)
        };
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => cpus.extend(first..=last),
            _ => return Err(part),
        }
    }
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_kernel_writes_them() {
        let set = |cpus: &[u32]| Ok(cpus.iter().copied().collect());
        for (text, read) in [
            ("0", set(&[0])),
            ("0-3,8", set(&[0, 1, 2, 3, 8])),
            (" 1 , 1-2", set(&[1, 2])),
            ("1023", set(&[1023])),
            ("", Err("")),
            ("3-1", Err("3-1")),
            ("1,,2", Err("")),
            ("+1", Err("+1")),
            ("0-1024", Err("0-1024")),
            ("a", Err("a")),
            ("1-2-3", Err("1-2-3")),
        ] {
            assert_eq!(ranges(text), read, "{text:?}");
        }
    }
}
