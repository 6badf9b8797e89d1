use super::Animal;
use super::dependent::dependent;
use super::independent::independent;
use super::of_several::of_several;
use super::sequences::sequences;
use super::shaped::shaped;

/// All graphs.
#[must_use]
pub fn zoo() -> Vec<Animal> {
    let mut all = dependent();
    all.extend(sequences());
    all.extend(of_several());
    all.extend(independent());
    all.extend(shaped());
    all
}
