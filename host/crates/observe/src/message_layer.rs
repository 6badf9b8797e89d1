use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// A message of a guest or of the host, as one text.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Severity.
    pub level: Level,
    /// Who wrote it.
    pub origin: MessageOrigin,
    /// The guest's operator.
    pub operator: Option<&'a str>,
    /// The guest's instance.
    pub instance: Option<u32>,
    /// The text, with the fields of the event at its end.
    pub text: &'a str,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageOrigin {
    /// An operator.
    Guest,
    /// The host or one of its libraries.
    Host,
}

/// Passes every event to a function.
pub(super) struct MessageLayer<F> {
    take: F,
}

impl<F> MessageLayer<F> {
    pub(super) fn new(take: F) -> Self {
        Self { take }
    }
}

impl<S: Subscriber, F: Fn(Message<'_>) + 'static> Layer<S> for MessageLayer<F> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let guest = event.metadata().target() == "guest";
        let mut parts = Parts { guest, ..Parts::default() };
        event.record(&mut parts);
        (self.take)(Message {
            level: *event.metadata().level(),
            origin: if guest { MessageOrigin::Guest } else { MessageOrigin::Host },
            operator: parts.operator.as_deref(),
            instance: parts.instance,
            text: &(parts.text + &parts.fields),
        });
    }
}

/// The parts of an event.
#[derive(Default)]
struct Parts {
    guest: bool,
    operator: Option<String>,
    instance: Option<u32>,
    text: String,
    fields: String,
}

impl Visit for Parts {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.text, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "operator" if self.guest => self.operator = Some(value.to_owned()),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match (field.name(), u32::try_from(value)) {
            ("instance", Ok(instance)) if self.guest => self.instance = Some(instance),
            _ => self.record_debug(field, &value),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn guests_are_told_from_the_host_and_fields_stay_in_the_text() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let take = {
            let seen = Arc::clone(&seen);
            move |message: Message<'_>| {
                let Message { level, origin, operator, instance, text } = message;
                seen.lock().unwrap().push((level, origin, operator.map(str::to_owned), instance, text.to_owned()));
            }
        };
        let subscriber = tracing_subscriber::registry().with(MessageLayer::new(take));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "guest", operator = "parse", instance = 2_u32, "hello {}", 1);
            tracing::warn!(operator = "x", error = %"no", count = 3, "careful");
        });
        let expected = [
            (Level::INFO, MessageOrigin::Guest, Some("parse".to_owned()), Some(2), "hello 1".to_owned()),
            (Level::WARN, MessageOrigin::Host, None, None, "careful operator=\"x\" error=no count=3".to_owned()),
        ];
        assert_eq!(*seen.lock().unwrap(), expected);
    }
}
