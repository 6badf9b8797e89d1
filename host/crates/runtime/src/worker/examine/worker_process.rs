use std::error::Error;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::super::ProcessIsolation;
use super::super::compile::OneShotCompiler;
use super::examination::{Examination, in_full, shown};
use crate::connector::{CollectSink, IterSource};
use crate::engine::{JobOptions, PipelineBuilder, Session, SinkOf, SourceOf};
use sage_machine::Tier;
use sage_observe::Summary;
use sage_plan::config::{HostSettings, Resources, TenantCeiling, TenantName};
use sage_text::short_size;

/// A component that returns its input: `echo.wat`.
pub(super) const ECHO: &[u8] = include_bytes!("echo.wasm");
/// Memory of the test operator: twice the least amount with which a worker starts.
const MEMORY: u64 = 32 << 20;
/// Time limit of the test. It takes some tens of milliseconds; the limit is for a very busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Sends three records through a worker.
pub(super) fn examine(options: &JobOptions, settings: &HostSettings, program: &Path) -> Examination {
    let examined = |found, detail, hint| Examination {
        name: "worker process",
        found,
        needed: Tier::Hard,
        mechanism: "sage-host worker".to_owned(),
        detail,
        hint,
    };
    match tried(options, settings, program) {
        Ok((took, peak)) => {
            let peak = peak.map_or_else(String::new, |peak| format!(", with {} at its peak", short_size(peak)));
            examined(Tier::Hard, format!("three records went through one and came back in {}{peak}", shown(took)), None)
        }
        Err((detail, hint)) => examined(Tier::None, detail, hint),
    }
}

type Trouble = (String, Option<String>);

/// Runs the test. Returns the duration of the run and the peak memory of the worker's cgroup. The run has its
/// own lease and cache folders, so that it takes nothing from others.
fn tried(options: &JobOptions, settings: &HostSettings, program: &Path) -> Result<(Duration, Option<u64>), Trouble> {
    let folder = tempfile::Builder::new().prefix("sage-host-doctor-").tempdir().map_err(|error| told(&error))?;
    let component = folder.path().join("echo.wasm");
    std::fs::write(&component, ECHO).map_err(|error| told(&error))?;
    let records = ["one", "two", "three"].map(|text| text.as_bytes().to_vec());
    let (sink, collected) = CollectSink::new();
    let job = PipelineBuilder::new("doctor")
        .from_source("in", SourceOf::provided(IterSource::new(records.clone(), 0)))
        .map("echo", &component)
        .resources(Resources { memory: Some(MEMORY.into()), ..Resources::default() })
        .sink("out", SinkOf::provided(sink))
        .build(JobOptions {
            overcommit: true,
            tenant: tenant(settings),
            lease_folder: Some(folder.path().join("leases")),
            cache_folder: Some(folder.path().join("cache")),
            compiler: Some(Arc::new(OneShotCompiler::new(program))),
            launcher: Some(Arc::new(ProcessIsolation::new(program))),
            ..options.clone()
        })
        .map_err(|error| told(&error))?;
    let started = Instant::now();
    let stop = job.stop_handle();
    let (done, ended) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if ended.recv_timeout(TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            stop.abort();
        }
    });
    let ran = job.start().map(Session::wait);
    let took = started.elapsed();
    drop(done);
    // The panic hook has already reported a panic of the thread.
    drop(watch.join());
    let summary = ran.map_err(|error| told(&error))?;
    if let Some(error) = &summary.error {
        return Err((format!("it failed with {}: {}", error.code, error.message), error.hint.clone()));
    }
    if summary.outcome == "interrupted" {
        return Err((format!("three records had not come back after {} s", TIMEOUT.as_secs()), None));
    }
    let collected = collected.lock().unwrap_or_else(PoisonError::into_inner);
    let same = collected.iter().map(|record| &record.payload).eq(&records);
    if same { Ok((took, peak(&summary))) } else { Err(("other records came back".to_owned(), None)) }
}

/// A tenant whose ceiling leaves enough memory.
fn tenant(settings: &HostSettings) -> TenantName {
    let roomy = |ceiling: &TenantCeiling| ceiling.memory.is_none_or(|memory| memory >= MEMORY * 2);
    let tenants = &settings.tenants;
    let fitting = tenants.iter().find(|(_, ceiling)| roomy(ceiling)).or(tenants.iter().next());
    fitting.map(|(name, _)| name.clone()).unwrap_or_default()
}

fn peak(summary: &Summary) -> Option<u64> {
    summary.stage("echo")?.kernel.as_ref()?.memory_peak_bytes
}

fn told(error: &dyn Error) -> Trouble {
    // A refusal has a line for each reason.
    let lines: Vec<String> = in_full(error).lines().map(|line| line.trim().to_owned()).collect();
    (lines.join("; "), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_what_its_text_says() {
        let made = wat::parse_str(include_str!("echo.wat")).unwrap();
        if made != ECHO {
            let file = std::env::temp_dir().join("echo.wasm");
            std::fs::write(&file, made).unwrap();
            panic!("echo.wasm is not what echo.wat says; that is in {}", file.display());
        }
    }
}
