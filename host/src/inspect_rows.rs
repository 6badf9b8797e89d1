use sage_text::plain_line;

/// A number of bytes as text for people: `58.2 KiB`.
pub(super) fn size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}

/// Writes a row for each item; the first row has the name.
pub(super) fn list(row: &mut impl FnMut(&str, &str), name: &str, items: &[String]) {
    if items.is_empty() {
        row(name, "none");
    }
    for (i, item) in items.iter().enumerate() {
        row(if i == 0 { name } else { "" }, &plain_line(item));
    }
}
