use std::sync::Arc;
use std::time::SystemTime;

use super::control::Control;
use super::error::PipelineError;
use super::provenance::Provenance;
use super::stopped::Stopped;
use crate::connector::{ConnectorError, DeadLetter, DeadLetterFile, Extent, Unreadable};
use sage_batch::{Origin, Record};
use sage_machine::limit_below;
use sage_observe::{ErrorCounts, InstanceCounters};
use sage_plan::OnError;
use sage_sandbox::{Failure, FailureCode, LostWindow};
use sage_text::plain_text;
use sage_time::Window;

/// Decides about failed and rejected records of one instance, and carries out the decision.
#[derive(Clone)]
pub(super) struct OnErrorPolicy {
    pub(super) pipeline: Arc<str>,
    pub(super) run: Arc<str>,
    pub(super) stage: Arc<str>,
    pub(super) instance: u32,
    pub(super) on_error: OnError,
    pub(super) passes_files: bool,
    pub(super) dead_letters: Option<Arc<DeadLetterFile>>,
    pub(super) counters: Arc<InstanceCounters>,
    pub(super) errors: Arc<ErrorCounts>,
    pub(super) provenance: Arc<Provenance>,
    pub(super) control: Arc<Control>,
}

impl OnErrorPolicy {
    /// Handles a record that fails alone, after `attempts` calls that included it.
    pub(super) fn failed(&self, record: Record<'_>, failure: &Failure, attempts: u32) -> Result<(), Stopped> {
        self.errors.count(failure.code.name());
        match &self.on_error {
            OnError::Fail => {
                self.counters.failed.add(1);
                Err(self.stop(failure.code, &failure.message, Some(record.origin), failure.hint(&self.stage)))
            }
            OnError::Skip => {
                self.counters.failed.add(1);
                Ok(())
            }
            OnError::DeadLetter(_) => self.bury(record, failure.code, &failure.message, attempts),
        }
    }

    /// Handles a record that a built-in sink cannot write.
    pub(super) fn unwritten(&self, record: Record<'_>, message: &str) -> Result<(), Stopped> {
        let hint = "set on_error = \"skip\" or { dead_letter = \"…\" } of the sink, or choose other fields";
        self.rejected_with(record, message, 1, || hint.to_owned())
    }

    /// Handles a record that the operator rejected, if no stage reads the `rejects` output.
    pub(super) fn rejected(&self, record: Record<'_>, message: &str, attempts: u32) -> Result<(), Stopped> {
        self.rejected_with(record, message, attempts, || {
            format!(
                "read \"{}.rejects\" as an input, or set on_error = \"skip\" or {{ dead_letter = \"…\" }}",
                self.stage
            )
        })
    }

    fn rejected_with(
        &self,
        record: Record<'_>,
        message: &str,
        attempts: u32,
        hint: impl FnOnce() -> String,
    ) -> Result<(), Stopped> {
        self.errors.count(FailureCode::Rejected.name());
        match &self.on_error {
            OnError::Fail => {
                self.counters.failed.add(1);
                Err(self.stop(FailureCode::Rejected, &plain_text(message), Some(record.origin), Some(hint())))
            }
            OnError::Skip => {
                self.counters.rejected.add(1);
                Ok(())
            }
            OnError::DeadLetter(_) => self.bury(record, FailureCode::Rejected, message, attempts),
        }
    }

    /// Returns `true` if a source continues after an unreadable record or file.
    pub(super) fn passes_over(&self, unreadable: &Unreadable) -> bool {
        match unreadable.extent {
            Extent::Record => self.on_error != OnError::Fail,
            Extent::File => self.passes_files,
        }
    }

    /// Handles an unreadable record or file that a source skipped. A skipped record is counted as taken in. The
    /// number of records in a skipped file is unknown.
    pub(super) fn passed_over(&self, error: &ConnectorError, unreadable: &Unreadable) -> Result<(), Stopped> {
        let code = match unreadable.extent {
            Extent::Record => FailureCode::BadRecord,
            Extent::File => FailureCode::BadFile,
        };
        self.errors.count(code.name());
        let end = match unreadable.extent {
            Extent::Record => {
                if self.on_error == OnError::Skip && self.counters.records_in.get() == 0 {
                    tracing::warn!("{} (left out; further ones are counted)", error.in_full());
                }
                self.counters.records_in.add(1);
                Some(if self.on_error == OnError::Skip { &self.counters.failed } else { &self.counters.dead_lettered })
            }
            Extent::File => {
                self.counters.bad_files.add(1);
                tracing::warn!("{}", error.in_full());
                None
            }
        };
        if matches!(self.on_error, OnError::DeadLetter(_)) {
            let message = error.in_full();
            let letter = DeadLetter {
                pipeline: &self.pipeline,
                run: &self.run,
                operator: &self.stage,
                instance: self.instance,
                source: Some(&self.stage),
                source_instance: Some(self.instance),
                offset: None,
                place: Some(&unreadable.place),
                key: None,
                timestamp: None,
                headers: None,
                payload: &unreadable.bytes,
                code: code.name(),
                message: &plain_text(&message),
                attempts: 1,
                window: None,
                at: SystemTime::now(),
            };
            if let Err(error) = self.keep(letter) {
                if end.is_some() {
                    self.counters.failed.add(1);
                }
                return Err(self.connector_failed(&error));
            }
        }
        end.into_iter().for_each(|end| end.add(1));
        Ok(())
    }

    /// Handles a failed `end` call, which belongs to no record. If the policy is to skip it, the run continues.
    /// Output is then lost, so an error is logged.
    pub(super) fn end_failed(&self, failure: &Failure, attempts: u32) -> Result<(), Stopped> {
        if matches!(self.on_error, OnError::Fail) || self.control.is_stopped() {
            return Err(self.stage_failed(failure));
        }
        self.errors.count(failure.code.name());
        self.counters.ends_failed.add(1);
        let (operator, instance) = (&*self.stage, self.instance);
        tracing::error!(operator, instance, %failure, "`end` failed; its output is missing");
        if matches!(self.on_error, OnError::Skip) {
            return Ok(());
        }
        let message = format!("`end` failed: {}", failure.message);
        let nothing = Record::of(b"", Origin::NONE);
        self.write_letter(nothing, failure.code, &message, attempts, None)
            .map_err(|error| self.connector_failed(&error))
    }

    /// Handles a window that the operator cannot finish. Its records were handled when they were folded.
    pub(super) fn window_failed(&self, lost: &LostWindow, failure: &Failure, attempts: u32) -> Result<(), Stopped> {
        let Window { start, end } = lost.window;
        let message =
            format!("the window from {start} to {end} (microseconds) cannot be finished: {}", failure.message);
        let failure = Failure { message, ..failure.clone() };
        if matches!(self.on_error, OnError::Fail) || self.control.is_stopped() {
            return Err(self.stage_failed(&failure));
        }
        self.errors.count(failure.code.name());
        self.counters.windows_failed.add(1);
        let (operator, instance) = (&*self.stage, self.instance);
        tracing::error!(operator, instance, %failure, "a window is given up; its output is missing");
        let record = Record {
            key: Some(&lost.key),
            timestamp: Some(end.saturating_sub(1)),
            ..Record::of(&lost.accumulator, Origin::NONE)
        };
        self.write_letter(record, failure.code, &failure.message, attempts, Some(lost.window))
            .map_err(|error| self.connector_failed(&error))
    }

    /// Handles an output record that comes from no input record and cannot be sent on.
    pub(super) fn output_lost(&self, record: Record<'_>, reason: &str) -> Result<(), Stopped> {
        let failure = Failure::new(FailureCode::Rejected, reason);
        if matches!(self.on_error, OnError::Fail) || self.control.is_stopped() {
            return Err(self.stage_failed(&failure));
        }
        self.errors.count(failure.code.name());
        let (operator, instance) = (&*self.stage, self.instance);
        tracing::error!(operator, instance, reason, "an output record is left out");
        self.write_letter(record, failure.code, reason, 1, None).map_err(|error| self.connector_failed(&error))
    }

    /// Handles a failure that belongs to no record. After a cut it does not count as a cause, because the cut
    /// itself may have caused it.
    pub(super) fn stage_failed(&self, failure: &Failure) -> Stopped {
        self.errors.count(failure.code.name());
        if self.control.is_stopped() {
            return Stopped;
        }
        self.stop(failure.code, &failure.message, None, failure.hint(&self.stage))
    }

    /// Handles an unrecoverable error of a built-in source or sink, or of a dead-letter file. A record that a
    /// sink cannot write has failed.
    pub(super) fn connector_failed(&self, error: &ConnectorError) -> Stopped {
        self.errors.count(FailureCode::Connector.name());
        self.counters.failed.add(u64::from(error.record.is_some()));
        let message = match &error.cause {
            Some(cause) => format!("{}: {cause}", error.what),
            None => error.what.clone(),
        };
        let limit = error.cause.as_ref().and_then(|cause| limit_below(cause));
        let hint = limit.map(|limit| format!("{}: {}", limit.what, limit.hint)).or_else(|| error.hint.clone());
        self.stop(FailureCode::Connector, &message, error.record, hint)
    }

    fn stop(&self, code: FailureCode, message: &str, origin: Option<Origin>, hint: Option<String>) -> Stopped {
        let record = origin.and_then(|origin| self.provenance.of(origin)).map(|from| from.to_string());
        self.control.fail(PipelineError {
            stage: self.stage.to_string(),
            instance: self.instance,
            code,
            message: message.to_owned(),
            record,
            hint,
        })
    }

    /// Writes a dead letter to the file of this stage.
    fn keep(&self, letter: DeadLetter<'_>) -> Result<(), ConnectorError> {
        match (&self.dead_letters, &self.on_error) {
            (Some(file), OnError::DeadLetter(letters)) => file.write([letter], letters.max_bytes),
            _ => Ok(()),
        }
    }

    fn bury(&self, record: Record<'_>, code: FailureCode, message: &str, attempts: u32) -> Result<(), Stopped> {
        match self.write_letter(record, code, message, attempts, None) {
            Ok(()) => {
                self.counters.dead_lettered.add(1);
                Ok(())
            }
            Err(error) => {
                self.counters.failed.add(1);
                Err(self.connector_failed(&error))
            }
        }
    }

    fn write_letter(
        &self,
        record: Record<'_>,
        code: FailureCode,
        message: &str,
        attempts: u32,
        window: Option<Window>,
    ) -> Result<(), ConnectorError> {
        let from = self.provenance.of(record.origin);
        let letter = DeadLetter {
            pipeline: &self.pipeline,
            run: &self.run,
            operator: &self.stage,
            instance: self.instance,
            source: from.as_ref().map(|from| from.source.as_str()),
            source_instance: from.as_ref().map(|from| from.instance),
            offset: from.as_ref().map(|from| from.offset),
            place: from.as_ref().map(|from| from.place.as_str()),
            key: record.key,
            timestamp: record.timestamp,
            headers: record.headers,
            payload: record.payload,
            code: code.name(),
            message,
            attempts,
            window,
            at: SystemTime::now(),
        };
        self.keep(letter)
    }
}
