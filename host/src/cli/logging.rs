use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Sends messages of this level and above to stderr. Libraries that we use speak up only where something is wrong.
pub(super) fn start(level: LevelFilter) {
    let targets = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("sage_host", level);
    let lines =
        tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).compact();
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
}
