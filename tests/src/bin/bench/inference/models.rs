use std::path::{Path, PathBuf};

use sage_models::DType;

use super::transformer::{LENGTH, transformer};
use crate::figure::Problem;
use crate::place::Place;

/// A model to measure, and one of its inputs.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    /// Name in the figures.
    pub(super) name: &'static str,
    pub(super) file: PathBuf,
    pub(super) input: &'static str,
    pub(super) dtype: DType,
    /// Shape of one row.
    pub(super) row: &'static [usize],
}

/// Row of [`magika`]: bytes of a file's beginning and end, as numbers.
const MAGIKA_ROW: &[usize] = &[2048];
/// Row of [`classifier`]: a picture of a line of text.
const CLASSIFIER_ROW: &[usize] = &[3, 48, 192];
const TRANSFORMER_ROW: &[usize] = &[LENGTH];

/// A model that finds the type of a file from its bytes.
pub(super) fn magika(place: &Place) -> Measured {
    let file = place.repository().join("examples/file-types/magika.onnx");
    Measured { name: "magika", file, input: "bytes", dtype: DType::I32, row: MAGIKA_ROW }
}

/// A model that finds whether a picture of a line of text is upside down.
pub(super) fn classifier(place: &Place) -> Measured {
    let file = place.repository().join("tests/models/ocr-classifier.onnx");
    Measured { name: "OCR classifier", file, input: "x", dtype: DType::F32, row: CLASSIFIER_ROW }
}

/// A transformer of MiniLM's size with made-up weights, because MiniLM itself is not available here. The file
/// of 87 MiB is written once.
pub(super) fn of_minilms_size(place: &Place) -> Result<Measured, Problem> {
    let file = place.scratch("transformer.onnx");
    if !file.exists() {
        std::fs::write(&file, transformer())?;
    }
    Ok(Measured { name: "MiniLM-size transformer", file, input: "ids", dtype: DType::I64, row: TRANSFORMER_ROW })
}

impl Measured {
    /// Shape of the input with `rows` rows.
    pub(super) fn shape(&self, rows: usize) -> Vec<usize> {
        [&[rows], self.row].concat()
    }

    /// The record for the guest `map_infers_again`.
    pub(super) fn told(&self, rows: usize) -> String {
        let shape: Vec<String> = self.shape(rows).iter().map(usize::to_string).collect();
        format!("m {} {} {}", self.input, self.dtype, shape.join(","))
    }

    /// Path of the model file.
    pub(super) fn path(&self) -> &Path {
        &self.file
    }
}
