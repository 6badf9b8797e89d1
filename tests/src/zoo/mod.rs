//! A zoo of small model graphs. In some, rows are independent, in others not. Their first dimensions have one
//! name, several or none.

mod all;
mod animal;
mod dependent;
mod independent;
mod of_several;
mod parts;
mod sequences;
mod shaped;

pub use all::zoo;
pub use animal::{Animal, Chance, Length, Passed};
