//! The grammar of JSON, without the values. A position is an index into the text; `None` means that the grammar
//! is broken. Nothing here recurses, and what is skipped is not decoded: a lone surrogate (`\ud800`) passes, as it
//! does in serde_json.

/// Byte `i`; 0, which starts and ends nothing, past the end.
#[inline(always)]
pub(crate) fn at(text: &[u8], i: usize) -> u8 {
    text.get(i).copied().unwrap_or(0)
}

/// The next position that is no white space.
#[inline(always)]
pub(crate) fn space(text: &[u8], mut i: usize) -> usize {
    while matches!(at(text, i), b' ' | b'\t' | b'\r' | b'\n') {
        i += 1;
    }
    i
}

/// The end of a string from behind its first quote: index of the last quote, and whether escapes stand before it.
/// Eight bytes a step.
#[inline(always)]
pub(crate) fn string(text: &[u8], mut i: usize) -> Option<(usize, bool)> {
    let mut escaped = false;
    loop {
        i = special(text, i)?;
        match at(text, i) {
            b'"' => return Some((i, escaped)),
            b'\\' => {
                escaped = true;
                i = escape(text, i + 1)?;
            }
            _ => return None,
        }
    }
}

/// Index of the next quote, backslash, or control character.
#[inline(always)]
pub(crate) fn special(text: &[u8], mut i: usize) -> Option<usize> {
    const LOW: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    // The high bit of each byte that is zero, exact up to the first.
    let zeros = |word: u64| word.wrapping_sub(LOW) & !word & HIGH;
    while let Some(bytes) = text.get(i..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*bytes);
        let quotes = zeros(word ^ (LOW * b'"' as u64));
        let backslashes = zeros(word ^ (LOW * b'\\' as u64));
        let controls = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
        let found = quotes | backslashes | controls;
        if found != 0 {
            return Some(i + found.trailing_zeros() as usize / 8);
        }
        i += 8;
    }
    let rest = text.get(i..)?;
    rest.iter().position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20).map(|found| i + found)
}

/// The end of an escape, from behind its backslash.
fn escape(text: &[u8], i: usize) -> Option<usize> {
    match at(text, i) {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(i + 1),
        b'u' => text.get(i + 1..i + 5)?.iter().all(u8::is_ascii_hexdigit).then_some(i + 5),
        _ => None,
    }
}

/// The end of a number.
#[inline(always)]
pub(crate) fn number(text: &[u8], mut i: usize) -> Option<usize> {
    if at(text, i) == b'-' {
        i += 1;
    }
    match at(text, i) {
        b'0' => i += 1,
        b'1'..=b'9' => i = digits(text, i),
        _ => return None,
    }
    if at(text, i) == b'.' {
        i = some_digits(text, i + 1)?;
    }
    if matches!(at(text, i), b'e' | b'E') {
        i += 1;
        if matches!(at(text, i), b'+' | b'-') {
            i += 1;
        }
        i = some_digits(text, i)?;
    }
    Some(i)
}

#[inline(always)]
fn digits(text: &[u8], mut i: usize) -> usize {
    while at(text, i).is_ascii_digit() {
        i += 1;
    }
    i
}

#[inline(always)]
fn some_digits(text: &[u8], i: usize) -> Option<usize> {
    let end = digits(text, i);
    (end > i).then_some(end)
}

/// The end of `word`, if it stands at `i`.
#[inline(always)]
pub(crate) fn word(text: &[u8], i: usize, word: &[u8]) -> Option<usize> {
    text.get(i..)?.starts_with(word).then_some(i + word.len())
}

/// The end of a value that is neither an array nor an object.
#[inline(always)]
fn scalar(text: &[u8], i: usize) -> Option<usize> {
    match at(text, i) {
        b'"' => string(text, i + 1).map(|(end, _)| end + 1),
        b't' => word(text, i, b"true"),
        b'f' => word(text, i, b"false"),
        b'n' => word(text, i, b"null"),
        _ => number(text, i),
    }
}

/// The end of a value.
#[inline(always)]
pub(crate) fn value(text: &[u8], i: usize, open: &mut Open) -> Option<usize> {
    match at(text, i) {
        b'{' | b'[' => nested(text, i, open),
        _ => {
            open.deepest = 0;
            scalar(text, i)
        }
    }
}

/// The arrays and objects around the current position, innermost last. The buffer stays from value to value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Open {
    brackets: Vec<u8>,
    /// Levels of the last value, 0 for one that is neither an array nor an object.
    pub(crate) deepest: usize,
}

/// The end of an array or an object.
fn nested(text: &[u8], mut i: usize, open: &mut Open) -> Option<usize> {
    open.brackets.clear();
    open.deepest = 0;
    loop {
        // Here a value begins.
        let bracket = at(text, i);
        if matches!(bracket, b'{' | b'[') {
            open.deepest = open.deepest.max(open.brackets.len() + 1);
            i = space(text, i + 1);
            // '{' and '}' are 2 apart, as are '[' and ']'.
            if at(text, i) == bracket + 2 {
                i += 1;
            } else {
                open.brackets.push(bracket);
                if bracket == b'{' {
                    (_, i, _) = key(text, i)?;
                }
                continue;
            }
        } else {
            i = scalar(text, i)?;
        }
        // Here a value has ended.
        loop {
            let Some(&bracket) = open.brackets.last() else { return Some(i) };
            i = space(text, i);
            if at(text, i) == b',' {
                i = space(text, i + 1);
                if bracket == b'{' {
                    (_, i, _) = key(text, i)?;
                }
                break;
            }
            if at(text, i) != bracket + 2 {
                return None;
            }
            open.brackets.pop();
            i += 1;
        }
    }
}

/// A key and its colon: the end of the key's string, the beginning of the value, and whether the key has escapes.
/// The key's text is `i + 1..end`.
#[inline(always)]
pub(crate) fn key(text: &[u8], i: usize) -> Option<(usize, usize, bool)> {
    if at(text, i) != b'"' {
        return None;
    }
    let (end, escaped) = string(text, i + 1)?;
    let colon = space(text, end + 1);
    (at(text, colon) == b':').then(|| (end, space(text, colon + 1), escaped))
}

/// Walks over the fields of an object that is the whole text. `field` gets the beginning of a key and returns the
/// end of the value. An error of `field` ends the walk. `None` as an error means that the grammar is broken.
#[inline(always)]
pub(crate) fn walk<E>(text: &[u8], field: impl FnMut(usize) -> Result<usize, Option<E>>) -> Result<(), Option<E>> {
    let end = object(text, space(text, 0), field)?;
    (space(text, end) == text.len()).then_some(()).ok_or(None)
}

/// Walks over the fields of the object that begins at `i`, as [`walk`]. Returns its end.
#[inline(always)]
pub(crate) fn object<E>(
    text: &[u8],
    i: usize,
    field: impl FnMut(usize) -> Result<usize, Option<E>>,
) -> Result<usize, Option<E>> {
    if at(text, i) != b'{' {
        return Err(None);
    }
    parts(text, i, b'}', field)
}

/// Walks over the values of the array that begins at `i`. `value` gets the beginning of a value and returns its end.
/// Returns the end of the array.
#[inline(always)]
pub(crate) fn array<E>(
    text: &[u8],
    i: usize,
    value: impl FnMut(usize) -> Result<usize, Option<E>>,
) -> Result<usize, Option<E>> {
    if at(text, i) != b'[' {
        return Err(None);
    }
    parts(text, i, b']', value)
}

/// Walks over what stands between commas, from the opening bracket at `i` to the closing one.
#[inline(always)]
fn parts<E>(
    text: &[u8],
    i: usize,
    closing: u8,
    mut part: impl FnMut(usize) -> Result<usize, Option<E>>,
) -> Result<usize, Option<E>> {
    let mut i = space(text, i + 1);
    if at(text, i) != closing {
        loop {
            i = space(text, part(i)?);
            match at(text, i) {
                b',' => i = space(text, i + 1),
                found if found == closing => break,
                _ => return Err(None),
            }
        }
    }
    Ok(i + 1)
}
