use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE, mem};

use super::input::Input;
use super::magic::{Beginning, beginning};
use super::peeking::Peeking;
use super::refusal::Refusal;
use sage_plan::TextEncoding;

/// Turns bytes into text. UTF-8, and text with neither a named encoding nor the byte order mark of UTF-16, pass
/// unchanged; any other encoding is decoded to UTF-8.
///
/// Bytes that are no text, by their first bytes, are refused. A character that cannot be decoded becomes
/// [`TextInput::NO_CHARACTER`], a byte that UTF-8 does not have. The line splitter finds it, and only that line
/// is bad.
///
/// Text that needs no decoding is not copied.
pub(super) struct TextInput<R = Input> {
    input: Peeking<R>,
    wanted: TextEncoding,
    state: State,
}

enum State {
    Unseen,
    AsItIs,
    Decoding(Box<Decoding>),
}

struct Decoding {
    coder: Coder,
    raw: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    ended: bool,
}

enum Coder {
    Latin1,
    Standard(Decoder),
}

impl<R: Read> TextInput<R> {
    /// The byte in place of bytes that are no character of the encoding.
    pub(super) const NO_CHARACTER: u8 = 0xff;
    const CHUNK: usize = 64 << 10;

    pub(super) fn new(input: R, wanted: TextEncoding) -> Self {
        Self { input: Peeking::new(input), wanted, state: State::Unseen }
    }

    /// Text that needs no decoding, behind its beginning.
    pub(super) fn behind_the_beginning(input: R, wanted: TextEncoding) -> Self {
        Self { input: Peeking::new(input), wanted, state: State::AsItIs }
    }

    /// Whether the text is known to be the bytes of the input.
    pub(super) fn is_as_it_is(&self) -> bool {
        matches!(self.state, State::AsItIs)
    }

    pub(super) fn input(&self) -> &R {
        self.input.input()
    }

    /// Name of the encoding that the input must have, if it was named or is decoded. Known after
    /// [`begin`](Self::begin).
    pub(super) fn must_be(&self) -> Option<&'static str> {
        match (&self.state, self.wanted) {
            (State::Decoding(decoding), _) => Some(match &decoding.coder {
                Coder::Latin1 => "ISO-8859-1",
                Coder::Standard(decoder) => decoder.encoding().name(),
            }),
            (_, TextEncoding::Named(_)) => Some("UTF-8"),
            _ => None,
        }
    }

    /// Examines the first bytes, before the first read. A second call does nothing.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        if !matches!(self.state, State::Unseen) {
            return Ok(());
        }
        let (found, mark) = self.input.look(|head, no_more| {
            let mark = head.starts_with(b"\xef\xbb\xbf");
            Some((beginning(head, no_more)?, mark))
        })?;
        if let Beginning::Foreign(what, hint) = found {
            return Err(Refusal::new(format!("it is {what}, and no text"), hint).into());
        }
        let utf16 = |big| if big { UTF_16BE } else { UTF_16LE };
        let coder = match (self.wanted, found) {
            (TextEncoding::Found, Beginning::Utf16 { big }) => Some(Coder::Standard(decoder(utf16(big)))),
            (TextEncoding::Found, Beginning::Utf16Unmarked { big }) => {
                let name = if big { "utf-16be" } else { "utf-16le" };
                let what = "it looks like UTF-16 without its byte order mark: every second byte is zero";
                return Err(Refusal::new(
                    what,
                    format!("encoding = \"{name}\" reads it; with \"utf-8\" the zeros are characters"),
                )
                .into());
            }
            (TextEncoding::Found, _) => None,
            (TextEncoding::Latin1, _) if mark => return Err(other_mark("latin-1", "UTF-8")),
            (TextEncoding::Latin1, Beginning::Utf16 { .. }) => return Err(other_mark("latin-1", "UTF-16")),
            (TextEncoding::Latin1, _) => Some(Coder::Latin1),
            (TextEncoding::Utf16, _) if mark => return Err(other_mark("utf-16", "UTF-8")),
            (TextEncoding::Utf16, Beginning::Utf16 { big } | Beginning::Utf16Unmarked { big }) => {
                Some(Coder::Standard(decoder(utf16(big))))
            }
            (TextEncoding::Utf16, _) => Some(Coder::Standard(decoder(UTF_16LE))),
            (TextEncoding::Named(encoding), Beginning::Utf16 { big }) if encoding != utf16(big) => {
                return Err(other_mark(encoding.name(), utf16(big).name()));
            }
            (TextEncoding::Named(encoding), _) if mark && encoding != UTF_8 => {
                return Err(other_mark(encoding.name(), "UTF-8"));
            }
            (TextEncoding::Named(encoding), _) if encoding == UTF_8 => None,
            (TextEncoding::Named(encoding), _) => Some(Coder::Standard(decoder(encoding))),
        };
        self.state = match coder {
            None => State::AsItIs,
            Some(coder) => {
                State::Decoding(Box::new(Decoding { coder, raw: Vec::new(), text: Vec::new(), at: 0, ended: false }))
            }
        };
        Ok(())
    }
}

/// Makes a decoder that keeps byte order marks as characters. The line splitter removes them at the beginning
/// of any line.
fn decoder(encoding: &'static Encoding) -> Decoder {
    encoding.new_decoder_without_bom_handling()
}

fn other_mark(wanted: &str, mark: &str) -> io::Error {
    let what = format!("it begins with the byte order mark of {mark}, and its encoding is said to be {wanted}");
    Refusal::new(what, "leave encoding out: a text with a mark is known by it").into()
}

impl<R: Read> Read for TextInput<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.state {
                State::AsItIs => return self.input.read(buffer),
                State::Decoding(decoding) => return decoding.read(&mut self.input, buffer),
                State::Unseen => self.begin()?,
            }
        }
    }
}

impl Decoding {
    fn read(&mut self, input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() {
            if self.ended {
                return Ok(0);
            }
            self.raw.resize(TextInput::<Input>::CHUNK, 0);
            let n = match input.read(&mut self.raw) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.raw.truncate(n);
            self.ended = n == 0;
            self.text.clear();
            self.at = 0;
            self.coder.decode(&self.raw, self.ended, &mut self.text);
        }
        let n = self.text.get(self.at..).unwrap_or_default().read(buffer)?;
        self.at += n;
        Ok(n)
    }
}

impl Coder {
    fn decode(&mut self, mut raw: &[u8], last: bool, text: &mut Vec<u8>) {
        match self {
            Self::Latin1 => {
                text.resize(raw.len() * 2, 0);
                let n = mem::convert_latin1_to_utf8(raw, text);
                text.truncate(n);
            }
            Self::Standard(decoder) => loop {
                let len = text.len();
                let room = decoder.max_utf8_buffer_length_without_replacement(raw.len()).unwrap_or(raw.len() * 3 + 16);
                text.resize(len + room, 0);
                let free = text.get_mut(len..).unwrap_or_default();
                let (result, read, written) = decoder.decode_to_utf8_without_replacement(raw, free, last);
                text.truncate(len + written);
                raw = raw.get(read..).unwrap_or_default();
                match result {
                    DecoderResult::InputEmpty => return,
                    DecoderResult::OutputFull => {}
                    DecoderResult::Malformed(..) => text.push(TextInput::<Input>::NO_CHARACTER),
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], wanted: TextEncoding) -> Result<Vec<u8>, String> {
        let mut text = Vec::new();
        let mut input = TextInput::new(bytes, wanted);
        input.read_to_end(&mut text).map_err(|error| error.to_string())?;
        Ok(text)
    }

    fn named(label: &str) -> TextEncoding {
        TextEncoding::Named(Encoding::for_label(label.as_bytes()).unwrap())
    }

    #[test]
    fn a_text_is_what_its_encoding_says_and_what_is_no_character_is_seen_in_its_place() {
        type Case<'a> = (&'a [u8], TextEncoding, Result<&'a [u8], &'a str>);
        let cases: [Case<'_>; 20] = [
            (b"a\xe9\xff", TextEncoding::Found, Ok(b"a\xe9\xff")),
            (b"", TextEncoding::Found, Ok(b"")),
            (b"", TextEncoding::Utf16, Ok(b"")),
            (b"\xff\xfea\0\xe9\0", TextEncoding::Found, Ok("\u{feff}aé".as_bytes())),
            (b"\xfe\xff\0a\0\xe9", TextEncoding::Utf16, Ok("\u{feff}aé".as_bytes())),
            (b"a\0\xe9\0", TextEncoding::Utf16, Ok("aé".as_bytes())),
            (b"\0a\0b", TextEncoding::Utf16, Ok(b"ab")),
            (b"a\0\0\xd8b\0", named("utf-16le"), Ok(b"a\xffb")),
            (b"a\0b", named("utf-16le"), Ok(b"a\xff")),
            (b"\x80\xe9", TextEncoding::Latin1, Ok("\u{80}é".as_bytes())),
            (b"\x80\xe9", named("windows-1252"), Ok("€é".as_bytes())),
            (b"a\xe9\xc3\xa9", named("utf-8"), Ok(b"a\xe9\xc3\xa9")),
            (b"\x82\xa0\xff1", named("shift_jis"), Ok(b"\xe3\x81\x82\xff1")),
            (
                b"a\0b\0\n\0",
                TextEncoding::Found,
                Err("it looks like UTF-16 without its byte order mark: every second byte is zero"),
            ),
            (b"a\0b\0", named("utf-8"), Ok(b"a\0b\0")),
            (
                b"\xff\xfea\0",
                named("utf-8"),
                Err("it begins with the byte order mark of UTF-16LE, and its encoding is said to be UTF-8"),
            ),
            (
                b"\xef\xbb\xbfa",
                named("windows-1252"),
                Err("it begins with the byte order mark of UTF-8, and its encoding is said to be windows-1252"),
            ),
            (b"\xef\xbb\xbfa", named("utf-8"), Ok("\u{feff}a".as_bytes())),
            (
                b"\xfe\xff\0a",
                named("utf-16le"),
                Err("it begins with the byte order mark of UTF-16BE, and its encoding is said to be UTF-16LE"),
            ),
            (b"\xfd7zXZ\0", TextEncoding::Latin1, Err("it is an xz file, and no text")),
        ];
        for (bytes, wanted, expected) in cases {
            let found = read(bytes, wanted);
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{bytes:?} as {wanted:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_in_utf_16_is_that_text_however_it_arrives(text in "\\PC{0,300}", piece in 1usize..7) {
            struct Pieces<'a>(&'a [u8], usize);
            impl Read for Pieces<'_> {
                fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                    let n = self.1.min(buffer.len());
                    self.0.read(&mut buffer[..n])
                }
            }
            let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let mut found = String::new();
            TextInput::new(Pieces(&bytes, piece), named("utf-16le")).read_to_string(&mut found).unwrap();
            prop_assert_eq!(found, text);
        }
    }
}
