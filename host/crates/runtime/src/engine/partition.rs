use xxhash_rust::xxh3::xxh3_64;

/// The instance and the lane of the records with this key. This mapping is part of the contract: it is the same
/// on every machine and in every version, because keyed state is stored where its key goes. The hash is XXH3
/// (64 bit) of the key. The low half of the hash chooses the instance, the high half chooses the lane. A record
/// without a key goes to the place of the empty key.
#[inline]
pub(super) fn place_of(key: &[u8], instances: u32, lanes: u32) -> (u32, u32) {
    let hash = xxh3_64(key);
    // Lemire's multiply-and-shift: an even distribution without a division.
    let scale = |half: u64, count: u32| (((half & 0xffff_ffff) * u64::from(count)) >> 32) as u32;
    (scale(hash, instances), scale(hash >> 32, lanes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn places_are_the_same_for_ever() {
        let places: Vec<_> = [&b""[..], b"0", b"\0", b"AA", b"UA", b"DL"].map(|key| place_of(key, 4, 2)).into();
        assert_eq!(places, [(0, 0), (2, 0), (0, 1), (2, 1), (3, 1), (3, 0)]);
    }

    #[test]
    fn keys_spread_evenly() {
        let mut counts = [0u32; 7];
        for key in 0u32..7000 {
            counts[place_of(&key.to_le_bytes(), 7, 1).0 as usize] += 1;
        }
        assert!(counts.iter().all(|&count| (850..1150).contains(&count)), "{counts:?}");
    }

    proptest! {
        #[test]
        fn places_are_in_range(key in prop::collection::vec(any::<u8>(), 0..40), instances in 1u32..1000, lanes in 1u32..64) {
            let (instance, lane) = place_of(&key, instances, lanes);
            prop_assert!(instance < instances && lane < lanes);
        }
    }
}
