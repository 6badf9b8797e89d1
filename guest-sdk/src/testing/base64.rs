//! Base64 with padding, as the host reads and prints fields of the type `bytes`.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns the bytes as text.
pub(super) fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for bytes in bytes.chunks(3) {
        let bits = bytes.iter().enumerate().fold(0_u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            let digit = ALPHABET.get((bits >> (18 - 6 * at)) as usize % 64).map_or('=', |digit| char::from(*digit));
            text.push(if at <= bytes.len() { digit } else { '=' });
        }
    }
    text
}

/// Reads such a text.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let plain = text.trim_end_matches('=');
    let mut bytes = Vec::new();
    for digits in plain.as_bytes().chunks(4) {
        let mut bits = 0;
        for (at, digit) in digits.iter().enumerate() {
            bits |= (ALPHABET.iter().position(|known| known == digit)? as u32) << (18 - 6 * at);
        }
        bytes.extend(bits.to_be_bytes().iter().skip(1).take(digits.len() - 1));
    }
    // What is left of the last digit must be zero, and the padding whole.
    (encode(&bytes) == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{decode, encode};

    #[test]
    fn bytes_of_every_length_are_read_back_and_only_their_one_text_is_read() {
        let bytes: Vec<u8> = (0..100_u8).map(|byte| byte.wrapping_mul(37)).collect();
        for length in 0..bytes.len() {
            assert_eq!(decode(&encode(&bytes[..length])).as_deref(), Some(&bytes[..length]));
        }
        assert_eq!((encode(b"hi"), encode(&[0, 255])), ("aGk=".to_owned(), "AP8=".to_owned()));
        for odd in ["aGk", "aGk==", "aGl=", "a", "====", "aG k", "aGk=aGk="] {
            assert_eq!(decode(odd), None, "{odd}");
        }
    }
}
