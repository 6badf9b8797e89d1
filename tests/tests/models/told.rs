use std::fmt::Write as _;
use std::path::Path;

use sage_tests::{Outcome, Running, Scenario, guest};

/// A pipeline on fake devices with one operator, which executes the inference command in each record.
pub(crate) struct Told {
    pub(crate) scenario: Scenario,
    models: String,
    listed: Vec<String>,
    settings: String,
    resources: String,
}

impl Told {
    /// On a host with these devices.
    pub(crate) fn on(devices: &str) -> Self {
        let scenario = Scenario::new();
        scenario.file("host.toml", format!("discover_devices = false\n{devices}"));
        Self {
            scenario,
            models: String::new(),
            listed: Vec::new(),
            settings: String::new(),
            resources: "num_gpus = 1".to_owned(),
        }
    }

    /// On one fake device, in threads of the host.
    pub(crate) fn on_a_device() -> Self {
        Self::on(
            "[[device]]\nname = \"fake0\"\nkind = \"fake\"\nplacement = \"thread\"\n\
            counts_as_gpu = true\nmemory = \"2GiB\"\n",
        )
    }

    /// On one fake device, in a process of its own.
    pub(crate) fn on_a_process() -> Self {
        Self::on("[[device]]\nname = \"fake0\"\nkind = \"fake\"\ncounts_as_gpu = true\nmemory = \"512MiB\"\n")
    }

    /// Uses the lease folder of another scenario.
    pub(crate) fn sharing_leases_of(self, other: &Self) -> Self {
        Self { scenario: self.scenario.sharing_leases_of(&other.scenario), ..self }
    }

    /// Declares a fake model, which the operator lists. The model is not measured at load, so all its runs come from
    /// calls.
    pub(crate) fn model(mut self, name: &str, told: &str) -> Self {
        self = self.unlisted(name, told, "batching = false");
        self.listed.push(name.to_owned());
        self
    }

    /// Declares a fake model with further settings, which the operator does not list.
    pub(crate) fn unlisted(mut self, name: &str, told: &str, settings: &str) -> Self {
        let file = format!("{name}.fake");
        self.scenario.file(&file, told);
        let _ = write!(
            self.models,
            "[model.{name}]\npath = \"{file}\"\nbackend = \"fake\"\nworkspace = \"1MiB\"\n{settings}\n"
        );
        self
    }

    /// Replaces the operator's resources, which by default are one device.
    pub(crate) fn resources(mut self, resources: &str) -> Self {
        resources.clone_into(&mut self.resources);
        self
    }

    /// Adds settings of the operator.
    pub(crate) fn settings(mut self, settings: &str) -> Self {
        let _ = writeln!(self.settings, "{settings}");
        self
    }

    /// Writes the pipeline and its input records.
    pub(crate) fn lay_out(&self, records: &[&str]) {
        let records: String = records.iter().map(|record| format!("{record}\n")).collect();
        self.scenario.file("in.txt", records);
        self.with_source("file = { path = \"in.txt\" }");
    }

    /// Writes the pipeline with another source.
    pub(crate) fn with_source(&self, source: &str) {
        let Self { models, listed, settings, resources, .. } = self;
        let models_key = if listed.is_empty() { String::new() } else { format!("models = {listed:?}") };
        let component = guest("map_infers_as_told");
        self.scenario.pipeline(&format!(
            "[pipeline]\nname = \"told\"\n{models}\n[[source]]\nname = \"in\"\n{source}\n\
             [[operator]]\nname = \"infers\"\ncomponent = \"{}\"\ninput = \"in\"\n\
             resources = {{ {resources} }}\n{models_key}\n{settings}\n\
             [[sink]]\nname = \"out\"\ninput = \"infers\"\nfile = {{ path = \"out.txt\" }}\n",
            component.display()
        ));
    }

    /// Runs the pipeline to its end.
    pub(crate) fn run(&self, records: &[&str]) -> Outcome {
        self.lay_out(records);
        self.scenario.run_with(["--host", "host.toml"])
    }

    /// Starts it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.scenario.start_with(["--host", "host.toml"].iter().chain(arguments))
    }

    /// Output of a successful run on these records.
    #[track_caller]
    pub(crate) fn answers(&self, records: &[&str]) -> Vec<String> {
        let outcome = self.run(records);
        outcome.expect_exit(0).expect_conservation();
        self.scenario.lines("out.txt")
    }
}

/// Root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
