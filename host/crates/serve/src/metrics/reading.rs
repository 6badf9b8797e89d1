use super::family::Kind;
use super::sample::{Sample, is_name};

/// Reads the text of a job: its samples with their families.
#[derive(Debug)]
pub struct Reading<'a> {
    lines: std::str::Lines<'a>,
    family: Option<Heading<'a>>,
    help: Option<(&'a str, &'a str)>,
}

/// A family of metrics in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heading<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub kind: Kind,
    /// What it counts.
    pub help: &'a str,
}

/// Longest line of a job's text.
const LONGEST_LINE: usize = 8 << 10;

impl<'a> Reading<'a> {
    /// Families of runs begin with this.
    const PREFIX: &'static str = "sage_";

    /// Reads a text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self { lines: text.lines(), family: None, help: None }
    }

    fn comment(&mut self, comment: &'a str) {
        let mut words = comment.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("HELP"), Some(name), Some(help)) => self.help = Some((name, help)),
            (Some("TYPE"), Some(name), Some(kind)) => {
                let help = self.help.filter(|(of, _)| *of == name).map_or("", |(_, help)| help);
                let kind = Kind::from_word(kind).filter(|_| is_name(name) && name.starts_with(Self::PREFIX));
                self.family = kind.map(|kind| Heading { name, kind, help });
            }
            _ => {}
        }
    }
}

impl<'a> Iterator for Reading<'a> {
    /// A sample and its family; `None` for a line that has no place in the text of all jobs.
    type Item = Option<(Heading<'a>, Sample)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.lines.next()?;
            match line.strip_prefix("# ") {
                Some(comment) => self.comment(comment),
                None if line.is_empty() => {}
                None if line.len() > LONGEST_LINE => return Some(None),
                None => {
                    let read = self.family.zip(Sample::parse(line));
                    return Some(read.filter(|(family, sample)| family.kind.has_sample(family.name, &sample.name)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_belong_to_the_family_above_them() {
        let text = "# HELP sage_a Said.\n# TYPE sage_a counter\nsage_a_total 1\nsage_b 2\nup 3\n\
                    # TYPE go_x gauge\ngo_x 1\n# TYPE sage_c gauge\nsage_c{a=\"1\"} 5\n# EOF\n";
        let read: Vec<_> = Reading::new(text).collect();
        let names: Vec<_> =
            read.iter().map(|read| read.as_ref().map(|(family, sample)| (family.help, sample.line()))).collect();
        assert_eq!(
            names,
            [
                Some(("Said.", "sage_a_total 1\n".to_owned())),
                None,
                None,
                None,
                Some(("", "sage_c{a=\"1\"} 5\n".to_owned()))
            ]
        );
    }
}
