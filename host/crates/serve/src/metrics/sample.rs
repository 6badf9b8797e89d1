use std::fmt::Write as _;

/// Labels of a sample: names and values without escapes.
pub type Labels = Vec<(String, String)>;

/// A number with its name and labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Name of the sample: that of its family, with a suffix that its type allows.
    pub name: String,
    /// Labels.
    pub labels: Labels,
    /// Value.
    pub value: f64,
}

impl Sample {
    /// Parses a line `name{label="value",…} number`. `None` for any other line, also if it has a timestamp or an
    /// exemplar.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let end = line.find(['{', ' '])?;
        let (name, rest) = line.split_at(end);
        if !is_name(name) {
            return None;
        }
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Labels::new(), rest),
        };
        let value = number(value.strip_prefix(' ')?)?;
        Some(Self { name: name.to_owned(), labels, value })
    }

    /// The line of this sample.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = self.name.clone();
        for (number, (name, value)) in self.labels.iter().enumerate() {
            line.push(if number == 0 { '{' } else { ',' });
            let _ = write!(line, "{name}=\"{}\"", escaped(value));
        }
        if !self.labels.is_empty() {
            line.push('}');
        }
        let _ = writeln!(line, " {}", shown(self.value));
        line
    }
}

fn shown(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

fn number(text: &str) -> Option<f64> {
    let begins = text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.'));
    if begins || text == "NaN" { text.parse().ok() } else { None }
}

/// Whether a text is the name of a metric or of a label.
pub(super) fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    text.bytes().next().is_some_and(letter) && text.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
}

/// Parses labels behind `{`, up to their `}`, and returns the rest of the line.
fn labels(mut rest: &str) -> Option<(Labels, &str)> {
    let mut labels = Labels::new();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        if !labels.is_empty() {
            rest = rest.strip_prefix(',')?;
        }
        let (name, quoted) = rest.split_once("=\"")?;
        if !is_name(name) || labels.iter().any(|(known, _)| known == name) {
            return None;
        }
        let (value, after) = quoted_value(quoted)?;
        labels.push((name.to_owned(), value));
        rest = after;
    }
}

/// A value up to its closing quote, without escapes, and what follows.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                same @ ('"' | '\\') => same,
                _ => return None,
            }),
            other => value.push(other),
        }
    }
    None
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_samples_or_nothing() {
        let sample = Sample::parse("sage_x_total{a=\"1\",le=\"+Inf\"} 7").unwrap();
        assert_eq!((sample.name.as_str(), sample.value), ("sage_x_total", 7.0));
        assert_eq!(sample.labels, [("a".to_owned(), "1".to_owned()), ("le".to_owned(), "+Inf".to_owned())]);
        assert_eq!(Sample::parse("x 2.5").unwrap().line(), "x 2.5\n");
        for line in [
            "",
            "x",
            "x{",
            "x{}",
            "x{a=\"1\"",
            "x{a=\"1\"}",
            "x{a=\"1\"}2",
            "x{a=\"1\",a=\"2\"} 1",
            "x{a=\"\\q\"} 1",
            "x{a=\"1\"b=\"2\"} 1",
            "1x 1",
            "x y",
            "x 1 1700000000",
            "x 1 # {}",
            "x{a-b=\"1\"} 1",
            "x  1",
            "x nan",
            "x infinity",
            "x 1\r",
        ] {
            assert_eq!(Sample::parse(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_panic(line in "\\PC*") {
            let _ = Sample::parse(&line);
        }

        #[test]
        fn what_is_written_is_read_again(value in any::<f64>().prop_filter("NaN is not itself", |v| !v.is_nan()),
                                         text in "(?s).{0,20}") {
            let sample = Sample { name: "a_b".to_owned(), labels: vec![("c".to_owned(), text)], value };
            let line = sample.line();
            prop_assert_eq!(line.matches('\n').count(), 1);
            prop_assert_eq!(Sample::parse(line.trim_end_matches('\n')), Some(sample));
        }
    }
}
