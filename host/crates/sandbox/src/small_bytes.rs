/// A byte string that stores short ones in place: 24 bytes in all, like a `Box<[u8]>` with its length and a
/// tag.
#[derive(Debug, Clone)]
pub(super) enum SmallBytes {
    Short(u8, [u8; SmallBytes::SHORT]),
    Long(Box<[u8]>),
}

impl SmallBytes {
    /// Most bytes that are stored in place.
    pub(super) const SHORT: usize = 22;

    #[inline]
    pub(super) fn new(bytes: &[u8]) -> Self {
        let mut short = [0; Self::SHORT];
        match (short.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(bytes);
                Self::Short(len, short)
            }
            _ => Self::Long(bytes.into()),
        }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }

    /// Bytes of heap memory for a string of this length.
    pub(super) fn cost(bytes: &[u8]) -> u64 {
        if bytes.len() <= Self::SHORT { 0 } else { on_heap(bytes.len()) }
    }
}

/// Bytes of heap memory for an allocation of this size, with the allocator's overhead: the allocator returns
/// multiples of 16, at least 32, of which 8 are its own.
pub(super) fn on_heap(bytes: usize) -> u64 {
    if bytes == 0 { 0 } else { (bytes as u64).saturating_add(8).next_multiple_of(16).max(32) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_costs_what_the_allocator_takes_for_it() {
        let costs: Vec<u64> = [0, 1, 24, 25, 40, 41, 300].map(on_heap).into();
        assert_eq!(costs, [0, 32, 32, 48, 48, 64, 320]);
    }

    #[test]
    fn bytes_of_any_length_come_back() {
        assert_eq!(size_of::<SmallBytes>(), 24);
        assert_eq!(size_of::<Option<SmallBytes>>(), 24);
        for length in [0, 1, 21, 22, 23, 300] {
            let bytes: Vec<u8> = (0..length).map(|i| i as u8).collect();
            assert_eq!(SmallBytes::new(&bytes).bytes(), bytes);
            assert_eq!(SmallBytes::cost(&bytes), if length > 22 { on_heap(length) } else { 0 });
        }
    }
}
