use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::refusal::Refusal;

/// Decompresses the consecutive members of a gzip file as one text.
///
/// Zeros after a member, which tapes and some file systems leave, are skipped, as by gzip. Any other bytes that
/// are no member are refused, because they would be lost.
pub(super) struct GzipMembers<R> {
    state: State<R>,
}

enum State<R> {
    Member(Box<GzDecoder<R>>),
    Between(R),
    /// Only during the change from one state to another.
    Nothing,
}

impl<R: BufRead> GzipMembers<R> {
    /// The members of `input`, which begins with one.
    pub(super) fn new(input: R) -> Self {
        Self { state: State::Member(Box::new(GzDecoder::new(input))) }
    }

    pub(super) fn input(&self) -> Option<&R> {
        match &self.state {
            State::Member(decoder) => Some(decoder.get_ref()),
            State::Between(input) => Some(input),
            State::Nothing => None,
        }
    }
}

impl<R: BufRead> Read for GzipMembers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match &mut self.state {
                State::Member(decoder) => {
                    let n = decoder.read(buffer)?;
                    if n > 0 {
                        return Ok(n);
                    }
                    if let State::Member(decoder) = std::mem::replace(&mut self.state, State::Nothing) {
                        self.state = State::Between(decoder.into_inner());
                    }
                }
                State::Between(input) => {
                    let behind = input.fill_buf()?;
                    let zeros = behind.iter().take_while(|byte| **byte == 0).count();
                    match behind.get(zeros) {
                        None if behind.is_empty() => return Ok(0),
                        None => input.consume(zeros),
                        Some(0x1f) => {
                            input.consume(zeros);
                            if let State::Between(input) = std::mem::replace(&mut self.state, State::Nothing) {
                                self.state = State::Member(Box::new(GzDecoder::new(input)));
                            }
                        }
                        Some(_) => {
                            let what = "the bytes after its last gzip member are neither another member nor zeros";
                            let hint = "is something appended to it, or is it damaged? gzip -t says more";
                            return Err(Refusal::new(what, hint).into());
                        }
                    }
                }
                State::Nothing => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        // One byte at a time, so that every state is entered and left many times.
        GzipMembers::new(io::BufReader::with_capacity(1, packed)).read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn members_follow_each_other_zeros_are_passed_over_and_nothing_else_is() {
        let (a, b) = (gzip(b"a\n"), gzip(b"b\n"));
        type Case<'a> = (Vec<u8>, Result<&'a [u8], &'a str>);
        let cases: [Case<'_>; 6] = [
            ([&a[..], &b].concat(), Ok(b"a\nb\n")),
            ([&a[..], &[0; 1000]].concat(), Ok(b"a\n")),
            ([&a[..], &[0; 10], &b].concat(), Ok(b"a\nb\n")),
            ([&a[..], &gzip(b""), &b].concat(), Ok(b"a\nb\n")),
            (
                [&a[..], b"text"].concat(),
                Err("the bytes after its last gzip member are neither another member nor zeros"),
            ),
            ([&a[..], &[0; 10], b"\x1f\x8c is no header"].concat(), Err("invalid gzip header")),
        ];
        for (packed, expected) in cases {
            let found = read(&packed).map_err(|error| error.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{packed:?}");
        }
    }

    #[test]
    fn every_way_to_cut_a_member_short_is_an_error() {
        let packed = gzip(&b"some text\n".repeat(100));
        for end in 2..packed.len() {
            assert!(read(&packed[..end]).is_err(), "{end} of {}", packed.len());
        }
    }
}
