/// The slots of keyed state that calls have written since the last epoch: two bits for each slot, by table.
///
/// Noting a write costs nothing that shows beside the write itself, however often a key is written. A log of the writes
/// would cost half as much as the writes, and grow without a bound.
#[derive(Debug, Default)]
pub(super) struct Unsaved(pub(super) Vec<Bits>);

#[derive(Debug, Default)]
pub(super) struct Bits {
    pub(super) values: Vec<u64>,
    pub(super) maps: Vec<u64>,
}

impl Unsaved {
    /// Notes that the value of a slot was written, or else its map.
    pub(super) fn note(&mut self, table: u32, slot: u32, is_value: bool) {
        let table = table as usize;
        if self.0.len() <= table {
            self.0.resize_with(table + 1, Bits::default);
        }
        if let Some(bits) = self.0.get_mut(table) {
            set(if is_value { &mut bits.values } else { &mut bits.maps }, slot);
        }
    }

    /// Whether a write to the slot is noted.
    pub(super) fn has(&self, table: u32, slot: u32) -> bool {
        let has = |bits: &[u64]| bits.get((slot / 64) as usize).is_some_and(|word| word >> (slot % 64) & 1 == 1);
        self.0.get(table as usize).is_some_and(|bits| has(&bits.values) || has(&bits.maps))
    }
}

fn set(bits: &mut Vec<u64>, slot: u32) {
    let (word, bit) = ((slot / 64) as usize, slot % 64);
    if bits.len() <= word {
        bits.resize(word + 1, 0);
    }
    if let Some(word) = bits.get_mut(word) {
        *word |= 1 << bit;
    }
}
