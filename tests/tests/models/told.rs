use std::fmt::Write as _;
use std::path::Path;

use sage_tests::{Outcome, Running, Scenario, guest};

/// A pipeline of one operator that does with models what each record says, on made-up devices.
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

    /// On one made-up device, in threads of the host.
    pub(crate) fn on_a_device() -> Self {
        Self::on(
            "[[device]]\nname = \"fake0\"\nkind = \"fake\"\nplacement = \"thread\"\ncounts_as_gpu = true\nmemory = \"2GiB\"\n",
        )
    }

    /// On one made-up device, in a process of its own.
    pub(crate) fn on_a_process() -> Self {
        Self::on("[[device]]\nname = \"fake0\"\nkind = \"fake\"\ncounts_as_gpu = true\nmemory = \"512MiB\"\n")
    }

    /// Shares the leases of another's runs.
    pub(crate) fn sharing_leases_of(self, other: &Self) -> Self {
        Self { scenario: self.scenario.sharing_leases_of(&other.scenario), ..self }
    }

    /// Declares a made-up model, which the operator lists. Not measured when it is loaded: its runs are the calls'.
    pub(crate) fn model(mut self, name: &str, told: &str) -> Self {
        self = self.unlisted(name, told, "batching = false");
        self.listed.push(name.to_owned());
        self
    }

    /// Declares a made-up model with more settings, which the operator does not list.
    pub(crate) fn unlisted(mut self, name: &str, told: &str, settings: &str) -> Self {
        let file = format!("{name}.fake");
        self.scenario.file(&file, told);
        let _ = write!(
            self.models,
            "[model.{name}]\npath = \"{file}\"\nbackend = \"fake\"\nworkspace = \"1MiB\"\n{settings}\n"
        );
        self
    }

    /// What the operator asks for, in place of one device.
    pub(crate) fn resources(mut self, resources: &str) -> Self {
        resources.clone_into(&mut self.resources);
        self
    }

    /// More settings of the operator.
    pub(crate) fn settings(mut self, settings: &str) -> Self {
        let _ = writeln!(self.settings, "{settings}");
        self
    }

    /// Lays the pipeline out, to read these records.
    pub(crate) fn lay_out(&self, records: &[&str]) {
        let records: String = records.iter().map(|record| format!("{record}\n")).collect();
        self.scenario.file("in.txt", records);
        self.with_source("file = { path = \"in.txt\" }");
    }

    /// Lays the pipeline out with another source.
    pub(crate) fn with_source(&self, source: &str) {
        let Self { models, listed, settings, resources, .. } = self;
        let models_key = if listed.is_empty() { String::new() } else { format!("models = {listed:?}") };
        let component = guest("map_infers_as_told");
        self.scenario.pipeline(&format!(
            "[pipeline]\nname = \"told\"\n{models}\n[[source]]\nname = \"in\"\n{source}\n\
             [[operator]]\nname = \"infers\"\ncomponent = \"{}\"\ninput = \"in\"\nresources = {{ {resources} }}\n{models_key}\n{settings}\n\
             [[sink]]\nname = \"out\"\ninput = \"infers\"\nfile = {{ path = \"out.txt\" }}\n",
            component.display()
        ));
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, records: &[&str]) -> Outcome {
        self.lay_out(records);
        self.scenario.run_with(["--host", "host.toml"])
    }

    /// Starts it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.scenario.start_with(["--host", "host.toml"].iter().chain(arguments))
    }

    /// What came out of these records, of a run that must end well.
    #[track_caller]
    pub(crate) fn answers(&self, records: &[&str]) -> Vec<String> {
        let outcome = self.run(records);
        outcome.expect_exit(0).expect_conservation();
        self.scenario.lines("out.txt")
    }
}

/// Where the repository is.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
