//! `sample`: keeps one record in `one_in`, chosen by its content. The same record is therefore always kept or
//! always dropped, on every lane and after every restart. Shows a filter with configuration.
//!
//! `config = { one_in = 10 }`

/// The share of records to keep.
#[derive(Debug, serde::Deserialize, sage_guest::Describe)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Number of records of which one is kept. The default is 2.
    #[serde(default = "half")]
    pub one_in: std::num::NonZeroU32,
}

fn half() -> std::num::NonZeroU32 {
    std::num::NonZeroU32::MIN.saturating_add(1)
}

/// Keeps the chosen records.
#[sage_guest::filter]
pub fn sample(record: &[u8], settings: &Settings) -> bool {
    // The low half of the product would depend only on the low bits of the digest, so the high half decides.
    let chosen = (digest(record) * u64::from(settings.one_in.get())) >> 32;
    chosen == 0
}

/// Returns 32 bits, in a `u64`, that are spread evenly over records. The loop reads four words at a time, each
/// in its own chain: in a single chain every multiplication waits for the one before.
fn digest(record: &[u8]) -> u64 {
    let (blocks, rest) = record.as_chunks::<32>();
    let mut chains = [record.len() as u64; 4];
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (chain, word) in chains.iter_mut().zip(words) {
            *chain = step(*chain, u64::from_le_bytes(*word));
        }
    }
    let [a, b, c, d] = chains;
    let state = step(step(a, b), step(c, d));
    let (words, rest) = rest.as_chunks::<8>();
    let state = words.iter().fold(state, |state, word| step(state, u64::from_le_bytes(*word)));
    let state = rest.iter().fold(state, |state, byte| step(state, u64::from(*byte)));
    (state ^ (state >> 29)).wrapping_mul(MIX) >> 32
}

/// The golden ratio: a multiplier that spreads bits well.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

fn step(state: u64, word: u64) -> u64 {
    (state.rotate_left(29) ^ word).wrapping_mul(MIX)
}

#[cfg(test)]
mod tests {
    use super::{Settings, sample};

    #[test]
    fn it_keeps_about_the_share_that_was_asked_for() {
        for one_in in [1_u32, 2, 10, 100] {
            let settings = Settings { one_in: one_in.try_into().unwrap() };
            let records = 20_000;
            let kept = (0..records).filter(|number| sample(format!("record {number}").as_bytes(), &settings)).count();
            let expected = records / one_in as usize;
            assert!(kept.abs_diff(expected) <= expected / 5, "1 in {one_in}: {kept}");
        }
    }
}
