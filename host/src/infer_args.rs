use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::printer::OutputFormat;

#[derive(Debug, Args)]
#[command(
    after_help = "Integers become s64 or u64, never f64. A field that some record lacks becomes nullable. Nested and mixed
values become json.

Examples:
  sage-host infer readings.jsonl
  sage-host infer flights.csv.gz --records 100000
  sage-host infer table.txt --format csv --delimiter ';' --output json"
)]
pub(super) struct InferArguments {
    /// The file with the records
    #[arg(value_name = "FILE")]
    pub(super) file: PathBuf,
    /// Format of the records. The default is csv for .csv and .tsv, and jsonl for other names
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(super) format: Option<InferFormat>,
    /// Character between the cells of a row of CSV. The default is a tab for .tsv, and a comma for other names
    #[arg(long, value_name = "CHARACTER")]
    pub(super) delimiter: Option<char>,
    /// Number of records to look at
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) records: u64,
    /// Format of the result
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: OutputFormat,
}

/// A format of records with fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum InferFormat {
    /// A JSON object on each line
    Jsonl,
    /// Rows below a header
    Csv,
}

impl InferFormat {
    /// The name in a pipeline file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
        }
    }
}
