use sage_text::plain_line;

/// Writes a row for each item; the first row has the name.
pub(super) fn list(row: &mut impl FnMut(&str, &str), name: &str, items: &[String]) {
    if items.is_empty() {
        row(name, "none");
    }
    for (i, item) in items.iter().enumerate() {
        row(if i == 0 { name } else { "" }, &plain_line(item));
    }
}
