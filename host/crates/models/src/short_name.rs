/// A name from an untrusted file, made safe for a message: short, in one line, and without control characters
/// for a terminal.
pub(super) fn short(name: &str) -> String {
    const LONGEST: usize = 60;
    let plain = |c: char| match c {
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        // Characters that change the direction of text, and line separators.
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let mut short: String = name.chars().take(LONGEST).map(plain).collect();
    match name.chars().nth(LONGEST) {
        Some(_) => short.push('…'),
        None if name.is_empty() => short.push_str("without a name"),
        None => {}
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_short_line() {
        assert_eq!(short("a/b:0"), "a/b:0");
        assert_eq!(short(""), "without a name");
        assert_eq!(short("x\u{1b}[2J\ny\u{202e}"), "x\u{fffd}[2J\u{fffd}y\u{fffd}");
        assert_eq!(short(&"é".repeat(61)), format!("{}…", "é".repeat(60)));
    }
}
