//! Sums up the words of each window, and emits them with the window. A word `!command!` breaks the rule that it names: in
//! `fold` when it comes, in `merge` and `finish` when it is in an accumulator.
use contract::*;

struct Guest;

impl Aggregator for Guest {
    fn open(context: Context) -> Result<(), String> {
        if context.config.contains("answer in open") {
            windows_output::accumulators(&column([""]));
        }
        Ok(())
    }

    fn fold(records: Batch, rows: Vec<u32>, slots: Vec<u32>, accumulators: Column, new: Vec<u8>) {
        let words: Vec<String> = entries(&records.payloads).map(word_of).collect();
        let mut sums: Vec<String> = entries(&accumulators).map(text).collect();
        for (slot, sum) in sums.iter().enumerate() {
            let is_new = new[slot / 8] >> (slot % 8) & 1 == 1;
            assert_eq!(is_new, sum.is_empty(), "a new slot has no accumulator");
        }
        for (row, slot) in rows.iter().zip(&slots) {
            let sum = &mut sums[*slot as usize];
            if !sum.is_empty() {
                sum.push(' ');
            }
            sum.push_str(&words[*row as usize]);
        }
        let told = rows.iter().find_map(|row| command(&words[*row as usize]).map(|told| (*row, told.to_owned())));
        let told = told.as_ref().map(|(row, told)| (*row, told.as_str()));
        match told {
            Some((_, "fold is silent")) => return,
            Some((_, "fold answers twice")) => windows_output::accumulators(&column(&sums)),
            Some((_, "fold answers too few")) => drop(sums.pop()),
            Some((_, "fold answers too many")) => sums.push(String::new()),
            Some((_, "fold breaks offsets")) => return windows_output::accumulators(&broken(&[0, 9], 1)),
            Some((_, "fold answers at length")) => sums[0] = "x".repeat(100_000),
            Some((_, "fold emits")) => output::emit(0, &batch_of(column(["early"])), Some(&[0])),
            Some((_, "fold calls payloads")) => output::payloads(&records.payloads),
            Some((row, "fold rejects")) => output::failures(&[row], &column(["as told"])),
            Some((_, "fold rejects out of range")) => output::failures(&[1_000_000], &column(["nobody"])),
            Some((_, "fold panics")) => panic!("as told"),
            _ => {}
        }
        windows_output::accumulators(&column(&sums));
    }

    fn merge(left: Column, right: Column) {
        let mut merged: Vec<String> = entries(&left)
            .zip(entries(&right))
            .map(|(left, right)| format!("{} {}", text(left), text(right)))
            .collect();
        match merged.iter().find_map(|sum| command(sum)).map(str::to_owned).as_deref() {
            Some("merge is silent") => return,
            Some("merge answers too few") => drop(merged.pop()),
            Some("merge emits") => output::emit(0, &batch_of(column(["early"])), Some(&[0])),
            Some("merge rejects") => output::failures(&[0], &column(["nobody"])),
            Some("merge panics") => panic!("as told"),
            _ => {}
        }
        windows_output::accumulators(&column(merged));
    }

    fn finish(windows: Closing) {
        let line = |at: usize, sum: &[u8]| {
            let key = text(entries(&windows.keys).nth(at).unwrap());
            format!("{key} {} {} {} {}", windows.starts[at], windows.ends[at], windows.emissions[at], text(sum))
        };
        let lines: Vec<String> = entries(&windows.accumulators).enumerate().map(|(at, sum)| line(at, sum)).collect();
        let mut parents: Vec<u32> = (0..lines.len() as u32).collect();
        let mut port = 0;
        match lines.iter().find_map(|line| command(line)).map(str::to_owned).as_deref() {
            Some("finish names no windows") => return output::emit(0, &batch_of(column(lines)), None),
            Some("finish names a window out of range") => parents[0] = 1_000_000,
            Some("finish emits on a port") => port = 1,
            Some("finish answers accumulators") => windows_output::accumulators(&windows.accumulators),
            Some("finish rejects") => output::failures(&[0], &column(["nobody"])),
            Some("finish panics") => panic!("as told"),
            Some("finish is silent") => return,
            Some("finish sets keys") => {
                let times = Some(windows.starts.clone());
                let keys = Some(column(lines.iter().map(|_| "own")));
                let batch = Batch { payloads: column(&lines), keys, timestamps: times, headers: None };
                return output::emit(0, &batch, Some(&parents));
            }
            _ => {}
        }
        output::emit(port, &batch_of(column(lines)), Some(&parents));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The word of a line `{"word":"..",..}`.
fn word_of(line: &[u8]) -> String {
    text(line).split('"').nth(3).unwrap_or_default().to_owned()
}

/// The command between two exclamation marks.
fn command(text: &str) -> Option<&str> {
    text.split('!').nth(1)
}

contract::export!(window, Guest);
