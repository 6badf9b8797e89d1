use super::ConnectorError;
use super::csv_bad_row::{BadRow, Spoils};
use super::csv_rows::Fed;
use super::line_reader::{Line, LineError};
use super::open_text::{BOUND, OpenText, bad_record};
use super::room::{Room, Stopped};

/// CSV: lines to rows, and the treatment of bad rows.
impl OpenText {
    /// Largest number of consecutive rows with an unclosed quote. After more, the quotes of the file must mean
    /// something else. Each such row costs a search through as many bytes as a row may have.
    const MOST_UNCLOSED: u32 = 16;

    /// Moves rows into the batch.
    pub(super) fn fill_csv(&mut self, room: &mut Room<'_>) -> Result<Stopped, ConnectorError> {
        while !room.is_full() {
            match self.lines.next() {
                Ok(Line::Found(number, raw)) => match self.csv.feed(number, raw) {
                    Ok(Fed::Nothing) => self.lines.forget(),
                    Ok(Fed::Open) => self.lines.keep(),
                    Ok(Fed::Row(line)) => {
                        if let Err(bad) = self.push_row(room, line) {
                            return Err(self.bad_row(bad));
                        }
                        self.unclosed = 0;
                        self.lines.forget();
                    }
                    Err(bad) => {
                        self.lines.keep();
                        return Err(self.bad_row(bad));
                    }
                },
                Ok(Line::Pending) => return Ok(Stopped::Pending),
                Ok(Line::End) => {
                    return match self.csv.end() {
                        Ok(()) => Ok(Stopped::End),
                        Err(bad) => Err(self.bad_row(bad)),
                    };
                }
                Err(LineError::TooLong) => {
                    let Some(line) = self.csv.give_up() else { return Err(self.bad_line(LineError::TooLong)) };
                    let what = format!("the row is longer than the {} bytes that a record may have", self.longest);
                    let spoils = if self.csv.columns().header_is_due() { Spoils::File } else { Spoils::FirstLine };
                    let bad = BadRow::new(line, what).spoils(spoils);
                    return Err(self.bad_row(bad.hint(format!("is a quote left open? otherwise: {BOUND}"))));
                }
                Err(error) => return Err(self.bad_line(error)),
            }
        }
        Ok(Stopped::Full)
    }

    /// Pushes the row just completed, which began on `line`.
    fn push_row(&mut self, room: &mut Room<'_>, line: u64) -> Result<(), BadRow> {
        self.row.clear();
        let charset = self.lines.input().must_be().unwrap_or("UTF-8");
        let mut bytes = if room.fields.is_some() {
            self.csv.check_row(line, charset, &mut self.row)?
        } else {
            self.csv.write_row(line, charset, &mut self.row)?;
            self.row.len()
        };
        let stamp = if self.stamps.are_none() {
            None
        } else {
            let stamp = self.stamps.of_row(&self.csv).map_err(|what| BadRow::new(line, what))?;
            bytes += stamp.len();
            Some(stamp)
        };
        if bytes > self.longest {
            let what = format!("the row as JSON has {bytes} bytes, a record may have {}", self.longest);
            return Err(BadRow::new(line, what).hint(BOUND));
        }
        let row = match &mut room.fields {
            None => &self.row,
            Some(fields) => {
                if let Err(error) = self.csv.read_fields(&mut fields.table) {
                    fields.bad.push((room.batch.len(), error.to_string()));
                }
                self.csv.row()
            }
        };
        match stamp {
            None => room.push(line, |out| out.extend_from_slice(row)),
            Some(stamp) => room.push_stamped(line, row, stamp),
        }
        Ok(())
    }

    /// The error for a bad row, with the part of the file that is skipped.
    pub(super) fn bad_row(&mut self, bad: BadRow) -> ConnectorError {
        let BadRow { line, what, hint, mut spoils } = bad;
        if spoils == Spoils::FirstLine {
            self.unclosed += 1;
            if self.unclosed > Self::MOST_UNCLOSED {
                spoils = Spoils::File;
            }
        }
        let what_at = format!("{}:{line}: {what}", self.path);
        let error = match spoils {
            Spoils::File => self.bad_file(Some(line), what, None),
            Spoils::Row => {
                // The row is the text that was kept, or, if it has one line, that line.
                self.lines.keep();
                let error = bad_record(what_at, &self.name, line, self.lines.kept());
                self.lines.forget();
                error
            }
            Spoils::FirstLine => {
                let first = self.lines.back_behind_first().unwrap_or_default();
                bad_record(what_at, &self.name, line, first)
            }
        };
        ConnectorError { hint, ..error }
    }
}
