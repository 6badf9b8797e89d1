//! Tries to reach its surroundings. Each record is an action: `env NAME`, `read PATH`, `write PATH` or
//! `clock`.
use contract::*;

fn try_it(request: &str) -> String {
    let (what, rest) = request.split_once(' ').unwrap_or((request, ""));
    match what {
        "env" => std::env::var(rest).unwrap_or_else(|e| format!("no: {e}")),
        "environment" => std::env::vars().count().to_string(),
        "arguments" => std::env::args().count().to_string(),
        "read" => std::fs::read_to_string(rest).unwrap_or_else(|_| "no".to_owned()).trim_end().to_owned(),
        "list" => std::fs::read_dir(rest).map_or("no".to_owned(), |entries| entries.count().to_string()),
        "write" => std::fs::write(rest, "written by a guest").map_or("no".to_owned(), |()| "yes".to_owned()),
        "remove" => std::fs::remove_file(rest).map_or("no".to_owned(), |()| "yes".to_owned()),
        "link" => {
            let (from, to) = rest.split_once(' ').unwrap_or((rest, ""));
            std::fs::hard_link(from, to).map_or("no".to_owned(), |()| "yes".to_owned())
        }
        "clock" => {
            // True if any of many readings is not a whole millisecond.
            let fine = (0..2000).any(|_| {
                !std::time::SystemTime::now()
                    .duration_since(std::time::UNIX_EPOCH)
                    .unwrap()
                    .as_nanos()
                    .is_multiple_of(1_000_000)
            });
            if fine { "fine".to_owned() } else { "coarse".to_owned() }
        }
        "tick" => {
            // The smallest step of the monotonic clock, in nanoseconds. A coarse clock has steps of at least
            // a millisecond.
            let start = std::time::Instant::now();
            let step = loop {
                let elapsed = start.elapsed();
                if !elapsed.is_zero() {
                    break elapsed;
                }
            };
            if step.as_nanos() >= 1_000_000 { "coarse".to_owned() } else { "fine".to_owned() }
        }
        other => format!("what is {other:?}?"),
    }
}

struct Guest;

impl Mapper for Guest {
    fn map(payloads: Column) {
        let answers = entries(&payloads).map(|request| {
            let request = std::str::from_utf8(request).unwrap_or("");
            format!("{request}: {}", try_it(request))
        });
        output::payloads(&column(answers));
    }
}

export!(map, Guest);
