use std::path::{Path, PathBuf};

use sage_models::DType;

use super::transformer::{LENGTH, transformer};
use crate::figure::Problem;
use crate::place::Place;

/// A model that is measured, and one input of it.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    /// As figures have it.
    pub(super) name: &'static str,
    pub(super) file: PathBuf,
    pub(super) input: &'static str,
    pub(super) dtype: DType,
    /// Of one row.
    pub(super) row: &'static [usize],
}

/// What a row of [`magika`] has: bytes of a file's beginning and end, as numbers.
const MAGIKA_ROW: &[usize] = &[2048];
/// A picture of a line of text.
const CLASSIFIER_ROW: &[usize] = &[3, 48, 192];
const TRANSFORMER_ROW: &[usize] = &[LENGTH];

/// The type of a file by its bytes.
pub(super) fn magika(place: &Place) -> Measured {
    let file = place.repository().join("examples/file-types/magika.onnx");
    Measured { name: "magika", file, input: "bytes", dtype: DType::I32, row: MAGIKA_ROW }
}

/// Whether a picture of a line of text is upside down.
pub(super) fn classifier(place: &Place) -> Measured {
    let file = place.repository().join("tests/models/ocr-classifier.onnx");
    Measured { name: "OCR classifier", file, input: "x", dtype: DType::F32, row: CLASSIFIER_ROW }
}

/// A transformer of MiniLM's size with made-up weights: MiniLM itself is nowhere to be had here. Written once, 87 MiB.
pub(super) fn of_minilms_size(place: &Place) -> Result<Measured, Problem> {
    let file = place.scratch("transformer.onnx");
    if !file.exists() {
        std::fs::write(&file, transformer())?;
    }
    Ok(Measured { name: "MiniLM-size transformer", file, input: "ids", dtype: DType::I64, row: TRANSFORMER_ROW })
}

impl Measured {
    /// The input's shape with so many rows.
    pub(super) fn shape(&self, rows: usize) -> Vec<usize> {
        [&[rows], self.row].concat()
    }

    /// What the guest `map_infers_again` is to be told.
    pub(super) fn told(&self, rows: usize) -> String {
        let shape: Vec<String> = self.shape(rows).iter().map(usize::to_string).collect();
        format!("m {} {} {}", self.input, self.dtype, shape.join(","))
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.file
    }
}
