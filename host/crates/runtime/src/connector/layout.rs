use sage_formats::csv::{CsvForm, write_csv_header};
use sage_plan::{CsvSink, SinkForm};

/// How records lie in the output of a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// A record is a line.
    Lines,
    /// A record is a row of CSV, which may span lines. The bytes are the header, with its line end.
    Rows(Vec<u8>),
}

impl Layout {
    pub(super) fn of(form: SinkForm, columns: &[String]) -> Self {
        let SinkForm::Csv(csv) = form else { return Self::Lines };
        let mut header = Vec::new();
        if csv.header {
            write_csv_header(columns.iter().map(String::as_str), csv_form(csv), &mut header);
            header.push(b'\n');
        }
        Self::Rows(header)
    }

    /// The same layout behind records that were written before.
    pub(super) fn without_header(self) -> Self {
        match self {
            Self::Lines => Self::Lines,
            Self::Rows(_) => Self::Rows(Vec::new()),
        }
    }
}

/// The characters of CSV that is written.
pub(crate) fn csv_form(CsvSink { delimiter, quote, .. }: CsvSink) -> CsvForm {
    CsvForm { delimiter, quote }
}
