use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// An input that returns one piece for each read; an empty piece means "no bytes at present".
struct Pieces(VecDeque<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(mut piece) = self.0.pop_front() else { return Ok(0) };
        if piece.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let rest = piece.split_off(piece.len().min(buffer.len()));
        if !rest.is_empty() {
            self.0.push_front(rest);
        }
        buffer[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

fn all(reader: &mut LineReader<impl Read>) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    loop {
        match reader.next().unwrap() {
            Line::Found(_, line) => lines.push(content(line).to_vec()),
            Line::Pending => {}
            Line::End => return lines,
        }
    }
}

#[test]
fn line_ends_of_both_kinds_are_cut_and_a_last_line_needs_none() {
    let cases: [(&[u8], &[&[u8]]); 13] = [
        (b"a\rb\r", &[b"a", b"b"]),
        (b"a\rb", &[b"a", b"b"]),
        (b"a\r", &[b"a"]),
        (b"\r\r", &[b"", b""]),
        (b"a\n\rb\rc", &[b"a", b"\rb\rc"]),
        (b"a\r\nb\rc", &[b"a", b"b\rc"]),
        (b"\r\na", &[b"", b"a"]),
        (b"", &[]),
        (b"\n", &[b""]),
        (b"a\nb", &[b"a", b"b"]),
        (b"a\r\nb\r\n", &[b"a", b"b"]),
        (b"a\n\nb\n", &[b"a", b"", b"b"]),
        (b"a\rb\n\r", &[b"a\rb", b""]),
    ];
    for (text, expected) in cases {
        assert_eq!(all(&mut LineReader::new(text, 100, LineEnd::Auto, LookFor::All)), expected, "{text:?}");
    }
}

#[test]
fn a_line_over_the_limit_is_refused_without_reading_it_whole() {
    let endless = io::repeat(b'x');
    let mut reader = LineReader::new(endless, 1 << 20, LineEnd::Auto, LookFor::All);
    assert!(matches!(reader.next(), Err(LineError::TooLong)));
    assert_eq!(reader.line(), 1);
    assert!(reader.buffer.capacity() <= (1 << 20) + LineReader::<io::Empty>::CHUNK);
}

#[test]
fn where_any_end_is_one_all_three_end_a_line_however_they_arrive() {
    let text = b"a\rb\nc\r\nd\r\r\n\ne";
    for cut in 0..text.len() {
        let pieces = [text[..cut].to_vec(), Vec::new(), text[cut..].to_vec()];
        let mut reader = LineReader::new(Pieces(pieces.into()), 100, LineEnd::Any, LookFor::All);
        assert_eq!(all(&mut reader), [&b"a"[..], b"b", b"c", b"d", b"", b"", b"e"], "{cut}");
    }
    let many = b"12345\r".repeat(300_000);
    let mut reader = LineReader::new(&many[..], 1 << 20, LineEnd::Auto, LookFor::All);
    assert_eq!(all(&mut reader).len(), 300_000, "more than a line may have, and no LF");
}

#[test]
fn a_line_too_long_is_left_behind_without_being_kept() {
    let text = [&b"a\n"[..], &b"x".repeat(700_000), b"\nb\n", &b"y".repeat(11), b"\r\nc"].concat();
    let mut reader = LineReader::new(&text[..], 10, LineEnd::Auto, LookFor::All);
    let mut found = Vec::new();
    loop {
        match reader.next() {
            Ok(Line::Found(number, line)) => found.push((number, content(line).to_vec())),
            Ok(_) => break,
            Err(LineError::TooLong) => found.push((reader.line(), reader.too_long()[..3].to_vec())),
            Err(LineError::Read(error)) => panic!("{error}"),
        }
    }
    let expected: [(u64, &[u8]); 5] = [(1, b"a"), (2, b"xxx"), (3, b"b"), (4, b"yyy"), (5, b"c")];
    assert_eq!(found, expected.map(|(number, line)| (number, line.to_vec())));
    assert!(reader.buffer.capacity() <= 2 * LineReader::<io::Empty>::CHUNK);
}

#[test]
fn lines_that_are_kept_can_be_gone_back_to() {
    let text = b"1\n".repeat(400_000);
    let mut reader = LineReader::new(&text[..], 1 << 20, LineEnd::Auto, LookFor::All);
    reader.next().unwrap();
    reader.next().unwrap();
    reader.keep();
    for _ in 0..399_000 {
        reader.next().unwrap();
        reader.keep();
    }
    assert_eq!((reader.kept().len(), reader.line()), (2 * 399_001, 399_002));
    assert_eq!(reader.back_behind_first(), Some(&b"1\n"[..]));
    assert_eq!(reader.next().unwrap(), Line::Found(3, b"1\n"));
    assert_eq!(all(&mut reader).len(), 400_000 - 3);
}

#[test]
fn the_limit_counts_the_line_without_its_end() {
    for text in ["12345\r\n", "12345\n", "12345"] {
        assert_eq!(all(&mut LineReader::new(text.as_bytes(), 5, LineEnd::Auto, LookFor::All)), [b"12345"]);
        assert!(matches!(
            LineReader::new(text.as_bytes(), 4, LineEnd::Auto, LookFor::All).next(),
            Err(LineError::TooLong)
        ));
    }
}

proptest! {
    #[test]
    fn lines_come_out_the_same_however_the_input_arrives(
        lines in prop::collection::vec("[a-c]{0,5}", 0..40), cuts in prop::collection::vec(0usize..4, 0..100)) {
        let text: Vec<u8> = lines.iter().flat_map(|l| format!("{l}\n").into_bytes()).collect();
        let mut pieces = VecDeque::new();
        let mut rest = &text[..];
        for cut in cuts {
            let (piece, tail) = rest.split_at(cut.min(rest.len()));
            pieces.push_back(piece.to_vec());
            rest = tail;
        }
        pieces.push_back(rest.to_vec());
        prop_assert_eq!(
            all(&mut LineReader::new(Pieces(pieces), 100, LineEnd::Auto, LookFor::All)),
            lines.iter().map(|l| l.as_bytes().to_vec()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn long_lines_survive_buffer_growth(length in 0usize..700_000) {
        let mut text = vec![b'x'; length];
        text.extend_from_slice(b"\nend");
        let found = all(&mut LineReader::new(&text[..], 1 << 20, LineEnd::Auto, LookFor::All));
        prop_assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [length, 3]);
    }
}
