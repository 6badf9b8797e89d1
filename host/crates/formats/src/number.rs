//! Numbers from the text of a JSON number. The text has passed the grammar.

use crate::error::Bad;

/// An integer with a sign. A point or an exponent is refused, even in `1.0`.
#[inline]
pub(crate) fn signed(text: &[u8]) -> Result<i64, Bad> {
    match text {
        [b'-', digits @ ..] => 0i64.checked_sub_unsigned(magnitude(digits)?).ok_or(Bad::Range),
        digits => i64::try_from(magnitude(digits)?).map_err(|_| Bad::Range),
    }
}

/// An integer without a sign; `-0` is 0.
#[inline]
pub(crate) fn unsigned(text: &[u8]) -> Result<u64, Bad> {
    match text {
        [b'-', digits @ ..] => match magnitude(digits)? {
            0 => Ok(0),
            _ => Err(Bad::Range),
        },
        digits => magnitude(digits),
    }
}

#[inline]
fn magnitude(digits: &[u8]) -> Result<u64, Bad> {
    let mut sum = 0u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return Err(Bad::Form);
        }
        // 19 digits always fit, and this test is cheaper than two for each digit.
        sum = if digits.len() < 20 {
            sum * 10 + u64::from(digit - b'0')
        } else {
            let next = sum.checked_mul(10).and_then(|sum| sum.checked_add(u64::from(digit - b'0')));
            match next {
                Some(next) => next,
                // A later point or exponent is the greater fault.
                None if digits.iter().all(u8::is_ascii_digit) => return Err(Bad::Range),
                None => return Err(Bad::Form),
            }
        };
    }
    Ok(sum)
}

/// The nearest number of 64 bits. A number that would be infinite is refused.
///
/// Most numbers have few digits: one division by a power of ten is then exactly rounded (Clinger, "How to read
/// floating point numbers accurately", 1990). The others are read by std.
#[inline]
#[expect(clippy::cast_precision_loss, reason = "the digits are fewer than 2^53")]
pub(crate) fn float(text: &[u8]) -> Result<f64, Bad> {
    const POWERS: [f64; 17] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16];
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if unsigned.len() < POWERS.len() {
        let (mut digits, mut places, mut point) = (0u64, 0, 0);
        let mut plain = true;
        for &byte in unsigned {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                digits = digits * 10 + u64::from(digit);
                places += point;
            } else {
                plain &= byte == b'.';
                point = 1;
            }
        }
        if let Some(power) = POWERS.get(places).filter(|_| plain && digits < 1 << 53) {
            let value = digits as f64 / power;
            return Ok(if negative { -value } else { value });
        }
    }
    parsed::<f64>(text).filter(|value| value.is_finite()).ok_or(Bad::Range)
}

/// The nearest number of 32 bits. A number that would be infinite is refused.
pub(crate) fn float32(text: &[u8]) -> Result<f32, Bad> {
    parsed::<f32>(text).filter(|value| value.is_finite()).ok_or(Bad::Range)
}

fn parsed<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    str::from_utf8(text).ok()?.parse().ok()
}

/// A decimal as the number without its point. Digits beyond `scale` must be zeros, and the whole must have at most
/// `precision` digits.
pub(crate) fn decimal(text: &[u8], precision: u8, scale: u8) -> Result<i128, Bad> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let split = |text: &[u8], at: Option<usize>| match at.and_then(|at| Some((text.get(..at)?, text.get(at + 1..)?))) {
        Some((before, after)) => (before.to_vec(), Some(after.to_vec())),
        None => (text.to_vec(), None),
    };
    let (mantissa, exponent) = split(unsigned, unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')));
    let (whole, fraction) = split(&mantissa, mantissa.iter().position(|&byte| byte == b'.'));
    // An exponent too long for the type moves every digit out of the range, unless all are zero.
    let exponent = exponent.map_or(0, |text| match parsed::<i64>(&text) {
        Some(exponent) => exponent.clamp(-1_000_000_000_000, 1_000_000_000_000),
        None if text.starts_with(b"-") => -1_000_000_000_000,
        None => 1_000_000_000_000,
    });
    let places = i64::try_from(whole.len()).unwrap_or(i64::MAX) + exponent + i64::from(scale);
    let limit = 10u128.pow(u32::from(precision.min(38)));
    let longer = |sum: u128, digit| {
        let sum = sum.checked_mul(10).and_then(|sum| sum.checked_add(digit));
        sum.filter(|sum| *sum < limit).ok_or(Bad::Range)
    };
    let mut sum = 0u128;
    let mut at = 0;
    for digit in whole.iter().chain(fraction.iter().flatten()) {
        let digit = u128::from(digit.wrapping_sub(b'0'));
        if at < places {
            sum = longer(sum, digit)?;
        } else if digit != 0 {
            return Err(Bad::Form);
        }
        at += 1;
    }
    while at < places && sum > 0 {
        sum = longer(sum, 0)?;
        at += 1;
    }
    let sum = i128::try_from(sum).map_err(|_| Bad::Range)?;
    Ok(if negative { -sum } else { sum })
}

/// Prints a decimal with all digits of its scale.
pub(crate) fn print_decimal(value: i128, scale: u8, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value.unsigned_abs()).as_bytes();
    if value < 0 {
        out.push(b'-');
    }
    let scale = usize::from(scale);
    let missing = (scale + 1).saturating_sub(digits.len());
    let whole = (digits.len() + missing) - scale;
    for at in 0..digits.len() + missing {
        if at == whole {
            out.push(b'.');
        }
        out.push(at.checked_sub(missing).and_then(|at| digits.get(at)).copied().unwrap_or(b'0'));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        let cases: [(&str, u8, u8, Result<i128, Bad>); 17] = [
            ("12.34", 4, 2, Ok(1234)),
            ("-12.3", 4, 2, Ok(-1230)),
            ("0.1234", 4, 4, Ok(1234)),
            ("12.3400", 4, 2, Ok(1234)),
            ("12.345", 5, 2, Err(Bad::Form)),
            ("123.45", 4, 2, Err(Bad::Range)),
            ("99.99", 4, 2, Ok(9999)),
            ("1e2", 5, 2, Ok(10000)),
            ("1e3", 5, 2, Err(Bad::Range)),
            ("1.5e-1", 4, 2, Ok(15)),
            ("1E-3", 4, 2, Err(Bad::Form)),
            ("0e99999999999999999999", 4, 2, Ok(0)),
            ("1e99999999999999999999", 4, 2, Err(Bad::Range)),
            ("1e-99999999999999999999", 4, 2, Err(Bad::Form)),
            ("-0.00", 4, 2, Ok(0)),
            ("99999999999999999999999999999999999999", 38, 0, Ok(10i128.pow(38) - 1)),
            ("-100000000000000000000000000000000000000", 38, 0, Err(Bad::Range)),
        ];
        for (text, precision, scale, expected) in cases {
            assert_eq!(decimal(text.as_bytes(), precision, scale), expected, "{text}");
        }
    }

    #[test]
    fn integers_are_exact_or_refused() {
        assert_eq!(signed(b"-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(signed(b"9223372036854775807"), Ok(i64::MAX));
        assert_eq!(signed(b"9223372036854775808"), Err(Bad::Range));
        assert_eq!(signed(b"-9223372036854775809"), Err(Bad::Range));
        assert_eq!(unsigned(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(unsigned(b"18446744073709551616"), Err(Bad::Range));
        assert_eq!(unsigned(b"-1"), Err(Bad::Range));
        assert_eq!(unsigned(b"-0"), Ok(0));
        assert_eq!(signed(b"1.0"), Err(Bad::Form));
        assert_eq!(signed(b"99999999999999999999999.5"), Err(Bad::Form));
    }

    proptest! {
        #[test]
        fn floats_are_those_of_std(text in "-?(0|[1-9][0-9]{0,20})([.][0-9]{1,20})?([eE][+-]?[0-9]{1,3})?") {
            let expected: f64 = text.parse().unwrap();
            match float(text.as_bytes()) {
                Ok(found) => prop_assert_eq!(found.to_bits(), expected.to_bits()),
                Err(_) => prop_assert!(expected.is_infinite()),
            }
        }

        #[test]
        fn a_printed_decimal_is_read_as_the_same(value in -99_999_999i128..=99_999_999, scale in 0u8..=8) {
            let mut text = Vec::new();
            print_decimal(value, scale, &mut text);
            prop_assert_eq!(decimal(&text, 8, scale), Ok(value));
        }
    }
}
