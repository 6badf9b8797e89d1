use memchr::memchr;

use super::ConnectorError;
use super::csv_bad_row::OTHER_ENCODING;
use super::json_line::{NotJson, check_json_line, is_blank};
use super::line_reader::{Line, LineError, content, without_mark};
use super::open_text::{BOUND, OpenText, bad_record};
use super::room::{Room, Stopped};
use super::stamps::Stamps;

/// JSON lines: the first line decides the shape of the file, then each line is a record.
impl OpenText {
    /// Called after the first line of JSON: refuses a file that is one value, or one value over several lines.
    pub(super) fn check_whole_json(&mut self, number: u64) -> Result<(), ConnectorError> {
        // A read error after this line is reported after the line.
        let alone = self.json.must_be_alone() && matches!(self.lines.only_blanks_left(), Ok(Some(true)));
        match self.json.no_lines(alone) {
            Some((what, hint)) => Err(self.bad_file(Some(number), what, Some(hint.to_owned()))),
            None => Ok(()),
        }
    }

    /// Moves lines of JSON into the batch.
    pub(super) fn fill_json_lines(&mut self, room: &mut Room<'_>) -> Result<Stopped, ConnectorError> {
        let charset = self.lines.input().must_be();
        while !room.is_full() {
            if let Some(number) = self.json.waiting() {
                // The first line may be the only line.
                match self.lines.only_blanks_left() {
                    Ok(None) => return Ok(Stopped::Pending),
                    Err(error) => {
                        // The waiting line was read before the error, so it is sent first.
                        self.json.go_on();
                        self.push_json(room, number)?;
                        return Err(self.bad_line(error));
                    }
                    Ok(Some(alone)) => {
                        if let Some((what, hint)) = self.json.no_lines(alone) {
                            return Err(self.bad_file(Some(number), what, Some(hint.to_owned())));
                        }
                        self.json.go_on();
                        self.push_json(room, number)?;
                        continue;
                    }
                }
            }
            match self.lines.next_and_returns() {
                Ok((Line::Found(number, raw), returns)) => {
                    let line = content(without_mark(raw));
                    if is_blank(line) {
                        continue;
                    }
                    if self.json.is_new() {
                        self.json.first(line);
                        if self.json.must_be_alone() {
                            self.row.clear();
                            self.row.extend_from_slice(line);
                            self.json.wait(number);
                            continue;
                        }
                        if let Some((what, hint)) = self.json.no_lines(false) {
                            return Err(self.bad_file(Some(number), what, Some(hint.to_owned())));
                        }
                    }
                    let inside = if returns { memchr(b'\r', line) } else { None };
                    if let Err((column, why, hint)) = json_line(line, inside, charset) {
                        let what = format!("{}:{number}:{column}: {why}", self.path);
                        return Err(bad_record(what, &self.name, number, line).hint(hint));
                    }
                    if self.stamps.are_none() {
                        room.push(number, |out| out.extend_from_slice(line));
                    } else {
                        push_stamped(&mut self.stamps, room, (&self.path, &self.name, self.longest), number, line)?;
                    }
                }
                Ok((Line::Pending, _)) => return Ok(Stopped::Pending),
                Ok((Line::End, _)) => return Ok(Stopped::End),
                Err(LineError::TooLong) if self.json.is_new() => {
                    self.json.beginning(without_mark(self.lines.too_long()));
                    let number = self.lines.line();
                    return Err(match self.json.no_lines(false) {
                        Some((what, hint)) => self.bad_file(Some(number), what, Some(hint.to_owned())),
                        None => self.bad_line(LineError::TooLong),
                    });
                }
                Err(error) => return Err(self.bad_line(error)),
            }
        }
        Ok(Stopped::Full)
    }

    /// Pushes the first line, which waited in `row`.
    fn push_json(&mut self, room: &mut Room<'_>, number: u64) -> Result<(), ConnectorError> {
        let line = self.row.as_slice();
        let inside = memchr(b'\r', line);
        if let Err((column, why, hint)) = json_line(line, inside, self.lines.input().must_be()) {
            let what = format!("{}:{number}:{column}: {why}", self.path);
            return Err(bad_record(what, &self.name, number, line).hint(hint));
        }
        if self.stamps.are_none() {
            room.push(number, |out| out.extend_from_slice(line));
            return Ok(());
        }
        push_stamped(&mut self.stamps, room, (&self.path, &self.name, self.longest), number, line)
    }
}

/// The reason why a line is no record: the byte, the error and the hint.
type BadJson = (usize, String, &'static str);

fn json_line(line: &[u8], carriage_return: Option<usize>, charset: Option<&str>) -> Result<(), BadJson> {
    if let Some(at) = carriage_return {
        let why = "a carriage return (CR) stands inside the line".to_owned();
        return Err((at + 1, why, "where CR ends lines: line_end = \"any\""));
    }
    check_json_line(line).map_err(|bad| match (bad, charset) {
        (NotJson::Utf8 { column }, None) => (column, "not JSON: not valid UTF-8".to_owned(), OTHER_ENCODING),
        (NotJson::Utf8 { column }, Some(charset)) => {
            (column, format!("not valid {charset}"), "with format = \"lines\" the operator gets every line as it is")
        }
        (NotJson::Shape { column, why }, _) => {
            (column, format!("not JSON: {why}"), "with format = \"lines\" the operator gets every line as it is")
        }
    })
}

fn push_stamped(
    stamps: &mut Stamps,
    room: &mut Room<'_>,
    (path, name, longest): (&str, &str, usize),
    number: u64,
    line: &[u8],
) -> Result<(), ConnectorError> {
    let bad = |what: String| bad_record(format!("{path}:{number}: {what}"), name, number, line);
    let stamp = stamps.of_json(line).map_err(bad)?;
    let bytes = line.len() + stamp.len();
    if bytes > longest {
        let what = format!("the record has {bytes} bytes with its key and headers, it may have {longest}");
        return Err(bad(what).hint(BOUND));
    }
    room.push_stamped(number, line, stamp);
    Ok(())
}
