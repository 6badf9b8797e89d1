/// Appends text as a JSON string; `None` if it is not UTF-8.
pub(super) fn write_json_string(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    serde_json::to_writer(out, std::str::from_utf8(text).ok()?).ok()
}
