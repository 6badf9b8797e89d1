use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use thiserror::Error;

use super::Screen;
use super::message_layer::{Message, MessageLayer};

/// The choice of messages to show, and their format.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// Least important level that is shown of the host's and the guests' messages. Messages of libraries are
    /// shown from `warn` on.
    pub level: LevelFilter,
    /// Directives as in `SAGE_LOG`, such as `info,guest=debug,sage_runtime::engine=trace`. They override `level`.
    pub directives: Option<String>,
    /// Format of a message.
    pub format: LogFormat,
}

impl LogSettings {
    /// Environment variable with the directives.
    pub const VARIABLE: &'static str = "SAGE_LOG";
}

/// The format of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A line of text for people.
    #[default]
    Text,
    /// A JSON object per line.
    Json,
}

/// The reason why messages cannot be shown.
#[derive(Debug, Error)]
pub enum LoggingError {
    /// The directives are invalid.
    #[error("\"{directives}\" are not log directives: {reason}")]
    Directives {
        /// The directives.
        directives: String,
        /// The reason.
        reason: String,
    },
}

/// Shows messages on the screen from now on. Messages of guests have the target `guest` and the fields
/// `operator` and `instance`. A second call in the same process has no effect.
///
/// # Errors
/// The directives are invalid.
pub fn start_logging(settings: &LogSettings, screen: &Screen) -> Result<(), LoggingError> {
    let _ = subscriber(settings, screen)?.try_init();
    if let Some(directives) = &settings.directives {
        let (renamed, is_old) = with_todays_targets(directives);
        if is_old {
            tracing::warn!("{} is \"{directives}\" with old targets: write \"{renamed}\"", LogSettings::VARIABLE);
        }
    }
    Ok(())
}

/// Passes messages to `take` from now on, in place of the screen: those of guests, and those of the host and its
/// libraries as in [`start_logging`]. A second call in the same process has no effect.
pub fn pass_messages(level: LevelFilter, take: impl Fn(Message<'_>) + Send + Sync + 'static) {
    let settings = LogSettings { level, directives: None, format: LogFormat::Text };
    if let Ok(filter) = filter(&settings) {
        let _ = tracing_subscriber::registry().with(MessageLayer::new(take)).with(filter).try_init();
    }
}

/// Targets of log messages by the crate that has had their code since the host became several crates, longest first.
const RENAMED: [(&str, &str); 12] = [
    ("sage_host::admission", "sage_admission"),
    ("sage_host::batch", "sage_batch"),
    ("sage_host::config", "sage_plan::config"),
    ("sage_host::connector", "sage_runtime::connector"),
    ("sage_host::engine", "sage_runtime::engine"),
    ("sage_host::inference", "sage_models"),
    ("sage_host::observe", "sage_observe"),
    ("sage_host::plan", "sage_plan"),
    ("sage_host::resources", "sage_machine"),
    ("sage_host::sandbox", "sage_sandbox"),
    ("sage_host::worker", "sage_runtime::worker"),
    ("sage_host=", "sage_="),
];

/// Directives with the targets of today, and whether that changed any.
fn with_todays_targets(directives: &str) -> (String, bool) {
    let renamed = RENAMED.iter().fold(directives.to_owned(), |text, (old, new)| text.replace(old, new));
    let changed = renamed != directives;
    (renamed, changed)
}

fn subscriber(
    settings: &LogSettings,
    screen: &Screen,
) -> Result<impl Subscriber + Send + Sync + 'static, LoggingError> {
    let layer = tracing_subscriber::fmt::layer().with_writer(screen.clone());
    let layer = match settings.format {
        LogFormat::Text => layer.with_ansi(screen.is_coloured()).compact().boxed(),
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    Ok(tracing_subscriber::registry().with(layer).with(filter(settings)?))
}

fn filter(settings: &LogSettings) -> Result<Targets, LoggingError> {
    let directives = match settings.directives.as_deref().map(str::trim) {
        Some(directives) if !directives.is_empty() => with_todays_targets(directives).0,
        _ => {
            let LogSettings { level, .. } = settings;
            format!("{},sage_={level},guest={level}", level.min(&LevelFilter::WARN))
        }
    };
    targets(&directives).map_err(|reason| LoggingError::Directives { directives, reason })
}

/// Parses `target=level` and `level` with commas in between. Filters of other programs may also name spans and fields
/// in brackets, which would hide messages here without a word.
fn targets(directives: &str) -> Result<Targets, String> {
    let named: Vec<_> = directives.split(',').map(str::trim).filter(|directive| !directive.is_empty()).collect();
    match named.iter().find(|directive| directive.contains(['[', '{'])) {
        Some(other) => Err(format!("\"{other}\" is no target, level or target=level")),
        None => named.join(",").parse().map_err(|error: ParseError| error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::screen::tests::Recorder;
    use super::*;

    fn say(settings: &LogSettings) -> String {
        let recorder = Recorder::default();
        let subscriber = subscriber(settings, &recorder.screen(false)).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "guest", operator = "parse", instance = 2, "hello\n2026 ERROR fake: \x1b[31mred");
            tracing::info!(target: "sage_runtime::engine", "of the host");
            tracing::info!(target: "a_library", "of a library");
            tracing::warn!(target: "a_library", "careful");
        });
        recorder.text()
    }

    fn settings(level: LevelFilter, directives: Option<&str>, format: LogFormat) -> LogSettings {
        LogSettings { level, directives: directives.map(str::to_owned), format }
    }

    #[test]
    fn levels_hold_for_host_and_guests_and_libraries_only_warn() {
        let text = say(&settings(LevelFilter::INFO, None, LogFormat::Text));
        assert!(
            text.contains("operator=\"parse\" instance=2") && text.contains("of the host") && text.contains("careful")
        );
        assert!(!text.contains("of a library"));
        let text = say(&settings(LevelFilter::WARN, Some(" "), LogFormat::Text));
        assert!(!text.contains("hello") && !text.contains("of the host") && text.contains("careful"));
        assert_eq!(say(&settings(LevelFilter::OFF, None, LogFormat::Text)), "");
        let text = say(&settings(LevelFilter::ERROR, Some("guest=info"), LogFormat::Text));
        assert!(text.contains("hello") && !text.contains("careful"));
    }

    #[test]
    fn what_a_guest_says_can_neither_fake_a_message_nor_reach_the_terminal() {
        let text = say(&settings(LevelFilter::OFF, Some("guest=info"), LogFormat::Text));
        assert!(!text.contains('\x1b'), "{text:?}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("  | ")), "{text:?}");
    }

    #[test]
    fn messages_can_be_json() {
        let text = say(&settings(LevelFilter::INFO, None, LogFormat::Json));
        let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(
            (&first["target"], &first["operator"], &first["instance"]),
            (&"guest".into(), &"parse".into(), &2.into())
        );
        assert_eq!(text.lines().count(), 3);
    }

    #[test]
    fn directives_with_old_targets_go_on_working() {
        let old = "info,sage_host::engine=trace,sage_host::inference::queue=debug,sage_host=warn,guest=error";
        let new = "info,sage_runtime::engine=trace,sage_models::queue=debug,sage_=warn,guest=error";
        assert_eq!(with_todays_targets(old), (new.to_owned(), true));
        assert_eq!(with_todays_targets(new), (new.to_owned(), false));
    }

    #[test]
    fn directives_that_make_no_sense_are_refused() {
        let error = filter(&settings(LevelFilter::INFO, Some("guest=loud"), LogFormat::Text)).unwrap_err();
        assert!(error.to_string().starts_with("\"guest=loud\" are not log directives: "), "{error}");
        let error = filter(&settings(LevelFilter::INFO, Some("warn,guest[call]=debug"), LogFormat::Text)).unwrap_err();
        assert!(error.to_string().ends_with("\"guest[call]=debug\" is no target, level or target=level"), "{error}");
    }

    #[test]
    fn spaces_and_empty_directives_mean_nothing() {
        for directives in ["warn,guest=info", " ,warn, ,guest=info,"] {
            let text = say(&settings(LevelFilter::OFF, Some(directives), LogFormat::Json));
            assert_eq!(text.lines().count(), 2, "{directives:?}: {text}");
        }
    }
}
