use sage_guest::Error;

use crate::types::{EMPTY, TEXT, Type, UNKNOWN};

/// Number of features of one file: 1024 from its beginning and 1024 from its end.
pub(crate) const WIDTH: usize = 2 * HALF;
const HALF: usize = 1024;
/// The feature for a byte that the file does not have.
const PADDING: i32 = 256;
/// Number of bytes at each end of the file in which white space is left out.
const BLOCK: usize = 4096;
/// Files with fewer bytes than this are decided by rule, without the model.
const FEWEST: usize = 8;

/// Appends the features of a file, byte for byte like the crate `magika` 1.1.0. For a file that is too small
/// for the model, returns its type as an error and appends nothing.
pub(crate) fn extract(file: &[u8], features: &mut Vec<i32>) -> Result<(), &'static Type> {
    if file.is_empty() {
        return Err(&EMPTY);
    }
    let block = file.len().min(BLOCK);
    let (first, _) = file.split_at(block);
    let (_, last) = file.split_at(file.len() - block);
    let begin = strip(first, <[u8]>::split_first);
    let end = strip(last, <[u8]>::split_last);
    if begin.len() < FEWEST {
        return Err(if std::str::from_utf8(first).is_ok() { &TEXT } else { &UNKNOWN });
    }
    let begin = begin.get(..HALF).unwrap_or(begin);
    let end = end.get(end.len().saturating_sub(HALF)..).unwrap_or(end);
    features.extend(begin.iter().copied().map(i32::from));
    features.extend(std::iter::repeat_n(PADDING, WIDTH - begin.len() - end.len()));
    features.extend(end.iter().copied().map(i32::from));
    Ok(())
}

/// Removes the white space on one side.
fn strip(mut bytes: &[u8], split: impl Fn(&[u8]) -> Option<(&u8, &[u8])>) -> &[u8] {
    while let Some((byte, rest)) = split(bytes) {
        // Python counts vertical tabs as white space, and so does the model.
        if !byte.is_ascii_whitespace() && *byte != 0x0b {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// Returns the type that a row of scores stands for, and its score.
pub(crate) fn decide(scores: &[f32], types: &'static [Type]) -> Result<(&'static Type, f32), Error> {
    // Of equal scores the last wins, as in the crate.
    let best = scores.iter().zip(types).max_by(|(a, _), (b, _)| a.total_cmp(b));
    let (score, guess) = best.ok_or("the model gave no scores")?;
    let sure = *score >= guess.threshold;
    let found = match guess.label {
        // The two classes that mean "no known type".
        "randomtxt" => &TEXT,
        "randombytes" => &UNKNOWN,
        _ if sure => guess,
        _ if guess.is_text => &TEXT,
        _ => &UNKNOWN,
    };
    Ok((found, *score))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(file: &[u8]) -> Result<Vec<i32>, &'static str> {
        let mut features = Vec::new();
        extract(file, &mut features).map_err(|ruled| ruled.label)?;
        assert_eq!(features.len(), WIDTH);
        Ok(features)
    }

    #[test]
    fn both_ends_are_taken_without_white_space() {
        let file = [b" \t\r\n\x0b\x0c".as_slice(), b"12345678 9", b"\n \n"].concat();
        let seen = features(&file).unwrap();
        let text: Vec<i32> = b"12345678 9".iter().map(|byte| i32::from(*byte)).collect();
        let at_the_end: Vec<i32> =
            [b" \t\r\n\x0b\x0c".as_slice(), b"12345678 9"].concat().iter().map(|byte| i32::from(*byte)).collect();
        assert_eq!(seen[..13], [&text[..], b"\n \n".map(i32::from).as_slice()].concat());
        assert_eq!(seen[WIDTH - 16..], at_the_end);
        assert!(seen[13..WIDTH - 16].iter().all(|number| *number == PADDING));
    }

    #[test]
    fn of_a_long_file_the_ends_are_seen_and_white_space_is_only_left_out_of_a_block() {
        let mut file = vec![b' '; 100_000];
        file[4000] = 7;
        file[99_000] = 8;
        let seen = features(&file);
        assert!(seen.is_ok(), "{seen:?}");
        let seen = seen.unwrap();
        assert_eq!((seen[0], seen[1], seen[95]), (7, 32, 32), "96 bytes of the first block are left");
        assert_eq!((seen[96], seen[HALF - 1]), (PADDING, PADDING));
        assert_eq!((seen[WIDTH - 1], seen[WIDTH - 2], seen[HALF]), (8, 32, 32));
        let bytes: Vec<u8> = (0..3000_u32).map(|number| number as u8).collect();
        let seen = features(&bytes).unwrap();
        assert_eq!((seen[0], seen[HALF - 1], seen[HALF], seen[WIDTH - 1]), (0, 255, 184, 183));
    }

    #[test]
    fn small_files_go_by_rule() {
        for (file, label) in [
            (&b""[..], "empty"),
            (b"   \n         ", "txt"),
            (b"1234567", "txt"),
            (b"  1234567", "txt"),
            ("gr\u{fc}\u{df}".as_bytes(), "txt"),
            (b"\xff\xfe", "unknown"),
        ] {
            assert_eq!(features(file).unwrap_err(), label, "{file:?}");
        }
        assert!(features(b"12345678").is_ok());
        assert!(features(&[b' '; 5000]).is_err_and(|label| label == "txt"));
    }

    #[test]
    fn the_best_class_counts_if_it_is_sure_enough() {
        use crate::types::TYPES;
        let index = |label: &str| TYPES.iter().position(|class| class.label == label).unwrap();
        let decided = |label: &str, score: f32| {
            let mut scores = vec![0.0; TYPES.len()];
            scores[index(label)] = score;
            decide(&scores, &TYPES).unwrap().0.label
        };
        assert_eq!(decided("rust", 0.51), "rust");
        assert_eq!(decided("rust", 0.49), "txt", "text of some kind");
        assert_eq!(decided("png", 0.49), "unknown", "and other bytes");
        assert_eq!(decided("latex", 0.94), "txt", "some classes have a threshold of their own");
        assert_eq!(decided("randombytes", 0.9), "unknown");
        assert_eq!(decided("randomtxt", 0.9), "txt");
        assert_eq!(decide(&[0.5, 0.5], &TYPES).unwrap().0, &TYPES[1], "of equals the last");
    }
}
